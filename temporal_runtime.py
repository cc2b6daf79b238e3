"""The runtime of Temporal's SDK: logging, metrics and shutdown."""

import atexit
import gc
import logging
import re
import socket
import time
import weakref
from datetime import timedelta
from functools import cache

from temporalio import runtime
from temporalio.envconfig import ClientConfigProfile

from temporal_findings import SettingsError, error

WARNING = (logging.WARNING, "WARNING")
REFUSED_POLLS = "temporalio_sdk_core::pollers::poll_buffer"  # which it logs at debug level
REPORTED = re.compile(  # elsewhere: by the worker, the SDK's Python part and `connect`
    "code: (Unavailable|Cancelled)|Failing workflow task(?!.*Nondetermin)|Disabling DNS load", re.S
)
_muted: dict[str, float] = {}  # until when not to log it again
_runtimes: weakref.WeakSet[runtime.Runtime] = weakref.WeakSet()


def _is_news(record: logging.LogRecord) -> bool:
    """Whether to log a message of the SDK, which repeats it with every retry: once an hour."""
    text = re.sub(r"\d+", "", record.getMessage()[:200])
    if time.monotonic() < _muted.get(text, 0) or REPORTED.search(record.getMessage()):
        return False
    if len(_muted) > 1000:
        _muted.clear()
    _muted[text] = time.monotonic() + 3600
    record.levelno, record.levelname = max((record.levelno, record.levelname), WARNING)
    return True


@cache
def sdk_runtime(metrics_address: str = "") -> runtime.Runtime:
    """The SDK's runtime, which logs through Python's logging: by default it would write between a
    script's results, to standard output. Raises `SettingsError` for a bad metrics address.
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
    log = logging.getLogger("temporalio.core")
    level = runtime.TelemetryFilter(core_level="DEBUG", other_level="ERROR").formatted()
    if not logging.getLogger("temporalio").isEnabledFor(logging.DEBUG):
        level = f"WARN,{REFUSED_POLLS}=DEBUG"
        log.setLevel(logging.DEBUG)
        log.addFilter(_is_news)
    made = runtime.Runtime(
        telemetry=runtime.TelemetryConfig(
            logging=runtime.LoggingConfig(level, forwarding=runtime.LogForwardingConfig(log)),
            metrics=runtime.PrometheusConfig(metrics_address) if metrics_address else None,
        ),
        # The check finds workers on other task queues by these; the SDK's default is a minute.
        worker_heartbeat_interval=timedelta(seconds=10),
    )
    _runtimes.add(made)
    return made


@atexit.register
def end_runtime() -> bool:
    """Wait 0.5 s at most for the SDK's threads to end with the last client; whether they have.

    Threads of the SDK that are alive when the interpreter shuts down crash it now and then, after
    all work is done (temporalio/sdk-python issue 300).
    """
    if not _runtimes:  # it has been called before, by the script
        return True
    sdk_runtime.cache_clear()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        # Any call to the SDK releases objects that its threads have left behind.
        ClientConfigProfile.load(override_env_vars={}, disable_file=True)
        gc.collect()
        if not _runtimes:
            break
        time.sleep(0.01)
    return not _runtimes
