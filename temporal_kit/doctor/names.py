"""Names that are not settings: which setting may be meant, and with what value."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from shlex import quote

from ..findings import Finding, warning
from ..settings import API_KEY as KEY_SETTINGS
from ..settings import CLOUD_HOST, SETTING_OF, Settings, Value
from .values import (
    ADDRESS,
    CREDENTIALS,
    METRICS,
    find_host_port,
    is_number,
    listening_on,
    scheme_of,
    usual_port,
)

MINE = re.compile(r"TE?MP\w*_|TE[MP]\w{3,7}_")  # begins as a setting does, or nearly so
CONSTANT = "it is a constant in workers/worker.py now"
HOST_WORD = re.compile("HOST_?NAME|HOST|ADDRESS|ADDR|SERVER$")  # where names of ports have PORT


def as_it_is(_: Settings, value: Value) -> str:
    """The same value, for a line of a shell or of `.env`."""
    return quote(value.text)


def host_and_port(settings: Settings, value: Value) -> str:
    """The host, and its port or, if it has none, that of the variable for ports beside it."""
    host, port = find_host_port(value.text)
    _, beside = find_host_port(f"{host}:{_port_beside(settings, value)}")
    usual = 7233 if CLOUD_HOST.fullmatch(host) else usual_port(scheme_of(value.text))
    return f"{host}:{port or beside or usual}" if host else ""


def _port_beside(settings: Settings, value: Value) -> str:
    """What TEMPORAL_GRPC_PORT has for TEMPORAL_GRPC_HOST, or else TEMPORAL_PORT."""
    ports = {other.name: other.text for other in settings.values if not other.setting}
    return ports.get(HOST_WORD.sub("PORT", value.name)) or ports.get("TEMPORAL_PORT", "")


def metrics_address(settings: Settings, value: Value) -> str:
    """Where a worker is to serve metrics."""
    beside = _port_beside(settings, value)
    return listening_on(value.text) or listening_on(f"{value.text}:{beside}")


def whole_seconds(_: Settings, value: Value) -> str:
    """The seconds of `20` and `20s`."""
    number = value.text.removesuffix("s")
    return number if is_number(number) else ""


@dataclass(frozen=True)
class Guess:
    """A setting, and the words that names have in them when people mean it.

    `translate` gives what their value is called here; "" if it is of another kind.
    """

    setting: str
    words: tuple[str, ...]
    translate: Callable[[Settings, Value], str] = as_it_is

    def fits(self, name: str) -> bool:
        """Whether somebody who writes this name may mean this setting."""
        return any(f"_{word}_" in f"_{name}_" for word in self.words)


KEY_FILES = ("TOKEN_PATH", "TOKEN_FILE", "TOKENFILE", "API_KEY_PATH", "API_KEY_FILE")
KEYS = ("TOKEN", "API_KEY", "APIKEY", "TEMPORAL_KEY", "CLOUD_KEY")
HOSTS = ("HOST", "HOSTNAME", "HOSTPORT", "SERVER", "TARGET", "URL", "URI")
GUESSES = (  # the surest first
    Guess("TEMPORAL_API_KEY_FILE", (*KEY_FILES, "APIKEY_PATH", "APIKEY_FILE")),
    Guess("TEMPORAL_API_KEY", KEYS),
    Guess("TEMPORAL_TASK_QUEUE", ("QUEUE", "QUEUES", "QUEUENAME", "TASKQUEUE")),
    Guess("TEMPORAL_NAMESPACE", ("NAMESPACE", "NAMESPACES", "NS")),
    Guess("TEMPORAL_WORKER_BUILD_ID", ("BUILD_ID", "BUILDID", "BUILD", "WORKER_VERSION")),
    Guess("TEMPORAL_DEPLOYMENT_NAME", ("DEPLOYMENT", "DEPLOYMENTS")),
    Guess("TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS", ("SHUTDOWN", "GRACEFUL", "GRACE"), whole_seconds),
    Guess("HTTPS_PROXY", ("PROXY",)),
    Guess("TEMPORAL_CONFIG_FILE", ("CONFIG", "TOML")),
    Guess(METRICS, ("METRICS", "PROMETHEUS", "PROM"), metrics_address),
    Guess("TEMPORAL_TLS_SERVER_NAME", ("SNI", "DOMAIN", "SERVER_NAME", "SERVERNAME")),
    Guess("TEMPORAL_TLS_SERVER_CA_CERT_PATH", ("CA", "ROOT", "CACERT", "ROOTCA")),
    Guess("TEMPORAL_TLS_CLIENT_KEY_DATA", ("KEY_PEM",)),
    Guess("TEMPORAL_TLS_CLIENT_CERT_DATA", ("CERT_PEM",)),
    Guess("TEMPORAL_TLS_CLIENT_KEY_PATH", ("KEY", "KEYFILE", "PRIVATEKEY")),
    Guess("TEMPORAL_TLS_CLIENT_CERT_PATH", ("CERT", "CERTS", "CERTFILE", "CERTIFICATE")),
    Guess(ADDRESS, (*HOSTS, "ENDPOINT", "ADDR", "ADDRESS"), host_and_port),
    Guess("TEMPORAL_TLS", ("TLS", "SSL", "MTLS")),
)
TRANSLATIONS = {guess.setting: guess.translate for guess in GUESSES}


def check_names(settings: Settings, refused: str) -> Iterator[Finding]:
    """Find names that are not settings; `refused` is what the core says already."""
    for value in settings.values:
        plain = re.sub(r"\W", "_", value.name.removeprefix("$env:")).upper()
        told = bool(value.setting) or f"{value.name} is not" in refused
        if MINE.match(plain) and not told:
            yield from _check_name(settings, value, plain)


def _check_name(settings: Settings, value: Value, plain: str) -> Iterator[Finding]:
    """Judge a name that begins as a setting does; `plain` is how it would be spelled."""
    text = f"{value.name} is not a setting and is ignored"
    meant = _guess(plain)
    foreign = is_of_another_program(plain, value.text)
    may_be_meant = settings.on_cloud or (
        plain.startswith("TEMPORAL_CLOUD_") and not settings.is_set(ADDRESS)
    )
    if foreign and not may_be_meant:
        return
    if plain.startswith("TEMPORAL_MAX_CONCURRENT_"):
        yield warning(f"{text}: {CONSTANT}", value.removal)
    elif plain == "TEMPORAL_ENV":
        fix = f"temporal env get --env {quote(value.text)}   # and set what it shows"
        yield warning(f"{value} is only for the older temporal CLI", fix)
    elif meant and not _is_set(settings, meant):
        hidden = not value.may_be_shown_as(meant)
        value_here = "" if hidden else TRANSLATIONS.get(meant, as_it_is)(settings, value)
        kept = value_here or (f"<the value of {value.name}>" if hidden else "<your value>")
        yield warning(f"{text}: did you mean {meant}?", f"{meant}={kept}")
    elif plain.startswith("TEMPORAL_") and not foreign:
        yield warning(text, value.removal)


def is_of_another_program(name: str, text: str) -> bool:
    """Whether other tools use this name, or Kubernetes sets it beside a service `temporal`."""
    if not name.startswith("TEMPORAL_"):
        return False
    rest = name.removeprefix("TEMPORAL_")
    return _is_a_tools(rest) or (_is_of_kubernetes(rest) and not _is_a_metrics_port(rest, text))


def _is_a_tools(rest: str) -> bool:
    """Whether tcld, the Web UI's server, a codec server or the SDK itself reads this."""
    tools = ("CODEC_", "UI_", "JWT_", "AUTH_", "CLOUD_")
    return rest in ("ENV_FILE", "DEBUG") or rest.startswith(tools)


def _is_of_kubernetes(rest: str) -> bool:
    """Whether this is like TEMPORAL_SERVICE_HOST, TEMPORAL_PORT or TEMPORAL_PORT_80_TCP_ADDR.

    TEMPORAL_HOST_PORT is an address.
    """
    if "SERVICE_HOST" in rest or "SERVICE_PORT" in rest:
        return True
    return bool(re.fullmatch(r"\w*PORT(_\d+_\w+)?", rest)) and not rest.startswith("HOST")


def _is_a_metrics_port(rest: str, text: str) -> bool:
    """Whether this is a number for where to serve metrics; Kubernetes would set a URL."""
    return bool(re.fullmatch(r"(METRICS|PROM(ETHEUS)?)\w*PORT", rest)) and is_number(text)


def _guess(plain: str) -> str:
    """The setting that a name is close to, or that people give such names; else ""."""
    # A switch the other way round has no such value.
    if re.search("DISABLE|INSECURE|SKIP|VERIF", plain):
        return ""
    mine = plain.startswith("TEMPORAL_")
    if close := get_close_matches(plain, SETTING_OF, 1, 0.93 if mine else 0.87):
        return SETTING_OF[close[0]]
    return next((one.setting for one in GUESSES if mine and one.fits(plain)), "")


def _is_set(settings: Settings, meant: str) -> bool:
    """Whether a setting is set, or one is that would be in conflict with it."""
    keyed = meant in KEY_SETTINGS and any(map(settings.is_set, CREDENTIALS))
    return keyed or settings.is_set(meant)
