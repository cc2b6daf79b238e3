"""Finds what is defined for a worker, but not registered by it."""

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from inspect import getattr_static
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

# What `workflow.defn`, `activity.defn` and Nexus' operation decorators leave on what they decorate.
WORKFLOW, ACTIVITY = "__temporal_workflow_definition", "__temporal_activity_definition"
NEXUS_OPERATION = "__nexus_operation_factory__"
PACKAGE = str(Path(__file__).parent) + os.sep
INSTALLED = tuple(
    sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def is_the_owners(file: str) -> bool:
    """Whether a source file belongs to the program: not to Python, a package or this kit."""
    installed = file.startswith(INSTALLED) or "site-packages" in file or "dist-packages" in file
    return os.path.isabs(file) and not installed and not file.startswith(PACKAGE)


def short_path(file: str) -> str:
    """A source file's path from the topmost folder in which Python looks for modules."""
    folders = [
        folder for folder in map(str, sys.path) if folder and file.startswith(folder + os.sep)
    ]
    return os.path.relpath(file, min(folders, key=len)) if folders else file


def main_file() -> str:
    """The file that Python was started with."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return short_path(os.path.abspath(file)) if file else "the worker"


def unregistered(registered: Iterable[Any]) -> list[str]:
    """Names of workflows, activities and Nexus handlers that somebody has forgotten to register.

    `registered` are a worker's. Looked at are the modules that one of these comes from: others may
    be for other workers. A worker without any workflow leaves those to others too.
    """
    registered = list(registered)
    known = {name for thing in registered for name in _names(thing)}
    modules = {_module(thing) for thing in registered} - {"__main__"}
    defined = [thing for module in modules for thing in _defined_in(module)]
    if not any(_attribute(thing, WORKFLOW) for thing in registered):
        defined = [thing for thing in defined if not _attribute(thing, WORKFLOW)]
    return sorted({name for thing in defined for name in _names(thing)} - known)


def _attribute(thing: Any, name: str) -> Any:
    """What stands under this name in an object or its class; None if nothing does.

    No code of the object's is asked: a `__getattr__` of the owner's may answer anything, or raise.
    """
    if type(thing) is MethodType:
        thing = thing.__func__
    return getattr_static(thing, name, None)


def _module(thing: Any) -> str:
    """The module that something was defined in; for an object that of its class."""
    if type(thing) is MethodType:
        thing = thing.__func__
    if type(thing) in (FunctionType, BuiltinFunctionType):
        return str(thing.__module__)
    return str(_attribute(thing, "__module__"))


def _defined_in(module: str) -> Iterator[Any]:
    """What a module of the owner's defines, and what its classes do."""
    loaded = sys.modules.get(module)
    if not issubclass(type(loaded), ModuleType):  # the owner may put anything there
        return
    names = dict(vars(loaded))
    if not is_the_owners(str(names.get("__file__"))):
        return
    for thing in names.values():
        if callable(thing) and _module(thing) == module:
            yield thing
            if issubclass(type(thing), type):
                yield from list(vars(thing).values())


def _names(thing: Any) -> Iterator[str]:
    """The names by which a worker registers this, if it is something to register."""
    for mark in (WORKFLOW, ACTIVITY):
        name = _attribute(_attribute(thing, mark), "name")
        if isinstance(name, str):
            yield name
    kind = thing if issubclass(type(thing), type) else type(thing)
    if any(_attribute(part, NEXUS_OPERATION) for part in list(vars(kind).values())):
        yield kind.__name__
