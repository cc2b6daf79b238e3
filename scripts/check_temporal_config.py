"""Show what is configured, where it came from, and whether a ping could run.

    python scripts/check_temporal_config.py              settings, then the server, step by step
    python scripts/check_temporal_config.py --offline    only the settings

✓ good  ✗ wrong  ⚠ worth knowing  – not reached because an earlier check failed  → what fixes it
Exits with 0 if a ping could run, else with 1. Secrets are never shown.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporal_kit import load_env_file

load_env_file(ROOT / ".env")  # your own variables, before your modules are imported

from temporal_client import get_temporal_client, load_settings
from temporal_kit import SettingsError, check, run_script


async def main(args: argparse.Namespace) -> int:
    """Print a line per setting and a line per check."""
    try:
        settings = load_settings()
    except SettingsError as problem:
        settings = problem.settings
    print(settings.table())
    print("\nChecks:")
    levels = []
    async for finding in check(load_settings, get_temporal_client, offline=args.offline):
        print(finding.styled(), flush=True)
        levels.append(finding.level)
    if "error" in levels:
        print("\nNext: fix what is marked ✗, and run this check again")
        return 1
    polled = levels[-1] == "ok" and not args.offline  # the last step looks for workers
    worker = "" if polled else "python workers/worker.py in one terminal, and then "
    print(f"\nNext: {worker}python scripts/start_ping.py")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offline", action="store_true", help="check only the settings")
    run_script(main, parser)
