"""Start GreetingWorkflow and print its answer."""

import argparse
import asyncio
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.start_ping import warn_without_worker  # noqa: I001
from temporal_client import connect, load_settings
from temporal_script import arguments, explained, run
from workflows.greeting_workflow import GreetingWorkflow


async def main(args: argparse.Namespace) -> int:
    settings = load_settings()
    queue = settings["TEMPORAL_TASK_QUEUE"]
    async with explained(settings):
        client = await connect(settings)
        handle = await client.start_workflow(
            GreetingWorkflow.run,
            args.name,
            id=f"greeting-{uuid.uuid4()}",
            task_queue=queue,
        )
    watching = asyncio.create_task(warn_without_worker(client, queue, time.time()))
    print(await handle.result())
    watching.cancel()
    return 0


parser = arguments(__doc__)
parser.add_argument("name")
run(main, parser)
