"""The server that the settings name, and how to speak of it."""

import os
import re
import shlex
import time

from temporalio.client import Client
from temporalio.service import TLSConfig

from temporal_client import API_KEY, CLOUD_HOST, CLOUD_NAMESPACE, on_cloud
from temporal_doctor.certificates import pem_value
from temporal_doctor.reasons import Row
from temporal_doctor.values import api_key_line, find_host_port, namespace_endpoint, unset
from temporal_findings import Finding, error, redact
from temporal_settings import Settings


class Target:
    """The server, what is known of it (`traits`), and what its findings may speak of.

    `words` are the user's own values; `claims` are the other side's, and for texts alone.
    """

    client: Client

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        told = settings.profile.to_client_connect_config().get("tls")
        tls = told if isinstance(told, TLSConfig) else TLSConfig()
        host, port = find_host_port(settings["TEMPORAL_ADDRESS"])
        self.tls, self.host = bool(told), host.strip("[]")
        self.port = int(port or (443 if told else 80))
        self.name = tls.domain or self.host
        key, cloud = any(map(settings.__getitem__, API_KEY)), on_cloud(settings)
        of_cloud = cloud or bool(CLOUD_NAMESPACE.fullmatch(settings["TEMPORAL_NAMESPACE"]))
        local = self.host in ("localhost", "127.0.0.1", "::1")
        traits = {
            "key": key,
            "cert": tls.client_cert,
            "no cert": self.tls and not tls.client_cert,
            "no credential": not key and not tls.client_cert,
            "own CA": tls.server_root_ca_cert,
            "server name": tls.domain,
            "cloud": cloud,
            "cloud name": CLOUD_HOST.fullmatch(self.name),
            "of cloud": of_cloud,
            "own": not of_cloud,
            "local": local and not of_cloud,
            "other port": not of_cloud and self.port != 7233,
            "proxy": not local and any(map(os.environ.get, ("HTTPS_PROXY", "https_proxy"))),
        }
        self.traits = {"", *(trait for trait, there in traits.items() if there)}
        self.words, self.claims = self._words(), {"listed": ""}

    def _words(self) -> dict[str, str]:
        settings, namespace = self.settings, self.settings["TEMPORAL_NAMESPACE"]
        key = settings.value(next(filter(settings.__getitem__, API_KEY), API_KEY[0]))
        cert, ca = (pem_value(settings, kind) for kind in ("CLIENT_CERT", "SERVER_CA_CERT"))
        address, endpoint = settings.value("TEMPORAL_ADDRESS"), namespace_endpoint(settings)
        other = "of cloud" in self.traits and address.text != endpoint and endpoint
        return {
            "host": self.host,
            "where": f"{self.host}, port {self.port}",
            "name": self.name,
            "namespace": namespace,
            "quoted_namespace": shlex.quote(namespace),
            "endpoint": endpoint.removesuffix(":7233"),
            "address": f"{address.name}={other or '<host:port of a Temporal server>'}",
            "address_7233": f"{address.name}={find_host_port(address.text)[0]}:7233",
            "credential": "API key" if "key" in self.traits else "client certificate",
            "key": f"{key.name} ({key.source})",
            "key_line": api_key_line(settings, "the whole API key, or a new one from the Web UI"),
            "unset_key": unset(key),
            "cert": cert.name,
            "ca": ca.name,
            "unset_ca": unset(ca),
            "unset_name": unset(settings.value("TEMPORAL_TLS_SERVER_NAME")),
            "now": time.strftime("%b %d %H:%M %Y UTC", time.gmtime()),
        }

    def explain(self, rows: list[Row], said: str) -> Finding | None:
        """What the first row says that fits what was said."""
        for pattern, trait, text, fixes in rows:
            found = re.search(pattern, said, re.I)
            if found and trait in self.traits:
                claims = {**self.claims, **found.groupdict("")}
                words = self.words | {name: redact(claim, 200) for name, claim in claims.items()}
                fits = [fix.format_map(self.words) for one, fix in fixes if one in self.traits]
                return error(text.format_map(words).strip(), *fits)
        return None
