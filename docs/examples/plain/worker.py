"""Poll the task queue and run workflows and activities until told to stop."""

import asyncio
import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from temporalio.worker import Worker

from temporal_client import DEFAULTS, get_temporal_client, load_settings
from workflows.ping_workflow import PingWorkflow

WORKFLOWS = [PingWorkflow]
ACTIVITIES = []


async def main() -> None:
    client = await get_temporal_client()
    worker = Worker(
        client,
        task_queue=load_settings().get("TEMPORAL_TASK_QUEUE", DEFAULTS["TEMPORAL_TASK_QUEUE"]),
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        activity_executor=ThreadPoolExecutor(100),
        graceful_shutdown_timeout=timedelta(seconds=30),
    )
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with worker:
        logging.info("Worker running... (Ctrl+C to stop)")
        await stopped.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s - %(message)s")
    asyncio.run(main())
    # The SDK's threads may crash an interpreter that shuts down, after all work is done.
    sys.stdout.flush()
    os._exit(0)
