"""Leaving and stopping: gone in time, with the true exit code, whatever still runs."""

from __future__ import annotations

import asyncio
import signal
import sys
import time

import pytest
from exit_codes import ENDINGS, measure
from kit import WORKER, DevServer, Kit, RunningScript, expect_nothing_left
from pings import connect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")

GRACE = 1
BUSY = """
import asyncio, re, time
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from temporalio import activity, workflow

def hold(how: str) -> None:
    print("it begins", flush=True)
    if how == "sleep":
        time.sleep(60)
    elif how == "match":
        re.match(r"(a+)+$", "a" * 40 + "b")
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

@workflow.defn
class Busy:
    @workflow.run
    async def run(self, where: str, how: str) -> None:
        limit = timedelta(seconds=90)
        await workflow.execute_activity(where, how, start_to_close_timeout=limit)
"""
LOOP, THREAD = "in_the_loop", "in_a_thread"
BLOCKERS = [(LOOP, "sleep"), (LOOP, "match"), (LOOP, "deaf")]
BLOCKERS += [(THREAD, "sleep"), (THREAD, "match"), (THREAD, "deaf"), (THREAD, "pool")]
SILENT = (THREAD, "match")  # it holds the interpreter's lock, and lets nobody else say a word


def block(
    kit: Kit, address: str, blockers: list[tuple[str, str]]
) -> dict[tuple[str, str], RunningScript]:
    """Start a worker for each of these, and wait until it is in the middle of its activity."""
    (kit.root / "workflows" / "busy.py").write_text(BUSY)
    kit.register("workflows.busy", workflows=["Busy"], activities=[LOOP, THREAD])

    async def begin() -> None:
        client = await connect(address)
        for blocker in blockers:
            name, queue = f"busy-{time.time_ns()}", "-".join(blocker)
            await client.start_workflow("Busy", args=blocker, id=name, task_queue=queue)

    where = {"TEMPORAL_ADDRESS": address, "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": str(GRACE)}
    workers = {
        one: kit.start(WORKER, **where, TEMPORAL_TASK_QUEUE="-".join(one)) for one in blockers
    }
    for worker in workers.values():
        worker.wait_for("Worker running")
    asyncio.run(begin())
    for worker in workers.values():
        worker.wait_for("it begins")
    return workers


def stop(workers: dict[tuple[str, str], RunningScript], number: signal.Signals) -> float:
    """Tell them to stop, which they say at once; gives the moment by which they are to be gone."""
    due = time.monotonic() + GRACE + 5
    for worker in workers.values():
        worker.signal(number)
    for blocker, worker in workers.items():
        if blocker != SILENT:
            worker.wait_for("Stopping", 3)
    return due


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", [LOOP, THREAD])
def test_whatever_blocks_a_worker_it_is_gone_in_time(
    kit: Kit, dev_server: DevServer, where: str, number: signal.Signals
) -> None:
    workers = block(kit, dev_server.address, [one for one in BLOCKERS if one[0] == where])
    due = stop(workers, number)
    for worker in workers.values():
        worker.wait(max(due - time.monotonic(), 0.1))
        said = worker.stderr.partition("Worker running")[2]
        assert "busy.py" in said, worker.stderr  # the line that it left
        assert "Traceback" not in said, said
        expect_nothing_left(worker)


@pytest.mark.slow
@pytest.mark.parametrize("blocker", BLOCKERS, ids="-".join)
def test_asked_a_second_time_it_ends_at_once(
    kit: Kit, dev_server: DevServer, blocker: tuple[str, str]
) -> None:
    workers = block(kit, dev_server.address, [blocker])
    stop(workers, signal.SIGINT)
    time.sleep(0.2)  # no hand is quicker
    workers[blocker].signal(signal.SIGINT)
    assert workers[blocker].wait(3) in (130, -signal.SIGKILL)
    expect_nothing_left(workers[blocker])


@pytest.mark.slow
def test_exit_codes_are_true_and_every_exit_hook_runs(kit: Kit, dev_server: DevServer) -> None:
    counts = measure(kit, dev_server.address, dict.fromkeys(ENDINGS, 1))
    assert counts == {name: {(one.code, ""): 1} for name, one in ENDINGS.items()}
