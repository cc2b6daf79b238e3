"""Which HTTP proxy leads to a server, by the rules of the `temporal` CLI.

HTTPS_PROXY is used with TLS and without, never for loopback addresses, and not for what NO_PROXY
lists: hosts, domains with their subdomains, addresses, networks such as 10.0.0.0/8, or `*`.
"""

from contextlib import suppress
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

from temporalio.service import HttpConnectProxyConfig

from temporal_settings import Settings


def find_proxy(settings: Settings) -> HttpConnectProxyConfig | None:
    """The proxy on the way to the server, if any.

    Raises `ValueError` if the SDK cannot use it, as it speaks nothing but HTTP to a proxy.
    """
    proxy, port = settings["HTTPS_PROXY"], settings["TEMPORAL_ADDRESS"].rpartition(":")[2]
    if not proxy or _is_exempt(settings["NO_PROXY"], settings.host.strip("[]"), port):
        return None
    url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if url.scheme != "http" or not url.hostname:
        raise ValueError("only HTTP proxies can be used, in the form http://host:port")
    login = (unquote(url.username), unquote(url.password or "")) if url.username else None
    where = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return HttpConnectProxyConfig(f"{where}:{url.port or 80}", login)


def _is_exempt(exempt: str, host: str, port: str) -> bool:
    for entry in f"localhost 127.0.0.0/8 ::1 {exempt}".lower().replace(",", " ").split():
        with suppress(ValueError):  # one of the two is a name
            if ip_address(host) in ip_network(entry.strip("[]"), strict=False):
                return True
        name, _, only = entry.partition(":")
        inside = host == name or host.endswith("." + name.lstrip("*."))
        if entry == "*" or (inside and only in ("", port)):
            return True
    return False
