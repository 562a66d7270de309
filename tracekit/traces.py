"""TraceSet: the immutable container that every loader makes and every analysis takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit import frames, self_description
from tracekit import weights as weighing
from tracekit.attributes import pick
from tracekit.columns import Array, Columns
from tracekit.derived import CODED, Lookup
from tracekit.expressions import evaluate, is_xray, xray_filter
from tracekit.filters import instant_ns, of_spans, position, truths
from tracekit.findings import Shown
from tracekit.forest import Forest, build_forest
from tracekit.recipe import step
from tracekit.schema import Quality

if TYPE_CHECKING:
    from tracekit.attributes import Codes
    from tracekit.weights import Weights

Filter = str | pd.Series | Array | Callable[[pd.DataFrame], Any]


class TraceSet(Shown):
    """Recorded traces: numpy columns inside, DataFrames outside.

    The frames (``spans``, ``attributes``, ``events``, ``links``, ``resources``, ``scopes``, ``summary``, ``sources``,
    ``issues``) are made when asked for and kept; changing one changes nothing inside.  ``schema.describe()`` lists
    their columns.

    Parameters
    ----------
    columns
        Sorted columns, as the loaders make them.
    forest
        Their shape, where it is known already.
    weights
        One weight a trace; the recorded ones unless given.
    steps
        The calls that made this set, as code; see ``tracekit.recipe``.

    Examples
    --------
    >>> shop = TraceSet.from_spans(
    ...     pd.DataFrame(
    ...         {
    ...             "trace_id": ["a1", "a1", "b2"],
    ...             "span_id": ["1", "2", "3"],
    ...             "parent_span_id": [None, "1", None],
    ...             "service_name": ["cart", "ledger", "cart"],
    ...             "name": ["POST /pay", "charge", "GET /"],
    ...             "start_ns": [0, 10, 0],
    ...             "end_ns": [100, 90, 20],
    ...         }
    ...     )
    ... )
    >>> shop
    TraceSet(2 traces, 3 spans, 2 services, 1970-01-01 00:00:00 to 00:00:00 UTC)
    >>> shop.spans.loc[shop.spans["parent_row"] == 0, "service_name"].tolist()
    ['ledger']
    """

    def __init__(
        self,
        columns: Columns,
        *,
        forest: Forest | None = None,
        weights: Weights | None = None,
        steps: tuple[str, ...] = (),
    ) -> None:
        self.columns = columns
        self.steps = steps
        self._forest = forest
        self._weights = weights

    @classmethod
    def from_spans(cls, frame: pd.DataFrame) -> TraceSet:
        """Return the traces of a frame of spans; the way back from ``spans``.

        Parameters
        ----------
        frame
            ``trace_id``, ``span_id``, ``name``, ``start_ns``, ``end_ns``; optional ``parent_span_id``, ``kind``,
            ``status_code``, ``status_message``, ``service_name`` and other resource columns of ``schema.RESOURCES``,
            promoted columns (``http_route``, ...), and any ``attributes.<key>`` and ``resource.<key>``.  Events, links
            and attributes without a column are not in it, so they do not come back.

        Returns
        -------
        TraceSet
            With a source of its own named ``frame``.

        Raises
        ------
        SchemaError
            Columns are missing.
        """
        from tracekit.loading.from_frame import from_frame  # noqa: PLC0415 - the loaders build on this module

        return from_frame(frame)

    # ---------------------------------------------------------------- inside

    @cached_property
    def forest(self) -> Forest:
        """Parents, depths and children; see ``tracekit.forest``."""
        return self._forest if self._forest is not None else build_forest(self.columns.spans)

    @cached_property
    def weights(self) -> Weights:
        """One weight a trace, and where it came from."""
        if self._weights is not None:
            return self._weights
        found = weighing.recorded(self.columns.spans, self.forest, self.columns.texts)
        if not found.known.any():
            return found
        from tracekit.weights.resolve import settled_record  # noqa: PLC0415 - loads scipy, for recorded weights only

        return settled_record(self, found)

    @cached_property
    def lookup(self) -> Lookup:
        """Attributes by key and what follows from them."""
        return Lookup(self.columns)

    def codes(self, column: str) -> Codes:
        """Return a category column of ``spans`` as codes and labels, for kernels."""
        if column not in CODED:
            message = f"expected a category column of spans, found {column!r}; one of {', '.join(sorted(CODED))}"
            raise ValueError(message)
        return self.lookup.codes(column)

    @property
    def is_error(self) -> Array:
        """bool, one a span."""
        return self.lookup.is_error

    @property
    def is_inferred(self) -> Array:
        """bool, one a span: written by a backend for a callee that sent nothing."""
        return self.lookup.is_inferred

    @property
    def duration_ns(self) -> Array:
        """int64, one a span; meaningless where ``has_duration`` is false."""
        return self.lookup.duration_ns

    @property
    def has_duration(self) -> Array:
        """bool, one a span: both ends are known and in order."""
        return self.lookup.has_duration

    @cached_property
    def trace_ids(self) -> list[str]:
        """Hex text, one a trace, in the order of the columns."""
        first = self.forest.starts[:-1]
        return list(frames.hexes(self.columns.spans.trace_hi[first], self.columns.spans.trace_lo[first]))

    # ---------------------------------------------------------------- frames

    @cached_property
    def spans(self) -> pd.DataFrame:
        """One row a span; see ``schema.SPANS``."""
        return frames.spans(self.lookup, self.forest)

    @cached_property
    def attributes(self) -> pd.DataFrame:
        """One row an attribute; see ``schema.ATTRIBUTES``."""
        return frames.attributes(self.columns)

    @cached_property
    def events(self) -> pd.DataFrame:
        """One row an event; see ``schema.EVENTS``."""
        return frames.events(self.lookup)

    @cached_property
    def links(self) -> pd.DataFrame:
        """One row a link; see ``schema.LINKS``."""
        return frames.links(self.lookup)

    @cached_property
    def resources(self) -> pd.DataFrame:
        """One row a resource; see ``schema.RESOURCES``."""
        return frames.resources(self.lookup)

    @cached_property
    def scopes(self) -> pd.DataFrame:
        """One row an instrumentation scope; see ``schema.SCOPES``."""
        return frames.scopes(self.columns)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row a trace; see ``schema.SUMMARY``."""
        return frames.summary(self.lookup, self.forest, self.weights)

    @cached_property
    def sources(self) -> pd.DataFrame:
        """One row a source; see ``schema.SOURCES``."""
        return self.columns.sources.copy()

    @cached_property
    def issues(self) -> pd.DataFrame:
        """One row an issue; see ``schema.ISSUES``."""
        return self.columns.issues.copy()

    def attribute(self, key: str) -> pd.Series:
        """Return one attribute as a categorical column aligned with ``spans``.

        Parameters
        ----------
        key
            The attribute's key as recorded, of the span or else of its resource.

        Returns
        -------
        pandas.Series
            Texts; missing where a span has no such attribute.

        Raises
        ------
        ValueError
            No span and no resource has it; the nearest keys are named.

        Examples
        --------
        >>> spans = pd.DataFrame({"trace_id": "a1", "span_id": ["1", "2"], "name": "x", "start_ns": 0, "end_ns": 5})
        >>> shop = TraceSet.from_spans(spans.assign(**{"attributes.tenant": ["blue", None]}))
        >>> shop.attribute("tenant").tolist()
        ['blue', nan]
        """
        own = self.lookup.by_key.codes_of((key,))
        codes, _ = pick([own, self.lookup.resources_by_key.codes_of((key,)).take(self.columns.spans.resource)])
        if not codes.labels:
            import difflib  # noqa: PLC0415 - only on the way to an error

            near = [other for other in difflib.get_close_matches(key, self.columns.kv.keys, 4) if other != key]
            message = f"expected an attribute of a span or its resource, found none called {key!r}; " + (
                f"did you mean {', '.join(near)}?" if near else "traces.attributes['key'].unique() lists them all"
            )
            raise ValueError(message)
        series = codes.series()
        series.index.name = "span_row"
        return series.rename(key)

    # ---------------------------------------------------------------- other sets

    def where(self, condition: Filter) -> TraceSet:
        """Return the traces with at least one matching span, with all of their spans.

        With all of them, because a trace without some of its spans has another critical path.

        Parameters
        ----------
        condition
            A condition over columns of ``spans`` (``"service_name == 'ledger' and duration_ns > 5e6"``,
            ``"name.startswith('GET ')"``; see ``tracekit.expressions.conditions``), a filter expression of X-Ray
            (``'service("ledger") { fault } AND duration > 1'``, see ``tracekit.xray_filter``), a boolean Series or
            array with one entry a span (or a Series indexed by trace id), or a callable that takes
            ``spans``.

        Returns
        -------
        TraceSet
            Sources and issues stay: they describe what was read.

        Raises
        ------
        FilterError
            The expression does not parse, names a column that is not there, or has anything else in it than a
            condition may: it is data and never run as code.
        ValueError
            A mask of the wrong length, or of other spans than these.
        TypeError
            A mask that does not hold truth values; a missing one counts as false.

        Examples
        --------
        >>> spans = pd.DataFrame({"trace_id": ["a1", "b2"], "span_id": "1", "name": "x", "start_ns": 0, "end_ns": 5})
        >>> shop = TraceSet.from_spans(spans.assign(service_name=["cart", "ledger"]))
        >>> len(shop.where("service_name == 'ledger'"))
        1
        """
        mask: Any = condition
        if isinstance(condition, str):
            mask = xray_filter(self, condition) if is_xray(condition) else evaluate(condition, self._column)
        if callable(mask):
            mask = mask(self.spans)
        mask = truths(mask)
        made = step("where", condition)
        if mask.index.name == "trace_id":
            return self._only(mask.reindex(self.trace_ids, fill_value=False).to_numpy(bool), made)
        matching = self.forest.trace[of_spans(mask, len(self.columns.spans))]
        return self._only(np.bincount(matching, minlength=len(self)) > 0, made)

    def _column(self, name: str) -> pd.Series:
        """Return one column of ``spans`` without the others."""
        return frames.span_column(self.lookup, self.forest, name)

    def trace(self, trace_id: str) -> TraceSet:
        """Return one trace.

        Parameters
        ----------
        trace_id
            Hex text, or a beginning of it that no other trace has; X-Ray's spelling is understood.

        Raises
        ------
        ValueError
            No trace, or several, begin so; the nearest ids are named.

        Examples
        --------
        >>> shop = TraceSet.from_spans(
        ...     pd.DataFrame({"trace_id": ["a1", "b2"], "span_id": ["1", "2"], "name": "x", "start_ns": 0, "end_ns": 5})
        ... )
        >>> len(shop.trace("000000000000000000000000000000b2"))
        1
        """
        chosen = np.zeros(len(self), bool)
        chosen[self.find(trace_id)] = True
        return self._only(chosen, step("trace", trace_id))

    def find(self, trace_id: str) -> int:
        """Return which trace has this id, or is the only one that begins so; ValueError names the nearest."""
        return position(trace_id, self.trace_ids)

    def between(self, start: Any, end: Any) -> TraceSet:
        """Return the traces whose root starts in [start, end).

        Parameters
        ----------
        start, end
            Anything ``pandas.Timestamp`` takes; without a zone, UTC.

        Raises
        ------
        ValueError
            No time.
        """
        low, high = (instant_ns(edge) for edge in (start, end))
        root = self.forest.root_row
        known = (self.columns.spans.quality[root] & Quality.NO_START) == 0
        begun = self.columns.spans.start_ns[root]
        edges = (pd.Timestamp(edge, tz="UTC").isoformat() for edge in (low, high))
        return self._only(known & (begun >= low) & (begun < high), step("between", *edges))

    def with_weights(self, source: Any = "auto") -> TraceSet:
        """Return the same traces with other weights; ``summary["weight_source"]`` says where each came from.

        Parameters
        ----------
        source
            ``"auto"``: the first that applies of a log or tracestate, recorded sample rates, samplers' tags, what the
            ids show (``tracekit.weights.resolve``).  Sampling rules (X-Ray, collector, Jaeger; a mapping, a list or the
            path of a file); counted requests or a log with trace ids (a frame); the name of an attribute of the root
            spans that holds weights; ``"recorded"`` for the roots' ``ot=th`` alone.  Or the weights themselves, 1 /
            inclusion probability: one number for all, one a trace in order, a mapping or Series by trace id.

        Raises
        ------
        ValueError
            A weight that is missing, below 1 or above 2^63; a text, rules or counts that are none.

        Examples
        --------
        >>> shop = TraceSet.from_spans(
        ...     pd.DataFrame({"trace_id": ["a1", "b2"], "span_id": ["1", "2"], "name": "x", "start_ns": 0, "end_ns": 5})
        ... )
        >>> shop.with_weights(20).summary["weight"].tolist()
        [20.0, 20.0]
        """
        from tracekit.weights.resolve import chosen  # noqa: PLC0415 - loads scipy, for those who ask

        steps = (*self.steps, step("with_weights", source))
        return TraceSet(self.columns, forest=self.forest, weights=chosen(self, source), steps=steps)

    def _only(self, chosen: Array, made: str) -> TraceSet:
        """Return the chosen traces."""
        rows = np.flatnonzero(chosen[self.forest.trace])
        return TraceSet(self.columns.take(rows), weights=self.weights.take(chosen), steps=(*self.steps, made))

    def save(self, path: str | Path) -> Path:
        """Write the set as a folder of Parquet files that ``tracekit.read`` reads back.

        Parameters
        ----------
        path
            A folder, by custom ``*.parquet``; an older store there is replaced once the new one is whole.

        Returns
        -------
        pathlib.Path
            The folder.
        """
        from tracekit.loading.store.store import save  # noqa: PLC0415 - the loaders build on this module

        return save(self, Path(path))

    # ---------------------------------------------------------------- how it shows

    def __len__(self) -> int:
        return len(self.forest.starts) - 1

    def __repr__(self) -> str:
        return self_description.line(self)

    def _repr_html_(self) -> str:
        return self_description.table(self)
