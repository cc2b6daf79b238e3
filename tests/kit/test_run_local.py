"""`run_local.py` on a real server of its own: the answer, and that nothing stays behind."""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .cases import env
from .guides import Reader
from .kit import LOCAL, Kit, RunningScript, temporal
from .marks import linux, posix, slow
from .pings import wait_until

pytestmark = posix


def wait_for_server_process(running: RunningScript) -> None:
    wait_until(lambda: any("start-dev" in one for one in running.left()), "a server", 30)


def expect_ok(running: RunningScript) -> None:
    assert running.wait(60) == 0, running.stderr
    assert running.stdout == "ok\n"
    assert "✓ Workflow completed successfully" in running.stderr
    assert "Traceback" not in running.stderr
    running.expect_nothing_left()


CLOUD = env(
    **{"ADDRESS": "127.0.0.1:9", "NAMESPACE": "payments.a1b2c", "API_KEY": "a-key"},
    **{"TLS_SERVER_NAME": "payments.a1b2c.tmprl.cloud", "GRPC_META_X_TEAM": "a"},
    **{"METRICS_ADDRESS": "127.0.0.1:9", "DEPLOYMENT_NAME": "orders", "WORKER_BUILD_ID": "1"},
    TASK_QUEUE="of-my-own",  # the worker's own, which is used
)
BROKEN = env(
    **{"ADDRESS": "https://nonsense", "NAMESPACE": "white space", "API_KEY": "<API key>"},
    **{"TLS": "maybe", "TLS_CLIENT_CERT_PATH": "/none/client.pem", "PROFILE": "none"},
    **{"TLS_SERVER_CA_CERT_DATA": "no PEM", "CONFIG_FILE": "/none/temporal.toml"},
    METRICS_ADDRESS="everywhere",
)


def test_it_prints_ok_whatever_is_configured_and_leaves_nothing_behind(
    kit: Kit, tmp_path: Path
) -> None:
    kit.write_env("".join(f"{name}={value}\n" for name, value in BROKEN.items()))
    running = kit.start(LOCAL, cwd=tmp_path, **CLOUD)
    expect_ok(running)
    assert "on task queue 'of-my-own'" in running.stderr


@slow
def test_a_server_on_path_serves_where_none_is_beside_the_interpreter(
    kit: Kit, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    on_path = tmp_path / "bin" / "temporal"  # its name tells in the list of processes who runs
    on_path.symlink_to(temporal())
    python = tmp_path / "python"
    python.symlink_to(Path(sys.executable).resolve())
    path = f"{on_path.parent}{os.pathsep}/usr/bin:/bin"
    alone = kit.env(PATH=path, PYTHONPATH=sysconfig.get_path("purelib"))
    with RunningScript([str(python), str(kit.root / LOCAL)], alone) as running:
        started = f" {on_path} server"
        wait_until(lambda: any(started in one for one in running.left()), "a server", 30)
        expect_ok(running)


@slow
def test_a_server_that_does_not_start_is_one_clear_error(kit: Kit, tmp_path: Path) -> None:
    expect_no_server(kit.start(LOCAL, "--db", str(tmp_path / "none" / "data.db")))


def expect_no_server(running: RunningScript) -> None:
    assert running.wait(60) == 1
    assert running.stdout == ""
    assert running.stderr.count("ERROR - ✗ ") == 1
    assert "Traceback" not in running.stderr
    running.expect_nothing_left()


MOMENTS: dict[str, Callable[[RunningScript], object]] = {
    "while the server starts": wait_for_server_process,
    "while the ping starts": lambda running: running.wait_for("Starting PingWorkflow"),
    "while the ping runs": lambda running: running.wait_for("Workflow started"),
}
Send = Callable[[RunningScript, signal.Signals], None]
# As a terminal, an orchestrator and systemd do, and who is impatient.
WAYS: list[tuple[signal.Signals, Send, int]] = [
    (signal.SIGINT, RunningScript.signal_group, 1),
    (signal.SIGTERM, RunningScript.signal, 1),
    (signal.SIGTERM, RunningScript.signal_group, 1),
    (signal.SIGINT, RunningScript.signal, 2),
    (signal.SIGINT, RunningScript.signal_group, 2),
]


@slow
@pytest.mark.parametrize(("number", "send", "times"), WAYS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_stopped_at_any_moment_it_leaves_nothing_behind(
    kit: Kit, moment: str, number: signal.Signals, send: Send, times: int
) -> None:
    running = kit.start(LOCAL)
    MOMENTS[moment](running)
    for _ in range(times):
        send(running, number)
    code = running.wait(30)
    assert "Traceback" not in running.stderr
    assert "ERROR - " not in running.stderr
    # It says so by its code, unless the answer was quicker than the signal.
    assert (code, running.stdout) in [(0, "ok\n"), (128 + number, "")]
    running.expect_nothing_left()


@slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_right_at_the_start_it_leaves_nothing_behind(
    kit: Kit, number: signal.Signals
) -> None:
    # Not an event to wait for: wherever in its first half second it is, nothing may be left.
    for delay in (0.05, 0.3, 0.5):
        running = kit.start(LOCAL)
        time.sleep(delay)
        running.signal_group(number)
        # Before the kit's code runs, the signal does what it does to any program.
        code = running.wait(30)
        early = "init_import_site" in running.stderr  # for which Python has a code of its own
        assert code in (-number, 128 + number, 0) or early, running.stderr
        assert running.stdout == ("" if code else "ok\n")
        running.expect_nothing_left()


@slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_it_takes_its_server_along(kit: Kit, moment: str) -> None:
    running = kit.start(LOCAL)
    MOMENTS[moment](running)
    running.signal(signal.SIGKILL)
    running.expect_nothing_left()


@slow
@linux
def test_killed_while_it_serves_it_takes_server_and_worker_along(alone: Reader) -> None:
    running = alone.start("exec python scripts/run_local.py --serve --no-reload")
    running.wait_for("Worker running")
    running.signal(signal.SIGKILL)
    running.expect_nothing_left()
