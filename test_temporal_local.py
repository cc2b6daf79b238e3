"""Check that the kit works here: imports, then PingWorkflow on a real server of its own.

    python test_temporal_local.py

Exits with 0 if all is well, else with 1. pytest collects the same checks.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable

IMPORTS = ("temporalio.workflow", "temporalio.worker.Worker", "temporalio.client.Client")


def test_imports() -> None:
    """The SDK's parts that the kit uses are there."""
    for name in IMPORTS:
        find(name)


def test_workflow_executes() -> None:
    """PingWorkflow answers `ok` on a real server."""
    assert asyncio.run(ping()) == "ok"


def find(name: str) -> object:
    """Import a module, or a name in one."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)


async def ping() -> str:
    """Run PingWorkflow on an embedded server with the kit's own worker; gives its answer."""
    from scripts.run_local import dev_server, local_settings, local_worker
    from scripts.start_ping import one_ping

    async with dev_server() as address:
        settings = local_settings(address)
        async with local_worker(settings) as client:
            return await one_ping(client, settings, timeout=30)


def expect_ok() -> None:
    """Raise unless the workflow answers `ok`."""
    answer = asyncio.run(ping())
    if answer != "ok":
        raise ValueError(f"the workflow answered {answer!r}")


def main() -> int:
    """Print a line a check; returns the exit code."""
    checks: list[tuple[str, Callable[[], object]]] = [
        *((name, lambda name=name: find(name)) for name in IMPORTS),
        ("Workflow executed successfully", expect_ok),
    ]
    for title, check in checks:
        try:
            check()
        except Exception as error:
            print(f"✗ {title}: {error}")
            return 1
        print(f"✓ {title}")
    print("✓ All tests passed")
    return 0


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    from temporal_script import leave

    leave(main())
