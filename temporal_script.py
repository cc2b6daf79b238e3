"""How a script starts, logs and exits.

Results go to standard output and everything else to standard error. Exit codes: 0 done, 1 failed,
2 wrong usage, 130, 143 and 129 stopped by Ctrl+C, SIGTERM and SIGHUP.
"""

import argparse
import asyncio
import atexit
import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import NoReturn, cast

from temporalio.service import RPCError

from temporal_findings import Failure, error, log, redact
from temporal_runtime import end_runtime
from temporal_settings import Settings

try:
    from temporal_watchdog import watch as watchdog
except ImportError:  # it may have been deleted
    watchdog = None  # type: ignore[assignment]

Main = Callable[[argparse.Namespace], Awaitable[int]]
SDK_ERRORS = (RuntimeError, ValueError, asyncio.TimeoutError, RPCError)
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
LEAVE_SECONDS = 3.5  # for anything that still runs after `main` has returned
_finishing = threading.Lock()


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the docstring as its description, and the options that all scripts share.

    Defaults that a script may set: `stop_seconds`, the time to finish after a signal, and
    `stop_once`, to ignore further signals.
    """
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=doc, formatter_class=form)
    about = "log at debug level, with tracebacks"
    parser.add_argument("--verbose", action="store_true", help=about)
    parser.set_defaults(stop_seconds=0, stop_once=False)
    return parser


def run(main: Main, parser: argparse.ArgumentParser) -> NoReturn:
    """Run a script's `main` and exit with the code that it returns.

    `main` takes the arguments of `parser`; it is cancelled by Ctrl+C and SIGTERM.
    """
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # or the next socket would get the number of a closed standard stream
    os.close(spare)
    sys.stderr = sys.stderr or os.fdopen(2, "w")
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")
    args = parser.parse_args()
    logging.raiseExceptions = False  # or a faulty log call would be quoted, secrets and all
    handler = watchdog.Handler() if watchdog else logging.StreamHandler()
    handler.setFormatter(_Formatter("%(levelname)s - %(message)s"))
    logging.basicConfig(handlers=[handler], level="DEBUG" if args.verbose else "INFO")
    if not args.verbose:
        logging.getLogger("temporalio").setLevel("WARNING")
        for own in ("workflow", "activity"):  # what your own code logs
            logging.getLogger(f"temporalio.{own}").setLevel("INFO")
    gc.freeze()  # exempt what has been imported from garbage collection
    atexit.register(_ignore_signals)
    code = asyncio.run(_run(main, args))
    if not end_runtime():  # a client is still referenced, and keeps threads of the SDK
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        os._exit(code if _flush() else 1)
    sys.exit(code)


def give_time(args: argparse.Namespace, seconds: int) -> None:
    """Allow `seconds` to finish after a signal, and no more even to code that holds the GIL."""
    args.stop_seconds = seconds
    if watchdog:
        watchdog.guard(seconds + LEAVE_SECONDS + 1, STOP_SIGNALS)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        causes = list(_causes(record.exc_info[1])) if record.exc_info else []
        if len(causes) > 1:  # people read the last line of a traceback
            text += "\n" + "; because of ".join(causes)
        if record.exc_info:  # what a traceback quotes must not look like a log line
            text = text.replace("\n", "\n  ")
        lines = text.split("\n")
        if len(lines) > 200:
            lines[100:-100] = ["[cut]"]
        return "\n".join(redact(line, 1000) for line in lines)


async def _run(main: Main, args: argparse.Namespace) -> int:
    loop = asyncio.get_running_loop()
    task = cast("asyncio.Task[int]", asyncio.current_task())
    stopped: list[int] = []  # exit codes: after a signal, and of `main`
    if watchdog:
        threading.Thread(target=watchdog.watch_loop, args=(loop,), daemon=True).start()

    def on_signal(number: int, _: FrameType | None) -> None:
        if stopped and not args.stop_once:
            finish(stopped[-1], loop)
        if not stopped:
            stopped.append(128 + number)
            leave_within(args.stop_seconds + LEAVE_SECONDS, stopped, loop)
            loop.call_soon_threadsafe(task.cancel)
            log.info("Stopping...%s", "" if args.stop_once else " (Ctrl+C again to end at once)")

    for number in STOP_SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # as by nohup
            signal.signal(number, on_signal)
    try:
        code = await main(args)
    except asyncio.CancelledError:
        code = stopped[0] if stopped else 1
    except Exception as problem:
        code = 1
        if not isinstance(problem, OSError) or _flush():  # which logs a `print` that failed
            text = str(problem) if isinstance(problem, Failure) else "\n".join(_causes(problem))
            log.error("%s", text, exc_info=args.verbose)
    stopped.append(code if _flush() else 1)
    leave_within(LEAVE_SECONDS, stopped, loop)
    return stopped[-1]


def leave_within(seconds: float, codes: list[int], loop: asyncio.AbstractEventLoop) -> None:
    """Exit within `seconds` with the last of `codes`, whatever still runs in this process."""
    timer = threading.Timer(seconds, lambda: finish(codes[-1], loop))
    timer.daemon = True
    timer.start()
    # The last resort works without the GIL, and names the line that holds it.
    with suppress(ValueError, OSError, AttributeError):  # standard error has been replaced
        faulthandler.dump_traceback_later(seconds + 1, exit=True)


def finish(code: int, loop: asyncio.AbstractEventLoop) -> None:
    """Exit now: log what is still running, kill child processes, run the exit handlers."""
    if not _finishing.acquire(blocking=False):
        return  # another timer or signal has begun to
    for line in dict.fromkeys(watchdog.lines_running(loop) if watchdog else ()):
        log.warning("Left running: %s", line)
    if multiprocessing := sys.modules.get("multiprocessing"):
        for child in multiprocessing.active_children():
            child.kill()
    atexit._run_exitfuncs()
    os._exit(code)  # flushing could block


def _ignore_signals() -> None:
    """Keep the exit code, should a signal come while the interpreter shuts down."""
    with suppress(ValueError):  # `finish` may run this in another thread, and ends at once
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _causes(problem: BaseException | None) -> Iterator[str]:
    """An error and its causes, one per line: with the SDK, the last ones tell the most."""
    while problem:
        late = "no answer in time" if isinstance(problem, asyncio.TimeoutError) else ""
        text = str(problem).partition("\n")[0] or late
        yield f"{type(problem).__name__}: {text}"
        problem = problem.__cause__


@asynccontextmanager
async def explained(settings: Settings) -> AsyncIterator[None]:
    """Turn what the SDK raises in this block into a `Failure`, diagnosed by `temporal_doctor`."""
    try:
        yield
    except SDK_ERRORS as problem:
        raise await explain(problem, settings) from problem


async def explain(problem: Exception, settings: Settings) -> Failure:
    """What an error of the SDK means; only its own text if `temporal_doctor` has been deleted."""
    with suppress(Exception):  # nor must a fault of the doctor's end a worker
        from temporal_doctor import diagnose

        return Failure(*await diagnose(problem, settings))
    return Failure(error("; because of ".join(_causes(problem))))


def _flush() -> bool:
    """Flush standard output; returns whether that worked. The first failure is logged."""
    try:
        print(end="", flush=True)
    except OSError as problem:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        log.error("cannot write to standard output: %s", problem.strerror)
        return False
    return True
