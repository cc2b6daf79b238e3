"""Count how processes end: those of the SDK now and then die of a signal after their work.

    python tests/exit_codes.py --pings 2000 --checks 1000 --others 300

runs each kind of ending so often, three at a time, against a real server with a real worker, and
prints how often each exit code came, and what else was not as it should be. Run it with each
interpreter that is to be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kit import CHECK, PING, DevServer, Kit, RunningScript, free_port
from pings import connect
from temporalio.exceptions import WorkflowAlreadyStartedError

QUEUE = "exit-codes"
HOOK = "import atexit, os; atexit.register(os.write, 2, b'every exit hook ran\\n')"
# Calls in flight wait for the answer of a workflow that no worker knows.
PROGRAM = """
import asyncio, sys
from temporal_client import get_temporal_client
from temporal_script import arguments, run

kept = None

async def connect_and_call():
    global kept
    kept = await get_temporal_client()
    handle = kept.get_workflow_handle("held")
    calls = [asyncio.ensure_future(handle.result()) for _ in range(5)]
    await asyncio.sleep(0.2)
    print(len(calls), flush=True)

async def in_a_global(_):
    await connect_and_call()
    return 3

async def in_a_traceback(_):
    client = await get_temporal_client()
    raise LookupError(client.namespace)

async def plain():
    client = await get_temporal_client()
    print(client.namespace, flush=True)

if sys.argv[1] == "plain":
    asyncio.run(plain())
elif sys.argv[1] == "plain, in a global":
    asyncio.run(connect_and_call())
else:
    run(globals()[sys.argv.pop(1)], arguments(""))
"""


@dataclass(frozen=True)
class Ending:
    """A process, how it is to end, and what is to stand in its output."""

    command: tuple[str, ...]
    code: int = 0
    said: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    stop_at: str = ""  # Ctrl+C comes when it has said this


NOWHERE = f"127.0.0.1:{free_port()}"
ENDINGS = {
    "ping": Ending((PING,), 0, "ok\n"),
    "check": Ending((CHECK,), 0, "the last poll "),
    "client in a global, calls in flight": Ending(("endings.py", "in_a_global"), 3, "5\n"),
    "client in a traceback": Ending(("endings.py", "in_a_traceback"), 1, "LookupError"),
    "plain asyncio.run": Ending(("endings.py", "plain"), 0, "default\n"),
    "plain asyncio.run, client in a global": Ending(("endings.py", "plain, in a global"), 0, "5\n"),
    "failed connect": Ending((PING,), 1, "✗", {"TEMPORAL_ADDRESS": NOWHERE}),
    "wrong settings": Ending((PING,), 1, "✗", {"TEMPORAL_TLS_CLIENT_CERT_PATH": "/none"}),
    "Ctrl+C": Ending(
        (PING,), 130, "Stopping", {"TEMPORAL_TASK_QUEUE": "nobody"}, "Waiting for result"
    ),
}


async def hold(address: str) -> None:
    """Start what the calls in flight wait for."""
    client = await connect(address)
    with suppress(WorkflowAlreadyStartedError):
        await client.start_workflow("Held", id="held", task_queue="nobody")


def end(ending: Ending, kit: Kit, env: Mapping[str, str]) -> tuple[int, str]:
    """The exit code of one process and, if not right, all that it printed."""
    script, *arguments = ending.command
    command = [sys.executable, str(kit.root / script), *arguments]
    with RunningScript(command, {**env, **ending.settings}) as process:
        try:
            if ending.stop_at:
                process.wait_for(ending.stop_at)
                process.signal(signal.SIGINT)
            code = process.wait(20)
        except AssertionError as late:
            return -1, str(late)
    out, err = process.stdout, process.stderr
    fine = code == ending.code and ending.said in out + err and "Traceback" not in err
    return code, "" if fine and err.endswith("every exit hook ran\n") else out + err


def measure(kit: Kit, address: str, runs: dict[str, int]) -> dict[str, Counter[tuple[int, str]]]:
    """By kind of ending: how often it came with each exit code and, if not right, each output."""
    (kit.root / "endings.py").write_text(PROGRAM)
    (kit.home / "sitecustomize.py").write_text(HOOK)
    env = kit.env(TEMPORAL_ADDRESS=address, TEMPORAL_TASK_QUEUE=QUEUE, PYTHONPATH=kit.home)
    asyncio.run(hold(address))
    turns = [name for turn in range(max(runs.values())) for name in runs if turn < runs[name]]
    counts: dict[str, Counter[tuple[int, str]]] = {name: Counter() for name in runs}
    with (
        kit.work(TEMPORAL_ADDRESS=address, TEMPORAL_TASK_QUEUE=QUEUE),
        ThreadPoolExecutor(3) as lanes,
    ):
        results = lanes.map(lambda name: end(ENDINGS[name], kit, env), turns)
        for name, result in zip(turns, results, strict=True):
            counts[name][result] += 1
    return counts


def main() -> int:
    """Run as often as the command line says."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("pings", 300), ("checks", 300), ("others", 100)):
        options.add_argument(f"--{name}", type=int, default=default)
    args = options.parse_args()
    runs = dict.fromkeys(ENDINGS, args.others) | {"ping": args.pings, "check": args.checks}
    with tempfile.TemporaryDirectory() as folder, DevServer() as server:
        counts = measure(Kit(Path(folder, "kit")), server.address, runs)
    print(f"Python {sys.version.split()[0]}")
    for name, found in counts.items():
        for (code, odd), times in sorted(found.items()):
            print(f"{name}: {times} times exit code {code}{', and: ' + odd if odd else ''}")
    return int(any(set(found) - {(ENDINGS[name].code, "")} for name, found in counts.items()))


if __name__ == "__main__":
    sys.exit(main())
