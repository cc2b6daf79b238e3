"""Start PingWorkflow, wait for its result and print it: `ok`.

Exits with 0, with 1 if the ping failed, and with 130 on Ctrl+C.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporal_kit import load_env_file

# Puts your own variables of .env into os.environ, which the imports below may read. Temporal's
# settings are not among them: load_settings() reads those.
load_env_file(ROOT / ".env")

import argparse
import asyncio
import logging
import uuid
from datetime import timedelta

from temporalio.client import Client

from temporal_client import get_temporal_client, load_settings
from temporal_kit import Settings, explain_errors, printable, run_script, warn_without_worker
from workflows.ping_workflow import PingWorkflow

log = logging.getLogger(__name__)


async def ping(client: Client, settings: Settings, task_queue: str, timeout: float) -> str:
    """Run PingWorkflow and return its result, or raise `asyncio.TimeoutError` after `timeout` s."""
    run = _start_and_wait(client, settings, task_queue, timeout)
    return await asyncio.wait_for(run, timeout)


async def _start_and_wait(
    client: Client, settings: Settings, task_queue: str, timeout: float
) -> str:
    log.info("Starting PingWorkflow on task queue %r...", task_queue)
    handle = await client.start_workflow(
        PingWorkflow.run,
        id=f"ping-{uuid.uuid4().hex[:12]}",
        task_queue=task_queue,
        execution_timeout=timedelta(seconds=timeout + 5),  # ends a ping we stopped waiting for
    )
    log.info("Workflow started: %s", handle.id)
    if link := settings.web_ui_link(handle.id, handle.first_execution_run_id or ""):
        log.info("%s", link)
    log.info("Waiting for result...")
    async with warn_without_worker(client, task_queue):
        result = await handle.result()
    log.info("✓ Workflow completed successfully")
    return result


async def main(args: argparse.Namespace) -> None:
    """Ping once."""
    settings = load_settings()
    log.info("Starting ping workflow...")
    client = await get_temporal_client(settings)
    log.info("Connected to %s", settings.server)
    queue = args.task_queue or settings.task_queue
    # If the ping fails, explain_errors opens a new connection to find out which step is broken.
    async with explain_errors(settings, connect=get_temporal_client):
        print(printable(await ping(client, settings, queue, args.timeout)))


def seconds(text: str) -> float:
    """The type of --timeout; for a bad value argparse prints `invalid seconds value`."""
    if not 0 < float(text) < 1e8:  # three years, which the server takes; not inf, not nan
        raise ValueError
    return float(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task-queue", metavar="NAME", help="default: TEMPORAL_TASK_QUEUE")
    wait = "how long to wait for the result (default: 60)"
    parser.add_argument("--timeout", type=seconds, default=60.0, metavar="SECONDS", help=wait)
    run_script(main, parser)
