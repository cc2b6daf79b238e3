"""From the environment to a connected Temporal client.

    client = await get_temporal_client()

Settings come from the process environment, `.env` beside this file, a profile of Temporal's TOML
file and defaults, in this order. Temporal's own loader, `temporalio.envconfig`, does the parsing,
so every official name works and the `temporal` CLI reads the same settings.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from temporalio.envconfig import ClientConfigProfile, ClientConfigTLS

from temporal_checks import (
    CLOUD_DOMAINS,
    SECRET,
    Failure,
    Finding,
    check_names,
    check_settings,
    host_and_port,
    shown,
    worth,
    wrong,
)

if TYPE_CHECKING:  # importing the client takes 0.1 s: only who connects pays for it
    from temporalio.client import Client
    from temporalio.runtime import Runtime

ENV_FILE = Path(__file__).resolve().with_name(".env")
CONNECT_SECONDS = 8.0
DENIED = ("PERMISSION_DENIED", "UNAUTHENTICATED")  # the statuses that are about the caller

# Every setting by its official name, with the other names that it answers to.
CONNECTION_SETTINGS: dict[str, tuple[str, ...]] = {
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
}
PROCESS_SETTINGS: dict[str, tuple[str, ...]] = {
    "TEMPORAL_TASK_QUEUE": (),
    "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": (),
    "TEMPORAL_MAX_CONCURRENT_WORKFLOW_TASKS": (),
    "TEMPORAL_MAX_CONCURRENT_ACTIVITIES": (),
    "TEMPORAL_METRICS_ADDRESS": (),
    "TEMPORAL_DEPLOYMENT_NAME": (),
    "TEMPORAL_WORKER_BUILD_ID": (),
}
DEFAULTS = {
    "TEMPORAL_ADDRESS": "localhost:7233",
    "TEMPORAL_NAMESPACE": "default",
    "TEMPORAL_TASK_QUEUE": "ap-default",
    "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": "30",
    "TEMPORAL_MAX_CONCURRENT_WORKFLOW_TASKS": "100",
    "TEMPORAL_MAX_CONCURRENT_ACTIVITIES": "100",
}
SECRETS = {"TEMPORAL_API_KEY", "TEMPORAL_TLS_CLIENT_KEY_DATA", "TEMPORAL_TLS_CLIENT_CERT_DATA"}
HEADER = "TEMPORAL_GRPC_META_"  # TEMPORAL_GRPC_META_X_TEAM=a sends the header x-team: a
OFFICIAL_NAME = {
    name: official
    for official, aliases in {**CONNECTION_SETTINGS, **PROCESS_SETTINGS}.items()
    for name in (official, *aliases)
}


@dataclass(frozen=True)
class Origin:
    """Where a value came from: the name and source that set it, and the value fit to print."""

    name: str
    source: str
    shown: str

    def __str__(self) -> str:
        return f"{self.name}={self.shown} ({self.source})"


@dataclass(frozen=True, repr=False)
class Settings:
    """All that the kit takes from its environment. Secrets never show in its `repr`.

    Attributes:
        address: `host:port` of the server.
        namespace: The namespace; on Temporal Cloud `<name>.<account>`.
        api_key: API key, sent as a bearer token.
        tls: Whether the connection is encrypted.
        client_cert, client_key: PEM of certificate and private key, for mTLS.
        server_ca: PEM of the CA that the server's certificate comes from; `None`: the system's.
        server_name: The name to ask for, and to expect, in the server's certificate.
        headers: gRPC metadata for every call.
        task_queue: The queue that the worker polls and that pings go to.
        grace_seconds: What running tasks get to finish when the worker is told to stop.
        max_workflow_tasks, max_activities: How many of each a worker runs at a time.
        metrics_address: `host:port` to serve Prometheus metrics on; `None` opens no port.
        deployment_name, build_id: The Worker Deployment Version; `None`: unversioned.
        origins: By official name, where each value came from.
    """

    address: str
    namespace: str = DEFAULTS["TEMPORAL_NAMESPACE"]
    api_key: str | None = field(default=None, repr=False)
    tls: bool = False
    client_cert: bytes | None = field(default=None, repr=False)
    client_key: bytes | None = field(default=None, repr=False)
    server_ca: bytes | None = field(default=None, repr=False)
    server_name: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    task_queue: str = DEFAULTS["TEMPORAL_TASK_QUEUE"]
    grace_seconds: int = 30
    max_workflow_tasks: int = 100
    max_activities: int = 100
    metrics_address: str | None = None
    deployment_name: str | None = None
    build_id: str | None = None
    origins: Mapping[str, Origin] = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        # A key that was pasted into another setting stays hidden too.
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.repr}
        return f"Settings({', '.join(f'{k}={shown(repr(v))}' for k, v in values.items())})"

    @property
    def on_cloud(self) -> bool:
        """Whether the server is Temporal Cloud, reached by its own name or a private one."""
        hosts = (host_and_port(self.address)[0], self.server_name or "")
        return any(host.endswith(CLOUD_DOMAINS) or host == "cloud.temporal.io" for host in hosts)

    @property
    def server(self) -> str:
        """The server as the scripts' logs name it."""
        if self.on_cloud:
            return f"Temporal Cloud: {self.namespace}"
        return f"Temporal server: {self.address}"

    def web_ui(self, workflow_id: str, run_id: str) -> str | None:
        """Where Temporal's Web UI shows a run, if it is Cloud's or the local server's own."""
        base = "https://cloud.temporal.io" if self.on_cloud else "http://localhost:8233"
        if not self.on_cloud and self.address not in ("localhost:7233", "127.0.0.1:7233"):
            return None
        return f"{base}/namespaces/{self.namespace}/workflows/{workflow_id}/{run_id}"

    def origin(self, official: str) -> Origin:
        """Where the value of this setting came from."""
        default = Origin(official, "default", DEFAULTS.get(official, ""))
        return self.origins.get(official, default)

    def is_set(self, official: str) -> bool:
        """Whether any source but the defaults has a value for this setting."""
        return self.origin(official).source != "default"


class SettingsError(Failure):
    """The settings are wrong. `findings` holds every problem, each with the line to set."""


async def get_temporal_client(**overrides: Any) -> Client:
    """Connect to the Temporal server that the environment names.

    Args:
        **overrides: Go to `temporalio.client.Client.connect` as they are: a data converter,
            interceptors, plugins, a runtime.

    Raises:
        SettingsError: The settings are wrong; no connection was tried.
        RuntimeError, asyncio.TimeoutError: No connection within 8 s;
            `temporal_diagnosis.explain` tells why.
    """
    return await connect(load_settings(), **overrides)


def rotate(settings: Settings, fresh: Settings) -> Settings:
    """The settings with the credentials of fresher ones: what can change without a restart."""
    return replace(
        settings,
        api_key=fresh.api_key,
        client_cert=fresh.client_cert,
        client_key=fresh.client_key,
        server_ca=fresh.server_ca,
    )


async def connect(settings: Settings, **overrides: Any) -> Client:
    """Connect with these settings; see `get_temporal_client`."""
    from temporalio.client import Client, GrpcCompression, KeepAliveConfig, TLSConfig

    arguments: dict[str, Any] = {
        "namespace": settings.namespace,
        "api_key": settings.api_key,
        "tls": settings.tls
        and TLSConfig(
            server_root_ca_cert=settings.server_ca,
            domain=settings.server_name,
            client_cert=settings.client_cert,
            client_private_key=settings.client_key,
        ),
        "rpc_metadata": settings.headers,
        # After a network that drops packets silently is back, the SDK's own limits leave a worker
        # cut off for up to a minute more; with these it is a second. Servers bear no more than a
        # keep-alive every 10 s.
        "connect_timeout": timedelta(seconds=5),
        "keep_alive_config": KeepAliveConfig(interval_millis=15_000, timeout_millis=5_000),
        # To compress its many small messages takes a worker 7 % of its CPU time per ping, and 4 MB.
        # For large payloads over a metered line GZIP may be worth it.
        "grpc_compression": GrpcCompression.NONE,
    }
    if "runtime" not in overrides:
        arguments["runtime"] = sdk_runtime()
    # The SDK itself waits for ever on a server that accepts the connection and stays silent.
    return await asyncio.wait_for(
        Client.connect(settings.address, **{**arguments, **overrides}), CONNECT_SECONDS
    )


async def describe_namespace(client: Client) -> None:
    """Ask for the client's namespace, which connecting does not look at.

    Raises:
        RPCError: It is unknown or not allowed, or there is no answer within 2 s.
    """
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

    request = DescribeNamespaceRequest(namespace=client.namespace)
    await client.workflow_service.describe_namespace(request, timeout=timedelta(seconds=2))


async def require_right(call: Callable[..., Awaitable[Any]], request: Any) -> None:
    """Whether the credential may make a call, asked with a request that lacks its main part: a
    server turns down the caller before the request, so nothing comes of it.

    Raises:
        RPCError: PERMISSION_DENIED or UNAUTHENTICATED.
    """
    from temporalio.service import RPCError

    try:
        await call(request, timeout=timedelta(seconds=2))
    except RPCError as error:
        if error.status.name in DENIED:
            raise


@cache
def sdk_runtime(metrics_address: str | None = None) -> Runtime:
    """The SDK's runtime, with its log sent to Python's logging: left alone, it writes to standard
    output, between a script's results. One a process, as each has threads of its own.

    Args:
        metrics_address: `host:port` to serve Prometheus metrics on, if any.

    Raises:
        SettingsError: The metrics address is not to be had.
    """
    from temporalio import runtime

    metrics = None
    if metrics_address:
        # The SDK takes numeric addresses only, and keeps quiet about a port that is taken.
        host, port = host_and_port(metrics_address)
        try:
            family, _, _, _, (ip, *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            socket.create_server((str(ip), int(port)), family=family).close()
        except OSError as error:
            text = f"TEMPORAL_METRICS_ADDRESS={metrics_address}: {error.strerror}"
            mend = "TEMPORAL_METRICS_ADDRESS=<an address of this machine>:<a free port>"
            raise SettingsError([wrong(text, mend)]) from error
        metrics = runtime.PrometheusConfig(f"[{ip}]:{port}" if ":" in str(ip) else f"{ip}:{port}")
    log = logging.getLogger("temporalio.core")
    log_filter = runtime.TelemetryFilter(core_level="DEBUG", other_level="ERROR").formatted()
    if not log.isEnabledFor(logging.DEBUG):
        # Each poller of a worker would tell every few seconds that the server is away.
        log_filter = "ERROR,temporalio_client::retry=off"
    return runtime.Runtime(
        telemetry=runtime.TelemetryConfig(
            logging=runtime.LoggingConfig(log_filter, forwarding=runtime.LogForwardingConfig(log)),
            metrics=metrics,
        )
    )


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process, or of the environment given.

    Raises:
        SettingsError: With every problem at once.
    """
    settings, findings = read_settings(os.environ if environ is None else environ)
    if problems := [finding for finding in findings if finding.mark == "✗"]:
        raise SettingsError(problems)
    return settings


def read_settings(
    environ: Mapping[str, str], env_file: Path | None = ENV_FILE
) -> tuple[Settings, list[Finding]]:
    """Read and judge settings; depends on nothing but the sources given and the files they name.

    Args:
        environ: The process environment; wins over all else.
        env_file: A file as python-dotenv reads it, or `None`.

    Returns:
        The settings, as far as they can be made out, and all that is wrong or worth knowing.
    """
    read = _Reading()
    in_file = read.env_file(env_file, environ) if env_file and env_file.exists() else {}
    if env_file and not in_file:
        for other in sorted(env_file.parent.glob(".env?*")):
            if other.is_file() and re.search(rb"^TEMPORAL_\w+=.", other.read_bytes(), re.M):
                note = f"{other} has settings, and is not read"
                read.findings.append(worth(note, f"mv {other} {env_file}"))
    read.take(environ, "environment", Path())
    read.take(in_file, ".env", env_file.parent if env_file else Path())
    read.only_one("TEMPORAL_API_KEY", "TEMPORAL_API_KEY_FILE")
    for kind in ("CLIENT_CERT", "CLIENT_KEY", "SERVER_CA_CERT"):
        read.only_one(f"TEMPORAL_TLS_{kind}_PATH", f"TEMPORAL_TLS_{kind}_DATA")
    if key_file := read.values.pop("TEMPORAL_API_KEY_FILE", None):
        text = read.content("TEMPORAL_API_KEY_FILE", Path(key_file)) or b""
        if b"\0" in text:
            fault = "is UTF-16 text, as PowerShell writes it"
            read.wrong(f"{read.origins['TEMPORAL_API_KEY_FILE']} {fault}", "save it as UTF-8")
            text = b""
        read.values["TEMPORAL_API_KEY"] = text.decode("utf-8-sig", errors="replace")
        read.origins["TEMPORAL_API_KEY"] = replace(
            read.origins["TEMPORAL_API_KEY_FILE"], shown="(hidden)"
        )
    profile = read.profile()
    tls = profile.tls or ClientConfigTLS(disabled=not profile.api_key)
    cert = read.content("TEMPORAL_TLS_CLIENT_CERT_PATH", tls.client_cert)
    key = read.content("TEMPORAL_TLS_CLIENT_KEY_PATH", tls.client_private_key)
    if cert and not key and b"PRIVATE KEY-----" in cert:
        key = cert  # one PEM file may hold both
    settings = Settings(
        address=profile.address or DEFAULTS["TEMPORAL_ADDRESS"],
        namespace=profile.namespace or DEFAULTS["TEMPORAL_NAMESPACE"],
        api_key=profile.api_key,
        tls=not tls.disabled,
        client_cert=cert,
        client_key=key,
        server_ca=read.content("TEMPORAL_TLS_SERVER_CA_CERT_PATH", tls.server_root_ca_cert),
        server_name=tls.server_name,
        headers=profile.grpc_meta,
        task_queue=read.values.get("TEMPORAL_TASK_QUEUE", DEFAULTS["TEMPORAL_TASK_QUEUE"]),
        grace_seconds=read.number("TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS", 0),
        max_workflow_tasks=read.number("TEMPORAL_MAX_CONCURRENT_WORKFLOW_TASKS", 2),
        max_activities=read.number("TEMPORAL_MAX_CONCURRENT_ACTIVITIES", 1),
        metrics_address=read.values.get("TEMPORAL_METRICS_ADDRESS"),
        deployment_name=read.values.get("TEMPORAL_DEPLOYMENT_NAME"),
        build_id=read.values.get("TEMPORAL_WORKER_BUILD_ID"),
        origins=read.origins,
    )
    named = {**in_file, **environ}
    secrets_in_file = SECRETS & {OFFICIAL_NAME.get(name) for name in in_file}
    return settings, [
        *read.findings,
        *check_names(named, OFFICIAL_NAME, settings),
        *check_settings(settings, named, env_file if secrets_in_file else None),
    ]


Part = TypeVar("Part", ClientConfigProfile, ClientConfigTLS)


def _trimmed(part: Part) -> Part:
    """A part of a profile without white space around its values; a blank one is not set."""
    trimmed: dict[str, Any] = {}
    for name, value in vars(part).items():
        if isinstance(value, (str, bytes)):
            trimmed[name] = value.strip() or None
        elif isinstance(value, Path) and not value.name.strip():
            trimmed[name] = None
    return replace(part, **trimmed)


@dataclass
class _Reading:
    """Values and origins by official name, and what was found wrong while reading them."""

    values: dict[str, str] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def wrong(self, text: str, *remedy: str) -> None:
        self.findings.append(wrong(text, *remedy))

    def env_file(self, path: Path, environ: Mapping[str, str]) -> Mapping[str, str | None]:
        try:
            text = path.read_text(encoding="utf-8-sig")
            if "\0" in text:  # UTF-16 without the mark that says so
                raise UnicodeError
        except UnicodeError:
            self.wrong(".env is not UTF-8 text", f"save {path} again, as UTF-8")
            return {}
        except OSError as error:
            mend = f"make {path} a file" if path.is_dir() else f"chmod 600 {path}"
            self.wrong(f".env cannot be read: {error.strerror}", mend)
            return {}
        from dotenv import dotenv_values  # who has no .env does not pay for it
        from dotenv.parser import parse_stream

        logging.getLogger("dotenv.main").setLevel(logging.CRITICAL)  # its warnings come from here:
        seen: dict[str, str] = {}
        for binding in parse_stream(io.StringIO(text)):
            string, value = binding.original.string, (binding.value or "").strip()
            blank = len(string) - len(string.lstrip())
            where = f".env, line {binding.original.line + string[:blank].count(chr(10))},"
            if binding.error and (name := re.search(r"TEMPORAL_\w+", string)):
                remedy = f"{shown(name[0])}=<value>, with both its quotes or none"
                self.wrong(f"{where} is not NAME=value", remedy)
            elif not value.isprintable() and re.search(r'"[A-Z]:\\', string):
                remedy = f"{shown(binding.key or '')}='<the path>', in single quotes"
                self.wrong(f"{where} has backslashes in double quotes, which changes them", remedy)
            elif value and seen.setdefault(binding.key or "", value) != value:
                note = f"{where} sets {shown(binding.key or '')} again, and counts"
                self.findings.append(worth(note, "keep one of the two lines"))
        if re.search(r"^\[profile\.", text, re.M):
            self.wrong(".env has a TOML profile in it", "TEMPORAL_CONFIG_FILE=<a file of its own>")
        behind = r"^#\s*(TEMPORAL_(?:ADDRESS|NAMESPACE|API_KEY))=[^<\s]+(?:\s|$)"
        with_cert = any("CERT" in name for name in seen)
        filled = {name for name in re.findall(behind, text, re.M) if name not in (*seen, *environ)}
        if filled and not (with_cert and filled == {"TEMPORAL_API_KEY"}):
            note = f"behind a # in .env, and so not set: {', '.join(sorted(filled))}"
            self.findings.append(worth(note, "remove the # from the lines that you filled in"))
        return dotenv_values(stream=io.StringIO(text))

    def take(self, layer: Mapping[str, str | None], source: str, base: Path) -> None:
        """Add a source's values, where no source above has them."""
        own: dict[str, tuple[str, Origin]] = {}
        for name in sorted(layer):
            official = name if name.startswith(HEADER) else OFFICIAL_NAME.get(name)
            value = (layer[name] or "").strip()
            if not official or not value:
                continue
            if any("\ud800" <= letter <= "\udfff" for letter in value):
                self.wrong(f"{name} ({source}) is not UTF-8 text", f"{name}=<your value>")
                continue
            hidden = official in SECRETS or official.startswith(HEADER)
            if official.endswith(("_PATH", "_FILE")) and not SECRET.search(value):
                # Scripts run from any directory: a path in `.env` is meant from where `.env` is.
                path = base / Path(value).expanduser()
                # No file, but a key in its place?
                hidden |= bool(re.fullmatch(r"[\w+=-]{24,}", value)) and not os.path.exists(path)
                value = str(path)
            origin = Origin(name, source, "(hidden)" if hidden else shown(value))
            first_value, first = own.setdefault(official, (value, origin))
            if first_value != value:
                text = f"{first} and {origin} are one setting with two values"
                self.wrong(text, f"keep one of the two names: {official}=<value>")
            if official not in self.values:
                self.values[official], self.origins[official] = value, origin
            elif self.values[official] != value and self.origins[official].name != name:
                self.findings.append(worth(f"{origin} gives way to {self.origins[official]}"))

    def only_one(self, one: str, other: str) -> None:
        if one in self.values and other in self.values:
            name, other_name = self.origins[one].name, self.origins[other].name
            self.wrong(f"{name} and {other_name} are both set", f"unset {other_name}, or {name}")
            del self.values[other]

    def number(self, official: str, least: int) -> int:
        text = self.values.get(official, DEFAULTS[official])
        if text.isdecimal() and least <= int(text) < 1_000_000:
            return int(text)
        text = f"{self.origins[official]} is no whole number from {least}"
        self.wrong(text, f"{official}={DEFAULTS[official]}")
        return int(DEFAULTS[official])

    def content(self, official: str, source: Path | str | bytes | None) -> bytes | None:
        if not isinstance(source, Path):
            return source.encode() if isinstance(source, str) else source
        if SECRET.search(str(source)):
            text = f"{self.origins[official]} is no path, but what belongs into the file"
            mend = official.replace("_PATH", "_DATA").replace("_FILE", "")
            self.wrong(text, f"{mend}=<that text>, and unset {self.origins[official].name}")
            return None
        try:
            if data := source.read_bytes().strip():
                return data
            fault = "is empty"
        except FileNotFoundError:
            fault = "does not exist" if source.is_absolute() else f"does not exist in {Path.cwd()}"
        except OSError as error:
            fault = f"cannot be read: {error.strerror}"
        denied = f"chmod u+r {source}, as its owner" if "denied" in fault else ""
        text = f"{self.origins[official]}: the file {fault}"
        self.wrong(text, denied or f"{self.origins[official].name}=<path of the file>")
        return None

    def unknown_field(self, file: str | None, env: Mapping[str, str]) -> None:
        """A misspelt name in the TOML file, which the loader passes over in silence."""
        try:
            ClientConfigProfile.load(override_env_vars=env, config_file_strict=True)
        except RuntimeError as error:
            if field := re.search(r"unknown field `[^`]+`.*", str(error)):
                text = f"{file or 'the TOML file'}: {shown(field[0])}"
                self.findings.append(worth(text, "mend the name there: as it is, it is ignored"))

    def profile(self) -> ClientConfigProfile:
        """Have Temporal's own loader read the values and its TOML file; note what that adds."""
        env = dict(self.values)
        for switch in ("TEMPORAL_TLS", "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"):
            if env.get(switch, "true").lower() not in ("true", "false", "1", "0"):
                # The loader takes any other word for "on".
                off = env[switch].lower() in ("off", "no", "n", "f", "none", "disabled", "disable")
                mend = f"{switch}={'false' if off or 'DISABLE' in switch else 'true'}"
                self.wrong(f"{self.origins[switch]} is neither true nor false", mend)
                del env[switch]
        # This SDK always verifies; to the loader the name alone would mean "TLS on".
        env.pop("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", None)
        file, name = env.get("TEMPORAL_CONFIG_FILE"), env.get("TEMPORAL_PROFILE", "default")
        try:
            if file and not os.path.exists(file):  # the loader would go on without it
                raise RuntimeError("it does not exist")
            profile = ClientConfigProfile.load(override_env_vars=env)
            self.unknown_field(file, env)
        except RuntimeError as error:
            # The first line alone: what follows quotes the file, and so may quote a key.
            reason = str(error).splitlines()[0].rpartition(": ")[2].replace(name, shown(name))
            text = f"profile {shown(name)!r} of {shown(file or 'the TOML file')}: {reason}"
            self.wrong(text, "mend that, or unset TEMPORAL_CONFIG_FILE and TEMPORAL_PROFILE")
            return ClientConfigProfile.load(override_env_vars=env, disable_file=True)
        profile = _trimmed(replace(profile, tls=profile.tls and _trimmed(profile.tls)))
        tls = profile.tls or ClientConfigTLS()
        for official, value in (
            ("TEMPORAL_ADDRESS", profile.address),
            ("TEMPORAL_NAMESPACE", profile.namespace),
            ("TEMPORAL_API_KEY", profile.api_key),
            ("TEMPORAL_TLS", None if tls.disabled is None else str(not tls.disabled).lower()),
            ("TEMPORAL_TLS_CLIENT_CERT", tls.client_cert),
            ("TEMPORAL_TLS_CLIENT_KEY", tls.client_private_key),
            ("TEMPORAL_TLS_SERVER_CA_CERT", tls.server_root_ca_cert),
            ("TEMPORAL_TLS_SERVER_NAME", tls.server_name),
        ):
            if official.startswith("TEMPORAL_TLS_") and official.endswith(("_CERT", "_KEY")):
                official += "_PATH" if isinstance(value, Path) else "_DATA"  # noqa: PLW2901
            if value and official not in self.values:
                printable = "(hidden)" if official in SECRETS else shown(str(value))
                self.origins[official] = Origin(official, f"profile {shown(name)}", printable)
        return profile
