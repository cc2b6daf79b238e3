"""Show what is configured, where it came from, and whether a ping could run.

    python scripts/check_temporal_config.py              settings, then the server, step by step
    python scripts/check_temporal_config.py --offline    only the settings

✓ good  ✗ wrong  ⚠ warning  – skipped, because an earlier check failed  → how to fix it
Exits with 1 if no ping can run, else with 0. Secrets are never shown.
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
import shlex

from temporal_client import get_temporal_client, load_settings
from temporal_kit import SettingsError, check, run_script


async def main(args: argparse.Namespace) -> int:
    """Print a line per setting and a line per check; return the exit code."""
    try:
        settings = load_settings()
    except SettingsError as error:
        settings = error.settings  # what could be read; the checks below tell what is wrong
    print(settings.table())
    print("\nChecks:")
    findings = []
    async for finding in check(
        load_settings, get_temporal_client, offline=args.offline, task_queue=args.task_queue
    ):
        print(finding.styled(), flush=True)
        findings.append(finding)
    if any(finding.stops_ping for finding in findings):
        print("\nNext: fix what is marked ✗, then run this check again")
        return 1
    if any(finding.worker_only for finding in findings):
        print("\nNext: fix what is marked ✗, for a worker; a ping can run")
        return 0
    worker_polls = not args.offline and findings[-1].level == "ok"  # the last looks for workers
    first = "" if worker_polls else "python workers/worker.py in one terminal, then "
    queue = f" --task-queue {shlex.quote(args.task_queue)}" if args.task_queue else ""
    print(f"\nNext: {first}python scripts/start_ping.py{queue}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offline", action="store_true", help="check only the settings")
    parser.add_argument("--task-queue", metavar="NAME", help="default: TEMPORAL_TASK_QUEUE")
    run_script(main, parser)
