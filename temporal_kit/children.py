"""Names the processes that this one has started, where the system tells."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from .bound import PREFIX
from .redaction import redact

PROCESSES = Path("/proc")  # Linux
LONGEST_COMMAND = 200  # characters
OF_PYTHON = "from multiprocessing."  # helpers of that package, which end by themselves


def pool_processes() -> list[Any]:
    """What the package multiprocessing has started, if it is in use."""
    multiprocessing = sys.modules.get("multiprocessing")
    return multiprocessing.active_children() if multiprocessing else []


def other_children() -> Iterator[str]:
    """`process <id>: <command>` of all other children of this process, secrets hidden.

    They outlive it. Where the system has no `/proc` there are none.
    """
    of_pools = {child.pid for child in pool_processes()}
    for folder in PROCESSES.glob("[0-9]*"):
        with suppress(OSError, ValueError):  # it has ended meanwhile
            if not _is_running_child(folder):
                continue
            command = _command(folder)
            helper = int(folder.name) in of_pools or OF_PYTHON in command or PREFIX in command
            if not helper:
                yield f"process {folder.name}: {redact(command, LONGEST_COMMAND)}"


def _is_running_child(folder: Path) -> bool:
    """Whether a process was started by this one, and has not ended."""
    # After the name in parentheses, which may contain anything, come state and parent.
    state, parent, *_ = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return int(parent) == os.getpid() and state != "Z"


def _command(folder: Path) -> str:
    """The command line of a process."""
    data = (folder / "cmdline").read_bytes()[:65_536]
    return data.decode("utf-8", "replace").rstrip("\0").replace("\0", " ")
