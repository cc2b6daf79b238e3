"""A rollout of two builds as a Worker Deployment, under load, on a real server."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kit import DevServer, Kit, RunningScript
from pings import Load, Pings, connect, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

WORKER, DEPLOYMENT = "workers/worker.py", "ping"
LONG = """
from temporalio import workflow

@workflow.defn
class LongWorkflow:
    def __init__(self) -> None:
        self.go_on = False

    @workflow.signal
    def end(self) -> None:
        self.go_on = True

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.go_on)
        version = workflow.info().get_current_deployment_version()
        return version.build_id if version else "none"
"""


def temporal(server: DevServer, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the `temporal` CLI."""
    command = [str(Path(sys.executable).with_name("temporal")), *args]
    command += ["--address", server.address]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def make_current(server: DevServer, build: str) -> None:
    """Send new runs to this build from now on, as soon as the server knows it."""
    version = ["--deployment-name", DEPLOYMENT, "--build-id", build]
    command = ["worker", "deployment", "set-current-version", *version, "--yes"]
    # A development server with two busy cores may need longer than it allows itself.
    wait_until(lambda: temporal(server, *command).returncode == 0, f"build {build} is current")


def start_worker(kit: Kit, server: DevServer, build: str) -> RunningScript:
    """A worker of this build, as Temporal's Kubernetes controller would start it."""
    return kit.start(
        WORKER,
        TEMPORAL_ADDRESS=server.address,
        TEMPORAL_DEPLOYMENT_NAME=DEPLOYMENT,
        TEMPORAL_WORKER_BUILD_ID=build,
    )


async def start_long(address: str) -> None:
    client = await connect(address)
    await client.start_workflow("LongWorkflow", id="long", task_queue="ap-default")


async def end_long(address: str) -> object:
    handle = (await connect(address)).get_workflow_handle("long")
    await handle.signal("end")
    return await handle.result()


def test_a_rollout_of_two_builds_answers_every_ping(kit: Kit, tmp_path: Path) -> None:
    (kit.root / "workflows" / "long.py").write_text(LONG)
    kit.register("workflows.long", workflows=["LongWorkflow"])
    with (
        DevServer(db=tmp_path / "temporal.db") as server,
        start_worker(kit, server, "1") as first,
        start_worker(kit, server, "1") as another_first,
    ):
        pings = Pings(server.address)
        assert "Version: ping, 1" in first.wait_for("  - Version")
        make_current(server, "1")
        asyncio.run(start_long(server.address))
        one, two = (f"TemporalWorkerDeploymentVersion = '{DEPLOYMENT}:{n}'" for n in "12")
        with Load(server.address, 5) as load, start_worker(kit, server, "2") as second:
            load.wait_for_more(20)
            second.wait_for("Worker running")
            make_current(server, "2")
            another_first.signal(signal.SIGTERM)  # one of the old build goes at once
            assert another_first.wait() == 0
            wait_until(lambda: pings.count(two) >= 20, "pings on the second build")
            pings.judge(load, 40)
            assert pings.count(one) + pings.count(two) == pings.count()
            assert pings.count(one) >= 20  # before the switch

            # What began on the first build ends there, though the second is current.
            assert asyncio.run(end_long(server.address)) == "1"
            for worker in (first, second):
                worker.signal(signal.SIGTERM)
                assert worker.wait() == 0, worker.stderr


def test_the_check_tells_that_no_version_is_the_current_one(kit: Kit) -> None:
    def checked() -> str:
        done = kit.run("scripts/check_temporal_config.py", TEMPORAL_ADDRESS=server.address)
        assert done.returncode == 0, done.stdout
        return done.stdout

    with DevServer() as server, start_worker(kit, server, "1") as versioned:
        versioned.wait_for("Worker running")
        fix = f"set-current-version --deployment-name {DEPLOYMENT} --build-id 1"
        wait_until(lambda: fix in checked(), "the check tells how a version becomes current")
        make_current(server, "1")
        # The queue hears of it later: from a worker that polls, if it was new to the version.
        wait_until(lambda: "⚠" not in checked(), "the queue knows it")
