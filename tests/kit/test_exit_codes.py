"""How processes end: those of the SDK now and then die of a signal after their work.

    TIMES=300 python -m pytest -m slow -rP tests/test_exit_codes.py

runs each kind of ending so often, three at a time, against a real server with a real worker, and
prints how often each exit code came, and what else was not as it should be. Run it with each
interpreter that is to be measured.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .cases import env
from .kit import CHECK, PING, Kit, free_port
from .marks import posix
from .pings import CALLING, begin

pytestmark = [pytest.mark.slow, posix]
TIMES = int(os.environ.get("TIMES", "1"))
HOOK = "import atexit, os; atexit.register(os.write, 2, b'every exit hook ran\\n')"
# Calls in flight wait for the answer of a workflow that no worker knows.
PROGRAM = """
import asyncio, sys
from temporal_client import get_temporal_client
from temporal_kit import run_script

kept = None

async def connect_and_call():
    global kept
    kept = await get_temporal_client()
    handle = kept.get_workflow_handle("held")
    calls = [asyncio.ensure_future(handle.result()) for _ in range(5)]
    await asyncio.sleep(0.2)
    print(len(calls), flush=True)

async def in_a_global():
    await connect_and_call()
    return 3

async def in_a_traceback():
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
    run_script(globals()[sys.argv.pop(1)], "")
"""


class Ending(NamedTuple):
    """A process, how it is to end, and what is to stand in its output."""

    command: tuple[str, ...]
    code: int = 0
    said: str = ""
    settings: Mapping[str, str] = {}
    stop_at: str = ""  # Ctrl+C comes when it has said this


NOWHERE = f"127.0.0.1:{free_port()}"
ENDINGS = {
    "ping": Ending((PING,), 0, "ok\n"),
    "check": Ending((CHECK,), 0, "the last poll "),
    "client in a global, calls in flight": Ending(("endings.py", "in_a_global"), 3, "5\n"),
    "client in a traceback": Ending(("endings.py", "in_a_traceback"), 1, "LookupError"),
    "plain asyncio.run": Ending(("endings.py", "plain"), 0, "default\n"),
    "plain asyncio.run, client in a global": Ending(("endings.py", "plain, in a global"), 0, "5\n"),
    "failed connect": Ending((PING,), 1, "✗", env(ADDRESS=NOWHERE)),
    "wrong settings": Ending((PING,), 1, "✗", env(TLS_CLIENT_CERT_PATH="/none")),
    "Ctrl+C": Ending((PING,), 130, "Stopping", env(TASK_QUEUE="nobody"), "Waiting for result"),
}


def end(kit: Kit, ending: Ending, settings: dict[str, Any]) -> tuple[int, str]:
    """The exit code of one process and, if not right, all that it printed."""
    with kit.start(*ending.command, **{**settings, **ending.settings}) as process:
        try:
            if ending.stop_at:
                process.wait_for(ending.stop_at)
                process.signal(signal.SIGINT)
            code = process.wait(20)
        except AssertionError as late:
            return -1, str(late)
    out, err = process.stdout, process.stderr
    traceback = ending.said == "LookupError"  # a bug in the script's own code
    said = ending.said in out + err and ("Traceback" in err) == traceback
    fine = code == ending.code and said
    return code, "" if fine and err.endswith("every exit hook ran\n") else out + err


@pytest.mark.timeout(120 * TIMES)
def test_exit_codes_are_true_and_every_exit_hook_runs(kit: Kit, here: dict[str, Any]) -> None:
    (kit.root / "endings.py").write_text(PROGRAM)
    (kit.home / "sitecustomize.py").write_text(HOOK)
    asyncio.run(begin(here["TEMPORAL_ADDRESS"], "Held", id="held", task_queue="nobody"))
    kit.work(**here)
    settings, names = {**here, "PYTHONPATH": kit.home}, [*ENDINGS] * TIMES
    with ThreadPoolExecutor(3) as lanes:
        results = lanes.map(lambda name: (name, *end(kit, ENDINGS[name], settings)), names)
        counts = Counter(results)
    for (name, code, odd), times in sorted(counts.items()):
        print(f"{name}: {times} times exit code {code}{', and: ' + odd if odd else ''}")
    assert counts == {(name, one.code, ""): TIMES for name, one in ENDINGS.items()}


LOCKED = """
import asyncio, atexit, logging, os, sys, threading, time
atexit.register(os.write, 2, b"an early hook ran\\n")
from temporal_kit import run_script

whose = sys.argv.pop(1)
if whose == "owners":
    logging.basicConfig(level="INFO")

def hold(lock):
    lock.acquire()
    print("held", flush=True)
    time.sleep(600)

async def main():
    handler = (logging.getLogger().handlers or [logging.lastResort])[0]
    lock = logging._lock if whose == "module" else handler.lock
    threading.Thread(target=hold, args=(lock,), daemon=True).start()
    await asyncio.sleep(600)

run_script(main, None)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("whose", ["kits", "owners", "module"])
def test_a_lock_of_the_log_that_somebody_holds_changes_no_end(
    kit: Kit, whose: str, number: signal.Signals
) -> None:
    (kit.root / "locked.py").write_text(LOCKED)
    process = kit.start("locked.py", whose)
    process.wait_for("held")
    process.signal(number)
    assert process.wait(12) == 128 + number
    assert process.stderr.count("an early hook ran") == 1


# Hooks that take their time, so that a second run of them would be seen.
HOOKS = """
import atexit, os, time
for name in (b"last", b"second", b"first"):
    atexit.register(os.write, 2, name + b" hook\\n")
    atexit.register(time.sleep, 0.1)
"""
DAWDLING = """
import signal, subprocess, time
from concurrent.futures import ProcessPoolExecutor
from temporalio import activity

POOL = ProcessPoolExecutor(2)

def dawdle():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)

@activity.defn
def in_a_thread() -> str:
    activity.logger.info("in_a_thread begins")
    with ProcessPoolExecutor(2) as pool:
        return pool.submit(dawdle).result()

@activity.defn
async def in_a_task() -> str:
    activity.logger.info("in_a_task begins")
    return await asyncio.get_running_loop().run_in_executor(POOL, dawdle)

@activity.defn
def in_a_child() -> str:
    activity.logger.info("in_a_child begins")
    return str(subprocess.run(["sh", "-c", "sleep 600; exit", "a-secret-key"]))
"""
# Whether `main` can end tells the code: it waits for the thread, but not for the cancelled task.
LEFT = {"in_a_thread": 143, "in_a_task": 0, "in_a_child": 143}


@pytest.mark.timeout(60 * TIMES + 60)
@pytest.mark.parametrize("activity", LEFT)
def test_what_outlasts_the_grace_is_named_and_hooks_run_once(
    kit: Kit, here: dict[str, Any], activity: str
) -> None:
    kit.register("dawdling", CALLING + DAWDLING, workflows=["Calling"], activities=[*LEFT])
    (kit.home / "sitecustomize.py").write_text(HOOKS)
    key = {"TEMPORAL_API_KEY": "a-secret-key", "TEMPORAL_TLS": "false"}
    settings = {**here, **key, "PYTHONPATH": kit.home, "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": "1"}
    for number in range(TIMES):
        worker = kit.work(**settings)
        address, queue = here["TEMPORAL_ADDRESS"], here["TEMPORAL_TASK_QUEUE"]
        asyncio.run(begin(address, "Calling", [activity], id=f"{queue}-{number}", task_queue=queue))
        worker.wait_for(f"{activity} begins")
        worker.signal(signal.SIGTERM)
        assert worker.wait(15) == LEFT[activity], worker.stderr
        said = [line for line in worker.stderr.splitlines() if line.endswith("hook")]
        assert said == ["first hook", "second hook", "last hook"], worker.stderr
        assert "Traceback" not in worker.stderr
        assert "a-secret-key" not in worker.stderr
        if Path("/proc/self/stat").exists():
            assert re.search(
                r"Left running: process \d+(: sh -c sleep 600| of multiproc)", worker.stderr
            )
        worker.close()
