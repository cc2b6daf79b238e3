"""Poll the task queue and run workflows and activities until told to stop.

Ctrl+C or SIGTERM stops it: running work gets TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS (30 unless set) to
finish, then it exits with 0. A second Ctrl+C ends it at once.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import PollerBehaviorAutoscaling, Worker, WorkerDeploymentConfig

from temporal_client import connect, describe_namespace, load_settings, name_server
from temporal_findings import SettingsError, error
from temporal_script import LEAVE_SECONDS, arguments, explained, guard, log, run
from temporal_settings import Settings
from workflows.ping_workflow import PingWorkflow

WORKFLOWS: list[type] = [PingWorkflow]
ACTIVITIES: list[Callable[..., Any]] = []
MAX_CONCURRENT_WORKFLOW_TASKS = 100  # must be at least 2
MAX_CONCURRENT_ACTIVITIES = 100
WATCH_SECONDS = 5.0


@asynccontextmanager
async def activities() -> AsyncIterator[list[Callable[..., Any]]]:
    """The activities, for as long as the worker runs.

    Create here what they share, such as a pool or an HTTP client, and yield methods of a class that
    holds it. With `async with` around the `yield` it is closed once the worker has stopped.
    """
    yield ACTIVITIES


def grace_seconds(settings: Settings) -> int:
    """What running work gets to finish after a signal; raises `SettingsError`."""
    value = settings.value("TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS")
    if not re.fullmatch("[0-9]{1,6}", value.text):
        raise SettingsError(error(f"{value} is not a whole number of seconds", f"{value.name}=30"))
    return int(value.text)


def build_worker(
    client: Client, settings: Settings, activities: list[Callable[..., Any]]
) -> Worker:
    """A worker with everything that is registered, ready to run."""
    deployment = None
    if build := settings["TEMPORAL_WORKER_BUILD_ID"]:
        deployment = WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(settings["TEMPORAL_DEPLOYMENT_NAME"], build),
            use_worker_versioning=True,
            # A run finishes on the build that it started on, so that no unknown code replays it.
            # A long-lived workflow can opt in to AUTO_UPGRADE.
            default_versioning_behavior=VersioningBehavior.PINNED,
        )
    # Autoscaling pollers: a third of the p99 latency of the SDK's five fixed ones. More than 20
    # gain nothing, and on an overloaded server they can delay tasks by 10 s.
    pollers = PollerBehaviorAutoscaling(maximum=20)
    return Worker(
        client,
        task_queue=settings["TEMPORAL_TASK_QUEUE"],
        workflows=WORKFLOWS,
        activities=activities,
        activity_executor=ThreadPoolExecutor(MAX_CONCURRENT_ACTIVITIES),  # for `def` activities
        max_concurrent_workflow_tasks=MAX_CONCURRENT_WORKFLOW_TASKS,
        max_concurrent_activities=MAX_CONCURRENT_ACTIVITIES,
        workflow_task_poller_behavior=pollers,
        activity_task_poller_behavior=pollers,
        graceful_shutdown_timeout=timedelta(seconds=grace_seconds(settings)),
        deployment_config=deployment,
    )


async def connect_worker(settings: Settings) -> Client:
    """A client that may poll; raises `RPCError` if the credential does not permit it."""
    client = await connect(settings, metrics=True)
    await describe_namespace(client)
    # Servers authorize before they validate: a poll without a task queue asks for permission alone.
    request = PollWorkflowTaskQueueRequest(namespace=client.namespace)
    try:
        poll = client.workflow_service.poll_workflow_task_queue
        await poll(request, timeout=timedelta(seconds=2))
    except RPCError as refused:
        if refused.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
            raise
    return client


async def watch(worker: Worker, settings: Settings) -> None:
    """Apply rotated credentials, and log once when the server is lost and once when it is back."""
    refused, lost = "", False
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        try:
            fresh = await asyncio.wait_for(asyncio.to_thread(load_settings), WATCH_SECONDS)
            if fresh.profile != settings.profile:
                async with explained(fresh):
                    worker.client, settings = await connect_worker(fresh), fresh
                log.info("Credentials changed: the new ones are in use")
            refused = ""
        except Exception as problem:  # never stop a healthy worker for this
            if refused != str(problem):
                refused = str(problem)
                log.error("Changed settings not taken up, the old ones stay in use:\n%s", refused)
        try:
            async with nullcontext() if lost else explained(settings):
                await describe_namespace(worker.client)
            if lost:
                log.info("The server is back")
            lost = False
        except Exception as problem:
            if not lost:
                log.error("Lost the server, trying on:\n%s", problem)
            lost = True


async def main(args: argparse.Namespace) -> int:
    """Run the worker until it is cancelled, then let running work finish."""
    settings = load_settings()
    log.info("Starting worker on task queue %r...", settings["TEMPORAL_TASK_QUEUE"])
    args.stop_seconds = grace_seconds(settings)
    guard(args.stop_seconds + LEAVE_SECONDS + 1)
    async with activities() as registered, explained(settings):
        client = await connect_worker(settings)
        log.info("Connected to %s", name_server(settings))
        worker = build_worker(client, settings, registered)
        log.info("Worker created with:")
        log.info("  - Namespace: %s", client.namespace)
        log.info("  - Task queue: %s", worker.task_queue)
        for title, listed in (("Workflows", WORKFLOWS), ("Activities", registered)):
            names = ", ".join(one.__name__ for one in listed) or "none registered"
            log.info("  - %s: %d (%s)", title, len(listed), names)
        if build := settings["TEMPORAL_WORKER_BUILD_ID"]:
            log.info("  - Version: %s, %s", settings["TEMPORAL_DEPLOYMENT_NAME"], build)
        with suppress(asyncio.CancelledError):
            async with worker:
                while not worker.is_running:
                    await asyncio.sleep(0.01)
                log.info("Worker running... (Ctrl+C to stop)")
                await watch(worker, settings)
    log.info("Worker stopped")
    return 0


if __name__ == "__main__":
    options = arguments(__doc__)
    options.set_defaults(stop_code=0)
    run(main, options)
