"""A worker by the SDK alone with the same tuning as the kit's, written by hand."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from temporalio.client import Client, GrpcCompression, KeepAliveConfig
from temporalio.worker import PollerBehaviorAutoscaling, Worker

from workflows.ping_workflow import PingWorkflow


async def main() -> None:
    client = await Client.connect(
        os.environ["TEMPORAL_ADDRESS"],
        grpc_compression=GrpcCompression.NONE,
        keep_alive_config=KeepAliveConfig(interval_millis=15_000, timeout_millis=5_000),
    )
    pollers = PollerBehaviorAutoscaling(maximum=20)
    worker = Worker(
        client,
        task_queue=os.environ["TEMPORAL_TASK_QUEUE"],
        workflows=[PingWorkflow],
        activity_executor=ThreadPoolExecutor(100),
        max_concurrent_workflow_tasks=100,
        max_concurrent_activities=100,
        workflow_task_poller_behavior=pollers,
        activity_task_poller_behavior=pollers,
        graceful_shutdown_timeout=timedelta(seconds=30),
    )
    print("Worker running", flush=True)
    await worker.run()


asyncio.run(main())
