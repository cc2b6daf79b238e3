"""Start PingWorkflow, wait for its answer and print it: `ok`."""

import asyncio
import os
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from temporal_client import DEFAULTS, get_temporal_client, load_settings
from workflows.ping_workflow import PingWorkflow


async def main() -> None:
    client = await get_temporal_client()
    queue = load_settings().get("TEMPORAL_TASK_QUEUE", DEFAULTS["TEMPORAL_TASK_QUEUE"])
    id = f"ping-{uuid.uuid4()}"
    print(await client.execute_workflow(PingWorkflow.run, id=id, task_queue=queue))


if __name__ == "__main__":
    asyncio.run(main())
    # The SDK's threads may crash an interpreter that shuts down, after all work is done.
    sys.stdout.flush()
    os._exit(0)
