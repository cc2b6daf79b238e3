"""What makes settings unusable: errors of reading them, conflicts and missing values."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import combinations
from shlex import quote
from urllib.parse import unquote

from .findings import Finding, error
from .settings import (
    API_KEY,
    API_KEY_HEADER,
    CERT,
    CERT_KEY,
    CLOUD_NAMESPACE,
    HEADER,
    SETTING_OF,
    Settings,
    Value,
    text_setting,
)

# Two settings that make sense only together, each with its ways to be set.
PAIRS = (
    (CERT, CERT_KEY),
    (("TEMPORAL_DEPLOYMENT_NAME",), ("TEMPORAL_WORKER_BUILD_ID",)),
)
URL = re.compile(r"(?P<scheme>\w+):/+([^/]*@)?(?P<host>[^/]*)", re.I)
# What other gRPC libraries take for an address; a host may have such a name too, before its port.
GRPC_TARGET = re.compile(
    r"(?P<scheme>dns|passthrough|ipv4|ipv6|unix|unix-abstract|vsock|xds):(?![0-9]+$)(?P<rest>.*)",
    re.I,
)
SCHEMES_OF_HOSTS = ("dns", "passthrough", "ipv4", "ipv6")
PORT = re.compile(r":\d*$")
ENDPOINT = re.compile(r".+\.([a-z0-9]{5,}|region)\.tmprl\.cloud|.+\.api\.temporal\.io", re.I)


def find_problems(settings: Settings) -> Iterator[Finding]:
    """Everything that keeps these settings from being used, each problem with its fixes."""
    yield from settings.problems
    yield from _find_conflicts(settings)
    yield from _find_near_misses(settings)
    try:
        settings.proxy  # noqa: B018 (it raises)
    except ValueError:
        form = "http://host:port, and the SDK can use only HTTP proxies"
        text = f"{settings.value('HTTPS_PROXY')} is not {form}"
        yield error(text, "HTTPS_PROXY=http://<host>:<port>")
    if settings.complete:  # or what is in an unreadable file would seem to be missing
        yield from _find_half_pairs(settings)
        yield from _find_wrong_address(settings)
        yield from _find_missing_on_cloud(settings)


def _find_conflicts(settings: Settings) -> Iterator[Finding]:
    """Two values for one thing in one source: by two names, or as a file and as a text."""
    ours = [value for value in settings.values if value.setting.startswith("TEMPORAL_")]
    for one, other in combinations(ours, 2):
        same = text_setting(one.setting) == text_setting(other.setting)
        if same and one.source == other.source and one.text != other.text:
            yield error(f"{one} and {other} set the same thing", other.removal, f"or {one.removal}")


def _find_near_misses(settings: Settings) -> Iterator[Finding]:
    """Names that are a letter or two away from a setting's, which would be ignored in silence."""
    for value in settings.values:
        plain = re.sub(r"\W", "_", value.name.upper())
        close = [] if value.setting else get_close_matches(plain, SETTING_OF, 1, 0.93)
        if close and not settings.is_set(SETTING_OF[close[0]]):
            text = f"{value.name} is not a setting: did you mean {close[0]}?"
            shown = value.may_be_shown_as(close[0]) and "/" not in value.text
            kept = quote(value.text) if shown else f"<the value of {value.name}>"
            yield error(text, f"{close[0]}={kept}")


def _find_half_pairs(settings: Settings) -> Iterator[Finding]:
    """One half of a pair without the other."""
    for first, second in PAIRS:
        for here, there in ((first, second), (second, first)):
            value = _first_set(settings, *here)
            if value and not _first_set(settings, *there):
                yield error(f"{value.name} is set without {there[0]}", f"{there[0]}=<value>")


def _find_wrong_address(settings: Settings) -> Iterator[Finding]:
    """A missing address, one with which a secret would be sent in the clear, or none at all."""
    yield from _find_missing_address(settings)
    address = settings.value("TEMPORAL_ADDRESS")
    if target := GRPC_TARGET.fullmatch(address.text):
        of_a_host = target["scheme"].lower() in SCHEMES_OF_HOSTS
        fix = _host_port_in(target["rest"]) if of_a_host else "<host:port>"
        yield error(f"{address} is a gRPC target, not host:port", f"{address.name}={fix}")
    elif url := URL.match(address.text):
        yield from _find_bad_url(settings, address, url["scheme"].lower(), url["host"])


def _find_missing_address(settings: Settings) -> Iterator[Finding]:
    """No address beside something that is for Temporal Cloud, or for a server that asks for it."""
    meant = _credential(settings)
    what = meant.name if meant else "a Temporal Cloud namespace"
    for_cloud = bool(CLOUD_NAMESPACE.fullmatch(settings.namespace)) or settings.on_cloud
    if (meant or for_cloud) and not settings.is_set("TEMPORAL_ADDRESS"):
        text = f"TEMPORAL_ADDRESS is not set, but {what} is"
        yield error(text, f"TEMPORAL_ADDRESS={_cloud_name(settings)}.tmprl.cloud:7233")


def _find_bad_url(
    settings: Settings, address: Value, scheme: str, host_port: str
) -> Iterator[Finding]:
    """A URL with which a secret would be sent in the clear, or that leads to Temporal Cloud."""
    secret = _credential(settings) or _header(settings)
    host, port = PORT.sub("", host_port), host_port.rpartition(":")[2]
    has_port = host != host_port
    if secret and scheme != "https":
        text = f"{address} is a URL, with which the SDK would send {secret.name} in the clear"
        usual = "7233" if settings.on_cloud else "443"
        yield error(text, f"{address.name}={host}:{port if has_port else usual}")
    elif _is_cloud_endpoint(settings, host):
        private_port = has_port and not ENDPOINT.fullmatch(host)
        fix = f"{address.name}={host.lower()}:{port if private_port else '7233'}"
        yield error(f"{address} is a URL, not host:port", fix)


def _is_cloud_endpoint(settings: Settings, host: str) -> bool:
    """Whether a host is an endpoint of Temporal Cloud, by its own name or by the server name."""
    server_name = settings.text("TEMPORAL_TLS_SERVER_NAME")
    return any(ENDPOINT.fullmatch(name) for name in (host, server_name))


def _host_port_in(target: str) -> str:
    """Host and port in what follows the scheme of a gRPC target, the first of several."""
    last = unquote(target).rpartition("/")[2].partition(",")[0]
    found = re.fullmatch(r"(\[[^]\s]+\]|[\w.-]+)(:([0-9]+))?", last)
    return f"{found[1]}:{found[3] or 7233}" if found else "<host:port>"


def _find_missing_on_cloud(settings: Settings) -> Iterator[Finding]:
    """What Temporal Cloud requires: a namespace, a credential and TLS."""
    if not settings.on_cloud:
        return
    if not settings.is_set("TEMPORAL_NAMESPACE"):
        text = f"TEMPORAL_NAMESPACE={_cloud_name(settings)}"
        yield error("TEMPORAL_NAMESPACE is not set", text)
    credential = _credential(settings)
    if credential is None:
        text = "no credential is set: Temporal Cloud requires an API key or a client certificate"
        pair = f"or {CERT[0]}=<PEM file>", f"and {CERT_KEY[0]}=<its key's PEM file>"
        yield error(text, f"{API_KEY[0]}=<API key>", *pair)
    # Where it is not set, the SDK switches it on, but not for an authorization header alone.
    only_header = credential is not None and credential.setting == API_KEY_HEADER
    tls = not only_header if settings.tls is None else settings.tls
    if not tls:
        yield error("TLS is switched off, and Temporal Cloud requires it", "TEMPORAL_TLS=true")


def _first_set(settings: Settings, *ways: str) -> Value | None:
    """The value of the first of these settings that is set."""
    return next((settings.value(way) for way in ways if settings.is_set(way)), None)


def _credential(settings: Settings) -> Value | None:
    """The value that an API key or a client certificate is set by."""
    return _first_set(settings, *API_KEY, *CERT, *CERT_KEY)


def _header(settings: Settings) -> Value | None:
    """The value of a header: any of them may hold a secret."""
    return _first_set(
        settings, *(v.setting for v in settings.values if v.setting.startswith(HEADER))
    )


def _cloud_name(settings: Settings) -> str:
    """`<name>.<account>` on Temporal Cloud, as far as namespace or address tell it."""
    for name in (settings.namespace, settings.host.removesuffix(".tmprl.cloud")):
        if CLOUD_NAMESPACE.fullmatch(name):
            return name.lower()
    return "<name>.<account>"
