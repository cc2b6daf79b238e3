"""Say what is configured, where it came from, and whether a ping could run.

    python scripts/check_temporal_config.py              settings, then the server, rung by rung
    python scripts/check_temporal_config.py --offline    the settings alone

✓ good  ✗ wrong  ⚠ worth knowing  – not reached because of an earlier one  → what mends it
Exits with 0 if a ping could run, else with 1. Secrets are never shown.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from temporal_client import CONNECTION_SETTINGS, ENV_FILE, PROCESS_SETTINGS, read_settings
from temporal_script import arguments, run


async def main(args: argparse.Namespace) -> int:
    """Print one line a setting and one line a check."""
    settings, findings = read_settings(os.environ)
    print(f"Settings ({ENV_FILE.name} is {'' if ENV_FILE.exists() else 'not '}there):")
    for official in [*CONNECTION_SETTINGS, *PROCESS_SETTINGS]:
        origin = settings.origin(official)
        alias = f" as {origin.name}" if origin.name != official else ""
        value = f"{origin.shown}   ({origin.source}{alias})" if origin.shown else "not set"
        print(f"  {official} = {value}")
    print("\nChecks:")
    marks = {finding.mark for finding in findings}
    for finding in findings:
        print(finding)
    if "✗" not in marks:
        print("✓ settings: complete and sound")
    polled = False
    if not args.offline:
        from temporal_diagnosis import RUNGS, walk

        if "✗" in marks:
            for title, *_ in RUNGS:
                print(f"– {title}: not reached")
        else:
            async for finding in walk(settings):
                print(finding, flush=True)
                marks.add(finding.mark)
                polled = finding.mark == "✓"  # in the end that of the highest rung, the workers
    if "✗" in marks:
        print("\nNext: mend what is marked ✗, and run this check again")
        return 1
    worker = "" if polled else "python workers/worker.py in one terminal, and in another "
    print(f"\nNext: {worker}python scripts/start_ping.py")
    return 0


def parser() -> argparse.ArgumentParser:
    """The script's options."""
    options = arguments(__doc__)
    options.add_argument("--offline", action="store_true", help="check the settings alone")
    return options


if __name__ == "__main__":
    run(main, parser())
