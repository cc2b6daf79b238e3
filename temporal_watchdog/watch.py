"""Names what holds a script up and what it leaves, and ends what hangs."""

import asyncio
import atexit
import faulthandler
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from temporal_findings import log, redact

ROOT = str(Path(__file__).parents[1]) + os.sep
HELD_UP_SECONDS = 3
WAITING = "<module>", "main", "work", "watch_server"  # functions in which the kit itself waits
DEFINITIONS = "__temporal_workflow_definition", "__temporal_activity_definition"  # set by `defn`


class Handler(logging.Handler):
    """Drops lines while the pipe is full, so that its reader cannot block the event loop."""

    dropped = 0
    encoding = getattr(sys.stderr, "encoding", "utf-8")  # ASCII has no ✓

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record to standard error, line by line."""
        try:
            formatted = self.format(record)
        except Exception as problem:  # a faulty log call must not fail the code that made it
            formatted = redact(f"{record.levelname} - {record.msg} ({problem})")
        for line in formatted.split("\n"):
            if os.name == "posix" and not select.select([], [2], [], 0)[1]:
                self.dropped += 1
                continue
            lost, self.dropped = self.dropped, 0
            text = f"({lost} lines dropped) {line}" if lost else line
            with suppress(OSError):  # its reader is gone, or the disk is full
                # A pipe with any room takes 4 KiB without waiting.
                os.write(2, text.encode(self.encoding, "backslashreplace")[:4000] + b"\n")


def guard(seconds: float, signals: Collection[int]) -> None:
    """Fork a process that kills this one `seconds` after a signal, or soon after a second one.

    While a thread holds the GIL, as in a long regular expression, no signal handler and no timer
    runs in this process.
    """
    if not hasattr(os, "fork"):
        return
    faulthandler.register(signal.SIGUSR2)  # works without the GIL too, and names the line
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    parent = os.getpid()
    if not (child := os.fork()):
        try:
            os.close(writer)
            _wait_and_kill(parent, reader, seconds, signals)
        finally:
            os._exit(0)

    def forget() -> None:
        """Leave Ctrl+C to this process, in one that it forks, as a process pool does."""
        if signal.set_wakeup_fd(-1) == writer:  # it is not, where such a process forks again
            os.close(writer)
        for number in signals:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)

    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # `reader` stays open, or this fails
    os.register_at_fork(after_in_child=forget)
    atexit.register(os.waitpid, child, 0)  # the last to be registered runs first
    atexit.register(os.kill, child, signal.SIGKILL)


def _wait_and_kill(parent: int, reader: int, seconds: float, signals: Collection[int]) -> None:
    for number in signals:
        signal.signal(number, signal.SIG_IGN)
    waits = None, seconds, 0.5  # before a signal, after one, after two
    told = 0
    while select.select([reader], [], [], waits[told])[0]:
        if not (read := os.read(reader, 1)):
            return  # the process has exited on its own
        told = min(2, told + (read[0] in signals))
    os.kill(parent, signal.SIGUSR2)
    time.sleep(0.2)
    os.kill(parent, signal.SIGKILL)
    if parent == 1:  # the first process of a container is immune to signals from inside it
        import resource

        resource.prlimit(parent, resource.RLIMIT_CPU, (1, 1))


def watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Warn once each time the event loop has not answered for some seconds, with the line at fault.

    Asking also wakes the loop for a signal that arrived just before it went to sleep.
    """
    with suppress(RuntimeError):  # the loop has been closed
        while True:
            answered = threading.Event()
            loop.call_soon_threadsafe(answered.set)
            late = not answered.wait(HELD_UP_SECONDS) and loop.is_running()
            if late and not os.environ.get("TEMPORAL_DEBUG"):  # or a breakpoint holds it up
                stack = sys._current_frames()[threading.main_thread().ident or 0]
                line = _own_line(stack) or "a line of an installed package"
                log.warning("The event loop has not answered for %d s: %s", HELD_UP_SECONDS, line)
            answered.wait()
            time.sleep(0.5)


def lines_running(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """For each thread and each task, the line of your code that it executes."""
    yield from filter(None, map(_own_line, sys._current_frames().values()))
    for task in asyncio.all_tasks(loop):
        line = ""
        waits: Any = task.get_coro()
        while frame := getattr(waits, "cr_frame", None):
            line, waits = _own_line(frame) or line, waits.cr_await
        if line:
            yield line


def _own_line(innermost: FrameType) -> str:
    """The innermost line of your code in a stack, without the kit's own waiting; or nothing."""
    for frame, line in traceback.walk_stack(innermost):
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if _is_own(file) and not file.startswith(f"{ROOT}temporal_") and name not in WAITING:
            return f"{file}, line {line}, in {name}"
    return ""


def _is_own(file: str) -> bool:
    """Whether a file belongs to this repository, and not to a package installed in it."""
    return file.startswith(ROOT) and "site-packages" not in file


def unregistered(registered: list[Any]) -> list[str]:
    """Names of workflows and activities in this repository's loaded modules that a worker lacks."""
    modules = [
        one for one in [*sys.modules.values()] if _is_own(getattr(one, "__file__", "") or "")
    ]
    own = {module.__name__ for module in modules}
    things = [thing for module in modules for thing in vars(module).values()]
    things = [thing for thing in things if getattr(thing, "__module__", "") in own]
    methods = [part for thing in things if isinstance(thing, type) for part in vars(thing).values()]
    return sorted(_defined([*things, *methods]) - _defined(registered))


def _defined(things: list[Any]) -> set[str]:
    """The names of those that are workflows or activities."""
    found = [getattr(thing, mark, None) for thing in things for mark in DEFINITIONS]
    return {one.name for one in found if one and one.name}
