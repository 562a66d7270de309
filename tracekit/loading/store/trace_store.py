"""A store that is not loaded: its parts one after the other, for recordings larger than memory."""

from __future__ import annotations

import operator
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tracekit.errors import LoadError
from tracekit.filters import window_ns
from tracekit.loading.paths import STORE_MARKER, shown
from tracekit.loading.store.read_write import read_frames, read_marker
from tracekit.loading.store.reading import StoreReading
from tracekit.loading.store.redacting import recognised, write_redacted
from tracekit.loading.store.remote import place_of
from tracekit.loading.store.steps import WEIGHED, Step
from tracekit.loading.store.weighing import PieceOf, by_part
from tracekit.redaction import STANDARD
from tracekit.redaction.policy import policy_of
from tracekit.redaction.tables import Known
from tracekit.self_description import step
from tracekit.weights.deciding_spans import deciding_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

    from tracekit.columns import Array
    from tracekit.loading.store.part_task import Reader
    from tracekit.loading.store.union import Piece
    from tracekit.parts import On
    from tracekit.traces import TraceSet
    from tracekit.weights import Weights

Found = TypeVar("Found")


class TraceStore(StoreReading):
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

    def where(self, condition: str | Callable[[pd.DataFrame], Any]) -> TraceStore:
        """Return the traces with a matching span; see ``TraceSet.where``.

        Parameters
        ----------
        condition
            An expression, or a callable that accepts ``spans`` of a part (of one with more than 350,000 spans, of
            a piece); a mask has no meaning for a store.

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

    def weighed(
        self, rows: Callable[[TraceSet], Array], weigh: Callable[[TraceSet], tuple[Weights, Found]], *, call: str = ""
    ) -> tuple[TraceStore, Found]:
        """Return the same traces with weights that need all of them at once, and what was found with these.

        The parts are read for it once.  Each is then sent with the weights of its traces, about 30 bytes a trace.

        Parameters
        ----------
        rows
            Returns the rows of the spans of a part, at least one of each trace, that the weights depend on.  Other
            processes must be able to import it.
        weigh
            Returns the weights from these spans of all traces, which are in memory together, with their own weights.
        call
            The call that does so, as code; nothing if the user made none.
        """
        pieces: tuple[Piece, ...] = self.reduce(PieceOf(rows), operator.add)
        weights, found = weigh(self._joined([piece for piece in pieces if len(piece.columns.spans)]))
        numbers = [task.number for task in self.tasks for _ in task.pieces]
        return self._with(WEIGHED, by_part(pieces, numbers, weights), call), found

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
        steps = (*self._steps, Step("between", (low, high)))
        return self._changed(numbers=inside, steps=steps)

    def with_weights(self, source: Any = "auto") -> TraceStore:
        """Return the same traces with other sampling weights; see ``TraceSet.with_weights``.

        A number, an attribute and weights by trace id are applied when a part is read.  What depends on several traces
        (``"auto"`` and other names, sampling rules, request counts, a log with trace ids, one weight per trace in
        order) is found here: the parts are read for it once, and of each trace the root and the spans that its
        weight depends on are in memory together, 200 to 600 bytes a trace; then 30 bytes a trace are kept.

        Of some of the parts, as of any other choice of traces, rules find the weights of these traces alone: with a
        limit per second (an X-Ray reservoir), call ``sample`` after ``with_weights``.

        Parameters
        ----------
        source
            As for ``TraceSet.with_weights``; one per trace is in the order of ``load().trace_ids``.

        Raises
        ------
        ValueError
            As for ``TraceSet.with_weights``; of an attribute or weights by trace id when a part is read.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = open(shop.save(f"{folder}/shop.parquet")).with_weights({"FixedRate": 0.05})
        ...     print(store.load().weights.value.tolist(), store.made)
        [20.0, 20.0, 20.0, 20.0, 20.0] tk.open("shop.parquet").with_weights({'FixedRate': 0.05})
        """
        from tracekit.weights.resolve import chosen, depends_on_others, rules_in  # noqa: PLC0415 - loads scipy

        scaled = [one for one in self._steps if one.method == "_scaled"]  # a sample scales the weights that it gets
        others = tuple(one for one in self._steps if one.method != "_scaled")
        if not depends_on_others(source):
            return self._changed(steps=(*others, Step("with_weights", (source,)), *scaled))
        rules = rules_in(source)
        rows = partial(deciding_rows, has_policies=rules is not None and bool(rules.tail))
        given = rules or source
        call = step("with_weights", source)
        found, _ = self._changed(steps=others).weighed(rows, lambda traces: (chosen(traces, given), None), call=call)
        return found._changed(steps=(*found._steps, *scaled))  # noqa: SLF001 - of the same class

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
        return self._changed(steps=(*self._steps, Step(method, arguments)))

    def _changed(
        self,
        *,
        numbers: tuple[int, ...] | None = None,
        steps: tuple[Step, ...] | None = None,
        reader: Reader | None = None,
    ) -> TraceStore:
        """Return the store with other parts, calls or reader."""
        chosen = (self._numbers if numbers is None else numbers, self._steps if steps is None else steps)
        return TraceStore(self.path, self._marker, *chosen, reader or self._reader, on=self._on)


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
