"""The least code that asks a server for the namespace."""

import asyncio
import os

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    request = DescribeNamespaceRequest(namespace=client.namespace)
    print((await client.workflow_service.describe_namespace(request)).namespace_info.state)


asyncio.run(main())
