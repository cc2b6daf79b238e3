"""How the checks read and name values; Cloud's forms are as documented."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress

from temporal_client import CLOUD_NAMESPACE
from temporal_findings import Finding, error, redact
from temporal_settings import Settings, Value

ADDRESS, NAMESPACE = "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"
API_KEY, KEY_FILE = "TEMPORAL_API_KEY", "TEMPORAL_API_KEY_FILE"
TLS, SERVER_NAME = "TEMPORAL_TLS", "TEMPORAL_TLS_SERVER_NAME"
REGIONAL = re.compile(r"[a-z0-9-]+\.((aws|gcp|azure)\.api\.temporal\.io|region\.tmprl\.cloud)")
SOON_DAYS = 30


def warning(text: str, *fixes: str) -> Finding:
    """Something that works and is worth knowing."""
    return Finding("warning", text, fixes)


def unset(value: Value) -> str:
    """What takes a value away, where it stands."""
    here = value.source in ("environment", "default")
    return f"unset {value.name}" if here else f"take {value.name} out of {value.source}"


def uses_tls(settings: Settings) -> bool:
    """Whether the SDK is told to speak TLS."""
    told = settings.profile.to_client_connect_config().get("tls")
    return bool(settings.profile.api_key if told is None else told)


def key_value(settings: Settings) -> Value:
    """The value that the API key comes from, as text or in a file."""
    return settings.value(KEY_FILE if settings.is_set(KEY_FILE) else API_KEY)


def api_key_line(settings: Settings, words: str = "the whole API key and nothing else") -> str:
    """The line that sets the API key to what these words say, wherever it is set."""
    value = key_value(settings)
    if value.setting == KEY_FILE:
        return f"write {words} into {value.shown}, the {value.name}"
    return f"{value.name}=<{words}>"


def find_host_port(text: str) -> tuple[str, str]:
    """Host and port in `host:port`, a URL, quotes, or more than one of them; either may be ""."""
    bare = re.sub(r"^(\w*:?/+)?([^/]*@)?", "", text)
    parts = re.findall(r"\[[^]]*\]|[\w.-]+", bare)
    host, port, *_ = ["", ""] if bare.startswith(":") else [*parts, "", ""]
    sound = re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65536
    return host.lower().rstrip("."), port if sound else ""


def cloud_namespace(settings: Settings) -> str:
    """The namespace if it has the form of Temporal Cloud's, but for capitals, or else ""."""
    namespace = settings[NAMESPACE]
    known = CLOUD_NAMESPACE.fullmatch(namespace) and redact(namespace) == namespace
    return namespace.lower() if known else ""


def namespace_endpoint(settings: Settings) -> str:
    """The address of the namespace on Temporal Cloud, as far as it can be told."""
    return f"{cloud_namespace(settings) or '<name>.<account>'}.tmprl.cloud:7233"


def named_namespace(host: str) -> str:
    """The namespace in the name of a namespace endpoint, empty for any other host."""
    name = host.removesuffix(".tmprl.cloud")
    other = name == host or REGIONAL.fullmatch(host) or not CLOUD_NAMESPACE.fullmatch(name)
    return "" if other else name


def check_end(what: str, end: float, fix: str, cloud: bool = False) -> Iterator[Finding]:
    """What has ended, or soon will; `end` is in seconds since 1970."""
    with suppress(ValueError, OverflowError, OSError):  # a time that no clock has
        date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(end))
        days = (end - time.time()) / 86400
        if days <= 0:
            yield (error if cloud else warning)(f"{what} expired on {date}", fix)
        elif days < SOON_DAYS:
            yield warning(f"{what} expires in {days:.0f} days, on {date}", fix)
