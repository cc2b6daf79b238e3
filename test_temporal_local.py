"""Your tests. They run on real servers, which come with requirements-dev.txt, and need no network.

    python -m pytest
    python test_temporal_local.py     this file alone, without pytest
"""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():  # a workflow below has this file imported again
    from temporal_client import client_options, get_temporal_client
    from temporal_kit.testing import local_server, time_skipping
    from workers.worker import activities, create_worker
    from workflows.ping_workflow import PingWorkflow


def test_workflow_executes() -> None:
    """PingWorkflow answers `ok` on a real server, run by the worker as it is."""

    async def ping() -> str:
        async with (
            local_server(get_temporal_client) as (client, settings),
            activities(client, settings) as registered,
            create_worker(client, settings, registered) as worker,
        ):
            return await client.execute_workflow(
                PingWorkflow.run, id="ping", task_queue=worker.task_queue
            )

    assert asyncio.run(ping()) == "ok"


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
        await workflow.sleep(timedelta(days=30))
        return await workflow.execute_activity(
            send_reminder, name, start_to_close_timeout=timedelta(seconds=10)
        )


@activity.defn(name="send_reminder")
async def pretend_to_send(name: str) -> str:
    """In the place of the real activity, by its name."""
    return f"reminded {name}"


def test_reminder_after_thirty_days() -> None:
    """The server of this test skips the time in which a workflow waits."""

    async def remind() -> str:
        async with time_skipping(**client_options()) as env:
            async with Worker(
                env.client,
                task_queue="reminders",
                workflows=[ReminderWorkflow],
                activities=[pretend_to_send],
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
