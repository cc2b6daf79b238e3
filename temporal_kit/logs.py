"""The log of a script: the owner's configuration counts; without one, the kit's own handler.

Python hands a record to `logging.lastResort` if no logger on its way has a handler. The kit's
handler is put there and not on the root logger, where it would make `logging.basicConfig` do
nothing.
"""

import atexit
import functools
import logging
import sys
from contextlib import suppress
from typing import Any

from .explaining import causes
from .log_handler import NeverBlockingHandler
from .log_records import hide_secrets_in_logs
from .redaction import escape_control_characters, hide_secrets, redact

FORMAT = "%(levelname)s - %(message)s"
LONGEST_LINE = 1000  # characters, of a traceback's line
MOST_LINES = 200  # of a traceback
# Loggers that a `dictConfig` or `fileConfig` must not disable, as those do with all that they do
# not name: an owner who configures their own log does not mean to silence the worker.
KEPT = ("temporal_kit", "temporalio", "__main__")
OF_THE_OWNER = ("temporalio.workflow", "temporalio.activity")  # what their code logs by the SDK


def set_up_logging(verbose: bool, formatter: logging.Formatter | None = None) -> None:
    """Have the kit's lines logged whatever is configured, and everything to stderr if nothing is.

    With nothing configured that is from INFO on, the SDK's own log from WARNING on; or all of it if
    `verbose`. Each record is as `formatter` has it, or as the kit has it.
    """
    hide_secrets_in_logs()
    _install_last_resort(formatter or PlainFormatter(FORMAT), everything=verbose)
    _set_levels(verbose)
    _keep_enabled()
    _end_lines_with_the_workflow_id()
    _configure_only_if_asked()
    _tell_of_failing_handlers()


def ensure_log() -> None:
    """Have the kit's own log in place, should something be logged before the script has begun."""
    if not isinstance(logging.lastResort, NeverBlockingHandler):
        hide_secrets_in_logs()
        _install_last_resort(PlainFormatter(FORMAT), everything=False)


def _install_last_resort(formatter: logging.Formatter, everything: bool) -> None:
    """Log to standard error what no other handler takes."""
    handler = NeverBlockingHandler()
    handler.setFormatter(formatter)
    if not everything:
        handler.addFilter(drop_sdk_chatter)
    logging.lastResort = handler
    atexit.register(handler.flush)


def _set_levels(verbose: bool) -> None:
    """Let the kit's lines pass, and everybody's unless the owner has configured the root."""
    level = logging.DEBUG if verbose else logging.INFO
    if verbose or not logging.getLogger().handlers:
        logging.getLogger().setLevel(level)
    logging.getLogger("temporal_kit").setLevel(level)


def _configure_only_if_asked() -> None:
    """Have `logging.info(...)` not add a handler to the root logger, as it does if there is none.

    Python's functions of that kind call `logging.basicConfig()` by themselves: one such line in the
    owner's code would change the form of all others, and block when nobody reads them.
    """
    original = logging.basicConfig

    @functools.wraps(original)
    def basic_config(**options: Any) -> None:
        asked_by_python = sys._getframe(1).f_globals is vars(logging)
        if not asked_by_python:
            original(**options)

    logging.basicConfig = basic_config


def _tell_of_failing_handlers() -> None:
    """Have a record whose handler fails written to standard error, and say why it failed.

    By default Python prints the record's arguments and a traceback there, as they are; and if
    standard error is closed, that fails too, and each log call with it.
    """

    def handle_error(handler: logging.Handler, record: logging.LogRecord) -> None:
        if logging.raiseExceptions and logging.lastResort:
            failed = logging.makeLogRecord(vars(record) | {"exc_info": None, "exc_text": None})
            problem = hide_secrets(repr(sys.exc_info()[1]))
            text = f"{record.getMessage()} ({type(handler).__name__} failed: {problem})"
            failed.msg, failed.args = text, None
            logging.lastResort.handle(failed)

    logging.Handler.handleError = handle_error  # type: ignore[method-assign,assignment]


def flush_log() -> None:
    """Give what has been logged 1 s to be written; for an end without the interpreter's own."""
    if logging.lastResort:
        logging.lastResort.flush()


def _end_lines_with_the_workflow_id() -> None:
    """Have what is logged by `workflow.logger` and `activity.logger` end with the workflow's ID.

    By default it ends with a dictionary of 230 characters. That stays on the record, as
    `temporal_workflow` or `temporal_activity`.
    """
    from temporalio import activity, workflow

    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False
    for name in OF_THE_OWNER:
        logging.getLogger(name).addFilter(_add_workflow_id)


def _add_workflow_id(record: logging.LogRecord) -> bool:
    known = {
        **vars(record).get("temporal_activity", {}),
        **vars(record).get("temporal_workflow", {}),
    }
    if workflow_id := known.get("workflow_id") or known.get("activity_id"):
        record.msg, record.args = f"{record.getMessage()} ({workflow_id})", None
    return True


def drop_sdk_chatter(record: logging.LogRecord) -> bool:
    """Drop the SDK's own records below WARNING."""
    of_the_sdk = str(record.name).startswith("temporalio") and record.name not in OF_THE_OWNER
    return record.levelno >= logging.WARNING or not of_the_sdk


class EnabledLogger(logging.Logger):
    """A logger that cannot be disabled."""

    @property
    def disabled(self) -> bool:
        """Never; what `logging.config` sets is ignored."""
        return False

    @disabled.setter
    def disabled(self, value: bool) -> None:
        pass


def _keep_enabled() -> None:
    """Have the loggers of the kit, the SDK and the script stay enabled, whatever is configured."""
    for name in (*KEPT, "temporalio.core", *logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        if name.partition(".")[0] in KEPT and type(logger) is logging.Logger:
            logger.__class__ = EnabledLogger


class PlainFormatter(logging.Formatter):
    """Lines for people: control characters escaped, tracebacks indented and bounded."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's lines; a traceback's are indented, so that none looks like a record."""
        # Once more: a record that another process has sent was hidden by nobody.
        message, *rest = hide_secrets(super().format(record)).split("\n")
        if not record.exc_info:
            return "\n".join(map(escape_control_characters, (message, *rest)))
        with suppress(Exception):  # of the owner's own `__str__`
            chain = list(causes(record.exc_info[1]))
            if len(chain) > 1:  # people read the last line of a traceback
                rest.append("; because of ".join(chain))
        lines = [message, *(f"  {line}" for line in rest)]
        if len(lines) > MOST_LINES:
            half = MOST_LINES // 2
            lines = [*lines[:half], "[cut]", *lines[-half:]]
        return "\n".join(redact(line, LONGEST_LINE) for line in lines)
