"""The first call of a script: its `.env`, and what is to happen with errors from then on."""

import sys
from pathlib import Path

from .env_file import set_own_variables
from .known_secrets import note_env_file
from .streams import ensure_standard_streams
from .uncaught import log_uncaught


def load_env_file(beside: Path) -> None:
    """Put your own variables of `.env` into `os.environ`, where they are not set already.

    `beside` is the path of `.env` beside `temporal_client.py`; it may also be in a folder above, up
    to the project's. To be called before your modules are imported. Temporal's settings stay out of
    `os.environ`: they are read again while a worker runs, and no child process inherits a key. A
    file that cannot be read is an error once the settings are read, not here.

    In a script, what nobody catches is logged from now on, secrets hidden: an import that fails, an
    error in a thread, a warning. Hooks of your own for these stay.
    """
    if sys._getframe(1).f_globals.get("__name__") == "__main__":  # not a conftest.py, nor an import
        ensure_standard_streams()
        note_env_file(beside)
        log_uncaught()
    set_own_variables(beside)
