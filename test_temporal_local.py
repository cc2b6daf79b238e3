"""Your tests. They run on local Temporal servers, which requirements-dev.txt brings.

python -m pytest
python test_temporal_local.py     this file alone, without pytest
"""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

# The sandbox imports this file again for the workflow below; these modules are passed through.
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
    """In real code it sends an email; here it is never called."""
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
    """Stands in for `send_reminder`: registered under the same name."""
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
    for imported in (workflow.__name__, f"temporalio.worker.{Worker.__name__}"):
        print(f"✓ {imported}")
    print(f"✓ temporalio.client.{Client.__name__}")
    test_workflow_executes()
    print("✓ Workflow executed successfully")
    test_reminder_after_thirty_days()
    print("✓ All tests passed")
