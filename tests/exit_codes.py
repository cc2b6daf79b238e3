"""Count exit codes: short-lived programs on the SDK now and then die of a signal after their work.

    python tests/exit_codes.py 1000

runs `start_ping.py` and the check so often each, two at a time, against a real server with a real
worker, and prints how often each exit code came, and what else was not as it should be.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kit import DevServer, Kit

SCRIPTS = ("scripts/start_ping.py", "scripts/check_temporal_config.py")
LANES = 2


def measure(kit: Kit, address: str, runs: int) -> dict[str, Counter[tuple[int, str]]]:
    """By script: how often it ended with each exit code and, if not right, what it printed."""
    env = kit.env(TEMPORAL_ADDRESS=address, TEMPORAL_TASK_QUEUE="exit-codes")

    def one(script: str) -> tuple[str, int, str]:
        done = subprocess.run(
            [sys.executable, kit.root / script],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        right = "ok\n" if script == SCRIPTS[0] else "✓ workers: "
        fine = done.stdout == right if script == SCRIPTS[0] else right in done.stdout
        return script, done.returncode, "" if fine else done.stdout + done.stderr

    counts: dict[str, Counter[tuple[int, str]]] = {script: Counter() for script in SCRIPTS}
    with (
        kit.start("workers/worker.py", cwd=None, **_only_temporal(env)) as worker,
        ThreadPoolExecutor(LANES) as lanes,
    ):
        worker.wait_for("Worker running")
        for script, code, odd in lanes.map(one, SCRIPTS * runs):
            counts[script][code, odd] += 1
    return counts


def _only_temporal(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith("TEMPORAL_")}


def main() -> None:
    """Run as often as the command line says."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder, DevServer() as server:
        counts = measure(Kit(Path(folder, "kit")), server.address, runs)
    for script, found in counts.items():
        for (code, odd), times in sorted(found.items()):
            print(f"{script}: {times} times exit code {code}{', and: ' + odd if odd else ''}")
    sys.exit(any(set(found) != {(0, "")} for found in counts.values()))


if __name__ == "__main__":
    main()
