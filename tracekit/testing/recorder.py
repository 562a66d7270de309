"""Recording the spans that end in this process: every tracer that the code under test uses is the SDK's."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from tracekit.errors import TracekitError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

_UNKNOWN = "unknown_service"


class Recorder:
    """Spans in the order in which they end, of every tracer in this process after ``install``."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._spans: list[ReadableSpan] = []
        self._is_recording = False

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep the spans that end in this block, until its end."""
        with self._lock:
            self._spans, self._is_recording = [], True
        try:
            yield
        finally:
            with self._lock:
                self._spans, self._is_recording = [], False

    def spans(self) -> tuple[ReadableSpan, ...]:
        """Return the spans so far."""
        with self._lock:
            return tuple(self._spans)

    def add(self, span: ReadableSpan) -> None:
        """Add a span that has ended, if spans are kept."""
        with self._lock:
            if self._is_recording:
                self._spans.append(span)

    def install(self) -> None:
        """Add a processor to the global tracer provider; set a provider first if there is none.

        The global provider can be set only once in a process, so it stays.
        """
        try:
            from opentelemetry import trace  # noqa: PLC0415 - an extra
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
            from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415 - an extra
        except ImportError as error:
            message = "expected opentelemetry-sdk, which records the spans of a test, found none"
            raise TracekitError(f"{message}; run pip install 'tracekit-notebook[pytest]'") from error
        provider = trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider):
            provider = TracerProvider(resource=_resource(), sampler=ALWAYS_ON)
            trace.set_tracer_provider(provider)
        if not isinstance(provider, TracerProvider):
            found = f"{type(provider).__module__}.{type(provider).__qualname__}"
            hint = "set a TracerProvider of the SDK before the first test that records spans, or none"
            raise TracekitError(f"expected a tracer provider of opentelemetry-sdk, found {found}; {hint}")
        provider.add_span_processor(_processor(self))


def _resource() -> Resource:
    """Return the SDK's resource; without a service name, the same on every machine: baselines contain it."""
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415 - an extra

    found = Resource.create()
    if str(found.attributes.get(SERVICE_NAME, "")).startswith(_UNKNOWN):  # and the name of the program
        return found.merge(Resource({SERVICE_NAME: _UNKNOWN}))
    return found


def _processor(recorder: Recorder) -> SpanProcessor:
    """Return the processor that gives ended spans to a recorder."""
    from opentelemetry.sdk.trace import SpanProcessor  # noqa: PLC0415 - an extra

    class Recording(SpanProcessor):
        """Hands spans over as they end."""

        def on_end(self, span: ReadableSpan) -> None:
            recorder.add(span)

    return Recording()
