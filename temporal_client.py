"""From settings to a connected Temporal client: `client = await get_temporal_client()`."""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from difflib import get_close_matches
from itertools import combinations
from typing import Any

from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice import v1 as api
from temporalio.client import Client, GrpcCompression, KeepAliveConfig

from temporal_findings import Finding, SettingsError, error
from temporal_runtime import sdk_runtime
from temporal_settings import HEADER, OFFICIAL, Settings, Value, read_settings, text_setting

CONNECT_SECONDS = 8.0
STALE_SECONDS = 60.0  # an idle worker polls at least once a minute
CLOUD_HOST = re.compile(r"(.+\.)?(tmprl\.cloud|api\.temporal\.io)\.?|cloud\.temporal\.io", re.I)
CLOUD_NAMESPACE = re.compile(r"[a-z][a-z0-9-]{0,37}[a-z0-9]\.[a-z0-9]{5,}", re.I)
API_KEY = ("TEMPORAL_API_KEY", "TEMPORAL_API_KEY_FILE", f"{HEADER}AUTHORIZATION")
CERT = ("TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_DATA")
CERT_KEY = ("TEMPORAL_TLS_CLIENT_KEY_PATH", "TEMPORAL_TLS_CLIENT_KEY_DATA")
VERSION = (("TEMPORAL_DEPLOYMENT_NAME",), ("TEMPORAL_WORKER_BUILD_ID",))


def client_options() -> dict[str, Any]:
    """Options for every client: put your data converter, interceptors and plugins here.

    The worker and every script pass them to `temporalio.client.Client.connect`. To use credentials
    from a vault, set them in `os.environ` at the top of this file.
    """
    return {}


async def get_temporal_client(**overrides: Any) -> Client:
    """Connect to the Temporal server that the settings describe.

    `overrides` go to `temporalio.client.Client.connect` and win over `client_options`. Raises
    `SettingsError` if the settings are invalid, and otherwise any error of the SDK, within 8 s.
    """
    return await connect(load_settings(), **overrides)


def load_settings() -> Settings:
    """The settings of this process; raises `SettingsError` with every problem at once."""
    settings = read_settings(os.environ)
    if problems := list(find_problems(settings)):
        raise SettingsError(*problems)
    return settings


async def connect(settings: Settings, *, metrics: bool = False, **overrides: Any) -> Client:
    """Connect with these settings; with `metrics`, serve them on TEMPORAL_METRICS_ADDRESS."""
    options: dict[str, Any] = {
        **settings.profile.to_client_connect_config(),
        # With the SDK's defaults a worker can stay cut off for a minute after an outage; with
        # these, for about a second. Servers tolerate one keep-alive every 10 s.
        "connect_timeout": timedelta(seconds=5),
        "keep_alive_config": KeepAliveConfig(interval_millis=15_000, timeout_millis=5_000),
        # Compression costs a worker 7 % of its CPU per ping; it may pay off for large payloads.
        "grpc_compression": GrpcCompression.NONE,
        **client_options(),
        **overrides,
    }
    address = settings["TEMPORAL_METRICS_ADDRESS"] if metrics else ""
    if "runtime" not in options:
        options["runtime"] = sdk_runtime(address)
    elif address:
        text = "TEMPORAL_METRICS_ADDRESS has no effect on a runtime of your own"
        raise SettingsError(error(text, "unset TEMPORAL_METRICS_ADDRESS"))
    # The SDK waits forever if a server accepts the connection and never responds.
    return await asyncio.wait_for(Client.connect(**options), CONNECT_SECONDS)


async def describe_namespace(client: Client) -> None:
    """Check that the namespace exists, which connecting does not; raises `RPCError`."""
    request = api.DescribeNamespaceRequest(namespace=client.namespace)
    await client.workflow_service.describe_namespace(request, timeout=timedelta(seconds=2))


async def find_worker(client: Client, queue: str, since: float = 0) -> Finding:
    """Check whether a worker is polling a task queue for workflows; raises `RPCError`.

    One counts as running if it has polled after `since` (Unix time) and within the last minute.
    """
    request = api.DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue)
    )
    ask = client.workflow_service.describe_task_queue
    found = await ask(request, timeout=timedelta(seconds=2))
    polls = [one.last_access_time.ToNanoseconds() / 1e9 for one in found.pollers]
    age = time.time() - max(polls, default=0)
    if age <= min(STALE_SECONDS, time.time() - since + 1):  # 1 s for two clocks
        return Finding("ok", f"{len(polls)} on {queue!r}, the last poll {max(age, 0):.0f} s ago")
    ago = f" for {age:.0f} s" if polls else ""
    start = "python workers/worker.py   # in another terminal, with the same settings"
    text = f"no worker polls the task queue {queue!r} in namespace {client.namespace!r}{ago}"
    return Finding("warning", text, (start,))


def on_cloud(settings: Settings) -> bool:
    """Whether the server is Temporal Cloud, reached by its own name or a private one."""
    names = host_of(settings), settings["TEMPORAL_TLS_SERVER_NAME"]
    return any(CLOUD_HOST.fullmatch(name) for name in names)


def host_of(settings: Settings) -> str:
    """The host of the address, in lower case."""
    return re.sub(r":\d*$", "", settings["TEMPORAL_ADDRESS"]).rstrip(".").lower()


def name_server(settings: Settings) -> str:
    """How log messages refer to the server."""
    if on_cloud(settings):
        return f"Temporal Cloud: {settings['TEMPORAL_NAMESPACE']}"
    return f"Temporal server: {settings['TEMPORAL_ADDRESS']}"


def find_problems(settings: Settings) -> Iterator[Finding]:
    """What makes the settings unusable: errors of reading, conflicts and missing values."""
    yield from settings.problems
    yield from _find_conflicts(settings.values)
    for one in (value for value in settings.values if not value.setting):
        close = get_close_matches(re.sub(r"\W", "_", one.name.upper()), OFFICIAL, 1, 0.93)
        if close and not settings.is_set(OFFICIAL[close[0]]):
            text = f"{one.name} is not a setting: did you mean {close[0]}?"
            yield error(text, f"{close[0]}=<the value of {one.name}>")
    if settings.whole:  # or what could not be read would seem to be missing
        yield from _find_missing(settings)


def _find_conflicts(values: tuple[Value, ...]) -> Iterator[Finding]:
    """Pairs that set one thing in two ways: two names in one source, or a file and a text."""
    for one, other in combinations(values, 2):
        rivals = one.source == other.source or one.setting != other.setting
        same = one.setting and text_setting(one.setting) == text_setting(other.setting)
        if same and rivals and one.text != other.text:
            fix = f"keep one of the two: unset {other.name}, or {one.name}"
            yield error(f"{one} and {other} set the same thing", fix)


def _find_missing(settings: Settings) -> Iterator[Finding]:
    def first(*names: str) -> str:
        return next((settings.value(name).name for name in names if settings.is_set(name)), "")

    for here, there in ((CERT, CERT_KEY), (CERT_KEY, CERT), VERSION, VERSION[::-1]):
        if first(*here) and not first(*there):
            yield error(f"{first(*here)} is set without {there[0]}", f"{there[0]}=<value>")
    cloud, credential = on_cloud(settings), first(*API_KEY, *CERT, *CERT_KEY)
    namespace = CLOUD_NAMESPACE.fullmatch(settings["TEMPORAL_NAMESPACE"])
    if (cloud or credential or namespace) and not settings.is_set("TEMPORAL_ADDRESS"):
        text = f"TEMPORAL_ADDRESS is not set, but {credential or 'a Temporal Cloud name'} is"
        name = namespace[0].lower() if namespace else "<name>.<account>"
        yield error(text, f"TEMPORAL_ADDRESS={name}.tmprl.cloud:7233")
    if cloud and not settings.is_set("TEMPORAL_NAMESPACE"):
        name = host_of(settings).removesuffix(".tmprl.cloud")
        known = CLOUD_NAMESPACE.fullmatch(name) and not name.endswith(".region")
        fix = f"TEMPORAL_NAMESPACE={name if known else '<name>.<account>'}"
        yield error("TEMPORAL_NAMESPACE is not set", fix)
    if cloud and not credential:
        text = "no credential is set: Temporal Cloud requires an API key or a client certificate"
        yield error(text, f"{API_KEY[0]}=<API key>", f"or {CERT[0]}=<PEM file>, and its key")
    if cloud and settings["TEMPORAL_TLS"].lower() in ("false", "0"):
        yield error("TLS is switched off, and Temporal Cloud requires it", "TEMPORAL_TLS=true")
