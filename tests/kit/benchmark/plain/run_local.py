"""The least code that starts a development server and a worker and runs a ping."""

import asyncio
import shutil
import sys
import uuid
from pathlib import Path

from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from workflows.ping_workflow import PingWorkflow


async def main() -> None:
    binary = shutil.which("temporal", path=str(Path(sys.executable).parent))
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=binary) as server:
        client = server.client
        async with Worker(client, task_queue="local", workflows=[PingWorkflow]):
            run, name = PingWorkflow.run, str(uuid.uuid4())
            print(await client.execute_workflow(run, id=name, task_queue="local"))


asyncio.run(main())
