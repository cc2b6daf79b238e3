"""Errors of the SDK that speak for themselves: told in a line or two, without a traceback."""

import builtins
import errno
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from temporalio.service import RPCError

from .explaining import causes, chain, explain_settings
from .findings import Failure, Finding, error, log
from .known_secrets import remember_secrets
from .registration import is_the_owners, short_path
from .settings import SettingsError

CONVERTER = "temporalio.converter"  # the SDK's module for payloads
SANDBOX_REFUSES = "Failed validating workflow"  # how the SDK's error begins


def log_error(problem: BaseException, verbose: bool = False, where: str = "") -> None:
    """Log what has ended `main` or a thread: what is known in few words, a bug with its traceback.

    `where` stands before the words; with `verbose` all have a traceback, and a whole one.
    """
    remember_secrets()
    for single in without_groups(problem):
        known = single if isinstance(single, Failure) else explain_known(single)
        if isinstance(single, SettingsError):
            known = explain_settings(single)
        if known and not verbose:
            log.error("%s%s", where, known)
        else:
            text = known or "\n".join(causes(single))
            raised = single if verbose else owners_part(single)
            # Not the error alone: logging leaves out one that is false, as if there were none.
            trace = type(raised), raised, raised.__traceback__
            log.error("%s%s", where, text, exc_info=trace)


def explain_known(problem: BaseException) -> Finding | None:
    """What an error of the SDK means; None for one that is not known."""
    from temporalio.client import WorkflowFailureError

    if isinstance(problem, WorkflowFailureError):
        return error("the workflow failed: " + "; because of ".join(causes(problem.cause)))
    if isinstance(problem, OSError) and problem.errno in (errno.EPIPE, errno.ENOSPC):
        return error(f"cannot write: {problem.strerror}")
    if isinstance(problem, RPCError):
        return error(f"the server answers {problem.status.name}: {problem.message}")
    if type(problem) is RuntimeError and str(problem).startswith(SANDBOX_REFUSES):
        return _explain_sandbox(problem)
    if isinstance(problem, AttributeError) and problem.name == "intercept_client":
        text = (
            f"{type(problem.obj).__name__} in client_options() is an interceptor for workers alone"
        )
        return error(text, "interceptors=[...] in create_worker, in workers/worker.py")
    return _explain_payload(problem)


def _explain_payload(problem: BaseException) -> Finding | None:
    """Data that the SDK's converter can make nothing of, and the line that asked for it.

    None for what the converter has not raised.
    """
    *_, (frame, _) = [(None, 0), *traceback.walk_tb(problem.__traceback__)]
    if frame is None or not frame.f_globals.get("__name__", "").startswith(CONVERTER):
        return None
    *_, line = ["", *_owners_lines(problem)]
    said = f"{line}{next(causes(problem))}"
    if "Unknown payload encoding" in said:
        text = f"{said}: it was encoded by a codec that client_options() does not have"
        return error(text, "data_converter=<the one with that codec> in client_options()")
    text = f"{said}: the data is of another type than the code here expects"
    return error(text, "start the worker anew, or find out whose worker polls this task queue")


def _explain_sandbox(problem: BaseException) -> Finding:
    """The line of a workflow's module that the sandbox refuses.

    The SDK names neither import nor line: they are in the tracebacks of the causes.
    """
    errors = chain(problem)
    *_, said = causes(problem)
    text = f"{problem}: {said}"
    # Packages such as pandas raise another error on the way: then the line is in that one's.
    for line in [line for cause in errors for line in _owners_lines(cause)]:
        text = f"{line}{said}"
    fix = "with workflow.unsafe.imports_passed_through():   # around it, if it is an import"
    return error(text, fix, "or move it into an activity")


def _owners_lines(problem: BaseException) -> Iterator[str]:
    """`file, line 1: source: ` for each line of the owner's in a traceback, from the outside in."""
    for frame in traceback.extract_tb(problem.__traceback__):
        if is_the_owners(frame.filename) and Path(frame.filename).name != "temporal_client.py":
            yield f"{short_path(frame.filename)}, line {frame.lineno}: {frame.line}: "


def without_groups(problem: BaseException) -> list[BaseException]:
    """The error, or those in it if it is a group of errors, as a task group raises."""
    group = getattr(builtins, "BaseExceptionGroup", None)  # new in Python 3.11
    if group is None or not isinstance(problem, group):
        return [problem]
    inner: tuple[BaseException, ...] = problem.exceptions
    return [error for part in inner for error in without_groups(part)]


def owners_part(problem: BaseException) -> BaseException:
    """The error with only the owner's frames in its traceback, if there are any.

    Where it began and how it was reached is in their code; the SDK's and asyncio's frames between
    are a screen of somebody else's.
    """
    for raised in chain(problem):
        frames = [*traceback.walk_tb(raised.__traceback__)]
        own = [(f, line) for f, line in frames if is_the_owners(f.f_code.co_filename)]
        rest: TracebackType | None = None
        for frame, line in reversed(own):
            rest = TracebackType(rest, frame, frame.f_lasti, line)
        raised.__traceback__ = rest or raised.__traceback__
    return problem
