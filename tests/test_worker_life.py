"""How a worker starts, stops, and lives through what others do to it; and true exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from exit_codes import SCRIPTS, measure
from kit import DevServer, Kit, RunningScript, free_port
from pings import Pings

pytestmark = pytest.mark.timeout(180)

WORKER = "workers/worker.py"
OUTAGE_SECONDS = 75  # from the 65th on, the SDK's pollers would each log an error every 10 s

SLOW = """
import asyncio
import time
from datetime import timedelta
from temporalio import activity, workflow

@activity.defn
async def brief() -> str:
    activity.logger.info("brief begins")
    await asyncio.sleep(2)
    return "done"

@activity.defn
def brief_plain() -> str:
    activity.logger.info("brief_plain begins")
    time.sleep(2)
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

@activity.defn
async def deaf() -> None:
    activity.logger.info("deaf begins")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

@activity.defn
def deaf_plain() -> None:
    activity.logger.info("deaf_plain begins")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            time.sleep(1)
        except BaseException:
            pass

@workflow.defn
class SlowWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        limit = timedelta(seconds=90)
        return await workflow.execute_activity(name, start_to_close_timeout=limit, result_type=str)
"""
ACTIVITIES = ("brief", "brief_plain", "heedful", "heedful_plain", "deaf", "deaf_plain")


@pytest.fixture(scope="module", autouse=True)
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[float, RunningScript]]:
    """A worker whose server went away when the first test of this file began, and since when.

    So the wait for what it says of that costs next to nothing.
    """
    kit = Kit(tmp_path_factory.mktemp("outage") / "kit")
    with DevServer() as server, kit.start(WORKER, TEMPORAL_ADDRESS=server.address) as worker:
        worker.wait_for("Worker running")
        server.kill()
        began = time.monotonic()
        worker.server = server  # type: ignore[attr-defined]
        yield began, worker


def temporal(server: DevServer, *args: str) -> str:
    """What the `temporal` CLI answers."""
    command = [str(Path(sys.executable).with_name("temporal")), *args]
    command += ["--address", server.address]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


@pytest.fixture
def slow_kit(kit: Kit) -> Kit:
    """The kit with a workflow that runs slow activities."""
    (kit.root / "workflows" / "slow.py").write_text(SLOW)
    with (kit.root / "workflows" / "__init__.py").open("a") as package:
        package.write(
            "WORKFLOWS['SlowWorkflow'] = 'workflows.slow'\n"
            f"for name in {ACTIVITIES}:\n"
            "    ACTIVITIES[name] = 'workflows.slow'\n"
        )
    return kit


def begin(slow_kit: Kit, server: DevServer, activity: str, grace: int) -> tuple[RunningScript, str]:
    """A worker that is in the middle of this activity, and its workflow's id."""
    workflow_id = f"{activity}-{time.monotonic_ns()}"
    worker = slow_kit.start(
        WORKER,
        TEMPORAL_ADDRESS=server.address,
        TEMPORAL_TASK_QUEUE=workflow_id,
        TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS=str(grace),
    )
    try:
        worker.wait_for("Worker running")
        options = ["--workflow-id", workflow_id, "--task-queue", workflow_id]
        options += ["--type", "SlowWorkflow", "--input", f'"{activity}"']
        temporal(server, "workflow", "start", *options, "--execution-timeout", "100s")
        worker.wait_for(f"{activity} begins")
    except BaseException:
        worker.close()
        raise
    return worker, workflow_id


def assert_gone(worker: RunningScript) -> None:
    """No process of the worker's session is left."""
    with pytest.raises(ProcessLookupError):
        os.killpg(worker.process.pid, 0)


@pytest.mark.parametrize(
    ("activity", "answer"),
    [("brief", "done"), ("brief_plain", "done"), ("heedful", "told"), ("heedful_plain", "told")],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_runs_may_finish_and_learns_that_the_worker_stops(
    slow_kit: Kit, dev_server: DevServer, activity: str, answer: str, number: signal.Signals
) -> None:
    worker, workflow_id = begin(slow_kit, dev_server, activity, grace=20)
    with worker:
        worker.signal(number)
        assert worker.wait(15) == 0, worker.stderr
        assert f"Stopping worker, waiting up to 20 s for {activity}..." in worker.stderr
        assert worker.stderr.endswith("INFO - Worker stopped\n")
        assert worker.stdout == ""
        assert_gone(worker)
    history = temporal(
        dev_server, "workflow", "show", "--workflow-id", workflow_id, "--output", "json"
    )
    assert "EVENT_TYPE_ACTIVITY_TASK_COMPLETED" in history
    assert "EVENT_TYPE_ACTIVITY_TASK_FAILED" not in history
    # Another worker brings the run to its end, with what the activity answered.
    with slow_kit.start(
        WORKER, TEMPORAL_ADDRESS=dev_server.address, TEMPORAL_TASK_QUEUE=workflow_id
    ) as other:
        other.wait_for("Worker running")
        result = temporal(dev_server, "workflow", "result", "--workflow-id", workflow_id)
        assert f'"{answer}"' in result


@pytest.mark.parametrize("activity", ["deaf", "deaf_plain"])
def test_an_activity_that_ignores_everything_is_left(
    slow_kit: Kit, dev_server: DevServer, activity: str
) -> None:
    worker, _ = begin(slow_kit, dev_server, activity, grace=1)
    with worker:
        worker.signal(signal.SIGTERM)
        assert worker.wait(20) == 0, worker.stderr
        assert f"WARNING - Left running: {activity}; the server has another" in worker.stderr
        assert_gone(worker)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_a_second_time_it_ends_at_once(
    slow_kit: Kit, dev_server: DevServer, number: signal.Signals
) -> None:
    worker, _ = begin(slow_kit, dev_server, "deaf", grace=60)
    with worker:
        worker.signal(number)
        worker.wait_for("Ctrl+C again to end at once")
        worker.signal(number)
        assert worker.wait(5) == 128 + number
        assert_gone(worker)


def test_a_signal_right_after_the_start_is_a_stop_too(kit: Kit, dev_server: DevServer) -> None:
    for _ in range(3):
        with kit.start(WORKER, TEMPORAL_ADDRESS=dev_server.address) as worker:
            worker.wait_for("Worker running")
            worker.signal(signal.SIGTERM)
            assert worker.wait(15) == 0, worker.stderr
            assert "Worker stopped" in worker.stderr


@pytest.mark.parametrize("began", [True, False])  # polls already, or is still about to
def test_it_stops_without_a_server_too(kit: Kit, began: bool) -> None:
    with DevServer() as server, kit.start(WORKER, TEMPORAL_ADDRESS=server.address) as worker:
        worker.wait_for("Worker running")
        if began:
            done = kit.run("scripts/start_ping.py", TEMPORAL_ADDRESS=server.address)
            assert done.returncode == 0
        server.kill()
        if began:
            worker.wait_for("Lost the server")
        worker.signal(signal.SIGTERM)
        assert worker.wait(20) == 0, worker.stderr
        assert worker.stderr.endswith("INFO - Worker stopped\n")


def test_no_server_at_start_is_a_clear_failure(kit: Kit) -> None:
    done = kit.run(WORKER, TEMPORAL_ADDRESS=f"127.0.0.1:{free_port()}", timeout=20)
    assert done.returncode == 1
    assert "✗ TCP: nothing listens on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 7


def test_a_change_that_needs_a_restart_is_told_once(kit: Kit, dev_server: DevServer) -> None:
    def configure(queue: str) -> None:
        text = f"TEMPORAL_ADDRESS={dev_server.address}\nTEMPORAL_TASK_QUEUE={queue}\n"
        kit.write_env(text, at_once=True)

    configure("one")
    with kit.start(WORKER) as worker:
        worker.wait_for("Worker running")
        configure("two")
        worker.wait_for("start the worker again")
        configure("three")
        worker.wait_for("start the worker again", count=2)
        configure("<queue>")  # so that the settings have been read once more, at least
        worker.wait_for("Changed settings not taken up")
        assert worker.stderr.count("start the worker again") == 2


def test_what_workflows_and_activities_log_is_shown(slow_kit: Kit, dev_server: DevServer) -> None:
    worker, _ = begin(slow_kit, dev_server, "heedful", grace=5)
    with worker:
        assert worker.wait_for("heedful begins").startswith("INFO - ")


@pytest.mark.timeout(180)
def test_exit_codes_are_true(kit: Kit, dev_server: DevServer) -> None:
    counts = measure(kit, dev_server.address, 25)
    print({script: dict(found) for script, found in counts.items()})
    assert counts == {script: {(0, ""): 25} for script in SCRIPTS}


def test_a_long_outage_is_told_once(outage: tuple[float, RunningScript], kit: Kit) -> None:
    began, worker = outage
    server: DevServer = worker.server  # type: ignore[attr-defined]
    left = began + OUTAGE_SECONDS - time.monotonic()
    if left > 0:
        time.sleep(left)
    during = worker.stderr[worker.stderr.index("Lost the server") :]
    server.start()
    back = time.time()
    with kit.start("scripts/start_ping.py", TEMPORAL_ADDRESS=server.address) as ping:
        assert ping.wait(70) == 0, ping.stderr + worker.stderr  # by then it says itself why not
    seconds = Pings(server.address).first_answer_after(back)
    print(f"away for {time.monotonic() - began:.0f} s; back to first answer: {seconds:.2f} s")
    worker.wait_for("The server is back after")
    assert during.count("\n") <= 4, worker.stderr
    assert worker.stderr.count("Lost the server") == 1
    assert worker.stdout == ""
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
