"""The values: how the checks name and read them, and what is wrong with names."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from shlex import quote

from ..findings import Finding, error, warning
from ..redaction import redact
from ..settings import API_KEY, CERT, CLOUD_NAMESPACE, SETTING_OF, Settings, Value, thing
from ..sources import read_file

KEY_FILE = "TEMPORAL_API_KEY_FILE"
CREDENTIALS = (*API_KEY, *CERT)
# Names of other tools, and what Kubernetes sets beside a service "temporal".
FOREIGN = re.compile(
    r"TEMPORAL_(ENV_FILE|DEBUG|(CODEC|UI|JWT|AUTH|CLOUD)_\w+|\w*SERVICE_(HOST|PORT)\w*"
    r"|(?!HOST)\w*PORT(_\d+_\w+)?)"
)
GUESSES = (  # what people call settings, the surest first
    ("(TOKEN|API_?KEY)_?(PATH|FILE)", "API_KEY_FILE"),
    ("TOKEN|API_?KEY|(AL|CLOUD)_KEY$", "API_KEY"),
    ("QUEUE", "TASK_QUEUE"),
    ("NAMESPACE|_NS$", "NAMESPACE"),
    ("SNI|DOMAIN|SERVER_?NAME", "TLS_SERVER_NAME"),
    ("ROOT|_CA(_|$)", "TLS_SERVER_CA_CERT_PATH"),
    ("KEY", "TLS_CLIENT_KEY_PATH"),
    ("CERT", "TLS_CLIENT_CERT_PATH"),
    ("HOST|UR[IL]|SERVER|ENDPOINT|ADDR|TARGET", "ADDRESS"),
    ("TLS|SSL", "TLS"),
)


def find_rivals(settings: Settings) -> Iterator[tuple[Value, Value]]:
    """Each value that counts, with another one that a lower source has."""
    for setting in dict.fromkeys(thing(value.setting) for value in settings.values):
        if setting and (winner := settings.effective(setting)).text:
            for value in settings.overridden(setting):
                if (winner.setting, winner.text) != (value.setting, value.text):
                    yield winner, value


def with_rivals(settings: Settings, finding: Finding) -> Finding:
    """The finding, with where its fixes belong and, for an error, the values beneath."""

    def placed(fix: str) -> str:
        name = re.match(r"(?:or )?(\w+)=", fix)
        setting = SETTING_OF.get(name[1], "") if name else ""
        source = settings.value(setting).source if setting else "default"
        return fix if source in ("environment", "default") else f"{fix}   # in {source}"

    said = "\n".join((finding.text, *finding.fixes)) if finding.level == "error" else ""
    more = [
        f"or {winner.removal}: {value.source} has another"
        for winner, value in find_rivals(settings)
        if re.search(rf"\b({winner.name}|{winner.setting})\b", said)
    ]
    return replace(finding, fixes=(*map(placed, finding.fixes), *more))


def key_value(settings: Settings) -> Value:
    """The value that the API key comes from, as text or in a file."""
    return settings.value(KEY_FILE if settings.is_set(KEY_FILE) else "TEMPORAL_API_KEY")


def api_key_line(settings: Settings, words: str = "the whole API key, or a new one") -> str:
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
    """The namespace in lower case if it then has the form of Temporal Cloud's, or ""."""
    namespace = settings.text("TEMPORAL_NAMESPACE")
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
            yield warning(f"{what} expires in {days:.0f} days, on {date}", fix)


def check_names(settings: Settings, refused: str) -> Iterator[Finding]:
    """Find names that are not settings."""
    keyed = any(map(settings.is_set, CREDENTIALS))
    for value in settings.values:
        plain = re.sub(r"\W", "_", value.name.removeprefix("$env:")).upper()
        mine = re.match(r"TE?MP\w*_|TE[MP]\w{3,7}_", plain)
        foreign = FOREIGN.fullmatch(plain)
        told = f"{value.name} is not" in refused
        if value.setting or not mine or told or (foreign and not settings.on_cloud):
            continue
        text, meant = f"{value.name} is not a setting and is ignored", _guess(plain)
        if plain.startswith("TEMPORAL_MAX_CONCURRENT_"):
            yield warning(f"{text}: it is a constant in workers/worker.py now", value.removal)
        elif plain == "TEMPORAL_ENV":
            fix = f"temporal env get --env {quote(value.text)}   # and set what it shows"
            yield warning(f"{value} is only for the older temporal CLI", fix)
        elif meant and not (settings.is_set(meant) or (meant in API_KEY and keyed)):
            yield warning(f"{text}: did you mean {meant}?", f"{meant}=<the value of {value.name}>")
        elif plain.startswith("TEMPORAL_") and not foreign:
            yield warning(text, value.removal)


def _guess(plain: str) -> str:
    mine = plain.startswith("TEMPORAL_")
    meant = get_close_matches(plain, SETTING_OF, 1, 0.93 if mine else 0.87)
    meant += [f"TEMPORAL_{name}" for words, name in GUESSES if mine and re.search(words, plain)]
    # A switch the other way round has no such value.
    off = re.search("DISABLE|INSECURE|SKIP|VERIF", plain)
    return "" if off else next((SETTING_OF[name] for name in meant), "")


def text_of(path: str | Path) -> str:
    """The text of a file, or "" if it cannot be read."""
    with suppress(OSError, ValueError):
        return read_file(path).decode(errors="replace")
    return ""
