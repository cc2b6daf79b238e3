"""The least code that starts a server, a worker and a ping."""

import asyncio
import os
import uuid

from ping_workflow import PingWorkflow  # type: ignore[import-not-found]
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker


async def main() -> None:
    binary = os.environ["SERVER_BINARY"]
    async with (
        await WorkflowEnvironment.start_local(dev_server_existing_path=binary) as server,
        Worker(server.client, task_queue="ping", workflows=[PingWorkflow]),
    ):
        run = server.client.execute_workflow
        print(await run(PingWorkflow.run, id=str(uuid.uuid4()), task_queue="ping"))


asyncio.run(main())
