"""Tracing of all services: tracer provider, propagation, exceptions without machine paths."""

from __future__ import annotations

import traceback
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.exporter.otlp.json.file import FileSpanExporter
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.sdk.version import __version__ as sdk_version
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
PROPAGATOR = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
SPANS_A_LINE = 200
HOSTS = 3


class ExportAtTheEnd(SpanProcessor):
    """Keep ended spans in memory and export them when the service stops.

    Encoding during the recording would use CPU time and add latency.

    Parameters
    ----------
    exporter
        Receives the spans, ``SPANS_A_LINE`` per request.
    """

    def __init__(self, exporter: FileSpanExporter) -> None:
        self.exporter = exporter
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keep the span."""
        self.spans.append(span)

    def shutdown(self) -> None:
        """Export all spans in order of their end, like a batching processor."""
        self.spans.sort(key=lambda span: span.end_time or 0)
        for first in range(0, len(self.spans), SPANS_A_LINE):
            if self.exporter.export(self.spans[first : first + SPANS_A_LINE]) is not SpanExportResult.SUCCESS:
                raise RuntimeError(f"the exporter refused the spans from {first} on; see its log above")
        self.exporter.shutdown()


def tracer_provider(service: str, version: str, path: Path, zone: str | None = None) -> TracerProvider:
    """Return the provider of one service, writing OTLP JSON lines to a file.

    All resource attributes are set here, because detectors would add names of the recording machine.
    """
    resource = Resource(
        {
            "service.name": service,
            "service.namespace": "shop",
            "service.version": version,
            "service.instance.id": str(
                uuid.uuid5(uuid.NAMESPACE_URL, "/".join(filter(None, (service, version, zone))))
            ),
            "deployment.environment.name": "production",
            "host.name": f"shop-{1 + sum(service.encode()) % HOSTS}",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": sdk_version,
        }
        | ({"cloud.availability_zone": zone} if zone else {}),
        schema_url=SCHEMA_URL,
    )
    provider = TracerProvider(sampler=ParentBased(ALWAYS_ON), resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(ExportAtTheEnd(FileSpanExporter(path)))
    return provider


def record_exception(span: Span, error: BaseException) -> None:
    """Record an exception on a span, with file names instead of full paths in the stack trace."""
    told = traceback.TracebackException.from_exception(error)
    for one in _chain(told):
        for frame in one.stack:
            frame.filename = Path(frame.filename).name
    span.record_exception(error, attributes={"exception.stacktrace": "".join(told.format())})


def _chain(told: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """Yield the exception and its causes."""
    one: traceback.TracebackException | None = told
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__
