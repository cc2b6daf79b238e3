"""Start OrderWorkflow, and do not wait for it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporal_kit import load_env_file, run_script

load_env_file(ROOT / ".env")

from temporal_client import get_temporal_client, load_settings
from workflows.order_workflow import OrderWorkflow


async def main() -> None:
    client, queue = await get_temporal_client(), load_settings().task_queue
    order = await client.start_workflow(OrderWorkflow.run, id="order-1", task_queue=queue)
    print(f"{order.id} has begun")


run_script(main, __doc__)
