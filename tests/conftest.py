"""Fixtures that every test may ask for. Nothing is started before the first test asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_front import NAMESPACE, Certificates, CloudFront
from kit import DevServer, Kit, create_namespace
from world import World

# Long and unlike anything else, so that a part of it on any output is a leak and no coincidence.
API_KEY = "kQ7vXw2ZrT9mB4nLpY6sHd8fJc3gAe5u.UjWq1oKx0iNzRbVtMyCsPhDlFg"


@pytest.fixture(scope="session")
def dev_server() -> Iterator[DevServer]:
    """A real development server, shared by the tests of a run: leave it as it was."""
    with DevServer() as server:
        yield server


@pytest.fixture(scope="session")
def cloud_namespace(dev_server: DevServer) -> str:
    """A namespace in Cloud's form, known to the development server."""
    create_namespace(dev_server.address, NAMESPACE)
    return NAMESPACE


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Authorities, and certificates of every kind on demand."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def world(
    dev_server: DevServer,
    cloud_namespace: str,
    certificates: Certificates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """The files and servers that the configurations in `cases.py` speak of."""
    folder = tmp_path_factory.mktemp("world")
    made = World(folder, dev_server, certificates, API_KEY, cloud_namespace)
    with made.closing:
        yield made


@pytest.fixture
def api_key() -> str:
    """The API key that ``cloud`` accepts."""
    return API_KEY


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """A fresh private copy of the kit."""
    return Kit(tmp_path / "kit")


@pytest.fixture
def cloud(
    dev_server: DevServer, certificates: Certificates, cloud_namespace: str, api_key: str
) -> Iterator[CloudFront]:
    """Cloud's front door for API keys."""
    with CloudFront(
        dev_server.address,
        certificate=certificates.server(),
        keys=[api_key],
        namespaces=[cloud_namespace],
    ) as front:
        yield front


@pytest.fixture
def mtls_cloud(
    dev_server: DevServer, certificates: Certificates, cloud_namespace: str
) -> Iterator[CloudFront]:
    """Cloud's front door for client certificates; it accepts no API key."""
    with CloudFront(
        dev_server.address,
        certificate=certificates.server(),
        client_ca=certificates.client_ca,
        keys=[],
        namespaces=[cloud_namespace],
    ) as front:
        yield front
