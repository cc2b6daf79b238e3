"""Poll the task queue and run workflows and activities until told to stop.

Ctrl+C or SIGTERM stops it: running work gets TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS (default 30) to
finish, then it exits with 0. A second signal ends it immediately.

For a second worker, copy this file, and change TASK_QUEUE and the two lists. Ping and check have a
--task-queue for it.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporal_kit import load_env_file

# Puts your own variables of .env into os.environ, which the imports below may read. Temporal's
# settings are not among them: load_settings() reads those.
load_env_file(ROOT / ".env")

import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from temporalio.client import Client
from temporalio.common import VersioningBehavior
from temporalio.worker import PollerBehaviorAutoscaling, Worker, WorkerDeploymentConfig

from temporal_client import get_temporal_client, load_settings
from temporal_kit import Settings, run_script, serve
from workflows.ping_workflow import PingWorkflow

WORKFLOWS: list[type] = [PingWorkflow]
ACTIVITIES: list[Callable[..., Any]] = []
TASK_QUEUE: str | None = None  # None: use TEMPORAL_TASK_QUEUE
MAX_CONCURRENT_WORKFLOW_TASKS = 100  # the SDK's default, and at least 2
MAX_CONCURRENT_ACTIVITIES = 100  # the SDK's default

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_activities(
    client: Client, settings: Settings
) -> AsyncIterator[list[Callable[..., Any]]]:
    """Open what several activities share, and yield all activities to register.

    Plain functions go into ACTIVITIES. Methods of an object that holds a resource go here; it is
    closed once the worker has stopped:

        async with httpx.AsyncClient() as http:
            yield [*ACTIVITIES, Payments(http).charge]
    """
    yield ACTIVITIES


def create_worker(
    client: Client, settings: Settings, activity_list: list[Callable[..., Any]]
) -> Worker:
    """Build the worker. Its options are yours to change: interceptors, executors, limits."""
    deployment = None  # unversioned
    if settings.deployment:  # TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID are set
        deployment = WorkerDeploymentConfig(
            version=settings.deployment,
            use_worker_versioning=True,
            # A run finishes on the build that started it. AUTO_UPGRADE, which a workflow can choose
            # for itself, would move it to the newest one: docs/release-a-version.md.
            default_versioning_behavior=VersioningBehavior.PINNED,
        )
    # Measured: a third of the p99 latency of the SDK's default, five pollers. Going above 20 gained
    # nothing, and on an overloaded server delayed tasks by 10 s.
    pollers = PollerBehaviorAutoscaling(maximum=20)
    return Worker(
        client,
        task_queue=TASK_QUEUE or settings.task_queue,
        workflows=WORKFLOWS,
        activities=activity_list,
        activity_executor=ThreadPoolExecutor(MAX_CONCURRENT_ACTIVITIES),  # for non-async activities
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
    async with open_activities(client, settings) as activity_list:
        worker = create_worker(client, settings, activity_list)
        # It calls these two again when credentials change.
        await serve(worker, settings, connect=get_temporal_client, load_settings=load_settings)
    log.info("Worker stopped")


if __name__ == "__main__":
    run_script(main, __doc__)
