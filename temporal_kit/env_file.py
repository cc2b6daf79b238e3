"""`.env`: where it is, what it holds, and what of it is the owner's own."""

import io
import os
import re
from collections import ChainMap, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from .findings import Finding, error
from .log_records import hide_secrets_in_logs
from .redaction import remember_secret
from .secret_forms import passwords
from .settings import SECRET_NAME, setting_of
from .sources import LARGEST_FILE, LARGEST_SETTINGS, MOST_NAMES, collect, read_file

PROJECT_MARKS = ("pyproject.toml", ".git")
# Settings of the kit that other libraries read as well.
SHARED = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
SHORTEST_OWN_SECRET = 8  # characters; short words appear in half of all messages
MOST_LINES = 4000  # each takes python-dotenv some 15 microseconds
MOST_BLANKS = 200  # in a row: for what is behind a value, python-dotenv takes their square in steps

# What each `.env` has held for a name while this process ran.
_held: defaultdict[tuple[Path, str], set[str]] = defaultdict(set)


def find_env_file(beside: Path) -> Path:
    """The `.env` in this place or in a folder above, up to the project's; else `beside` itself.

    The project's folder is the nearest one with a pyproject.toml or a .git. Without such a folder
    only `beside` counts.
    """
    here = Path(os.path.abspath(beside)).parent
    for project in (here, *here.parents):
        if any(os.path.exists(project / mark) for mark in PROJECT_MARKS):
            within = [folder for folder in (here, *here.parents) if folder.is_relative_to(project)]
            places = [folder / beside.name for folder in within]
            return next((place for place in places if os.path.lexists(place)), beside)
    return beside


@cache
def at_start() -> dict[str, str]:
    """The environment as it was before any `.env` was loaded."""
    return dict(os.environ)


def set_own_variables(beside: Path) -> None:
    """What `load_env_file` in `starting` says of `os.environ`, and nothing else of it."""
    hide_secrets_in_logs()
    at_start()
    for name, value in read_env_file(find_env_file(beside), []).items():
        if value is not None and (name in SHARED or not setting_of(name)):
            with suppress(ValueError):  # no system has a variable with a `=` in its name
                os.environ.setdefault(name, value)


def read_env_file(path: Path, problems: list[Finding]) -> Mapping[str, str | None]:
    """The values of `.env` by name; a line like a setting that cannot be parsed is a problem.

    The value is None where there is no `=`. Without such a file there are none. What has been read
    is remembered: its secrets for redaction, its values for `comes_from_env_file`.
    """
    if not os.path.lexists(path):
        return {}
    bounds = f"at most 64 KiB, {MOST_LINES:,} lines and {MOST_BLANKS} blanks in a row"
    fix = f"make {path} a readable file in UTF-8, of {bounds}"
    with collect(problems, ".env cannot be read", fix):
        lines = parse_env_file(path)
        values = expand(lines)
        problems.extend(_find_unparsed_lines(lines, values))
        for name, value in values.items():
            _held[path, name].add(value or "")
        _remember_own_secrets(values)
        return values
    return {}


def parse_env_file(path: Path) -> list[Binding]:
    """The lines of a `.env`, as python-dotenv parses them; raises `OSError` or `ValueError`."""
    data = read_file(path, LARGEST_SETTINGS)
    if b"\0" in data:
        raise ValueError("it is UTF-16, as PowerShell writes it")
    text = data.decode("utf-8-sig")
    count = sum(1 for line in text.splitlines() if line.strip())
    if count > MOST_LINES:
        raise ValueError(f"it has {count:,} lines, and {MOST_LINES:,} are the most")
    blanks = max(map(len, re.findall(r"[^\S\r\n]+", text)), default=0)
    if blanks > MOST_BLANKS:
        raise ValueError(f"it has {blanks:,} blanks in a row, and {MOST_BLANKS} are the most")
    return list(parse_stream(io.StringIO(text)))


def expand(lines: Iterable[Binding]) -> dict[str, str | None]:
    """The values by name, with what `${NAME}` stands for: the last line of a name counts.

    They are python-dotenv's; its own way to them takes a minute for 64 KiB, or all memory.
    """
    values: dict[str, str | None] = {}
    known = ChainMap(values, dict[str, str | None](os.environ))
    length = 0
    for line in lines:
        if line.key is not None:
            pieces = []
            for piece in _pieces(line.value or "", known):
                pieces.append(piece)
                length += len(piece)
                if length > LARGEST_FILE:  # each `A=${B}${B}` doubles it
                    raise ValueError(f"with {line.key} it expands to more than 1 MiB")
            values[line.key] = None if line.value is None else "".join(pieces)
    return values


def _pieces(value: str, known: Mapping[str, str | None]) -> Iterator[str]:
    """What a value consists of, with what is known for `${NAME}` and `${NAME:-default}`."""
    *closed, rest = value.split("}")
    for text in closed:
        at = _find_opening(text)
        if at < 0:
            yield f"{text}}}"
        else:
            name, _, default = text[at + 2 :].partition(":-")
            yield text[:at]
            yield known.get(name, default) or ""
    yield rest


def _find_opening(text: str) -> int:
    r"""Where the `${` is that a `}` behind this text closes; below zero if there is none.

    python-dotenv finds it by a pattern, `\$\{[^}:]*(:-[^}]*)?\}`, which takes quadratic time.
    """
    at = text.find("${")
    while at >= 0:
        colon = text.find(":", at)
        if colon < 0 or text.startswith(":-", colon):
            return at
        at = text.find("${", colon)  # no name has a colon in it: look behind it
    return -1


def _find_unparsed_lines(
    lines: Iterable[Binding], parsed: Mapping[str, str | None]
) -> Iterator[Finding]:
    """Settings whose lines cannot be parsed; what looks like one within a quoted text is none."""
    for setting in names_of_unparsed_lines(lines, parsed):
        fixes = f"{setting}=<value>", "with matching quotes or none"
        yield error(f"the line of {setting} in .env is not NAME=value", *fixes)


def names_of_unparsed_lines(
    lines: Iterable[Binding], parsed: Mapping[str, str | None]
) -> list[str]:
    """The names that lines which cannot be parsed would set, and no other line does.

    A name stands at the beginning of its line, or behind one word, such as `export` or `set`.
    """
    found = dict[str, None]()
    for line in text_of_unparsed_lines(lines).splitlines():
        first, second, *_ = [*line.split(maxsplit=2), "", ""]
        named = second if first.isidentifier() and second.startswith("TEMPORAL_") else first
        if name := re.match(r"TEMPORAL_\w+", named):
            found[name[0]] = None
    return [name for name in found if name not in parsed][:MOST_NAMES]


def text_of_unparsed_lines(lines: Iterable[Binding]) -> str:
    """What of a `.env` python-dotenv cannot parse."""
    return "".join(line.original.string for line in lines if line.error)


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
    own = {name: value for name, value in values.items() if value and not setting_of(name)}
    secrets = [value for name, value in own.items() if SECRET_NAME.search(name)]
    secrets += [password for value in own.values() for password in passwords(value)]
    not_secret = {*words_shown(own.items()), *words_shown(os.environ.items())}
    for secret in dict.fromkeys(secrets):
        if len(secret) >= SHORTEST_OWN_SECRET and secret not in not_secret:
            remember_secret(secret)


def words_shown(variables: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The values of variables that are no secrets by their names, and the words in them."""
    for name, value in variables:
        if not SECRET_NAME.search(name) and "@" not in value:
            yield value
            yield from re.split(r"[^\w.-]+", value[:4096])
