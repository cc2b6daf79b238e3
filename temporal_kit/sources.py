"""Reads the files that hold settings: keys, certificates, and a profile of Temporal's TOML file."""

import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from temporalio.envconfig import ClientConfig

from .findings import Finding, error

LARGEST_FILE = 2**20  # bytes; a key or a certificate has a few thousand


@contextmanager
def collect(problems: list[Finding], what: str, fix: str) -> Iterator[None]:
    """Append an error of this block to `problems`, without the lines that may quote the file."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as raised:
        said = str(getattr(raised, "strerror", None) or raised).strip().splitlines() or [""]
        # An error in a TOML file quotes what stands there before ", expected".
        reason = re.sub(r"(\"(\\.|[^\"\\])*\"|`[^`]*`)(?=, expected)", "…", said[-1])
        problems.append(error(f"{what}: " + "; ".join(dict.fromkeys((said[0], reason))), fix))


def read_file(path: str | Path) -> bytes:
    """The content of a regular file of 1 MiB or less; raises `OSError` or `ValueError`."""
    if stat.S_ISREG(os.stat(path).st_mode):
        # Without waiting, should a pipe have replaced it since. Its size is 0 in /proc.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            if len(data := file.read(LARGEST_FILE + 1)) <= LARGEST_FILE:
                return data
    raise ValueError("it is not a regular file of 1 MiB or less")


def toml_path(named: str | None) -> str:
    """Where the TOML file is: as named, or where Temporal's loader looks for it."""
    homes = {"darwin": "~/Library/Application Support", "win32": "~/AppData/Roaming"}
    home = homes.get(sys.platform) or os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return named or os.path.expanduser(f"{home}/temporalio/temporal.toml")


def read_profile(given: Mapping[str, str], problems: list[Finding]) -> Mapping[str, str]:
    """A profile of the TOML file, by the names of the environment variables.

    `given` has the settings of the environment and `.env`: TEMPORAL_CONFIG_FILE and
    TEMPORAL_PROFILE choose file and profile. A profile that is named and missing is a problem; so
    is a file without a `default` profile if nothing else sets the address, since localhost would be
    used in silence.
    """
    named, name = given.get("TEMPORAL_CONFIG_FILE"), given.get("TEMPORAL_PROFILE", "default")
    path = toml_path(named)
    fix = f"fix {path}" + (", or take TEMPORAL_CONFIG_FILE away" if named else "")
    with collect(problems, path, fix):
        source = read_file(path) if named or os.path.exists(path) else b""
        profiles = ClientConfig.load(config_source=source, override_env_vars={}).profiles
        if name in profiles:
            return dict(_as_variables("TEMPORAL", profiles[name].to_dict()))
        if "TEMPORAL_PROFILE" in given or (profiles and "TEMPORAL_ADDRESS" not in given):
            names = sorted(profiles)
            there = f": it has {', '.join(names)}" if names else ""
            fixes = [f"TEMPORAL_PROFILE={one}" for one in names] or ["take TEMPORAL_PROFILE away"]
            problems.append(error(f"{path} has no profile {name!r}{there}", *fixes))
    return {}


def _as_variables(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A table of the TOML file, and those inside it, as environment variables would say it."""
    for key, content in table.items():
        name = f"{prefix}_{key}".upper().replace("-", "_")
        if isinstance(content, Mapping):
            yield from _as_variables(name, content)
        elif key == "disabled":
            yield "TEMPORAL_TLS", str(not content).lower()
        elif str(content) != ".":  # the loader turns a blank path into this
            yield name, str(content)
