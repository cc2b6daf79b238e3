"""How a script starts, logs and exits.

Results go to standard output and everything else to standard error. Exit codes: 0 done, 1 failed,
2 wrong usage, 130 and 143 stopped by Ctrl+C and SIGTERM.
"""

import argparse
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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from temporalio.service import RPCError

from temporal_findings import Failure, error, redact
from temporal_runtime import end_runtime
from temporal_settings import Settings

ROOT = str(Path(__file__).parent)
log = logging.getLogger("kit")
Main = Callable[[argparse.Namespace], Awaitable[int]]
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
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(levelname)s - %(message)s"))
    logging.basicConfig(handlers=[handler], level="DEBUG" if args.verbose else "INFO")
    if not args.verbose:
        logging.getLogger("temporalio").setLevel("WARNING")
        for own in ("workflow", "activity"):  # what your own code logs
            logging.getLogger(f"temporalio.{own}").setLevel("INFO")
    code = asyncio.run(_run(main, args))
    if not end_runtime():  # a client is still referenced, and keeps threads of the SDK
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        os._exit(_flush(code))
    sys.exit(_flush(code))


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(redact, super().format(record).split("\n")))


async def _run(main: Main, args: argparse.Namespace) -> int:
    running = [asyncio.ensure_future(main(args))]
    loop = asyncio.get_running_loop()
    stopped: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        if not running or (stopped and not args.stop_once):
            _end_children()
            os._exit(128 + number)
        if not stopped:
            stopped.append(128 + number if args.stop_code is None else args.stop_code)
            _leave_within(args.stop_seconds + LEAVE_SECONDS, stopped[0], loop)
            loop.call_soon_threadsafe(running[0].cancel)
            log.info("Stopping...%s", "" if args.stop_once else " (Ctrl+C again to end at once)")

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    try:
        while not running[0].done():  # a signal just before the loop sleeps would not wake it
            await asyncio.wait(running, timeout=0.2)
        code = running[0].result()
    except asyncio.CancelledError:
        code = stopped[0] if stopped else 1
    except Exception as problem:
        code = 1
        if not isinstance(problem, OSError) or not _flush(0):  # _flush reports a lost result itself
            text = str(problem) if isinstance(problem, Failure) else "\n".join(_causes(problem))
            log.error("%s", text, exc_info=args.verbose)
    running.clear()  # the traceback of its exception would keep the client alive
    _leave_within(LEAVE_SECONDS, code, loop)
    return code


def _causes(problem: BaseException | None) -> Iterator[str]:
    """An error and its causes, one per line: of the SDK's, the last are the informative ones."""
    while problem:
        late = "no answer in time" if isinstance(problem, asyncio.TimeoutError) else ""
        text = str(problem).partition("\n")[0] or late
        yield f"{type(problem).__name__}: {text}"
        problem = problem.__cause__


@asynccontextmanager
async def explained(settings: Settings) -> AsyncIterator[None]:
    """Turn what the SDK raises in this block into a `Failure`, with the doctor's diagnosis."""
    try:
        yield
    except (RuntimeError, ValueError, asyncio.TimeoutError, RPCError) as problem:
        try:
            from temporal_doctor import diagnose
        except ImportError:  # it may have been deleted
            raise Failure(error("; because of ".join(_causes(problem)))) from problem
        raise Failure(*await diagnose(problem, settings)) from problem


def _leave_within(seconds: float, code: int, loop: asyncio.AbstractEventLoop) -> None:
    """Make sure that the process exits within `seconds`, whatever still runs in it."""
    timer = threading.Timer(seconds, _finish, (code, loop))
    timer.daemon = True
    timer.start()
    # The last resort works without the GIL, and names the line that holds it.
    with suppress(ValueError, OSError, AttributeError):  # there is no standard error
        faulthandler.dump_traceback_later(seconds + 1, exit=True)


def _finish(code: int, loop: asyncio.AbstractEventLoop) -> NoReturn:
    """Exit now: log what is still running, kill child processes, run the exit handlers."""
    for line in _lines_running(loop):
        log.warning("Left running: %s", line)
    _end_children()
    atexit._run_exitfuncs()
    os._exit(_flush(code))


def _end_children() -> None:
    for child in getattr(sys.modules.get("multiprocessing"), "active_children", list)():
        child.kill()


def guard(seconds: float) -> None:
    """Fork a watchdog that kills this process so long after a signal, or soon after a second one.

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
        atexit.register(os.close, writer)
        return
    os.close(writer)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    told, waits = 0, (None, seconds, 0.5)
    while select.select([reader], [], [], waits[told])[0]:
        if not (read := os.read(reader, 1)):
            os._exit(0)  # the process has exited on its own
        told = min(2, told + (read[0] in (signal.SIGINT, signal.SIGTERM)))
    os.kill(parent, signal.SIGUSR2)
    time.sleep(0.2)
    os.kill(parent, signal.SIGKILL)
    os._exit(0)


def _lines_running(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """For each other thread and each task, the line of your code that it executes."""
    threads = sys._current_frames()
    del threads[threading.get_ident()]
    stacks = [[frame for frame, _ in traceback.walk_stack(one)] for one in threads.values()]
    for task in asyncio.all_tasks(loop):
        stack: list[FrameType] = []
        waits: Any = task.get_coro()
        while frame := getattr(waits, "cr_frame", None):
            stack.insert(0, frame)
            waits = waits.cr_await
        stacks.append(stack)
    for stack in stacks:
        own = [one for one in stack if one.f_code.co_filename.startswith(ROOT)]
        own = [one for one in own if "site-packages" not in one.f_code.co_filename]
        code = own[0].f_code if own else None
        if code and code.co_name not in ("main", "_run", "run"):
            yield f"{code.co_filename}, line {own[0].f_lineno}, in {code.co_name}"


def _flush(code: int) -> int:
    """The exit code, or 1 if standard output cannot be written."""
    try:
        print(end="", flush=True)
    except OSError as problem:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # say so once
        log.error("cannot write to standard output: %s", problem.strerror)
        return 1
    return code
