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

from temporalio import runtime
from temporalio.envconfig import ClientConfigProfile

from temporal_findings import SettingsError, error

REFUSED_POLLS = "temporalio_sdk_core::pollers::poll_buffer"  # logged at debug level by the SDK
REPORTED = re.compile(  # already, by the worker, the SDK's Python part or `connect`
    "code: (Unavailable|Cancelled)|Failing workflow task(?!.*Nondetermin)|Disabling DNS load", re.S
)
_told: deque[tuple[str, int]] = deque(maxlen=1000)  # messages of the SDK, and the hour
_runtimes: weakref.WeakSet[runtime.Runtime] = weakref.WeakSet()


def _is_news(record: logging.LogRecord) -> bool:
    """Let each message of the SDK through once an hour: it is repeated with every retry."""
    news = re.sub(r"\d+", "", record.getMessage()[:200]), int(time.monotonic() // 3600)
    if news in _told or REPORTED.search(record.getMessage()):
        return False
    _told.append(news)
    if record.levelno < logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


@cache
def sdk_runtime(metrics_address: str = "") -> runtime.Runtime:
    """The SDK's runtime, which logs through Python; by default it would write to standard output.

    With a `metrics_address` it serves metrics; raises `SettingsError` if it cannot. There is one
    for each way of calling it: without metrics leave the argument out, also where it is empty.
    """
    if metrics_address:
        host, _, port = metrics_address.rpartition(":")
        try:  # the SDK does not report that a port is in use
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            socket.create_server((host.strip("[]"), int(port)), family=family).close()
        except (OSError, ValueError, OverflowError) as problem:
            text = f"TEMPORAL_METRICS_ADDRESS={metrics_address}: {problem}"
            fix = "TEMPORAL_METRICS_ADDRESS=127.0.0.1:<a free port>"
            raise SettingsError(error(text, fix)) from problem
    core = logging.getLogger("temporalio.core")
    level = runtime.TelemetryFilter(core_level="DEBUG", other_level="ERROR").formatted()
    if not logging.getLogger("temporalio").isEnabledFor(logging.DEBUG):
        level = f"WARN,{REFUSED_POLLS}=DEBUG"
        core.setLevel(logging.DEBUG)
        core.addFilter(_is_news)
    made = runtime.Runtime(
        telemetry=runtime.TelemetryConfig(
            logging=runtime.LoggingConfig(level, forwarding=runtime.LogForwardingConfig(core)),
            metrics=runtime.PrometheusConfig(metrics_address) if metrics_address else None,
        ),
        # The check finds workers on other task queues by heartbeats; the SDK's default is a minute.
        worker_heartbeat_interval=timedelta(seconds=10),
    )
    _runtimes.add(made)
    return made


@atexit.register
def end_runtime() -> bool:
    """Wait up to 0.5 s for the SDK's threads to end with the last client; returns whether they did.

    Threads of the SDK that are alive when the interpreter shuts down crash it now and then, after
    all work is done (temporalio/sdk-python issue 300).
    """
    sdk_runtime.cache_clear()
    end = time.monotonic() + 0.5
    while _runtimes and time.monotonic() < end:
        # Any call to the SDK releases objects that its threads have left behind.
        ClientConfigProfile.load(override_env_vars={}, disable_file=True)
        gc.collect()
        time.sleep(0.001)
    return not _runtimes
