"""The values: how the checks name and read them, and what is wrong with names and sources."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from shlex import quote

from temporalio.envconfig import ClientConfig

from ..findings import Finding, error, warning
from ..redaction import redact
from ..settings import API_KEY, CERT, CERT_KEY, CLOUD_NAMESPACE, SETTING_OF, Settings, Value
from ..sources import read_file, toml_path

KEY_FILE = "TEMPORAL_API_KEY_FILE"
CREDENTIALS = (*API_KEY, *CERT)
BEHIND = r"(?m)^#\s*(TEMPORAL_(?:ADDRESS|NAMESPACE))=[^<\s]+(?:\s|$)"
# What `temporal cloud login` writes, and what shows that a file holds a secret.
OAUTH = r"(?ms)^\[profile\.([^]\n]+)\.oauth\b[^]\n]*\].*?(?=^\[|\Z)"
PRIVATE = (
    r"(?im)^[^#\n]*(api_?key|key_data|token|password|authorization)[\"']? *= *[^\w\n<#]*\w"
    "|PRIVATE KEY-----"
)
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
    for value in settings.values:
        winner = settings.value(value.setting) if value.setting else value
        if winner.text and winner.source != value.source and winner.text != value.text:
            yield winner, value


def with_rivals(settings: Settings, finding: Finding) -> Finding:
    """The finding, with where its fixes belong and, for an error, the values beneath."""

    def placed(fix: str) -> str:
        name = re.match(r"(?:or )?(\w+)=", fix)
        source = settings.value(SETTING_OF.get(name[1], name[1])).source if name else "default"
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


def check_sources(settings: Settings) -> Iterator[Finding]:
    """Judge where settings come from."""
    env_file, toml = settings.env_file, toml_path(settings.text("TEMPORAL_CONFIG_FILE"))
    if env_file:
        yield from _check_env_file(settings, env_file)
    yield from _check_toml(settings, toml)
    for winner, value in find_rivals(settings):
        yield warning(f"{winner} wins over {value}", winner.removal, f"or {value.removal}")
    files = str(env_file or ""), toml, settings.text(CERT[0]), settings.text(CERT_KEY[0])
    paths = [file for file in files if re.search(PRIVATE, _text(file))]
    paths.append(settings.text("TEMPORAL_API_KEY_FILE"))
    for path in filter(os.path.isfile, dict.fromkeys(paths)):
        if os.name == "posix" and os.stat(path).st_mode & 0o077:
            text = f"{path} holds a secret, and other users of this machine may read it"
            yield warning(text, f"chmod 600 {quote(path)}")


def _check_env_file(settings: Settings, env_file: Path) -> Iterator[Finding]:
    text = _text(env_file)
    for other in () if text else sorted(env_file.parent.glob(".env?*")):
        parked = other.name == ".env.cloud"  # as the README has it
        if not parked and re.search(r"(?m)^(export )?TEMPORAL_\w+=.", _text(other)):
            fix = f"mv {quote(str(other))} {quote(str(env_file))}"
            yield warning(f"{other} has settings, and is not read", fix)
    if behind := {name for name in re.findall(BEHIND, text) if not settings.is_set(name)}:
        text = f"behind a # in .env, and so not set: {', '.join(sorted(behind))}"
        yield warning(text, "remove the # from the lines you filled in")


def _text(path: str | Path) -> str:
    with suppress(OSError, ValueError):
        return read_file(path).decode(errors="replace")
    return ""


def _check_toml(settings: Settings, file: str) -> Iterator[Finding]:
    """A login that is no credential, and a name that is not a field: the loader ignores both."""
    content, profile = _text(file), settings.text("TEMPORAL_PROFILE") or "default"
    if profile in re.findall(OAUTH, content) and not any(map(settings.is_set, CREDENTIALS)):
        text = f"oauth of profile {profile} is only for the CLI: a worker needs an API key"
        fix = "temporal cloud apikey create-for-me   # into the profile's api_key, or .env"
        yield warning(text, fix)
    source = re.sub(OAUTH, "", content).encode()
    try:
        ClientConfig.load(config_source=source, config_file_strict=True, override_env_vars={})
    except RuntimeError as problem:
        if field := re.search(r"unknown field `([^`]+)`.*", str(problem)):
            yield warning(f"{file}: {field[0]}", "correct the name there: it is ignored")
