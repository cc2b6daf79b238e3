"""Ensures that a process exits in time, and reports what holds it up.

After a signal a script has `seconds` to finish; then a timer ends it. Where code holds the GIL no
timer runs, and `faulthandler` ends it a second later. If not even the signal's handler could run,
`guard` ends the worker.
"""

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
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

ROOT = str(Path(__file__).parent) + os.sep
log = logging.getLogger("kit")
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
HELD_UP_SECONDS = 3


def leave_within(seconds: float, code: int, loop: asyncio.AbstractEventLoop) -> None:
    """Make sure that the process exits within `seconds`, whatever still runs in it."""
    timer = threading.Timer(seconds, _finish, (code, loop))
    timer.daemon = True
    timer.start()
    # The last resort works without the GIL, and names the line that holds it.
    with suppress(ValueError, OSError, AttributeError):  # there is no standard error
        faulthandler.dump_traceback_later(seconds + 1, exit=True)


def _finish(code: int, loop: asyncio.AbstractEventLoop) -> NoReturn:
    """Exit now: log what is still running, kill child processes, run the exit handlers."""
    for line in dict.fromkeys(_lines_running(loop)):
        log.warning("Left running: %s", line)
    end_children()
    atexit._run_exitfuncs()
    os._exit(code)  # flushing could block


def end_children() -> None:
    """Kill the processes that `multiprocessing` has started, as a process pool does."""
    for child in getattr(sys.modules.get("multiprocessing"), "active_children", list)():
        child.kill()


def guard(seconds: float) -> None:
    """Fork a watchdog that kills this process `seconds` after a signal, or soon after a second one.

    While a thread holds the GIL, as in a long regular expression, no signal handler and no timer
    runs in this process.
    """
    if not hasattr(os, "fork"):
        return
    faulthandler.register(signal.SIGUSR2)  # works without the GIL too, and names the line
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    parent = os.getpid()
    if child := os.fork():
        os.close(reader)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        atexit.register(os.waitpid, child, 0)
        atexit.register(os.kill, child, signal.SIGKILL)
        return
    os.close(writer)
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    told, waits = 0, (None, seconds, 0.5)
    while select.select([reader], [], [], waits[told])[0]:
        if not (read := os.read(reader, 1)):
            os._exit(0)  # the process has exited on its own
        told = min(2, told + (read[0] in STOP_SIGNALS))
    os.kill(parent, signal.SIGUSR2)
    time.sleep(0.2)
    os.kill(parent, signal.SIGKILL)
    if parent == 1:  # of a container, which no signal from inside kills, but this limit does
        import resource

        resource.prlimit(parent, resource.RLIMIT_CPU, (1, 1))
    os._exit(0)


def watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Say once, when the event loop has not answered for some seconds, what holds it up.

    Asking also wakes the loop, which a signal that comes just before it sleeps does not.
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


def _lines_running(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
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
        kit = file.startswith(f"{ROOT}temporal_") or name in ("main", "watch_server", "<module>")
        if is_own(file) and not kit:
            return f"{file}, line {line}, in {name}"
    return ""


def is_own(file: str) -> bool:
    """Whether a file belongs to this repository, and not to a package installed in it."""
    return file.startswith(ROOT) and "site-packages" not in file
