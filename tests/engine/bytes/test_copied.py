"""A copy in the cache is compared with its checksums: what is read of it, and no more."""

import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scdataset.engine.bytes import copied
from scdataset.engine.bytes.copied import CopiedFile, block_checksums
from scdataset.errors import DamagedFileError

BLOCK = 64


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Return a function that makes a copy of random bytes and then flips a bit of it, if told which byte."""
    monkeypatch.setattr(copied, "_BLOCK", BLOCK)
    monkeypatch.setattr(copied, "_RUN", 3)

    def made(size, flipped=None):
        path, content = tmp_path / "copy", bytearray(np.random.default_rng(0).bytes(size))
        path.write_bytes(content)
        checksums = block_checksums(str(path))
        if flipped is not None:
            content[flipped] ^= 1
            path.write_bytes(content)
        (tmp_path / "manifest").touch()
        return CopiedFile(str(path), "/the/users/file", size, checksums, tmp_path / "manifest")

    return made


def blocks_of(stretches):
    return {byte // BLOCK for start, length in stretches for byte in range(start, start + length)}


SIZES = st.integers(1, 700)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), size=SIZES)
def test_damage_is_told_where_it_is_read_and_nowhere_else(make, data, size):
    flipped = data.draw(st.integers(0, size - 1))
    stretches = data.draw(
        st.lists(st.integers(0, size).flatmap(lambda a: st.integers(0, size - a).map(lambda n: (a, n)))), label="read"
    )
    file = make(size, flipped)
    starts, lengths = np.array(stretches, np.int64).reshape(-1, 2).T
    if flipped // BLOCK in blocks_of(stretches):
        with pytest.raises(DamagedFileError, match=rf"/the/users/file .*byte {flipped // BLOCK * BLOCK} and"):
            file.check_bytes(starts, lengths)
    else:
        file.check_bytes(starts, lengths)
        assert file.checks
        assert pickle.loads(pickle.dumps(file)).checks


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), size=SIZES)
def test_all_that_is_not_checked_later_is_checked_at_once(make, data, size):
    flipped = data.draw(st.integers(0, size - 1))
    cuts = sorted(data.draw(st.sets(st.integers(0, size), max_size=6)))
    later = np.array(list(zip(cuts[::2], cuts[1::2], strict=False)), np.int64).reshape(-1, 2)
    block = range(flipped // BLOCK * BLOCK, min((flipped // BLOCK + 1) * BLOCK, size))
    waits = any(start <= block[0] and block[-1] < stop for start, stop in later.tolist())
    file = make(size, flipped)
    if waits:
        file.check_outside(later)
    else:
        with pytest.raises(DamagedFileError, match="is damaged between byte"):
            file.check_outside(later)
    sound = make(size)
    sound.check_outside(later)
    sound.check_bytes(later[:, 0], later[:, 1] - later[:, 0])
    assert not sound.checks


def test_a_copy_of_another_size_is_refused_and_not_used_again(make, tmp_path):
    good = make(100)
    (tmp_path / "copy").write_bytes(bytes(99))
    with pytest.raises(DamagedFileError, match="has 99 bytes where 100 were written"):
        CopiedFile(good.place, good.path, 100, np.zeros(2, np.uint32), tmp_path / "manifest")
    assert not (tmp_path / "manifest").exists()
