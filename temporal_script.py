"""How a script of the kit starts, logs and exits.

Results go to standard output and everything else to standard error. Exit codes: 0 done, 1 failed,
2 wrong usage, 130 and 143 stopped by Ctrl+C and SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO

from temporal_checks import Failure, shown_error

if TYPE_CHECKING:
    from temporal_client import Settings

log = logging.getLogger("kit")
CHECK = "python scripts/check_temporal_config.py"


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """A parser that explains the script by its docstring, with the options that all share."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--verbose", action="store_true", help="log at debug level, with tracebacks"
    )
    return parser


def run(
    main: Callable[[argparse.Namespace], Awaitable[int]],
    parser: argparse.ArgumentParser,
    *,
    has_children: bool = False,
) -> NoReturn:
    """Run a script's `main` to its exit code, and leave the process with exactly that code.

    Args:
        main: Takes the parsed arguments, gives the exit code; cancelled by Ctrl+C and SIGTERM.
        parser: The script's options, from `arguments`.
        has_children: Whether `main` has processes to end, which a second Ctrl+C must not keep it
            from; without them a second one leaves at once.
    """
    # The number of a standard stream that is closed must not go to the next socket or file.
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(spare)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that has no ✓ is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    args = parser.parse_args()
    logging.basicConfig(
        format="%(levelname)s - %(message)s",
        stream=sys.stderr,
        level=logging.DEBUG if args.verbose else logging.INFO,
    )
    if not args.verbose:
        logging.getLogger("temporalio").setLevel(logging.WARNING)
        for own in ("workflow", "activity"):  # what your own code logs
            logging.getLogger(f"temporalio.{own}").setLevel(logging.INFO)
    asyncio.run(_run(main, args, has_children))
    raise AssertionError("unreachable: _run leaves the process")


async def _run(
    main: Callable[[argparse.Namespace], Awaitable[int]],
    args: argparse.Namespace,
    has_children: bool,
) -> NoReturn:
    task = asyncio.ensure_future(main(args))
    loop = asyncio.get_running_loop()
    signals: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        if signals and not has_children:
            leave(128 + number)
        if not signals:
            signals.append(number)
            loop.call_soon_threadsafe(task.cancel)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    try:
        code = await task
    except asyncio.CancelledError:
        code = 128 + signals[0] if signals else 1
    except Failure as failure:
        code = 1
        _say(failure, args.verbose)
    except OSError as error:
        code = 1
        if not (sys.stdout and _flush(sys.stdout)):  # else it is a result that can't be written
            log.error("%s", error.strerror or error, exc_info=args.verbose)
    except Exception as error:
        code = 1
        text = "\n  because of ".join(_causes(error))
        log.error("%s (--verbose shows where)", text, exc_info=args.verbose)
    leave(code)


def _causes(error: BaseException | None) -> Iterator[str]:
    """An error and what it came from, a line each: the SDK's last ones are the telling ones."""
    while error:
        yield shown_error(error)
        error = error.__cause__


@asynccontextmanager
async def explained(settings: Settings) -> AsyncIterator[None]:
    """Turn what the SDK raises in this block into a `Failure` that names the cause."""
    from temporalio.service import RPCError

    try:
        yield
    except (RuntimeError, ValueError, asyncio.TimeoutError, RPCError) as error:
        from temporal_diagnosis import explain  # only who fails pays for it

        raise Failure([await explain(error, settings)]) from error


def _say(failure: Failure, verbose: bool) -> None:
    """At most six lines: every problem, its remedy where there is room, and where to go on."""
    lines = [line for finding in failure.findings for line in str(finding).splitlines()]
    if len(lines) > 5:
        lines = [str(finding).splitlines()[0] for finding in failure.findings]
    if len(lines) > 5:
        lines[4:] = ["; ".join(lines[4:])]
    log.error("%s", "\n".join([*lines, f"  → {CHECK} tells more"]), exc_info=verbose)


def leave(code: int) -> NoReturn:
    """End the process with exactly this exit code."""
    # The interpreter's own shutdown now and then dies of a signal after the work is done: threads
    # of the SDK's runtime meet objects that are gone (temporalio/sdk-python issue 300). So leave
    # without it, with the output flushed, which is all that is left to do.
    for stream in filter(None, (sys.stdout, sys.stderr)):  # none: closed by who started this
        code = _flush(stream) or code
    os._exit(code)


def _flush(stream: TextIO) -> int:
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # say so once
        if stream is sys.stdout:
            log.error("cannot write to standard output: %s", error.strerror)
        return 1
    return 0
