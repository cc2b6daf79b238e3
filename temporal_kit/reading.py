"""Reads the settings: the environment, then `.env`, then a TOML profile, then the defaults.

The first of them that has a value wins. Temporal's own loader, `temporalio.envconfig`, turns the
result into a connection, so every official name works here as it does for the `temporal` command.

TEMPORAL_API_KEY in `.env`, for example: `read_env_file` parses the file; `_read_layer` makes a
`Value` of the line; `collect_settings` finds that nothing above sets a key, and `_text` gives its
text; `_load_profile` hands that to the loader; `Settings.api_key` is what `get_temporal_client`
gives to `Client.connect`. TEMPORAL_API_KEY_FILE sets the same thing (see `text_setting`):
in the environment it beats the key in `.env`, and if its file cannot be read that is an
error, no fallback. Both in one source are a conflict (`_find_conflicts` in problems.py). A copy in
the environment of what `.env` holds is `.env`'s (`comes_from_env_file`).
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from temporalio.envconfig import ClientConfigProfile

from .env_file import comes_from_env_file, find_env_file, read_env_file, words_shown
from .findings import Finding, error
from .log_records import hide_secrets_in_logs
from .problems import find_problems
from .redaction import redact, remember_secret, remember_secrets_in
from .secret_forms import is_word, passwords
from .settings import (
    CERT,
    CERT_KEY,
    HEADER,
    SECRET_NAME,
    SETTING_OF,
    Settings,
    SettingsError,
    Value,
    is_on,
    setting_of,
    text_setting,
)
from .sources import collect, expand_home, read_file, read_profile

LONGEST_VALUE = 65_536  # characters
SETTING_LIKE = re.compile(r"(\$env:)?te?[mp]", re.I)  # may be a misspelled setting
# What a name says of a header: that nobody reads its value for anything but a secret.
SECRET_HEADER = re.compile("AUTH|COOKIE|CREDENTIAL|KEY|PASS|SECRET|SESSION|SIGN|TOKEN")
MOST_HEADERS = 100  # of a layer; servers refuse more than some 16 KiB of them
MOST_UNKNOWN = 100  # names of a layer that may be misspelled ones
NOT_UTF8 = re.compile("[\ud800-\udfff]")  # how Python represents bytes that are no text


def read_settings(
    environ: Mapping[str, str], env_file: Path | None, defaults: Mapping[str, str]
) -> Settings:
    """The settings from an environment, a `.env` file, a TOML profile and defaults.

    `environ` is `os.environ` or the like; `env_file` is where `.env` is expected, and if it is not
    there, it is looked for in the folders above, up to the project's; `defaults` are values by
    official name. Without an `env_file` a TOML file is read only if `environ` names it or
    its profile. Raises `SettingsError`, with every problem at once and all that could be read.
    """
    settings = collect_settings(environ, env_file, defaults)
    if problems := list(find_problems(settings)):
        raise SettingsError(*problems, settings=settings)
    return settings


def collect_settings(
    environ: Mapping[str, str], env_file: Path | None, defaults: Mapping[str, str]
) -> Settings:
    """As `read_settings`, but what can be read is returned, with its problems."""
    hide_secrets_in_logs()
    problems: list[Finding] = []
    environment_only = is_on(environ.get("TEMPORAL_ENVIRONMENT_ONLY", ""))
    path = find_env_file(env_file) if env_file and not environment_only else None
    values = _read_environment_and_env_file(environ, path, problems)
    if not environment_only:
        values += _read_toml_profile(values, env_file is not None, problems)
    _remember_headers(values, defaults)
    complete = not problems  # the files that values name are no sources, and are read below
    winners = _winners(values)
    texts = {name: _text(value, problems) for name, value in winners.items()}
    _take_key_out_of_certificate(values, winners, texts)  # may add to values and texts
    return Settings(
        values=tuple(values),
        profile=_load_profile({**defaults, **texts}),
        problems=tuple(problems),
        complete=complete,
        env_file=path,
        defaults=defaults,
    )


def _winners(values: list[Value]) -> dict[str, Value]:
    """The value that counts for each `text_setting`; `values` has the highest priority first."""
    winners: dict[str, Value] = {}
    for value in values:
        if value.setting:
            winners.setdefault(text_setting(value.setting), value)
    return winners


def _read_toml_profile(above: list[Value], expected: bool, problems: list[Finding]) -> list[Value]:
    """The values of the TOML file's profile; `above` has those of the layers above it.

    Unless it is `expected`, it is read only if they name the file or the profile.
    """
    given = {setting: value.text for setting, value in _winners(above).items()}
    if not expected and not given.keys() & {"TEMPORAL_CONFIG_FILE", "TEMPORAL_PROFILE"}:
        return []
    profile = given.get("TEMPORAL_PROFILE")
    source = f"profile {redact(profile, 200) if profile else 'default'}"
    return _read_layer(source, read_profile(given, problems), "", problems)


def _read_environment_and_env_file(
    environ: Mapping[str, str], path: Path | None, problems: list[Finding]
) -> list[Value]:
    """The values of the two upper layers; what the environment has from `.env` is `.env`'s."""
    if path is None:
        return _read_layer("environment", environ, "", problems)
    lines = read_env_file(path, problems)
    own = {name: v for name, v in environ.items() if not comes_from_env_file(path, name, v)}
    return [
        *_read_layer("environment", own, "", problems),
        *_read_layer(".env", lines, str(path.parent), problems),
    ]


def _read_layer(
    source: str, layer: Mapping[str, str | None], folder: str, problems: list[Finding]
) -> list[Value]:
    """One source's values, without blank ones; relative paths start from `folder`."""
    values = []
    for name in _names_like_a_setting(source, layer, problems):
        setting = setting_of(name)
        text = (layer[name] or "").strip()
        remember_if_secret(setting or name, text)
        if setting and (len(text) > LONGEST_VALUE or NOT_UTF8.search(text)):
            unfit = f"{name} ({source}) must be UTF-8 text of 64 KiB or less"
            problems.append(error(unfit, f"{name}=<your value>"))
            continue
        is_header = setting.startswith(HEADER)
        if text and setting.endswith(("_PATH", "_FILE")) and not is_header:
            text = os.path.join(folder, expand_home(text))
        if text or is_header:  # a blank header removes the profile's
            values.append(Value(setting, name, source, text))
    return values


def _names_like_a_setting(
    source: str, layer: Iterable[str], problems: list[Finding]
) -> Iterator[str]:
    """A layer's names that are settings or may be misspelled ones, of the latter only so many."""
    names = sorted(layer)
    headers = [name for name in names if name.startswith(HEADER)]
    if len(headers) > MOST_HEADERS:
        text = f"{source} sets {len(headers):,} headers, of which no server takes more than"
        problems.append(error(f"{text} {MOST_HEADERS}", f"take {headers[-1]} and others away"))
    yield from headers[:MOST_HEADERS]
    yield from (name for name in names if name in SETTING_OF)
    unknown = (name for name in names if SETTING_LIKE.match(name) and not setting_of(name))
    yield from islice(unknown, MOST_UNKNOWN)


def remember_if_secret(name: str, text: str) -> None:
    """Have `redact` hide this value if its name says that it is secret, and passwords in URLs."""
    if SECRET_NAME.search(name) or (name.startswith(HEADER) and SECRET_HEADER.search(name)):
        remember_secrets_in(text)
    for password in passwords(text):  # as in HTTPS_PROXY
        if not is_word(password):
            remember_secret(password)


def _remember_headers(values: list[Value], defaults: Mapping[str, str]) -> None:
    """Have `redact` hide the value of each header, whatever its name.

    Except for a short word, and for what another setting shows anyway: a namespace, for example.
    """
    others = [(value.setting or value.name, value.text) for value in values]
    no_headers = [(name, text) for name, text in others if not name.startswith(HEADER)]
    shown = {*words_shown(no_headers), *words_shown(defaults.items())}
    for value in values:
        is_shown = is_word(value.text) or value.text in shown
        if value.setting.startswith(HEADER) and not is_shown:
            remember_secrets_in(value.text, shown)


def _text(value: Value, problems: list[Finding]) -> str:
    """The text of a value, or of the file that it names; empty, and a problem, if it has none."""
    if text_setting(value.setting) == value.setting:
        return value.text
    text = ""
    with collect(problems, value, f"{value.name}=<path of the file>"):
        text = read_file(value.text).decode("utf-8-sig", "replace").strip()
        remember_secrets_in(text)
        if not text:
            raise ValueError("the file is empty")
    return text


def _take_key_out_of_certificate(
    values: list[Value], winners: Mapping[str, Value], texts: dict[str, str]
) -> None:
    """Where one PEM holds certificate and key, have it set the key too, in its own layer.

    A key that is set in the same layer or above counts all the same; one beneath does not.
    """
    cert_text, key_text = CERT[1], CERT_KEY[1]
    cert, key = winners.get(cert_text), winners.get(key_text)
    if cert is None or "PRIVATE KEY-----" not in texts[cert_text]:
        return
    after_cert = values.index(cert) + 1
    sources_that_win = {value.source for value in values[:after_cert]}
    if key is None or key.source not in sources_that_win:
        texts[key_text] = texts[cert_text]
        values.insert(after_cert, replace(cert, setting=key_text))


def _load_profile(texts: Mapping[str, str]) -> ClientConfigProfile:
    """What Temporal's loader makes of these settings, and of nothing else.

    The TOML file's are among them already; `os.environ` is not read.
    """
    settings = {**texts, "TEMPORAL_PROFILE": "default"}
    return ClientConfigProfile.load(override_env_vars=settings, disable_file=True)
