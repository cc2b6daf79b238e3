"""The standard streams, as a script finds them and as it needs them."""

import os
import sys
from contextlib import suppress


def ensure_standard_streams() -> None:
    """Make sure that there are three standard streams, and that each of them takes any text."""
    # os.open gives the lowest free number: without this, the next socket would get that of a
    # standard stream that the parent process has closed.
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(spare, True)
    os.close(spare)
    if sys.stderr is None or sys.stderr.closed:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(
            AttributeError, ValueError
        ):  # the owner has put another in place, or closed it
            stream.reconfigure(errors="backslashreplace")
