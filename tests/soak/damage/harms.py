"""Harm done to the bytes of a file, and to the entries of a folder."""

import os
import shutil

import numpy as np

BYTES = ("cut", "bit", "bits", "bytes", "zeros", "ones", "copied", "doubled", "appended")
"""What may be done to the bytes of a file."""

ENTRIES = ("gone", "emptied", "folder", "pipe", "loop", "device", "swapped")
"""What may be done to an entry of a folder."""


def harmed(good, harm, seed):
    """Return the bytes of a file with harm done to them."""
    rng = np.random.default_rng(seed)
    if not good:
        return rng.bytes(9)
    data = bytearray(good)
    place = int(rng.integers(len(data)))
    length = int(rng.integers(1, 64))
    if harm == "cut":
        del data[place:]
    elif harm in {"bit", "bits"}:
        for at in [place] if harm == "bit" else rng.integers(len(data), size=20).tolist():
            data[at] ^= 1 << int(rng.integers(8))
    elif harm == "copied":  # a stretch of the file in another place, as a bad copy leaves it
        source = int(rng.integers(len(data)))
        data[place : place + length] = data[source : source + length]
    elif harm == "doubled":  # a larger one, as blocks of a disk or of a transfer are
        length = min(int(2 ** rng.uniform(6, 12)), len(data) // 2)
        step = int(rng.choice([1, 8, 64, 512]))
        source, place = (int(rng.integers((len(data) - length) // step + 1)) * step for _ in range(2))
        data[place : place + length] = data[source : source + length]
    elif harm == "appended":
        data += rng.bytes(length)
    else:
        stretch = {"bytes": rng.bytes(length), "zeros": bytes(length), "ones": b"\xff" * length}[harm]
        data[place : place + length] = stretch
    return bytes(data)


def files_in(path):
    """Return the file itself, or all files in a folder, in order."""
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def harm_one(path, harm, seed):
    """Harm a file, or one of the files in a folder."""
    files = files_in(path)
    victim = files[seed % len(files)]
    if harm in BYTES:
        victim.write_bytes(harmed(victim.read_bytes(), harm, seed))
        return
    other = files[(seed // len(files)) % len(files)]
    harm_entry(victim, other, harm)


def harm_entry(victim, other, harm):
    """Put something else in the place of a file."""
    if harm == "swapped":
        aside = victim.with_name("aside")
        victim.rename(aside)
        if other != victim:
            other.rename(victim)
        aside.rename(other)
        return
    victim.unlink()
    if harm == "emptied":
        victim.touch()
    elif harm == "folder":
        victim.mkdir()
    elif harm == "pipe":
        os.mkfifo(victim)
    elif harm == "loop":
        victim.symlink_to(victim)
    elif harm == "device":
        victim.symlink_to("/dev/zero")


def copy_of(source, to):
    """Copy a file or folder, in place of another copy."""
    if to.is_dir() and not to.is_symlink():
        shutil.rmtree(to)
    elif os.path.lexists(to):
        to.unlink()
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, to)
    return to
