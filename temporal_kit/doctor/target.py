"""The server that the settings name: how to speak of it, and a look at it by plain sockets."""

import base64
import os
import re
import shlex
import socket
import time
from collections import defaultdict
from contextlib import suppress
from http.client import HTTPConnection
from typing import Any

from temporalio.client import Client
from temporalio.service import HttpConnectProxyConfig, TLSConfig

from ..findings import Finding, error
from ..redaction import redact
from ..settings import API_KEY, CLOUD_HOST, CLOUD_NAMESPACE, Settings
from .certificates import inspect_certificate, pem_value, trust, trusting
from .reasons import Row
from .values import api_key_line, find_host_port, namespace_endpoint

# An HTTP/2 client's preface and empty SETTINGS; a gRPC server begins with SETTINGS too.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


class Target:
    """The server, its `traits`, and what findings may speak of.

    `words` are the user's own; `claims` are the other side's, and for texts alone.
    """

    client: Client
    ahead = 0.0  # seconds, of this machine's clock

    def __init__(self, settings: Settings, proxy: HttpConnectProxyConfig | None) -> None:
        self.settings, self.proxy = settings, proxy
        told = settings.tls
        tls = told if isinstance(told, TLSConfig) else TLSConfig()
        host, port = find_host_port(settings.text("TEMPORAL_ADDRESS"))
        self.tls, self.host = bool(told), host.strip("[]")
        self.port = int(port or (443 if told else 80))
        self.name = tls.domain or self.host
        namespace = settings.text("TEMPORAL_NAMESPACE")
        marks = map(os.path.exists, ("/.dockerenv", "/run/.containerenv"))
        traits = {
            "key": any(map(settings.text, API_KEY)),
            "cert": tls.client_cert,
            "TLS": told,
            "CA": tls.server_root_ca_cert,
            "cloud-name": CLOUD_HOST.fullmatch(self.name),
            "of-cloud": settings.on_cloud or CLOUD_NAMESPACE.fullmatch(namespace),
            "local": self.host in ("localhost", "127.0.0.1", "::1"),
            "container": "KUBERNETES_SERVICE_HOST" in os.environ or any(marks),
            "7233": self.port == 7233,
            "proxy": self.proxy,
        }
        self.traits = {trait for trait, there in traits.items() if there}
        self.words, self.claims = self._words(), dict[str, str]()

    def _words(self) -> dict[str, Any]:
        settings = self.settings
        key = settings.value(next(filter(settings.text, API_KEY), API_KEY[0]))
        cert, ca = (pem_value(settings, kind) for kind in ("CLIENT_CERT", "SERVER_CA_CERT"))
        address, endpoint = settings.value("TEMPORAL_ADDRESS"), namespace_endpoint(settings)
        proxy, spared = settings.value("HTTPS_PROXY"), settings.value("NO_PROXY")
        other = "of-cloud" in self.traits and address.text != endpoint and endpoint
        words: dict[str, Any] = {
            "host": (host := find_host_port(address.text)[0]),
            "where": f"{host}:{self.port}",
            "looked_up": self.host,
            "name": self.name,
            "namespace": shlex.quote(settings.text("TEMPORAL_NAMESPACE")),
            "endpoint": endpoint.removesuffix(":7233"),
            "server": address,
            "address": f"{address.name}={other or '<host:port of a Temporal server>'}",
            "credential": "API key" if "key" in self.traits else "client certificate",
            "key": key,
            "key_line": api_key_line(settings),
            "cert": cert,
            "ca": ca,
            "now": time.strftime("%b %d %H:%M %Y UTC", time.gmtime()),
            "detour": f"{proxy.name}=http://<host>:<port>, if only a proxy leads there",
        }
        words["way"] = words["address"]
        if self.proxy:
            hosts = ",".join(filter(None, (spared.text, self.host)))
            words["detour"] = f"{spared.name}={hosts}, if this machine needs no proxy to get there"
            words["proxy"] = f"the proxy {self.proxy.target_host}"
            words["looked_up"] = f"{self.proxy.target_host.rpartition(':')[0]}, of the proxy,"
            words["PROXY"], words["way"] = proxy.name, f"{proxy.name}=http://<host>:<port>"
        return words

    def _has(self, traits: str) -> bool:
        return all((one.lstrip("-") in self.traits) == (one[0] != "-") for one in traits.split())

    def explain(self, rows: list[Row], said: str) -> Finding | None:
        """The first row that fits what was said."""
        for pattern, traits, text, fixes in rows:
            found = re.search(pattern, said, re.I)
            if found and self._has(traits):
                words = defaultdict(str, self.words)
                for name, claim in {**self.claims, **found.groupdict("")}.items():
                    words[name] = redact(claim, 200)
                fits = [fix.format_map(self.words) for need, fix in fixes if self._has(need)]
                return error(text.format_map(words).strip(), *fits)
        return None


def look_closer(target: Target, said: str) -> str:
    """What the SDK said, or better words for it; adds to what is known of the target."""
    if not said or "Elapsed(" in said:
        with suppress(OSError):
            _connect(target).close()
            return "silent"
        return "client error\nCaused by: no answer in time" if target.proxy else "TimedOut"
    if re.search("InvalidCertificate|UnrecognisedName", said):
        _note_server_certificate(target)
        if "UnknownIssuer" not in said:
            target.traits.discard("CA")  # which is not what is wrong
    elif "Server connection error" not in said and not target.tls:
        return _first_words(target) or said
    elif "cert" in target.traits:
        _note_own_certificate(target)
    return said


def _connect(target: Target) -> socket.socket:
    if not target.proxy:
        return socket.create_connection((target.host, target.port), 1.0)
    way = HTTPConnection(target.proxy.target_host, timeout=1.0)
    login = base64.b64encode(":".join(target.proxy.basic_auth or ()).encode()).decode()
    headers = {"Proxy-Authorization": f"Basic {login}"} if login else {}
    way.set_tunnel(target.host, target.port, headers)
    way.connect()
    return way.sock


def _first_words(target: Target) -> str:
    """What the server says to gRPC in plain text; empty if it speaks gRPC itself."""
    answer = b""
    with suppress(OSError), _connect(target) as plain:
        plain.sendall(HELLO)
        answer = plain.recv(64)
    if answer[3:4] == b"\4":
        return ""
    with suppress(OSError), trusting().wrap_socket(_connect(target)):
        return "says \x15\x03"  # a TLS alert
    return f"says {answer.decode('latin-1')}"


def _note_server_certificate(target: Target) -> None:
    """Fetch a certificate that is not trusted, then trust it to have it decoded."""
    context, decoded = trusting(), dict[str, Any]()
    with suppress(OSError, ValueError):
        for _ in range(2):
            with context.wrap_socket(_connect(target), server_hostname=target.name) as secure:
                decoded = dict(secure.getpeercert() or {})
                trust(context, secure.getpeercert(binary_form=True) or b"")
    names = [str(name) for _, name in decoded.get("subjectAltName", ())]
    target.claims["names"] = ", ".join(names[:4]) or ("no name" if decoded else "another name")
    target.claims["issuer"] = _common_name(decoded, "issuer")
    target.claims["dates"] = f"from {decoded.get('notBefore')} until {decoded.get('notAfter')}"


def _note_own_certificate(target: Target) -> None:
    certificate: dict[str, Any] = {}
    with suppress(OSError):  # a server's own, or not to be looked at here
        certificate = inspect_certificate(target.settings)
    target.traits.add("fit" if certificate else "")
    target.words["subject"] = _common_name(certificate, "subject")
    target.words["own_issuer"] = _common_name(certificate, "issuer")


def _common_name(certificate: dict[str, Any], whose: str) -> str:
    parts = dict(pair for group in certificate.get(whose, ()) for pair in group)
    return str(parts.get("commonName") or ", ".join(parts.values()) or "one without a name")
