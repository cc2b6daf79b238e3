"""Says in the log what a workflow has asked of its event loop that no workflow's loop can do."""

import asyncio
import logging
import traceback

from .registration import is_the_owners, short_path

OF_WORKFLOW_TASKS = "temporalio.worker._workflow_instance"  # the SDK's logger
NOT_IN_A_WORKFLOW = "what threads, sockets, subprocesses or another loop do belongs in an activity"


def explain_failed_workflow_tasks() -> None:
    """From now on have the SDK's log of a failed workflow task name such a call, and its line.

    The SDK logs a bare `NotImplementedError` for it, and retries the task for ever.
    """
    logging.getLogger(OF_WORKFLOW_TASKS).addFilter(_add_what_was_called)


def _add_what_was_called(record: logging.LogRecord) -> bool:
    """Let each record through; with a `NotImplementedError` of asyncio, say what it is about."""
    problem = record.exc_info[1] if record.exc_info else None
    if isinstance(problem, NotImplementedError):
        frames = traceback.extract_tb(problem.__traceback__)
        own = [frame for frame in frames if is_the_owners(frame.filename)]
        if own and frames[-1].filename == asyncio.events.__file__:
            where = f"{short_path(own[-1].filename)}, line {own[-1].lineno}"
            what = f"a workflow has no {frames[-1].name}: {NOT_IN_A_WORKFLOW}"
            record.msg, record.args = f"{record.getMessage()}: {where}: {what}", None
    return True
