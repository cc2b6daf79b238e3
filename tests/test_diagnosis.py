"""The check names the cause and the remedy: every broken configuration, every right one."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cases import (
    CLOUD,
    FRONT,
    NETWORK,
    RIGHT_OFFLINE,
    RIGHT_ONLINE,
    RUNGS,
    SETTINGS,
    WRONG,
    Case,
    env,
    fill,
    filled,
)
from cloud_front import CloudFront
from kit import DevServer, Kit, RunningScript, create_namespace
from world import HOST, World, leaks

CHECK = "scripts/check_temporal_config.py"
SECONDS = 15  # the longest that a check may take, on a server that stays silent too


def title(case: Case) -> str:
    return f"{case.rung}: {case.title}"


def check(kit: Kit, world: World, case: Case) -> subprocess.CompletedProcess[str]:
    if case.dotenv:
        kit.write_env(fill(case.dotenv, world))
    options = ["--offline"] if case.rung == SETTINGS else []
    return kit.run(CHECK, *options, timeout=SECONDS, **case.environment(world))


def checks(output: str) -> list[str]:
    """The lines below the settings."""
    return output.partition("\nChecks:\n")[2].partition("\n\nNext:")[0].splitlines()


@pytest.mark.parametrize("case", WRONG, ids=title)
def test_the_check_names_the_cause_and_the_remedy(case: Case, kit: Kit, world: World) -> None:
    done = check(kit, world, case)
    everything = done.stdout + done.stderr
    assert done.returncode == (1 if case.mark == "✗" else 0), everything
    lines = checks(done.stdout)
    place = "" if case.rung == SETTINGS else f"{case.rung}: "
    start = f"{case.mark} {place}"
    [at, *_] = [
        number
        for number, line in enumerate(lines)
        if line.startswith(start) and fill(case.cause, world) in line
    ] or pytest.fail(everything)
    below = [line for line in lines[at + 1 :] if line.startswith("  → ")]
    assert any(fill(case.remedy, world) in line for line in below), everything
    if case.mark == "✗" and case.rung != SETTINGS:
        reached = RUNGS.index(case.rung)
        assert [line for line in lines if line[0] == "✓"][1:] == [
            line
            for line in lines
            if line.startswith(tuple(f"✓ {rung}: " for rung in RUNGS[:reached]))
        ]
        assert lines[-(len(RUNGS) - reached - 1) or len(lines) :] == [
            f"– {rung}: not reached" for rung in RUNGS[reached + 1 :]
        ]
    assert "Traceback" not in everything
    assert leaks(world, everything) == set()


@pytest.mark.parametrize("case", [*RIGHT_ONLINE, *RIGHT_OFFLINE], ids=title)
def test_a_right_configuration_gets_no_mark(case: Case, kit: Kit, world: World) -> None:
    if case.dotenv:
        kit.write_env(fill(case.dotenv, world))
    options = ["--offline"] if case in RIGHT_OFFLINE else []
    done = kit.run(CHECK, *options, timeout=SECONDS, **case.environment(world))
    assert done.returncode == 0, done
    marked = [line for line in checks(done.stdout) if line.startswith(("✗", "⚠", "–"))]
    assert [line for line in marked if not line.startswith("⚠ workers: no worker polls")] == []


# One of each kind: settings in every form that a failure takes, and what the network does.
SAMPLE = [case for case in WRONG if case.mark == "✗" and case.rung == SETTINGS][::20]


@pytest.mark.parametrize("case", [*SAMPLE, *(c for c in NETWORK if c.mark == "✗")], ids=title)
def test_ping_and_worker_fail_in_the_words_of_the_check(case: Case, kit: Kit, world: World) -> None:
    settings = case.environment(world)
    if case.dotenv:
        kit.write_env(fill(case.dotenv, world))
    options = ["--offline"] if case.rung == SETTINGS else []
    with (
        kit.start(CHECK, *options, **settings) as checking,
        kit.start("scripts/start_ping.py", **settings) as ping,
        kit.start("workers/worker.py", **settings) as worker,
    ):
        checking.wait(SECONDS)
        causes = [line for line in checks(checking.stdout) if line.startswith("✗ ")]
        assert causes
        for script in (ping, worker):
            assert script.wait(SECONDS) == 1, script.stderr
            assert script.stdout == ""
            said = script.stderr.partition("ERROR - ")[2]
            for cause in causes:
                assert cause in said, script.stderr
            assert len(said.splitlines()) <= 6, said
            assert said.splitlines()[-1] == f"  → python {CHECK} tells more"
            assert "Traceback" not in script.stderr


@pytest.mark.parametrize("script", ["scripts/start_ping.py", "workers/worker.py"])
@pytest.mark.parametrize(
    "settings", [env(ADDRESS="localhost"), env(ADDRESS="{w.nothing}")], ids=["settings", "network"]
)
def test_verbose_adds_the_traceback(
    script: str, settings: dict[str, Any], kit: Kit, world: World
) -> None:
    values = filled(settings, world)
    done = kit.run(script, "--verbose", **values)
    assert done.returncode == 1
    assert "ERROR - ✗" in done.stderr
    assert "Traceback (most recent call last):" in done.stderr
    assert "Traceback" not in kit.run(script, **values).stderr


# --- Cases that take more than settings -----------------------------------------------------------


def test_env_file_that_others_may_read(kit: Kit, world: World) -> None:
    file = kit.write_env(fill("TEMPORAL_API_KEY={w.key}\n", world))
    file.chmod(0o644)
    done = kit.run(
        CHECK, "--offline", TEMPORAL_ADDRESS=f"{HOST}:7233", TEMPORAL_NAMESPACE=HOST[:14]
    )
    assert done.returncode == 0, done
    lines = checks(done.stdout)
    at = lines.index(f"⚠ {file} holds a secret, and other users of this machine may read it")
    assert lines[at + 1] == f"  → chmod 600 {file}"
    file.write_text("TEMPORAL_TASK_QUEUE=payments\n")
    assert "⚠" not in kit.run(CHECK, "--offline").stdout  # a file without secrets


@pytest.mark.parametrize("name", [".env.example", ".env.txt"])
def test_settings_in_a_file_beside_env(name: str, kit: Kit) -> None:
    file = kit.root / name
    with file.open("a") as lines:
        lines.write("TEMPORAL_TASK_QUEUE=payments\n")
    lines_said = checks(kit.run(CHECK, "--offline").stdout)
    assert lines_said[0] == f"⚠ {file} has settings, and is not read"
    assert lines_said[1] == f"  → mv {file} {kit.root / '.env'}"
    kit.write_env("TEMPORAL_TASK_QUEUE=payments\n")
    assert "⚠" not in kit.run(CHECK, "--offline").stdout


def test_without_a_resolver_that_answers(kit: Kit, isolated: Isolated) -> None:
    for server in ("127.0.0.1", "10.9.0.53"):  # nothing listens there; dropped on the way
        done = isolated.check(kit, f"nameserver {server}\n", TEMPORAL_ADDRESS="x.example:7233")
        assert "✗ name resolution: the name x.example cannot be looked up" in done.stdout, done
        assert "  → or see to this machine's network and DNS" in done.stdout
        assert "– TCP: not reached" in done.stdout


def test_without_a_route(kit: Kit, isolated: Isolated) -> None:
    done = isolated.check(kit, TEMPORAL_ADDRESS="10.8.0.2:7233")
    assert "✗ TCP: no way to 10.8.0.2, port 7233: Network is unreachable" in done.stdout, done
    assert "  → see to this machine's network, routes and VPN" in done.stdout


def test_behind_a_wall_that_drops_packets(kit: Kit, isolated: Isolated) -> None:
    done = isolated.check(kit, TEMPORAL_ADDRESS="10.9.0.2:7233")
    assert "✗ TCP: no answer from 10.9.0.2, port 7233, within" in done.stdout, done
    assert "  → let this machine through to 10.9.0.2:7233 (firewall, VPN)" in done.stdout


def test_a_misspelt_host_of_cloud(kit: Kit, isolated: Isolated) -> None:
    settings = env(CLOUD, ADDRESS="payments.a1b2c.tmprl.clod:7233", API_KEY="k3y")
    done = isolated.check(kit, **settings)
    assert "⚠ TEMPORAL_ADDRESS=payments.a1b2c.tmprl.clod:7233" in done.stdout
    assert "✗ name resolution: the name payments.a1b2c.tmprl.clod" in done.stdout
    assert done.stdout.count(f"  → TEMPORAL_ADDRESS={HOST}:7233") == 2


class Isolated:
    """Runs the check where there is no network but what the test makes."""

    def __init__(self, folder: Path) -> None:
        self.resolver = folder / "resolv.conf"
        # A route into loopback for addresses that nobody has: what is sent there is dropped.
        self.command = [
            shutil.which("unshare") or "",
            "-rmn",
            "sh",
            "-ec",
            "ip link set lo up; ip route add 10.9.0.0/24 dev lo\n"
            f'mount --bind "{self.resolver}" /etc/resolv.conf; exec "$@"',
            "sh",
        ]

    def check(
        self, kit: Kit, resolver: str = "nameserver 127.0.0.1\n", **settings: Any
    ) -> subprocess.CompletedProcess[str]:
        self.resolver.write_text(resolver)
        command = [*self.command, sys.executable, str(kit.root / CHECK)]
        with RunningScript(command, kit.env(**settings)) as running:
            code = running.wait(SECONDS)
        done = subprocess.CompletedProcess(command, code, running.stdout, running.stderr)
        assert code == 1, done
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture
def isolated(tmp_path: Path) -> Isolated:
    made = Isolated(tmp_path)
    made.resolver.write_text("")
    if not made.command[0]:
        pytest.skip("network namespaces are Linux's")
    tried = subprocess.run([*made.command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this user may make no network namespace: {tried.stderr}")
    return made


def test_a_key_that_is_revoked_under_a_running_worker(
    kit: Kit, cloud: CloudFront, world: World, api_key: str
) -> None:
    settings = filled(env(FRONT, ADDRESS=cloud.address), world)
    with kit.start("workers/worker.py", **settings) as worker:
        worker.wait_for("Worker running")
        cloud.revoke(api_key)
        worker.wait_for("Lost the server")
        worker.wait_for("✗ authentication: the server does not accept the API key")
        done = kit.run(CHECK, timeout=SECONDS, **settings)
        assert "✗ authentication: the server does not accept the API key" in done.stdout


@pytest.mark.parametrize("trial", ["silence", "stop"])
def test_a_server_that_goes_away_while_a_ping_waits(
    trial: str, kit: Kit, cloud: CloudFront, world: World
) -> None:
    settings = filled(env(FRONT, ADDRESS=cloud.address), world)
    with kit.start("scripts/start_ping.py", "--timeout", "4", **settings) as ping:
        ping.wait_for("Waiting for result")
        cloud.silence() if trial == "silence" else cloud.stop()
        assert ping.wait(25) == 1
        cloud.resume()
    expected = "stays silent" if trial == "silence" else "TCP: nothing listens on 127.0.0.1"
    assert "ERROR - ✗" in ping.stderr
    assert expected in ping.stderr
    assert "Traceback" not in ping.stderr


# --- Workers --------------------------------------------------------------------------------------


def workers(kit: Kit, **settings: Any) -> list[str]:
    done = kit.run(CHECK, timeout=SECONDS, **settings)
    assert done.returncode == 0, done
    lines = checks(done.stdout)
    [at] = [number for number, line in enumerate(lines) if " workers: " in line]
    return lines[at:]


def test_workers_elsewhere_are_pointed_to(kit: Kit, dev_server: DevServer) -> None:
    create_namespace(dev_server.address, "elsewhere")
    here: dict[str, Any] = {
        "TEMPORAL_ADDRESS": dev_server.address,
        "TEMPORAL_TASK_QUEUE": "Invoices",
    }
    with (
        kit.start("workers/worker.py", **{**here, "TEMPORAL_TASK_QUEUE": "invoices"}) as one,
        kit.start("workers/worker.py", **{**here, "TEMPORAL_NAMESPACE": "elsewhere"}) as other,
    ):
        for worker in (one, other):
            worker.wait_for("Worker running")
        end = time.monotonic() + 20
        while True:
            said = workers(kit, **here)
            if sum("of a worker" in line for line in said) == 2 or time.monotonic() > end:
                break
    assert said[0] == "⚠ workers: no worker polls the task queue 'Invoices' in namespace 'default'"
    assert "'invoices', 'default'" in "".join(said)
    assert "'Invoices', 'elsewhere'" in "".join(said)
    assert any("in the environment of this shell only: TEMPORAL_" in line for line in said)


def test_a_worker_that_polls_is_seen(kit: Kit, dev_server: DevServer) -> None:
    here: dict[str, Any] = {"TEMPORAL_ADDRESS": dev_server.address, "TEMPORAL_TASK_QUEUE": "seen"}
    with kit.start("workers/worker.py", **here) as worker:
        worker.wait_for("Worker running")
        end = time.monotonic() + 20
        while (said := workers(kit, **here)[0]).startswith("⚠") and time.monotonic() < end:
            pass
    assert re.fullmatch(r"✓ workers: \d on 'seen', the last poll \d+ s ago", said)


@pytest.fixture(scope="session", autouse=True)
def long_ago(
    dev_server: DevServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Future[list[str]]]:
    """What the check says a minute after a worker was killed; other tests take up that minute."""
    kit = Kit(tmp_path_factory.mktemp("killed") / "kit")
    here: dict[str, Any] = {
        "TEMPORAL_ADDRESS": dev_server.address,
        "TEMPORAL_TASK_QUEUE": "left alone",
    }
    with kit.start("workers/worker.py", **here) as worker:
        worker.wait_for("Worker running")
        end = time.monotonic() + 20
        while workers(kit, **here)[0].startswith("⚠") and time.monotonic() < end:
            pass
        worker.signal(signal.SIGKILL)
        worker.wait()
    cancelled = threading.Event()

    def look() -> list[str]:
        # A worker is called gone after 60 s without a poll: this waits for time alone to pass.
        return [] if cancelled.wait(62) else workers(kit, **here)

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(look)
        cancelled.set()


def test_a_worker_that_polled_last_long_ago(long_ago: Future[list[str]]) -> None:
    said = long_ago.result(90)
    assert re.fullmatch(
        r"⚠ workers: no poll of 'left alone' in namespace 'default' for \d+ s: "
        r"\d+@\S+ is busy, or gone",
        said[0],
    )
    assert said[1].startswith("  → python workers/worker.py")
