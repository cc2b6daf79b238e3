"""The owner's files as they were delivered, as modules of this process.

Whatever an owner has made of theirs, and whichever of them other tests have imported, in here
`temporal_client` and the scripts are those that the kit came with.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from .kit import SCRIPTS, Kit

TOPS = ("temporal_client", "workers", "workflows", "scripts")


@cache
def _modules() -> dict[str, ModuleType]:
    names = ["temporal_client", *(path[:-3].replace("/", ".") for path in SCRIPTS)]
    with tempfile.TemporaryDirectory() as folder, _imported_from(Kit(Path(folder, "kit")).root):
        return {name: importlib.import_module(name) for name in names}


@contextmanager
def _imported_from(root: Path) -> Iterator[None]:
    """Import the owner's modules from this folder; afterwards all is as it was."""

    def owners() -> dict[str, ModuleType]:
        return {k: v for k, v in sys.modules.items() if k.partition(".")[0] in TOPS}

    others, path = owners(), list(sys.path)
    for name in others:
        del sys.modules[name]
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        for name in owners():
            del sys.modules[name]
        sys.modules.update(others)
        sys.path[:] = path


def delivered(path: str) -> Any:
    """A module as it was delivered, by its name or the path of its file."""
    return _modules()[path.removesuffix(".py").replace("/", ".")]
