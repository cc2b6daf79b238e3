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
    metrics = runtime.OpenTelemetryConfig(url=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"])
    # Without it the SDK's log would go to standard output.
    log = runtime.LogForwardingConfig(logging.getLogger("temporalio.core"))
    config = runtime.TelemetryConfig(
        logging=runtime.LoggingConfig("WARN", forwarding=log), metrics=metrics
    )
    # The check finds workers by their heartbeats; the SDK's default is a minute.
    heartbeat = timedelta(seconds=10)
    return {
        "plugins": [OpenTelemetryPlugin(add_temporal_spans=True)],
        "runtime": runtime.Runtime(telemetry=config, worker_heartbeat_interval=heartbeat),
    }
