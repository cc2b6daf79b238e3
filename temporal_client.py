"""From settings to a connected Temporal client: `client = await get_temporal_client()`."""

import asyncio
import os
from datetime import timedelta
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
CONNECT_SECONDS = 8.0


def client_options() -> dict[str, Any]:
    """Options of `Client.connect` for every client: your data converter, interceptors, plugins."""
    return {}


def load_settings() -> Settings:
    """The environment, then `.env`, then a TOML profile, then DEFAULTS: the first that has it wins.

    Raises `SettingsError` with every problem at once. To take credentials from a vault, set them in
    `os.environ` before this reads it.
    """
    return read_settings(os.environ, ENV_FILE, DEFAULTS)


async def get_temporal_client(
    settings: Settings | None = None, *, metrics_address: str = "", **overrides: Any
) -> Client:
    """A client that is connected to the server and has found the namespace, within 10 s.

    `settings` are read by `load_settings` unless they are given. With a `metrics_address`, as a
    worker has, the SDK's metrics are served there. `overrides` go to `Client.connect` and win over
    `client_options`. Raises `SettingsError` for wrong settings, and `Failure`, with what is wrong
    and the lines that fix it, if the server cannot be reached or refuses.
    """
    settings = settings or load_settings()
    own = client_options()
    options: dict[str, Any] = {
        "target_host": settings.address,
        "namespace": settings.namespace,
        "api_key": settings.api_key,
        "tls": settings.tls,
        "rpc_metadata": settings.headers,
        "http_connect_proxy_config": settings.proxy,
        "runtime": sdk_runtime(metrics_address, own.get("runtime")),
        # With the SDK's defaults a worker can stay cut off for a minute after an outage; with
        # these, for about a second. Servers tolerate one keep-alive every 10 s.
        "connect_timeout": timedelta(seconds=5),
        "keep_alive_config": KeepAliveConfig(interval_millis=15_000, timeout_millis=5_000),
        # Compression costs a worker 7 % of its CPU per ping; it may pay off for large payloads.
        "grpc_compression": GrpcCompression.NONE,
        **own,
        **overrides,
    }
    async with explain_errors(settings, proxy=options["http_connect_proxy_config"]):
        # The SDK waits forever if a server accepts the connection and never responds.
        client = await asyncio.wait_for(Client.connect(**options), CONNECT_SECONDS)
        await check_namespace(client)  # which connecting does not
    return client
