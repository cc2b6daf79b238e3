"""Names the line of the owner's code that holds a script up, or that it leaves running."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from traceback import walk_stack
from types import FrameType
from typing import Any

from .findings import log
from .registration import PACKAGE, is_the_owners

HELD_UP_SECONDS = 3
PAUSE_SECONDS = 0.5  # between one look at the loop and the next

FrameAndLine = tuple[FrameType, int]


def watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Warn once each time the event loop has not answered for 3 s, with the line at fault.

    Runs in a thread of its own until the loop is closed.
    """
    with suppress(RuntimeError):  # the loop has been closed
        while True:
            answered = threading.Event()
            loop.call_soon_threadsafe(answered.set)
            late = not answered.wait(HELD_UP_SECONDS) and loop.is_running()
            if late and not os.environ.get("TEMPORAL_DEBUG"):  # or a breakpoint holds it up
                stack = sys._current_frames()[threading.main_thread().ident or 0]
                line = owners_line(walk_stack(stack)) or "a line that is not yours"
                log.warning("The event loop has not answered for %d s: %s", HELD_UP_SECONDS, line)
            answered.wait()
            time.sleep(PAUSE_SECONDS)


def lines_running(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """For each thread and each task, the line of the owner's code that it executes."""
    for frame in sys._current_frames().values():
        yield owners_line(walk_stack(frame))
    for task in asyncio.all_tasks(loop):
        yield owners_line(reversed([*_awaiting(task.get_coro())]))


def _awaiting(coroutine: Any) -> Iterator[FrameAndLine]:
    """Where a coroutine waits, and where the one waits that it awaits, and so on inwards."""
    while frame := getattr(coroutine, "cr_frame", None):
        yield frame, frame.f_lineno
        coroutine = coroutine.cr_await


def owners_line(innermost_first: Iterable[FrameAndLine]) -> str:
    """The innermost line of the owner's code in a stack; "" if there is none, or the kit waits."""
    for frame, line in innermost_first:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE):
            return ""
        if is_the_owners(file):
            return f"{file}, line {line}, in {frame.f_code.co_name}"
    return ""
