"""The least code that sees whether a server answers, knows the namespace and has a worker."""

import asyncio
import os

from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    queue = TaskQueue(name=os.environ["TEMPORAL_TASK_QUEUE"])
    request = DescribeTaskQueueRequest(namespace="default", task_queue=queue)
    print(len((await client.workflow_service.describe_task_queue(request)).pollers))


asyncio.run(main())
