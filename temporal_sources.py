"""Reads the files that hold settings: `.env`, a profile of Temporal's TOML file, and keys.

`choose_proxy` has the rules of the `temporal` CLI for HTTPS_PROXY and NO_PROXY.
"""

import io
import logging
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from temporalio.envconfig import ClientConfig
from temporalio.service import HttpConnectProxyConfig

from temporal_findings import Finding, error


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
            if len(data := file.read(2**20 + 1)) <= 2**20:
                return data
    raise ValueError("it is not a regular file of 1 MiB or less")


def read_env_file(path: Path, problems: list[Finding]) -> Mapping[str, str | None]:
    """The lines of `.env`; one that looks like a setting and is not NAME=value is a problem."""
    with collect(problems, ".env cannot be read", f"make sure that {path} is UTF-8 and readable"):
        data = read_file(path)
        if b"\0" in data:
            raise ValueError("it is UTF-16, as PowerShell writes it")
        text = data.decode("utf-8-sig")
        logging.getLogger("dotenv.main").disabled = True  # reported here instead
        lines = dotenv_values(stream=io.StringIO(text))
        for name in re.findall(r"^(?:\s*\w+\s+)?\s*(TEMPORAL_\w+)", text, re.M):
            if name not in lines:
                fix = f"{name}=<value>, with matching quotes or none"
                problems.append(error(f"the line of {name} in .env is not NAME=value", fix))
        return lines
    return {}


def toml_path(named: str | None) -> str:
    """Where the TOML file is: as named, or where Temporal's loader looks for it."""
    homes = {"darwin": "~/Library/Application Support", "win32": "~/AppData/Roaming"}
    home = homes.get(sys.platform) or os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return named or os.path.expanduser(f"{home}/temporalio/temporal.toml")


def read_profile(given: Mapping[str, str], problems: list[Finding]) -> Mapping[str, str]:
    """A profile of the TOML file, keyed by the names of the environment variables."""
    named, name = given.get("TEMPORAL_CONFIG_FILE"), given.get("TEMPORAL_PROFILE", "default")
    path = toml_path(named)
    fix = f"fix {path}" + (", or take TEMPORAL_CONFIG_FILE away" if named else "")
    with collect(problems, path, fix):
        source = read_file(path) if named or os.path.exists(path) else b""
        profiles = ClientConfig.load(config_source=source, override_env_vars={}).profiles
        wanted = "TEMPORAL_PROFILE" in given or (profiles and "TEMPORAL_ADDRESS" not in given)
        if name not in profiles and wanted:  # or localhost would be used silently
            names = sorted(profiles)
            there = f": it has {', '.join(names)}" if names else ""
            fixes = [f"TEMPORAL_PROFILE={one}" for one in names] or ["take TEMPORAL_PROFILE away"]
            problems.append(error(f"{path} has no profile {name!r}{there}", *fixes))
        return dict(_names("TEMPORAL", profiles[name].to_dict())) if name in profiles else {}
    return {}


def _names(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, content in table.items():
        name = f"{prefix}_{key}".upper().replace("-", "_")
        if isinstance(content, Mapping):
            yield from _names(name, content)
        elif key == "disabled":
            yield "TEMPORAL_TLS", str(not content).lower()
        elif str(content) != ".":  # the loader turns a blank path into this
            yield name, str(content)


def choose_proxy(proxy: str, exempt: str, host: str, port: str) -> HttpConnectProxyConfig | None:
    """The HTTP proxy on the way to a host, if any; raises `ValueError` for another kind.

    It is used with TLS and without, never for loopback addresses, and not for what `exempt` lists:
    hosts, domains with their subdomains, addresses, networks such as 10.0.0.0/8, or `*`.
    """
    entries = f"localhost 127.0.0.0/8 ::1 {exempt}".lower().replace(",", " ").split()
    if not proxy or any(_matches(entry, host, port) for entry in entries):
        return None
    url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if url.scheme != "http" or not url.hostname:
        raise ValueError("only HTTP proxies can be used, in the form http://host:port")
    login = (unquote(url.username), unquote(url.password or "")) if url.username else None
    where = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return HttpConnectProxyConfig(f"{where}:{url.port or 80}", login)


def _matches(entry: str, host: str, port: str) -> bool:
    with suppress(ValueError):  # one of the two is a name
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    name, _, wanted = entry.partition(":")
    inside = host == name or host.endswith("." + name.lstrip("*."))
    return entry == "*" or (inside and wanted in ("", port))
