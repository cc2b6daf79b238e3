"""How a script is told to stop: a signal cancels `main`, and a second one ends the process."""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

from .ending import STOP_SIGNALS, end_within, process, within
from .findings import log

SAME_WISH_SECONDS = 1.0  # in which a second signal says what the first one has said
EXIT_SECONDS = 3.5  # for what still runs after `main` has been told to end, or has ended
LOG_SECONDS = 0.3  # for a line in the log, whose lock somebody may hold


@dataclass
class _Stop:
    """What is known of how this process was told to stop."""

    grace_seconds: float = 0.0  # between a signal and the end of `main`
    asked_at: float = 0.0  # when the first signal came
    protected_blocks: int = 0  # how many blocks are running that a second signal must not cut short


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
        if process.signal_code is None:
            _stop.asked_at, process.signal_code = time.monotonic(), 128 + number
            if process.main_code is None:  # else the process is about to exit anyway
                end_within(_stop.grace_seconds + EXIT_SECONDS)
                again = "" if _stop.protected_blocks else " (Ctrl+C again to end at once)"
                within(LOG_SECONDS, partial(log.info, "Stopping...%s", again))
                loop.call_soon_threadsafe(task.cancel)
        elif time.monotonic() < _stop.asked_at + SAME_WISH_SECONDS:
            return  # launchers relay what the terminal has sent already
        elif not _stop.protected_blocks:
            within(LOG_SECONDS, partial(log.warning, "Asked twice to stop: ending at once"))
            end_within(0)

    listen_for_signals(on_signal)


def raise_at_ctrl_c() -> None:
    """Until signals are listened for, have Ctrl+C raise `KeyboardInterrupt`, as Python does.

    `asyncio.run` would have it cancel `main` instead, and nobody could tell why.
    """

    def handler(number: int, frame: FrameType | None) -> None:
        signal.default_int_handler(number, frame)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, handler)


def exit_code_when_cancelled() -> int:
    """The exit code of a script whose `main` was cancelled: 128 and the signal's number, or 1."""
    if process.signal_code is None:
        log.error("The script was cancelled, and not by a signal")
    return process.code


def start_exit_deadline(code: int) -> None:
    """`main` has ended: the process exits with this code, in 3.5 s at the latest."""
    process.main_code = code
    end_within(EXIT_SECONDS)


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
