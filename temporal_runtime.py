"""How a process runs and ends: the SDK's runtime, and a watchdog.

After a signal a script has `seconds` to finish; then a timer ends it. Where code holds the GIL no
timer runs, and `faulthandler` ends it a second later. If not even the signal's handler could run,
`guard` ends the worker.
"""

import asyncio
import atexit
import faulthandler
import gc
import logging
import os
import re
import select
import signal
import socket
import sys
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from temporalio import runtime
from temporalio.envconfig import ClientConfigProfile

from temporal_findings import SettingsError, error, log

ROOT = str(Path(__file__).parent) + os.sep
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
HELD_UP_SECONDS = 3
WARNING = (logging.WARNING, "WARNING")
REFUSED_POLLS = "temporalio_sdk_core::pollers::poll_buffer"  # which it logs at debug level
REPORTED = re.compile(  # elsewhere: by the worker, the SDK's Python part and `connect`
    "code: (Unavailable|Cancelled)|Failing workflow task(?!.*Nondetermin)|Disabling DNS load", re.S
)
_told: deque[tuple[str, int]] = deque(maxlen=1000)  # messages of the SDK, and the hour
_runtimes: weakref.WeakSet[runtime.Runtime] = weakref.WeakSet()


def _is_news(record: logging.LogRecord) -> bool:
    """Whether to log a message of the SDK, which repeats it with every retry: once an hour."""
    news = re.sub(r"\d+", "", record.getMessage()[:200]), int(time.monotonic() // 3600)
    if news in _told or REPORTED.search(record.getMessage()):
        return False
    _told.append(news)
    record.levelno, record.levelname = max((record.levelno, record.levelname), WARNING)
    return True


@cache
def sdk_runtime(metrics_address: str = "") -> runtime.Runtime:
    """The SDK's runtime, which logs through Python's logging: by default it would write between a
    script's results, to standard output. Raises `SettingsError` for a bad metrics address.
    """
    if metrics_address:
        host, _, port = metrics_address.rpartition(":")
        try:  # the SDK does not report that a port is in use
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            socket.create_server((host.strip("[]"), int(port)), family=family).close()
        except (OSError, ValueError, OverflowError) as problem:
            text = f"TEMPORAL_METRICS_ADDRESS={metrics_address}: {problem}"
            fix = "TEMPORAL_METRICS_ADDRESS=127.0.0.1:<a free port>"
            raise SettingsError(error(text, fix)) from problem
    core = logging.getLogger("temporalio.core")
    level = runtime.TelemetryFilter(core_level="DEBUG", other_level="ERROR").formatted()
    if not logging.getLogger("temporalio").isEnabledFor(logging.DEBUG):
        level = f"WARN,{REFUSED_POLLS}=DEBUG"
        core.setLevel(logging.DEBUG)
        core.addFilter(_is_news)
    made = runtime.Runtime(
        telemetry=runtime.TelemetryConfig(
            logging=runtime.LoggingConfig(level, forwarding=runtime.LogForwardingConfig(core)),
            metrics=runtime.PrometheusConfig(metrics_address) if metrics_address else None,
        ),
        # The check finds workers on other task queues by these; the SDK's default is a minute.
        worker_heartbeat_interval=timedelta(seconds=10),
    )
    _runtimes.add(made)
    return made


@atexit.register
def end_runtime() -> bool:
    """Wait 0.5 s at most for the SDK's threads to end with the last client; whether they have.

    Threads of the SDK that are alive when the interpreter shuts down crash it now and then, after
    all work is done (temporalio/sdk-python issue 300).
    """
    sdk_runtime.cache_clear()
    end = time.monotonic() + 0.5
    while _runtimes and time.monotonic() < end:
        # Any call to the SDK releases objects that its threads have left behind.
        ClientConfigProfile.load(override_env_vars={}, disable_file=True)
        gc.collect()
        time.sleep(0.001)
    return not _runtimes


def leave_within(seconds: float, code: int, loop: asyncio.AbstractEventLoop) -> None:
    """Make sure that the process exits within `seconds`, whatever still runs in it."""
    timer = threading.Timer(seconds, finish, (code, loop))
    timer.daemon = True
    timer.start()
    # The last resort works without the GIL, and names the line that holds it.
    with suppress(ValueError, OSError, AttributeError):  # there is no standard error
        faulthandler.dump_traceback_later(seconds + 1, exit=True)


def finish(code: int, loop: asyncio.AbstractEventLoop) -> NoReturn:
    """Exit now: log what is still running, kill child processes, run the exit handlers."""
    for line in dict.fromkeys(_lines_running(loop)):
        log.warning("Left running: %s", line)
    # Those that `multiprocessing` has started, as a process pool does.
    for child in getattr(sys.modules.get("multiprocessing"), "active_children", list)():
        child.kill()
    atexit._run_exitfuncs()
    os._exit(code)  # flushing could block


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
