"""The settings: what each is called, which value of it counts, and what follows from them."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from temporalio.envconfig import ClientConfigProfile
from temporalio.service import HttpConnectProxyConfig, TLSConfig

from .findings import Failure, Finding, error
from .proxy import choose_proxy
from .redaction import redact

if TYPE_CHECKING:
    from temporalio.common import WorkerDeploymentVersion

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
    "TEMPORAL_ENVIRONMENT_ONLY": (),
    "TEMPORAL_TASK_QUEUE": (),
    "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": (),
    "TEMPORAL_METRICS_ADDRESS": (),
    "TEMPORAL_DEPLOYMENT_NAME": (),
    "TEMPORAL_WORKER_BUILD_ID": (),
    "HTTPS_PROXY": ("https_proxy",),
    "NO_PROXY": ("no_proxy",),
}
SETTING_OF = {name: setting for setting, names in SETTINGS.items() for name in (setting, *names)}
HEADER = "TEMPORAL_GRPC_META_"  # TEMPORAL_GRPC_META_X_TEAM=a sends the header x-team: a
API_KEY_HEADER = f"{HEADER}AUTHORIZATION"
API_KEY = ("TEMPORAL_API_KEY", "TEMPORAL_API_KEY_FILE", API_KEY_HEADER)
CERT = ("TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_DATA")
CERT_KEY = ("TEMPORAL_TLS_CLIENT_KEY_PATH", "TEMPORAL_TLS_CLIENT_KEY_DATA")
SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|AUTHORIZATION|_DATA)$", re.I)
CLOUD_HOST = re.compile(r"(.+\.)?(tmprl\.cloud|api\.temporal\.io)\.?|cloud\.temporal\.io", re.I)
# <name>.<account>; <cloud>-<region>.region is the endpoint of a replica.
CLOUD_NAMESPACE = re.compile(r"[a-z][a-z0-9-]{0,37}[a-z0-9]\.(?!region$)[a-z0-9]{5,}", re.I)
LOCAL_ADDRESS = "localhost:7233"  # of `temporal server start-dev`


def setting_of(name: str) -> str:
    """The setting that goes by this name, or ""; headers are the same in any case."""
    if name.startswith(HEADER):
        return HEADER + name.removeprefix(HEADER).upper().replace("-", "_")
    return SETTING_OF.get(name, "")


def is_on(switch: str) -> bool:
    """Whether the text of a switch means that it is on."""
    return switch.strip().lower() in ("true", "1")


def text_setting(setting: str) -> str:
    """TEMPORAL_API_KEY for TEMPORAL_API_KEY_FILE, and so on: two ways to set the same thing."""
    if setting.startswith(HEADER):
        return setting
    return re.sub("_PATH$", "_DATA", setting).replace("API_KEY_FILE", "API_KEY")


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

    def may_be_shown_as(self, setting: str) -> bool:
        """Whether the text is no secret, and would not be one as the value of this setting."""
        return self.shown == self.text and not SECRET_NAME.search(setting)

    @property
    def removal(self) -> str:
        """The line that removes it from where it is set."""
        if self.source == "environment":
            return f"unset {self.name}"
        field_name = self.name.removeprefix("TEMPORAL_").lower()
        in_toml = re.sub("^(tls|grpc_meta)_", r"\1.", field_name)
        in_toml = "tls.disabled" if in_toml == "tls" else in_toml
        return f"take {self.name if self.source == '.env' else in_toml} out of {self.source}"

    def __str__(self) -> str:
        return f"{self.name}={self.shown} ({self.source})"


@dataclass(frozen=True)
class Settings:
    """What is configured: every value with its source, and the connection that results."""

    values: tuple[Value, ...]  # highest priority first; overridden ones and unknown names included
    profile: ClientConfigProfile = field(repr=False)  # with the contents of files loaded
    problems: tuple[Finding, ...] = field(default=(), repr=False)  # of reading the sources
    complete: bool = True  # whether every source could be read
    env_file: Path | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)

    def effective(self, setting: str) -> Value:
        """The value that counts for what this setting sets, by whichever of its names it is set.

        Its source is `default` if nothing sets it. Raises `KeyError` for a name that is not a
        setting's official one.
        """
        if setting not in SETTINGS and not setting.startswith(HEADER):
            raise KeyError(setting)
        default = Value(setting, setting, "default", self.defaults.get(setting, ""))
        return next(self._values_for(setting), default)

    def value(self, setting: str) -> Value:
        """The value of this very setting, if it counts; else one whose source is `default`.

        A key as text does not count, for one, where a source above names a file with a key.
        """
        found = self.effective(setting)
        return found if found.setting == setting else Value(setting, setting, "default", "")

    def overridden(self, setting: str) -> list[Value]:
        """The values of other sources that the effective one hides, the uppermost first."""
        counts = self.effective(setting)
        return [value for value in self._values_for(setting) if value.source != counts.source]

    def _values_for(self, setting: str) -> Iterator[Value]:
        """The values of what this setting sets, by whichever of its names, the uppermost first."""
        for value in self.values:
            if value.setting and text_setting(value.setting) == text_setting(setting):
                yield value

    def text(self, setting: str) -> str:
        """The text that counts, or ""; where a setting names a file, its path."""
        return self.value(setting).text

    def is_set(self, setting: str) -> bool:
        """Whether this very setting counts, and not by default."""
        value = self.value(setting)
        return value.source != "default" and bool(value.text)

    def with_task_queue(self, task_queue: str) -> "Settings":
        """The same settings with another task queue, as given on the command line."""
        given = Value("TEMPORAL_TASK_QUEUE", "--task-queue", "command line", task_queue)
        return replace(self, values=(given, *self.values))

    @property
    def address(self) -> str:
        """`host:port` of the server (TEMPORAL_ADDRESS)."""
        return self.text("TEMPORAL_ADDRESS")

    @property
    def namespace(self) -> str:
        """The namespace (TEMPORAL_NAMESPACE)."""
        return self.text("TEMPORAL_NAMESPACE")

    @property
    def task_queue(self) -> str:
        """The task queue that workers poll and pings are sent to (TEMPORAL_TASK_QUEUE)."""
        return self.text("TEMPORAL_TASK_QUEUE")

    @property
    def api_key(self) -> str | None:
        """The API key, as text or out of its file (TEMPORAL_API_KEY, TEMPORAL_API_KEY_FILE)."""
        return self.profile.api_key

    @property
    def tls(self) -> bool | TLSConfig | None:
        """How to use TLS (TEMPORAL_TLS and TEMPORAL_TLS_*); None lets the SDK decide.

        The SDK then uses it with an API key, and not without.
        """
        return self.profile.to_client_connect_config().get("tls")

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers to send with every call (TEMPORAL_GRPC_META_*)."""
        return self.profile.grpc_meta

    @property
    def proxy(self) -> HttpConnectProxyConfig | None:
        """The HTTP proxy on the way to the server (HTTPS_PROXY, NO_PROXY).

        Raises `ValueError` for a proxy of another kind, which `read_settings` reports.
        """
        host, port = self.host.strip("[]"), self.address.rpartition(":")[2]
        return choose_proxy(self.text("HTTPS_PROXY"), self.text("NO_PROXY"), host, port)

    @property
    def metrics_address(self) -> str:
        """`host:port` where a worker serves metrics, or "" (TEMPORAL_METRICS_ADDRESS)."""
        return self.text("TEMPORAL_METRICS_ADDRESS")

    @property
    def graceful_shutdown_timeout(self) -> timedelta:
        """The time that running work gets to finish (TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS).

        Raises `SettingsError` if that is not a whole number of seconds.
        """
        value = self.value("TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS")
        if not re.fullmatch("[0-9]{1,6}", value.text):
            problem = error(f"{value} is not a whole number of seconds", f"{value.name}=30")
            raise SettingsError(problem, settings=self)
        return timedelta(seconds=int(value.text))

    @property
    def deployment(self) -> "WorkerDeploymentVersion | None":
        """The version that a worker polls as; None for an unversioned one.

        From TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID.
        """
        from temporalio.common import WorkerDeploymentVersion

        build = self.text("TEMPORAL_WORKER_BUILD_ID")
        return (
            WorkerDeploymentVersion(self.text("TEMPORAL_DEPLOYMENT_NAME"), build) if build else None
        )

    @property
    def host(self) -> str:
        """The host of the address, in lower case."""
        return re.sub(r":\d*$", "", self.address).rstrip(".").lower()

    @property
    def on_cloud(self) -> bool:
        """Whether the server is Temporal Cloud, reached by its own name or a private one."""
        server_name = self.text("TEMPORAL_TLS_SERVER_NAME")
        return any(CLOUD_HOST.fullmatch(name) for name in (self.host, server_name))

    @property
    def server(self) -> str:
        """How messages refer to the server and, if there is one, to the proxy on the way to it."""
        name = f"server: {self.address}" if not self.on_cloud else f"Cloud: {self.namespace}"
        way = f", through the proxy {self.proxy.target_host} (HTTPS_PROXY)" if self.proxy else ""
        return f"Temporal {name}{way}"

    def web_ui_link(self, workflow_id: str, run_id: str) -> str:
        """Where Temporal's Web UI shows a workflow run, or "" where that is not known."""
        namespace, workflow_id = (quote(name, safe="") for name in (self.namespace, workflow_id))
        page = f"namespaces/{namespace}/workflows/{workflow_id}/{run_id}"
        if self.on_cloud:
            return f"https://cloud.temporal.io/{page}"
        return f"http://localhost:8233/{page}" if self.address == LOCAL_ADDRESS else ""

    def table(self) -> str:
        """For people: where `.env` is, and a line per setting with its value and source."""
        lines = [f"Settings ({self._where_env_file_is()}):"]
        for setting in SETTINGS:
            value = self.value(setting)
            alias = f" as {value.name}" if value.name != setting else ""
            source = f"   ({value.source}{alias})" if value.text else ""
            lines.append(f"  {setting} = {value.shown or 'not set'}{source}")
        return "\n".join(lines)

    def _where_env_file_is(self) -> str:
        """The path of `.env`, or where it was looked for; from here, if it is in this folder."""
        if self.env_file is None:
            return "no .env"
        path = self.env_file
        with suppress(ValueError, FileNotFoundError):  # it is elsewhere, or this folder is gone
            path = path.relative_to(Path.cwd())
        is_there = os.path.exists(self.env_file)
        return redact(f"{path} is read" if is_there else f"there is no {path}")


class SettingsError(Failure):
    """The settings are wrong; `findings` has every problem, `settings` what was read."""

    def __init__(self, *findings: Finding, settings: Settings) -> None:
        self.settings = settings
        super().__init__(*findings)
