"""Your tests. They run on local Temporal servers, from requirements-dev.txt, and need no network.

    python -m pytest
    python test_temporal_local.py     this file alone, without pytest
"""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.worker import Worker

# For the workflow below the sandbox imports this file again, but not these modules.
with workflow.unsafe.imports_passed_through():
    from temporal_client import client_options, get_temporal_client
    from temporal_kit.testing import local_server, time_skipping
    from workers.worker import create_worker, open_activities
    from workflows.ping_workflow import PingWorkflow


def test_workflow_executes() -> None:
    """PingWorkflow returns `ok` on a real server, run by the worker as workers/worker.py builds it."""

    async def ping() -> str:
        async with (
            local_server(get_temporal_client) as (client, settings),
            open_activities(client, settings) as activity_list,
            create_worker(client, settings, activity_list) as worker,
        ):
            return await client.execute_workflow(
                PingWorkflow.run, id="ping", task_queue=worker.task_queue
            )

    assert asyncio.run(ping()) == "ok"


# An example: a workflow that waits for days, and its activity. In your tests, import both.


@activity.defn
async def send_reminder(name: str) -> str:
    """Would send an email."""
    raise NotImplementedError


@workflow.defn
class ReminderWorkflow:
    """Waits for thirty days, then reminds."""

    @workflow.run
    async def run(self, name: str) -> str:
        """Return the activity's result."""
        await workflow.sleep(timedelta(days=30))
        return await workflow.execute_activity(
            send_reminder, name, start_to_close_timeout=timedelta(seconds=10)
        )


@activity.defn(name="send_reminder")
async def send_reminder_mock(name: str) -> str:
    """Replaces `send_reminder`, whose name it is registered by."""
    return f"reminded {name}"


def test_reminder_after_thirty_days() -> None:
    """The server of this test skips timers, so that thirty days take no time."""

    async def remind() -> str:
        async with time_skipping(**client_options()) as env:
            async with Worker(
                env.client,
                task_queue="reminders",
                workflows=[ReminderWorkflow],
                activities=[send_reminder_mock],
            ):
                return await env.client.execute_workflow(
                    ReminderWorkflow.run, "Ada", id="reminder", task_queue="reminders"
                )

    assert asyncio.run(remind()) == "reminded Ada"


if __name__ == "__main__":
    for imported in ("temporalio.workflow", "temporalio.worker.Worker", "temporalio.client.Client"):
        print(f"✓ {imported}")
    test_workflow_executes()
    print("✓ Workflow executed successfully")
    test_reminder_after_thirty_days()
    print("✓ All tests passed")
