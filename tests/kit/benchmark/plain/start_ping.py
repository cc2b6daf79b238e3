"""The least code that runs a ping."""

import asyncio
import os
import uuid

from temporalio.client import Client

from workflows.ping_workflow import PingWorkflow


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    queue = os.environ["TEMPORAL_TASK_QUEUE"]
    print(await client.execute_workflow(PingWorkflow.run, id=str(uuid.uuid4()), task_queue=queue))


asyncio.run(main())
