"""The steps from a name to a worker, in the order that Temporal's support takes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from shlex import quote
from threading import Thread
from typing import Any
from uuid import uuid4

from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflowservice import v1 as api
from temporalio.client import Client
from temporalio.service import RPCError

from temporal_client import STALE_SECONDS, connect, describe_namespace, find_worker, version_of
from temporal_doctor.reasons import AUTHENTICATION, NAME, TCP, TLS
from temporal_doctor.target import Target, look_closer
from temporal_doctor.values import warning, with_rivals
from temporal_findings import Finding, error, redact
from temporal_settings import DEFAULTS, Settings

TITLES = ("name resolution", "TCP", "TLS", "authentication", "namespace", "workers")
LIMIT, CLOCK = timedelta(seconds=0.7), timedelta(seconds=3)  # a poll must have 2 s
ACTIVITY = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY


async def walk(settings: Settings, seconds: float = 7) -> AsyncIterator[Finding]:
    """Go from step to step until one breaks: `seconds` to connect, then 5 s at most."""
    titles = iter(TITLES)
    async for finding in _take_steps(Target(settings), seconds):
        yield with_rivals(settings, replace(finding, text=f"{next(titles)}: {finding.text}"))
    for title in titles:
        yield Finding("skipped", f"{title}: not reached")


async def _take_steps(target: Target, seconds: float) -> AsyncIterator[Finding]:
    said = await _connect(target, seconds)
    tls = "the server's certificate is trusted" if target.tls else "off, plain text"
    credential = "{credential} accepted" if {"key", "cert"} & target.traits else "none needed"
    texts = ["{host} is known", "connected to {where}", tls, credential]
    if target.proxy:
        texts[:2] = "left to {proxy}", "connected to {where}, through {proxy}"
    for rows, text in zip((NAME, TCP, TLS, AUTHENTICATION), texts, strict=True):
        fault = None if said is None else target.explain(rows, said)
        if fault and rows in (NAME, TCP) and "local" not in target.traits:
            fault = replace(fault, fixes=(*fault.fixes, f"or {target.words['detour']}"))
        yield fault or Finding("ok", text.format_map(target.words))
        if fault:
            return
    finding = await _find_namespace(target)
    yield finding
    if finding.level != "error":
        yield await look_for_workers(target)


async def _connect(target: Target, seconds: float) -> str | None:
    """What the SDK says when it fails to connect: it has the last word."""
    try:
        target.client = await asyncio.wait_for(connect(target.settings), seconds)
        return None
    except Exception as problem:
        said = str(problem)[:4000]
    found: list[str] = []
    # A daemon: no script is to wait for a silent name server, not even at its end.
    looking = Thread(target=lambda: found.append(look_closer(target, said)), daemon=True)
    looking.start()
    for _ in range(100):
        if looking.is_alive():
            await asyncio.sleep(0.02)
    return found[0] if found else said or "dns error: timed out"


async def _find_namespace(target: Target) -> Finding:
    try:
        await describe_namespace(target.client)
    except RPCError as problem:
        return explain_call(target, problem)
    text = f"{target.client.namespace} is there"
    target.ahead = ahead = await measure_clock(target.client)
    if abs(ahead) < 5:
        return Finding("ok", text)
    off = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
    fix = "set this machine's clock: API keys and certificates depend on it"
    return warning(f"{text}; this machine's clock is {off}", fix)


def explain_call(target: Target, problem: RPCError) -> Finding:
    """What the status of a call means."""
    said = f'code: {problem.status.name}, message: "{problem.message[:4000]}", '
    return target.explain(AUTHENTICATION, said) or error(said)


async def look_for_workers(target: Target) -> Finding:
    """Look who polls the task queue; whatever comes of it, a ping can be started."""
    client, queue = target.client, target.settings["TEMPORAL_TASK_QUEUE"]
    try:
        finding = await find_worker(client, queue, ahead=target.ahead)
        found = await _describe(client, client.namespace, queue)
        activities = await _describe(client, client.namespace, queue, ACTIVITY)
    except RPCError as problem:
        return warning(f"who polls {queue!r} is unknown: {redact(problem.message, 200)}")
    if finding.level == "ok":
        waiting = activities.stats.approximate_backlog_count
        if waiting and not _fresh(activities, target.ahead):
            text = f"{finding.text}; {waiting} activities wait, and no worker polls for them"
            fix = "register them in ACTIVITIES of workers/worker.py, and restart the worker"
            return warning(text, fix)
        return finding
    current = found.versioning_info.current_deployment_version
    version, polls = version_of(current), _fresh(found, target.ahead)
    if others := [one for one in polls if version_of(one.deployment_options) != version]:
        return warning(finding.text, *route(others, current))
    last = [f": {redact(one.identity, 200)} is busy, or gone" for one in found.pollers[:1]]
    fixes = (*finding.fixes, *await _find_elsewhere(target, queue))
    return warning("".join([finding.text, *last]), *fixes)


async def measure_clock(client: Client) -> float:
    """By how many seconds this machine's clock is ahead of the server's; 0 if unknown."""
    me, queue = str(uuid4()), "clock-of-the-check"  # which has no tasks
    request = api.PollActivityTaskQueueRequest(namespace=client.namespace, identity=me)
    request.task_queue.name = queue
    began, poll = time.time(), client.workflow_service.poll_activity_task_queue
    polling, mine = asyncio.ensure_future(_try(poll(request, timeout=CLOCK))), list[PollerInfo]()
    while not mine and not polling.done():
        await asyncio.sleep(0.05)
        found = await _try(_describe(client, client.namespace, queue, ACTIVITY))
        mine = [one for one in found.pollers if one.identity == me] if found else []
    polling.cancel()
    return began - mine[0].last_access_time.ToNanoseconds() / 1e9 if mine else 0


def route(polls: list[PollerInfo], current: WorkerDeploymentVersion) -> Iterator[str]:
    """The lines that bring new runs and the workers that poll together."""

    def quoted(one: Any) -> list[str]:
        return [quote(redact(part, 200)) for part in (one.deployment_name, one.build_id)]

    if current.build_id:
        name, build = quoted(current)
        yield f"TEMPORAL_DEPLOYMENT_NAME={name} TEMPORAL_WORKER_BUILD_ID={build} for a worker"
    versions = [one.deployment_options for one in polls if version_of(one.deployment_options)]
    name, build = quoted(versions[0] if versions else current)
    to = f"--build-id {build}" if versions else "--unversioned"
    command = "temporal worker deployment set-current-version --yes --deployment-name"
    yield f"{'or ' if current.build_id else ''}{command} {name} {to}"


async def _describe(client: Client, namespace: str, queue: str, kind: Any = None) -> Any:
    request = api.DescribeTaskQueueRequest(namespace=namespace, task_queue_type=kind)
    request.task_queue.name, request.report_stats = queue, True
    return await client.workflow_service.describe_task_queue(request, timeout=LIMIT)


def _fresh(found: Any, ahead: float) -> list[PollerInfo]:
    since = time.time() - ahead - STALE_SECONDS
    return [one for one in found.pollers if one.last_access_time.ToSeconds() >= since]


async def _try(asking: Awaitable[Any]) -> Any:
    with suppress(RPCError):
        return await asking
    return None


async def _find_elsewhere(target: Target, queue: str) -> list[str]:
    """What leads to workers that were perhaps meant, the likeliest first."""
    client, here = target.client, target.client.namespace
    every = api.ListNamespacesRequest(page_size=20)  # which Temporal Cloud does not tell
    found = await _try(client.workflow_service.list_namespaces(every, timeout=LIMIT))
    places = [(one.namespace_info.name, queue) for one in found.namespaces] if found else []
    request = api.ListWorkersRequest(namespace=here, page_size=50)
    found = await _try(client.workflow_service.list_workers(request, timeout=LIMIT))
    others = [one.worker_heartbeat.task_queue for one in found.workers_info] if found else []
    others.append(DEFAULTS["TEMPORAL_TASK_QUEUE"])
    near = [(here, f"{queue} "), (here, queue.lower())]
    places = [*dict.fromkeys([*near, *places, *((here, other) for other in others)])]
    answers = await asyncio.gather(*(_try(_describe(client, *place)) for place in places))
    leads = []
    for place, found in zip(places, answers, strict=True):
        namespace, other = (redact(name, 200) for name in place)
        where, fix = "", f"TEMPORAL_TASK_QUEUE={quote(other)}"
        if namespace != here:
            where, fix = f" in '{namespace}'", f"TEMPORAL_NAMESPACE={quote(namespace)}"
        if found and _fresh(found, target.ahead):
            leads.append(f"a worker polls '{other}'{where}: {fix}")
    return leads[:2]
