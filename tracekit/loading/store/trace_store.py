"""A store that is not loaded: its parts one after the other, for recordings larger than memory."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from tracekit.columns import SAMPLE_OF_STORE, SCALE_OF_SAMPLE
from tracekit.errors import LoadError
from tracekit.expressions import is_xray
from tracekit.expressions.limits import limits
from tracekit.filters import plain_id, spelled, window_ns
from tracekit.findings import Shown
from tracekit.loading.paths import STORE_MARKER, shown
from tracekit.loading.store.execution import over_tasks
from tracekit.loading.store.one_trace import one_trace
from tracekit.loading.store.part import Reach
from tracekit.loading.store.read_write import Marker, PartMark, load, load_part, read_frames, read_marker
from tracekit.loading.store.redacting import recognised, write_redacted
from tracekit.loading.store.remote import place_of
from tracekit.loading.store.union import Piece, piece_of, union
from tracekit.redaction.apply import joined_notes, removed_in
from tracekit.redaction.policy import STANDARD, policy_of
from tracekit.redaction.tables import Known
from tracekit.schema import Quality
from tracekit.self_description import step
from tracekit.text import plural
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tracekit.columns import Array
    from tracekit.loading.store.order import Bounds
    from tracekit.loading.store.remote import Place
    from tracekit.loading.store.tables import FileMark
    from tracekit.parts import On

State = TypeVar("State")
_TRACE_ID: Final = re.compile("[0-9a-f]{1,32}")
Reader: TypeAlias = "Callable[[Sequence[PartTask], Callable[[TraceSet], Any], Callable[[Any, Any], Any], On], Any]"


class _Step(NamedTuple):
    """A call that is applied to each part when it is read."""

    method: str
    arguments: tuple[Any, ...]


class PartTask(NamedTuple):
    """One part with the calls that are applied to it: what another process needs in order to read it.

    Parameters
    ----------
    path
        The store.
    number, mark
        The part, and its content.
    frames
        Content of the files that all parts share.
    steps
        Calls applied to it.
    keys
        Attribute keys of all parts.
    """

    path: Place
    number: int
    mark: PartMark
    frames: Mapping[str, FileMark]
    steps: tuple[_Step, ...]
    keys: tuple[str, ...]

    @property
    def span_count(self) -> int:
        """Number of spans of the part."""
        return self.mark.span_count

    @property
    def byte_count(self) -> int:
        """Length of the files of the part."""
        return sum(file.bytes for file in self.mark.files.values())

    @property
    def bounds(self) -> Bounds:
        """Limits that the calls set on times of spans of the traces: other row groups are not read."""
        found: list[tuple[str, int, int]] = []
        for method, arguments in self.steps:
            if method == "between":
                low, high = arguments
                found.append(("start_ns", low, high - 1))
            elif method == "where" and not isinstance(arguments[0], str):
                break  # a callable may compare a span with others
            elif method == "where" and not is_xray(arguments[0]):
                found += limits(arguments[0])
        return tuple(found)

    def read(self) -> TraceSet:
        """Return the part; its columns are read on first use."""
        return self.applied(self.opened(Reach(self.bounds)))

    def opened(self, reach: Reach) -> TraceSet:
        """Return the part, or what a reach allows of it, without the calls."""
        return load_part(self.path, self.mark, self.number, self.frames, self.keys, reach)

    def applied(self, found: TraceSet) -> TraceSet:
        """Return traces of the part after the calls."""
        for method, arguments in self.steps:
            found = _OWN[method](found, *arguments) if method in _OWN else getattr(found, method)(*arguments)
        return found


class TraceStore(Shown):
    """Recorded traces in a store, read part by part; ``tk.open`` returns it.

    Each part has whole traces, chosen by a hash of their ids: the parts of one conversion are random samples of the
    recording.  ``where``, ``between`` and ``with_weights`` are applied when a part is read.  Analyses
    such as ``tk.latency`` and ``tk.errors`` take a store: they read a part at a time, only the columns that they use,
    and give the result of the whole; the README lists them.

    Parameters
    ----------
    path
        The folder.
    marker
        Its content.
    numbers
        Parts that belong to it.
    steps
        Calls applied to each part.
    reader
        Computes the merged state of parts.
    on
        Where parts are read unless a call says otherwise; see ``reduce``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = open(shop.save(f"{folder}/shop.parquet"))
    ...     print(len(store), store.services, [len(part) for part in store.parts()])
    5 ['cart', 'ledger', 'shop'] [5]
    """

    def __init__(
        self,
        path: Place,
        marker: Marker,
        numbers: tuple[int, ...],
        steps: tuple[_Step, ...] = (),
        reader: Reader = over_tasks,
        *,
        on: On = None,
    ) -> None:
        self.path = path
        self._marker = marker
        self._numbers = numbers
        self._steps = steps
        self._reader = reader
        self._on = on

    # ---------------------------------------------------------------- what is in it, without reading spans

    @property
    def _marks(self) -> list[PartMark]:
        """What is known of each part."""
        return [self._marker.parts[number] for number in self._numbers]

    @property
    def part_count(self) -> int:
        """Number of parts."""
        return len(self._numbers)

    @property
    def services(self) -> list[str]:
        """All services of the parts, also of traces that conditions exclude."""
        return sorted({name for mark in self._marks for name in mark.services})

    @property
    def recorded_services(self) -> tuple[str, ...]:
        """The same, as results have them: views give services their colours."""
        return tuple(self.services)

    @cached_property
    def period_ns(self) -> tuple[int, int] | None:
        """First and last start of a request, in ns; None without any.  With conditions, the parts are read for it."""
        if self.is_chosen:
            return self.reduce(period_of, _wider) if self._numbers else None
        return self._recorded_ns

    @property
    def _recorded_ns(self) -> tuple[int, int] | None:
        """The same of all traces of the parts."""
        return reduce(_wider, (mark.period_ns for mark in self._marks), None)

    @property
    def is_chosen(self) -> bool:
        """Whether conditions may exclude traces."""
        return any(one.method in {"where", "between", "_kept"} for one in self._steps)

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

    # ---------------------------------------------------------------- choosing

    def where(self, condition: str | Callable[[pd.DataFrame], Any]) -> TraceStore:
        """Return the traces with a matching span; see ``TraceSet.where``.

        Parameters
        ----------
        condition
            An expression, or a callable that accepts ``spans`` of a part; a mask has no meaning for a store.

        Raises
        ------
        TypeError
            A mask.
        FilterError
            As for ``TraceSet.where``, when a part is read.
        """
        if not isinstance(condition, str) and not callable(condition):
            found = type(condition).__name__
            raise TypeError(f"expected an expression or a callable for a store, found {found}; use load() for masks")
        return self._with("where", condition)

    def kept(self, choose: Callable[[TraceSet], TraceSet]) -> TraceStore:
        """Return the traces that a function chooses of each part.

        Parameters
        ----------
        choose
            Returns some traces of a part, whether they are chosen must not depend on the others.  Other processes must
            be able to import it.
        """
        return self._with("_kept", choose)

    def between(self, start: Any, end: Any = None) -> TraceStore:
        """Return the traces whose root starts in [start, end); see ``TraceSet.between``.

        Parts outside of the window are not read.  A time of day, and the check that the window is within the recording,
        refer to the whole recording, also after ``where``; those of a TraceSet refer to the traces chosen so far.

        Parameters
        ----------
        start, end
            As for ``TraceSet.between``.

        Raises
        ------
        ValueError
            As for ``TraceSet.between``.
        """
        low, high = window_ns(start, end, np.array(self._recorded_ns or (), np.int64))
        inside = tuple(
            number
            for number, mark in zip(self._numbers, self._marks, strict=True)
            if mark.period_ns and mark.period_ns[0] < high and mark.period_ns[1] >= low
        )
        steps = (*self._steps, _Step("between", (low, high)))
        return self._changed(numbers=inside, steps=steps)

    def with_weights(self, source: Any) -> TraceStore:
        """Return the same traces with other sampling weights; see ``TraceSet.with_weights``.

        Parameters
        ----------
        source
            A number for all, the name of a root-span attribute that contains weights, or a mapping or Series by trace
            id.  Sources that need all traces at once (``"auto"``, rules, counts, logs) are resolved by ``tk.convert``
            or after ``load``.

        Raises
        ------
        TypeError
            Another source.
        """
        is_named = isinstance(source, str) and source not in {"auto", "recorded"}
        if not (np.isscalar(source) and not isinstance(source, str)) and not is_named and not _is_by_id(source):
            found = repr(source) if isinstance(source, str) else type(source).__name__
            raise TypeError(
                f"expected a number, an attribute, or weights by trace id for a store, found {found}; use load() first"
            )
        scaled = [one for one in self._steps if one.method == "_scaled"]  # a sample scales the weights that it gets
        others = [one for one in self._steps if one.method != "_scaled"]
        return self._changed(steps=(*others, _Step("with_weights", (source,)), *scaled))

    def redact(self, path: str | PathLike[str], policy: Any = STANDARD) -> TraceStore:
        """Write the same traces without personal data and secrets into a new store, and return it.

        Parts are read twice: what is recognised in one of them, such as a name by its key, is removed from all.  The
        result is that of ``TraceSet.redact``, with the same pseudonyms.

        Parameters
        ----------
        path
            Folder to write; not this store.  An existing store there is replaced only after the new one is complete.
        policy
            What becomes of personal data and secrets, as for ``TraceSet.redact``.

        Returns
        -------
        TraceStore
            The new store; ``redacted`` says what was removed, as its notes do.

        Raises
        ------
        ValueError
            A policy that cannot be used or is None; the path of this store; no parts.
        RenderError
            A file of the finished store contains a removed value; it is not written then.
        FileExistsError
            The path exists and is not a store.

        Examples
        --------
        >>> import tempfile
        >>> frame = shop.spans[["trace_id", "span_id", "name", "start_ns", "end_ns"]]
        >>> users = tk.TraceSet.from_spans(frame.assign(**{"attributes.user.email": "jo@example.org"}))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = open(users.save(f"{folder}/users.parquet")).redact(f"{folder}/shared.parquet")
        ...     store.load().attribute("user.email").unique().tolist()
        ...     store.redacted[["kind", "key"]].to_numpy().tolist()
        ['[email]']
        [['email', 'user.email']]
        """
        chosen, target = policy_of(policy), Path(path)
        if chosen is None:
            raise ValueError("expected a redaction policy, found None; use the store as it is to keep everything")
        if isinstance(self.path, Path) and target.resolve() == self.path.resolve():
            raise ValueError(f"expected the path of a new store, found that of this one: {target}")
        known = self.reduce(recognised, Known.merged)
        write_redacted(self.parts(), read_frames(self.path, self._marker.files), target, chosen, known)
        return open(target)

    def sample(self, parts: int | None = None, *, spans: int | None = None, seed: int = 0) -> TraceStore:
        """Return some of the parts, chosen at random, with sampling weights multiplied accordingly.

        Parameters
        ----------
        parts
            Number of parts.
        spans
            Instead of ``parts``: as many as have at most about so many spans, and at least one.
        seed
            Another seed chooses other parts.

        Raises
        ------
        TypeError
            Both or neither of ``parts`` and ``spans``.
        ValueError
            ``parts`` is below 1 or above their number, or ``spans`` is below 1.
        """
        if (parts is None) == (spans is None):
            raise TypeError("expected either parts or spans, found " + ("neither" if parts is None else "both"))
        if spans is not None:
            if spans < 1:
                raise ValueError(f"expected spans of 1 or more, found {spans:,}")
            total = sum(mark.span_count for mark in self._marks)
            parts = max(1, min(self.part_count, self.part_count * spans // max(total, 1)))
        if parts is None or not 1 <= parts <= self.part_count:
            raise ValueError(f"expected parts from 1 to {self.part_count:,}, their number, found {parts:,}")
        if parts == self.part_count:
            return self
        picked = np.sort(np.random.default_rng(seed).choice(self.part_count, parts, replace=False))
        chosen, factor = self.only(picked.tolist()), self.part_count / parts
        return chosen._with("_scaled", factor)  # noqa: SLF001 - of the same class

    def only(self, numbers: Iterable[int], *, reader: Reader | None = None) -> TraceStore:
        """Return the store of some of the parts, with the weights as they are; ``sample`` scales them.

        Parameters
        ----------
        numbers
            Positions of the parts in ``parts()``.
        reader
            What computes the merged state of the parts, with the arguments of ``over_tasks``; ``tk.refine`` keeps the
            states of parts that it has read.

        Raises
        ------
        IndexError
            There is no such part.
        """
        chosen = tuple(self._numbers[self._position(number)] for number in numbers)
        return self._changed(numbers=chosen, reader=reader)

    def placed(self, on: On) -> TraceStore:
        """Return the same store, whose parts are read elsewhere unless a call says otherwise; see ``reduce``.

        Parameters
        ----------
        on
            As for ``reduce``; None leaves it as it is.
        """
        return (
            self if on is None else TraceStore(self.path, self._marker, self._numbers, self._steps, self._reader, on=on)
        )

    def _with(self, method: str, *arguments: Any) -> TraceStore:
        """Return the store with one more step."""
        return self._changed(steps=(*self._steps, _Step(method, arguments)))

    def _changed(
        self,
        *,
        numbers: tuple[int, ...] | None = None,
        steps: tuple[_Step, ...] | None = None,
        reader: Reader | None = None,
    ) -> TraceStore:
        """Return the store with other parts, calls or reader."""
        chosen = (self._numbers if numbers is None else numbers, self._steps if steps is None else steps)
        return TraceStore(self.path, self._marker, *chosen, reader or self._reader, on=self._on)

    def _position(self, number: int) -> int:
        """Return the position of a part; IndexError if there is none."""
        if not 0 <= number < self.part_count:
            raise IndexError(f"expected the number of a part, from 0 to {self.part_count - 1:,}, found {number}")
        return number

    # ---------------------------------------------------------------- reading

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

    @cached_property
    def keys(self) -> list[str]:
        """Keys of the attributes of spans and resources in all parts, sorted; names to group by."""
        return sorted({key for mark in self._marker.parts for key in mark.keys})

    @property
    def tasks(self) -> list[PartTask]:
        """The parts as tasks: what any process needs to read them."""
        files, marks, keys = self._marker.files, self._marker.parts, tuple(self.keys)
        return [PartTask(self.path, at, marks[at], files, self._steps, keys) for at in self._numbers]

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
        return one_trace(self.tasks, _id_text(trace_id), is_chosen=self.is_chosen)

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
        ...     store = open(shop.save(f"{folder}/shop.parquet"))
        ...     len(store.traces(shop.trace_ids[:2]))
        2
        """
        if isinstance(trace_ids, str):
            raise TypeError(f"expected several trace ids, found the text {trace_ids!r}; trace(...) returns one trace")
        numbers = sorted({_number_of(one) for one in trace_ids})
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
        ...     len(open(shop.save(f"{folder}/shop.parquet")).chosen(TraceSet.head))
        5
        """
        pieces: tuple[Piece, ...] = self.reduce(_Pieces(choose), _both)
        return self._joined(list(pieces))

    def _with_ids(self, wanted: Array) -> Iterator[TraceSet]:
        """Yield the traces of each part that are among these, given as (trace_hi, trace_lo)."""
        for part in self.parts() if len(wanted) else ():
            hi, lo = part.columns.spans.trace_hi, part.columns.spans.trace_lo
            found = np.isin(lo, wanted[:, 1])
            near = np.flatnonzero(found)
            found[near] = _is_among(hi[near], lo[near], wanted)
            if found.any():
                yield part.where(found)

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

    @property
    def sampled(self) -> tuple[str, float] | None:
        """Which of the parts these are, and what weights were multiplied by; None unless ``sample`` chose them."""
        if not any(one.method == "_scaled" for one in self._steps):
            return None
        kept, total = (sum(mark.trace_count for mark in marks) for marks in (self._marks, self._marker.parts))
        said = f"{len(self._numbers):,} of {len(self._marker.parts):,} parts, {kept:,} of {total:,} traces"
        return said + " before conditions" * self.is_chosen, len(self._marker.parts) / len(self._numbers)

    def _union(self, parts: Iterable[TraceSet]) -> TraceSet:
        """Return traces of parts as one set, with the sources and issues of the store."""
        return self._joined([_piece(part) for part in parts])

    def _joined(self, pieces: list[Piece]) -> TraceSet:
        """Return pieces of parts as one set, with the sources and issues of the store."""
        pieces = pieces or [_piece(self._first_part.head(0))]
        rows = read_frames(self.path, self._marker.files)
        found = union(
            pieces, rows["sources"], rows["issues"], joined_notes([tuple(row.values()) for row in rows["notes"]])
        )
        return TraceSet(found.columns, forest=found.forest, weights=found.weights, steps=(*self._calls, ".load()"))

    @property
    def _calls(self) -> tuple[str, ...]:
        """The calls that open the store."""
        whole = len(self._numbers) == len(self._marker.parts)
        calls = [step(one.method, *one.arguments) for one in self._steps if not one.method.startswith("_")]
        return (f'tk.open("{self.path.name}")', *([] if whole else [step("only", list(self._numbers))]), *calls)

    @property
    def made(self) -> str:
        """The calls that open the store, as code."""
        return "".join(self._calls)

    @cached_property
    def _first_part(self) -> TraceSet:
        """The first part of the folder, whose sources and issues are those of all."""
        return load_part(self.path, self._marker.parts[0], 0, self._marker.files, self.keys)

    @property
    def sources(self) -> pd.DataFrame:
        """One row per source; see ``TraceSet.sources``."""
        return self._first_part.sources

    @cached_property
    def redacted(self) -> pd.DataFrame:
        """What was removed from the store, as its notes say; see ``TraceSet.redacted``."""
        notes = [(row["key"], row["value"]) for row in read_frames(self.path, self._marker.files)["notes"]]
        return removed_in(dict(notes))

    @property
    def issues(self) -> pd.DataFrame:
        """One row per issue; see ``TraceSet.issues``."""
        return self._first_part.issues

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

        Parameters
        ----------
        partial
            Returns the state of a part.  Other processes must be able to import it, unless it is a function of a
            notebook or script.
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
        ...     open(shop.save(f"{folder}/shop.parquet")).reduce(len, int.__add__)
        5
        """
        if not self._numbers:
            raise ValueError("expected at least one part, found none in the window; see period_ns")
        found: State = self._reader(self.tasks, partial, merge, self._on if on is None else on)
        return found

    # ---------------------------------------------------------------- how it shows itself

    def __repr__(self) -> str:
        period = f", {spelled(*self._recorded_ns)}" if self._recorded_ns else ""
        calls = "".join(step(one.method, *one.arguments) for one in self._steps if not one.method.startswith("_"))
        spans = sum(mark.span_count for mark in self._marks)
        size = f"{plural(self.part_count, 'part')}, {spans:,} spans, {plural(len(self.services), 'service')}"
        return f"TraceStore({self.path.name}: {size}{period}){calls}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>"


def open(path: str | Path, *, filesystem: Any = None, on: On = None) -> TraceStore:  # noqa: A001 - the public name
    """Open a store without loading it: for recordings larger than memory.

    Parameters
    ----------
    path
        A folder that ``tk.convert`` or ``TraceSet.save`` wrote, or the URL of a copy of it: ``s3://bucket/folder``,
        ``gs://...``, and what fsspec opens (``pip install 'tracekit-notebook[fsspec]'``).  Remote stores are read, not
        written.  The usual credentials apply; ``?region=...&endpoint_override=...`` after an S3 URL set others.
    filesystem
        Of fsspec or pyarrow, for a path in it: with credentials or options of its own.
    on
        Where its parts are read, unless an analysis is called with another ``on``; see ``TraceStore.reduce``.

    Returns
    -------
    TraceStore
        ``.parts()``, ``.where(...)``, ``.between(...)``, ``.sample(...)``, ``.trace(...)``, ``.load()``.

    Raises
    ------
    LoadError
        There is no store at the path, it is damaged, or it may not be read.
    ImportError
        A package for this kind of URL is not installed.
    TypeError
        Not a path, or not a filesystem.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = open(shop.save(f"{folder}/shop.parquet"))
    ...     store
    TraceStore(shop.parquet: 1 part, 28 spans, 3 services, 2026-01-01 12:00:00 to 12:00:04 UTC)
    """
    if not isinstance(path, (str, PathLike)):
        raise TypeError(f"expected the path of a store, found {type(path).__name__}; tk.read reads other sources")
    folder = place_of(path, filesystem)
    if not (folder / STORE_MARKER).is_file():
        message = f"expected a store (a folder with {STORE_MARKER}), found none at {shown(folder)}"
        raise LoadError(f"{message}; write one with tk.convert, or read other files with tk.read", source=shown(folder))
    marker = read_marker(folder)
    return TraceStore(folder, marker, tuple(range(len(marker.parts))), on=on)


def _id_text(trace_id: object) -> str:
    """Return the id of a trace; TypeError for what is no text."""
    if not isinstance(trace_id, str):
        raise TypeError(f"expected the id of a trace as text, found {type(trace_id).__name__}")
    return trace_id


def _number_of(trace_id: str) -> int:
    """Return the id of a trace as a number; ValueError for another text."""
    plain = plain_id(_id_text(trace_id))
    if not _TRACE_ID.fullmatch(plain):
        raise ValueError(f"expected the id of a trace, up to 32 hexadecimal digits, found {trace_id!r}")
    return int(plain, 16)


def _is_among(hi: Array, lo: Array, wanted: Array) -> Array:
    """Return whether each id is one of those wanted, pairs in ascending order of (hi, lo)."""
    ids = np.zeros(len(wanted) + len(hi), [("hi", np.uint64), ("lo", np.uint64)])
    ids["hi"], ids["lo"] = np.append(wanted[:, 0], hi), np.append(wanted[:, 1], lo)
    order = np.lexsort((ids["lo"], ids["hi"]))
    number = np.empty(len(ids), np.int64)
    number[order] = np.cumsum(np.append(False, ids[order][1:] != ids[order][:-1]))
    is_wanted = np.zeros(len(ids), bool)
    is_wanted[number[: len(wanted)]] = True
    return np.asarray(is_wanted[number[len(wanted) :]])


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


def _piece(part: TraceSet) -> Piece:
    """Return all traces of a part as a piece."""
    return piece_of(part, part.weights, np.ones(len(part), bool), 0)


def _begun_between(traces: TraceSet, low: int, high: int) -> TraceSet:
    """Return the traces of a part whose root starts in a window, which may contain none of them."""
    root = traces.forest.root_row
    begun, is_known = traces.columns.spans.start_ns[root], (traces.columns.spans.quality[root] & Quality.NO_START) == 0
    return traces.where((is_known & (begun >= low) & (begun < high))[traces.forest.trace])


def _scaled(traces: TraceSet, factor: float) -> TraceSet:
    """Return traces with their known weights multiplied."""
    weights = traces.weights.scaled(factor)
    return TraceSet(traces.columns, forest=traces.forest, weights=weights, steps=traces.steps)


def _kept(traces: TraceSet, choose: Callable[[TraceSet], TraceSet]) -> TraceSet:
    """Return the traces that a function chooses."""
    return choose(traces)


_OWN: Final[dict[str, Callable[..., TraceSet]]] = {"between": _begun_between, "_scaled": _scaled, "_kept": _kept}


def _is_by_id(source: Any) -> bool:
    """Return whether weights are given by trace id."""
    return isinstance(source, (dict, pd.Series))


def period_of(traces: TraceSet) -> tuple[int, int] | None:
    """Return the first and the last start of a request."""
    root, spans = traces.forest.root_row, traces.columns.spans
    start = spans.start_ns[root][(spans.quality[root] & Quality.NO_START) == 0]
    return (int(start.min()), int(start.max())) if len(start) else None


def _wider(first: tuple[int, int] | None, second: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the period of both."""
    known = [one for one in (first, second) if one]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def _size(traces: TraceSet) -> tuple[int, int]:
    """Return the numbers of traces and spans."""
    return len(traces), len(traces.columns.spans)


def _sum(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    """Return the sums of numbers of traces and spans."""
    return first[0] + second[0], first[1] + second[1]
