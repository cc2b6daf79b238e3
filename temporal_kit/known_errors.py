"""Errors of the SDK that speak for themselves: told in a line or two, without a traceback."""

import traceback

from temporalio.service import RPCError

from .explaining import causes
from .findings import Finding, error
from .registration import is_the_owners, short_path

SANDBOX_REFUSES = "Failed validating workflow"  # how the SDK's error begins


def explain_known(problem: Exception) -> Finding | None:
    """What an error of the SDK means; None for one that is not known."""
    from temporalio.client import WorkflowFailureError

    if isinstance(problem, WorkflowFailureError):
        return error("the workflow failed: " + "; because of ".join(causes(problem.cause)))
    if isinstance(problem, RPCError):
        return error(f"the server answers {problem.status.name}: {problem.message}")
    if str(problem).startswith(SANDBOX_REFUSES):
        return _explain_sandbox(problem)
    return None


def _explain_sandbox(problem: Exception) -> Finding:
    """The line of a workflow's module that the sandbox refuses.

    The SDK names neither import nor line: they are in the traceback of the first cause.
    """
    *_, cause = _chain(problem)
    said = f"{type(cause).__name__}: {str(cause).partition(chr(10))[0]}"
    text = f"{problem}: {said}"
    for frame in traceback.extract_tb(cause.__traceback__):
        if is_the_owners(frame.filename) and "temporal_client" not in frame.filename:
            text = f"{short_path(frame.filename)}, line {frame.lineno}: {frame.line}: {said}"
    fix = "with workflow.unsafe.imports_passed_through():   # around it, if it is an import"
    return error(text, fix, "or move it into an activity")


def _chain(problem: BaseException | None) -> list[BaseException]:
    """An error and its causes, the first of them last."""
    found = []
    while problem:
        found.append(problem)
        problem = problem.__cause__
    return found
