"""How a script's process ends in time, whatever still runs in it: there is one end.

Exit hooks run once, and the exit code is known before they do. Either the main thread ends the
process, as any program, or, once the deadline has passed, the thread that waits for that does.
"""

import asyncio
import atexit
import faulthandler
import logging
import math
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from .children import other_children, pool_processes
from .findings import log
from .logs import flush_log
from .watching import lines_running

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
FORCED_EXIT_SECONDS = 1.2  # for exit hooks and the log, once the process is ended by force
LAST_RESORT_SECONDS = 1.5  # then it is ended though a line of code holds the interpreter's lock
HOOKS_SECONDS = 0.8  # for exit hooks that the main thread is running already
STEP_SECONDS = 0.3  # for what may wait for a lock, such as the log's


@dataclass
class _End:
    """What is known of the end of this process."""

    signal_code: int | None = None  # the exit code of the first signal
    main_code: int | None = None  # the exit code of `main`, once it has ended; it wins
    forced: threading.Event = field(default_factory=threading.Event)  # it is ended by force
    exit_hooks: threading.Lock = field(default_factory=threading.Lock)  # held once they run
    hooks_ended: threading.Event = field(default_factory=threading.Event)
    deadlines: "queue.SimpleQueue[float]" = field(default_factory=queue.SimpleQueue)

    @property
    def code(self) -> int:
        """The exit code of the process, as far as it is known."""
        codes = [code for code in (self.main_code, self.signal_code) if code is not None]
        return codes[0] if codes else 1


process = _End()
# One of the first to be registered, and so one of the last to run.
atexit.register(process.hooks_ended.set)


def watch_deadline(loop: asyncio.AbstractEventLoop) -> None:
    """Have a thread ready that ends the process at its deadline: later none might start."""
    forced = threading.Thread(target=_end_in_order, args=(loop,), daemon=True, name="end")
    forced.start()
    threading.Thread(target=_wait_and_end, args=(forced,), daemon=True, name="deadline").start()


def end_within(seconds: float) -> None:
    """Exit within this many seconds, whatever still runs; the earliest of several deadlines counts.

    Takes no lock, and starts no thread of Python's.
    """
    _exit_without_the_interpreter_within(seconds + 1)
    process.deadlines.put(time.monotonic() + seconds)


def _exit_without_the_interpreter_within(seconds: float) -> None:
    """The last resort: it needs no interpreter lock, and names the line that holds it."""
    with suppress(ValueError, OSError, AttributeError, RuntimeError):  # no usable standard error
        faulthandler.dump_traceback_later(seconds, exit=True)


def _wait_and_end(forced: threading.Thread) -> None:
    """Wait until a deadline has passed; then the other thread gets some time, and that is it."""
    deadline = math.inf
    while (left := deadline - time.monotonic()) > 0:
        with suppress(queue.Empty):
            new = process.deadlines.get(timeout=min(left, threading.TIMEOUT_MAX))
            deadline = min(deadline, new)
    _exit_without_the_interpreter_within(LAST_RESORT_SECONDS)
    code = process.code
    process.forced.set()
    forced.join(FORCED_EXIT_SECONDS)
    os._exit(code)  # flushing standard output could block


def _end_in_order(loop: asyncio.AbstractEventLoop) -> None:
    """Once the process is ended by force: log what still runs, kill processes, run exit hooks."""
    process.forced.wait()
    within(STEP_SECONDS, partial(_log_what_runs, loop))
    within(STEP_SECONDS, _kill_pools)
    if process.exit_hooks.acquire(blocking=False):  # else the main thread runs them
        atexit.unregister(logging.shutdown)  # which waits for the lock of every handler
        atexit._run_exitfuncs()
        within(STEP_SECONDS, logging.shutdown)
    else:  # what it waited for, such as a process of a pool, has been killed
        process.hooks_ended.wait(HOOKS_SECONDS)
        within(STEP_SECONDS, logging.shutdown)
    flush_log()


def _log_what_runs(loop: asyncio.AbstractEventLoop) -> None:
    """Name the lines and the processes that are left running; nothing else is logged after them."""
    lines = [*dict.fromkeys(filter(None, lines_running(loop))), *other_children()]
    lines += [
        f"process {child.pid} of multiprocessing, which is killed" for child in pool_processes()
    ]
    for line in lines or ("nothing that is a line of your code",):
        log.warning("Left running: %s", line)
    logging.disable(logging.CRITICAL)  # what fails from here on fails because we end it


def _kill_pools() -> None:
    """Kill what the package multiprocessing has started: it would outlive us, and wait forever."""
    for child in pool_processes():
        child.kill()


def within(seconds: float, function: Callable[[], object]) -> None:
    """Call a function, and wait for it no longer than this: somebody may hold the log's lock."""
    thread = threading.Thread(target=function, daemon=True, name="within")
    try:
        thread.start()
    except RuntimeError:  # no further thread can be started
        function()
    else:
        thread.join(seconds)


def block_if_forced() -> None:
    """Never return if the process is being ended by force: there is one end."""
    if process.forced.is_set():
        threading.Event().wait()


def begin_exit_hooks() -> None:
    """The first of the exit hooks: signals are ignored from now on, and the exit code is kept.

    In the main thread it never returns if the process is being ended by force: then another thread
    runs the hooks, and they run once.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if not process.exit_hooks.acquire(blocking=False):
        threading.Event().wait()
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
