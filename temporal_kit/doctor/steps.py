"""The steps from a name to a worker, in the order that Temporal's support takes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from shlex import quote
from typing import Any
from uuid import uuid4

from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflowservice import v1 as api
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion as WorkerVersion
from temporalio.service import RPCError

from ..findings import Failure, Finding, warning
from ..redaction import redact
from ..server import (
    POLL_TIMEOUT,
    STALE_SECONDS,
    Connect,
    ask,
    check_namespace,
    check_right_to_poll,
    check_right_to_start,
    find_unknown_version,
    find_worker,
    stopped_workers,
    unix_time,
    version_of,
)
from ..settings import Settings
from .connecting import TITLES, connected_texts, explain_call, titled
from .target import Target
from .values import with_rivals

LIMIT = timedelta(seconds=0.7)
MOST_LEADS = 2
ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY


async def walk(settings: Settings, connect: Connect) -> AsyncIterator[Finding]:
    """Connect, and say of each step from the name to the workers whether it worked."""
    try:
        client = await connect(settings)
    except Failure as failure:
        for step in failure.steps:
            yield step
        return
    target = Target(settings, client.service_client.config.http_connect_proxy_config)
    namespace, clock_ahead = await _find_namespace(client, target)
    findings = [*(Finding("ok", text) for text in connected_texts(target)), namespace]
    for finding in titled(settings, findings, rest_is_skipped=namespace.level == "error"):
        yield finding
    if namespace.level != "error":
        refused = await _find_refused_calls(client, target)
        workers = refused or await check_workers(client, settings, clock_ahead)
        yield with_rivals(settings, replace(workers, text=f"{TITLES[-1]}: {workers.text}"))


async def _find_namespace(client: Client, target: Target) -> tuple[Finding, float]:
    """Whether the namespace is there; and by how many seconds this machine's clock is ahead."""
    try:
        await check_namespace(client)
    except RPCError as problem:
        return explain_call(target, problem), 0.0
    text = f"{client.namespace} is there"
    ahead = await measure_clock(client)
    if abs(ahead) < 5:
        return Finding("ok", text), ahead
    off = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
    fix = "set this machine's clock: API keys and certificates depend on it"
    return warning(f"{text}; this machine's clock is {off}", fix), ahead


async def _find_refused_calls(client: Client, target: Target) -> Finding | None:
    """The error of a credential that may look but not work: a worker would poll in vain."""
    start = await _refusal(target, check_right_to_start(client))
    poll = await _refusal(target, check_right_to_poll(client))
    if poll:
        nor = "; nor may a ping start" if start else ""
        text = f"none may poll: {poll.text}{nor}"
        return replace(poll, text=text, worker_only=start is None)
    return start and replace(start, text=f"no ping may start: {start.text}")


async def _refusal(target: Target, call: Awaitable[None]) -> Finding | None:
    """The error of a call that the server refuses, or None."""
    try:
        await call
    except RPCError as problem:
        return explain_call(target, problem)
    return None


async def check_workers(client: Client, settings: Settings, clock_ahead: float) -> Finding:
    """Who polls the task queue; whatever comes of it, a ping can be started."""
    try:
        finding = await _find_pollers(client, settings, clock_ahead)
        unknown = await find_unknown_version(client, settings.deployment)
    except RPCError as problem:
        queue = settings.text("TEMPORAL_TASK_QUEUE")
        return warning(f"who polls {queue!r} is unknown: {redact(problem.message, 200)}")
    if unknown:
        text = f"{finding.text}; {unknown.text}"
        either = "or " if finding.fixes else ""
        return warning(text, *finding.fixes, *(f"{either}{fix}" for fix in unknown.fixes))
    return finding


async def _find_pollers(client: Client, settings: Settings, clock_ahead: float) -> Finding:
    """Who polls the task queue and, if nobody does for new runs, what may help; or `RPCError`."""
    queue = settings.text("TEMPORAL_TASK_QUEUE")
    finding = await find_worker(client, queue, clock_ahead=clock_ahead)
    if finding.level == "ok":
        activities = await _describe(client, client.namespace, queue, ACTIVITY)
        nobody_takes_them = not _fresh(activities, clock_ahead)
        waiting = activities.stats.approximate_backlog_count if nobody_takes_them else 0
        return _activities_wait(finding, waiting) if waiting else finding
    workflows = await _describe(client, client.namespace, queue)
    current = workflows.versioning_info.current_deployment_version
    polling = [version_of(one.deployment_options) for one in _fresh(workflows, clock_ahead)]
    others = [version for version in dict.fromkeys(polling) if version != version_of(current)]
    if others:
        return _other_versions_poll(finding, others, current, settings.deployment)
    text = finding.text
    if workflows.pollers:
        text += f": {redact(workflows.pollers[0].identity, 200)} is busy, or gone"
    return warning(text, *finding.fixes, *await _find_elsewhere(client, settings, clock_ahead))


def _other_versions_poll(
    finding: Finding,
    others: list[str],
    current: WorkerDeploymentVersion,
    mine: WorkerVersion | None,
) -> Finding:
    """No worker polls for new runs, but workers of other versions do, "" being unversioned."""
    named = ", ".join(repr(redact(version, 200)) for version in others if version)
    beside = f"; workers of the version {named} poll" if named else ""
    return warning(finding.text + beside, *lines_for_other_versions(others, current, mine))


def _activities_wait(finding: Finding, count: int) -> Finding:
    """A worker that runs workflows, while nobody runs their activities."""
    text = f"{finding.text}; {count} activities wait, and no worker polls for them"
    return warning(text, "register them in ACTIVITIES of workers/worker.py, and restart the worker")


async def measure_clock(client: Client) -> float:
    """By how many seconds this machine's clock is ahead of the server's; 0 if unknown.

    The server tells of a task queue who polls it, and when that was by its own clock. So poll one
    that has no tasks, and ask.
    """
    me, queue = str(uuid4()), "clock-of-the-check"
    request = api.PollActivityTaskQueueRequest(namespace=client.namespace, identity=me)
    request.task_queue.name = queue
    began = time.time()
    poll = ask(client.workflow_service.poll_activity_task_queue, request, POLL_TIMEOUT)
    polling = asyncio.ensure_future(_or_none(poll))
    server_time = None
    while server_time is None and not polling.done():
        await asyncio.sleep(0.05)
        described = await _or_none(_describe(client, client.namespace, queue, ACTIVITY))
        pollers = described.pollers if described else ()
        server_time = next((one.last_access_time for one in pollers if one.identity == me), None)
    polling.cancel()
    return 0 if server_time is None else began - unix_time(server_time)


def lines_for_other_versions(
    polling: list[str], current: WorkerDeploymentVersion, mine: WorkerVersion | None
) -> Iterator[str]:
    """What makes new runs reach workers that poll as other versions than the current one.

    Of names, only those of the configured version are used: what a worker calls itself is anybody's
    to choose, and the command moves all new runs.
    """
    if current.build_id:
        yield "TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID of that version, for a worker"
    name, build = "<deployment>", "<build>"
    if mine and version_of(mine) in (*polling, version_of(current)):
        name, build = quote(mine.deployment_name), quote(mine.build_id)
    to = f"--build-id {build}" if any(polling) else "--unversioned"
    command = "temporal worker deployment set-current-version --yes --deployment-name"
    yield f"{'or ' if current.build_id else ''}{command} {name} {to}"


async def _describe(client: Client, namespace: str, queue: str, kind: Any = None) -> Any:
    """A task queue with its pollers and backlog; of workflow tasks, if no kind is given."""
    request = api.DescribeTaskQueueRequest(namespace=namespace, task_queue_type=kind)
    request.task_queue.name, request.report_stats = queue, True
    return await ask(client.workflow_service.describe_task_queue, request, LIMIT)


def _fresh(found: Any, ahead: float) -> list[PollerInfo]:
    """The pollers of a task queue that have polled lately, by the server's clock."""
    since = time.time() - ahead - STALE_SECONDS
    return [one for one in found.pollers if unix_time(one.last_access_time) >= since]


async def _or_none(asking: Awaitable[Any]) -> Any:
    """The answer to a call, or None if the server refuses it."""
    with suppress(RPCError):
        return await asking
    return None


async def _find_elsewhere(client: Client, settings: Settings, clock_ahead: float) -> list[str]:
    """What leads to workers that were perhaps meant, the likeliest first."""
    here, queue = client.namespace, settings.text("TEMPORAL_TASK_QUEUE")
    default = settings.defaults.get("TEMPORAL_TASK_QUEUE", queue)
    slips = [(here, name) for name in (f"{queue} ", queue.lower())]
    same_queue = [(namespace, queue) for namespace in await _namespaces(client)]
    others = [(here, name) for name in (*await _queues_with_workers(client), default)]
    places = list(dict.fromkeys([*slips, *same_queue, *others]))
    places = [place for place in places if place != (here, queue)]
    polled = await asyncio.gather(*(_is_polled(client, *place, clock_ahead) for place in places))
    found = [place for place, so in zip(places, polled, strict=True) if so]
    return [_lead(here, *place) for place in found[:MOST_LEADS]]


async def _is_polled(client: Client, namespace: str, queue: str, clock_ahead: float) -> bool:
    """Whether a worker polls a task queue, as far as the server tells; not one that has stopped."""
    described = await _or_none(_describe(client, namespace, queue))
    fresh = {poller.identity for poller in _fresh(described, clock_ahead)} if described else set()
    if fresh and namespace == client.namespace:
        fresh -= await stopped_workers(client, queue) or set()
    return bool(fresh)


async def _namespaces(client: Client) -> list[str]:
    """The namespaces of a server; none on Temporal Cloud, which does not tell."""
    every = api.ListNamespacesRequest(page_size=20)
    found = await _or_none(ask(client.workflow_service.list_namespaces, every, LIMIT))
    return [one.namespace_info.name for one in found.namespaces] if found else []


async def _queues_with_workers(client: Client) -> list[str]:
    """The task queues of this namespace that workers say they poll."""
    request = api.ListWorkersRequest(namespace=client.namespace, page_size=50)
    found = await _or_none(ask(client.workflow_service.list_workers, request, LIMIT))
    return [one.worker_heartbeat.task_queue for one in found.workers_info] if found else []


def _lead(here: str, namespace: str, queue: str) -> str:
    """The line that leads to a worker: to its task queue or, if it is elsewhere, its namespace."""
    namespace, queue = redact(namespace, 200), redact(queue, 200)
    if namespace == here:
        return f"a worker polls '{queue}': TEMPORAL_TASK_QUEUE={quote(queue)}"
    return f"a worker polls '{queue}' in '{namespace}': TEMPORAL_NAMESPACE={quote(namespace)}"
