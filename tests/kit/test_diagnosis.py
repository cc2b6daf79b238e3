"""The check names the cause and the fix: every broken configuration, every right one."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.common import WorkerDeploymentVersion as WorkerVersion

from temporal_kit import server
from temporal_kit.doctor.steps import lines_for_other_versions

from . import cases
from .cases import Case, env, fill, filled
from .cloud_front import CloudFront
from .delivered import delivered
from .inside import SECONDS, Script, run_now
from .kit import CHECK, PATH, PING, WORKER, DevServer, Kit
from .pings import CALLING, begin, wait_until
from .world import World, leaks

MARKS = {"error": "✗", "warning": "⚠"}


def checks(output: str) -> list[str]:
    """The lines below the settings."""
    return output.partition("\nChecks:\n")[2].partition("\n\nNext:")[0].splitlines()


def timeless(text: str) -> str:
    return re.sub(r"\d\d:\d\d", "", text)


def run_alone(path: str, case: Case, world: World) -> Script:
    """Run a script with the settings of a case, and nothing beside it."""
    dotenv = world.file(f"{id(case)}.env", fill(case.dotenv, world)) if case.dotenv else None
    offline = case.step == cases.SETTINGS or case in cases.RIGHT_OFFLINE
    return run_now(path, filled(case.settings, world), dotenv, offline=offline)


def all_is_said(case: Case, world: World) -> list[str]:
    """Assert that the check says of a wrong case what the table has; give its lines."""
    done = run_alone(CHECK, case, world)
    everything = done.stdout + done.stderr
    assert done.code == int(case.fails), everything
    lines = checks(done.stdout)
    start = f"{MARKS[case.level]} " + ("" if case.step == cases.SETTINGS else f"{case.step}: ")
    causes, fixes = fill(case.cause, world).split(" // "), fill(case.fix, world).split(" // ")
    named = [line.startswith(start) and any(one in line for one in causes) for line in lines]
    assert True in named, everything
    below = [line for line in lines[named.index(True) + 1 :] if line.startswith("  → ")]
    assert any(fix in line for line in below for fix in fixes), everything
    for line in lines:  # a line that sets something can be pasted as it is
        if sets := re.match(r"  → (?:or |and )?[A-Z_]+=([^<]+)$", line):
            assert len(shlex.split(sets[1].partition("   # ")[0])) <= 1, line
    if case.level == "error" and case.step != cases.SETTINGS:
        reached = cases.STEPS.index(case.step)
        good = [line.partition(":")[0] for line in lines if line[0] == "✓"]
        assert good == [f"✓ {step}" for step in (cases.SETTINGS, *cases.STEPS[:reached])]
        skipped = [line for line in lines if line[0] == "–"]
        assert skipped == [f"– {step}: not reached" for step in cases.STEPS[reached + 1 :]]
    assert leaks(world, everything) == set()
    return lines


@pytest.mark.parametrize("case", cases.WRONG_SETTINGS, ids=str)
def test_wrong_settings_are_named_with_their_fix(case: Case, world: World) -> None:
    all_is_said(case, world)


def slow_if_silent(case: Case) -> Any:
    """A case as a parameter; waiting for what does not come is for the slow tests."""
    slow = [pytest.mark.slow] if re.search("silen|full", case.title) else []
    return pytest.param(case, marks=slow)


@pytest.mark.parametrize("case", [*map(slow_if_silent, cases.NETWORK)], ids=str)
def test_the_broken_step_is_named_with_its_fix(
    case: Case, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        delivered("temporal_client"), "CONNECT_SECONDS", 1.5
    )  # for what stays silent
    for name, value in filled(case.settings, world).items():
        monkeypatch.setenv(name, value)  # which not only the settings are read from
    lines = all_is_said(case, world)
    either = fill(case.cause, world).split(" // ")
    causes = [timeless(line) for line in lines if line.startswith("✗ ") and len(either) == 1]
    for path in (PING, WORKER) if case.fails else ():
        script = run_alone(path, case, world)
        assert (script.code, script.stdout) == (1, ""), script.stderr
        said = timeless(script.stderr)
        assert all(one in said for one in causes), said
        assert any(one in said for one in either), said
        assert leaks(world, script.stderr) == set()


@pytest.mark.parametrize("case", [*cases.RIGHT_ONLINE, *cases.RIGHT_OFFLINE], ids=str)
def test_a_right_configuration_gets_no_mark(case: Case, world: World) -> None:
    done = run_alone(CHECK, case, world)
    assert done.code == 0, done
    marked = [line for line in checks(done.stdout) if line[0] in "✗⚠–"]
    assert [line for line in marked if not line.startswith("⚠ workers: no worker polls")] == []
    assert leaks(world, done.stdout, done.stderr) == set()


def check_offline(settings: dict[str, Any], env_file: Path | None) -> str:
    """What the check says without a network."""
    return "\n".join(checks(run_now(CHECK, settings, env_file, offline=True).stdout))


def test_env_file_that_others_may_read(world: World) -> None:
    file = world.file("open.env", f"TEMPORAL_API_KEY={world.key}\n", 0o644)
    said = check_offline(env(cases.CLOUD, API_KEY=None), file)
    fix = f"other users of this machine may read it\n  → chmod 600 {file}"
    assert f"⚠ {file} holds a secret, and {fix}" in said
    subprocess.run(fix.rpartition("→ ")[2], shell=True, check=True)
    assert "⚠" not in check_offline(env(cases.CLOUD, API_KEY=None), file)
    file = world.file("public.env", "TEMPORAL_TASK_QUEUE=payments\n", 0o644)
    assert "⚠" not in check_offline({}, file)  # a file without secrets


@pytest.mark.parametrize("name", [".env.example", ".env.txt"])
def test_settings_in_a_file_beside_env(name: str, tmp_path: Path) -> None:
    file, env_file = tmp_path / name, tmp_path / ".env"
    file.write_text("TEMPORAL_TASK_QUEUE=payments\n")
    said = check_offline({}, env_file)
    assert f"⚠ {file} has settings, and is not read\n  → mv {file} {env_file}" in said
    subprocess.run(f"mv {file} {env_file}", shell=True, check=True)
    assert "⚠" not in check_offline({}, env_file)


def test_a_key_that_may_only_read(world: World) -> None:
    settings = filled(env(cases.FRONT, ADDRESS="{w.read_only}"), world)
    for path in (PING, WORKER):
        done = run_now(path, settings)
        assert done.code == 1
        assert re.search(r"✗ .*not allowed on the namespace", done.stderr), done.stderr
        assert "access to payments.a1b2c" in done.stderr


def test_a_key_that_may_poll_and_start_no_runs(world: World) -> None:
    settings = filled(env(cases.FRONT, ADDRESS="{w.no_starts}"), world)
    done = run_now(CHECK, settings)
    assert done.code == 1
    assert "✗ workers: no ping may start: the API key is known, but not allowed" in done.stdout
    ping = run_now(PING, settings)
    assert ping.code == 1
    assert "no ping may start: the API key is known, but not allowed" in ping.stderr


ISOLATED = {  # resolver, address, step, cause and fix, where there is no network but this
    "no DNS": ("127.0.0.1", "x.example", "name resolution", "x.example cannot be looked up", "DNS"),
    "DNS dropped": ("10.9.0.53", "x.example", "name resolution", "cannot be looked up", "DNS"),
    "no route": ("127.0.0.1", "10.8.0.2", "TCP", "Network is unreachable", "routes and VPN"),
    "dropped": ("127.0.0.1", "10.9.0.2", "TCP", "no answer from 10.9.0.2", "(firewall, VPN)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("title", ISOLATED)
def test_where_nothing_comes_through(title: str, kit: Kit, tmp_path: Path) -> None:
    resolver, host, step, cause, fix = ISOLATED[title]
    (tmp_path / "resolv.conf").write_text(f"nameserver {resolver}\n")
    # A route into loopback for addresses that nobody has: what is sent there is dropped.
    make = "ip link set lo up; ip route add 10.9.0.0/24 dev lo\n"
    make += f'mount --bind "{tmp_path}/resolv.conf" /etc/resolv.conf; exec "$@"'
    alone = ["unshare", "-rmn", "sh", "-ec", make, "sh"]
    if not shutil.which(alone[0]) or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("this user may make no network namespace, or this system has none")
    check = kit.start(CHECK, within=alone, TEMPORAL_ADDRESS=f"{host}:7233")
    assert check.wait(SECONDS) == 1, check.stdout
    lines = checks(check.stdout)
    [at] = [number for number, line in enumerate(lines) if line.startswith(f"✗ {step}: ")]
    assert cause in lines[at]
    assert any(fix in line for line in lines[at + 1 :] if line.startswith("  → ")), lines
    assert lines[-1] == "– workers: not reached"
    assert "Traceback" not in check.stderr


@pytest.mark.slow
def test_a_key_that_is_revoked_under_a_running_worker(
    kit: Kit, cloud: CloudFront, world: World
) -> None:
    settings = filled(env(cases.FRONT, ADDRESS=cloud.address), world)
    worker = kit.work(**settings)
    cloud.revoke(world.key)
    worker.wait_for("Lost the server")
    worker.wait_for("✗ authentication: the server does not accept the API key")


@pytest.mark.slow
@pytest.mark.parametrize("trial", ["silence", "stop"])
def test_a_server_that_goes_away_while_a_ping_waits(
    trial: str, kit: Kit, cloud: CloudFront, world: World
) -> None:
    settings = filled(env(cases.FRONT, ADDRESS=cloud.address), world)
    ping = kit.start(PING, "--timeout", "4", **settings)
    ping.wait_for("Waiting for result")
    cloud.silent = trial == "silence"
    if trial == "stop":
        cloud.stop()
    assert ping.wait(25) == 1
    expected = "stays silent" if trial == "silence" else "TCP: nothing listens on 127.0.0.1"
    assert "ERROR - ✗" in ping.stderr
    assert expected in ping.stderr
    assert "Traceback" not in ping.stderr


@pytest.mark.slow
def test_a_server_that_does_not_answer_the_start_of_a_run(
    kit: Kit, cloud: CloudFront, world: World
) -> None:
    cloud.silences = ("Start",)
    settings = filled(env(cases.FRONT, ADDRESS=cloud.address), world)
    ping = kit.start(PING, "--timeout", "1", **settings)
    assert ping.wait(20) == 1
    assert "✗ no answer in time" in ping.stderr
    assert "Traceback" not in ping.stderr


def workers(settings: dict[str, Any], expected: Iterable[str] = ()) -> str:
    """What the check says of workers, once all that is expected is in it."""
    end = time.monotonic() + 20
    while True:
        done = run_now(CHECK, settings)
        assert done.code == 0, done
        said = "\n".join(checks(done.stdout))
        said = said[said.index(" workers: ") - 1 :]
        if all(text in said for text in expected) or time.monotonic() > end:
            return said


def test_workers_elsewhere_are_pointed_to_and_one_that_polls_is_seen(
    kit: Kit, dev_server: DevServer
) -> None:
    here = env(ADDRESS=dev_server.address, TASK_QUEUE="Invoices")
    none = "⚠ workers: no worker polls the task queue 'Invoices' in namespace 'default'"
    queue = "→ a worker polls 'invoices': TEMPORAL_TASK_QUEUE=invoices"
    namespace = "'Invoices' in 'elsewhere': TEMPORAL_NAMESPACE=elsewhere"
    places = env(here, TASK_QUEUE="invoices"), env(here, NAMESPACE="elsewhere")
    for worker in [kit.start(WORKER, **place) for place in places]:
        worker.wait_for("Worker running")
    said = workers(here, [queue, namespace])
    seen = workers(places[0], ["✓"])
    assert said.startswith(none)
    assert queue in said
    assert namespace in said
    assert re.match(r"✓ workers: \d on 'invoices', the last poll \d+ s ago", seen)


def test_new_runs_and_workers_of_other_versions_are_brought_together() -> None:
    none, current = (
        WorkerDeploymentVersion(),
        WorkerDeploymentVersion(deployment_name="my app", build_id="2"),
    )
    command = "temporal worker deployment set-current-version --yes --deployment-name"
    start = "TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID of that version"
    mine = WorkerVersion("my app", "1")
    placeholders = [f"{command} <deployment> --build-id <build>"]
    assert [*lines_for_other_versions(["", "b 1"], none, None)] == placeholders
    assert [*lines_for_other_versions(["b 1"], none, mine)] == placeholders
    named = f"{command} 'my app' --build-id 1"
    assert [*lines_for_other_versions(["my app 1"], none, mine)] == [named]
    first, second = lines_for_other_versions(["my app 1"], current, mine)
    assert first.startswith(start)
    assert second == f"or {named}"
    _, second = lines_for_other_versions([""], current, WorkerVersion("my app", "2"))
    assert second == f"or {command} 'my app' --unversioned"


@pytest.mark.slow
def test_a_version_that_the_server_has_no_room_for(kit: Kit) -> None:
    limit = ("--dynamic-config-value", "matching.maxVersionsInDeployment=1")
    with DevServer(None, *limit) as server:
        here = env(ADDRESS=server.address, DEPLOYMENT_NAME="pay", WORKER_BUILD_ID="1")
        kit.work(**here)
        wait_until(lambda: "does not know" not in run_now(CHECK, here).stdout, "1 is known", 20)
        here = env(here, WORKER_BUILD_ID="2")
        unknown = "the server does not know the version '2' of 'pay'"
        second = kit.work(**here)
        second.wait_for(f"WARNING - ⚠ {unknown}")
        check = run_now(CHECK, here).stdout
        assert unknown in check
        [show] = re.findall("→ or (temporal .* describe --name pay)", check)
        cli = {"PATH": PATH, "TEMPORAL_ADDRESS": server.address}
        shown = subprocess.run(show, shell=True, env=cli, check=True, capture_output=True)
        assert b"pay" in shown.stdout
        delete = "delete-version --deployment-name pay --build-id <a drained build>"
        assert delete in check
        assert delete in second.stderr


@pytest.mark.slow
def test_a_namespace_that_is_not_there_is_made_by_the_line_that_is_printed() -> None:
    with DevServer() as server:
        here = env(ADDRESS=server.address, NAMESPACE="orders of'26")
        done = run_now(CHECK, here)
        [command] = re.findall("  → or (temporal operator namespace create .*)", done.stdout)
        assert done.code == 1
        subprocess.run(command, shell=True, env={"PATH": PATH, **here}, check=True)
        wait_until(lambda: run_now(CHECK, here).code == 0, "the new namespace is there", 20)


@pytest.mark.slow
def test_a_worker_that_polled_last_long_ago(
    kit: Kit, dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = env(ADDRESS=dev_server.address, TASK_QUEUE="left alone")
    worker = kit.work(**here)
    assert workers(here, ["✓"]).startswith("✓")
    worker.signal(signal.SIGKILL)
    worker.wait()
    monkeypatch.setattr(server, "STALE_SECONDS", 2.0)  # a minute, while it may be alive
    none = "⚠ workers: no worker polls the task queue 'left alone' in namespace 'default', last"
    said = workers(here, [none])
    assert re.match(rf"{none} poll \d+ s ago: \d+@\S+ is busy, or gone\n  → python work", said)


@pytest.mark.slow
def test_a_clock_that_is_off_is_named_and_reckoned_with(
    kit: Kit, dev_server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, now = env(ADDRESS=dev_server.address, TASK_QUEUE="clock"), time.time
    kit.work(**here)
    assert workers(here, ["✓"]).startswith("✓")
    monkeypatch.setattr(time, "time", lambda: now() - 3700)
    said = run_now(CHECK, here).stdout
    assert "⚠ namespace: default is there; this machine's clock is 3700 s behind the ser" in said
    assert re.search(r"✓ workers: \d on 'clock', the last poll \d+ s ago", said), said


@pytest.mark.slow
def test_activities_that_wait_in_vain_and_names_that_would_be_escapes(
    kit: Kit, dev_server: DevServer
) -> None:
    kit.register("calling", CALLING, workflows=["Calling"])
    evil = "in\x1b[2j\r✓ vain\u202e"
    here = env(ADDRESS=dev_server.address, NAMESPACE="elsewhere", TASK_QUEUE=evil)
    worker = kit.work(**here)
    where = {"namespace": "elsewhere", "task_queue": evil}
    asyncio.run(begin(dev_server.address, "Calling", ["pay"], **where))
    waiting = "s ago; 1 activities wait, and no worker polls for them\n  → register them"
    polls = "a worker polls 'in\\x1b[2j\\r✓ vain\\u202e': TEMPORAL_TASK_QUEUE='in"
    said = workers(here, [waiting])
    beside = workers(env(here, TASK_QUEUE=evil.upper()), [polls])
    assert waiting in said
    assert polls in beside
    assert all(one.isprintable() or one == "\n" for one in said + beside + worker.stderr)


@pytest.mark.slow
def test_an_import_that_the_sandbox_refuses(kit: Kit, dev_server: DevServer) -> None:
    line = "from temporal_client import load_settings"
    kit.register("calling", f"{line}\n{CALLING}", workflows=["Calling"])
    done = kit.start(WORKER, TEMPORAL_ADDRESS=dev_server.address)
    assert done.wait() == 1
    assert f"ERROR - ✗ workflows/calling.py, line 1: {line}: Restricted" in done.stderr
    assert "→ with workflow.unsafe.imports_passed_through():" in done.stderr
