"""Hooks and fixtures of the kit's own tests: they touch no others, in whatever order all run."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from temporal_kit import redaction, runtime

from .cases import env
from .cloud_front import Certificates, CloudFront
from .guides import CLOUD_HOST, Reader
from .kit import API_KEY, DevServer, Kit, RunningScript, developers_own, write
from .world import World

HERE = Path(__file__).parent
SECONDS = 120  # for a test without a limit of its own


def pytest_configure(config: pytest.Config) -> None:
    about = "slow: faults, soak, rollouts and images; run them with `-m slow`"
    config.addinivalue_line("markers", about)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have the kit's tests run in another order each time, the slow ones only if asked for."""
    mine = [item for item in items if HERE in item.path.parents]
    others = [item for item in items if HERE not in item.path.parents]
    if "slow" not in config.option.markexpr:
        slow = [item for item in mine if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        mine = [item for item in mine if item not in slow]
    # The workers of one run have to find one order.
    run = getattr(config, "workerinput", {}).get("testrunuid", time.time())
    random.Random(os.environ.get("KIT_TEST_ORDER", run)).shuffle(mine)
    for item in mine:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SECONDS))
    items[:] = [*others, *_begin_with_the_longest(mine)]


def _begin_with_the_longest(items: list[pytest.Item]) -> list[pytest.Item]:
    """Begin each fifth with its share of what takes long: .ci/run has five at a time."""
    long = [item for item in items if item.get_closest_marker("timeout").args != (SECONDS,)]  # type: ignore[union-attr]
    rest = [item for item in items if item not in long]
    share = len(rest) // 5 + 1
    fifths = [[*long[n::5], *rest[n * share : (n + 1) * share]] for n in range(5)]
    return [item for fifth in fifths for item in fifth]


@pytest.fixture(autouse=True)
def as_a_process_begins(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Nothing of the developer's is configured, no secret is known, and no log's level is set."""
    for name in developers_own():
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "APPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path_factory.getbasetemp() / "home"))
    elsewhere = tmp_path_factory.getbasetemp() / "elsewhere"  # where there is no `.env`
    elsewhere.mkdir(exist_ok=True)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(redaction, "_secrets", set())
    names = (None, "temporal_kit", "temporalio", "temporalio.core")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers = handlers


@pytest.fixture(scope="session")
def verbose_runtime() -> Iterator[Any]:
    """A runtime with all of the SDK's log in Python's, as `--verbose` has it; then its end."""
    core = logging.getLogger("temporalio.core")
    core.setLevel(logging.DEBUG)
    make = runtime._make_runtime.__wrapped__
    made = [make("")]
    core.setLevel(logging.NOTSET)
    yield lambda address: make(address) if address else made[0]
    made.clear()


@pytest.fixture(autouse=True)
def verbose(verbose_runtime: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs in this process has that runtime."""
    monkeypatch.setattr(runtime, "_make_runtime", verbose_runtime)


@pytest.fixture(scope="session")
def dev_server() -> Iterator[DevServer]:
    with DevServer() as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Authorities, and certificates of every kind on demand."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def world(
    dev_server: DevServer, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """The files and servers that the configurations in `cases.py` speak of."""
    made = World(tmp_path_factory.mktemp("world"), dev_server, certificates, API_KEY)
    with made.closing:
        yield made


@pytest.fixture
def here(dev_server: DevServer) -> dict[str, Any]:
    """Settings for the development server, with a task queue that no other test polls."""
    return {"TEMPORAL_ADDRESS": dev_server.address, "TEMPORAL_TASK_QUEUE": f"queue-{uuid4()}"}


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """A copy of the kit; what it has started ends with the test."""
    made = Kit(tmp_path / "kit")
    yield made
    for script in reversed(made.started):
        script.close()


@pytest.fixture
def cloud(dev_server: DevServer, certificates: Certificates) -> Iterator[CloudFront]:
    """Cloud's front door for API keys."""
    certificate = certificates.server()
    with CloudFront(dev_server.address, certificate=certificate, keys=[API_KEY]) as front:
        yield front


@pytest.fixture
def mtls_cloud(dev_server: DevServer, certificates: Certificates) -> Iterator[CloudFront]:
    """Cloud's front door for client certificates; it accepts no API key."""
    certificate, ca = certificates.server(), certificates.client_ca
    with CloudFront(dev_server.address, certificate=certificate, client_ca=ca, keys=[]) as front:
        yield front


@pytest.fixture
def client(kit: Kit, here: dict[str, Any], certificates: Certificates) -> Reader:
    """Someone who trusts the stand-in for Temporal Cloud, with the files that the guides name."""
    ca = certificates.server_ca_file
    own = env(here, ADDRESS=None, TLS_SERVER_NAME=CLOUD_HOST, TLS_SERVER_CA_CERT_PATH=ca)
    reader = Reader(kit, {"API_KEY": API_KEY, **own})
    pair = certificates.client("ping-worker")
    write(kit.root / "secrets" / "api-key", API_KEY)
    write(kit.root / "certs" / "server-ca.pem", ca.read_bytes())
    write(kit.root / "certs" / "client.key", pair.key.read_bytes())
    write(kit.root / "certs" / "client.pem", pair.certificate.read_bytes())
    return reader


@pytest.fixture
def reader(kit: Kit, here: dict[str, Any]) -> Reader:
    """Someone whose settings lead to the development server."""
    return Reader(kit, here)


@pytest.fixture
def alone(kit: Kit) -> Iterator[Reader]:
    """Someone in a network of their own, loopback and nothing else: the usual ports are free."""
    own = "ip link set lo up; echo up; exec sleep 600"
    command = ["sh", "-c", 'exec unshare --map-root-user --net sh -ec "$0"', own]
    with RunningScript(command, dict(os.environ)) as holder:
        try:
            holder.wait_for("up")
        except AssertionError as error:
            pytest.skip(f"no network of its own: {error}")
        there = f"--target={holder.process.pid}", f"--wd={kit.root}"
        yield Reader(kit, {}, "nsenter", "--preserve-credentials", "--user", "--net", *there, "--")
