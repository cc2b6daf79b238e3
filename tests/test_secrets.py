"""No output, log, error, process title or metric carries an API key or a private key."""

from __future__ import annotations

import traceback
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cases import CLOUD, FRONT, MTLS, MTLS_FRONT, NETWORK, RIGHT_ONLINE, WRONG, Case, env, filled
from cases import fill as fill_in
from kit import Kit, free_port
from test_diagnosis import CHECK, title
from world import World, leaks

from temporal_client import SettingsError, load_settings, read_settings

PING, WORKER = "scripts/start_ping.py", "workers/worker.py"
KEY, TOKEN, PEM = "{w.key}", "{w.good_jwt}", "{w.private_pem}"
ELSEWHERE = [  # secrets where none belongs, beyond those in the table of cases
    *(
        Case(f"{kind} as {name}", env(CLOUD, **{name: value}), "")
        for name in (
            "ADDRESS",
            "NAMESPACE",
            "TASK_QUEUE",
            "TLS",
            "TLS_SERVER_NAME",
            "TLS_CLIENT_CERT_DATA",
            "TLS_SERVER_CA_CERT_DATA",
            "GRACEFUL_SHUTDOWN_SECONDS",
            "METRICS_ADDRESS",
            "CONFIG_FILE",
            "PROFILE",
        )
        for kind, value in (("key", KEY), ("token", TOKEN), ("PEM", PEM))
    ),
    *(
        Case(f"{name}, {kind}", env(MTLS, **{name: value}), "")
        for name in ("TLS_CLIENT_CERT_PATH", "TLS_CLIENT_KEY_PATH", "TLS_SERVER_CA_CERT_PATH")
        for kind, value in (("key", KEY), ("PEM", PEM))
    ),
    Case("two keys by two names", env(MTLS, TLS_CERT_DATA=KEY, TLS_CLIENT_CERT_DATA=PEM), ""),
    Case("key with a port", env(ADDRESS=f"{KEY}:7233"), ""),
    Case("key in a URL", env(ADDRESS=f"https://{KEY}@h:7233"), ""),
    Case("key as host", env(ADDRESS=f"{TOKEN}.tmprl.cloud:7233"), ""),
    Case("key after a namespace", env(CLOUD, NAMESPACE=f"payments.a1b2c {KEY}"), ""),
    Case(
        "name in .env glued to the key", env(ADDRESS="h"), "", dotenv=f"TEMPORAL_API_KEY{TOKEN}\n"
    ),
    Case("key alone in .env", env(ADDRESS="h"), "", dotenv=f"{TOKEN}\n{KEY}\n"),
    Case("key with a colon in .env", env(ADDRESS="h"), "", dotenv=f"TEMPORAL_API_KEY: {KEY}\n"),
    Case("bare PEM in .env", env(ADDRESS="h"), "", dotenv=f"TEMPORAL_TLS_KEY_DATA={PEM}\n"),
]


def hidden(kit: Kit, world: World, case: Case, *scripts: str) -> None:
    """Run scripts at debug level, together, and look for secrets in all that they say."""
    settings = case.environment(world)
    if case.dotenv:
        kit.write_env(fill_in(case.dotenv, world))
    running = [
        kit.start(script, "--verbose", *options(script, case), **settings) for script in scripts
    ]
    try:
        for one in running:
            assert one.wait(20) == 1, f"{case.title}: {one.stderr}"
            assert leaks(world, one.stdout, one.stderr) == set(), case.title
            for line in (one.stdout + one.stderr).splitlines():
                assert "\x1b" not in line
    finally:
        for one in running:
            one.close()


def options(script: str, case: Case) -> list[str]:
    return ["--offline"] if script == CHECK and case not in NETWORK else []


WRONG_SETTINGS = [case for case in WRONG if case.mark == "✗" and case not in NETWORK]
WRONG_NETWORK = [case for case in NETWORK if case.mark == "✗"]


@pytest.mark.parametrize("first", range(0, len(WRONG_SETTINGS), 4))
def test_wrong_settings_show_no_secret(first: int, tmp_path: Path, world: World) -> None:
    # Four at a time, to use the cores; of the check's own words, test_diagnosis.py says the same.
    cases = WRONG_SETTINGS[first : first + 4]
    for case in cases:  # what the world makes when first asked is made here, by one thread
        fill_in(case.dotenv, world)
        case.environment(world)
    with ThreadPoolExecutor(4) as pool:
        kits = [Kit(tmp_path / f"kit{number}") for number in range(len(cases))]
        list(pool.map(lambda kit, case: hidden(kit, world, case, PING), kits, cases))


@pytest.mark.parametrize("case", ELSEWHERE, ids=title)
def test_secrets_in_wrong_places_are_not_shown(case: Case, kit: Kit, world: World) -> None:
    hidden(kit, world, case, CHECK, PING)


@pytest.mark.parametrize("case", [*WRONG_SETTINGS[::20], *WRONG_NETWORK], ids=title)
def test_no_failure_shows_a_secret_at_debug_level(case: Case, kit: Kit, world: World) -> None:
    hidden(kit, world, case, CHECK, PING, WORKER)


@pytest.mark.parametrize("case", [*WRONG_SETTINGS, *ELSEWHERE], ids=title)
def test_errors_and_settings_show_no_secret_of_their_own(
    case: Case, world: World, tmp_path: Path
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(fill_in(case.dotenv, world), encoding="utf-8")
    settings, findings = read_settings(case.environment(world), env_file)
    everything = [repr(settings), str(settings), repr(settings.origins), repr(findings)]
    try:
        load_settings(case.environment(world))
    except SettingsError as error:
        everything += [repr(error), str(error), *traceback.format_exception(error)]
    assert leaks(world, *everything) == set()


@pytest.mark.parametrize(
    "case", [c for c in RIGHT_ONLINE if c.dotenv or "mTLS" in c.title], ids=title
)
def test_right_settings_show_no_secret(case: Case, kit: Kit, world: World) -> None:
    if case.dotenv:
        kit.write_env(fill_in(case.dotenv, world))
    done = kit.run(CHECK, "--verbose", **case.environment(world))
    assert done.returncode == 0, done.stdout
    assert leaks(world, done.stdout, done.stderr) == set()


@pytest.mark.parametrize("base", [FRONT, MTLS_FRONT], ids=["API key", "mTLS"])
def test_a_running_worker_shows_no_secret(base: dict[str, Any], kit: Kit, world: World) -> None:
    port = free_port()
    settings = filled(env(base, METRICS_ADDRESS=f"127.0.0.1:{port}", TASK_QUEUE="hidden"), world)
    with kit.start(WORKER, "--verbose", **settings) as worker:
        worker.wait_for("Worker running")
        del settings["TEMPORAL_METRICS_ADDRESS"]
        ping = kit.run(PING, "--verbose", **settings)
        assert ping.stdout == "ok\n", ping
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            metrics = page.read().decode()
        assert "temporal_" in metrics
        process = Path("/proc", str(worker.process.pid))
        titles = [(process / name).read_text() for name in ("cmdline", "comm") if process.exists()]
        worker.process.terminate()
        assert worker.wait() == 0, worker.stderr
    said = [ping.stderr, worker.stdout, worker.stderr]
    assert leaks(world, metrics, *titles, *said) == set()
