"""Tell a running OrderWorkflow that it is paid, and ask what its state is."""

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
    await order.signal(OrderWorkflow.pay, 12.5)
    print(await order.query(OrderWorkflow.state))


run_script(main, __doc__)
