"""Reads what is configured, and records where each value came from.

Settings come from the process environment, `.env` beside this file, a profile of Temporal's TOML
file and defaults; the first source with a value wins. Temporal's loader, `temporalio.envconfig`,
turns them into a connection, so every official name works here as it does for the `temporal` CLI.
"""

import io
import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from temporalio.envconfig import ClientConfig, ClientConfigProfile

from temporal_findings import Finding, error, redact, remember_secret

ENV_FILE = Path(__file__).resolve().with_name(".env")
SETTINGS: dict[str, tuple[str, ...]] = {  # official name: other names for it
    "TEMPORAL_ADDRESS": ("TEMPORAL_ENDPOINT",),
    "TEMPORAL_NAMESPACE": (),
    "TEMPORAL_API_KEY": (),
    "TEMPORAL_API_KEY_FILE": (),
    "TEMPORAL_TLS": (),
    "TEMPORAL_TLS_CLIENT_CERT_PATH": ("TEMPORAL_TLS_CERT", "TEMPORAL_CERT_PATH"),
    "TEMPORAL_TLS_CLIENT_CERT_DATA": ("TEMPORAL_TLS_CERT_DATA",),
    "TEMPORAL_TLS_CLIENT_KEY_PATH": ("TEMPORAL_TLS_KEY",),
    "TEMPORAL_TLS_CLIENT_KEY_DATA": ("TEMPORAL_TLS_KEY_DATA",),
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": ("TEMPORAL_TLS_CA",),
    "TEMPORAL_TLS_SERVER_CA_CERT_DATA": ("TEMPORAL_TLS_CA_DATA",),
    "TEMPORAL_TLS_SERVER_NAME": (),
    "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION": (),
    "TEMPORAL_PROFILE": (),
    "TEMPORAL_CONFIG_FILE": (),
    "TEMPORAL_TASK_QUEUE": (),
    "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": (),
    "TEMPORAL_METRICS_ADDRESS": (),
    "TEMPORAL_DEPLOYMENT_NAME": (),
    "TEMPORAL_WORKER_BUILD_ID": (),
}
DEFAULTS = {
    "TEMPORAL_ADDRESS": "localhost:7233",
    "TEMPORAL_NAMESPACE": "default",
    "TEMPORAL_TASK_QUEUE": "ap-default",
    "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": "30",
}
OFFICIAL = {name: setting for setting, names in SETTINGS.items() for name in (setting, *names)}
HEADER = "TEMPORAL_GRPC_META_"  # TEMPORAL_GRPC_META_X_TEAM=a sends the header x-team: a
ALIKE = re.compile(r"(\$env:)?te?[mp]", re.I)  # may be a misspelled setting
SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|AUTHORIZATION|_DATA)$", re.I)


@dataclass(frozen=True)
class Value:
    """One value from one source; `setting` is empty for a name that is not a setting."""

    setting: str
    name: str
    source: str
    text: str = field(repr=False)

    @property
    def shown(self) -> str:
        """The value, safe to print."""
        hidden = SECRET_NAME.search(self.setting or self.name) or self.name.startswith(HEADER)
        return "(hidden)" if self.text and hidden else redact(self.text, 200)

    def __str__(self) -> str:
        return f"{self.name}={self.shown} ({self.source})"


@dataclass(frozen=True)
class Settings:
    """All values, highest priority first, and the connection that results from them."""

    values: tuple[Value, ...]  # overridden ones and unknown names included
    profile: ClientConfigProfile = field(repr=False)  # with the contents of files loaded
    problems: tuple[Finding, ...] = field(default=(), repr=False)
    whole: bool = True
    env_file: Path | None = None

    def value(self, setting: str) -> Value:
        """The effective value; its source is `default` if nothing sets it."""
        default = Value(setting, setting, "default", DEFAULTS.get(setting, ""))
        return next((one for one in self.values if one.setting == setting), default)

    def is_set(self, setting: str) -> bool:
        """Whether any source but the defaults has a value for this setting."""
        return self.value(setting).source != "default"

    def __getitem__(self, setting: str) -> str:
        """The effective text, or an empty string; the path where a setting names a file."""
        return self.value(setting).text


def read_settings(environ: Mapping[str, str], env_file: Path | None = ENV_FILE) -> Settings:
    """Read the settings from all sources; without an `env_file`, from what `environ` names."""
    problems: list[Finding] = []
    values = _values("environment", environ, Path(), problems)
    if env_file and os.path.lexists(env_file):
        values += _values(".env", _env_file(env_file, problems), env_file.parent, problems)
    given = {one.setting: one.text for one in reversed(values)}
    if env_file or given.keys() & {"TEMPORAL_CONFIG_FILE", "TEMPORAL_PROFILE"}:
        source = f"profile {given.get('TEMPORAL_PROFILE', 'default')}"
        values += _values(source, _profile(given, problems), Path(), problems)
    whole = not problems  # every source could be read
    counts = {one.setting: one for one in reversed(values) if one.setting}
    env = {setting: one.text for setting, one in counts.items()}
    for setting in [name for name in env if name != text_setting(name)]:
        with _problem(problems, str(counts[setting]), f"{counts[setting].name}=<path of the file>"):
            text = _read_file(Path(env.pop(setting))).decode("utf-8-sig", errors="replace")
            remember_secret(text.strip())
            env[text_setting(setting)] = text.strip()
            if not text.strip():
                raise ValueError("the file is empty")
    cert, key = "TEMPORAL_TLS_CLIENT_CERT_DATA", "TEMPORAL_TLS_CLIENT_KEY_DATA"
    if key not in env and "PRIVATE KEY-----" in env.get(cert, ""):  # one PEM may hold both
        env[key] = env[cert]
        pem = counts.get(cert.replace("DATA", "PATH")) or counts[cert]
        values.append(replace(pem, setting=key))
    env = {**DEFAULTS, **env, "TEMPORAL_PROFILE": "default"}
    profile = ClientConfigProfile.load(override_env_vars=env, disable_file=True)
    return Settings(tuple(values), profile, tuple(problems), whole, env_file)


def text_setting(setting: str) -> str:
    """The setting for the same thing as text, where this one names a file."""
    return re.sub("_PATH$", "_DATA", setting).replace("API_KEY_FILE", "API_KEY")


def _values(
    source: str, layer: Mapping[str, str | None], folder: Path, problems: list[Finding]
) -> list[Value]:
    """One source's values, without blank ones."""
    values = []
    for name in sorted(layer):
        setting = name if name.startswith(HEADER) else OFFICIAL.get(name, "")
        text = (layer[name] or "").strip()
        if not setting and not ALIKE.match(name):
            continue
        if SECRET_NAME.search(setting or name):
            remember_secret(text)
        if len(text) > 65536 or re.search("[\ud800-\udfff]", text):
            problem = f"{name} ({source}) must be UTF-8 text of 64 KiB or less"
            problems.append(error(problem, f"{name}=<your value>"))
        elif text and setting.endswith(("_PATH", "_FILE")):
            values.append(Value(setting, name, source, str(folder / os.path.expanduser(text))))
        elif text or setting.startswith(HEADER):  # a blank header removes the profile's
            values.append(Value(setting, name, source, text))
    return values


@contextmanager
def _problem(problems: list[Finding], what: str, fix: str) -> Iterator[None]:
    """Record an error of this block: its first line alone, as the rest may quote the file."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as raised:
        reason = getattr(raised, "strerror", None) or str(raised).partition("\n")[0]
        problems.append(error(f"{what}: {reason}", fix))


def _read_file(path: Path) -> bytes:
    """The content of a regular file of 1 MiB or less; raises `OSError` or `ValueError`."""
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        data = file.read(2**20 + 1) if regular else b""
        if not regular or len(data) > 2**20:
            raise ValueError("it is not a regular file of 1 MiB or less")
        return data


def _env_file(path: Path, problems: list[Finding]) -> Mapping[str, str | None]:
    """The lines of `.env`; one that looks like a setting and is not NAME=value is a problem."""
    with _problem(problems, ".env cannot be read", f"make sure that {path} is UTF-8 and readable"):
        text = _read_file(path).decode("utf-8-sig")
        if "\0" in text:
            raise ValueError("it is UTF-16, as PowerShell writes it")
        logging.getLogger("dotenv.main").disabled = True  # reported here instead
        lines = dotenv_values(stream=io.StringIO(text))
        for name in re.findall(r"^(?:\s*\w+\s+)?\s*(TEMPORAL_\w+)", text, re.M):
            if name not in lines:
                fix = f"{name}=<value>, with matching quotes or none"
                problems.append(error(f"the line of {name} in .env is not NAME=value", fix))
        return lines
    return {}


def _profile(given: Mapping[str, str], problems: list[Finding]) -> Mapping[str, str]:
    """A profile of the TOML file, keyed by the names of the environment variables."""
    file, name = given.get("TEMPORAL_CONFIG_FILE"), given.get("TEMPORAL_PROFILE", "default")
    what = file or "the TOML file"
    with _problem(problems, what, f"fix {what}, or unset TEMPORAL_CONFIG_FILE"):
        source = _read_file(Path(file)) if file else None
        profiles = ClientConfig.load(config_source=source, override_env_vars={}).profiles
        wanted = "TEMPORAL_PROFILE" in given or (profiles and "TEMPORAL_ADDRESS" not in given)
        if name not in profiles and wanted:
            fix = f"TEMPORAL_PROFILE={' or '.join(profiles) or '<an existing profile>'}"
            problems.append(error(f"{what} has no profile {name!r}", fix))
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
