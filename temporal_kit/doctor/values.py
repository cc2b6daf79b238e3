"""The values: how the checks name and read them."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from ..findings import Finding, error, warning
from ..redaction import redact
from ..settings import API_KEY as KEY_SETTINGS
from ..settings import CERT, CLOUD_NAMESPACE, SETTING_OF, Settings, Value, text_setting
from ..sources import LARGEST_SETTINGS, read_file

ADDRESS, NAMESPACE = "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"
API_KEY, KEY_FILE = "TEMPORAL_API_KEY", "TEMPORAL_API_KEY_FILE"
TLS, SERVER_NAME = "TEMPORAL_TLS", "TEMPORAL_TLS_SERVER_NAME"
METRICS = "TEMPORAL_METRICS_ADDRESS"
SECURE_SCHEMES = ("https", "grpcs")  # of URLs, for TLS
CREDENTIALS = (*KEY_SETTINGS, *CERT)
BEFORE_HOSTS = " \t\r\n\"'`“”‘’"
HOST_PORT = re.compile(
    r"(\w+:/+|https?:)?([^/@\s]*@)?(?P<host>\[[^][\s]*\]|[\w.-]+)(:(?P<port>[\w.-]+))?", re.I
)
# The endpoints of Temporal Cloud that are a region's, and not a namespace's.
REGIONAL = re.compile(r"[a-z0-9-]+\.((aws|gcp|azure)\.api\.temporal\.io|region\.tmprl\.cloud)")


def find_rivals(settings: Settings) -> Iterator[tuple[Value, Value]]:
    """Each value that counts, with another one that a lower source has."""
    for setting in dict.fromkeys(text_setting(value.setting) for value in settings.values):
        if setting and (winner := settings.effective(setting)).text:
            for value in settings.overridden(setting):
                if (winner.setting, winner.text) != (value.setting, value.text):
                    yield winner, value


def with_rivals(settings: Settings, finding: Finding) -> Finding:
    """The finding, with where its fixes belong and, for an error, the values beneath."""
    fixes = [_placed(settings, fix) for fix in finding.fixes]
    if finding.level == "error":
        said = "\n".join((finding.text, *finding.fixes))
        fixes += [
            f"or {winner.removal}: {value.source} has another"
            for winner, value in find_rivals(settings)
            if _names(said, winner.name) or _names(said, winner.setting)
        ]
    return replace(finding, fixes=tuple(fixes))


def _names(text: str, name: str) -> bool:
    """Whether a text has this name as a word of its own."""
    return bool(re.search(rf"\b{re.escape(name)}\b", text))


def _placed(settings: Settings, fix: str) -> str:
    """A line that sets something, with the file that it belongs in, if that is set in one."""
    name = re.match(r"(?:or )?(\w+)=", fix)
    setting = SETTING_OF.get(name[1], "") if name else ""
    source = settings.value(setting).source if setting else "default"
    return fix if source in ("environment", "default") else f"{fix}   # in {source}"


def key_value(settings: Settings) -> Value:
    """The value that the API key comes from, as text or in a file."""
    return settings.value(KEY_FILE if settings.is_set(KEY_FILE) else API_KEY)


def api_key_line(settings: Settings, words: str = "the whole API key, or a new one") -> str:
    """The line that sets the API key to what these words say, wherever it is set."""
    value = key_value(settings)
    if value.setting == KEY_FILE:
        return f"write {words} into {value.shown}, the {value.name}"
    return f"{value.name}=<{words}>"


def find_host_port(text: str) -> tuple[str, str]:
    """Host, in lower case, and port in what somebody has written for an address; either may be "".

    `h:1`, `https://user:pass@h:1/page`, `"h:1"`, `h:1,other:1` and `[::1]:1` are such texts.
    """
    found = HOST_PORT.match(text.lstrip(BEFORE_HOSTS))
    if not found or _is_bare_ipv6(text):
        return "", ""
    host, port = found["host"].lower().rstrip("."), found["port"] or ""
    sound = is_number(port) and len(port) < 6 and 0 < int(port) < 65536
    return host, port if sound else ""


def scheme_of(text: str) -> str:
    """`https` of a URL in lower case, or ""."""
    return text.lower().rpartition("://")[0]


def usual_port(scheme: str) -> int:
    """The port of a URL that has none: an ingress's, or a Temporal server's."""
    return 443 if scheme in SECURE_SCHEMES else 80 if scheme == "http" else 7233


def _is_bare_ipv6(text: str) -> bool:
    """Whether a text is an IPv6 address without brackets, of which no port can be told apart."""
    with suppress(ValueError):
        return ip_address(text).version == 6
    return False


def cloud_namespace(settings: Settings) -> str:
    """The namespace in lower case if it then has the form of Temporal Cloud's, or ""."""
    namespace = settings.text(NAMESPACE)
    known = CLOUD_NAMESPACE.fullmatch(namespace) and redact(namespace) == namespace
    return namespace.lower() if known else ""


def namespace_endpoint(settings: Settings) -> str:
    """The address of the namespace on Temporal Cloud, as far as it is known."""
    return f"{cloud_namespace(settings) or '<name>.<account>'}.tmprl.cloud:7233"


def check_end(what: str, end: float, fix: str, cloud: bool = False) -> Iterator[Finding]:
    """What has ended, or soon will; `end` is in Unix time."""
    with suppress(ValueError, OverflowError, OSError):  # a time that no clock has
        date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(end))
        days = (end - time.time()) / 86400
        if days <= 0:
            yield (error if cloud else warning)(f"{what} expired on {date}", fix)
        elif days < 30:
            left = "less than two days" if days < 2 else f"{days:.0f} days"
            yield warning(f"{what} expires in {left}, on {date}", fix)


def named_namespace(host: str) -> str:
    """The namespace that a host names, empty if it is not a namespace endpoint."""
    name = host.removesuffix(".tmprl.cloud")
    return name if name != host and CLOUD_NAMESPACE.fullmatch(name) else ""


def uses_tls(settings: Settings) -> bool:
    """Whether the SDK is told to use TLS, by a switch or by what goes with it."""
    return bool(settings.tls)


def listening_on(text: str) -> str:
    """The numeric host:port that a text means for a server of our own; "" if it has none.

    `:9464`, `*:9464` and `9464` mean every interface, as in other programs.
    """
    host, _, port = text.rpartition("://")[2].partition("/")[0].rpartition(":")
    host = {"": "0.0.0.0", "*": "0.0.0.0", "localhost": "127.0.0.1"}.get(host.lower(), host)  # noqa: S104
    with suppress(ValueError):
        version = ip_address(host.strip("[]")).version
        if port.isascii() and port.isdigit() and 0 < int(port) < 65536:
            return f"[{host.strip('[]')}]:{port}" if version == 6 else f"{host}:{port}"
    return ""


def text_of(path: str | Path) -> str:
    """The text of a file of 64 KiB or less, or "" if it cannot be read."""
    with suppress(OSError, ValueError):
        return read_file(path, LARGEST_SETTINGS).decode("utf-8-sig", "replace")
    return ""


def is_number(text: str) -> bool:
    """Whether a text is ASCII digits."""
    return text.isascii() and text.isdigit()
