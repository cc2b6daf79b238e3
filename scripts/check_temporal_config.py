"""Show what is configured, where it came from, and whether a ping could run.

    python scripts/check_temporal_config.py              settings, then the server, step by step
    python scripts/check_temporal_config.py --offline    only the settings

✓ good  ✗ wrong  ⚠ worth knowing  – not reached because an earlier check failed  → what fixes it
Exits with 0 if a ping could run, else with 1. Secrets are never shown.
"""

import argparse
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from temporal_client import connect, describe_namespace, find_problems, find_worker
from temporal_findings import Finding
from temporal_script import SDK_ERRORS, arguments, explain, run
from temporal_settings import ENV_FILE, SETTINGS, Settings, read_settings

COLOURS = {"error": 31, "warning": 33, "ok": 32}


async def check_core(settings: Settings, *, offline: bool = False) -> AsyncIterator[Finding]:
    """The checks without the doctor: the core's problems, and whether the server answers."""
    problems = list(find_problems(settings))
    for finding in problems or [Finding("ok", "settings: complete")]:
        yield finding
    if not problems and not offline:
        try:
            client = await connect(settings)
            await describe_namespace(client)
            yield Finding("ok", "the server answers, and knows the namespace")
            yield await find_worker(client, settings["TEMPORAL_TASK_QUEUE"])
        except SDK_ERRORS as problem:
            for finding in (await explain(problem, settings)).findings:
                yield finding


def show(finding: Finding) -> str:
    """The finding, its mark in colour where it is for a terminal and NO_COLOR is not set."""
    text, colour = str(finding), COLOURS.get(finding.level)
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    if plain or not colour or not os.isatty(1):
        return text
    return f"\033[{colour}m{text[0]}\033[0m{text[1:]}"


async def main(args: argparse.Namespace) -> int:
    """Print a line per setting and a line per check."""
    try:
        from temporal_doctor import check
    except ImportError:  # it may have been deleted
        check = check_core

    settings = read_settings()
    print(f"Settings ({ENV_FILE.name} is {'' if ENV_FILE.exists() else 'not '}there):")
    for setting in SETTINGS:
        value = settings.value(setting)
        alias = f" as {value.name}" if value.name != setting else ""
        source = f"   ({value.source}{alias})" if value.text else ""
        print(f"  {setting} = {value.shown or 'not set'}{source}")
    print("\nChecks:")
    levels = []
    async for finding in check(settings, offline=args.offline):
        print(show(finding), flush=True)
        levels.append(finding.level)
    if "error" in levels:
        print("\nNext: fix what is marked ✗, and run this check again")
        return 1
    polled = levels[-1] == "ok" and not args.offline  # the last step looks for workers
    worker = "" if polled else "python workers/worker.py in one terminal, and then "
    print(f"\nNext: {worker}python scripts/start_ping.py")
    return 0


if __name__ == "__main__":
    options = arguments(__doc__)
    options.add_argument("--offline", action="store_true", help="check only the settings")
    run(main, options)
