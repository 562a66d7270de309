"""The backends that ``tk.pull`` knows: a new one is a file with a ``KIND``, a line here, and a test."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracekit.pull.backend import Kind

KINDS = {
    "jaeger": ("tracekit.pull.jaeger", "Jaeger, by its API v3 or v1 (http://HOST:16686)"),
    "tempo": ("tracekit.pull.tempo", "Grafana Tempo, by TraceQL (http://HOST:3200)"),
    "zipkin": ("tracekit.pull.zipkin", "Zipkin v2 (http://HOST:9411)"),
    "clickhouse": ("tracekit.pull.clickhouse", "ClickHouse: the collector's otel_traces, or SigNoz (http://HOST:8123)"),
    "elasticsearch": (
        "tracekit.pull.elasticsearch",
        "Elasticsearch or OpenSearch written by Jaeger (http://HOST:9200)",
    ),
    "s3": ("tracekit.aws.s3_exports", "files of the collector's S3 exporter (s3://BUCKET/PREFIX)"),
}


def kind_of(name: str) -> Kind:
    """Return a backend by name; ValueError lists the names."""
    if not isinstance(name, str):
        raise TypeError(f"expected the name of a backend among {', '.join(KINDS)}, found {type(name).__name__}")
    if name == "xray":
        raise ValueError("expected a backend with a URL, found 'xray'; call tk.pull_xray(folder, start=...)")
    if name not in KINDS:
        raise ValueError(f"expected a backend among {', '.join(KINDS)}, found {name!r}; X-Ray: tk.pull_xray")
    kind: Kind = import_module(KINDS[name][0]).KIND
    return kind
