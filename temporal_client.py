"""Connect to Temporal: `client = await get_temporal_client()`."""

import asyncio
import os
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from temporalio.client import Client, GrpcCompression, KeepAliveConfig

from temporal_kit import Settings, check_namespace, explain_errors, read_settings, sdk_runtime

ENV_FILE = Path(__file__).resolve().with_name(".env")
DEFAULTS = {
    "TEMPORAL_ADDRESS": "localhost:7233",
    "TEMPORAL_NAMESPACE": "default",
    "TEMPORAL_TASK_QUEUE": "ap-default",
    "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": "30",
}
CONNECT_SECONDS = 8.0  # for the whole of `Client.connect`


@cache  # called once in a process
def client_options() -> dict[str, Any]:
    """Your own arguments for every `Client.connect`: data_converter, interceptors, plugins."""
    return {}


def load_settings() -> Settings:
    """The environment, then `.env`, then a TOML profile, then DEFAULTS: the first that has it wins.

    What `load_dotenv()` copied into the environment still counts as `.env`'s. Raises
    `SettingsError` with every problem at once. To use a vault, put its credentials into
    `os.environ` here, before the `return`.
    """
    return read_settings(os.environ, ENV_FILE, DEFAULTS)


async def get_temporal_client(
    settings: Settings | None = None, *, metrics_address: str = "", **overrides: Any
) -> Client:
    """Connect and check that the namespace exists.

    Without `settings`, calls `load_settings`. With a `metrics_address`, which a worker has, serves
    Prometheus metrics there. `overrides` are arguments of `Client.connect` that win over all others.
    Raises `SettingsError`, or `Failure` if the server cannot be reached or refuses. The message of
    either says what is wrong and how to fix it.
    """
    settings = settings or load_settings()
    options: dict[str, Any] = {
        "target_host": settings.address,
        "namespace": settings.namespace,
        "api_key": settings.api_key,
        "tls": settings.tls,
        "rpc_metadata": settings.headers,
        "http_connect_proxy_config": settings.proxy,
        # Of one attempt. Without it, a worker can stay cut off for a minute after an outage.
        "connect_timeout": timedelta(seconds=5),
        # A dead connection is noticed within 20 s. Servers reject pings sent more often than 10 s.
        "keep_alive_config": KeepAliveConfig(interval_millis=15_000, timeout_millis=5_000),
        # Costs a worker 7 % more CPU for small payloads; it may pay off for large ones.
        "grpc_compression": GrpcCompression.NONE,
        **client_options(),
        **overrides,
    }
    options["runtime"] = sdk_runtime(metrics_address, options.get("runtime"))
    # Turns the SDK's errors into a Failure that says how to fix them.
    async with explain_errors(settings, proxy=options["http_connect_proxy_config"]):
        # The SDK waits forever if a server accepts the connection and never responds.
        client = await asyncio.wait_for(Client.connect(**options), CONNECT_SECONDS)
        await check_namespace(client)  # Client.connect does not
    return client
