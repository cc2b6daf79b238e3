"""Hides secrets in log records, so that no handler and no formatter of anybody's ever sees one.

What is hidden are the parts of a record (message, arguments, exception, `extra`), before any
handler gets it: in the output of a formatter it would break JSON, and Sentry and OpenTelemetry have
none.
"""

import functools
import logging
import traceback
from collections.abc import Mapping
from typing import Any

from .redaction import HIDDEN, hide_secrets

# What every record has; everything else on it comes from `extra`.
STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime"}


def hide_secrets_in_logs() -> None:
    """From now on have no log record of this process show a secret that `redact` would hide.

    `Logger.makeRecord` is replaced, since it is the only place where a record is complete and no
    handler has it yet: `extra` is added after the record factory has run.
    """
    original = logging.Logger.makeRecord
    if getattr(original, "hides_secrets", False):
        return

    @functools.wraps(original)
    def make_record(self: logging.Logger, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = original(self, *args, **kwargs)
        _hide_in_message(record)
        _hide_in_exception(record)
        _hide_in_extra(record)
        return record

    make_record.hides_secrets = True  # type: ignore[attr-defined]
    logging.Logger.makeRecord = make_record  # type: ignore[method-assign]


def _hide_in_message(record: logging.LogRecord) -> None:
    """Put message and arguments together if one of them shows a secret, or they do not fit."""
    try:
        message = record.getMessage()
    except Exception as problem:  # a faulty log call must not quote its arguments on standard error
        message, hidden = "", hide_secrets(f"{_text(record.msg)} ({problem!r})")
    else:
        hidden = hide_secrets(message)
    if hidden != message or (record.args and _shows_secret(record.args)):
        record.msg, record.args = hidden, None


def _hide_in_exception(record: logging.LogRecord) -> None:
    """Replace an exception whose traceback shows a secret by one that says the same without it."""
    if record.exc_info and record.exc_info[1] is not None:
        text = _formatted(record.exc_info[1])
        hidden = hide_secrets(text)
        if hidden != text:
            try:
                error = _without_secrets(record.exc_info[1])
            except RecursionError:  # hundreds of causes: the text has them all
                error = _stand_in(record.exc_info[1])
            record.exc_info = (type(error), error, record.exc_info[2])
            record.exc_text = hidden
    if record.stack_info:
        record.stack_info = hide_secrets(record.stack_info)


def _formatted(error: BaseException) -> str:
    """An exception with its traceback; of one that cannot say what it is, the traceback alone."""
    try:
        return "".join(traceback.format_exception(error)).rstrip("\n")
    except Exception:  # of the owner's own `__str__`, or of a note's
        return "".join([*traceback.format_tb(error.__traceback__), type(error).__name__])


def _hide_in_extra(record: logging.LogRecord) -> None:
    """Hide secrets in what the log call gave as `extra`, and in what adapters added to it."""
    for name in vars(record).keys() - STANDARD:
        try:
            setattr(record, name, _hide_in_value(getattr(record, name)))
        except RecursionError:  # it contains itself
            setattr(record, name, HIDDEN)


def _hide_in_value(value: Any) -> Any:
    """The value; in its place one without secrets, if it or a part of it shows any."""
    if not _shows_secret(value):
        return value
    if isinstance(value, str):
        return hide_secrets(value)
    if isinstance(value, Mapping):
        return {_hide_in_value(key): _hide_in_value(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_hide_in_value(part) for part in value]
    return hide_secrets(_text(value))


def _shows_secret(value: Any) -> bool:
    text = value if isinstance(value, str) else _text(value)
    return hide_secrets(text) != text


def _text(value: Any) -> str:
    """How a log would show a value; the `__repr__` of the owner's objects may fail."""
    try:
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _without_secrets(
    error: BaseException, made: dict[int, BaseException] | None = None
) -> BaseException:
    """An exception with the same name, traceback, causes and notes, and secrets hidden.

    `made` has those that have been made already, by the identity of what they stand for: an error
    is often the cause and the context of another one.
    """
    made = {} if made is None else made
    if id(error) in made:
        return made[id(error)]
    clean = made[id(error)] = _stand_in(error)
    if error.__cause__ is not None:
        clean.__cause__ = _without_secrets(error.__cause__, made)
    if error.__context__ is not None:
        clean.__context__ = _without_secrets(error.__context__, made)
    clean.__suppress_context__ = error.__suppress_context__
    return clean


def _stand_in(error: BaseException) -> BaseException:
    """An exception of the same name, with the same traceback and notes, and secrets hidden."""
    kind = type(error)
    stand_in = type(kind.__name__, (Exception,), {"__module__": kind.__module__})
    try:
        said = str(error)
    except Exception:  # of the owner's own `__str__`
        said = _text(error)
    clean: BaseException = stand_in(hide_secrets(said))
    clean.__traceback__ = error.__traceback__
    notes = getattr(error, "__notes__", None)
    if isinstance(notes, list | tuple) and notes:
        texts = [note if isinstance(note, str) else _text(note) for note in notes]
        clean.__notes__ = [hide_secrets(text) for text in texts]  # type: ignore[attr-defined]
    return clean
