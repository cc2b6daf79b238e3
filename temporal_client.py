"""From settings to a connected Temporal client: `client = await get_temporal_client()`."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from difflib import get_close_matches
from itertools import combinations, permutations
from typing import Any

from temporalio.api.enums.v1 import WorkerVersioningMode
from temporalio.api.workflowservice import v1 as api
from temporalio.client import Client, GrpcCompression, KeepAliveConfig

from temporal_findings import Failure, Finding, SettingsError, error, log, redact
from temporal_runtime import sdk_runtime
from temporal_settings import HEADER, SETTING_OF, Settings, Value, read_settings, text_setting

CONNECT_SECONDS = 8.0
FOLLOW_SECONDS = 5.0
STALE_SECONDS = 60.0  # an idle worker polls at least once a minute
# <name>.<account>; <cloud>-<region>.region is the endpoint of a replica.
CLOUD_NAMESPACE = re.compile(r"[a-z][a-z0-9-]{0,37}[a-z0-9]\.(?!region$)[a-z0-9]{5,}", re.I)
API_KEY = ("TEMPORAL_API_KEY", "TEMPORAL_API_KEY_FILE", f"{HEADER}AUTHORIZATION")
CERT = ("TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_DATA")
CERT_KEY = ("TEMPORAL_TLS_CLIENT_KEY_PATH", "TEMPORAL_TLS_CLIENT_KEY_DATA")
Connect = Callable[[Settings], Awaitable[Client]]
VERSION = ("TEMPORAL_DEPLOYMENT_NAME",), ("TEMPORAL_WORKER_BUILD_ID",)


def client_options() -> dict[str, Any]:
    """Options of `Client.connect` for every client: your data converter, interceptors, plugins.

    To use credentials from a vault, set them in `os.environ` at the top of this file.
    """
    return {}


async def get_temporal_client(**overrides: Any) -> Client:
    """Connect to the Temporal server that the settings describe.

    `overrides` go to `temporalio.client.Client.connect` and win over `client_options`. Raises
    `SettingsError` if the settings are invalid, or whatever the SDK raises, within 8 s.
    """
    return await connect(load_settings(), **overrides)


def load_settings() -> Settings:
    """The settings of this process; raises `SettingsError` with every problem at once."""
    settings = read_settings()
    refuse_problems(settings)
    proxy = settings.find_proxy()
    if proxy and "http_connect_proxy_config" not in client_options():
        log.info("Through the proxy %s (HTTPS_PROXY)", proxy.target_host)
    return settings


def refuse_problems(settings: Settings) -> None:
    """Raise `SettingsError` with every problem of these settings, if there is one."""
    if problems := list(find_problems(settings)):
        raise SettingsError(*problems)


async def connect(settings: Settings, *, metrics: str = "", **overrides: Any) -> Client:
    """Connect with these settings; with `metrics`, a TEMPORAL_METRICS_ADDRESS, serve them there."""
    options: dict[str, Any] = {
        **settings.profile.to_client_connect_config(),
        "http_connect_proxy_config": settings.find_proxy(),
        # With the SDK's defaults a worker can stay cut off for a minute after an outage; with
        # these, for about a second. Servers tolerate one keep-alive every 10 s.
        "connect_timeout": timedelta(seconds=5),
        "keep_alive_config": KeepAliveConfig(interval_millis=15_000, timeout_millis=5_000),
        # Compression costs a worker 7 % of its CPU per ping; it may pay off for large payloads.
        "grpc_compression": GrpcCompression.NONE,
        **client_options(),
        **overrides,
    }
    if "runtime" not in options:
        options["runtime"] = sdk_runtime(metrics) if metrics else sdk_runtime()
    elif metrics:
        text = "TEMPORAL_METRICS_ADDRESS has no effect on a runtime that you pass"
        raise SettingsError(error(text, "unset TEMPORAL_METRICS_ADDRESS"))
    # The SDK waits forever if a server accepts the connection and never responds.
    return await asyncio.wait_for(Client.connect(**options), CONNECT_SECONDS)


async def follow_credentials(
    settings: Settings, reconnect: Connect, use: Callable[[Client], None]
) -> None:
    """Connect with changed credentials and hand the client to `use`; runs until cancelled.

    `settings` are those of the client in use, and `reconnect` makes the next one: `connect`, or a
    function of yours. A failure is logged once, and the client in use stays.
    """
    fresh = told = settings  # what is read now, and what was before
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        try:
            fresh = await asyncio.to_thread(read_settings)  # a network drive may not answer
            refuse_problems(fresh)
            if fresh.profile != settings.profile:
                client = await reconnect(fresh)
                await describe_namespace(client)
                use(client)
                settings = fresh
                log.info("Credentials changed: the new ones are in use")
        except Exception as problem:
            if fresh != told:  # not by its text: the SDK words one failure in several ways
                text = problem if isinstance(problem, Failure) else redact(repr(problem))
                log.error("Changed settings not applied, the old ones stay in use:\n%s", text)
        told = fresh


async def describe_namespace(client: Client) -> None:
    """Check that the namespace exists, which connecting does not; raises `RPCError`."""
    request = api.DescribeNamespaceRequest(namespace=client.namespace)
    await client.workflow_service.describe_namespace(request, timeout=timedelta(seconds=2))


async def find_worker(client: Client, queue: str, since: float = 0, ahead: float = 0) -> Finding:
    """Check whether a worker is polling a task queue for new workflow runs; raises `RPCError`.

    One counts as running if it has polled after `since` (Unix time) and within the last minute.
    `ahead` is how many seconds this machine's clock is ahead of the server's.
    """
    request = api.DescribeTaskQueueRequest(namespace=client.namespace)
    request.task_queue.name = queue
    found = await client.workflow_service.describe_task_queue(request, timeout=timedelta(seconds=2))
    current = version_of(found.versioning_info.current_deployment_version)
    mine = [one for one in found.pollers if version_of(one.deployment_options) == current]
    polls = [one.last_access_time.ToNanoseconds() / 1e9 for one in mine]
    age = time.time() - ahead - max(polls, default=0)
    if age <= min(STALE_SECONDS, time.time() - since + 1):  # clocks may differ
        return Finding("ok", f"{len(polls)} on {queue!r}, the last poll {max(age, 0):.0f} s ago")
    text = f"no worker polls the task queue {queue!r} in namespace {client.namespace!r}"
    fix = "python workers/worker.py   # in another terminal, with the same settings"
    if len(mine) < len(found.pollers):  # there are workers, but new runs do not go to them
        text += f" as the current version, {current!r}" if current else " without a version"
        fix = "python scripts/check_temporal_config.py tells which version is needed"
    return Finding("warning", text + (f", last poll {age:.0f} s ago" if polls else ""), (fix,))


def version_of(deployment: Any) -> str:
    """A Worker Deployment Version as text; empty for none, as workers without versioning have."""
    mode = getattr(deployment, "worker_versioning_mode", None)
    name = f"{deployment.deployment_name} {deployment.build_id}".strip()
    return "" if mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_UNVERSIONED else name


def find_problems(settings: Settings) -> Iterator[Finding]:
    """What makes the settings unusable: errors of reading, conflicts and missing values."""
    yield from settings.problems
    yield from _find_conflicts(settings.values)
    for one in (value for value in settings.values if not value.setting):
        close = get_close_matches(re.sub(r"\W", "_", one.name.upper()), SETTING_OF, 1, 0.93)
        if close and not settings.is_set(SETTING_OF[close[0]]):
            text = f"{one.name} is not a setting: did you mean {close[0]}?"
            yield error(text, f"{close[0]}=<the value of {one.name}>")
    try:
        settings.find_proxy()
    except ValueError:
        text = f"{settings.value('HTTPS_PROXY')}: the SDK can use only HTTP proxies"
        yield error(text, "HTTPS_PROXY=http://<host>:<port>")
    if settings.whole:  # or what is in an unreadable file would seem to be missing
        yield from _find_missing(settings)


def _find_conflicts(values: tuple[Value, ...]) -> Iterator[Finding]:
    """Pairs that set one thing in two ways: two names in one source, or a file and a text."""
    ours = [value for value in values if value.setting.startswith("TEMPORAL_")]
    for one, other in combinations(ours, 2):
        ranked = one.setting == other.setting and one.source != other.source  # the first wins
        same = text_setting(one.setting) == text_setting(other.setting)
        if same and not ranked and one.text != other.text:
            yield error(f"{one} and {other} set the same thing", other.removal, f"or {one.removal}")


def _find_missing(settings: Settings) -> Iterator[Finding]:
    def first(*names: str) -> str:
        return next((settings.value(name).name for name in names if settings.is_set(name)), "")

    for here, there in (*permutations((CERT, CERT_KEY)), *permutations(VERSION)):
        if first(*here) and not first(*there):
            yield error(f"{first(*here)} is set without {there[0]}", f"{there[0]}=<value>")
    cloud, credential = settings.on_cloud, first(*API_KEY, *CERT, *CERT_KEY)
    names = settings["TEMPORAL_NAMESPACE"], settings.host.removesuffix(".tmprl.cloud")
    known = next(filter(CLOUD_NAMESPACE.fullmatch, names), "")
    name = known.lower() or "<name>.<account>"
    if (cloud or credential or known) and not settings.is_set("TEMPORAL_ADDRESS"):
        text = f"TEMPORAL_ADDRESS is not set, but {credential or 'a Temporal Cloud namespace'} is"
        yield error(text, f"TEMPORAL_ADDRESS={name}.tmprl.cloud:7233")
    address = settings.value("TEMPORAL_ADDRESS")
    if credential and (url := re.match(r"(?!https:)\w+:/+([^/]*@)?([^/]*)", address.text, re.I)):
        text = f"{address} is a URL, with which the SDK would send {credential} in the clear"
        port = "" if ":" in url[2] else ":7233" if cloud else ":443"
        yield error(text, f"{address.name}={url[2]}{port}")
    if cloud and not settings.is_set("TEMPORAL_NAMESPACE"):
        yield error("TEMPORAL_NAMESPACE is not set", f"TEMPORAL_NAMESPACE={name}")
    if cloud and not credential:
        text = "no credential is set: Temporal Cloud requires an API key or a client certificate"
        yield error(text, f"{API_KEY[0]}=<API key>", f"or {CERT[0]}=<PEM file>, and its key")
    # Where it is not set, the SDK switches it on, but not for an authorization header alone.
    tls = settings.profile.to_client_connect_config().get("tls", credential != API_KEY[2])
    if cloud and not tls:
        yield error("TLS is switched off, and Temporal Cloud requires it", "TEMPORAL_TLS=true")
