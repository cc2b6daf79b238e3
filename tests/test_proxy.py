"""Through a proxy that alone knows the server's name: it works, and what refuses is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import NO_PATHS, PAIR, env, filled
from cloud_front import CloudFront
from kit import CHECK, PING, Kit, free_port
from tcp import Listener, Proxy
from test_diagnosis import checks
from world import HOST, World, answer, hang_up, stay_silent

LOGIN, WRITTEN = "ada:p@ss/w0rd:é", "ada:p%40ss%2Fw0rd:%C3%A9"
KEY = env(NO_PATHS, API_KEY="{w.key}", TLS_SERVER_CA_CERT_PATH="{w.server_ca}")
PAIRED = {**env(NO_PATHS, TLS_SERVER_CA_CERT_PATH="{w.server_ca}"), **PAIR}


def through(proxy: str, settings: dict[str, Any], world: World, user: str = "") -> dict[str, Any]:
    """Settings whose server only this proxy can reach, by Cloud's own name."""
    return {**filled(settings, world), "https_proxy": f"http://{user}{proxy}", "NO_PROXY": ".test"}


def no_password(*outputs: str) -> None:
    for part in (LOGIN, WRITTEN, "p@ss", "p%40ss", "w0rd"):
        assert part not in "".join(outputs)


@pytest.mark.parametrize("login", [LOGIN, pytest.param("", marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", ["API key", pytest.param("mTLS", marks=pytest.mark.slow)])
def test_worker_ping_and_check_go_through(
    way: str, login: str, kit: Kit, world: World, request: pytest.FixtureRequest
) -> None:
    front: CloudFront = request.getfixturevalue("cloud" if way == "API key" else "mtls_cloud")
    with Proxy({f"{HOST}:7233": front.address}, login) as proxy:
        user = f"{WRITTEN}@" if login else ""
        settings = through(proxy.address, KEY if way == "API key" else PAIRED, world, user)
        worker = kit.work(**settings)
        worker.wait_for(f"Through the proxy {proxy.address} (HTTPS_PROXY)")
        ping, check = kit.start(PING, **settings), kit.start(CHECK, **settings)
        ping.ping_ok()
        assert check.wait() == 0, check.stdout
    assert f"Through the proxy {proxy.address} (HTTPS_PROXY)" in ping.stderr
    assert "HTTPS_PROXY = " in check.stdout
    lines = checks(check.stdout)
    assert {line[0] for line in lines} == {"✓"}, lines
    assert f"✓ name resolution: left to the proxy {proxy.address}" in lines
    assert f"✓ TCP: connected to {HOST}:7233, through the proxy {proxy.address}" in lines
    assert set(proxy.asked) == {f"{HOST}:7233"}
    no_password(worker.stderr, ping.stderr, check.stdout, check.stderr)
    assert "DNS load balancing" not in worker.stderr + ping.stderr


@pytest.mark.slow
def test_a_key_is_rotated_through_it(
    kit: Kit, world: World, cloud: CloudFront, tmp_path: Path
) -> None:
    cloud.accept("the-next-key-of-this-worker")
    file = tmp_path / "key"
    file.write_text(world.key)
    with Proxy({f"{HOST}:7233": cloud.address}, LOGIN) as proxy:
        settings = env(through(proxy.address, KEY, world, f"{WRITTEN}@"), API_KEY=None)
        settings["TEMPORAL_API_KEY_FILE"] = str(file)
        worker = kit.work(**settings)
        file.write_text("the-next-key-of-this-worker")
        worker.wait_for("Credentials changed: the new ones are in use")
        cloud.revoke(world.key)
        ping = kit.run(PING, **settings)
    assert (ping.returncode, ping.stdout) == (0, "ok\n"), ping.stderr + worker.stderr
    no_password(worker.stderr, ping.stderr)


REFUSED = {  # what the proxy does, the step that fails, its text, its first fix
    "403 Forbidden": ("TCP", "refuses to connect to {host}:7233: 403 Forbidden", "allow CONN"),
    "407": ("TCP", "https_proxy has no user and password that", "https_proxy=<its URL with user"),
    "502 Bad Gateway": ("TCP", "does not reach {host}:7233: 502 Bad Gateway", "ADDRESS="),
    "gone": ("TCP", "no way through the proxy {at}: Connection refused", "https_proxy=http://<"),
    "unknown": ("name resolution", "name proxy.invalid, of the proxy, is unk", "https_proxy=http"),
    "silent": ("TCP", "no way through the proxy {at}: no answer in time", "https_proxy=http://<"),
    "SOCKS": ("TCP", "no way through the proxy {at}: invalid HTTP", "https_proxy=http://<"),
    "closing": ("TCP", "no way through the proxy {at}: connection closed", "https_proxy=http://<"),
}


@pytest.fixture
def proxies() -> Iterator[dict[str, str]]:
    """By what they do, addresses of proxies."""
    told = {"silent": stay_silent, "SOCKS": answer(b"\5\0"), "closing": hang_up}
    listeners = {name: Listener(treat) for name, treat in told.items()}
    listeners["403 Forbidden"] = Proxy({}, refuse="403 Forbidden")
    listeners |= {"407": Proxy({}, LOGIN), "502 Bad Gateway": Proxy({})}
    addresses = {name: listener.address for name, listener in listeners.items()}
    yield {**addresses, "unknown": "proxy.invalid:3128", "gone": f"127.0.0.1:{free_port()}"}
    for listener in listeners.values():
        listener.close()
        assert not isinstance(listener, Proxy) or listener.asked == []


@pytest.mark.slow
def test_what_a_proxy_refuses_is_named_with_its_fixes(
    kit: Kit, world: World, proxies: dict[str, str]
) -> None:
    settings = {name: through(at, KEY, world, "ada:n0pe@") for name, at in proxies.items()}
    for name, check in [(name, kit.start(CHECK, **one)) for name, one in settings.items()]:
        assert check.wait() == 1, check.stdout
        step, text, fix = REFUSED[name]
        lines = checks(check.stdout)
        [at] = [number for number, line in enumerate(lines) if line.startswith("✗")]
        assert lines[at].startswith(f"✗ {step}: "), lines
        assert text.format(host=HOST, at=proxies[name]) in lines[at]
        assert fix in lines[at + 1]
        assert f"→ or NO_PROXY=.test,{HOST}, if this machine needs no proxy" in lines[at + 2]
        assert "n0pe" not in check.stdout + check.stderr
