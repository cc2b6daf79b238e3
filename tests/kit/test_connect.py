"""All ways to authenticate, by the real scripts, through the stand-in for Cloud."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from .cases import CLOUD, DATA, FRONT, MTLS_FRONT, env, fill, filled
from .cloud_front import NAMESPACE, Call, CloudFront
from .inside import Script, captured, run_now, run_script, start_script
from .kit import CHECK, PING, WORKER, Kit
from .tcp import Listener, Proxy
from .test_diagnosis import checks
from .test_settings import fixes
from .world import HOST, World

REAL = {name: value for name, value in os.environ.items() if name.startswith("TEMPORAL_")}
KEY = env(FRONT, ADDRESS="{AT}")
NO_KEY = env(KEY, API_KEY=None)
MTLS = env(MTLS_FRONT, ADDRESS="{AT}")
NO_PAIR = env(MTLS, TLS_CLIENT_CERT_PATH=None, TLS_CLIENT_KEY_PATH=None)
ONE_LINE = {"TLS_CERT_DATA": "{w.one_line_certificate}", "TLS_KEY_DATA": "{w.one_line_key}"}
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
    "key in a file": env(NO_KEY, API_KEY_FILE="{w.key_file}"),
    "profile": toml('api_key = "{w.key}"'),
    ".env": dotenv(KEY),
    "a header of one's own": env(KEY, GRPC_META_X_TEAM="blue"),
}
MTLS_WAYS: dict[str, dict[str, Any]] = {
    "paths, official names": MTLS,
    "text": {**NO_PAIR, **DATA},
    "one PEM file, first document's name": env(NO_PAIR, CERT_PATH="{w.client.combined}"),
    "profile": toml("", PAIR_PATHS),
    "profile, text": toml("", PAIR_TEXTS),
    ".env, text": dotenv({**NO_PAIR, **DATA}),
    ".env, text on one line": dotenv(env(NO_PAIR, **ONE_LINE)),
}


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
        named = "" if call.method.endswith("/GetSystemInfo") else NAMESPACE
        assert (call.namespace or "") == named, call.method
    return front.calls


@pytest.mark.parametrize("way", KEY_WAYS)
def test_an_api_key_reaches_the_server_in_its_header_and_no_other(
    way: str, world: World, cloud: CloudFront
) -> None:
    for call in all_pass(cloud, world, KEY_WAYS[way]):
        assert call.metadata["authorization"] == f"Bearer {world.key}"
        with_key = [name for name, value in call.metadata.items() if world.key in value]
        assert (with_key, call.client_name) == (["authorization"], None)
        assert call.metadata.get("x-team") == KEY_WAYS[way].get("TEMPORAL_GRPC_META_X_TEAM")


@pytest.mark.parametrize("way", MTLS_WAYS)
def test_a_client_certificate_reaches_the_server_and_no_key_does(
    way: str, world: World, mtls_cloud: CloudFront
) -> None:
    for call in all_pass(mtls_cloud, world, MTLS_WAYS[way]):
        assert (call.client_name, call.client_serial) == ("payments-worker", world.client.serial)
        assert "authorization" not in call.metadata


def overhear(said: list[bytes]) -> Listener:
    """A server that speaks no TLS, where a client might be tempted to go on without."""

    def record(peer: socket.socket) -> None:
        said.append(peer.recv(65536))
        peer.sendall(b"\0\0\0\4\0\0\0\0\0")
        while more := peer.recv(65536):
            said[-1] += more

    return Listener(record)


@pytest.mark.parametrize("path", [WORKER, PING, CHECK])
def test_nothing_is_ever_sent_in_plain_text(path: str, world: World) -> None:
    said: list[bytes] = []  # by connection
    with overhear(said) as listener:
        done = run_now(path, filled(env(FRONT, ADDRESS=listener.address), world))
    assert done.code == 1
    assert "speaks no TLS" in done.stdout + done.stderr
    first, everything = {one[:1] for one in said if one}, b"".join(said)
    assert first == {b"\x16"}  # each connection began with a TLS handshake
    assert world.key.encode() not in everything
    assert NAMESPACE.encode() not in everything.replace(HOST.encode(), b"")  # but as server name


CORP, OWN = "temporal.corp", "your own server"
PLACES = {
    "Cloud": CLOUD,
    "Cloud, with a CA": env(CLOUD, TLS_SERVER_CA_CERT_PATH="{w.own_ca}"),
    "Cloud by a private name": env(CLOUD, ADDRESS=f"{CORP}:7233", TLS_SERVER_NAME=HOST),
    OWN: env(CLOUD, ADDRESS=f"{CORP}:7233", NAMESPACE="payments"),
}


@pytest.mark.parametrize("lure", ["another name", "another CA", "no TLS"])
@pytest.mark.parametrize("place", PLACES)
def test_no_fix_sends_a_key_to_somebody_in_between(
    place: str, lure: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(world.server_ca))  # whom this machine trusts
    made, heard = world.certificates, list[bytes]()
    names = ["attacker.test"] if lure == "another name" else [HOST, CORP]
    ca = made.untrusted_ca if lure == "another CA" else made.server_ca
    shown = made.server(*names, ca=ca)
    with CloudFront(world.dev.address, certificate=shown) as front, overhear(heard) as plain:
        at = plain.address if lure == "no TLS" else front.address
        with Proxy({f"{host}:7233": at for host in (HOST, CORP)}) as proxy:
            tried = [{**filled(PLACES[place], world), "HTTPS_PROXY": f"http://{proxy.address}"}]
            for settings in tried:
                said = run_now(CHECK, settings).stdout
                for _, changes in fixes(said, each=True):
                    after = {name: one for name, one in {**settings, **changes}.items() if one}
                    # Off Cloud it is the user's to decide who may read the key.
                    decided = place == OWN and changes.get("TEMPORAL_TLS") == "false"
                    if after not in tried and not decided:
                        tried.append(after)
                assert "\n✗ " in said
                assert len(tried) < 20
                if "Cloud" in place and "another" in lure and settings is tried[0]:
                    assert "this is not Temporal Cloud: something between you and it" in said
    assert proxy.asked
    assert front.calls == []
    assert world.key.encode() not in b"".join(heard)


@pytest.mark.slow
def test_the_real_cloud(kit: Kit) -> None:
    """`KIT_CLOUD_TEST=1`, and real credentials in the environment, run the ping against Cloud."""
    if os.environ.get("KIT_CLOUD_TEST") != "1":
        pytest.skip("connects to Temporal Cloud: KIT_CLOUD_TEST=1 and TEMPORAL_ settings allow it")
    settings = {**REAL, "TEMPORAL_TASK_QUEUE": f"kit-test-{uuid4()}"}
    kit.work(**settings).wait_for("Connected to Temporal Cloud: ")
    ping, check = kit.start(PING, **settings), kit.start(CHECK, **settings)
    ping.ping_ok()
    assert check.wait() == 0, check.stdout
