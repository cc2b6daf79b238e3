"""What Python would print by itself goes through the log, where secrets are hidden.

That is errors that nobody has caught, in whatever thread, and warnings: Python's own output quotes
the bytes of a peer as they came. Hooks that the owner has set, as an error tracker does, stay, and
those that they set later take the place of these.

Workflow code calls them too, within the sandbox, where an `import` loads a module anew: all that
they need is imported here.
"""

import logging
import os
import sys
import threading
import warnings
from contextlib import suppress
from types import FunctionType, MethodType
from typing import Any, TextIO

from .ctrl_c import came_of_ctrl_c, end_as_by_ctrl_c
from .known_errors import log_error
from .known_secrets import remember_secrets
from .logs import ensure_log, flush_log
from .redaction import redact

PYTHONS_WARNINGS = ("warnings", "_py_warnings")  # the second since Python 3.14


def log_uncaught() -> None:
    """From now on log what no code has caught, and warnings.

    For scripts alone: pytest and programs of others show such things in their own way.
    """
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _log_error_in_main_thread
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_error_in_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _log_unraisable
    if warnings.showwarning.__module__ in PYTHONS_WARNINGS:
        warnings.showwarning = _log_warning
        # The SDK's, of an address as a URL: the check says it, with the line that mends it.
        warnings.filterwarnings("ignore", "Target host as URL")


def _log_error_in_main_thread(_: type[BaseException], error: BaseException, __: Any) -> None:
    """Log the error that ends the process, but for Ctrl+C, which has an exit code of Python's."""
    if isinstance(error, KeyboardInterrupt):
        return
    if came_of_ctrl_c(error):
        end_as_by_ctrl_c()
    _log(error)


def _log_error_in_thread(args: "threading.ExceptHookArgs") -> None:
    """Log the error that has ended a thread."""
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        _log(args.exc_value, f"in thread {args.thread.name if args.thread else 'unknown'}: ")


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    """Log an error that could not be raised, as in a `__del__`; Ctrl+C must not get lost there."""
    if isinstance(args.exc_value, KeyboardInterrupt):
        end_as_by_ctrl_c()
    elif args.exc_value is not None:
        _log(args.exc_value, f"{args.err_msg or 'Exception ignored in'} {_name(args.object)}: ")


def _name(thing: Any) -> str:
    """The name of a function, or an object's class: the object may answer anything, or raise."""
    kind = type(thing)
    return str(thing.__qualname__) if kind in (FunctionType, MethodType) else kind.__name__


def _log(error: BaseException, where: str = "") -> None:
    """Log an error, a bug with its traceback; should that fail, at least its name is printed."""
    try:
        ensure_log()
        log_error(error, where=where)
        if not threading.main_thread().is_alive():  # the interpreter is about to end
            flush_log()
    except Exception:
        with suppress(OSError):
            os.write(2, f"ERROR - {where}{type(error).__name__}\n".encode("ascii", "replace"))


def _log_warning(  # noqa: PLR0917 (these are Python's)
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Log a warning, in one line, and where it came from; write it to `file` if there is one."""
    if file:
        file.write(warnings.formatwarning(message, category, filename, lineno, line))
        return
    remember_secrets()
    ensure_log()
    text = redact(f"{category.__name__}: {message} ({filename}, line {lineno})")
    logging.getLogger("py.warnings").warning("%s", text)
