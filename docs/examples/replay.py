"""Replay the saved histories: fails if a run would now take another turn, or without any."""

from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from temporal_client import client_options
from temporal_kit import run_script, sdk_runtime
from workers.worker import WORKFLOWS


async def main() -> int:
    converter = {k: v for k, v in client_options().items() if k == "data_converter"}
    replayer = Replayer(workflows=WORKFLOWS, runtime=sdk_runtime(), **converter)
    files = sorted(Path("histories").glob("*.json"))
    failed = 0
    for file in files:
        history = WorkflowHistory.from_json(file.stem, file.read_text())
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        failed += result.replay_failure is not None
        print("✗" if result.replay_failure else "✓", file.stem)
    return 0 if files and not failed else 1


run_script(main, __doc__)
