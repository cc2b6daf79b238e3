"""Ctrl+C while modules are imported ends the process as a signal does, and prints nothing.

This is the first module that is imported of the kit, and imports next to nothing itself.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ctrl_c_without_traceback() -> Iterator[None]:
    """Have Ctrl+C within this block print nothing; without it, nothing is changed behind it.

    Hooks of the owner's stay.
    """
    pythons = sys.unraisablehook is sys.__unraisablehook__
    if pythons:
        sys.unraisablehook = _end_or_print
    try:
        yield
    except BaseException as error:
        if came_of_ctrl_c(error) and sys.excepthook is sys.__excepthook__:
            sys.excepthook = _end
        raise
    finally:
        if pythons:
            sys.unraisablehook = sys.__unraisablehook__


def came_of_ctrl_c(error: BaseException | None) -> bool:
    """Whether an error is Ctrl+C's, or was raised for that, as C code does with `__set_name__`."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__context__ if error.__cause__ is None else error.__cause__
    return False


def end_as_by_ctrl_c() -> None:
    """End the process by the signal, which gives it the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.raise_signal(signal.SIGINT)


def _end(_: type[BaseException], error: BaseException, __: object) -> None:
    """End silently: after a `KeyboardInterrupt` Python raises the signal by itself."""
    if not isinstance(error, KeyboardInterrupt):
        end_as_by_ctrl_c()


def _end_or_print(args: "sys.UnraisableHookArgs") -> None:
    """In a callback of the import system Ctrl+C would get lost; anything else is Python's."""
    if isinstance(args.exc_value, KeyboardInterrupt):
        end_as_by_ctrl_c()
    sys.__unraisablehook__(args)
