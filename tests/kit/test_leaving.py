"""Leaving and stopping: gone in time, with the true exit code, whatever still runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest

from .kit import WORKER, DevServer, Kit, RunningScript
from .marks import linux, posix
from .pings import CALLING, begin

pytestmark = [pytest.mark.slow, posix]

BUSY = """
import sqlite3, time
from concurrent.futures import ProcessPoolExecutor
from temporalio import activity

def hold(how: str) -> None:
    print("it begins", flush=True)
    if how == "sleep":
        time.sleep(60)
    elif how == "database":
        with sqlite3.connect(f"{__file__}.db") as holder:
            holder.execute("BEGIN EXCLUSIVE")
            sqlite3.connect(f"{__file__}.db", timeout=60).execute("BEGIN EXCLUSIVE")
    elif how == "pool":
        with ProcessPoolExecutor(3) as pool:
            list(pool.map(time.sleep, [0.1, 0.1, 60]))
    while how == "deaf":
        try:
            time.sleep(1)
        except BaseException:
            pass

@activity.defn
def in_a_thread(how: str) -> None:
    hold(how)

@activity.defn
async def in_the_loop(how: str) -> None:
    if how != "deaf":
        hold(how)
    print("it begins", flush=True)
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
"""
BLOCKERS = {
    "in_the_loop": ["sleep", "database", "deaf"],  # in C code no signal handler of Python's runs
    "in_a_thread": ["sleep", "database", "deaf", "pool"],
}


def block(kit: Kit, address: str, where: str, grace: int) -> dict[str, RunningScript]:
    """Start a worker for each blocker, and wait until it is in the middle of its activity."""
    kit.register("busy", CALLING + BUSY, workflows=["Calling"], activities=[*BLOCKERS])
    settings = {"TEMPORAL_ADDRESS": address, "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": grace}
    # Of this test alone: what an earlier worker left is tried again on its queue.
    queues = {how: f"{where}-{how}-{uuid4()}" for how in BLOCKERS[where]}
    workers = {
        how: kit.start(WORKER, **settings, TEMPORAL_TASK_QUEUE=queue)
        for how, queue in queues.items()
    }
    for worker in workers.values():
        worker.wait_for("Worker running")
    for how, queue in queues.items():
        asyncio.run(begin(address, "Calling", [where], how, task_queue=queue))
    for worker in workers.values():
        worker.wait_for("it begins")
    return workers


@pytest.mark.parametrize(
    ("number", "again"), [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGINT, True)]
)
@pytest.mark.parametrize("where", BLOCKERS)
def test_whatever_blocks_a_worker_it_is_gone_in_time_and_at_once_if_asked_again(
    kit: Kit, dev_server: DevServer, where: str, number: signal.Signals, again: bool
) -> None:
    workers = block(kit, dev_server.address, where, grace=30 if again else 1)
    due = time.monotonic() + 1 + 5
    for worker in workers.values():
        worker.signal(number)
    for worker in workers.values():
        worker.wait_for("Stopping", 3)
    if again:
        time.sleep(1.1)  # within a second it would be the same wish
        due = time.monotonic() + 3
        for worker in [*workers.values()] * 2:  # and a third time, for the impatient
            worker.signal(number)
    for worker in workers.values():
        code = worker.wait(max(due - time.monotonic(), 0.1))
        said = worker.stderr.partition("Worker running")[2]
        assert code == 128 + number
        assert "busy.py" in said or again, worker.stderr  # the line that it left
        assert "Traceback" not in said, said
        worker.expect_nothing_left()


@linux
def test_in_a_container_it_ends_while_its_modules_are_loading(kit: Kit) -> None:
    container = ["unshare", "-rpf", "--mount-proc", shutil.which("tini") or "", "--"]
    made = [*container[:3], "true"]
    if not container[3] or subprocess.run(made, capture_output=True, check=False).returncode:
        pytest.skip("no tini here, or this user may make no namespace of processes")
    slow = "import time\nprint('it loads', flush=True)\ntime.sleep(60)\n"
    kit.register("slow", slow + "ours = None\n", workflows=["ours"])
    worker = kit.start(WORKER, within=container)
    worker.wait_for("it loads")
    outside = worker.process.pid
    tini = Path(f"/proc/{outside}/task/{outside}/children").read_text()
    os.kill(int(tini), signal.SIGTERM)
    assert worker.wait(3) == 128 + signal.SIGTERM
