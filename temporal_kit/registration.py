"""Finds workflows and activities that are defined, but that a worker has not registered."""

import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

DEFINITIONS = "__temporal_workflow_definition", "__temporal_activity_definition"  # set by `defn`
PACKAGE = str(Path(__file__).parent) + os.sep
INSTALLED = tuple(
    sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def is_the_owners(file: str) -> bool:
    """Whether a source file belongs to the program: not to Python, a package or this kit."""
    installed = file.startswith(INSTALLED) or "site-packages" in file
    return os.path.isabs(file) and not installed and not file.startswith(PACKAGE)


def short_path(file: str) -> str:
    """A source file's path from the topmost folder in which Python looks for modules."""
    folders = [folder for folder in sys.path if folder and file.startswith(folder + os.sep)]
    return os.path.relpath(file, min(folders, key=len)) if folders else file


def main_file() -> str:
    """The file that Python was started with."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return short_path(os.path.abspath(file)) if file else "the worker"


def unregistered(registered: Iterable[Any]) -> list[str]:
    """Names of the loaded workflows and activities of the program that are not among these."""
    modules = [module for module in [*sys.modules.values()] if _is_own_module(module)]
    names = {module.__name__ for module in modules}
    things = [
        thing
        for module in modules
        for thing in vars(module).values()
        if getattr(thing, "__module__", "") in names  # and not imported from elsewhere
    ]
    methods = [part for thing in things if isinstance(thing, type) for part in vars(thing).values()]
    return sorted(_defined_names([*things, *methods]) - _defined_names(registered))


def _is_own_module(module: ModuleType) -> bool:
    return is_the_owners(getattr(module, "__file__", None) or "")


def _defined_names(things: Iterable[Any]) -> set[str]:
    """The names under which those of these things that are workflows or activities are known."""
    found = [getattr(thing, mark, None) for thing in things for mark in DEFINITIONS]
    return {definition.name for definition in found if definition and definition.name}
