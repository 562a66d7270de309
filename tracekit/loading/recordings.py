"""Reading files of every format except stores, by one process or by several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.loading.building.builder import Builder
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.loading.formats import loaders_of
from tracekit.loading.memory import freed_returned
from tracekit.loading.parallel import processors, read_parallel, shares
from tracekit.loading.progress import Meter
from tracekit.loading.reading import SourceReader, collector_paused, read_all, total_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.loading.building.ledger import Issue
    from tracekit.loading.opening.source import Source
    from tracekit.traces import TraceSet


def read_recordings(
    sources: Sequence[Source],
    *,
    format: str | None,  # noqa: A002 - as ``read``
    strict: bool,
    time_unit: str | None,
    on_issue: Callable[[Issue], object] | None,
    progress: bool | None,
    workers: int | None,
) -> TraceSet:
    """Return the traces of sources; the options are those of ``read``."""
    with collector_paused(), Meter(total_bytes(sources), progress) as meter:
        if not strict and on_issue is None and len(sources) > 1:
            parts = shares(sources, workers)
            if len(parts) > 1:
                return read_parallel(parts, format, time_unit, meter)
        builder, threads = Builder(strict=strict, on_issue=on_issue), workers or processors()
        read_all(SourceReader(builder, loaders_of(format), meter, threads=threads), sources)
        with freed_returned(builder.span_count):
            return to_trace_set(builder, time_unit, threads)
