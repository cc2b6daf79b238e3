"""How a worker lives through what others do to it, and lets what runs come to its end."""

from __future__ import annotations

import asyncio
import signal
import sys
import time

import pytest
from kit import DevServer, Kit, RunningScript
from pings import connect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")

WORKER, PING = "workers/worker.py", "scripts/start_ping.py"
OUTAGE_SECONDS = 75  # from the 65th on, the SDK's pollers would each log an error every 10 s
SLOW = """
import asyncio, time
from datetime import timedelta
from temporalio import activity, workflow

@activity.defn
async def brief() -> str:
    activity.logger.info("brief begins")
    await asyncio.sleep(1)
    return "done"

@activity.defn
def brief_plain() -> str:
    activity.logger.info("brief_plain begins")
    time.sleep(1)
    return "done"

@activity.defn
async def heedful() -> str:
    activity.logger.info("heedful begins")
    await activity.wait_for_worker_shutdown()
    return "told"

@activity.defn
def heedful_plain() -> str:
    activity.logger.info("heedful_plain begins")
    activity.wait_for_worker_shutdown_sync(60)
    return "told" if activity.is_worker_shutdown() else "not told"

@workflow.defn
class Slow:
    @workflow.run
    async def run(self, names: list[str]) -> list[str]:
        limit = timedelta(seconds=90)
        begun = [workflow.start_activity(n, start_to_close_timeout=limit) for n in names]
        return await asyncio.gather(*begun)
"""
ACTIVITIES = ["brief", "brief_plain", "heedful", "heedful_plain"]


def stop(
    worker: RunningScript, number: signal.Signals = signal.SIGTERM, within: float = 20
) -> None:
    """Tell it to stop; it does so in order."""
    worker.signal(number)
    assert worker.wait(within) == 0, worker.stderr
    assert worker.stderr.endswith("INFO - Worker stopped\n")
    assert worker.stdout == ""


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_what_runs_may_finish_and_learns_that_the_worker_stops(
    kit: Kit, dev_server: DevServer, number: signal.Signals
) -> None:
    (kit.root / "workflows" / "slow.py").write_text(SLOW)
    kit.register("workflows.slow", workflows=["Slow"], activities=ACTIVITIES)
    name = f"slow-{time.time_ns()}"

    async def begin() -> None:
        client = await connect(dev_server.address)
        await client.start_workflow("Slow", ACTIVITIES, id=name, task_queue=name)

    async def answered() -> list[bytes]:
        """What the server has of the activities: no answer came too late, none was asked twice."""
        client = await connect(dev_server.address)
        events = (await client.get_workflow_handle(name).fetch_history()).events
        done = [one.activity_task_completed_event_attributes for one in events]
        return sorted(one.result.payloads[0].data for one in done if one.result.payloads)

    async def result() -> object:
        client = await connect(dev_server.address)
        return await asyncio.wait_for(client.get_workflow_handle(name).result(), 30)

    where = {"TEMPORAL_ADDRESS": dev_server.address, "TEMPORAL_TASK_QUEUE": name}
    with kit.start(WORKER, cwd=None, **where) as worker:
        worker.wait_for("Worker running")
        asyncio.run(begin())
        for activity in ACTIVITIES:
            assert worker.wait_for(f"{activity} begins").startswith("INFO - ")
        stop(worker, number, within=8)
        assert asyncio.run(answered()) == [b'"done"', b'"done"', b'"told"', b'"told"']
    if number == signal.SIGINT:  # once is enough: another worker brings the run to its end
        with kit.start(WORKER, cwd=None, **where) as worker:
            assert asyncio.run(result()) == ["done", "done", "told", "told"]
        assert " begins" not in worker.stderr


@pytest.mark.slow
def test_it_stops_without_a_server_too(kit: Kit) -> None:
    with (
        DevServer() as server,
        kit.start(WORKER, TEMPORAL_ADDRESS=server.address) as polling,
        kit.start(WORKER, TEMPORAL_ADDRESS=server.address, TEMPORAL_TASK_QUEUE="new") as new,
    ):
        polling.wait_for("Worker running")
        new.wait_for("Worker running")
        assert kit.run(PING, TEMPORAL_ADDRESS=server.address).returncode == 0
        server.kill()
        stop(new)
        polling.wait_for("Lost the server")
        stop(polling)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_long_outage_is_told_once(kit: Kit) -> None:
    with DevServer() as server, kit.start(WORKER, TEMPORAL_ADDRESS=server.address) as worker:
        worker.wait_for("Worker running")
        server.kill()
        time.sleep(OUTAGE_SECONDS)
        during = worker.stderr[worker.stderr.index("Lost the server") :]
        server.start()
        with kit.start(PING, TEMPORAL_ADDRESS=server.address) as ping:
            assert ping.wait(70) == 0, ping.stderr + worker.stderr
        worker.wait_for("The server is back")
        assert during.count("\n") <= 4, worker.stderr
        assert worker.stderr.count("Lost the server") == 1
        stop(worker)
