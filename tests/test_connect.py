"""All ways to authenticate, by the real scripts, through the stand-in for Cloud."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cases import FRONT, MTLS_FRONT, env, fill, filled
from cloud_front import NAMESPACE, Call, CloudFront
from inside import Script, captured, run_script, start_script
from kit import Kit
from test_diagnosis import CHECK, PING, WORKER, checks
from world import HOST, Listener, World

from workers import worker as worker_module
from workflows import PingWorkflow

REAL = {name: value for name, value in os.environ.items() if name.startswith("TEMPORAL_")}
KEY = env(FRONT, ADDRESS="{AT}")
NO_KEY = env(KEY, API_KEY=None)
MTLS = env(MTLS_FRONT, ADDRESS="{AT}")
NO_PAIR = env(MTLS, TLS_CLIENT_CERT_PATH=None, TLS_CLIENT_KEY_PATH=None)
OLDER = env(NO_PAIR, TLS_CERT_DATA="{w.certificate_pem}", TLS_KEY_DATA="{w.private_pem}")
SECOND = {  # the second document's names, where they are not the official ones
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "TEMPORAL_TLS_CERT",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "TEMPORAL_TLS_KEY",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "TEMPORAL_TLS_CA",
}
PAIR_PATHS = 'client_cert_path = "{w.client.certificate}"\nclient_key_path = "{w.client.key}"'
PAIR_TEXTS = 'client_cert_data = """{w.certificate_pem}"""\nclient_key_data = """{w.private_pem}"""'


def dotenv(settings: dict[str, Any]) -> dict[str, Any]:
    """The same settings as one text for `.env`."""
    return {".env": "".join(f'{name}="{value}"\n' for name, value in settings.items())}


def toml(field: str, tls: str = "") -> dict[str, Any]:
    """A profile, and the setting that names it."""
    text = f'[profile.cloud]\naddress = "{{AT}}"\nnamespace = "{NAMESPACE}"\n{field}\n'
    text += f'[profile.cloud.tls]\nserver_name = "{HOST}"\n'
    text += f'server_ca_cert_path = "{{w.server_ca}}"\n{tls}\n'
    return {"temporal.toml": text, "TEMPORAL_PROFILE": "cloud"}


KEY_WAYS: dict[str, dict[str, Any]] = {
    "official names": KEY,
    "first document's names": env(KEY, ADDRESS=None, ENDPOINT="{AT}"),
    "second document's names": {SECOND.get(name, name): value for name, value in KEY.items()},
    "key in a file": env(NO_KEY, API_KEY_FILE="{w.key_file}"),
    "profile": toml('api_key = "{w.key}"'),
    ".env": dotenv(KEY),
    ".env, first document's names": dotenv(env(KEY, ADDRESS=None, ENDPOINT="{AT}")),
    ".env, key in a file": dotenv(env(NO_KEY, API_KEY_FILE="{w.key_file}")),
    "profile, key in the environment": {**toml(""), **env(API_KEY="{w.key}")},
    "a header of one's own": env(KEY, GRPC_META_X_TEAM="blue"),
}
MTLS_WAYS: dict[str, dict[str, Any]] = {
    "paths, official names": MTLS,
    "text": {re.sub("(TLS)(_.*_DATA)", r"\1_CLIENT\2", name): one for name, one in OLDER.items()},
    "text by the CLI's older names": OLDER,
    "one PEM file": env(NO_PAIR, TLS_CLIENT_CERT_PATH="{w.client.combined}"),
    "one PEM file, first document's names": env(
        NO_PAIR, ADDRESS=None, ENDPOINT="{AT}", CERT_PATH="{w.client.combined}"
    ),
    "second document's names": {SECOND.get(name, name): value for name, value in MTLS.items()},
    "profile": toml("", PAIR_PATHS),
    "profile, text": toml("", PAIR_TEXTS),
    ".env": dotenv(MTLS),
    ".env, one PEM file": dotenv(env(NO_PAIR, CERT_PATH="{w.client.combined}")),
    ".env, text": dotenv(OLDER),
}


@pytest.fixture(autouse=True)
def worker_as_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out what the kit's user may have registered."""

    @asynccontextmanager
    async def no_activities() -> AsyncIterator[list[Callable[..., Any]]]:
        yield []

    monkeypatch.setattr(worker_module, "WORKFLOWS", [PingWorkflow])
    monkeypatch.setattr(worker_module, "activities", no_activities)


async def run_all(settings: dict[str, Any], env_file: Path | None) -> tuple[Script, ...]:
    """Run ping and check beside a worker."""
    worker, running = start_script(WORKER, settings, env_file)
    await worker.wait_for("INFO - Worker running... (Ctrl+C to stop)")
    ping = await run_script(PING, settings, env_file)
    check = await run_script(CHECK, settings, env_file)
    running.cancel()
    await running
    return worker, ping, check


def all_pass(front: CloudFront, world: World, way: dict[str, Any]) -> list[Call]:
    """Run worker, ping and check with one way's settings; give what has reached the server."""
    settings = {n: fill(value, world).replace("{AT}", front.address) for n, value in way.items()}
    settings["TEMPORAL_TASK_QUEUE"] = queue = f"queue-{uuid4()}"
    env_file = world.file(f"{queue}.env", text) if (text := settings.pop(".env", "")) else None
    if text := settings.pop("temporal.toml", ""):
        settings["TEMPORAL_CONFIG_FILE"] = str(world.file(f"{queue}.toml", text))
    with captured():
        worker, ping, check = asyncio.run(run_all(settings, env_file))
    assert (worker.code, ping.code, ping.stdout) == (0, 0, "ok\n"), worker.stderr + ping.stderr
    for script in (worker, ping):
        assert f"INFO - Connected to Temporal Cloud: {NAMESPACE}\n" in script.stderr
    link = f"INFO - https://cloud.temporal.io/namespaces/{NAMESPACE}/workflows/ping-"
    assert link in ping.stderr
    assert check.code == 0, check
    assert not [line for line in checks(check.stdout) if line[0] in "✗⚠–"], check.stdout
    assert f"{queue!r}, the last poll" in checks(check.stdout)[-1]
    methods = {call.method.rpartition("/")[2] for call in front.calls}
    assert {"GetSystemInfo", "DescribeNamespace", "DescribeTaskQueue"} <= methods
    assert {"StartWorkflowExecution", "RespondWorkflowTaskCompleted"} <= methods
    for call in front.calls:
        assert call.tls
        named = "" if call.method.endswith("/GetSystemInfo") else NAMESPACE
        assert (call.namespace or "") == named, call.method
    return front.calls


@pytest.mark.parametrize("way", KEY_WAYS)
def test_an_api_key_reaches_the_server_in_its_header_and_no_other(
    way: str, world: World, cloud: CloudFront, api_key: str
) -> None:
    for call in all_pass(cloud, world, KEY_WAYS[way]):
        assert call.metadata["authorization"] == f"Bearer {api_key}"
        with_key = [name for name, value in call.metadata.items() if api_key in value]
        assert (with_key, call.client_name) == (["authorization"], None)
        assert call.metadata.get("x-team") == KEY_WAYS[way].get("TEMPORAL_GRPC_META_X_TEAM")


@pytest.mark.parametrize("way", MTLS_WAYS)
def test_a_client_certificate_reaches_the_server_and_no_key_does(
    way: str, world: World, mtls_cloud: CloudFront
) -> None:
    for call in all_pass(mtls_cloud, world, MTLS_WAYS[way]):
        assert (call.client_name, call.client_serial) == ("payments-worker", world.client.serial)
        assert "authorization" not in call.metadata


@pytest.mark.parametrize("path", [WORKER, PING, CHECK])
def test_nothing_is_ever_sent_in_plain_text(path: str, world: World) -> None:
    said: list[bytes] = []  # by connection

    def record(peer: socket.socket) -> None:
        said.append(peer.recv(65536))
        # A server that speaks no TLS: where a client might be tempted to go on without.
        peer.sendall(b"\0\0\0\4\0\0\0\0\0")
        while more := peer.recv(65536):
            said[-1] += more

    listener = Listener(record)
    settings = filled(env(FRONT, ADDRESS=listener.address), world)
    with captured():
        done = asyncio.run(run_script(path, settings))
    listener.close()
    assert done.code == 1
    assert "speaks no TLS" in done.stdout + done.stderr
    first, everything = {one[:1] for one in said if one}, b"".join(said)
    assert first == {b"\x16"}  # each connection began with a TLS handshake
    assert world.key.encode() not in everything
    assert NAMESPACE.encode() not in everything.replace(HOST.encode(), b"")  # but as server name


def processes_pass(kit: Kit, settings: dict[str, Any]) -> None:
    settings["TEMPORAL_TASK_QUEUE"] = f"kit-test-{uuid4()}"
    with kit.start(WORKER, **settings) as worker:
        worker.wait_for("Connected to Temporal Cloud: ")
        worker.wait_for("Worker running")
        with kit.start(PING, **settings) as ping, kit.start(CHECK, **settings) as check:
            assert (ping.wait(), ping.stdout) == (0, "ok\n"), ping.stderr
            assert check.wait() == 0, check.stdout


def test_processes_pass_with_a_file_of_settings(kit: Kit, world: World) -> None:
    kit.write_env(fill(dotenv(MTLS_FRONT)[".env"], world))
    processes_pass(kit, {})


@pytest.mark.slow
def test_the_real_cloud(kit: Kit) -> None:
    """`KIT_CLOUD_TEST=1`, and real credentials in the environment, run the ping against Cloud."""
    if os.environ.get("KIT_CLOUD_TEST") != "1":
        pytest.skip("connects to Temporal Cloud: KIT_CLOUD_TEST=1 and TEMPORAL_ settings allow it")
    processes_pass(kit, {**REAL})
