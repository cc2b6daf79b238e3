"""What is wrong with names, and with the places that settings come from."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from shlex import quote

from temporalio.envconfig import ClientConfig

from temporal_client import API_KEY, CERT, on_cloud
from temporal_doctor.certificates import pem_path
from temporal_doctor.values import unset, warning
from temporal_findings import Finding
from temporal_settings import HEADER, OFFICIAL, SECRET_NAME, Settings

BEHIND = r"(?m)^#\s*(TEMPORAL_(?:ADDRESS|NAMESPACE))=[^<\s]+(?:\s|$)"
# Names that other tools read, or that Kubernetes sets in every pod beside a service "temporal".
FOREIGN = re.compile(
    r"TEMPORAL_(ENV_FILE|DEBUG|(CODEC|UI|JWT|AUTH|CLOUD)_\w+|\w*SERVICE_(HOST|PORT)\w*"
    r"|(?!HOST)\w*PORT(_\d+_\w+)?)"
)
GUESSES = (  # what people call a setting, the most telling word first
    ("_ENV$", "PROFILE"),
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


def check_names(settings: Settings, refused: str) -> Iterator[Finding]:
    """Find what is no setting; `refused` is what the core says already."""
    for value in settings.values:
        plain = re.sub(r"\W", "_", value.name.removeprefix("$env:")).upper()
        mine = re.match(r"TE?MP\w*_|TE[MP]\w{3,7}_", plain) and not plain.startswith(HEADER)
        if value.setting or not value.text or not mine or f"{value.name} is not" in refused:
            continue
        text, meant = f"{value.name} is not a setting and is ignored", _guess(plain)
        if FOREIGN.fullmatch(plain) and not on_cloud(settings):
            continue
        if plain.startswith("TEMPORAL_MAX_CONCURRENT_"):
            yield warning(f"{text}: it is a constant in workers/worker.py now", unset(value))
        elif meant and not (settings.is_set(meant) or (meant in API_KEY and _has_key(settings))):
            yield warning(f"{text}: did you mean {meant}?", f"{meant}=<the value of {value.name}>")
        elif plain.startswith("TEMPORAL_") and not FOREIGN.fullmatch(plain):
            yield warning(text, unset(value))


def _guess(plain: str) -> str:
    """The setting that a name may stand for, empty where none is near."""
    mine = plain.startswith("TEMPORAL_")
    meant = get_close_matches(plain, OFFICIAL, 1, 0.93 if mine else 0.87)
    meant += [f"TEMPORAL_{name}" for words, name in GUESSES if mine and re.search(words, plain)]
    # No value of a setting would be right for a switch the other way round.
    off = re.search("DISABLE|INSECURE|SKIP|VERIF", plain)
    return "" if off else next((OFFICIAL[name] for name in meant), "")


def _has_key(settings: Settings) -> bool:
    return any(map(settings.is_set, (*API_KEY, *CERT)))


def check_sources(settings: Settings) -> Iterator[Finding]:
    """Judge the sources of settings."""
    if settings.env_file:
        yield from _check_env_file(settings, settings.env_file)
    yield from _check_toml(settings)
    for value in settings.values:
        winner = settings.value(value.setting) if value.setting else value
        if winner.text and winner.source != value.source and winner.text != value.text:
            yield warning(f"{winner} wins over {value}", f"{unset(winner)}, or {unset(value)}")
    sources = {one.source for one in settings.values if one.text and SECRET_NAME.search(one.name)}
    files = {
        str(settings.env_file): ".env" in sources,
        settings["TEMPORAL_CONFIG_FILE"]: any(one.startswith("profile ") for one in sources),
        settings["TEMPORAL_API_KEY_FILE"]: True,
        pem_path(settings, "CLIENT_KEY"): True,
    }
    for path in [path for path, secret in files.items() if secret and os.path.isfile(path)]:
        if os.name == "posix" and os.stat(path).st_mode & 0o077:
            text = f"{path} holds a secret, and other users of this machine may read it"
            yield warning(text, f"chmod 600 {quote(path)}")


def _check_env_file(settings: Settings, env_file: Path) -> Iterator[Finding]:
    text = _text(env_file)
    for other in () if text else sorted(env_file.parent.glob(".env?*")):
        if re.search(r"(?m)^(export )?TEMPORAL_\w+=.", _text(other)):
            fix = f"mv {quote(str(other))} {quote(str(env_file))}"
            yield warning(f"{other} has settings, and is not read", fix)
    behind = {name for name in re.findall(BEHIND, text) if not settings.is_set(name)}
    if behind:
        note = f"behind a # in .env, and so not set: {', '.join(sorted(behind))}"
        yield warning(note, "remove the # from the lines that you filled in")


def _text(path: Path) -> str:
    with suppress(OSError):
        if path.is_file() and path.stat().st_size < 2**20:
            return path.read_bytes().decode(errors="replace")
    return ""


def _check_toml(settings: Settings) -> Iterator[Finding]:
    """A name that is not a field, over which the loader passes in silence."""
    file = settings["TEMPORAL_CONFIG_FILE"]
    source, name = (_text(Path(file)).encode() if file else None), file or "the TOML file"
    try:
        ClientConfig.load(config_source=source, config_file_strict=True, override_env_vars={})
    except RuntimeError as problem:
        field = re.search(r"unknown field `([^`]+)`.*", str(problem))
        if field and field[1] != "oauth":
            yield warning(f"{name}: {field[0]}", "correct the name there: as it is, it is ignored")
        elif field and not _has_key(settings):
            text = f"the table oauth in {name} is for the CLI alone: a worker needs an API key"
            fix = "temporal cloud apikey create-for-me   # into the profile's api_key, or into .env"
            yield warning(text, fix)
