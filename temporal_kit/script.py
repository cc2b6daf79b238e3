"""How a script starts, logs, fails and exits.

Results go to standard output and everything else to standard error. Exit codes: 0 done, 1 failed,
2 wrong usage, 130, 143 and 129 stopped by Ctrl+C, SIGTERM and SIGHUP.
"""

import argparse
import asyncio
import atexit
import gc
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NoReturn, cast

from .explaining import causes
from .findings import Failure, log
from .known_errors import explain_known
from .logs import flush_log, set_up_logging
from .runtime import end_runtimes
from .stopping import (
    cancel_on_signals,
    exit_code_when_cancelled,
    ignore_signals,
    leave_a_forced_end_alone,
    main_has_ended,
)
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
    `argparse.ArgumentParser`, with what that has parsed. Either way the script has `--verbose`.

    The log goes to standard error, each record as `formatter` has it, secrets hidden.

    Ctrl+C, SIGTERM and SIGHUP cancel `main`. A `Failure` is printed and ends with 1; any other
    exception is a bug, and is logged with its traceback.
    """
    _keep_standard_streams()
    parser = _parser(doc_or_parser)
    args = parser.parse_args()
    set_up_logging(args.verbose, formatter)
    # What has been imported need not be searched for garbage at the end: a ping takes 0.21 s of CPU
    # time with this, and 0.25 s without.
    gc.freeze()
    atexit.register(ignore_signals)
    begin = main if isinstance(doc_or_parser, str | None) else partial(main, args)
    code = asyncio.run(_run_to_the_end(begin, args.verbose))
    leave_a_forced_end_alone()
    if not end_runtimes():  # a client is still referenced, and keeps threads of the SDK
        _exit_as_the_interpreter_would(code)
    sys.exit(code)


def _parser(doc_or_parser: str | argparse.ArgumentParser | None) -> argparse.ArgumentParser:
    """The parser, with the option that all scripts share; descriptions keep their line breaks."""
    if isinstance(doc_or_parser, argparse.ArgumentParser):
        parser = doc_or_parser
    else:
        parser = argparse.ArgumentParser(description=doc_or_parser)
    if parser.formatter_class is argparse.HelpFormatter:
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
    about = "log at debug level, with tracebacks"
    parser.add_argument("--verbose", action="store_true", help=about)
    return parser


async def _run_to_the_end(main: Callable[[], Awaitable[int | None]], verbose: bool) -> int:
    """Await `main`, and give the exit code; log the error that has ended it, if one has."""
    loop = asyncio.get_running_loop()
    threading.Thread(target=watch_loop, args=(loop,), daemon=True, name="watch loop").start()
    cancel_on_signals(cast("asyncio.Task[None]", asyncio.current_task()))
    try:
        code = await main() or 0
    except asyncio.CancelledError:
        code = exit_code_when_cancelled()
    except Exception as problem:
        code = 1
        if not isinstance(problem, OSError) or _flush():  # which logs a `print` that failed
            _log_error(problem, verbose)
    code = code if _flush() else 1
    main_has_ended(code, loop)
    return code


def _log_error(problem: Exception, verbose: bool) -> None:
    """Log what has ended `main`: what is known in its own words, anything else with its causes."""
    known = problem if isinstance(problem, Failure) else explain_known(problem)
    text = str(known or "\n".join(causes(problem)))
    log.error("%s", text, exc_info=verbose)


def _keep_standard_streams() -> None:
    """Make sure that there are three standard streams, and that each of them takes any text."""
    # If one was closed by who started us, the next socket would get its number.
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(spare)
    sys.stderr = sys.stderr or os.fdopen(2, "w")
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")


def _flush() -> bool:
    """Flush standard output; returns whether that worked. The first failure is logged."""
    try:
        print(end="", flush=True)
    except OSError as problem:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        log.error("cannot write to standard output: %s", problem.strerror)
        return False
    return True


def _exit_as_the_interpreter_would(code: int) -> NoReturn:
    """Exit without finalizing the interpreter, which would crash while the SDK's threads run.

    What the interpreter does before that is done here in the same order: wait for other threads,
    run the exit handlers, flush.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    code = code if _flush() else 1
    flush_log()
    os._exit(code)
