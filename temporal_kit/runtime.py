"""The SDK's runtime: its log, its metrics, and the end of its threads."""

import atexit
import gc
import logging
import re
import socket
import time
import weakref
from collections import deque
from datetime import timedelta
from functools import cache
from ipaddress import ip_address

from temporalio import runtime
from temporalio.envconfig import ClientConfigProfile

from .findings import Failure, error

REFUSED_POLLS = "temporalio_sdk_core::pollers::poll_buffer"  # logged at debug level by the SDK
# Told already, by the worker, the SDK's Python part or the error of a failed connection; the last
# is about the time-skipping test server.
TOLD_ELSEWHERE = re.compile(
    "code: (Unavailable|Cancelled)|Failing workflow task(?!.*Nondetermin)|Disabling DNS load"
    "|activity_failure_include_heartbeat",
    re.S,
)
END_SECONDS = 0.5

_logged: deque[tuple[str, int]] = deque(maxlen=1000)  # messages of the SDK, and the hour
_runtimes: weakref.WeakSet[runtime.Runtime] = weakref.WeakSet()


def sdk_runtime(metrics_address: str = "", yours: runtime.Runtime | None = None) -> runtime.Runtime:
    """The SDK's runtime of this process, whose log goes through Python's logging.

    With the SDK's default one it would go to standard output, between a script's results. With a
    `metrics_address`, `host:port`, the runtime serves Prometheus metrics there; there is one
    runtime for each address, and one without. A runtime of `yours` is returned as it is. Raises
    `Failure` if the address cannot be used, or `yours` is given beside it.
    """
    if yours and metrics_address:
        text = "TEMPORAL_METRICS_ADDRESS has no effect on a runtime of your own"
        raise Failure(error(text, "unset TEMPORAL_METRICS_ADDRESS"))
    if yours:
        _runtimes.add(yours)
    return yours or _make_runtime(metrics_address)


@cache
def _make_runtime(metrics_address: str) -> runtime.Runtime:
    """The one runtime for this address."""
    if metrics_address:
        _check_metrics_address(metrics_address)
    made = runtime.Runtime(
        telemetry=runtime.TelemetryConfig(
            logging=_forward_log(),
            metrics=runtime.PrometheusConfig(metrics_address) if metrics_address else None,
        ),
        # The check finds workers on other task queues by heartbeats; the SDK's default is a minute.
        worker_heartbeat_interval=timedelta(seconds=10),
    )
    _runtimes.add(made)
    return made


def _forward_log() -> runtime.LoggingConfig:
    """Send the SDK's log to the logger `temporalio.core`: what is news, or all at debug level."""
    core = logging.getLogger("temporalio.core")
    level = runtime.TelemetryFilter(core_level="DEBUG", other_level="ERROR").formatted()
    if not logging.getLogger("temporalio").isEnabledFor(logging.DEBUG):
        level = f"WARN,{REFUSED_POLLS}=DEBUG"
        core.setLevel(logging.DEBUG)
        core.addFilter(_is_news)
    return runtime.LoggingConfig(level, forwarding=runtime.LogForwardingConfig(core))


def _check_metrics_address(address: str) -> None:
    """Raise `Failure` if nothing can listen there; the SDK does not report a taken port."""
    try:
        host, port = split_numeric_address(address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except (OSError, ValueError, OverflowError) as problem:
        text = f"TEMPORAL_METRICS_ADDRESS={address}: {problem}"
        fix = "TEMPORAL_METRICS_ADDRESS=127.0.0.1:<a free port>"
        other = "or TEMPORAL_METRICS_ADDRESS=127.0.0.1:0   # any free port, for several workers"
        raise Failure(error(text, fix, other)) from problem


def split_numeric_address(address: str) -> tuple[str, int]:
    """IP address, without brackets, and port; raises `ValueError` for what the SDK refuses."""
    host, _, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    is_ipv6 = ip_address(bare).version == 6
    if is_ipv6 != (host == f"[{bare}]") or not (port.isascii() and port.isdigit()):
        raise ValueError("it is neither address:port nor [IPv6 address]:port")
    return bare, int(port)


def _is_news(record: logging.LogRecord) -> bool:
    """Let each message of the SDK through once an hour: it is repeated with every retry."""
    message = re.sub(r"\d+", "", record.getMessage()[:200]), int(time.monotonic() // 3600)
    if message in _logged or TOLD_ELSEWHERE.search(record.getMessage()):
        return False
    _logged.append(message)
    if record.levelno < logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


@atexit.register
def end_runtimes() -> bool:
    """Wait up to 0.5 s for the SDK's threads to end with the last client; returns whether they did.

    Threads of the SDK that are alive when the interpreter shuts down crash it now and then, after
    all work is done (temporalio/sdk-python issue 300).
    """
    _make_runtime.cache_clear()
    deadline = time.monotonic() + END_SECONDS
    while _runtimes and time.monotonic() < deadline:  # which holds them weakly
        _have_the_sdk_drop_its_garbage()
        gc.collect()
        time.sleep(0.001)
    return not _runtimes and not _sdk_has_its_own()


def _have_the_sdk_drop_its_garbage() -> None:
    """Make a harmless call of the SDK: any of them releases what its threads have left behind."""
    ClientConfigProfile.load(override_env_vars={}, disable_file=True)


def _sdk_has_its_own() -> bool:
    """Whether a client was given no runtime: the SDK's default one lives as long as the process.

    Asking for it by `Runtime.default()` would make it.
    """
    made = getattr(runtime, "_runtime_ref", None)
    return getattr(made, "_default_runtime", None) is not None
