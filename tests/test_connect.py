"""All ways to authenticate, by the real scripts, through the stand-in for Cloud."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any
from uuid import uuid4

import pytest
from cases import FRONT, MTLS_FRONT, env, fill, filled
from cloud_front import NAMESPACE, Call, CloudFront
from kit import Kit
from world import HOST, Listener, World

PING, WORKER = "scripts/start_ping.py", "workers/worker.py"
CHECK = "scripts/check_temporal_config.py"

KEY = env(FRONT, ADDRESS="{at}")
NO_KEY = env(KEY, API_KEY=None)
MTLS = env(MTLS_FRONT, ADDRESS="{at}")
NO_PAIR = env(MTLS, TLS_CLIENT_CERT_PATH=None, TLS_CLIENT_KEY_PATH=None)
SECOND = {  # the second document's names, where they are not the official ones
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "TEMPORAL_TLS_CERT",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "TEMPORAL_TLS_KEY",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "TEMPORAL_TLS_CA",
}
PROFILE = f"""
[profile.cloud]
address = "{{at}}"
namespace = "{NAMESPACE}"
%s
[profile.cloud.tls]
server_name = "{HOST}"
server_ca_cert_path = "{{w.server_ca}}"
%s
"""


def dotenv(settings: dict[str, Any]) -> dict[str, Any]:
    """The same settings as one text for `.env`."""
    return {".env": "".join(f'{name}="{value}"\n' for name, value in settings.items())}


def toml(api_key: str, tls: str = "") -> dict[str, Any]:
    """A profile, and the two settings that name it."""
    return {"temporal.toml": PROFILE % (api_key, tls), "TEMPORAL_PROFILE": "cloud"}


KEY_WAYS: dict[str, dict[str, Any]] = {
    "official names": KEY,
    "first document's names": env(KEY, ADDRESS=None, ENDPOINT="{at}"),
    "second document's names": {SECOND.get(name, name): value for name, value in KEY.items()},
    "key in a file": env(NO_KEY, API_KEY_FILE="{w.key_file}"),
    "profile": toml('api_key = "{w.key}"'),
    ".env": dotenv(KEY),
    ".env, first document's names": dotenv(env(KEY, ADDRESS=None, ENDPOINT="{at}")),
    ".env, key in a file": dotenv(env(NO_KEY, API_KEY_FILE="{w.key_file}")),
    "profile, key in the environment": {**toml(""), **env(API_KEY="{w.key}")},
}
MTLS_WAYS: dict[str, dict[str, Any]] = {
    "paths, official names": MTLS,
    "text": env(
        NO_PAIR, TLS_CLIENT_CERT_DATA="{w.certificate_pem}", TLS_CLIENT_KEY_DATA="{w.private_pem}"
    ),
    "text by the CLI's older names": env(
        NO_PAIR, TLS_CERT_DATA="{w.certificate_pem}", TLS_KEY_DATA="{w.private_pem}"
    ),
    "one PEM file": env(NO_PAIR, TLS_CLIENT_CERT_PATH="{w.client.combined}"),
    "one PEM file, first document's names": env(
        NO_PAIR, ADDRESS=None, ENDPOINT="{at}", CERT_PATH="{w.client.combined}"
    ),
    "second document's names": {SECOND.get(name, name): value for name, value in MTLS.items()},
    "profile": toml(
        "",
        'client_cert_path = "{w.client.certificate}"\nclient_key_path = "{w.client.key}"',
    ),
    "profile, text": toml(
        "",
        'client_cert_data = """{w.certificate_pem}"""\nclient_key_data = """{w.private_pem}"""',
    ),
    ".env": dotenv(MTLS),
    ".env, one PEM file": dotenv(env(NO_PAIR, CERT_PATH="{w.client.combined}")),
    ".env, text": dotenv(
        env(NO_PAIR, TLS_CERT_DATA="{w.certificate_pem}", TLS_KEY_DATA="{w.private_pem}")
    ),
}


def prepared(kit: Kit, world: World, way: dict[str, Any], address: str) -> dict[str, Any]:
    """The environment of a way, with its files written."""
    settings = {name: fill(value, world).replace("{at}", address) for name, value in way.items()}
    if text := settings.pop(".env", ""):
        kit.write_env(text)
    if text := settings.pop("temporal.toml", ""):
        file = world.folder / f"{uuid4()}.toml"
        file.write_text(text)
        settings["TEMPORAL_CONFIG_FILE"] = str(file)
    return settings


def all_scripts_pass(kit: Kit, front: CloudFront, settings: dict[str, Any]) -> list[Call]:
    """Run worker, ping and check; give what has reached the server."""
    settings["TEMPORAL_TASK_QUEUE"] = queue = f"queue-{uuid4()}"
    with kit.start(WORKER, **settings) as worker:
        worker.wait_for(f"INFO - Connected to Temporal Cloud: {NAMESPACE}")
        worker.wait_for("INFO - Worker running... (Ctrl+C to stop)")
        ping = kit.run(PING, **settings)
        check = kit.run(CHECK, **settings)
        worker.process.terminate()
        assert worker.wait() == 0, worker.stderr
    assert (ping.returncode, ping.stdout) == (0, "ok\n"), ping.stderr
    assert f"INFO - Connected to Temporal Cloud: {NAMESPACE}\n" in ping.stderr
    link = f"INFO - https://cloud.temporal.io/namespaces/{NAMESPACE}/workflows/ping-"
    assert link in ping.stderr
    assert check.returncode == 0, check
    checks = check.stdout.partition("Checks:\n")[2].partition("\n\n")[0].splitlines()
    assert not [line for line in checks if line[0] in "✗⚠–"], check.stdout
    assert f"'{queue}', the last poll" in checks[-1]
    methods = {call.method.rpartition("/")[2] for call in front.calls}
    assert {
        "GetSystemInfo",
        "DescribeNamespace",
        "DescribeTaskQueue",
        "StartWorkflowExecution",
        "PollWorkflowTaskQueue",
        "RespondWorkflowTaskCompleted",
    } <= methods
    for call in front.calls:
        assert call.tls
        named = "" if call.method.endswith("/GetSystemInfo") else NAMESPACE
        assert (call.namespace or "") == named, call.method
    return front.calls


@pytest.mark.parametrize("way", KEY_WAYS)
def test_an_api_key_reaches_the_server_in_its_header_and_no_other(
    way: str, kit: Kit, world: World, cloud: CloudFront, api_key: str
) -> None:
    settings = prepared(kit, world, KEY_WAYS[way], cloud.address)
    for call in all_scripts_pass(kit, cloud, settings):
        assert call.metadata["authorization"] == f"Bearer {api_key}"
        assert [name for name, value in call.metadata.items() if api_key in value] == [
            "authorization"
        ]
        assert call.client_name is None


@pytest.mark.parametrize("way", MTLS_WAYS)
def test_a_client_certificate_reaches_the_server_and_no_key_does(
    way: str, kit: Kit, world: World, mtls_cloud: CloudFront
) -> None:
    settings = prepared(kit, world, MTLS_WAYS[way], mtls_cloud.address)
    for call in all_scripts_pass(kit, mtls_cloud, settings):
        assert call.client_name == "payments-worker"
        assert call.client_serial == world.client.serial
        assert "authorization" not in call.metadata


def test_a_header_of_ones_own_goes_with_every_call(
    kit: Kit, world: World, cloud: CloudFront
) -> None:
    settings = prepared(kit, world, env(KEY, GRPC_META_X_TEAM="payments"), cloud.address)
    for call in all_scripts_pass(kit, cloud, settings):
        assert call.metadata["x-team"] == "payments"


@pytest.mark.parametrize("script", [WORKER, PING, CHECK])
def test_nothing_is_ever_sent_in_plain_text(script: str, kit: Kit, world: World) -> None:
    first, everything, lock = [], bytearray(), threading.Lock()

    def record(peer: socket.socket) -> None:
        said = peer.recv(65536)
        while said:
            with lock:
                first.append(said[:1])
                everything.extend(said)
            said = b""
            # A server that speaks no TLS: where a client might be tempted to go on without.
            peer.sendall(b"\0\0\0\4\0\0\0\0\0")

    listener = Listener(record)
    try:
        done = kit.run(script, **filled(env(FRONT, ADDRESS=listener.address), world))
    finally:
        listener.close()
    assert done.returncode == 1
    assert "speaks no TLS" in done.stdout + done.stderr
    assert first
    assert set(first) == {b"\x16"}  # each connection began with a TLS handshake
    assert world.key.encode() not in everything
    assert NAMESPACE.encode() not in everything.replace(HOST.encode(), b"")  # but as server name


def test_the_real_cloud(kit: Kit) -> None:
    """`KIT_CLOUD_TEST=1`, and real credentials in the environment, run the ping against Cloud."""
    if os.environ.get("KIT_CLOUD_TEST") != "1":
        pytest.skip("connects to Temporal Cloud: KIT_CLOUD_TEST=1 and TEMPORAL_ settings allow it")
    settings: dict[str, Any] = {k: v for k, v in os.environ.items() if k.startswith("TEMPORAL_")}
    settings["TEMPORAL_TASK_QUEUE"] = f"kit-test-{uuid4()}"
    with kit.start(WORKER, **settings) as worker:
        worker.wait_for("Connected to Temporal Cloud: ")
        worker.wait_for("Worker running")
        ping = kit.run(PING, **settings)
        assert (ping.returncode, ping.stdout) == (0, "ok\n"), ping.stderr
        check = kit.run(CHECK, **settings)
        assert check.returncode == 0, check.stdout
