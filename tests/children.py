"""Runs code in other processes, each forked from one that has imported the package: importing it takes seconds."""

import atexit
import multiprocessing
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
"""Starts processes from a clean one, to which everything is pickled, as under spawn."""

CONTEXT.set_forkserver_preload(["tests.preloaded"])


@dataclass
class Done:
    """What came of a process."""

    status: int
    out: str
    error: str


def _execute(code, arguments, environment, folder):
    os.environ.clear()
    os.environ.update(environment)
    multiprocessing.set_start_method(None, force=True)  # as in a process of its own
    sys.argv = ["-c", *arguments]
    opened = [os.open(f"{folder}/in", os.O_RDONLY)]
    opened += [os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT, 0o600) for name in ("out", "error")]
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(0)  # noqa: SIM115 the process ends with it
    try:
        exec(compile(code, "-c", "exec"), {"__name__": "__main__"})
    finally:
        atexit._run_exitfuncs()


def run(code, *arguments, stdin="", environment=None):
    """Run code as ``python -c`` does, in the environment of here and more."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "in").write_text(stdin)
        variables = {**os.environ, **(environment or {})}
        child = CONTEXT.Process(target=_execute, args=(code, list(map(str, arguments)), variables, folder))
        child.start()
        child.join()
        return Done(child.exitcode, Path(folder, "out").read_text(), Path(folder, "error").read_text())


def with_little_memory(code, *arguments, megabytes=700):
    """Return what code prints, as `output_of`, that may take so much memory more than a process has that imports all.

    Memory that is asked for counts, used or not: the system refuses more.
    """
    return output_of(f"from tests.children import limit_memory\nlimit_memory({megabytes})\n{code}", *arguments)


def limit_memory(megabytes):
    """Let this process take so much memory more than it has."""
    import resource

    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + (megabytes << 20),) * 2)


def output_of(code, *arguments, **options):
    """Return what code prints that must succeed."""
    done = run(code, *arguments, **options)
    assert done.status == 0, done.error
    return done.out


def look_often():
    """Let loaders and their workers look every half second, and not every five, whether the other has ended."""
    from torch.utils.data import _utils

    for module in (_utils, _utils.worker, _utils.pin_memory):
        module.MP_STATUS_CHECK_INTERVAL = 0.5
