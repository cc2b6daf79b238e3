"""A rollout of two builds as a Worker Deployment, under load, on a real server."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit import DevServer, Kit, RunningScript
from pings import ENDLESS, Pings, judge, wait_until
from temporalio.client import Client

from temporal_client import load_settings
from temporal_diagnosis import find_workers

pytestmark = pytest.mark.timeout(240)

DEPLOYMENT = "ping"
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


def ask(server: DevServer, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the `temporal` CLI."""
    command = [str(Path(sys.executable).with_name("temporal")), *args]
    command += ["--address", server.address]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def temporal(server: DevServer, *args: str) -> str:
    """What the `temporal` CLI answers."""
    done = ask(server, *args)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_current(server: DevServer, build: str) -> float:
    """Send new runs to this build from now on; gives the seconds that the server took for it."""
    version = ["--deployment-name", DEPLOYMENT, "--build-id", build]
    command = ["worker", "deployment", "set-current-version", *version, "--yes"]
    # A development server with two busy cores may need longer than it allows itself.
    return wait_until(lambda: ask(server, *command).returncode == 0, f"build {build} is current")


def start_worker(kit: Kit, server: DevServer, build: str) -> RunningScript:
    """A worker of this build, as Temporal's Kubernetes controller would start it."""
    return kit.start(
        "workers/worker.py",
        TEMPORAL_ADDRESS=server.address,
        TEMPORAL_DEPLOYMENT_NAME=DEPLOYMENT,
        TEMPORAL_WORKER_BUILD_ID=build,
    )


def wait_until_known(server: DevServer, build: str) -> None:
    """Wait until the server knows that the deployment has this build."""

    version = ["--deployment-name", DEPLOYMENT, "--build-id", build]
    command = ["worker", "deployment", "describe-version", *version]
    wait_until(lambda: ask(server, *command).returncode == 0, f"build {build} is known", 30)


def test_a_rollout_of_two_builds_answers_every_ping(kit: Kit, tmp_path: Path) -> None:
    (kit.root / "workflows" / "long.py").write_text(LONG)
    with (kit.root / "workflows" / "__init__.py").open("a") as package:
        package.write("WORKFLOWS['LongWorkflow'] = 'workflows.long'\n")
    long = ["--workflow-id", "long"]

    with (
        DevServer(db=tmp_path / "temporal.db") as server,
        start_worker(kit, server, "1") as first,
        start_worker(kit, server, "1") as another_first,
    ):
        pings = Pings(server.address)
        assert "Version: ping, 1" in first.wait_for("  - Version")
        wait_until_known(server, "1")
        where = {"TEMPORAL_ADDRESS": server.address}
        assert checked(kit, server) == [
            "⚠ workers: no version that polls is the current one, so no new run gets to a worker",
            f"  → temporal worker deployment set-current-version --deployment-name {DEPLOYMENT}"
            " --build-id 1 --yes",
        ]
        make_current(server, "1")
        wait_until(lambda: "✓ workers: 2" in checked(kit, server)[0], "the check sees both workers")
        temporal(server, "workflow", "start", *long, "--type", "LongWorkflow", "-t", "ap-default")
        on_build = {
            build: f"TemporalWorkerDeploymentVersion = '{DEPLOYMENT}:{build}'"
            for build in ("1", "2")
        }
        options = (*ENDLESS, "--concurrency", "5")
        with (
            kit.start("scripts/start_ping.py", *options, cwd=None, **where) as load,
            start_worker(kit, server, "2") as second,
        ):
            pings.wait_for_more(50)
            second.wait_for("Worker running")
            wait_until_known(server, "2")
            seconds = make_current(server, "2")
            print(f"switched after {seconds:.1f} s, with {pings.count()} pings answered")
            another_first.signal(signal.SIGTERM)  # one of the old build goes at once
            assert another_first.wait() == 0
            wait_until(lambda: pings.count(on_build["2"]) >= 50, "pings on the second build")
            judge(load, pings, "rollout")
            by_build = {build: pings.count(query) for build, query in on_build.items()}
            print(f"pings by build: {by_build}")
            assert sum(by_build.values()) == pings.count()
            assert by_build["1"] >= 50  # before the switch

            # What began on the first build ends there, though the second is current.
            temporal(server, "workflow", "signal", *long, "--name", "end")
            assert '"1"' in temporal(server, "workflow", "result", *long)
            for worker in (first, second):
                worker.signal(signal.SIGTERM)
                assert worker.wait() == 0, worker.stderr


def checked(kit: Kit, server: DevServer) -> list[str]:
    """What the check says of the workers."""
    done = kit.run("scripts/check_temporal_config.py", TEMPORAL_ADDRESS=server.address)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.partition("\n\nNext")[0].splitlines()
    return lines[[" workers: " in line for line in lines].index(True) :]


def test_a_worker_without_version_gets_no_run_that_is_for_a_version(kit: Kit) -> None:
    with DevServer() as server:
        with start_worker(kit, server, "1") as versioned:
            versioned.wait_for("Worker running")
            wait_until_known(server, "1")
            make_current(server, "1")
            # The queue hears of it later: from a worker that polls, if it was new to the version.
            wait_until(lambda: "✓ workers: 1" in checked(kit, server)[0], "the queue knows it")
            versioned.signal(signal.SIGKILL)
            versioned.wait()
        gone = time.time()
        settings = load_settings({"TEMPORAL_ADDRESS": server.address})

        async def found() -> str:
            client = await Client.connect(server.address)
            # The server remembers for minutes who has polled: ask for who has since.
            return str(await find_workers(client, settings, gone))

        with kit.start("workers/worker.py", TEMPORAL_ADDRESS=server.address) as worker:
            worker.wait_for("Worker running")
            said = ""

            def told() -> bool:
                nonlocal said
                said = asyncio.run(found())
                return "no version that polls" in said

            wait_until(told, "it is told")
    assert f"→ TEMPORAL_DEPLOYMENT_NAME={DEPLOYMENT} TEMPORAL_WORKER_BUILD_ID=1" in said


def test_without_the_two_names_a_worker_is_unversioned(kit: Kit, dev_server: DevServer) -> None:
    where = {"TEMPORAL_ADDRESS": dev_server.address, "TEMPORAL_TASK_QUEUE": "unversioned"}
    with kit.start("workers/worker.py", cwd=None, **where) as worker:
        worker.wait_for("Worker running")
        done = kit.run("scripts/start_ping.py", timeout=60, cwd=None, **where)
        assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
        assert "Version" not in worker.stderr
    listed = temporal(dev_server, "worker", "deployment", "list", "--output", "json")
    assert "unversioned" not in listed


@pytest.mark.parametrize("alone", ["TEMPORAL_DEPLOYMENT_NAME", "TEMPORAL_WORKER_BUILD_ID"])
def test_one_name_without_the_other_is_an_error(kit: Kit, alone: str) -> None:
    done = kit.run("workers/worker.py", timeout=60, cwd=None, **{alone: "1"})
    assert done.returncode == 1
    assert f"✗ {alone} is set without" in done.stderr
