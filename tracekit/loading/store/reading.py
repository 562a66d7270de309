"""Reading a store: its parts one after the other, some of its traces, and states of all of them merged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tracekit.columns import SAMPLE_OF_STORE, SCALE_OF_SAMPLE, trace_starts
from tracekit.loading.store.contents import StoreContents, wider
from tracekit.loading.store.one_trace import one_trace
from tracekit.loading.store.reach import Reach
from tracekit.loading.store.read_write import load, load_part, read_frames
from tracekit.loading.store.trace_ids import id_text, is_among, number_of
from tracekit.loading.store.union import piece_of, union
from tracekit.redaction.apply import joined_notes
from tracekit.schema import Quality
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tracekit.columns import Array
    from tracekit.loading.store.union import Piece
    from tracekit.parts import On

State = TypeVar("State")


class StoreReading(StoreContents):
    """A store whose parts can be read."""

    @cached_property
    def period_ns(self) -> tuple[int, int] | None:
        """First and last start of a request, in ns; None without any.  With conditions, the parts are read for it."""
        if self.is_chosen:
            return self.reduce(period_of, wider) if self._numbers else None
        return self._recorded_ns

    @cached_property
    def _counts(self) -> tuple[int, int]:
        """Traces and spans; with conditions on traces, the parts are read for it."""
        if self.is_chosen:
            return self.reduce(_size, _sum) if self._numbers else (0, 0)
        return sum(mark.trace_count for mark in self._marks), sum(mark.span_count for mark in self._marks)

    def __len__(self) -> int:
        return self._counts[0]

    @property
    def span_count(self) -> int:
        """Number of spans."""
        return self._counts[1]

    def parts(self) -> Iterator[TraceSet]:
        """Yield each part as a TraceSet, with the conditions and weights applied; columns are read on first use."""
        for task in self.tasks:
            yield task.read()

    def part(self, number: int) -> TraceSet:
        """Return one part as a TraceSet.

        Parameters
        ----------
        number
            Its position in ``parts()``.

        Raises
        ------
        IndexError
            There is no such part.
        """
        return self.tasks[self._position(number)].read()

    def trace(self, trace_id: str) -> TraceSet:
        """Return one trace; see ``TraceSet.trace``.

        Parameters
        ----------
        trace_id
            As for ``TraceSet.trace``.

        Raises
        ------
        ValueError
            No trace, or more than one, has this prefix.
        TypeError
            Not a text.
        """
        return one_trace(self.tasks, id_text(trace_id), is_chosen=self.is_chosen)

    def traces(self, trace_ids: Iterable[str]) -> TraceSet:
        """Return some traces as a TraceSet: of the parts that have none of them, only the ids are read.

        Parameters
        ----------
        trace_ids
            Their whole ids; one that is not in the store is left out.

        Raises
        ------
        ValueError
            Not the id of a trace.
        TypeError
            A text instead of several, or an id that is not a text.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = tk.open(shop.save(f"{folder}/shop.parquet"))
        ...     len(store.traces(shop.trace_ids[:2]))
        2
        """
        if isinstance(trace_ids, str):
            raise TypeError(f"expected several trace ids, found the text {trace_ids!r}; trace(...) returns one trace")
        numbers = sorted({number_of(one) for one in trace_ids})
        wanted = np.array([divmod(number, 2**64) for number in numbers], np.uint64).reshape(-1, 2)
        return self._union(self._with_ids(wanted))

    def chosen(self, choose: Callable[[TraceSet], TraceSet]) -> TraceSet:
        """Return in memory the traces that a function chooses of each part, read where and as by ``reduce``.

        Parameters
        ----------
        choose
            As for ``kept``.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     len(tk.open(shop.save(f"{folder}/shop.parquet")).chosen(TraceSet.head))
        5
        """
        pieces: tuple[Piece, ...] = self.reduce(_Pieces(choose), _both)
        return self._joined(list(pieces))

    def _with_ids(self, wanted: Array) -> Iterator[TraceSet]:
        """Yield the traces of each part that are among these, given as (trace_hi, trace_lo)."""
        for task in self.tasks if len(wanted) else ():
            part = task.read() if self.is_chosen else task.opened(Reach(by_range=True))
            found = _are_among(part, wanted)
            if not found.any():
                continue
            if self.is_chosen:
                yield part.where(found[part.forest.trace])
            else:  # with the calls that set weights
                some = np.flatnonzero(found).tolist()
                yield task.applied(task.opened(Reach(traces=some, by_range=True, only_used=True)))

    def load(self) -> TraceSet:
        """Return all traces as one TraceSet in memory."""
        if not self._steps and len(self._numbers) == len(self._marker.parts):
            return load([self.path])
        found = self._union(self.parts())
        if self.sampled is None:
            return found
        said, factor = self.sampled
        notes = {**found.columns.notes, SAMPLE_OF_STORE: said, SCALE_OF_SAMPLE: f"{factor:.9g}"}
        columns = replace(found.columns, notes=notes)
        return TraceSet(columns, forest=found.forest, weights=found.weights, steps=found.steps)

    def _first_part(self) -> TraceSet:
        """Return the first part of the folder, as it was written."""
        return load_part(self.path, self._marker.parts[0], 0, self._marker.files, self.keys)

    def _union(self, parts: Iterable[TraceSet]) -> TraceSet:
        """Return traces of parts as one set, with the sources and issues of the store."""
        return self._joined([_piece(part) for part in parts])

    def _joined(self, pieces: list[Piece]) -> TraceSet:
        """Return pieces of parts as one set, with the sources and issues of the store."""
        pieces = pieces or [_piece(self._first_part().head(0))]
        rows = read_frames(self.path, self._marker.files)
        found = union(
            pieces, rows["sources"], rows["issues"], joined_notes([tuple(row.values()) for row in rows["notes"]])
        )
        return TraceSet(found.columns, forest=found.forest, weights=found.weights, steps=(*self._calls, ".load()"))

    def head(self, n: int = 5) -> TraceSet:
        """Return a few traces as a TraceSet: the first ones of the first parts.

        Parameters
        ----------
        n
            How many.
        """
        return self._union(self._first(n))

    def _first(self, n: int) -> Iterator[TraceSet]:
        """Yield the first traces of the parts until there are so many."""
        for part in self.parts():
            if n <= 0:
                return
            few = part.head(n)
            n -= len(few)
            yield few

    def reduce(
        self, partial: Callable[[TraceSet], State], merge: Callable[[State, State], State], *, on: On = None
    ) -> State:
        """Return the state of all parts: ``partial`` of each, merged in their order.

        Parts of more than 350,000 spans are read in pieces, each with whole traces of a period.

        Parameters
        ----------
        partial
            Returns the state of a part, or of a piece of one.  Other processes must be able to import it, unless it is
            a function of a notebook or script.
        merge
            Returns the state of two.
        on
            Where parts are read.  None: the ``on`` of ``open``, else in processes of this machine, as many as there
            are processors and free memory for, or in this process if the store is small.  A number: in so many
            processes.  A Dask client, or the address of its scheduler (``"tcp://..."``): on its workers, which must be
            able to open the path of the store; needs ``pip install 'tracekit-notebook[dask]'``.

        Raises
        ------
        ValueError
            The store has no parts left, or ``on`` is below 1.
        TypeError
            ``on`` is something else.
        ImportError
            Dask is not installed.
        LoadError
            A part is damaged, or a process ended.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tk.open(shop.save(f"{folder}/shop.parquet")).reduce(len, int.__add__)
        5
        """
        if not self._numbers:
            raise ValueError("expected at least one part, found none in the window; see period_ns")
        found: State = self._reader(self.tasks, partial, merge, self._on if on is None else on)
        return found


@dataclass(frozen=True)
class _Pieces:
    """Returns the traces that a function chooses of a part, with the texts and attributes in use."""

    choose: Callable[[TraceSet], TraceSet]

    def __call__(self, traces: TraceSet) -> tuple[Piece, ...]:
        """Return those of a part; none where there are none."""
        found = self.choose(traces)
        return (_piece(found),) if len(found) else ()


def _both(first: tuple[Piece, ...], second: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """Return the pieces of two parts."""
    return first + second


def _are_among(traces: TraceSet, wanted: Array) -> Array:
    """Return which traces have one of some ids, given as (trace_hi, trace_lo)."""
    spans = traces.columns.spans
    first = trace_starts(spans)[:-1]
    hi, lo = spans.trace_hi[first], spans.trace_lo[first]
    found = np.isin(lo, wanted[:, 1])
    near = np.flatnonzero(found)
    found[near] = is_among(hi[near], lo[near], wanted)
    return found


def _piece(part: TraceSet) -> Piece:
    """Return all traces of a part as a piece."""
    return piece_of(part, part.weights, np.ones(len(part), bool), 0)


def period_of(traces: TraceSet) -> tuple[int, int] | None:
    """Return the first and the last start of a request."""
    root, spans = traces.forest.root_row, traces.columns.spans
    start = spans.start_ns[root][(spans.quality[root] & Quality.NO_START) == 0]
    return (int(start.min()), int(start.max())) if len(start) else None


def _size(traces: TraceSet) -> tuple[int, int]:
    """Return the numbers of traces and spans."""
    return len(traces), len(traces.columns.spans)


def _sum(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    """Return the sums of numbers of traces and spans."""
    return first[0] + second[0], first[1] + second[1]
