"""Start GreetingWorkflow and print its answer."""

import argparse
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from temporal_client import connect, load_settings  # noqa: I001
from temporal_script import arguments, explained, run
from workflows.greeting_workflow import GreetingWorkflow


async def main(args: argparse.Namespace) -> int:
    settings = load_settings()
    async with explained(settings):
        client = await connect(settings)
        handle = await client.start_workflow(
            GreetingWorkflow.run,
            args.name,
            id=f"greeting-{uuid.uuid4()}",
            task_queue=settings["TEMPORAL_TASK_QUEUE"],
        )
    print(await handle.result())
    return 0


parser = arguments(__doc__)
parser.add_argument("name")
run(main, parser)
