"""Start PingWorkflow, wait for its answer and print it: `ok`.

Exits with 0, with 1 if the ping failed, and with 130 on Ctrl+C.
"""

import argparse
import asyncio
import logging
import sys
import uuid
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporal_kit import load_env_file

load_env_file(ROOT / ".env")  # your own variables, before your modules are imported

from temporalio.client import Client

from temporal_client import get_temporal_client, load_settings
from temporal_kit import Settings, explain_errors, printable, run_script, warn_without_worker
from workflows.ping_workflow import PingWorkflow

log = logging.getLogger(__name__)


async def ping(client: Client, settings: Settings, timeout: float) -> str:
    """Run PingWorkflow, logging each step; returns its answer, or raises `TimeoutError`."""
    log.info("Starting PingWorkflow on task queue %r...", settings.task_queue)
    handle = await client.start_workflow(
        PingWorkflow.run,
        id=f"ping-{uuid.uuid4().hex[:12]}",
        task_queue=settings.task_queue,
        execution_timeout=timedelta(seconds=timeout + 5),
    )
    log.info("Workflow started: %s", handle.id)
    if link := settings.web_ui_link(handle.id, handle.first_execution_run_id or ""):
        log.info("%s", link)
    log.info("Waiting for result...")
    async with warn_without_worker(client, settings.task_queue):
        answer = await asyncio.wait_for(handle.result(), timeout)
    log.info("✓ Workflow completed successfully")
    return answer


async def main(args: argparse.Namespace) -> None:
    """Ping once."""
    settings = load_settings()
    log.info("Starting ping workflow...")
    client = await get_temporal_client(settings)
    log.info("Connected to %s", settings.server)
    async with explain_errors(settings, get_temporal_client):
        print(printable(await ping(client, settings, args.timeout)))


def seconds(text: str) -> float:
    """A number of seconds above 0, for argparse."""
    if not 0 < float(text) < 1e8:
        raise ValueError
    return float(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    about = "seconds to wait for the answer (default: 60)"
    parser.add_argument("--timeout", type=seconds, default=60.0, metavar="SECONDS", help=about)
    run_script(main, parser)
