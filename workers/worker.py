"""Poll the task queue and run workflows and activities until told to stop.

Ctrl+C or SIGTERM stops it: running work gets TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS (30 unless set) to
finish, then it exits with 0. A second signal ends it at once.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import PollerBehaviorAutoscaling, Worker, WorkerDeploymentConfig

from temporal_client import connect, describe_namespace, follow_credentials, load_settings
from temporal_findings import Failure, SettingsError, error, log
from temporal_script import SDK_ERRORS, arguments, explain, explained, give_time, run, watchdog
from temporal_settings import Settings, read_settings
from workflows.ping_workflow import PingWorkflow

WORKFLOWS: list[type] = [PingWorkflow]
ACTIVITIES: list[Callable[..., Any]] = []
MAX_CONCURRENT_WORKFLOW_TASKS = 100  # must be at least 2
MAX_CONCURRENT_ACTIVITIES = 100
WATCH_SECONDS = 5.0  # from one look at the server to the next


@asynccontextmanager
async def activities() -> AsyncIterator[list[Callable[..., Any]]]:
    """The activities, for as long as the worker runs.

    Create here what they share, such as a pool or an HTTP client, and yield methods of a class that
    holds it. With `async with` around the `yield` it is closed once the worker has stopped.
    """
    yield ACTIVITIES


def grace_seconds(settings: Settings) -> int:
    """The seconds that running work gets to finish after a signal; raises `SettingsError`."""
    value = settings.value("TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS")
    if not re.fullmatch("[0-9]{1,6}", value.text):
        raise SettingsError(error(f"{value} is not a whole number of seconds", f"{value.name}=30"))
    return int(value.text)


def build_worker(
    client: Client, settings: Settings, registered: list[Callable[..., Any]]
) -> Worker:
    """A worker with everything that is registered, ready to run."""
    if forgotten := watchdog.unregistered([*WORKFLOWS, *registered]) if watchdog else []:
        log.warning("Not registered in workers/worker.py: %s", ", ".join(forgotten))
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
        activities=registered,
        activity_executor=ThreadPoolExecutor(MAX_CONCURRENT_ACTIVITIES),  # for `def` activities
        max_concurrent_workflow_tasks=MAX_CONCURRENT_WORKFLOW_TASKS,
        max_concurrent_activities=MAX_CONCURRENT_ACTIVITIES,
        workflow_task_poller_behavior=pollers,
        activity_task_poller_behavior=pollers,
        graceful_shutdown_timeout=timedelta(seconds=grace_seconds(settings)),
        deployment_config=deployment,
    )


async def connect_worker(settings: Settings, metrics: str) -> Client:
    """A client that may poll; raises `Failure` if it cannot connect, or may not poll."""
    async with explained(settings):
        client = await connect(settings, metrics=metrics)
        await describe_namespace(client)
        # Without a queue a poll takes no task: it is refused as invalid, or for lack of permission.
        request = PollWorkflowTaskQueueRequest(namespace=client.namespace)
        try:
            poll = client.workflow_service.poll_workflow_task_queue
            await poll(request, timeout=timedelta(seconds=2))
        except RPCError as refused:
            if refused.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
                raise
        return client


async def watch_server(worker: Worker) -> None:
    """Log once when the server is lost, and once when it is back."""
    lost = False
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        try:
            await describe_namespace(worker.client)
            if lost:
                log.info("The server is back")
            lost = False
        except SDK_ERRORS as problem:
            if not lost:
                cause = await explain(problem, await asyncio.to_thread(read_settings))
                log.error("Lost the server, still trying:\n%s", cause)
            lost = True


async def main(args: argparse.Namespace) -> int:
    """Run the worker until it is cancelled, then let running work finish."""
    settings = load_settings()
    log.info("Starting worker on task queue %r...", settings["TEMPORAL_TASK_QUEUE"])
    give_time(args, grace_seconds(settings))
    async with activities() as registered:
        with suppress(asyncio.CancelledError):
            await work(settings, registered)
    log.info("Worker stopped")
    return 0


async def work(settings: Settings, registered: list[Callable[..., Any]]) -> None:
    """Connect and poll until cancelled."""
    async with explained(settings):
        # Where metrics are served stays, as the SDK's runtime does, when new credentials are used.
        connect_again = partial(connect_worker, metrics=settings["TEMPORAL_METRICS_ADDRESS"])
        client = await connect_again(settings)
        log.info("Connected to %s", settings.server)
        worker = build_worker(client, settings, registered)
        log.info("Worker created with:")
        log.info("  - Namespace: %s", client.namespace)
        log.info("  - Task queue: %s", worker.task_queue)
        for title, listed in (("Workflows", WORKFLOWS), ("Activities", registered)):
            names = [getattr(one, "__name__", str(one)) for one in listed] or ["none registered"]
            log.info("  - %s: %d (%s)", title, len(listed), ", ".join(names))
        if build := settings["TEMPORAL_WORKER_BUILD_ID"]:
            log.info("  - Version: %s, %s", settings["TEMPORAL_DEPLOYMENT_NAME"], build)

        def use(fresh: Client) -> None:
            if fresh.namespace != client.namespace:
                raise Failure(error("the namespace has changed", "restart the worker to use it"))
            worker.client = fresh

        async with worker:
            while not worker.is_running:
                await asyncio.sleep(0.01)
            log.info("Worker running... (Ctrl+C to stop)")
            follow = follow_credentials(settings, connect_again, use)
            await asyncio.gather(follow, watch_server(worker))


if __name__ == "__main__":
    run(main, arguments(__doc__))
