"""Through a proxy that alone knows the server's name: it works, and what refuses is named."""

from __future__ import annotations

from typing import Any

import pytest

from .cases import NO_PATHS, PAIR, env, filled
from .cloud_front import CloudFront
from .kit import CHECK, PING, Kit
from .tcp import Proxy
from .test_diagnosis import checks
from .world import HOST, World, answer

LOGIN, WRITTEN = "ada:p@ss/w0rd:é", "ada:p%40ss%2Fw0rd:%C3%A9"
TRUSTING = env(NO_PATHS, TLS_SERVER_CA_CERT_PATH="{w.server_ca}")
WAYS = {"API key": env(TRUSTING, API_KEY_FILE="{w.folder}/first-key"), "mTLS": TRUSTING | PAIR}


def through(proxy: str, settings: dict[str, Any], world: World, user: str) -> dict[str, Any]:
    """Settings whose server only this proxy can reach, by Cloud's own name."""
    return {**filled(settings, world), "https_proxy": f"http://{user}{proxy}", "NO_PROXY": ".test"}


@pytest.mark.parametrize("way", [pytest.param("API key", marks=pytest.mark.slow), "mTLS"])
def test_worker_ping_and_check_go_through(
    way: str, kit: Kit, world: World, request: pytest.FixtureRequest
) -> None:
    front: CloudFront = request.getfixturevalue("cloud" if way == "API key" else "mtls_cloud")
    file = world.file("first-key", world.key)
    with Proxy({f"{HOST}:7233": front.address}, LOGIN) as proxy:
        settings = through(proxy.address, WAYS[way], world, f"{WRITTEN}@")
        worker = kit.work(**settings)
        worker.wait_for(f", through the proxy {proxy.address} (HTTPS_PROXY)")
        ping, check = kit.start(PING, **settings), kit.start(CHECK, **settings)
        ping.ping_ok()
        assert check.wait() == 0, check.stdout
        if way == "API key":  # which is rotated through it
            front.accept("the-next-key-of-this-worker")
            file.write_text("the-next-key-of-this-worker")
            worker.wait_for("Credentials changed: the new ones are in use")
            front.revoke(world.key)
            kit.start(PING, **settings).ping_ok()
    assert f", through the proxy {proxy.address} (HTTPS_PROXY)" in ping.stderr
    assert "HTTPS_PROXY = " in check.stdout
    lines = checks(check.stdout)
    assert {line[0] for line in lines} == {"✓"}, lines
    assert f"✓ name resolution: left to the proxy {proxy.address}" in lines
    assert f"✓ TCP: connected to {HOST}:7233, through the proxy {proxy.address}" in lines
    assert set(proxy.asked) == {f"{HOST}:7233"}
    said = "".join(one.stdout + one.stderr for one in kit.started)
    for part in (LOGIN, WRITTEN, "p@ss", "p%40ss", "w0rd"):
        assert part not in said
    assert "DNS load balancing" not in said


REFUSED = {  # what the proxy does, the step that fails, its text, its first fix
    "403 Forbidden": ("TCP", "refuses to connect to {host}:7233: 403 Forbidden", "allow CONN"),
    "407": ("TCP", "https_proxy has no user and password that", "https_proxy=<its URL with user"),
    "502 Bad Gateway": ("TCP", "does not reach {host}:7233: 502 Bad Gateway", "ADDRESS="),
    "gone": ("TCP", "no way through the proxy {at}: nothing listens", "https_proxy=http://<"),
    "unknown": ("name resolution", "name proxy.invalid, of the proxy, is unk", "https_proxy=http"),
    "silent": ("TCP", "no way through the proxy {at}: no answer in time", "https_proxy=http://<"),
    "SOCKS": ("TCP", "no way through the proxy {at}: it does not answer", "https_proxy=http://<"),
    "closing": ("TCP", "no way through the proxy {at}: it does not answer", "https_proxy=http://<"),
}


@pytest.mark.slow
def test_what_a_proxy_refuses_is_named_with_its_fixes(kit: Kit, world: World) -> None:
    refusing = {"403 Forbidden": Proxy({}, refuse="403 Forbidden"), "407": Proxy({}, LOGIN)}
    refusing["502 Bad Gateway"] = Proxy({})
    proxies = {name: world.closing.enter_context(one).address for name, one in refusing.items()}
    proxies |= {"silent": world.silent, "closing": world.closing_server, "gone": world.nothing}
    proxies |= {"SOCKS": world.listen(answer(b"\5\0")), "unknown": "proxy.invalid:3128"}
    given = env(TRUSTING, API_KEY="{w.key}")
    settings = {name: through(at, given, world, "ada:n0pe@") for name, at in proxies.items()}
    for name, check in [(name, kit.start(CHECK, **one)) for name, one in settings.items()]:
        assert check.wait() == 1, check.stdout
        step, text, fix = REFUSED[name]
        lines = checks(check.stdout)
        [at] = [number for number, line in enumerate(lines) if line.startswith("✗")]
        assert lines[at].startswith(f"✗ {step}: "), lines
        assert text.format(host=HOST, at=proxies[name]) in lines[at]
        assert fix in lines[at + 1]
        detour = f"→ or, if this machine needs no proxy to get there, NO_PROXY=.test,{HOST}"
        assert detour in lines[at + 2]
        assert "n0pe" not in check.stdout + check.stderr
    assert [proxy.asked for proxy in refusing.values()] == [[], [], []]
