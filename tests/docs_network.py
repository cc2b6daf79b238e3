"""A network of one machine: loopback, and nothing else.

The guides' commands use the fixed ports that their readers will see; in a network of their own
these are always free, and no packet can leave the machine. Linux only.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit import RunningScript

MARK = "LOOPBACK_ONLY"  # in the environment of all that runs in such a network


def inside(*command: str) -> list[str]:
    """The command that runs this command in a network of its own."""
    unshare = [shutil.which("unshare") or "unshare", "--map-root-user", "--net"]
    return [*unshare, "sh", "-ec", f'ip link set lo up; exec env {MARK}=1 "$@"', "sh", *command]


def joining(pid: int, folder: Path, *command: str) -> list[str]:
    """The command that runs this command, in this folder, in the network of a process."""
    join = [shutil.which("nsenter") or "nsenter", "--preserve-credentials", "--user", "--net"]
    return [*join, f"--target={pid}", f"--wd={folder}", "--", *command]


def here() -> bool:
    """Whether this process runs in such a network."""
    return MARK in os.environ and [name for _, name in socket.if_nameindex()] == ["lo"]


@contextmanager
def network() -> Iterator[int]:
    """A process in a network of its own, for as long as this block runs; skips where none is."""
    with RunningScript(inside("sh", "-c", "echo up; exec sleep 600"), dict(os.environ)) as holder:
        try:
            holder.wait_for("up")
        except AssertionError as error:
            pytest.skip(f"no network of its own: {error}")
        yield holder.process.pid
