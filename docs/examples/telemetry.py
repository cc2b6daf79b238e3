"""Traces and metrics by OTLP, to OTEL_EXPORTER_OTLP_ENDPOINT."""

import logging
import os
from datetime import timedelta
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from temporalio import runtime
from temporalio.contrib.opentelemetry import OpenTelemetryPlugin, create_tracer_provider


def telemetry() -> dict[str, Any]:
    """Client options that send spans and the SDK's metrics there; to be made once in a process."""
    provider = create_tracer_provider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    # OpenTelemetry's default is a minute. The SDK's is a second, and so would be a warning in the
    # log while the collector is away.
    every = timedelta(milliseconds=int(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "60000")))
    endpoint = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
    metrics = runtime.OpenTelemetryConfig(url=endpoint, metric_periodicity=every)
    # Without it the SDK's log would go to standard output.
    forwarding = runtime.LogForwardingConfig(logging.getLogger("temporalio.core"))
    log = runtime.LoggingConfig("WARN", forwarding=forwarding)
    # The check finds workers by their heartbeats; the SDK's default is a minute.
    heartbeat = timedelta(seconds=10)
    return {
        "plugins": [OpenTelemetryPlugin(add_temporal_spans=True)],
        "runtime": runtime.Runtime(
            telemetry=runtime.TelemetryConfig(logging=log, metrics=metrics),
            worker_heartbeat_interval=heartbeat,
        ),
    }
