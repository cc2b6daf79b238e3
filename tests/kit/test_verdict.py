"""The check's verdict is the ping's: random settings, most of them nearly right, for both."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from . import cases
from .cases import env, filled
from .cloud_front import NAMESPACE
from .delivered import delivered
from .inside import run_now
from .kit import CHECK, PING, DevServer, Kit
from .world import HOST, World

QUEUE = "verdict"
DRAWS = int(os.environ.get("KIT_VERDICT_DRAWS", "60"))
FRONT = env(cases.FRONT, ADDRESS="{w.strict}")
MTLS_FRONT = env(cases.MTLS_FRONT, ADDRESS="{w.strict_mtls}")
BASES = [cases.LOCAL, cases.OWN_TLS, FRONT, MTLS_FRONT]
OTHERS: dict[str, list[str | None]] = {
    "ADDRESS": [
        *("{w.dev.address}", "{w.strict}", "{w.strict_mtls}", "{w.read_only}"),
        *("{w.no_starts}", "{w.no_polls}", "{w.nothing}", "{w.web}", "{w.ssh}"),
        *("http://{w.dev.address}", "https://{w.strict}", "dns:///{w.strict}", "127.0.0.1", None),
    ],
    "NAMESPACE": ["default", NAMESPACE, "nowhere", "payments", "Payments.a1b2c", None],
    "TASK_QUEUE": [QUEUE, "nobody", "q" * 1000, "q" * 1001, "q" * 5000, "/_sys/q", "a,b"],
    "API_KEY": ["{w.key}", "wrong", "{w.expired_jwt}", "Bearer {w.key}", "'{w.key}'", None],
    "API_KEY_FILE": ["{w.key_file}", "{w.missing}", "{w.empty}", "{w.folder}", None],
    "TLS": ["true", "false", "off", "1", None],
    "TLS_SERVER_NAME": [HOST, "localhost", "other.example", f"{HOST}:7233", None],
    "TLS_SERVER_CA_CERT_PATH": ["{w.server_ca}", "{w.own_ca}", "{w.text}", "{w.missing}", None],
    "TLS_CLIENT_CERT_PATH": ["{w.client.certificate}", "{w.untrusted.certificate}", None],
    "TLS_CLIENT_KEY_PATH": ["{w.client.key}", "{w.renewed.key}", "{w.encrypted_key}", None],
    "METRICS_ADDRESS": ["127.0.0.1:0", "localhost:9464", ":9464", "9464"],
    "GRACEFUL_SHUTDOWN_SECONDS": ["0", "30s", "-1", "1.5", ""],
    "DEPLOYMENT_NAME": ["payments", "pay.ments", None],
    "WORKER_BUILD_ID": ["1", "1.0", None],
    "PROFILE": ["missing", None],
    "GRPC_META_X_TEAM": ["a", "caf\u00e9", "two\nlines"],
}


def draw_settings(seed: int) -> dict[str, Any]:
    draw = random.Random(seed)
    settings = env(draw.choice(BASES), TASK_QUEUE=QUEUE)
    for name in draw.sample([*OTHERS], draw.randint(0, 3)):
        settings = env(settings, **{name: draw.choice(OTHERS[name])})
    return settings


@pytest.mark.slow
@pytest.mark.timeout(DRAWS * 20)
def test_check_and_ping_agree(
    kit: Kit, dev_server: DevServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for namespace in ("default", NAMESPACE):
        kit.work(**env(ADDRESS=dev_server.address, NAMESPACE=namespace, TASK_QUEUE=QUEUE))
    monkeypatch.setattr(delivered("temporal_client"), "CONNECT_SECONDS", 2.0)
    verdicts: list[int | None] = []
    for seed in range(DRAWS):
        settings = filled(draw_settings(seed), world)
        check = run_now(CHECK, settings, verbose=False)
        ping = run_now(PING, settings, verbose=False, timeout=3.0)
        told = f"seed {seed}: {settings}\n{check.stdout}\n{ping.stderr}"
        assert "Traceback" not in check.stderr + ping.stderr, told
        nobody_polls = "⚠ workers: no worker polls" in check.stdout
        waits_in_vain = nobody_polls and "no answer in time" in ping.stderr
        assert check.code == ping.code or waits_in_vain, told
        verdicts.append(check.code)
    assert min(map(verdicts.count, (0, 1))) > DRAWS / 10  # the draws are of both kinds
