"""How a script is told to stop, and how it ends in time whatever still runs in it.

A signal cancels `main`. What has not ended by itself when the time for that is up is named in the
log, and the process exits all the same. A second signal ends it at once.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from .findings import log
from .logs import flush_log
from .watching import lines_running

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
LEAVE_SECONDS = 3.5  # for anything that still runs after `main` has been told to end, or has ended


@dataclass
class _Stop:
    """What is known of the end of this process."""

    grace_seconds: float = 0.0  # between a signal and the end of `main`
    exit_codes: list[int] = field(
        default_factory=list
    )  # of a signal, and of `main`; the last counts
    blocks_not_cut_short: int = 0  # how many of them are being executed
    by_force: threading.Lock = field(default_factory=threading.Lock)  # held once it has begun


_stop = _Stop()


def allow_time_to_stop(seconds: float) -> None:
    """Give what runs at least so many seconds to finish after a signal."""
    _stop.grace_seconds = max(_stop.grace_seconds, seconds)


@contextmanager
def not_cut_short(seconds: float) -> Iterator[None]:
    """A block that a second signal must not cut short: it would leave a process behind.

    After the first signal it gets at least so many seconds to end.
    """
    allow_time_to_stop(seconds)
    _stop.blocks_not_cut_short += 1
    try:
        yield
    finally:
        _stop.blocks_not_cut_short -= 1


def cancel_on_signals(task: "asyncio.Task[Any]") -> None:
    """Have a signal cancel this task of the running loop, and a second one end the process."""
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if not _stop.exit_codes:
            _stop.exit_codes.append(128 + number)
            end_within(_stop.grace_seconds + LEAVE_SECONDS, loop)
            loop.call_soon_threadsafe(task.cancel)
            again = "" if _stop.blocks_not_cut_short else " (Ctrl+C again to end at once)"
            log.info("Stopping...%s", again)
        elif not _stop.blocks_not_cut_short:
            end_by_force(loop)

    listen_for_signals(on_signal)


def exit_code_when_cancelled() -> int:
    """The exit code of a script whose `main` was cancelled: 128 and the signal's number, or 1."""
    return _stop.exit_codes[0] if _stop.exit_codes else 1


def main_has_ended(code: int, loop: asyncio.AbstractEventLoop) -> None:
    """From now on the process exits with this code, at the latest in 3.5 s."""
    if not _stop.by_force.locked():
        _stop.exit_codes.append(code)
        end_within(LEAVE_SECONDS, loop)


def leave_a_forced_end_alone() -> None:
    """If the process is being ended by force, wait for that: there is one end, with one code."""
    if _stop.by_force.locked():
        threading.Event().wait()


def listen_for_signals(on_signal: Callable[[int], None]) -> None:
    """Call `on_signal` for each stop signal that comes, in a thread of its own.

    Python runs the handler of a signal in the main thread, between two of its instructions: not
    while that thread waits in C code, such as a database driver's. But the interpreter writes the
    number of each signal to a descriptor at once, and a thread can read that.
    """
    ours, interpreters = socket.socketpair()
    interpreters.setblocking(False)
    descriptor = interpreters.fileno()

    def read() -> None:
        while number := ours.recv(1):
            if number[0] in STOP_SIGNALS:
                on_signal(number[0])

    def handler(number: int, _: FrameType | None) -> None:
        """Pass the signal on where other code has put a descriptor of its own in place of ours."""
        current = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(current, warn_on_full_buffer=False)
        if current != descriptor:
            interpreters.send(bytes([number]))

    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    for number in STOP_SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # as by nohup
            signal.signal(number, handler)
    threading.Thread(target=read, daemon=True, name="signals").start()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _leave_signals_to_the_parent(descriptor))


def _leave_signals_to_the_parent(descriptor: int) -> None:
    """Have a process that this one has forked, as a process pool does, not heed Ctrl+C."""
    if signal.set_wakeup_fd(-1) != descriptor:
        return  # such a process has forked again
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)


def ignore_signals() -> None:
    """Keep the exit code, should a signal come while the interpreter shuts down."""
    with suppress(ValueError):  # `end_by_force` may run this in another thread, and ends at once
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def end_within(seconds: float, loop: asyncio.AbstractEventLoop) -> None:
    """Exit within so many seconds, whatever still runs in this process."""
    timer = threading.Timer(seconds, end_by_force, [loop])
    timer.daemon = True
    timer.start()
    # The last resort needs no interpreter lock, and names the line that holds it.
    with suppress(ValueError, OSError, AttributeError, RuntimeError):  # no standard error to tell
        faulthandler.dump_traceback_later(seconds + 1, exit=True)


def end_by_force(loop: asyncio.AbstractEventLoop) -> None:
    """Exit now: log what is left running, kill child processes, run the exit handlers."""
    if not _stop.by_force.acquire(blocking=False):
        return  # another timer or signal has begun to
    for line in dict.fromkeys(filter(None, lines_running(loop))):
        log.warning("Left running: %s", line)
    logging.disable(logging.CRITICAL)  # what fails from here on fails because we end it
    if multiprocessing := sys.modules.get("multiprocessing"):
        for child in multiprocessing.active_children():
            child.kill()
    atexit._run_exitfuncs()
    flush_log()
    os._exit(_stop.exit_codes[-1])  # flushing standard output could block
