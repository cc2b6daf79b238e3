"""Your tests. They need no connection: the servers come with requirements-dev.txt.

    python -m pytest
    python test_temporal_local.py     this file alone, without pytest
"""

import asyncio
import logging
import shutil
import sys
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():  # a workflow below has this file imported again
    from scripts.run_local import dev_server, local_worker
    from scripts.start_ping import ping
    from temporal_runtime import sdk_runtime


def test_workflow_executes() -> None:
    """PingWorkflow answers `ok` on a real server, run by the worker as it is."""

    async def answer() -> str:
        async with dev_server() as settings, local_worker(settings) as client:
            return await ping(client, settings, timeout=30)

    assert asyncio.run(answer()) == "ok"


# An example for your own: a workflow in which days pass, and its activity. Import both from their
# modules in your tests.


@activity.defn
async def send_reminder(name: str) -> str:
    """What the test replaces: it would send a mail."""
    raise NotImplementedError


@workflow.defn
class ReminderWorkflow:
    """Waits for thirty days, then reminds."""

    @workflow.run
    async def run(self, name: str) -> str:
        """Gives what the activity answers."""
        await asyncio.sleep(timedelta(days=30).total_seconds())
        return await workflow.execute_activity(
            send_reminder, name, start_to_close_timeout=timedelta(seconds=10)
        )


@activity.defn(name="send_reminder")
async def pretend_to_send(name: str) -> str:
    """In the place of the real activity, by its name."""
    return f"reminded {name}"


def test_reminder_after_thirty_days() -> None:
    """The server of this test skips the time in which a workflow waits."""

    async def answer() -> str:
        server = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
        async with await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=server, runtime=sdk_runtime()
        ) as env:
            worker = Worker(
                env.client,
                task_queue="reminders",
                workflows=[ReminderWorkflow],
                activities=[pretend_to_send],
            )
            async with worker:
                return await env.client.execute_workflow(
                    ReminderWorkflow.run, "Ada", id="reminder", task_queue="reminders"
                )

    assert asyncio.run(answer()) == "reminded Ada"


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print(f"✓ {name}")
    print("✓ All tests passed")
