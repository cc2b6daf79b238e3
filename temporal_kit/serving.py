"""Runs a worker until it is told to stop: what is the same for every worker."""

import asyncio
from asyncio import Future
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from temporalio.service import RPCError

from .credentials import follow_credentials
from .explaining import causes, explain, explain_errors, is_about_the_server
from .findings import Failure, error, log
from .own_thread import in_own_thread
from .registration import main_file, unregistered
from .server import Connect, check_namespace, check_right_to_poll, find_unknown_version
from .settings import Settings
from .stopping import allow_time_to_stop
from .workflow_errors import explain_failed_workflow_tasks

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.worker import Worker

SDK_ACTIVITIES = 100  # how many may run at a time unless a worker says otherwise
WATCH_SECONDS = 5.0  # from one look at the server to the next
LOOKS_PER_POLL = 3  # every third look asks whether the worker may still poll
REGISTER_SECONDS = 10.0  # in which a first poll makes a version known


async def serve(
    worker: "Worker",
    settings: Settings,
    connect: Connect,
    load_settings: Callable[[], Settings],
) -> None:
    """Poll until told to stop, then let running work finish; returns once it has.

    `settings` are those that the worker's client was connected with; `connect` and `load_settings`
    are those of `temporal_client`, by which new credentials are taken up while the worker runs.
    Losing the server and getting it back are each logged once. After a signal running work gets the
    worker's `graceful_shutdown_timeout`. Raises `Failure` if this client may not poll.
    """
    config = worker.config(active_config=True)
    allow_time_to_stop(config["graceful_shutdown_timeout"].total_seconds())
    explain_failed_workflow_tasks()
    _give_each_activity_a_thread(config.get("max_concurrent_activities") or SDK_ACTIVITIES)
    async with explain_errors(settings, connect):
        await check_right_to_poll(worker.client)
    _log_worker(worker, settings)
    with suppress(asyncio.CancelledError):  # a signal cancels us
        async with worker:  # leaving it lets running work finish
            await _until(lambda: worker.is_running)
            log.info("Worker running... (Ctrl+C to stop)")
            async with _running_beside(
                _follow_credentials(worker, settings, connect, load_settings),
                _watch_server(worker, connect, load_settings),
                _warn_of_unknown_version(worker, settings),
            ) as beside:
                await _until(lambda: beside.done() or not worker.is_running)


@asynccontextmanager
async def _running_beside(*endless: Coroutine[Any, Any, None]) -> AsyncIterator["Future[Any]"]:
    """Run these within the block, and raise what has gone wrong in them."""
    beside = asyncio.gather(*endless)
    try:
        yield beside
    finally:
        beside.cancel()
        await beside


async def _until(reached: Callable[[], bool]) -> None:
    """Wait until this is so: the SDK has no event for what becomes of a worker."""
    pause = 0.01
    while not reached():
        await asyncio.sleep(pause)
        pause = min(1.0, pause * 1.5)


def _give_each_activity_a_thread(activities: int) -> None:
    """Let as many activities as may run use `asyncio.to_thread` at the same time.

    By default the loop has 6 threads for that on two cores, and all others wait. An executor that
    the owner has set stays: only one that asyncio made itself, which its prefix tells, is replaced.
    """
    loop = asyncio.get_running_loop()
    executor = getattr(loop, "_default_executor", None)
    if executor is None or getattr(executor, "_thread_name_prefix", "") == "asyncio":
        loop.set_default_executor(ThreadPoolExecutor(activities, thread_name_prefix="asyncio"))


def _log_worker(worker: "Worker", settings: Settings) -> None:
    """Log what the worker was created with, and warn of what it has not registered."""
    config = worker.config(active_config=True)
    listed: dict[str, Any] = {
        "Workflows": config.get("workflows", ()),
        "Activities": config.get("activities", ()),
    }
    handlers = config.get("nexus_service_handlers", ())
    if forgotten := unregistered([*listed["Workflows"], *listed["Activities"], *handlers]):
        log.warning("Not registered in %s: %s", main_file(), ", ".join(forgotten))
    log.info("Worker created with:")
    log.info("  - Namespace: %s", worker.client.namespace)
    log.info("  - Task queue: %s", worker.task_queue)
    for title, definitions in listed.items():
        names = [getattr(one, "__name__", str(one)) for one in definitions] or ["none registered"]
        log.info("  - %s: %d (%s)", title, len(definitions), ", ".join(names))
    if version := settings.deployment:
        log.info("  - Version: %s, %s", version.deployment_name, version.build_id)


async def _follow_credentials(
    worker: "Worker", settings: Settings, connect: Connect, load_settings: Callable[[], Settings]
) -> None:
    """Have the worker use changed credentials, on the runtime that it has, as the SDK requires."""
    runtime = worker.client.service_client.config.runtime

    async def connect_to_poll(fresh: Settings) -> "Client":
        client = await connect(fresh, runtime=runtime)
        async with explain_errors(fresh, connect):
            await check_right_to_poll(client)
        return client

    def use(client: "Client") -> None:
        worker.client = client

    await follow_credentials(settings, connect_to_poll, load_settings, use)


async def _watch_server(
    worker: "Worker", connect: Connect, load_settings: Callable[[], Settings]
) -> None:
    """Log once when the server is lost or refuses polls, and once when that is over."""
    lost, looks = False, 0
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        looks += 1
        try:
            await check_namespace(worker.client)
            if lost or looks % LOOKS_PER_POLL == 0:
                await check_right_to_poll(worker.client)
            if lost:
                log.info("The server is back")
            lost = False
        except Exception as problem:
            if not is_about_the_server(problem):
                raise
            if not lost:
                cause = await _explain_loss(problem, connect, load_settings)
                log.error("Lost the server, still trying:\n%s", cause)
            lost = True


async def _warn_of_unknown_version(worker: "Worker", settings: Settings) -> None:
    """Log once if the server has not taken up this worker's version: it would get no tasks."""
    await asyncio.sleep(REGISTER_SECONDS)
    with suppress(RPCError):
        if unknown := await find_unknown_version(worker.client, settings.deployment):
            log.warning("%s", unknown)


async def _explain_loss(
    problem: Exception, connect: Connect, load_settings: Callable[[], Settings]
) -> Failure:
    """Why the server does not answer, by the settings as they are now."""
    try:
        return await explain(problem, await in_own_thread(load_settings), connect)
    except Failure as wrong_settings:
        return wrong_settings
    except Exception as unreadable:
        # The owner's `load_settings` may ask a vault, which is lost too.
        return Failure(error("; because of ".join(causes(unreadable))))
