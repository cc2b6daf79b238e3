"""Start PingWorkflow, wait for its answer and print it: `ok`.

Exits with 0, with 1 if the ping failed, and with 130 on Ctrl+C.
"""

import argparse
import asyncio
import sys
import time
import uuid
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from temporal_client import connect, describe_namespace, find_worker, load_settings
from temporal_findings import Failure, error, log, redact
from temporal_script import arguments, explained, run
from temporal_settings import DEFAULTS, Settings
from workflows.ping_workflow import PingWorkflow

NO_WORKER_SECONDS = 3.0


async def ping(client: Client, settings: Settings, timeout: float) -> str:
    """Run PingWorkflow, logging each step; returns its answer.

    Raises `Failure` if it failed, and `asyncio.TimeoutError` after `timeout` seconds.
    """
    queue, began = settings["TEMPORAL_TASK_QUEUE"], time.time()
    log.info("Starting PingWorkflow on task queue %r...", queue)
    handle = await client.start_workflow(
        PingWorkflow.run,
        id=f"ping-{uuid.uuid4().hex[:12]}",
        task_queue=queue,
        execution_timeout=timedelta(seconds=timeout + 5),
    )
    log.info("Workflow started: %s", handle.id)
    if link := web_ui(settings, handle.id, handle.first_execution_run_id or ""):
        log.info("%s", link)
    log.info("Waiting for result...")
    watcher = asyncio.ensure_future(warn_without_worker(client, queue, began))
    try:
        answer = await asyncio.wait_for(handle.result(), timeout)
    except WorkflowFailureError as failed:
        raise Failure(error(f"the workflow failed: {failed.cause}")) from failed
    finally:
        watcher.cancel()
    log.info("✓ Workflow completed successfully")
    return answer


def web_ui(settings: Settings, workflow_id: str, run_id: str) -> str:
    """Where Temporal's Web UI shows a run; empty where that is not known."""
    run = f"namespaces/{settings['TEMPORAL_NAMESPACE']}/workflows/{workflow_id}/{run_id}"
    if settings.on_cloud:
        return f"https://cloud.temporal.io/{run}"
    local = settings["TEMPORAL_ADDRESS"] == DEFAULTS["TEMPORAL_ADDRESS"]
    return f"http://localhost:8233/{run}" if local else ""


async def warn_without_worker(client: Client, queue: str, since: float) -> None:
    """Warn once, after some seconds, when no worker is polling."""
    finding = None
    while not finding or finding.level == "ok":
        await asyncio.sleep(NO_WORKER_SECONDS)
        with suppress(RPCError):
            finding = await find_worker(client, queue, since)
    log.warning("%s", finding)


async def main(args: argparse.Namespace) -> int:
    """Ping once."""
    settings = load_settings()
    log.info("Starting ping workflow...")
    async with explained(settings):
        client = await connect(settings)
        await describe_namespace(client)
        log.info("Connected to %s", settings.server)
        print(redact(await ping(client, settings, args.timeout)))
    return 0


def seconds(text: str) -> float:
    """A number of seconds above 0, for argparse."""
    if not 0 < float(text) < 1e8:
        raise ValueError
    return float(text)


if __name__ == "__main__":
    options = arguments(__doc__)
    about = "seconds to wait for the answer (default: 60)"
    options.add_argument("--timeout", type=seconds, default=60.0, metavar="SECONDS", help=about)
    run(main, options)
