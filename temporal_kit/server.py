"""What the kit asks a server: is the namespace there, may this worker poll, who polls a queue."""

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from .findings import Finding, log, warning

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.common import WorkerDeploymentVersion

Answer = TypeVar("Answer")
Connect = Callable[..., Awaitable["Client"]]  # `get_temporal_client`, or the like
CALL_TIMEOUT = timedelta(seconds=2)
POLL_TIMEOUT = timedelta(seconds=3)  # servers log an error about polls of less than 2 s
STALE_SECONDS = 60.0  # an idle worker polls at least once a minute
FARTHEST_AHEAD = 86_400.0  # seconds; a clock may be off, but no poll is of next year
NO_WORKER_SECONDS = 3.0
MOST_WORKERS = 200  # whose heartbeats are asked for
START_WORKER = "python workers/worker.py   # in another terminal, with the same settings"


async def ask(
    call: Callable[..., Awaitable[Answer]], request: Any, timeout: timedelta = CALL_TIMEOUT
) -> Answer:
    """The server's answer to a call; raises `RPCError`, also for an answer that cannot be read."""
    from temporalio.service import RPCError, RPCStatusCode

    try:
        return await call(request, timeout=timeout)
    except Exception as problem:
        if type(problem).__name__ != "DecodeError":  # of protobuf, which is the SDK's own affair
            raise
        raise RPCError("the answer cannot be read", RPCStatusCode.INTERNAL, b"") from problem


async def check_namespace(client: "Client") -> None:
    """Raise `RPCError` unless the namespace exists and may be used: connecting does not ask."""
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

    request = DescribeNamespaceRequest(namespace=client.namespace)
    await ask(client.workflow_service.describe_namespace, request)


async def check_right_to_poll(client: "Client") -> None:
    """Raise `RPCError` if this client may not poll: a worker would try in silence for ever."""
    from temporalio.api.workflowservice.v1 import (
        PollActivityTaskQueueRequest,
        PollWorkflowTaskQueueRequest,
    )

    # Without a queue a poll takes no task: it is refused as invalid, or for lack of permission.
    service, namespace = client.workflow_service, client.namespace
    workflows = PollWorkflowTaskQueueRequest(namespace=namespace)
    await _raise_if_not_permitted(ask(service.poll_workflow_task_queue, workflows, POLL_TIMEOUT))
    activities = PollActivityTaskQueueRequest(namespace=namespace)
    await _raise_if_not_permitted(ask(service.poll_activity_task_queue, activities, POLL_TIMEOUT))


async def check_right_to_start(client: "Client") -> None:
    """Raise `RPCError` if this client may not start workflow runs; none is started."""
    from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

    # Without a workflow ID it is refused as invalid, or for lack of permission.
    request = StartWorkflowExecutionRequest(namespace=client.namespace)
    await _raise_if_not_permitted(ask(client.workflow_service.start_workflow_execution, request))


async def _raise_if_not_permitted(call: Awaitable[Any]) -> None:
    """Await a call that is invalid; raises its `RPCError` only if it is about permission."""
    from temporalio.service import RPCError, RPCStatusCode

    try:
        await call
    except RPCError as refused:
        if refused.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
            raise


async def find_worker(
    client: "Client", task_queue: str, since: float = 0, clock_ahead: float = 0
) -> Finding:
    """A finding: ok if a worker polls a task queue for new workflow runs. Raises `RPCError`.

    A worker counts if it has polled after `since` (Unix time) and within the last minute, and has
    not said since that it stops. `clock_ahead` is how many seconds this machine's clock is ahead of
    the server's.
    """
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

    request = DescribeTaskQueueRequest(namespace=client.namespace)
    request.task_queue.name = task_queue
    described = await ask(client.workflow_service.describe_task_queue, request)
    current = version_of(described.versioning_info.current_deployment_version)
    fitting = [p for p in described.pollers if version_of(p.deployment_options) == current]
    now = time.time() - clock_ahead  # the server's
    ages = {p.identity: now - unix_time(p.last_access_time) for p in fitting}
    stopped = await stopped_workers(client, task_queue) if ages else set()
    longest = min(STALE_SECONDS, time.time() - since + 1)  # 1 s, as two clocks may differ
    running = [age for who, age in ages.items() if who not in (stopped or ())]
    alive = [age for age in running if -FARTHEST_AHEAD <= age <= longest]
    if alive:
        by = "" if stopped is not None else " by the polls of the last minute"
        last_poll = f"the last poll {max(min(alive), 0):.0f} s ago"
        return Finding("ok", f"{len(alive)} on {task_queue!r}{by}, {last_poll}")
    text = f"no worker polls the task queue {task_queue!r} in namespace {client.namespace!r}"
    other_versions_poll = len(fitting) < len(described.pollers)  # where new runs do not go
    return _nobody_polls(text, current, other_versions_poll, list(ages.values()))


def _nobody_polls(text: str, current: str, other_versions: bool, ages: list[float]) -> Finding:
    """A warning that no worker polls, with what is known of those that do or did."""
    fix = START_WORKER
    if other_versions:
        text += f" as the current version, {current!r}" if current else " without a version"
        fix = "python scripts/check_temporal_config.py tells which version is needed"
    if ages:
        text += f", last poll {min(ages):.0f} s ago"
    return warning(text, fix)


async def stopped_workers(client: "Client", task_queue: str) -> set[str] | None:
    """The identities of workers that have said that they stop; None if the server cannot tell.

    A worker that has stopped is listed among the pollers for five minutes. Its last heartbeat
    tells.
    """
    from temporalio.api.enums.v1 import WorkerStatus
    from temporalio.api.workflowservice.v1 import ListWorkersRequest
    from temporalio.service import RPCError

    plain = not set(task_queue) & set("'\"\\")
    query = f"TaskQueue = '{task_queue}'" if plain else ""
    request = ListWorkersRequest(namespace=client.namespace, page_size=MOST_WORKERS, query=query)
    try:
        listed = await ask(client.workflow_service.list_workers, request)
    except RPCError:
        return None
    beats = [info.worker_heartbeat for info in listed.workers_info]
    here = [beat for beat in beats if beat.task_queue == task_queue]
    running = {
        beat.worker_identity for beat in here if beat.status == WorkerStatus.WORKER_STATUS_RUNNING
    }
    return {beat.worker_identity for beat in here} - running


def unix_time(timestamp: Any) -> float:
    """Seconds since 1970; the functions of protobuf refuse times that no clock has."""
    return float(timestamp.seconds + timestamp.nanos / 1e9)


def version_of(deployment: Any) -> str:
    """`<deployment> <build>` of the server's message about a version; "" for an unversioned worker.

    The API has two such messages: one of a version itself, and one of a poller's options, where a
    worker without versioning is marked by a mode.
    """
    from temporalio.api.enums.v1 import WorkerVersioningMode

    mode = getattr(deployment, "worker_versioning_mode", None)
    if mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_UNVERSIONED:
        return ""
    return f"{deployment.deployment_name} {deployment.build_id}".strip()


async def find_unknown_version(
    client: "Client", version: "WorkerDeploymentVersion | None"
) -> Finding | None:
    """A warning if the server does not know the version of a worker; None if it does, or is silent.

    A version is known from a worker's first poll on, unless its deployment has as many versions as
    it may have: 100, if the server's operator has set no other limit.
    """
    from temporalio.api.deployment.v1 import WorkerDeploymentVersion as Described
    from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentVersionRequest
    from temporalio.service import RPCError, RPCStatusCode

    if version is None:
        return None
    name, build = version.deployment_name, version.build_id
    described = Described(deployment_name=name, build_id=build)
    request = DescribeWorkerDeploymentVersionRequest(
        namespace=client.namespace, deployment_version=described
    )
    try:
        await ask(client.workflow_service.describe_worker_deployment_version, request)
    except RPCError as problem:
        if problem.status is RPCStatusCode.NOT_FOUND:
            text = (
                f"the server does not know the version {build!r} of {name!r}: no worker has polled "
                "as it yet, or the deployment has as many versions as it may have"
            )
            quoted = shlex.quote(name)
            delete = f"delete-version --deployment-name {quoted} --build-id <a drained build>"
            return warning(
                text,
                f"temporal worker deployment describe --name {quoted}   # lists its versions",
                f"temporal worker deployment {delete}   # makes room for one",
            )
    return None


@asynccontextmanager
async def warn_without_worker(client: "Client", task_queue: str) -> AsyncIterator[None]:
    """Within this block, log a warning once if no worker polls the task queue after 3 s.

    For whatever waits for a workflow's result: without a worker it would wait in silence.
    """
    watching = asyncio.create_task(_warn_without_worker(client, task_queue, time.time()))
    try:
        yield
    finally:
        watching.cancel()


async def _warn_without_worker(client: "Client", task_queue: str, since: float) -> None:
    """Look every 3 s whether a worker polls; the first time that none does, say so and end."""
    from temporalio.service import RPCError

    finding = None
    while not finding or finding.level == "ok":
        await asyncio.sleep(NO_WORKER_SECONDS)
        with suppress(RPCError):
            finding = await find_worker(client, task_queue, since)
    log.warning("%s", finding)
