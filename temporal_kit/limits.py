"""Whether the system lets this process have what each script of the kit needs."""

import os
import threading
from contextlib import ExitStack

from .findings import Failure, error

# Measured on two processors: with fewer threads the SDK panics, or waits for an answer forever;
# with fewer open files a development server answers no call, for 30 s. The check takes 0.5 ms.
NEEDED_THREADS = 11
NEEDED_FILES = 40


def check_limits() -> None:
    """Raise `Failure` if too few threads can be started, or too few files opened."""
    if not _can_start(NEEDED_THREADS):
        text = f"this system lets the process start fewer than {NEEDED_THREADS} more threads"
        raise Failure(error(text, "ulimit -u 4096", "or, for a container, --pids-limit 4096"))
    if not _can_open(NEEDED_FILES):
        text = f"this system lets the process open fewer than {NEEDED_FILES} more files"
        raise Failure(error(text, "ulimit -n 1024", "or, for a container, --ulimit nofile=1024"))


def _can_start(threads: int) -> bool:
    """Whether so many threads can run at a time."""
    done = threading.Event()
    try:
        for _ in range(threads):
            threading.Thread(target=done.wait, daemon=True).start()
    except RuntimeError:
        return False
    finally:
        done.set()
    return True


def _can_open(files: int) -> bool:
    """Whether so many files can be open at a time."""
    with ExitStack() as opened:
        try:
            for _ in range(files):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return False
    return True
