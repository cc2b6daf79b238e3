"""How a worker lives through what others do to it, and lets what runs come to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from .cases import FRONT, env, filled
from .cloud_front import CloudFront
from .kit import PING, WORKER, DevServer, Kit, RunningScript
from .marks import posix, slow
from .pings import CALLING, begin, connect, send, wait_until
from .world import World

pytestmark = posix
OUTAGE_SECONDS = 75  # from the 65th on, the SDK's pollers would each log an error every 10 s
LONG = """
import time
from concurrent.futures import ProcessPoolExecutor
from temporalio import activity

@activity.defn
async def brief() -> str:
    activity.logger.info("brief begins")
    await asyncio.sleep(1)
    return "done"

@activity.defn
def brief_plain() -> str:
    with ProcessPoolExecutor(1) as pool:
        slept = pool.submit(time.sleep, 1)
        activity.logger.info("brief_plain begins")
        slept.result()
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
"""
ACTIVITIES = ["brief", "brief_plain", "heedful", "heedful_plain"]


def expect_in_order(worker: RunningScript) -> None:
    """It was told to stop, and has done so in order."""
    assert worker.stderr.endswith("INFO - Worker stopped\n")
    assert worker.stdout == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=slow)])
def test_what_runs_may_finish_and_learns_that_the_worker_stops(
    kit: Kit, here: dict[str, Any], number: signal.Signals
) -> None:
    kit.register("long", CALLING + LONG, workflows=["Calling"], activities=ACTIVITIES)
    address, name = here["TEMPORAL_ADDRESS"], here["TEMPORAL_TASK_QUEUE"]

    async def answered() -> list[bytes]:
        """What the server has of the activities: no answer came too late, none was asked twice."""
        client = await connect(address)
        events = (await client.get_workflow_handle(name).fetch_history()).events
        done = [one.activity_task_completed_event_attributes for one in events]
        return sorted(one.result.payloads[0].data for one in done if one.result.payloads)

    worker = kit.work(**here)
    asyncio.run(begin(address, "Calling", ACTIVITIES, id=name, task_queue=name))
    for activity in ACTIVITIES:
        assert worker.wait_for(f"{activity} begins").startswith("INFO - ")
    # Ctrl+C in a terminal reaches the pool's process too.
    (worker.signal_group if number == signal.SIGINT else worker.signal)(number)
    assert worker.wait(8) == 0, worker.stderr
    expect_in_order(worker)
    # The server may hold answers back until a workflow task of the stopped worker times out.
    wait_until(lambda: len(asyncio.run(answered())) >= len(ACTIVITIES), "every answer", 15)
    assert asyncio.run(answered()) == [b'"done"', b'"done"', b'"told"', b'"told"']


@slow
@pytest.mark.parametrize("way", ["full pipe", "dead reader", "no log", "frozen key file", "SIGHUP"])
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
    settings = env(here, TLS="false", API_KEY_FILE=key_file, GRACEFUL_SHUTDOWN_SECONDS=5)
    log = "&-" if way == "no log" else ' "$0"'
    shell = ["/bin/sh", "-c", f'exec "$@" 2>{log}', str(pipe)]

    async def ping() -> None:
        client = await connect(here["TEMPORAL_ADDRESS"])
        await asyncio.wait_for(send(client, here["TEMPORAL_TASK_QUEUE"], 2, 1), 20)

    worker = kit.start(WORKER, "--verbose", within=shell, **settings)
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


@slow
@pytest.mark.timeout(180)
def test_a_long_outage_is_told_once_and_it_stops_without_a_server_too(kit: Kit) -> None:
    with DevServer() as server:
        address = {"TEMPORAL_ADDRESS": server.address}
        worker, polling = kit.work(**address), kit.work(**address)
        new = kit.work(**address, TEMPORAL_TASK_QUEUE="new")
        kit.start(PING, **address).ping_ok()
        server.kill()
        new.stop()
        polling.wait_for("Lost the server")
        polling.stop()
        time.sleep(OUTAGE_SECONDS)
        during = worker.stderr[worker.stderr.index("Lost the server") :]
        server.start()
        ping = kit.start(PING, **address)
        assert ping.wait(70) == 0, ping.stderr + worker.stderr
        worker.wait_for("The server is back")
        assert "ERROR - " not in during
        assert "WARNING - " not in during
        assert worker.stderr.count("Lost the server") == 1
        worker.stop()
    for stopped in (new, polling, worker):
        expect_in_order(stopped)


@slow
def test_polls_that_are_refused_later_are_told_once(
    kit: Kit, cloud: CloudFront, world: World
) -> None:
    settings = filled(env(FRONT, ADDRESS=cloud.address), world)
    worker = kit.work(**settings)
    cloud.read_only = True  # the role of its key is changed
    worker.wait_for("not allowed on the namespace", 25)
    cloud.read_only = False
    worker.wait_for("The server is back", 25)
    assert worker.stderr.count("not allowed on the namespace") == 1


@slow
def test_it_stays_at_its_server_whatever_becomes_of_its_settings(
    kit: Kit, cloud: CloudFront, world: World
) -> None:
    """Each of these settings, taken up, would lead to a server that answers."""
    settings = filled(env(FRONT, ADDRESS=cloud.address), world)
    text = "".join(f"{name}={value}\n" for name, value in settings.items())
    kit.write_env(text)
    worker = kit.work()
    (kit.root / ".env").rename(kit.root / ".env.away")
    worker.wait_for("there are no settings any more in: .env")
    changes = {
        "the address has changed": text.replace("127.0.0.1:", "localhost:"),
        "the namespace has changed": text.replace("NAMESPACE=payments", "NAMESPACE=other"),
    }
    for told, changed in changes.items():
        kit.write_env(changed)
        worker.wait_for(told)
    cloud.accept("another key")
    kit.write_env(text.replace(world.key, "another key"))
    worker.wait_for("Credentials changed: the new ones are in use")
    assert worker.stderr.count("Changed settings not applied") == 3
    assert worker.stderr.count("Credentials changed") == 1
    kit.start(PING).ping_ok()
