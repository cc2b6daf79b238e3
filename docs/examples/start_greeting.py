"""Start GreetingWorkflow and wait for its result."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporal_kit import load_env_file, run_script, warn_without_worker

load_env_file(ROOT / ".env")

from temporal_client import get_temporal_client, load_settings
from workflows.greeting_workflow import GreetingWorkflow as Greet


async def main() -> None:
    client, queue = await get_temporal_client(), load_settings().task_queue
    async with warn_without_worker(client, queue):
        print(await client.execute_workflow(Greet.run, "Ada", id="greet-ada", task_queue=queue))


run_script(main, __doc__)
