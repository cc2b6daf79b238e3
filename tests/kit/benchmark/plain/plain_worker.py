"""The least code that makes a worker: the SDK as it comes."""

import asyncio
import os

from temporalio.client import Client
from temporalio.worker import Worker

from workflows.ping_workflow import PingWorkflow


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    worker = Worker(client, task_queue=os.environ["TEMPORAL_TASK_QUEUE"], workflows=[PingWorkflow])
    print("Worker running", flush=True)
    await worker.run()


asyncio.run(main())
