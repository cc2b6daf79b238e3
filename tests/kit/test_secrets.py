"""No output, log, error, process title or metric carries an API key or a private key."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from temporal_kit.reading import collect_settings
from temporal_kit.redaction import redact, remember_secret
from temporal_kit.settings import SETTINGS

from .cases import CLOUD, OWN_TLS, PAIR, WRONG_SETTINGS, Case, env, filled
from .delivered import delivered
from .inside import run_now
from .kit import CHECK, PING, WORKER, Kit, free_port
from .test_diagnosis import run_alone
from .world import HOST, World, leaks

KEY, TOKEN, PEM, LONG = "{w.key}", "{w.good_jwt}", "{w.private_pem}", "orders-" * 60
HERE = env(CLOUD, ADDRESS="{w.nothing}", TLS_SERVER_NAME=HOST)  # where nothing listens
PATHS = ("TLS_CLIENT_CERT_PATH", "TLS_CLIENT_KEY_PATH", "TLS_SERVER_CA_CERT_PATH")
BOTH = {**HERE, **PAIR}
# Secrets where none belongs. A key without a form of its own is known by TEMPORAL_API_KEY alone.
ELSEWHERE = [
    *(
        Case(f"{kind} as {name}", env(BOTH if name in PATHS else HERE, **{name: value}))
        for name in (setting.removeprefix("TEMPORAL_") for setting in SETTINGS)
        for kind, value in (("key", KEY), ("token", TOKEN), ("PEM", PEM))
        if name != "API_KEY"
    ),
    Case("two keys by two names", env(BOTH, TLS_CERT_DATA=KEY, TLS_CLIENT_CERT_DATA=PEM)),
    Case("key with a port", env(HERE, ADDRESS=f"{KEY}:7233")),
    Case("key in a URL", env(HERE, ADDRESS=f"https://{KEY}@h:7233")),
    Case("token as host", env(ADDRESS=f"{TOKEN}.tmprl.cloud:7233")),
    Case("key after a namespace", env(HERE, NAMESPACE=f"payments.a1b2c {KEY}")),
    Case("name in .env glued to the token", env(ADDRESS="h"), dotenv=f"TEMPORAL_API_KEY{TOKEN}\n"),
    Case("token alone in .env", env(ADDRESS="h"), dotenv=f"{TOKEN}\n{KEY}\n"),
    Case("key with a colon in .env", HERE, dotenv=f"TEMPORAL_API_KEY: {KEY}\n"),
    Case("bare PEM in .env", env(ADDRESS="h"), dotenv=f"TEMPORAL_TLS_KEY_DATA={PEM}\n"),
]


ERRORS = [case for case in WRONG_SETTINGS if case.level == "error"]
SLOW = [pytest.param(case, marks=pytest.mark.slow) for case in ERRORS if case not in ERRORS[::4]]


@pytest.mark.parametrize("case", [*ERRORS[::4], *SLOW, *ELSEWHERE], ids=str)
def test_wrong_settings_show_no_secret(
    case: Case, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the core lets pass is told once the connection fails: no test connects to Cloud.
    monkeypatch.setattr(
        delivered("temporal_client"), "client_options", lambda: {"target_host": world.nothing}
    )

    # Of the table's cases test_diagnosis.py asserts the same about the check, and all that is wrong
    # with settings the worker says as the ping does.
    for path in (PING, WORKER, CHECK) if case in ELSEWHERE else (PING,):
        done = run_alone(path, case, world)
        assert done.code == 1 or path == CHECK  # a secret may well be good as a queue's name
        assert leaks(world, done.stdout, done.stderr) == set(), (path, done)
        assert "\x1b" not in done.stdout + done.stderr
        assert path == CHECK or "Traceback" in done.stderr
    settings = collect_settings(filled(case.settings, world), None, {})
    assert leaks(world, repr(settings), str(settings), repr(settings.values)) == set()


def test_a_secret_is_hidden_in_every_form(world: World) -> None:
    secrets = ['opaque-"k3y"/with+signs', world.key, *world.private_pem.splitlines()[1:-1]]
    remember_secret("\n".join(secrets))
    for line in secrets:
        raw = line.encode()
        coded = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()
        for form in (line, json.dumps(line)[1:-1], quote(raw, safe=""), *coded):
            assert redact(f"a {form};b").replace("=", "") == "a (hidden);b"


def test_what_looks_like_a_secret_is_hidden_whoever_says_it(world: World) -> None:
    said = f"401 for {world.good_jwt} and\n{world.private_pem} from https://ada:pass@proxy:80/x"
    assert leaks(world, redact(said)) == set()
    assert "pass" not in redact(said)
    assert redact("a\x1b[31mb\u202ec\nd") == r"a\x1b[31mb\u202ec\nd"


def test_a_running_worker_shows_no_secret(kit: Kit, world: World) -> None:
    at = f"127.0.0.1:{free_port()}"
    own = env({**OWN_TLS, **PAIR}, API_KEY=KEY, METRICS_ADDRESS=at, TASK_QUEUE=LONG)
    settings = filled(own, world)
    worker = kit.work("--verbose", **settings)
    ping = run_now(PING, settings)
    assert ping.stdout == "ok\n", ping
    metrics = httpx.get(f"http://{at}/metrics", trust_env=False).text
    assert "temporal_" in metrics
    process = Path("/proc", str(worker.process.pid))
    titles = [(process / name).read_text() for name in ("cmdline", "comm") if process.exists()]
    worker.process.terminate()
    assert worker.wait() == 0, worker.stderr
    lost = kit.start(PING, "--verbose", **filled(env(HERE, NAMESPACE=f"a.b {KEY}"), world))
    assert lost.wait() == 1
    said = ping.stderr, worker.stdout, worker.stderr, lost.stdout, lost.stderr
    assert leaks(world, metrics, *titles, *said) == set()
