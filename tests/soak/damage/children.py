"""Work in forked children, which may die or hang, and the words for what came of it."""

import os
import resource
import select
import signal
import time

SECONDS = float(os.environ.get("SCDATASET_HANG_SECONDS", "10"))
"""How long a child may take."""

MEGABYTES = 1000
"""How much memory a child may take more than this process has."""

FAILED = ("raised", "hung", "died", "took")
"""How the words for outcomes begin that must not be."""


def in_child(work, *arguments):
    """Return what ``work`` returns in a forked child, or that it raised, hung, died or took too much memory."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(readable)
        try:
            word = work(*arguments)
        except BaseException as error:  # noqa: BLE001 it is reported
            word = f"raised {type(error).__name__}: {error}"
        os.write(writable, word.encode()[:4000])
        os._exit(0)
    os.close(writable)
    word = ""
    if select.select([readable], [], [], SECONDS)[0]:
        word = os.read(readable, 4096).decode(errors="replace")
    else:
        os.kill(child, signal.SIGKILL)
        word = "hung"
    os.close(readable)
    status, megabytes = _end_of(child)
    if megabytes > MEGABYTES + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:
        return f"took {megabytes} MB: {word}"
    return word or f"died with status {status}"


def _end_of(child):
    """Return the status and largest memory of a child that has told its word, and is killed if it does not end then."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        pid, status, used = os.wait4(child, os.WNOHANG)
        if pid:
            return status, used.ru_maxrss // 1024
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    return status, used.ru_maxrss // 1024
