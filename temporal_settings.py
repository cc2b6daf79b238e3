"""Reads what is configured, and records where each value came from.

Settings come from the process environment, `.env` beside this file, a profile of Temporal's TOML
file and defaults; the first source with a value wins. Temporal's loader, `temporalio.envconfig`,
turns them into a connection, so every official name works here as it does for the `temporal` CLI.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

from temporalio.envconfig import ClientConfigProfile
from temporalio.service import HttpConnectProxyConfig

from temporal_findings import Finding, error, redact, remember_secret
from temporal_sources import choose_proxy, collect, read_env_file, read_file, read_profile

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
    "HTTPS_PROXY": ("https_proxy",),
    "NO_PROXY": ("no_proxy",),
}
DEFAULTS = {
    "TEMPORAL_ADDRESS": "localhost:7233",
    "TEMPORAL_NAMESPACE": "default",
    "TEMPORAL_TASK_QUEUE": "ap-default",
    "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": "30",
}
SETTING_OF = {name: setting for setting, names in SETTINGS.items() for name in (setting, *names)}
CLOUD_HOST = re.compile(r"(.+\.)?(tmprl\.cloud|api\.temporal\.io)\.?|cloud\.temporal\.io", re.I)
HEADER = "TEMPORAL_GRPC_META_"  # TEMPORAL_GRPC_META_X_TEAM=a sends the header x-team: a
SETTING_LIKE = re.compile(r"(\$env:)?te?[mp]", re.I)  # may be a misspelled setting
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

    @property
    def removal(self) -> str:
        """The line that removes it from where it is set."""
        if self.source == "environment":
            return f"unset {self.name}"
        in_toml = re.sub("^(tls|grpc_meta)_", r"\1.", self.name.removeprefix("TEMPORAL_").lower())
        return f"take {self.name if self.source == '.env' else in_toml} out of {self.source}"

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
        value = self.value(setting)
        return value.source != "default" and bool(value.text)

    @property
    def host(self) -> str:
        """The host of the address, in lower case."""
        return re.sub(r":\d*$", "", self["TEMPORAL_ADDRESS"]).rstrip(".").lower()

    @property
    def on_cloud(self) -> bool:
        """Whether the server is Temporal Cloud, reached by its own name or a private one."""
        return any(map(CLOUD_HOST.fullmatch, (self.host, self["TEMPORAL_TLS_SERVER_NAME"])))

    @property
    def server(self) -> str:
        """How log messages refer to the server."""
        if self.on_cloud:
            return f"Temporal Cloud: {self['TEMPORAL_NAMESPACE']}"
        return f"Temporal server: {self['TEMPORAL_ADDRESS']}"

    def find_proxy(self) -> HttpConnectProxyConfig | None:
        """The HTTP proxy on the way to the server; raises `ValueError` for one of another kind."""
        host, port = self.host.strip("[]"), self["TEMPORAL_ADDRESS"].rpartition(":")[2]
        return choose_proxy(self["HTTPS_PROXY"], self["NO_PROXY"], host, port)

    def __getitem__(self, setting: str) -> str:
        """The effective text, or an empty string; the path where a setting names a file."""
        return self.value(setting).text


def read_settings(
    environ: Mapping[str, str] = os.environ, env_file: Path | None = ENV_FILE
) -> Settings:
    """Read all sources; without an `env_file`, only `environ` and the TOML file it may name."""
    problems: list[Finding] = []
    values = _values("environment", environ, "", problems)
    if env_file and os.path.lexists(env_file):
        values += _values(".env", read_env_file(env_file, problems), str(env_file.parent), problems)
    given = {one.setting: one.text for one in reversed(values)}  # the first source wins
    if env_file or given.keys() & {"TEMPORAL_CONFIG_FILE", "TEMPORAL_PROFILE"}:
        source = f"profile {given.get('TEMPORAL_PROFILE', 'default')}"
        values += _values(source, read_profile(given, problems), "", problems)
    whole = not problems  # every source could be read
    counts = {one.setting: one for one in reversed(values) if one.setting}
    env = {setting: one.text for setting, one in counts.items()}
    for setting in [name for name in env if name != text_setting(name)]:
        with collect(problems, str(counts[setting]), f"{counts[setting].name}=<path of the file>"):
            text = read_file(env.pop(setting)).decode("utf-8-sig", "replace").strip()
            remember_secret(text)
            env[text_setting(setting)] = text
            if not text:
                raise ValueError("the file is empty")
    cert, key = "TEMPORAL_TLS_CLIENT_CERT_DATA", "TEMPORAL_TLS_CLIENT_KEY_DATA"
    keyed = {key, "TEMPORAL_TLS_CLIENT_KEY_PATH"} & counts.keys()
    if not keyed and "PRIVATE KEY-----" in env.get(cert, ""):  # one PEM may hold both
        env[key] = env[cert]
        pem = counts.get(cert.replace("DATA", "PATH")) or counts[cert]
        values.append(replace(pem, setting=key))
    env = {**DEFAULTS, **env, "TEMPORAL_PROFILE": "default"}  # which is in `env` already
    profile = ClientConfigProfile.load(override_env_vars=env, disable_file=True)
    return Settings(tuple(values), profile, tuple(problems), whole, env_file)


def text_setting(setting: str) -> str:
    """The setting that holds as text what this one names a file for; otherwise itself."""
    return re.sub("_PATH$", "_DATA", setting).replace("API_KEY_FILE", "API_KEY")


def _values(
    source: str, layer: Mapping[str, str | None], folder: str, problems: list[Finding]
) -> list[Value]:
    """One source's values, without blank ones."""
    values = []
    for name in sorted(layer):
        setting = name if name.startswith(HEADER) else SETTING_OF.get(name, "")
        text = (layer[name] or "").strip()
        if not setting and not SETTING_LIKE.match(name):
            continue
        if SECRET_NAME.search(setting or name):
            remember_secret(text)
            remember_secret(text.rpartition(" ")[2])  # of `Bearer <key>`
        user = text.rpartition("@")[0].rpartition("//")[2]  # of a URL, as HTTPS_PROXY
        remember_secret(unquote(user.partition(":")[2]))
        if setting and (len(text) > 65536 or re.search("[\ud800-\udfff]", text)):
            unfit = f"{name} ({source}) must be UTF-8 text of 64 KiB or less"
            problems.append(error(unfit, f"{name}=<your value>"))
        elif text and setting.endswith(("_PATH", "_FILE")):
            path = os.path.join(folder, os.path.expanduser(text))
            values.append(Value(setting, name, source, path))
        elif text or setting.startswith(HEADER):  # a blank header removes the profile's
            values.append(Value(setting, name, source, text))
    return values
