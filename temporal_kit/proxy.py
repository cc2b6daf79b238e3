"""Which HTTP proxy leads to a server: the rules of the `temporal` command."""

from contextlib import suppress
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

from temporalio.service import HttpConnectProxyConfig

LOOPBACK = ("localhost", "127.0.0.0/8", "::1")


def choose_proxy(proxy: str, no_proxy: str, host: str, port: str) -> HttpConnectProxyConfig | None:
    """The proxy on the way to `host:port`, from HTTPS_PROXY and NO_PROXY; None for a direct way.

    It is used with TLS and without, and never for loopback addresses. NO_PROXY lists hosts, domains
    with their subdomains, addresses, networks such as 10.0.0.0/8, or `*`. Raises `ValueError` for a
    proxy that is not an HTTP proxy: the SDK speaks to no other.
    """
    direct = [*LOOPBACK, *no_proxy.lower().replace(",", " ").split()]
    if not proxy or any(_matches(entry, host, port) for entry in direct):
        return None
    url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if url.scheme != "http" or not url.hostname:
        raise ValueError("only HTTP proxies can be used, in the form http://host:port")
    login = (unquote(url.username), unquote(url.password or "")) if url.username else None
    name = f"[{url.hostname}]" if ":" in url.hostname else url.hostname  # IPv6
    return HttpConnectProxyConfig(f"{name}:{url.port or 80}", login)


def _matches(entry: str, host: str, port: str) -> bool:
    """Whether an entry of NO_PROXY covers this host and port."""
    with suppress(ValueError):  # raised where one of the two is a name
        # No address is longer; of a name that is, each letter would cost time for each entry.
        return ip_address(host[:64]) in ip_network(entry.strip("[]"), strict=False)
    name, _, its_port = entry.partition(":")
    covered = host == name or host.endswith("." + name.lstrip("*."))
    return entry == "*" or (covered and its_port in ("", port))
