"""GreetingWorkflow on a real server, with a mock in place of its activity."""

import asyncio

from temporalio import activity
from temporalio.worker import Worker

from temporal_client import get_temporal_client
from temporal_kit.testing import local_server
from workflows.greeting_workflow import GreetingWorkflow


@activity.defn(name="compose_greeting")
async def compose_greeting_mock(name: str) -> str:
    return f"mocked {name}"


async def greet() -> str:
    mocked = {"workflows": [GreetingWorkflow], "activities": [compose_greeting_mock]}
    async with local_server(get_temporal_client) as (client, settings):
        async with Worker(client, task_queue=(queue := settings.task_queue), **mocked):
            run = GreetingWorkflow.run
            return await client.execute_workflow(run, "Ada", id="greet", task_queue=queue)


def test_greeting() -> None:
    assert asyncio.run(greet()) == "mocked Ada"
