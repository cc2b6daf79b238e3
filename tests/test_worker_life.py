"""How a worker lives through what others do to it, and lets what runs come to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kit import PING, WORKER, DevServer, Kit, RunningScript
from pings import connect, send

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")

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


def expect_in_order(worker: RunningScript) -> None:
    """It was told to stop, and has done so in order."""
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

    with kit.work(TEMPORAL_ADDRESS=dev_server.address, TEMPORAL_TASK_QUEUE=name) as worker:
        asyncio.run(begin())
        for activity in ACTIVITIES:
            assert worker.wait_for(f"{activity} begins").startswith("INFO - ")
        worker.stop(number, within=8)
        expect_in_order(worker)
        assert asyncio.run(answered()) == [b'"done"', b'"done"', b'"told"', b'"told"']


@pytest.mark.slow
@pytest.mark.parametrize("way", ["full pipe", "dead reader", "frozen key file", "SIGHUP"])
def test_it_answers_and_stops_though_nobody_reads_it_or_a_file_is_dead(
    way: str, kit: Kit, here: dict[str, Any], tmp_path: Path
) -> None:
    pipe, key_file = tmp_path / "stderr", tmp_path / "key"
    key_file.write_text("a-key")
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while way == "full pipe":
            os.write(end, b" " * 4096)
    os.set_blocking(end, True)
    said = os.fdopen(end, "rb")
    env = kit.env(**here, TEMPORAL_TLS="false", TEMPORAL_API_KEY_FILE=key_file)
    env["TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS"] = "5"
    command = ["/bin/sh", "-c", 'exec "$@" 2> "$0"', str(pipe), sys.executable]

    async def ping() -> None:
        client = await connect(here["TEMPORAL_ADDRESS"])
        await asyncio.wait_for(send(client, here["TEMPORAL_TASK_QUEUE"], 2, 1), 20)

    with RunningScript([*command, str(kit.root / WORKER), "--verbose"], env) as worker:
        asyncio.run(ping())
        if way == "dead reader":
            said.close()
        elif way == "frozen key file":
            os.mkfifo(tmp_path / "new")
            (tmp_path / "new").replace(key_file)
            next(line for line in said if b"Changed settings not applied" in line)
        asyncio.run(ping())
        worker.signal(signal.SIGHUP if way == "SIGHUP" else signal.SIGTERM)
        assert worker.wait(12) == 0


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_long_outage_is_told_once_and_it_stops_without_a_server_too(kit: Kit) -> None:
    with DevServer() as server:
        address = {"TEMPORAL_ADDRESS": server.address}
        worker, polling = kit.work(**address), kit.work(**address)
        new = kit.work(**address, TEMPORAL_TASK_QUEUE="new")
        assert kit.run(PING, **address).returncode == 0
        server.kill()
        new.stop()
        polling.wait_for("Lost the server")
        polling.stop()
        time.sleep(OUTAGE_SECONDS)
        during = worker.stderr[worker.stderr.index("Lost the server") :]
        server.start()
        with kit.start(PING, **address) as ping:
            assert ping.wait(70) == 0, ping.stderr + worker.stderr
        worker.wait_for("The server is back")
        assert "ERROR - " not in during
        assert "WARNING - " not in during
        assert worker.stderr.count("Lost the server") == 1
        worker.stop()
    for stopped in (new, polling, worker):
        expect_in_order(stopped)
