"""Poll the task queue and run workflows and activities until told to stop.

Ctrl+C or SIGTERM stops it: what runs may finish (TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS, 30 unless
set), then it exits with 0. A second Ctrl+C ends it at once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from temporalio import activity
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    PollerBehaviorAutoscaling,
    Worker,
    WorkerDeploymentConfig,
)

import workflows
from temporal_client import (
    Settings,
    connect,
    describe_namespace,
    load_settings,
    require_right,
    rotate,
    sdk_runtime,
)
from temporal_script import arguments, explained, log, run

WATCH_SECONDS = 5.0


class RunningActivities(Interceptor):
    """Knows which activities run, so that a stopping worker can say what it waits for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Called by the SDK, once for each activity that runs."""
        return NamedWhileRunning(next, self.names)


class NamedWhileRunning(ActivityInboundInterceptor):
    """Keeps one activity's name in the list for as long as it runs."""

    def __init__(self, next: ActivityInboundInterceptor, names: list[str]) -> None:
        super().__init__(next)
        self.names = names

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        """Called by the SDK around the activity itself."""
        name = activity.info().activity_type
        self.names.append(name)
        try:
            return await super().execute_activity(input)
        finally:
            self.names.remove(name)


def build_worker(client: Client, settings: Settings, running: RunningActivities) -> Worker:
    """A worker with all that `workflows/__init__.py` lists, ready to run."""
    deployment = None
    if settings.deployment_name and settings.build_id:
        deployment = WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(settings.deployment_name, settings.build_id),
            use_worker_versioning=True,
            # A run ends on the build that it began on: no workflow meets code that it does not
            # know. A workflow that outlives builds says AUTO_UPGRADE for itself.
            default_versioning_behavior=VersioningBehavior.PINNED,
        )
    # Pollers that grow with the load: a third of the p99 that the SDK's five fixed ones give. Above
    # 20 nothing is won, and on a server that can't keep up, tasks get lost for 10 s on their way.
    pollers = PollerBehaviorAutoscaling(maximum=20)
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[getattr(workflows, name) for name in workflows.WORKFLOWS],
        activities=[getattr(workflows, name) for name in workflows.ACTIVITIES],
        activity_executor=ThreadPoolExecutor(settings.max_activities),  # for plain `def` activities
        interceptors=[running],
        max_concurrent_workflow_tasks=settings.max_workflow_tasks,
        max_concurrent_activities=settings.max_activities,
        workflow_task_poller_behavior=pollers,
        activity_task_poller_behavior=pollers,
        graceful_shutdown_timeout=timedelta(seconds=settings.grace_seconds),
        deployment_config=deployment,
    )


async def connect_worker(settings: Settings) -> Client:
    """A client that may poll, in whose process the metrics are served."""
    client = await connect(settings, runtime=sdk_runtime(settings.metrics_address))
    await describe_namespace(client)
    poll = client.workflow_service.poll_workflow_task_queue
    await require_right(poll, PollWorkflowTaskQueueRequest(namespace=settings.namespace))
    return client


async def watch(worker: Worker, settings: Settings) -> None:
    """Until cancelled: take up rotated credentials, and say when the server goes and comes back.

    The worker reconnects and polls on by itself. Where the SDK's own log repeats a lost connection
    dozens of times a second, this says it once, with its cause.
    """
    refused, lost_at, begun, noted = "", 0.0, settings, settings
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        try:
            fresh = load_settings()
            rotated, others = rotate(settings, fresh), rotate(fresh, begun)
            if others not in (begun, noted):
                log.warning("More than credentials has changed: start the worker again to use it")
            noted = others
            if rotated != settings:
                async with explained(rotated):
                    client = await connect_worker(rotated)
                worker.client, settings = client, rotated
                log.info("Credentials changed: the new ones are in use")
            refused = ""
        except Exception as failure:  # whatever it is: the worker itself is well
            if refused != str(failure):
                refused = str(failure)
                log.error("Changed settings not taken up, the old ones stay in use:\n%s", refused)
        try:
            await describe_namespace(worker.client)
            if lost_at:
                log.info("The server is back after %.0f s", time.monotonic() - lost_at)
            lost_at = 0.0
        except Exception as error:
            if not lost_at:
                from temporal_diagnosis import explain  # only who loses a server pays for it

                lost_at = time.monotonic()
                log.error("Lost the server, trying on:\n%s", await explain(error, settings))


async def main(_: argparse.Namespace) -> int:
    """Run the worker until it is cancelled, then let it finish what it has begun."""
    settings = load_settings()
    log.info("Starting worker on task queue %r...", settings.task_queue)
    async with explained(settings):
        client = await connect_worker(settings)
    log.info("Connected to %s", settings.server)
    running = RunningActivities()
    worker = build_worker(client, settings, running)
    log.info("Worker created with:")
    log.info("  - Namespace: %s", settings.namespace)
    log.info("  - Task queue: %s", settings.task_queue)
    for title, names in (("Workflows", workflows.WORKFLOWS), ("Activities", workflows.ACTIVITIES)):
        if names:
            log.info("  - %s: %d (%s)", title, len(names), ", ".join(names))
    if settings.deployment_name:
        log.info("  - Version: %s, %s", settings.deployment_name, settings.build_id)
    polling = asyncio.ensure_future(worker.run())
    watching = asyncio.ensure_future(watch(worker, settings))
    try:
        # The SDK asks the server once more before it polls; one that is gone by then ends the run.
        while not (worker.is_running or polling.done()):
            await asyncio.sleep(0.01)
        if worker.is_running:
            log.info("Worker running... (Ctrl+C to stop)")
        await asyncio.wait([polling])
    except asyncio.CancelledError:
        watching.cancel()
        await stop(worker, running, settings.grace_seconds)
        if polling.done():
            polling.exception()  # what failed while stopping is of no interest: don't log it
        return 0
    async with explained(settings):
        polling.result()
    return 1


async def stop(worker: Worker, running: RunningActivities, grace_seconds: int) -> None:
    """Poll no more, and give what runs its time to finish."""
    names = ", ".join(running.names)
    waiting = f", waiting up to {grace_seconds} s for {names}" if names else ""
    log.info("Stopping worker%s... (Ctrl+C again to end at once)", waiting)
    try:
        # An activity that does not heed its cancellation would hold the worker for ever.
        await asyncio.wait_for(worker.shutdown(), grace_seconds + 5)
        log.info("Worker stopped")
    except asyncio.TimeoutError:
        names = ", ".join(running.names) or "calls that the server does not answer"
        log.warning("Left running: %s; the server has another worker retry it", names)


if __name__ == "__main__":
    run(main, arguments(__doc__))
