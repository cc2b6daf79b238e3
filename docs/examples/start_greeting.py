"""Start GreetingWorkflow and print its answer."""

import argparse
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporal_kit import load_env_file

load_env_file(ROOT / ".env")

from temporal_client import get_temporal_client, load_settings
from temporal_kit import run_script, warn_without_worker
from workflows.greeting_workflow import GreetingWorkflow


async def main(args: argparse.Namespace) -> None:
    client = await get_temporal_client()
    id, queue = f"greeting-{uuid.uuid4()}", load_settings().task_queue
    async with warn_without_worker(client, queue):
        run = GreetingWorkflow.run
        print(await client.execute_workflow(run, args.name, id=id, task_queue=queue))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("name")
run_script(main, parser)
