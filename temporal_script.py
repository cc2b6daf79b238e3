"""How a script starts, logs and exits.

Results go to standard output and everything else to standard error. Exit codes: 0 done, 1 failed,
2 wrong usage, 130 and 143 stopped by Ctrl+C and SIGTERM.
"""

import argparse
import asyncio
import atexit
import gc
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import NoReturn, cast

from temporalio.service import RPCError

from temporal_findings import Failure, error, log, redact
from temporal_runtime import STOP_SIGNALS, end_runtime, finish, leave_within, watch_loop
from temporal_settings import Settings

Main = Callable[[argparse.Namespace], Awaitable[int]]
SDK_ERRORS = (RuntimeError, ValueError, asyncio.TimeoutError, RPCError)
LEAVE_SECONDS = 3.5  # for anything that still runs after `main` has returned


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the docstring as its description, and the options that all scripts share.

    Defaults that a script may set: `stop_seconds`, the time to finish after a signal; `stop_code`,
    the exit code then; `stop_once`, to ignore further signals.
    """
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=doc, formatter_class=form)
    about = "log at debug level, with tracebacks"
    parser.add_argument("--verbose", action="store_true", help=about)
    parser.set_defaults(stop_seconds=0, stop_code=None, stop_once=False)
    return parser


def run(main: Main, parser: argparse.ArgumentParser) -> NoReturn:
    """Run a script's `main` and exit with the code that it returns.

    `main` takes the arguments of `parser`; it is cancelled by Ctrl+C and SIGTERM.
    """
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # keep the number of a closed standard stream from the next socket
    os.close(spare)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")
    args = parser.parse_args()
    handler = _Handler()
    handler.setFormatter(_Formatter("%(levelname)s - %(message)s"))
    logging.basicConfig(handlers=[handler], level="DEBUG" if args.verbose else "INFO")
    if not args.verbose:
        logging.getLogger("temporalio").setLevel("WARNING")
        for own in ("workflow", "activity"):  # what your own code logs
            logging.getLogger(f"temporalio.{own}").setLevel("INFO")
    gc.freeze()  # what has been imported stays: collecting need not look at it
    code = asyncio.run(_run(main, args))
    if not end_runtime():  # a client is still referenced, and keeps threads of the SDK
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        os._exit(_flush(code))
    sys.exit(_flush(code))


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        causes = list(_causes(record.exc_info[1])) if record.exc_info else []
        if len(causes) > 1:  # people read the last line of a traceback
            text += "\n" + "; because of ".join(causes)
        if record.exc_info:  # what a traceback quotes must not pass for a line of ours
            text = text.replace("\n", "\n  ")
        lines = text.split("\n")
        lines[100:-100] = ["[cut]"] if len(lines) > 200 else lines[100:-100]
        return "\n".join(redact(line, 1000) for line in lines)


class _Handler(logging.Handler):
    """Drops what a full pipe has no room for: its reader must not hold the event loop up."""

    dropped = 0
    encoding = getattr(sys.stderr, "encoding", "utf-8")  # ASCII has no ✓

    def emit(self, record: logging.LogRecord) -> None:
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


async def _run(main: Main, args: argparse.Namespace) -> int:
    loop = asyncio.get_running_loop()
    task = cast("asyncio.Task[int]", asyncio.current_task())
    stopped: list[int] = []  # the exit code, once it is known
    threading.Thread(target=watch_loop, args=(loop,), daemon=True).start()

    def on_signal(number: int, _: FrameType | None) -> None:
        if stopped and not args.stop_once:
            finish(128 + number, loop)
        if not stopped:
            stopped.append(128 + number if args.stop_code is None else args.stop_code)
            leave_within(args.stop_seconds + LEAVE_SECONDS, stopped[0], loop)
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
        if not isinstance(problem, OSError) or not _flush(0):  # _flush reports a lost result itself
            text = str(problem) if isinstance(problem, Failure) else "\n".join(_causes(problem))
            log.error("%s", text, exc_info=args.verbose)
    stopped.append(_flush(code))
    leave_within(LEAVE_SECONDS, stopped[-1], loop)
    return stopped[-1]


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
    """What an error of the SDK means; just its words if `temporal_doctor` has been deleted."""
    try:
        from temporal_doctor import diagnose
    except ImportError:
        return Failure(error("; because of ".join(_causes(problem))))
    return Failure(*await diagnose(problem, settings))


def _flush(code: int) -> int:
    """The exit code, or 1 if standard output cannot be written."""
    try:
        print(end="", flush=True)
    except OSError as problem:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # say so once
        log.error("cannot write to standard output: %s", problem.strerror)
        return 1
    return code
