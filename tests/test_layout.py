"""The layout of `workflows/`: the sandbox imports what a run needs, again for each, and no more.

What a run costs stays flat only while importing a workflow imports no other: all that the package
or another workflow imports, every single run imports again. `tests/benchmark` shows the price.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from datetime import timedelta
from typing import Any

import pytest
from kit import DevServer, Kit, RunningScript
from temporalio.client import Client

COUNTING = '''"""Counts how often this very module has run it."""

from temporalio import workflow

RUNS: list[int] = []


@workflow.defn
class {name}:
    """Answers with the number of runs that its module remembers."""

    @workflow.run
    async def run(self) -> int:
        """Count."""
        RUNS.append(1)
        return len(RUNS)
'''
CARELESS = '''"""Does what a workflow must not do."""

import random
import time

from temporalio import workflow


@workflow.defn
class Careless:
    """Depends on more than its input and its history."""

    @workflow.run
    async def run(self) -> str:
        """Break the rule."""
        return str({call})
'''
REGISTERED = "import json, workflows; print(json.dumps([*workflows.WORKFLOWS.values()]))"
LOADED = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps([name for name in sys.modules if name.startswith("workflows.")]))
"""
# The worker as it is built, not as its source reads. Prints what is not sandboxed.
EXPOSED = """
import asyncio, json
import workflows
from temporal_client import connect, load_settings
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from workers.worker import RunningActivities, build_worker

async def main():
    settings = load_settings()
    worker = build_worker(await connect(settings), settings, RunningActivities())
    config = worker.config(active_config=True)
    runner, found = config["workflow_runner"], []
    if not isinstance(runner, SandboxedWorkflowRunner):
        found.append(type(runner).__name__)
    elif runner.restrictions.passthrough_all_modules:
        found.append("all modules")
    else:
        for module in workflows.WORKFLOWS.values():
            parts = module.split(".")
            names = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
            found += sorted(names & set(runner.restrictions.passthrough_modules))
    for workflow in config["workflows"]:
        if not getattr(workflow, "__temporal_workflow_definition").sandboxed:
            found.append(workflow.__name__)
    print(json.dumps(found))

asyncio.run(main())
"""
PASS_THROUGH = """    import temporalio.worker.workflow_sandbox as sandbox

    restrictions = sandbox.SandboxRestrictions.default.with_passthrough_modules({module!r})
    return Worker(
        client,
        workflow_runner=sandbox.SandboxedWorkflowRunner(restrictions=restrictions),
"""


def edit(kit: Kit, file: str, old: str, new: str) -> None:
    """Change one place in one file of the copy."""
    path = kit.root / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def add_workflow(kit: Kit, name: str, text: str = COUNTING) -> None:
    """Add a workflow as a user does: one file, and one line in `workflows/__init__.py`."""
    module = f"{name.lower()}_workflow"
    file = kit.root / f"workflows/{module}.py"
    file.write_text(text.replace("{name}", name), encoding="utf-8")
    edit(kit, "workflows/__init__.py", "= {\n", f'= {{\n    "{name}": "workflows.{module}",\n')


def python(kit: Kit, code: str, *args: str, **settings: str) -> Any:
    """What a fresh interpreter beside the kit prints, read as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=kit.root,
        env=kit.env(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def imported_too(kit: Kit) -> dict[str, set[str]]:
    """By module, the workflows that importing it imports beside itself."""
    registered = python(kit, REGISTERED)
    found = {
        module: set(python(kit, LOADED, module)) & set(registered) - {module}
        for module in ("workflows", *registered)
    }
    return {module: others for module, others in found.items() if others}


def started_worker(kit: Kit, server: DevServer, queue: str) -> RunningScript:
    """The kit's own worker, on a queue of its own."""
    return kit.start(
        "workers/worker.py", TEMPORAL_ADDRESS=server.address, TEMPORAL_TASK_QUEUE=queue
    )


def answers(kit: Kit, server: DevServer, name: str, count: int) -> list[int]:
    """What the kit's own worker answers when a workflow is run some times."""
    queue = f"layout-{uuid.uuid4().hex[:8]}"

    async def run() -> list[int]:
        client = await Client.connect(server.address)
        return [
            await client.execute_workflow(
                name,
                id=f"{queue}-{number}",
                task_queue=queue,
                result_type=int,
                execution_timeout=timedelta(seconds=30),
            )
            for number in range(count)
        ]

    with started_worker(kit, server, queue) as worker:
        worker.wait_for("Worker running")
        return asyncio.run(run())


def test_importing_the_package_or_a_workflow_imports_no_other_workflow(kit: Kit) -> None:
    add_workflow(kit, "Second")
    assert imported_too(kit) == {}


@pytest.mark.parametrize(
    ("file", "line", "blamed"),
    [
        ("__init__.py", "from workflows.ping_workflow import PingWorkflow", "workflows"),
        ("__init__.py", "from . import second_workflow", "workflows"),
        ("ping_workflow.py", "from workflows import Second", "workflows.ping_workflow"),
        (
            "ping_workflow.py",
            "with workflow.unsafe.imports_passed_through():\n    import workflows.second_workflow",
            "workflows.ping_workflow",
        ),
    ],
    ids=["package", "package-relative", "workflow", "workflow-passed-through"],
)
def test_a_layout_that_imports_more_is_noticed(kit: Kit, file: str, line: str, blamed: str) -> None:
    add_workflow(kit, "Second")
    anchor = "\ndef __getattr__" if file == "__init__.py" else "\n@workflow.defn"
    edit(kit, f"workflows/{file}", anchor, f"\n{line}\n{anchor}")
    assert blamed in imported_too(kit)


def test_no_workflow_is_passed_through_the_sandbox(kit: Kit, dev_server: DevServer) -> None:
    add_workflow(kit, "Second")
    assert python(kit, EXPOSED, TEMPORAL_ADDRESS=dev_server.address) == []


@pytest.mark.parametrize("module", ["workflows", "workflows.ping_workflow"])
def test_a_workflow_passed_through_is_noticed(kit: Kit, dev_server: DevServer, module: str) -> None:
    new = PASS_THROUGH.format(module=module)
    edit(kit, "workers/worker.py", "    return Worker(\n        client,\n", new)
    assert module in python(kit, EXPOSED, TEMPORAL_ADDRESS=dev_server.address)


def test_a_workflow_out_of_the_sandbox_is_noticed(kit: Kit, dev_server: DevServer) -> None:
    edit(kit, "workflows/ping_workflow.py", "workflow.defn", "workflow.defn(sandboxed=False)")
    found = python(kit, EXPOSED, TEMPORAL_ADDRESS=dev_server.address)
    assert found == ["PingWorkflow"]


def test_a_workflow_is_added_by_one_file_and_one_line_and_runs_share_no_memory(
    kit: Kit, dev_server: DevServer
) -> None:
    add_workflow(kit, "Counting")
    assert answers(kit, dev_server, "Counting", 3) == [1, 1, 1]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ("open('/dev/null')", "builtins__.open"),
        ("time.time()", "time.time"),
        ("random.random()", "random.random"),
    ],
    ids=["open", "time", "random"],
)
def test_the_sandbox_refuses_what_is_not_deterministic(
    kit: Kit, dev_server: DevServer, call: str, named: str
) -> None:
    add_workflow(kit, "Careless", CARELESS.replace("{call}", call))
    queue = f"layout-{uuid.uuid4().hex[:8]}"

    async def start() -> None:
        client = await Client.connect(dev_server.address)
        timeout = timedelta(seconds=30)
        await client.start_workflow(
            "Careless", id=queue, task_queue=queue, execution_timeout=timeout
        )

    with started_worker(kit, dev_server, queue) as worker:
        worker.wait_for("Worker running")
        asyncio.run(start())
        refusal = worker.wait_for("RestrictedWorkflowAccessError:")
    assert named in refusal
