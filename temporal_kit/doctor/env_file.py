"""Lines of `.env` that have no effect, and files that are taken for it."""

import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote

from dotenv.parser import Binding, parse_stream

from ..env_file import (
    expand,
    names_of_unparsed_lines,
    parse_env_file,
    text_of_unparsed_lines,
)
from ..findings import Finding, warning
from ..settings import Settings, setting_of, text_setting
from ..sources import MOST_NAMES
from .values import text_of

# What .env.example has behind its #, where that is no <placeholder>.
EXAMPLES = {
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "certs/client.pem",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "certs/client.key",
    "TEMPORAL_TLS": "true",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "certs/server-ca.pem",
    "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION": "false",
    "NO_PROXY": ".example.com,10.0.0.0/8",
    "TEMPORAL_ENVIRONMENT_ONLY": "true",
    "TEMPORAL_TASK_QUEUE": "ap-default",
    "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": "30",
    "TEMPORAL_METRICS_ADDRESS": "127.0.0.1:9464",
}
PARKED = ".env.cloud"  # where the README has people put a `.env` that they do not use now
LOCAL = ".env.local"  # which other tools read beside .env
HAS_SETTINGS = re.compile(r"(?m)^(export )?TEMPORAL_\w+=.")


def check_env_file(settings: Settings, env_file: Path) -> Iterator[Finding]:
    """Find what somebody wrote into `.env`, or beside it, and what has no effect."""
    text = text_of(env_file)
    yield from _find_other_names(env_file, every=not HAS_SETTINGS.search(text))
    with suppress(OSError, ValueError):  # which is told where the settings are read
        lines = parse_env_file(env_file)
        values = expand(lines)
        yield from _find_lines_behind_a_hash(settings, text)
        yield from _find_lines_that_set_nothing(lines, values)
        yield from _find_repeated_names(lines)
        yield from _find_empty_expansions(lines, values)
    yield from _find_other_env_files(env_file)


def _find_other_names(env_file: Path, every: bool) -> Iterator[Finding]:
    """Files with settings beside `.env`: those that other tools read too or, if so, `every` one."""
    for other in sorted(env_file.parent.glob(".env?*"))[:MOST_NAMES]:
        meant = other.name == LOCAL or (every and other.name != PARKED)
        if meant and HAS_SETTINGS.search(text_of(other)):
            yield _not_read(other, env_file)


def _find_lines_behind_a_hash(settings: Settings, text: str) -> Iterator[Finding]:
    """Settings that are filled in behind their `#`, if nothing else sets them."""
    set_now = {text_setting(value.setting) for value in settings.values}
    behind = {
        name
        for name, value in _read_behind_a_hash(text)
        if setting_of(name)
        and text_setting(setting_of(name)) not in set_now
        and value != EXAMPLES.get(name)
        and not re.search(r"[<\s]", value)
    }
    if behind:
        names = ", ".join(sorted(behind)[:MOST_NAMES])
        fix = "remove the # from the lines you filled in"
        yield warning(f"behind a # in .env, and so not set: {names}", fix)


def _read_behind_a_hash(text: str) -> Iterator[tuple[str, str]]:
    """Name and value of each line that would set something without its `#`."""
    commented = [line.lstrip("# \t") for line in text.splitlines() if line.lstrip().startswith("#")]
    for line in commented:
        for binding in parse_stream(io.StringIO(line)):
            if binding.key and binding.value:
                yield binding.key, binding.value


def _find_lines_that_set_nothing(
    lines: list[Binding], values: Mapping[str, str | None]
) -> Iterator[Finding]:
    """Lines that python-dotenv cannot parse, and that name a setting: of YAML, JSON or a shell.

    Those that begin with the name are an error already.
    """
    words = re.findall(r"\w+", text_of_unparsed_lines(lines))
    named = dict.fromkeys(name for name in words if setting_of(name))
    told = {*values, *names_of_unparsed_lines(lines, values)}
    for name in [name for name in named if name not in told][:MOST_NAMES]:
        yield warning(f"{name} stands in a line of .env that sets nothing", f"{name}=<value>")


def _find_repeated_names(lines: list[Binding]) -> Iterator[Finding]:
    """One name with two values: only the last of its lines counts."""
    seen: dict[str, str | None] = {}
    repeated = dict[str, None]()
    for line in lines:
        if line.key is not None and seen.setdefault(line.key, line.value) != line.value:
            repeated[line.key] = None
    for name in list(repeated)[:MOST_NAMES]:
        fix = f"take all lines of {name} but one out of .env"
        yield warning(f"{name} stands in .env with two values: the last one counts", fix)


def _find_empty_expansions(
    lines: list[Binding], expanded: Mapping[str, str | None]
) -> Iterator[Finding]:
    """`NAME=${OTHER}` where nothing sets the other name, and settings with it in a part."""
    written = {line.key: line.value or "" for line in lines if line.key is not None}
    for name in [name for name, value in written.items() if "${" in value][:MOST_NAMES]:
        named = re.findall(r"\$\{(\w+)\}", written[name])
        unset = [other for other in named if not (expanded.get(other) or os.environ.get(other))]
        if not (expanded.get(name) or "").strip():
            text = f"{name} in .env expands to nothing, since what it names is not set"
            yield warning(text, f"{name}=<value>")
        elif unset and setting_of(name):
            text = f"{name} in .env has {', '.join(unset)} in it, which is not set"
            yield warning(text, f"{name}=<value>")


def _find_other_env_files(env_file: Path) -> Iterator[Finding]:
    """A `.env` with settings in the current folder, or one above, that is not the one read."""
    with suppress(FileNotFoundError):  # the current folder has been deleted
        for folder in (Path.cwd(), *Path.cwd().parents):
            other = folder / env_file.name
            if not _is_same(other, env_file) and HAS_SETTINGS.search(text_of(other)):
                yield _not_read(other, env_file)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, or would if it were there."""
    with suppress(OSError, ValueError):
        return one.samefile(other)
    return one == other


def _not_read(other: Path, env_file: Path) -> Finding:
    """What is said of a file with settings that is not the one that is read."""
    fix = f"mv {quote(str(other))} {quote(str(env_file))}"
    if os.path.lexists(env_file):
        fix = f"move its lines into {env_file}"
    return warning(f"{other} has settings, and is not read", fix)
