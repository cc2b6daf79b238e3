"""Poll the task queue and run workflows and activities until told to stop.

Ctrl+C or SIGTERM stops it: running work gets TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS (30 unless set) to
finish, then it exits with 0. A second signal ends it at once.
"""

import logging
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporal_kit import load_env_file

load_env_file(ROOT / ".env")  # your own variables, before your modules are imported

from temporalio.client import Client
from temporalio.common import VersioningBehavior
from temporalio.worker import PollerBehaviorAutoscaling, Worker, WorkerDeploymentConfig

from temporal_client import get_temporal_client, load_settings
from temporal_kit import Settings, run_script, serve
from workflows.ping_workflow import PingWorkflow

WORKFLOWS: list[type] = [PingWorkflow]
ACTIVITIES: list[Callable[..., Any]] = []
TASK_QUEUE = ""  # or another one than TEMPORAL_TASK_QUEUE
MAX_CONCURRENT_WORKFLOW_TASKS = 100  # must be at least 2
MAX_CONCURRENT_ACTIVITIES = 100

log = logging.getLogger(__name__)


@asynccontextmanager
async def activities(client: Client, settings: Settings) -> AsyncIterator[list[Callable[..., Any]]]:
    """The activities, for as long as the worker runs.

    Create here what they share, such as a pool or an HTTP client, and yield methods of a class that
    holds it. With `async with` around the `yield` it is closed once the worker has stopped.
    """
    yield ACTIVITIES


def create_worker(
    client: Client, settings: Settings, activities: list[Callable[..., Any]]
) -> Worker:
    """A worker with everything that is registered, ready to run; its options are yours."""
    deployment = None
    if settings.deployment:
        deployment = WorkerDeploymentConfig(
            version=settings.deployment,
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
        task_queue=TASK_QUEUE or settings.task_queue,
        workflows=WORKFLOWS,
        activities=activities,
        activity_executor=ThreadPoolExecutor(MAX_CONCURRENT_ACTIVITIES),  # for `def` activities
        max_concurrent_workflow_tasks=MAX_CONCURRENT_WORKFLOW_TASKS,
        max_concurrent_activities=MAX_CONCURRENT_ACTIVITIES,
        workflow_task_poller_behavior=pollers,
        activity_task_poller_behavior=pollers,
        graceful_shutdown_timeout=settings.graceful_shutdown_timeout,
        deployment_config=deployment,
    )


async def main() -> None:
    """Connect, and poll until told to stop."""
    settings = load_settings()
    log.info("Starting worker on task queue %r...", TASK_QUEUE or settings.task_queue)
    client = await get_temporal_client(settings, metrics_address=settings.metrics_address)
    log.info("Connected to %s", settings.server)
    async with activities(client, settings) as registered:
        worker = create_worker(client, settings, registered)
        await serve(worker, settings, get_temporal_client, load_settings)
    log.info("Worker stopped")


if __name__ == "__main__":
    run_script(main, __doc__)
