"""Reads the files that hold settings: keys, certificates, and a profile of Temporal's TOML file."""

import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from temporalio.envconfig import ClientConfig

from .findings import Finding, error

KINDS = (
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)
LARGEST_FILE = 2**20  # bytes; a bundle of the certificates of all CAs has a fifth of that
LARGEST_SETTINGS = 2**16  # bytes of a `.env` or a TOML file
MOST_NAMES = 20  # of what a message lists


@contextmanager
def collect(problems: list[Finding], what: object, fix: str) -> Iterator[None]:
    """Append an error of this block to `problems`, without the lines that may quote the file.

    `what` is what could not be read; its `str` is made only for an error.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError) as raised:
        problems.append(error(f"{what}: {_reason(raised)}", fix))


def _reason(raised: Exception) -> str:
    """The first and the last line of an error: those between them show the line of the file."""
    lines = str(getattr(raised, "strerror", None) or raised).strip().splitlines() or [""]
    first, last = (_without_value(line) for line in (lines[0], lines[-1]))
    return first if first == last else f"{first}; {last}"


def _without_value(line: str) -> str:
    """`invalid type: string …, expected a map` of a line where the TOML parser quotes the value."""
    said, expected, what = line.rpartition(", expected")
    before = re.split('["`]', said, maxsplit=1)[0]
    return line if before == said else f"{before}…{expected}{what}"


def read_file(path: str | Path, largest: int = LARGEST_FILE) -> bytes:
    """The content of a regular file of so many bytes or less; raises `OSError` or `ValueError`."""
    _refuse_what_is_no_file(os.stat(path).st_mode)
    # Without waiting, should a pipe have replaced it since. Its size is 0 in /proc.
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        now = os.fstat(file.fileno())
        _refuse_what_is_no_file(now.st_mode)
        data = file.read(largest + 1)
    if data is None:  # as of /proc/kmsg
        raise ValueError("it has nothing to read yet")
    if len(data) > largest:
        most = "1 MiB" if largest == LARGEST_FILE else f"{largest // 1024} KiB"
        raise ValueError(f"it has {max(now.st_size, len(data)):,} bytes, and {most} are the most")
    return data


def _refuse_what_is_no_file(mode: int) -> None:
    """Raise `ValueError` for a folder, a pipe and the like, by the mode that the system gives."""
    for is_one, name in KINDS:
        if is_one(mode):
            raise ValueError(f"it is a {name}, not a file")


def expand_home(path: str) -> str:
    """The path with `~` and `~user` replaced, or as it is where no user can have that name."""
    with suppress(ValueError):  # of a NUL within it
        return os.path.expanduser(path)
    return path


def toml_path(named: str | None) -> str:
    """Where the TOML file is: as named, or where Temporal's loader looks for it."""
    homes = {"darwin": "~/Library/Application Support", "win32": "~/AppData/Roaming"}
    home = homes.get(sys.platform) or os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return named or expand_home(f"{home}/temporalio/temporal.toml")


def read_profile(given: Mapping[str, str], problems: list[Finding]) -> Mapping[str, str]:
    """A profile of the TOML file, by the names of the environment variables.

    `given` has the settings of the environment and `.env`: TEMPORAL_CONFIG_FILE and
    TEMPORAL_PROFILE choose file and profile. A profile that is named and missing is a problem; so
    is a file without a `default` profile if nothing else sets the address, since localhost would be
    used in silence.
    """
    named_file, named_profile = given.get("TEMPORAL_CONFIG_FILE"), given.get("TEMPORAL_PROFILE")
    path, wanted = toml_path(named_file), named_profile or "default"
    fix = f"fix {path}: valid TOML of 64 KiB or less"
    fix += ", or take TEMPORAL_CONFIG_FILE away" if named_file else ""
    with collect(problems, path, fix):
        is_there = named_file or os.path.exists(path)
        content = read_file(path, LARGEST_SETTINGS) if is_there else b""
        profiles = ClientConfig.load(config_source=content, override_env_vars={}).profiles
        if wanted in profiles:
            return dict(_as_variables("TEMPORAL", profiles[wanted].to_dict()))
        would_use_localhost = (profiles or named_file) and "TEMPORAL_ADDRESS" not in given
        if named_profile or would_use_localhost:
            problems.append(_no_such_profile(path, wanted, sorted(profiles)))
    return {}


def _no_such_profile(path: str, wanted: str, names: list[str]) -> Finding:
    if not names:
        fix = "take TEMPORAL_PROFILE away"
        if wanted == "default":
            fix = "temporal config set --prop address --value <host:port>"
        return error(f"{path} has no profile {wanted!r}", fix)
    more = "" if len(names) <= MOST_NAMES else f" and {len(names) - MOST_NAMES} more"
    names = names[:MOST_NAMES]
    text = f"{path} has no profile {wanted!r}: it has {', '.join(names)}{more}"
    return error(text, *(f"TEMPORAL_PROFILE={name}" for name in names))


def _as_variables(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A table of the TOML file, and those inside it, as environment variables would say it."""
    for key, content in table.items():
        name = f"{prefix}_{key}".upper().replace("-", "_")
        if isinstance(content, Mapping):
            yield from _as_variables(name, content)
        elif name == "TEMPORAL_TLS_DISABLED":
            yield "TEMPORAL_TLS", str(not content).lower()
        elif not (name.endswith("_PATH") and str(content) == "."):  # a blank path, by the loader
            yield name, str(content)
