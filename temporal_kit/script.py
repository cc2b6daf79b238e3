"""How a script starts, logs, fails and exits.

Results go to standard output and everything else to standard error. Exit codes: 0 done, 1 failed, 2
wrong usage, 130 Ctrl+C, 143 SIGTERM, 129 SIGHUP; what ends in order at a signal, as a worker does,
exits with 0.
"""

import argparse
import asyncio
import atexit
import gc
import inspect
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NoReturn, cast

from .ending import begin_exit_hooks, block_if_forced, process, watch_deadline
from .findings import Failure, log
from .known_errors import log_error
from .known_secrets import remember_secrets
from .limits import check_limits
from .logs import flush_log, set_up_logging
from .runtime import end_runtimes
from .stopping import (
    cancel_on_signals,
    exit_code_when_cancelled,
    raise_at_ctrl_c,
    start_exit_deadline,
)
from .streams import ensure_standard_streams
from .uncaught import log_uncaught
from .usage import parse_arguments
from .watching import watch_loop

Main = Callable[..., Awaitable[int | None]]


def run_script(
    main: Main,
    doc_or_parser: str | argparse.ArgumentParser | None,
    *,
    formatter: logging.Formatter | None = None,
) -> NoReturn:
    """Run a script's `main`, and exit with the code that it returns: None is 0.

    With a docstring, which `--help` shows, `main` is called without arguments; with an
    `argparse.ArgumentParser`, with the parsed arguments. Either way the script has `--verbose`. The
    log goes to standard error, formatted by `formatter`, secrets hidden.

    Ctrl+C, SIGTERM and SIGHUP cancel `main`. A `Failure` is printed and ends with 1; any other
    exception is a bug, and is logged with its traceback.
    """
    ensure_standard_streams()
    log_uncaught()
    remember_secrets()
    args = parse_arguments(doc_or_parser)
    verbose = getattr(args, "verbose", False)  # the script may have one of its own
    set_up_logging(verbose, formatter)
    # What has been imported need not be searched for garbage at the end: a ping takes 0.21 s of CPU
    # time with this, and 0.25 s without.
    gc.freeze()
    try:
        check_limits()
    except Failure as problem:
        log_error(problem)
        sys.exit(1)
    takes_arguments = isinstance(doc_or_parser, argparse.ArgumentParser)
    begin = partial(main, args) if takes_arguments else main
    raise_at_ctrl_c()
    try:
        code = asyncio.run(_run_to_the_end(begin, verbose))
    except SystemExit as left:  # of a task or a callback of the owner's
        code = _code_of(left.code)
    except RuntimeError:  # no further thread can be started, by which asyncio ends its executor
        if process.main_code is None:
            raise
        code = process.main_code
    finally:
        block_if_forced()
        atexit.register(begin_exit_hooks)  # the last one to be registered is the first to run
    if not end_runtimes():  # a client is still referenced, and keeps threads of the SDK
        _exit_without_finalizing(code)
    sys.exit(code)


async def _run_to_the_end(main: Callable[[], Awaitable[int | None]], verbose: bool) -> int:
    """Await `main` and return the exit code; from then on the process has 3.5 s to exit."""
    loop = asyncio.get_running_loop()
    watch_deadline(loop)
    threading.Thread(target=watch_loop, args=(loop,), daemon=True, name="watch loop").start()
    cancel_on_signals(cast("asyncio.Task[None]", asyncio.current_task()))
    code = await _exit_code_of(main, verbose)
    if not _flush():
        code = 1
    start_exit_deadline(code)
    return code


async def _exit_code_of(main: Callable[[], Awaitable[int | None]], verbose: bool) -> int:
    """Await `main`; log the error that has ended it, if one has, and return the exit code."""
    try:
        awaited = main()
        if not inspect.isawaitable(awaited):
            log.error("✗ main is not a coroutine\n  → write `async def main`")
            return 1
        return _code_of(await awaited)
    except asyncio.CancelledError:
        return exit_code_when_cancelled()
    except SystemExit as left:
        return _code_of(left.code)
    except OSError as problem:
        if _flush():  # otherwise it is standard output that is broken, which has been logged
            log_error(problem, verbose)
        return 1
    except KeyboardInterrupt:  # raised by the owner's code
        return 130
    except BaseException as problem:  # a panic of the SDK is no `Exception`
        log_error(problem, verbose)
        return 1


def _code_of(said: object) -> int:
    """The exit code for what `main` returned or `sys.exit` got: a text is logged, and gives 1."""
    if said is None or isinstance(said, int):
        return int(said or 0)
    log.error("%s", said)
    return 1


def _flush() -> bool:
    """Flush standard output; returns whether that worked. The first failure is logged."""
    try:
        print(end="", flush=True)
    except (OSError, ValueError) as problem:  # ValueError: the script has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        log.error("cannot write to standard output: %s", getattr(problem, "strerror", problem))
        return False
    return True


def _exit_without_finalizing(code: int) -> NoReturn:
    """Exit as the interpreter would, but for its last step: that crashes while SDK threads run.

    What comes before that is done here in the same order: wait for other threads, run the exit
    handlers, flush.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    code = code if _flush() else 1
    flush_log()
    os._exit(code)
