"""The server that the settings name: the facts that choose a reason, and the lines that fix it."""

import os
import shlex
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from temporalio.service import HttpConnectProxyConfig, TLSConfig

from ..settings import API_KEY, CLOUD_HOST, CLOUD_NAMESPACE, Settings, Value
from .certificates import inspect_certificate, pem_value
from .values import api_key_line, find_host_port, namespace_endpoint

CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")  # of Docker and of Podman


@dataclass(frozen=True)
class ClientCertificate:
    """The user's own certificate."""

    subject: str
    issuer: str
    decoded: bool  # False if it could not be read: then subject and issuer are unknown


@dataclass(frozen=True)
class Target:
    """The server as the user's own settings and machine describe it.

    Nothing here comes from the other side, so all of it may stand in fixes. The properties that end
    in `_line` are fixes, or parts of them.
    """

    settings: Settings
    proxy: HttpConnectProxyConfig | None

    # The address.

    @property
    def address(self) -> Value:
        """The address as it is set."""
        return self.settings.value("TEMPORAL_ADDRESS")

    @property
    def host(self) -> str:
        """The host as an address has it, an IPv6 one in brackets."""
        return find_host_port(self.address.text)[0]

    @property
    def bare_host(self) -> str:
        """The host as sockets and NO_PROXY take it, without brackets."""
        return self.host.strip("[]")

    @property
    def port(self) -> int:
        """The port; without one in the address, the one that the SDK falls back to."""
        port = find_host_port(self.address.text)[1]
        return int(port or (443 if self.uses_tls else 80))

    @property
    def where(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether the address is this machine's own."""
        return self.bare_host in ("localhost", "127.0.0.1", "::1")

    @property
    def in_container(self) -> bool:
        """Whether this runs in a container, where localhost is not the developer's machine."""
        marked = any(os.path.exists(mark) for mark in CONTAINER_MARKS)
        return marked or "KUBERNETES_SERVICE_HOST" in os.environ

    # TLS and credentials.

    @property
    def uses_tls(self) -> bool:
        """Whether the client speaks TLS."""
        return bool(self.settings.tls)

    @property
    def tls(self) -> TLSConfig:
        """How it does; without any details if none are set."""
        tls = self.settings.tls
        return tls if isinstance(tls, TLSConfig) else TLSConfig()

    @property
    def tls_name(self) -> str:
        """The name that the server's certificate must have."""
        return self.tls.domain or self.bare_host

    @property
    def has_ca(self) -> bool:
        """Whether the settings name a CA to trust instead of the system's."""
        return bool(self.tls.server_root_ca_cert)

    @property
    def ca(self) -> Value:
        """Where the CA certificate is set, or would be."""
        return pem_value(self.settings, "SERVER_CA_CERT")

    @property
    def has_certificate(self) -> bool:
        """Whether the client has a certificate to show (mTLS)."""
        return bool(self.tls.client_cert)

    @property
    def certificate(self) -> Value:
        """Where the client certificate is set, or would be."""
        return pem_value(self.settings, "CLIENT_CERT")

    @cached_property
    def own_certificate(self) -> ClientCertificate:
        """The client certificate, decoded."""
        found: dict[str, Any] = {}
        # It may be a server's own, or this system may allow no look at it: then the SDK's words
        # have to do.
        with suppress(OSError, ValueError):
            found = inspect_certificate(self.settings)
        subject, issuer = (common_name(found, whose) for whose in ("subject", "issuer"))
        return ClientCertificate(subject, issuer, decoded=bool(found))

    @property
    def certificate_subject(self) -> str:
        """`, 'who it is for'`, or "" if the client certificate could not be decoded."""
        return f", {self.own_certificate.subject!r}" if self.own_certificate.decoded else ""

    @property
    def has_api_key(self) -> bool:
        """Whether the client sends an API key, by whichever setting."""
        return any(self.settings.text(setting) for setting in API_KEY)

    @property
    def api_key(self) -> Value:
        """Where the API key is set, or would be."""
        setting = next((one for one in API_KEY if self.settings.text(one)), API_KEY[0])
        return self.settings.value(setting)

    @property
    def sends_secrets(self) -> str:
        """What the client sends that nobody on the way must read, in words; "" if nothing."""
        if self.has_api_key:
            return "the API key"
        return "the headers" if any(self.settings.headers.values()) else ""

    @property
    def credential(self) -> str:
        """What the client shows who it is with, in words."""
        return "API key" if self.has_api_key else "client certificate"

    # Temporal Cloud.

    @property
    def has_cloud_name(self) -> bool:
        """Whether the server's certificate must be for a name that only Temporal Cloud has."""
        return bool(CLOUD_HOST.fullmatch(self.tls_name))

    @property
    def of_cloud(self) -> bool:
        """Whether Temporal Cloud is meant, as the address or the form of the namespace tells."""
        namespace = self.settings.text("TEMPORAL_NAMESPACE")
        return self.settings.on_cloud or bool(CLOUD_NAMESPACE.fullmatch(namespace))

    @property
    def namespace(self) -> str:
        """The namespace, quoted for a shell."""
        return shlex.quote(self.settings.text("TEMPORAL_NAMESPACE"))

    @property
    def endpoint_host(self) -> str:
        """The host of the namespace endpoint on Temporal Cloud."""
        return namespace_endpoint(self.settings).removesuffix(":7233")

    # The way there.

    @property
    def proxy_in_words(self) -> str:
        """The proxy as messages name it; empty without one."""
        return f"the proxy {self.proxy.target_host}" if self.proxy else ""

    @property
    def proxy_value(self) -> Value:
        """Where the proxy is set, or would be."""
        return self.settings.value("HTTPS_PROXY")

    @property
    def first_host(self) -> str:
        """What this machine connects to first, and whose name it looks up: the proxy, if any."""
        first = self.proxy.target_host.rpartition(":")[0] if self.proxy else self.host
        return first.strip("[]")

    @property
    def looked_up(self) -> str:
        """The name that this machine looks up, in words."""
        return f"{self.first_host}, of the proxy," if self.proxy else self.first_host

    # Lines of fixes.

    @property
    def address_line(self) -> str:
        """The line that sets another address: the namespace endpoint, if that is another."""
        endpoint = namespace_endpoint(self.settings)
        known = self.of_cloud and self.address.text != endpoint
        return f"{self.address.name}={endpoint if known else '<host:port of a Temporal server>'}"

    @property
    def way_line(self) -> str:
        """The line that sets what this machine connects to first: the proxy, or the server."""
        return f"{self.proxy_value.name}=http://<host>:<port>" if self.proxy else self.address_line

    @property
    def detour_line(self) -> str:
        """The line that changes the way: around the proxy, or through one."""
        if self.proxy:
            spared = self.settings.value("NO_PROXY")
            hosts = ",".join(filter(None, (spared.text, self.bare_host)))
            return f"if this machine needs no proxy to get there, {spared.name}={hosts}"
        return f"if only a proxy leads there, {self.proxy_value.name}=http://<host>:<port>"

    @property
    def api_key_line(self) -> str:
        """The line that sets another API key."""
        return api_key_line(self.settings)


def now() -> str:
    """The time by this machine's clock, as certificates write it."""
    return time.strftime("%b %d %H:%M %Y UTC", time.gmtime())


def common_name(certificate: dict[str, Any], whose: str) -> str:
    """The common name of a certificate's subject or issuer, or else all that it is called."""
    parts = dict(pair for group in certificate.get(whose, ()) for pair in group)
    return str(parts.get("commonName") or ", ".join(parts.values()) or "one without a name")
