"""Start GreetingWorkflow every day."""

import sys
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporalio.client import Schedule, ScheduleActionStartWorkflow as Start
from temporalio.client import ScheduleIntervalSpec as Every, ScheduleSpec

from temporal_client import get_temporal_client, load_settings
from temporal_kit import run_script


async def main() -> None:
    client, queue = await get_temporal_client(), load_settings().task_queue
    start = Start("GreetingWorkflow", "Ada", id="greet-daily", task_queue=queue)
    daily = ScheduleSpec(intervals=[Every(every=timedelta(days=1))])
    await client.create_schedule("greet-daily", Schedule(action=start, spec=daily))


run_script(main, __doc__)
