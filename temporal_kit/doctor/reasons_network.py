"""Why there is no TCP connection: the name, the network, or a proxy on the way."""

from collections.abc import Iterator

from .evidence import Claims, Seen
from .reasons import Reason, sdk_words
from .target import Target


def has_proxy(target: Target) -> bool:
    """Whether the way leads through a proxy."""
    return target.proxy is not None


def start_or_find_the_server(target: Target) -> Iterator[str]:
    """For a port that nothing listens on."""
    if target.is_local:
        yield "python scripts/run_local.py --serve   # or start the server you meant"
    if target.is_local and target.in_container:
        name = target.address.name
        yield f"or {name}=<the service's name>:7233"
        yield f"or {name}=host.docker.internal:7233"
    yield f"or {target.address_line}" if target.is_local else target.address_line
    if not target.is_local and not target.of_cloud:
        host = target.host
        yield f"or temporal server start-dev --ip {host}   # the default is 127.0.0.1"


def unknown_name(target: Target, _: Claims) -> str:
    """Say why a name may be unknown; in a container it may be that of one not started yet."""
    why = "misspelled, or only in a private DNS"
    if not target.of_cloud:
        why = "misspelled, only in a private DNS, or its server is not started yet"
    return f"the name {target.looked_up} is unknown: {why}"


NAME = (
    Reason(
        seen=Seen.NO_NAME_SERVER,
        said=sdk_words(r"(dns error|failed to lookup).*(temporary|timed out)"),
        message=lambda target, _: (
            f"the name {target.looked_up} cannot be looked up: no DNS server answers this machine"
        ),
        fixes=lambda target: [f"check this machine's network and DNS, or {target.way_line}"],
    ),
    Reason(
        seen=Seen.UNKNOWN_NAME,
        said=sdk_words(r"dns error|failed to lookup"),
        message=unknown_name,
        fixes=lambda target: [target.way_line],
    ),
)

TCP = (
    Reason(
        said=sdk_words(r"status: 407"),
        when=has_proxy,
        message=lambda target, _: (
            f"{target.proxy_value.name} has no user and password that {target.proxy_in_words} "
            "accepts"
        ),
        fixes=lambda target: [
            f"{target.proxy_value.name}=<its URL with user and password, percent-encoded>"
        ],
    ),
    Reason(
        said=sdk_words(r"status: (?P<told>403[^\n)]*)"),
        when=has_proxy,
        message=lambda target, claims: (
            f"{target.proxy_in_words} refuses to connect to {target.where}: {claims.told}"
        ),
        fixes=lambda target: [
            f"have whoever runs the proxy allow CONNECT to {target.where}",
        ],
    ),
    Reason(
        said=sdk_words(r"failed with status: (?P<told>[^\n)]*)"),
        when=has_proxy,
        message=lambda target, claims: (
            f"{target.proxy_in_words} does not reach {target.where}: {claims.told}"
        ),
        fixes=lambda target: [target.address_line],
    ),
    Reason(
        seen=Seen.NO_ANSWER,
        when=has_proxy,
        message=lambda target, _: f"no way through {target.proxy_in_words}: no answer in time",
        fixes=lambda target: [target.way_line],
    ),
    Reason(
        seen=Seen.REFUSED,
        when=has_proxy,
        message=lambda target, _: f"no way through {target.proxy_in_words}: nothing listens there",
        fixes=lambda target: [target.way_line],
    ),
    Reason(
        seen=Seen.NO_WAY,
        said=sdk_words(r"client error.*\s+Caused by:\s+(?P<told>[^\n]*)"),
        when=has_proxy,
        message=lambda target, claims: f"no way through {target.proxy_in_words}: {claims.told}",
        fixes=lambda target: [target.way_line],
    ),
    Reason(
        seen=Seen.NO_ANSWER,
        said=sdk_words(r"tcp connect error.*TimedOut"),
        message=lambda target, _: f"no answer from {target.where}: something drops the packets",
        fixes=lambda _: ["let this machine through to it (firewall, VPN)"],
    ),
    Reason(
        seen=Seen.REFUSED,
        said=sdk_words(r"tcp connect error.*ConnectionRefused"),
        message=lambda target, _: (
            f"nothing listens on {target.where}: the server is elsewhere, or not started yet"
        ),
        fixes=start_or_find_the_server,
    ),
    Reason(
        seen=Seen.NO_WAY,
        said=sdk_words(r'tcp connect error(.*message: "(?P<told>.*?)")?'),
        message=lambda target, claims: f"no way to {target.where}: {claims.told}",
        fixes=lambda _: ["check this machine's network, routes and VPN"],
    ),
)
