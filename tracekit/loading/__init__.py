"""Reading recorded traces: one file a format, one builder for all.

``read`` is the door.  A format is a ``Loader`` in a file of its own and a line in ``LOADERS``; formats are told by
content, never by a file's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.errors import LoadError
from tracekit.loading import otlp
from tracekit.loading.building.builder import Builder
from tracekit.loading.building.finish import finish
from tracekit.loading.jaeger import jaeger
from tracekit.loading.opening.sources import expand
from tracekit.loading.otlp import flat, prepper
from tracekit.loading.progress import Meter
from tracekit.loading.reading import SourceReader, collector_paused
from tracekit.loading.time_units import check_time_unit
from tracekit.loading.xray import xray
from tracekit.loading.zipkin import zipkin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.loading.building.ledger import Issue
    from tracekit.loading.loader import Loader
    from tracekit.loading.opening.opening import Source
    from tracekit.traces import TraceSet

LOADERS: tuple[Loader, ...] = (
    otlp.LOADER,
    xray.LOADER,
    jaeger.LOADER,
    zipkin.LOADER,
    flat.LOADER,
    prepper.LOADER,
)


def read(
    source: Any,
    *,
    format: str | None = None,  # noqa: A002 - the word that a user would look for
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
        A file, a folder, a pattern (``"traces/*.jsonl.zst"``), ``"-"`` for standard input, bytes, a binary file
        object, a folder that ``TraceSet.save`` wrote, or a list of these.  gzip, zstd, bz2, xz, zip and the
        collector's framed files are unpacked by content.
    format
        ``otlp``, ``xray``, ``jaeger`` or ``zipkin`` to accept that format only; by default every record is recognised
        by its members.
    strict
        Raise at the first record that cannot be used, instead of writing it to ``issues``.
    time_unit
        ``us``, ``ms`` or ``s`` where the recorded times are not nanoseconds though the format says so.
    on_issue
        Called with every issue as it is found.
    progress
        Show a bar after one second: by default in a terminal or notebook.
    workers
        Processes that read several files at once: by default as many as there are processors where the files hold
        more than about 256 MB of JSON together, and one otherwise.  The result is the same, but for causes of X-Ray
        that refer to an exception in an earlier file, which one process finds (``XR_CAUSE_DANGLING`` tells of those not
        found); the memory is about the same in all.  With ``strict`` or ``on_issue``, and for anything but files, one.

    Returns
    -------
    TraceSet
        Everything that could be read; ``issues`` says what could not, ``sources`` counts it.

    Raises
    ------
    LoadError
        Nothing could be read: of several sources one that cannot be read is an issue, and all of them an error.
    ValueError
        An unknown ``format`` or ``time_unit``, or ``workers`` below 1.

    Examples
    --------
    >>> line = (
    ...     b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"000000000000000000000000000000a1",'
    ...     b'"spanId":"00000000000000b2","name":"GET /","startTimeUnixNano":"5","endTimeUnixNano":"9"}]}]}]}'
    ... )
    >>> read(line)
    TraceSet(1 trace, 1 span, 1 service, 1970-01-01 00:00:00 to 00:00:00 UTC)
    """
    loaders = chosen(format)
    check_time_unit(time_unit)
    if workers is not None and workers < 1:
        message = f"expected workers of 1 or more, or None, found {workers}"
        raise ValueError(message)
    sources = expand(source)
    stores = [one for one in sources if one.kind == "store"]
    if stores:
        return _with_stores(sources, stores)
    with collector_paused(), Meter(total_bytes(sources), progress) as meter:
        if not strict and on_issue is None and len(sources) > 1:
            from tracekit.loading.side_by_side import read_side_by_side, shares  # noqa: PLC0415 - it imports this

            parts = shares(sources, workers)
            if len(parts) > 1:
                return read_side_by_side(parts, format, time_unit, meter)
        builder = Builder(strict=strict, on_issue=on_issue)
        read_all(SourceReader(builder, loaders, meter), sources)
        return finish(builder, time_unit)


def chosen(name: str | None) -> tuple[Loader, ...]:
    """Return the loaders of a format, all without one; ValueError names them."""
    loaders = tuple(loader for loader in LOADERS if name in {None, loader.name})
    if not loaders:
        known = ", ".join(sorted({loader.name for loader in LOADERS}))
        message = f"expected format {known} or None, found {name!r}"
        raise ValueError(message)
    return loaders


def total_bytes(sources: Sequence[Source]) -> int | None:
    """Return the bytes to read, None where one source does not know."""
    sizes = [source.byte_count for source in sources]
    return None if None in sizes else sum(size or 0 for size in sizes)


def read_all(reader: SourceReader, sources: Sequence[Source]) -> None:
    """Read every source; one that cannot be read is an issue as long as another one can."""
    if len(sources) == 1:
        reader.read(sources[0])
    elif len(failures := read_each(reader, sources)) == len(sources):
        raise failures[0]


def read_each(reader: SourceReader, sources: Sequence[Source]) -> list[LoadError]:
    """Read every source; return the errors of those that cannot be read, which are issues, too."""
    failures: list[LoadError] = []
    for source in sources:
        try:
            reader.read(source)
        except LoadError as error:
            builder = reader.builder
            if builder.strict:
                raise
            failures.append(error)
            if not builder.ledgers or builder.ledger.uri != source.uri:
                builder.open_source(source.uri)
            builder.ledger.incomplete(str(error))
            if not any(issue.severity == "error" for issue in builder.ledger.issues):
                message = str(error).removeprefix(error.code).removeprefix(f" {source.uri}").lstrip(": ")
                builder.ledger.issue(error.code or "FORMAT_UNKNOWN", message, action="aborted")
    return failures


def _with_stores(sources: Sequence[Source], stores: Sequence[Source]) -> TraceSet:
    """Return the traces of stores; a store and other sources are not mixed."""
    from tracekit.loading.store.store import load  # noqa: PLC0415 - pyarrow's Parquet reader is heavy

    if len(stores) != len(sources):
        message = (
            f"expected stores or other sources, found {len(stores)} of {len(sources)} sources to be stores;"
            " read them apart, or convert the others first"
        )
        raise LoadError(message, source=stores[0].uri, code="STORE_BROKEN")
    return load([store.path for store in stores if store.path is not None])
