"""Conversion of sources of any size to a store, a flat file or OTLP, in bounded memory.

Sources are read in runs of several hundred thousand spans; each run is spilled to disk by a hash of the trace id
(``loading/store/spill.py``).  Then the buckets are merged, a part at a time, finalised as in ``read``, and written.
Sources that fit in one run become exactly what ``read`` and ``save`` produce.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from tracekit.loading import check_all_stores
from tracekit.loading import flat as flat_file
from tracekit.loading.building.builder import Builder
from tracekit.loading.building.issue_totals import IssueTotals
from tracekit.loading.building.ledger import Ledger, issues_frame, sources_frame
from tracekit.loading.building.pending import with_owners
from tracekit.loading.building.time_units import UnitVote, check_time_unit
from tracekit.loading.building.trace_set import finalise, gather, to_trace_set
from tracekit.loading.formats import loaders_of
from tracekit.loading.opening.sources import expand
from tracekit.loading.otlp import write as otlp_lines
from tracekit.loading.parallel import processors
from tracekit.loading.progress import Meter
from tracekit.loading.reading import SourceReader, collector_paused, read_all, total_bytes
from tracekit.loading.store import read_write
from tracekit.loading.store.joining import join
from tracekit.loading.store.place import alone, beside
from tracekit.loading.store.spill import Spill
from tracekit.loading.store.trace_store import open as open_store
from tracekit.redaction import STANDARD
from tracekit.redaction.apply import NOTE, joined_notes, redacted_frame
from tracekit.redaction.policy import policy_of
from tracekit.redaction.statement import say
from tracekit.redaction.tables import Known, known_in
from tracekit.traces import redacted_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from tracekit.columns import Columns
    from tracekit.loading.building.ledger import Issue
    from tracekit.loading.opening.source import Source
    from tracekit.loading.store.joining import Writer
    from tracekit.redaction.policy import Policy
    from tracekit.traces import TraceSet

    Writing = Callable[
        [Path], AbstractContextManager[read_write.StoreWriter | flat_file.FlatWriter | otlp_lines.OtlpWriter]
    ]


SPANS_AT_ONCE = 500_000  # about half a gigabyte
AUTO = "auto"


def convert(
    source: Any,
    path: str | Path,
    *,
    flat: bool = False,
    format: str | None = None,  # noqa: A002 - as in ``read``
    strict: bool = False,
    time_unit: str | None = None,
    on_issue: Callable[[Issue], object] | None = None,
    progress: bool | None = None,
    spans_at_once: int = SPANS_AT_ONCE,
    append: bool = False,
    redact: Any = AUTO,
) -> Path:
    """Convert recorded traces to a Parquet store, a Parquet file of spans or OTLP; they need not fit in memory.

    Parameters
    ----------
    source, format, strict, time_unit, on_issue, progress
        As for ``tracekit.read``.
    path
        Folder to write, usually ``NAME.parquet``, or with ``flat`` the file.  A name that ends in ``.jsonl``,
        ``.jsonl.zst`` or ``.jsonl.gz`` is a file of OTLP JSON Lines, as ``TraceSet.to_otlp`` writes it.  An existing
        store or file of that kind is replaced only after the new one is complete.
    flat
        Write one file for DuckDB, Polars and pandas instead of a store: a row per span, as ``TraceSet.to_parquet``
        writes it.
    spans_at_once
        Spans to keep in memory, about 900 bytes each, and of a part.  A trace is always kept whole, and so is a
        ResourceSpans of a document that is not JSON Lines.
    append
        Add the sources to the store at the path, if there is one.  Traces that continue are merged, with late spans;
        spans that are already there are counted as duplicates.  The store is written anew; ``redact`` is about the
        sources.
    redact
        What becomes of personal data and secrets, as for ``TraceSet.redact``; a warning says what was removed.
        ``"auto"`` is ``"default"`` for files for other tools (OTLP, ``flat``), and None, which writes everything, for a
        store.  What is recognised by its key alone, such as a name, is removed from all texts of the sources: they are
        searched when they are read, and what was recognised anywhere is replaced when the parts are written.  With
        ``append``, from all texts that are added.

    Returns
    -------
    pathlib.Path
        The path; ``tracekit.read`` reads a store back.

    Raises
    ------
    LoadError
        As for ``tracekit.read``; nothing is written.
    FileExistsError
        The path exists and is not a store, with ``flat`` not a Parquet file, and for OTLP not a file of JSON Lines; or
        another process is adding to it.
    ValueError
        An unknown ``format`` or ``time_unit``, ``spans_at_once`` below 1, ``flat`` with a name for OTLP, ``append``
        to a file, or a policy that cannot be used.

    Notes
    -----
    Two hidden folders are created next to the path: the new store or file, and the spilled runs (about a quarter of the
    size of the JSON).  Both are removed at the end, also after an error, unless the process is killed.

    Examples
    --------
    >>> import tempfile
    >>> line = (
    ...     b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"000000000000000000000000000000a1",'
    ...     b'"spanId":"00000000000000b2","name":"GET /","startTimeUnixNano":"5","endTimeUnixNano":"9"}]}]}]}'
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tk.read(convert(line, Path(folder, "a.parquet")))
    TraceSet(1 trace, 1 span, 1 service, 1970-01-01 00:00:00 to 00:00:00 UTC)
    """
    loaders = loaders_of(format)
    check_time_unit(time_unit)
    if spans_at_once < 1:
        message = f"expected spans_at_once of 1 or more, found {spans_at_once}"
        raise ValueError(message)
    path = Path(path)
    if flat and otlp_lines.is_otlp_name(path):
        message = f"expected the name of a Parquet file with flat, found {path.name}; omit flat (--flat) to write OTLP"
        raise ValueError(message)
    kind = flat_file if flat else otlp_lines if otlp_lines.is_otlp_name(path) else read_write
    if append and kind is not read_write:
        raise ValueError(f"expected a store to append to, found {path.name}, a file; omit append (--append)")
    place = kind.place_for(path)
    if append and place.exists():
        options: dict[str, Any] = {"format": format, "strict": strict, "time_unit": time_unit, "on_issue": on_issue}
        options |= {"progress": progress, "spans_at_once": spans_at_once, "redact": redact}
        return _append(source, path, place, options)
    removal = _Removal(policy_of((None if kind is read_write else STANDARD) if redact == AUTO else redact))
    whole: Callable[[TraceSet, Path], Path] = read_write.save if kind is read_write else kind.write
    writing: Writing = kind.writing
    sources = expand(source)
    if stores := [one for one in sources if one.kind == "store"]:
        return removal.said(_join(sources, stores, path, whole, writing, spans_at_once, progress, removal))
    builder = Builder(strict=strict, on_issue=on_issue)
    with (
        collector_paused(),
        beside(place, "runs") as runs_folder,
        Spill(runs_folder) as spill,
        Meter(total_bytes(sources), progress) as meter,
    ):
        runs = _Runs(spill, spans_at_once, removal)
        reader = SourceReader(builder, loaders, meter, on_chunk=lambda: runs.go_on(reader), threads=processors())
        del builder
        read_all(reader, sources)
        if spill.is_empty:
            return removal.said(whole(removal.of(to_trace_set(reader.builder, time_unit)), path))
        runs.take(reader)
        runs.write(writing, path, reader.builder.ledgers, time_unit)
    return removal.said(path)


class _Removal:
    """Redacts the parts of a conversion, and says at its end what was removed."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy
        self._removed: list[pd.DataFrame] = []
        self._values: set[str] = set()
        self._known = Known()

    def learn(self, columns: Columns) -> None:
        """Note what is recognised in a part, before any part is written."""
        if self._policy is not None:
            self._known = self._known.merged(known_in(columns))

    def of(self, traces: TraceSet) -> TraceSet:
        """Return what may be written of a part."""
        if self._policy is None:
            return traces
        found, redacted = redacted_part(traces, self._policy, self._known)
        self._removed.append(redacted.removed)
        self._values |= redacted.searched
        return found

    @property
    def is_active(self) -> bool:
        """Whether anything is removed."""
        return self._policy is not None

    def frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return what may be written of sources or issues."""
        return frame if self._policy is None else redacted_frame(frame, self._policy, self._values)

    @property
    def notes(self) -> dict[str, str]:
        """The record of what was removed, as notes of a store."""
        removed = self._table()
        return {NOTE: removed.to_json(orient="records")} if len(removed) else {}

    def before(self, written: Writer) -> Writer:
        """Return a writer that redacts what another one writes."""
        return written if self._policy is None else _Redacting(written, self)

    def said(self, path: Path) -> Path:
        """Say what was removed from a file, and return its path."""
        say(self._table(), path)
        return path

    def _table(self) -> pd.DataFrame:
        """Return what was removed from all parts; a value of several parts counts in each."""
        known = [frame for frame in self._removed if len(frame)]
        if not known:
            return pd.DataFrame()
        keys = ["kind", "where", "key", "action"]
        return pd.concat(known).groupby(keys, sort=False)[["value_count", "use_count"]].sum().reset_index()


class _Redacting(NamedTuple):
    """A writer that redacts what another one writes."""

    written: Writer
    removal: _Removal

    def part(self, traces: TraceSet) -> None:
        """Write whole traces."""
        self.written.part(self.removal.of(traces))

    def finish(self, sources: pd.DataFrame, issues: pd.DataFrame, notes: Mapping[str, str] | None = None) -> None:
        """Write what all parts share."""
        removal = self.removal
        both = joined_notes([*(notes or {}).items(), *removal.notes.items()])
        self.written.finish(removal.frame(sources), removal.frame(issues), both)


def _append(source: Any, path: Path, place: Path, options: Mapping[str, Any]) -> Path:
    """Write a store anew with more sources."""
    source = list(source) if hasattr(source, "__next__") else source
    with alone(place), beside(place, "runs") as folder:
        sources = expand(source)
        check_all_stores(sources, stores := [one for one in sources if one.kind == "store"])
        added = [store.path for store in stores]
        if not stores or options["redact"] not in (None, AUTO):  # only what is added: the rest was when it was written
            added = [convert(source, folder / place.name, **options)]
        only = {name: options[name] for name in ("progress", "spans_at_once")}
        return convert([place, *added], path, **only)


def _join(
    sources: Sequence[Source],
    stores: Sequence[Source],
    path: Path,
    save: Callable[[TraceSet, Path], Path],
    writing: Writing,
    spans_at_once: int,
    progress: bool | None,
    removal: _Removal,
) -> Path:
    """Write stores as one: those that are small enough at once."""
    check_all_stores(sources, stores)
    paths = [store.path for store in stores if store.path is not None]
    if sum(read_write.read_marker(store).span_count for store in paths) <= spans_at_once:
        return save(removal.of(read_write.load(paths)), path)
    for store in paths if removal.is_active else ():
        for part in open_store(store).parts():
            removal.learn(part.columns)
    with collector_paused(), writing(path) as written:
        join(paths, removal.before(written), spans_at_once=spans_at_once, progress=progress)
    return path


class _Runs:
    """Builds the runs of one conversion."""

    def __init__(self, spill: Spill, spans_at_once: int, removal: _Removal) -> None:
        self._spill = spill
        self._removal = removal
        self._spans_at_once = spans_at_once
        self._taken = 0
        self._vote = UnitVote()

    def go_on(self, reader: SourceReader) -> None:
        """End the run if it is large enough."""
        if reader.builder.span_count - self._taken >= self._spans_at_once:
            self.take(reader)

    def take(self, reader: SourceReader) -> None:
        """Spill the spans of the reader's builder, and continue with a new builder."""
        builder = reader.builder
        self._taken = builder.span_count
        reader.use(builder.successor())
        columns = gather(builder)
        del builder
        self._vote.add(columns.spans)
        self._removal.learn(columns)
        self._spill.add(columns)
        del columns
        gc.collect(1)  # it is paused, and the state of a loader refers to its builder

    def write(self, writing: Writing, path: Path, ledgers: list[Ledger], time_unit: str | None) -> None:
        """Write everything, part by part."""
        minorities = self._vote.minorities(ledgers) if time_unit is None else None
        totals = IssueTotals(ledgers)
        with writing(path) as plain:
            written = self._removal.before(plain)
            for columns in self._spill.parts(self._spans_at_once):
                scratch = [Ledger(ledger.uri) for ledger in ledgers]
                traces = finalise(with_owners(columns), scratch, time_unit, minorities)
                del columns
                written.part(traces)
                del traces
                totals.add(scratch)
                gc.collect(1)
            totals.write()
            written.finish(sources_frame(ledgers), issues_frame(ledgers), {})
