"""How a script is told to stop, and how it ends in time whatever still runs in it.

A signal cancels `main`. Whatever is still running at the deadline is named in the log, and the
process exits all the same. A second signal ends it immediately.
"""

import asyncio
import atexit
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any

from .findings import log
from .logs import flush_log
from .watching import lines_running

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
SAME_WISH_SECONDS = 1.0  # in which a second signal says what the first one has said
EXIT_SECONDS = 3.5  # for what still runs after `main` has been told to end, or has ended
FORCED_EXIT_SECONDS = 1.4  # for exit handlers and the log, once the process is ended by force


@dataclass
class _Stop:
    """What is known of the end of this process."""

    grace_seconds: float = 0.0  # between a signal and the end of `main`
    asked_at: float = 0.0  # when the first signal came
    signal_code: int | None = None  # the exit code of the first signal
    main_code: int | None = None  # the exit code of `main`, once it has ended; it wins
    protected_blocks: int = 0  # how many blocks are running that a second signal must not cut short
    by_force: threading.Lock = field(default_factory=threading.Lock)  # held once that has begun

    @property
    def exit_code(self) -> int:
        """The exit code of the process, as far as it is known."""
        codes = [code for code in (self.main_code, self.signal_code) if code is not None]
        return codes[0] if codes else 1


_stop = _Stop()


def allow_time_to_stop(seconds: float) -> None:
    """Give running work at least this many seconds to finish after a signal."""
    _stop.grace_seconds = max(_stop.grace_seconds, seconds)


@contextmanager
def protected_from_a_second_signal(seconds: float) -> Iterator[None]:
    """A block that a second signal must not cut short, because it would leave a process behind.

    After the first signal it gets at least this many seconds to end.
    """
    allow_time_to_stop(seconds)
    _stop.protected_blocks += 1
    try:
        yield
    finally:
        _stop.protected_blocks -= 1


def cancel_on_signals(task: "asyncio.Task[Any]") -> None:
    """Cancel this task of the running loop at a signal, and end the process at a second one."""
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if _stop.signal_code is None:
            _stop.asked_at, _stop.signal_code = time.monotonic(), 128 + number
            if _stop.main_code is None:  # else the process is about to exit anyway
                again = "" if _stop.protected_blocks else " (Ctrl+C again to end at once)"
                log.info("Stopping...%s", again)
                loop.call_soon_threadsafe(task.cancel)
                end_within(_stop.grace_seconds + EXIT_SECONDS, loop)
        elif time.monotonic() < _stop.asked_at + SAME_WISH_SECONDS:
            return  # launchers relay what the terminal has sent already
        elif not _stop.protected_blocks:
            log.warning("Asked twice to stop: ending at once")
            end_by_force(loop)

    listen_for_signals(on_signal)


def exit_code_when_cancelled() -> int:
    """The exit code of a script whose `main` was cancelled: 128 and the signal's number, or 1."""
    if _stop.signal_code is None:
        log.error("The script was cancelled, and not by a signal")
    return _stop.exit_code


def start_exit_deadline(code: int, loop: asyncio.AbstractEventLoop) -> None:
    """`main` has ended: the process exits with this code, in 3.5 s at the latest."""
    if not _stop.by_force.locked():
        _stop.main_code = code
        end_within(EXIT_SECONDS, loop)


def block_if_being_ended() -> None:
    """Never return if another thread is ending the process by force: there is one end."""
    if _stop.by_force.locked():
        threading.Event().wait()


def listen_for_signals(on_signal: Callable[[int], None]) -> None:
    """Call `on_signal` for each stop signal, in a thread of its own.

    Python runs the handler of a signal in the main thread, between two of its instructions: not
    while that thread waits in C code, such as a database driver's. But the interpreter writes the
    number of each signal to a descriptor at once, and a thread can read that.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    descriptor = sender.fileno()

    def read() -> None:
        while number := receiver.recv(1):
            if number[0] in STOP_SIGNALS:
                on_signal(number[0])

    def handler(number: int, _: FrameType | None) -> None:
        if _current_wakeup_fd() != descriptor:  # asyncio or a library has put its own in place
            sender.send(bytes([number]))

    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    for number in STOP_SIGNALS:
        ignored_by_parent = signal.getsignal(number) == signal.SIG_IGN  # as nohup does with SIGHUP
        if number == signal.SIGINT or not ignored_by_parent:
            signal.signal(number, handler)
    threading.Thread(target=read, daemon=True, name="signals").start()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            after_in_child=partial(_leave_signals_to_the_parent, handler, descriptor)
        )


def _leave_signals_to_the_parent(handler: Any, descriptor: int) -> None:
    """In a forked child, as of a process pool: ignore Ctrl+C, and end at the other signals."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is handler:
            as_before = signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, as_before)
    if _current_wakeup_fd() == descriptor:
        signal.set_wakeup_fd(-1)


def _current_wakeup_fd() -> int:
    """The descriptor that signals are written to; Python tells it only when another is set."""
    current = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(current, warn_on_full_buffer=False)
    return current


def ignore_signals() -> None:
    """Keep the exit code, should a signal come while the interpreter shuts down."""
    with suppress(ValueError):  # `end_by_force` runs this in another thread, and ends at once
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def end_within(seconds: float, loop: asyncio.AbstractEventLoop) -> None:
    """Exit within this many seconds, whatever still runs in this process."""
    _exit_without_the_interpreter_within(seconds + 1)
    timer = threading.Timer(seconds, end_by_force, [loop])
    timer.daemon = True
    timer.start()


def _exit_without_the_interpreter_within(seconds: float) -> None:
    """The last resort: it needs no interpreter lock, and names the line that holds it."""
    with suppress(ValueError, OSError, AttributeError, RuntimeError):  # no usable standard error
        faulthandler.dump_traceback_later(seconds, exit=True)


def end_by_force(loop: asyncio.AbstractEventLoop) -> None:
    """Exit now: log what is still running, kill child processes, run the exit handlers."""
    first = _stop.by_force.acquire(blocking=False)
    if not first:
        return  # another thread is doing this already
    try:
        _exit_without_the_interpreter_within(FORCED_EXIT_SECONDS)
        lines = dict.fromkeys(filter(None, lines_running(loop)))
        for line in lines or ("nothing that is a line of your code",):
            log.warning("Left running: %s", line)
        logging.disable(logging.CRITICAL)  # what fails from here on fails because we end it
        if multiprocessing := sys.modules.get("multiprocessing"):
            for child in multiprocessing.active_children():
                child.kill()
        atexit._run_exitfuncs()
        flush_log()
    finally:
        os._exit(_stop.exit_code)  # flushing standard output could block
