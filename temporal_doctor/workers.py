"""The workers' step: who polls and, if nobody does, what may have been meant."""

import asyncio
import shlex
import time
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice import v1 as api
from temporalio.client import Client
from temporalio.service import RPCError

from temporal_client import STALE_SECONDS, find_worker
from temporal_doctor.target import Target
from temporal_doctor.values import warning
from temporal_findings import Finding, redact
from temporal_settings import DEFAULTS

LIMIT = timedelta(seconds=0.7)


async def look_for_workers(target: Target) -> Finding:
    """Look who polls the task queue; a ping can be started whatever comes of it."""
    client, queue = target.client, target.settings["TEMPORAL_TASK_QUEUE"]
    try:
        finding = await find_worker(client, queue)
        found = await _describe(client, client.namespace, queue)
    except RPCError as problem:
        return warning(f"who polls {queue!r} is unknown: {redact(problem.message, 200)}")
    if finding.level == "ok":
        return _not_current(found) or finding
    text, fixes = finding.text, [_lead(*place, queue) for place in await _polled(client, queue)]
    if found.pollers:
        text += f": {redact(found.pollers[0].identity, 200)} is busy, or gone"
    values = [one for one in target.settings.values if one.setting]
    lasting = {(one.setting, one.text) for one in values if one.source != "environment"}
    if here := [one.name for one in values if (one.setting, one.text) not in lasting]:
        fixes.append(f"in the environment of this shell only: {', '.join(here)}")
    return warning(text, *finding.fixes, *fixes)


def _lead(namespace: str, queue: str, wanted: str) -> str:
    """What leads to a worker that polls elsewhere."""
    namespace, other = redact(namespace, 200), redact(queue, 200)
    fix = f"TEMPORAL_TASK_QUEUE={shlex.quote(other)}"
    if queue == wanted:
        fix = f"TEMPORAL_NAMESPACE={shlex.quote(namespace)}"
    elif queue != queue.strip():
        fix = "take the white space off its task queue"
    return f"a worker polls {other!r} in namespace {namespace!r}: {fix}"


def _not_current(found: api.DescribeTaskQueueResponse) -> Finding | None:
    """What is wrong if new runs are routed to a Worker Deployment Version that none polls as."""
    options = [one.deployment_options for one in _fresh(found)]
    versioned = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    versions = [one for one in options if one.worker_versioning_mode == versioned]
    builds = {(one.deployment_name, one.build_id) for one in versions}
    to = found.versioning_info
    both = (to.current_deployment_version, to.ramping_deployment_version)
    routed = [(one.deployment_name, one.build_id) for one in both if one.build_id]
    unversioned = not routed and len(versions) < len(options)
    if builds.intersection(routed) or unversioned or not (builds or routed):
        return None
    name, build = (shlex.quote(redact(part, 200)) for part in max(builds or routed))
    fix = f"TEMPORAL_DEPLOYMENT_NAME={name} TEMPORAL_WORKER_BUILD_ID={build} for a worker"
    if builds:
        fix = f"temporal worker deployment set-current-version --deployment-name {name}"
        fix += f" --build-id {build} --yes"
    text = "no version that polls is the current one, so no new run gets to a worker"
    return warning(text, fix)


async def _describe(client: Client, namespace: str, queue: str) -> api.DescribeTaskQueueResponse:
    request = api.DescribeTaskQueueRequest(namespace=namespace, task_queue=TaskQueue(name=queue))
    return await client.workflow_service.describe_task_queue(request, timeout=LIMIT)


def _fresh(found: api.DescribeTaskQueueResponse) -> list[PollerInfo]:
    since = time.time() - STALE_SECONDS
    return [one for one in found.pollers if one.last_access_time.ToSeconds() >= since]


async def _try(asking: Awaitable[Any]) -> Any:
    with suppress(RPCError):
        return await asking
    return None


async def list_namespaces(client: Client) -> list[str]:
    """What the server says that it has; Temporal Cloud does not say."""
    request = api.ListNamespacesRequest(page_size=20)
    found = await _try(client.workflow_service.list_namespaces(request, timeout=LIMIT))
    names = [one.namespace_info.name for one in found.namespaces] if found else []
    return [name for name in names if name != "temporal-system"]


async def _list_queues(client: Client) -> list[str]:
    request = api.ListWorkersRequest(namespace=client.namespace, page_size=50)
    found = await _try(client.workflow_service.list_workers(request, timeout=LIMIT))
    return [one.worker_heartbeat.task_queue for one in found.workers_info] if found else []


async def _polled(client: Client, queue: str) -> list[tuple[str, str]]:
    """Namespace and queue of workers that were perhaps meant, the likeliest first."""
    namespaces, queues = await asyncio.gather(list_namespaces(client), _list_queues(client))
    here, queues = client.namespace, [DEFAULTS["TEMPORAL_TASK_QUEUE"], *queues]
    places = [(here, other) for other in (f"{queue} ", f" {queue}", queue.lower())]
    places += [(other, queue) for other in namespaces] + [(here, other) for other in queues]
    places = [place for place in dict.fromkeys(places) if place != (here, queue)]
    answers = await asyncio.gather(*(_try(_describe(client, *place)) for place in places))
    answered = zip(places, answers, strict=True)
    return [place for place, found in answered if found and _fresh(found)][:2]
