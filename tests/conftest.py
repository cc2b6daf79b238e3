"""Fixtures that every test may ask for. Nothing is started before the first test asks."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cloud_front import Certificates, CloudFront
from kit import API_KEY, DevServer, Kit
from world import World

import temporal_findings
from temporal_runtime import end_runtime, sdk_runtime


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin each fifth with its share of what takes long: .ci/run has five at a time."""
    long = [item for item in items if item.get_closest_marker("timeout")]
    rest = [item for item in items if not item.get_closest_marker("timeout")]
    share = len(rest) // 5 + 1
    fifths = [[*long[n::5], *rest[n * share : (n + 1) * share]] for n in range(5)]
    items[:] = [item for fifth in fifths for item in fifth]


@pytest.fixture(scope="session", autouse=True)
def nothing_is_configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No setting and no TOML file of this machine's is found."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith("TEMPORAL_")]:
            patch.delenv(name)
        for name in ("HOME", "XDG_CONFIG_HOME", "APPDATA", "USERPROFILE"):
            patch.setenv(name, str(tmp_path_factory.getbasetemp() / "home"))
        yield


@pytest.fixture(autouse=True)
def as_a_process_begins() -> Iterator[None]:
    """No secret is remembered, and no level of the log is set."""
    temporal_findings._secrets.clear()
    loggers = [logging.getLogger(name) for name in (None, "kit", "temporalio", "temporalio.core")]
    before = [(one, one.level, list(one.handlers)) for one in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers = handlers


@pytest.fixture(scope="session", autouse=True)
def verbose_runtime() -> Iterator[None]:
    """The SDK's runtime with all of its log in Python's, as `--verbose` has it; then its end."""
    sdk_runtime.cache_clear()
    core = logging.getLogger("temporalio.core")
    core.setLevel(logging.DEBUG)
    sdk_runtime()
    core.setLevel(logging.NOTSET)
    yield
    end_runtime()


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
