"""Have a running OrderWorkflow send its goods elsewhere, and print where they went before."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporal_kit import load_env_file, run_script

load_env_file(ROOT / ".env")

from temporal_client import get_temporal_client
from workflows.order_workflow import OrderWorkflow


async def main() -> None:
    order = (await get_temporal_client()).get_workflow_handle("order-1")
    before = await order.execute_update(OrderWorkflow.send_to, "1 Main Street")
    print(f"1 Main Street, not {before!r}")


run_script(main, __doc__)
