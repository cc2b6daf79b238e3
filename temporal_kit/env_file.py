"""`.env`: where it is, what it holds, and what of it is the owner's own."""

import io
import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from .findings import Finding, error
from .log_records import hide_secrets_in_logs
from .redaction import password_in_url, remember_secret
from .settings import HEADER, SECRET_NAME, SETTING_OF
from .sources import collect, read_file

PROJECT_MARKS = ("pyproject.toml", ".git")
# Settings of the kit that other libraries read as well.
SHARED = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
SHORTEST_OWN_SECRET = 8  # characters; short words appear in half of all messages
# `TEMPORAL_X` at the beginning of a line, or behind one word, such as `export` or `set`.
SETTING_LINE = re.compile(r"^(?:\s*\w+\s+)?\s*(TEMPORAL_\w+)", re.M)

# What each `.env` has held for a name while this process ran.
_held: defaultdict[tuple[Path, str], set[str]] = defaultdict(set)


def find_env_file(beside: Path) -> Path:
    """The `.env` in this place or in a folder above, up to the project's; else `beside` itself.

    The project's folder is the nearest one with a pyproject.toml or a .git. Without such a folder
    only `beside` counts.
    """
    here = beside.parent
    for project in (here, *here.parents):
        if any((project / mark).exists() for mark in PROJECT_MARKS):
            within = [folder for folder in (here, *here.parents) if folder.is_relative_to(project)]
            places = [folder / beside.name for folder in within]
            return next((place for place in places if os.path.lexists(place)), beside)
    return beside


@cache
def at_start() -> dict[str, str]:
    """The environment as it was before any `.env` was loaded."""
    return dict(os.environ)


def load_env_file(beside: Path) -> None:
    """Put your own variables of `.env` into `os.environ`, where they are not set already.

    `beside` is the path of `.env` beside `temporal_client.py`; it may also be in a folder above, up
    to the project's. To be called before your modules are imported. Temporal's settings stay out of
    `os.environ`: they are read again while a worker runs, and no child process inherits a key. A
    file that cannot be read is an error once the settings are read, not here.
    """
    hide_secrets_in_logs()
    at_start()
    for name, value in read_env_file(find_env_file(beside), []).items():
        if value is not None and (name in SHARED or not is_setting(name)):
            os.environ.setdefault(name, value)


def is_setting(name: str) -> bool:
    """Whether this is a setting of the kit, by any of its names."""
    return name in SETTING_OF or name.startswith(HEADER)


def read_env_file(path: Path, problems: list[Finding]) -> Mapping[str, str | None]:
    """The values of `.env` by name; a line like a setting that cannot be parsed is a problem.

    The value is None where there is no `=`. Without such a file there are none. What has been read
    is remembered: its secrets for redaction, its values for `comes_from_env_file`.
    """
    if not os.path.lexists(path):
        return {}
    with collect(problems, ".env cannot be read", f"make sure that {path} is UTF-8 and readable"):
        data = read_file(path)
        if b"\0" in data:
            raise ValueError("it is UTF-16, as PowerShell writes it")
        text = data.decode("utf-8-sig")
        logging.getLogger("dotenv.main").disabled = True  # reported here instead
        lines = dotenv_values(stream=io.StringIO(text))
        problems.extend(_find_unparsed_lines(text, lines))
        for name, value in lines.items():
            _held[path, name].add(value or "")
        _remember_own_secrets(lines)
        return lines
    return {}


def _find_unparsed_lines(text: str, parsed: Mapping[str, str | None]) -> Iterator[Finding]:
    """Settings whose lines cannot be parsed; what looks like one within a quoted text is none."""
    unparsed = "".join(
        line.original.string for line in parse_stream(io.StringIO(text)) if line.error
    )
    for name in SETTING_LINE.findall(unparsed):
        if name not in parsed:
            fix = f"{name}=<value>, with matching quotes or none"
            yield error(f"the line of {name} in .env is not NAME=value", fix)


def comes_from_env_file(path: Path, name: str, value: str) -> bool:
    """Whether this `.env` has held that value for the name while this process ran.

    Then a variable of the environment is a copy, as `load_dotenv()` or `set -a; source .env` makes
    it, and the file is what counts, also after it has changed.
    """
    return value in _held[path, name]


def _remember_own_secrets(values: Mapping[str, str | None]) -> None:
    """Have the owner's secrets in `.env` hidden, by their names, and the passwords in their URLs.

    One that is also the value, or a part of the value, of something that is no secret is shown.
    """
    own = {name: value for name, value in values.items() if value and not is_setting(name)}
    secrets = [value for name, value in own.items() if SECRET_NAME.search(name)]
    secrets += [password_in_url(value) for value in own.values()]
    not_secret = {*_words(own), *_words(os.environ)}
    for secret in secrets:
        if len(secret) >= SHORTEST_OWN_SECRET and secret not in not_secret:
            remember_secret(secret)


def _words(variables: Mapping[str, str]) -> Iterator[str]:
    """The values of variables that are no secrets by their names, and the words in them."""
    for name, value in variables.items():
        if not SECRET_NAME.search(name) and "@" not in value:
            yield value
            yield from re.split(r"[^\w.-]+", value[:4096])
