"""Binds a program's life to this process: whatever ends this one, SIGKILL too, ends that one."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote

# Becomes the program. Beside it a shell waits at a pipe whose other end this process alone holds:
# once that is closed without a word, it ends the program.
LAUNCHER = """#!/bin/sh
rm -f "$0"
(
    trap '' HUP INT TERM
    exec </dev/fd/{pipe} || exit
    read -r _ || kill $$
) >/dev/null 2>&1 &
exec {program} "$@"
"""

PREFIX = "temporal-kit-start-"  # of the launcher's name
NOTHING_TO_END = b"\n"  # said at the end of the block: what still runs then was left running

_pipes: set[int] = set()  # our ends, which no child must hold


@contextmanager
def bound(program: str) -> Iterator[str]:
    """Yield the path of a command that runs `program`, but is ended when this process dies.

    The command inherits the reading end of a pipe, and we keep the other: once that is closed
    without a word, we are gone. It may be started once, with inheritable descriptors left open.
    Linux could end a child by itself (PR_SET_PDEATHSIG), but would also do so when the thread that
    started it ends. Where this does not work, as on Windows, the path is the program's own.
    """
    if os.name != "posix":
        yield program
        return
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    _pipes.add(writer)
    launcher = _write_launcher(program, reader)
    try:
        yield str(launcher or program)
    finally:
        if launcher:
            launcher.unlink(missing_ok=True)
        with suppress(BrokenPipeError):  # nothing was started
            os.write(writer, NOTHING_TO_END)
        _pipes.discard(writer)
        os.close(writer)
        os.close(reader)


def _write_launcher(program: str, pipe: int) -> Path | None:
    """A script that becomes the program, and removes itself; None where no folder can have one."""
    for folder in (None, "/dev/shm", sys.prefix):  # noqa: S108 (mkstemp makes a new file)
        with suppress(OSError):  # read-only, or full
            descriptor, name = tempfile.mkstemp(prefix=PREFIX, suffix=".sh", dir=folder)
            path = Path(name)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(LAUNCHER.format(program=quote(program), pipe=pipe))
            path.chmod(0o700)
            if os.access(path, os.X_OK):  # nothing may run from a folder that is mounted so
                return path
            path.unlink()
    return None


def _close_in_a_fork() -> None:
    """A forked child, as of a process pool, must not keep the pipe open when we are gone."""
    for writer in _pipes:
        with suppress(OSError):
            os.close(writer)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_a_fork)
