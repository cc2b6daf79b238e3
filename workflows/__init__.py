"""The kit's workflows and activities: one line each, by name and module.

The worker registers all of them, and `from workflows import PingWorkflow` works. Nothing is
imported before it's asked for: the sandbox imports this package again for every single workflow
run, and with it all that this file would import.
"""

from importlib import import_module
from typing import Any

WORKFLOWS = {
    "PingWorkflow": "workflows.ping_workflow",
}
ACTIVITIES: dict[str, str] = {}


def __getattr__(name: str) -> Any:
    module = WORKFLOWS.get(name) or ACTIVITIES.get(name)
    if not module:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(module), name)
