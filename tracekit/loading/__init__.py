"""Reading recorded traces with ``read``: one loader per format, one builder for all.

A format is a ``Loader`` in a package of its own and an entry of ``formats.LOADERS``.  Formats are recognised by
content, never by file name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.errors import LoadError
from tracekit.loading.building.time_units import check_time_unit
from tracekit.loading.opening.sources import expand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.loading.building.ledger import Issue
    from tracekit.loading.opening.source import Source
    from tracekit.traces import TraceSet

__all__ = ["read"]


def read(
    source: Any,
    *,
    format: str | None = None,  # noqa: A002 - the name that users expect
    strict: bool = False,
    time_unit: str | None = None,
    on_issue: Callable[[Issue], object] | None = None,
    progress: bool | None = None,
    workers: int | None = None,
) -> TraceSet:
    """Read recorded traces.

    Parameters
    ----------
    source
        A file, a folder, a glob (``"traces/*.jsonl.zst"``), ``"-"`` for standard input, bytes, a binary file object, a
        folder written by ``TraceSet.save``, or a list of these.  gzip, zstd, bz2, xz, zip and the collector's framed
        files are detected by content and unpacked.
    format
        ``otlp``, ``xray``, ``jaeger`` or ``zipkin`` to accept only that format; by default, the format of every record
        is detected.
    strict
        Raise at the first invalid record, instead of adding it to ``issues``.
    time_unit
        ``us``, ``ms`` or ``s`` of OTLP times that are not in nanoseconds.
    on_issue
        Called with every issue as it is found.
    progress
        Show a progress bar after one second; by default in a terminal or notebook.
    workers
        Number of processors to use.  Several files are read by that many processes: by default one per processor if
        the files contain more than about 256 MB of JSON, otherwise one.  One file of OTLP JSON Lines is read by that
        many threads: by default one per processor; the result is the same.  So are small files of Jaeger, in blocks.
        The result of several processes is the same except for X-Ray causes that refer to an exception in an earlier
        file, which only a single process resolves (``XR_CAUSE_DANGLING`` reports the others).
        Total memory is about the same.  Always one process with ``strict`` or ``on_issue``, and for sources other than
        files.

    Returns
    -------
    TraceSet
        All spans that could be read; ``issues`` lists the records that could not, ``sources`` counts them.

    Raises
    ------
    LoadError
        No source could be read; otherwise failures are in ``issues``.
    ValueError
        ``format`` or ``time_unit`` is unknown, or ``workers`` is below 1.

    Examples
    --------
    >>> line = (
    ...     b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"000000000000000000000000000000a1",'
    ...     b'"spanId":"00000000000000b2","name":"GET /","startTimeUnixNano":"5","endTimeUnixNano":"9"}]}]}]}'
    ... )
    >>> read(line)
    TraceSet(1 trace, 1 span, 1 service, 1970-01-01 00:00:00 to 00:00:00 UTC)
    """
    check_time_unit(time_unit)
    if format is not None:
        from tracekit.loading.formats import loaders_of  # noqa: PLC0415 - as below

        loaders_of(format)
    if workers is not None and workers < 1:
        message = f"expected workers of 1 or more, or None, found {workers}"
        raise ValueError(message)
    sources = expand(source)
    stores = [one for one in sources if one.kind == "store"]
    if stores:
        return _with_stores(sources, stores)
    from tracekit.loading.recordings import read_recordings  # noqa: PLC0415 - for a store, no format is needed

    return read_recordings(
        sources,
        format=format,
        strict=strict,
        time_unit=time_unit,
        on_issue=on_issue,
        progress=progress,
        workers=workers,
    )


def _with_stores(sources: Sequence[Source], stores: Sequence[Source]) -> TraceSet:
    """Return the traces of stores; stores and other sources cannot be mixed."""
    from tracekit.loading.store.read_write import load  # noqa: PLC0415 - importing pyarrow's Parquet reader is slow

    check_all_stores(sources, stores)
    return load([store.path for store in stores if store.path is not None])


def check_all_stores(sources: Sequence[Source], stores: Sequence[Source]) -> None:
    """Raise LoadError if some sources are stores and others are not."""
    if stores and len(stores) != len(sources):
        message = (
            f"expected stores or other sources, found {len(stores)} of {len(sources)} sources to be stores;"
            " read them separately, or convert the others first"
        )
        raise LoadError(message, source=stores[0].uri, code="STORE_BROKEN")
