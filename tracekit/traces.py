"""TraceSet: the immutable container that every loader returns and every analysis accepts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tracekit import frames, grouping, self_description
from tracekit import weights as weighing
from tracekit.derived import CODED, Lookup
from tracekit.expressions import evaluate, is_xray, xray_filter
from tracekit.filters import by_plain_id, of_spans, position, truths, window_ns
from tracekit.findings import Shown
from tracekit.forest import Forest, build_forest
from tracekit.on_demand import pd
from tracekit.redaction import STANDARD
from tracekit.redaction.statement import say
from tracekit.schema import Quality
from tracekit.self_description import step

if TYPE_CHECKING:
    from tracekit.attributes import Codes
    from tracekit.columns import Array, Columns
    from tracekit.redaction.apply import Redacted
    from tracekit.redaction.policy import Policy
    from tracekit.redaction.tables import Known
    from tracekit.weights import Weights

Filter: TypeAlias = "str | pd.Series | Array | Callable[[pd.DataFrame], Any]"


class TraceSet(Shown):
    """Recorded traces, stored as numpy columns and shown as DataFrames.

    The frames (``spans``, ``attributes``, ``events``, ``links``, ``resources``, ``scopes``, ``summary``, ``sources``,
    ``issues``) are built on first access and cached; changing a frame does not change the TraceSet.
    ``schema.describe()`` lists their columns.

    ``len`` is the number of traces, iteration yields one TraceSet per trace, and ``a + b`` contains the traces of both.

    Parameters
    ----------
    columns
        Sorted columns, as the loaders return them.
    forest
        Parents, depths and children, if already computed.
    weights
        One sampling weight per trace; default: the recorded ones.
    steps
        The calls that created this set, as code; see ``tracekit.self_description``.

    Examples
    --------
    >>> shop
    TraceSet(5 traces, 28 spans, 3 services, 2026-01-01 12:00:00 to 12:00:04 UTC)
    >>> shop.spans.loc[shop.spans["is_error"], "operation"].tolist()
    ['POST', 'POST /charge', 'POST /pay', 'POST', 'POST /charge']
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
        """Return a TraceSet from a frame of spans, such as ``spans``.

        Parameters
        ----------
        frame
            ``trace_id``, ``span_id``, ``name``, ``start_ns``, ``end_ns``; optional ``parent_span_id``, ``kind``,
            ``status_code``, ``status_message``, ``service_name`` and other resource columns of ``schema.RESOURCES``,
            promoted columns (``http_route``, ...), and any ``attributes.<key>`` and ``resource.<key>``.  Events, links
            and attributes without a column are not included.

        Returns
        -------
        TraceSet
            With one source, named ``frame``.

        Raises
        ------
        SchemaError
            Columns are missing.
        """
        from tracekit.loading.from_frame import from_frame  # noqa: PLC0415 - the loaders import this module

        return from_frame(frame)

    # ---------------------------------------------------------------- columns and what is computed from them

    @cached_property
    def forest(self) -> Forest:
        """Parents, depths and children; see ``tracekit.forest``."""
        return self._forest if self._forest is not None else build_forest(self.columns.spans)

    @cached_property
    def weights(self) -> Weights:
        """One sampling weight per trace, and its source."""
        if self._weights is not None:
            return self._weights
        found = weighing.recorded(self.columns.spans, self.forest, self.columns.texts)
        if not found.known.any():
            return found
        from tracekit.weights.resolve import recorded_weights  # noqa: PLC0415 - loads scipy

        return recorded_weights(self, found)

    @cached_property
    def lookup(self) -> Lookup:
        """Attributes by key, and the columns derived from them."""
        return Lookup(self.columns)

    def codes(self, column: str) -> Codes:
        """Return a category column of ``spans`` as codes and labels."""
        if column not in CODED:
            message = f"expected a category column of spans, found {column!r}; one of {', '.join(sorted(CODED))}"
            raise ValueError(message)
        return self.lookup.codes(column)

    @property
    def is_error(self) -> Array:
        """bool, one per span."""
        return self.lookup.is_error

    @property
    def is_inferred(self) -> Array:
        """bool, one per span: written by a backend for a callee that sent no spans."""
        return self.lookup.is_inferred

    @property
    def duration_ns(self) -> Array:
        """int64 ns, one per span; undefined where ``has_duration`` is false."""
        return self.lookup.duration_ns

    @property
    def has_duration(self) -> Array:
        """bool, one per span: start and end are known, and the end is not before the start."""
        return self.lookup.has_duration

    @cached_property
    def trace_ids(self) -> list[str]:
        """Hex text, one per trace, in the order of the columns."""
        first = self.forest.starts[:-1]
        return list(frames.hexes(self.columns.spans.trace_hi[first], self.columns.spans.trace_lo[first]))

    # ---------------------------------------------------------------- frames

    @cached_property
    def spans(self) -> pd.DataFrame:
        """One row per span; see ``schema.SPANS``."""
        return frames.spans(self.lookup, self.forest)

    @cached_property
    def attributes(self) -> pd.DataFrame:
        """One row per attribute; see ``schema.ATTRIBUTES``."""
        return frames.attributes(self.columns)

    @cached_property
    def events(self) -> pd.DataFrame:
        """One row per event; see ``schema.EVENTS``."""
        return frames.events(self.lookup)

    @cached_property
    def links(self) -> pd.DataFrame:
        """One row per link; see ``schema.LINKS``."""
        return frames.links(self.lookup)

    @cached_property
    def resources(self) -> pd.DataFrame:
        """One row per resource; see ``schema.RESOURCES``."""
        return frames.resources(self.lookup)

    @cached_property
    def scopes(self) -> pd.DataFrame:
        """One row per instrumentation scope; see ``schema.SCOPES``."""
        return frames.scopes(self.columns)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per trace; see ``schema.SUMMARY``."""
        return frames.summary(self.lookup, self.forest, self.weights)

    @cached_property
    def sources(self) -> pd.DataFrame:
        """One row per source; see ``schema.SOURCES``."""
        return self.columns.sources.copy()

    @cached_property
    def issues(self) -> pd.DataFrame:
        """One row per issue; see ``schema.ISSUES``."""
        return self.columns.issues.copy()

    def attribute(self, name: str) -> pd.Series:
        """Return one attribute as a categorical column aligned with ``spans``.

        Parameters
        ----------
        name
            An attribute key as recorded (the resource is searched where the span does not have it), ``resource.<key>``,
            ``request.<name>`` (one value per trace: that of the root span, else of the span with the smallest depth
            that has one, the earliest of several), or a column of ``spans``.  ``by=`` of the analyses and the
            conditions of ``where`` take the same names.

        Returns
        -------
        pandas.Series
            Values as text, columns of ``spans`` as they are; missing where there is no value.

        Raises
        ------
        ValueError
            A name that no column and no attribute has; the message lists similar ones.

        Examples
        --------
        >>> shop.attribute("http.request.resend_count").dropna().tolist()
        ['1']
        >>> shop.attribute("request.http.request.resend_count").notna().sum()
        np.int64(8)
        """
        return grouping.values(self, name)

    # ---------------------------------------------------------------- selecting and weighting traces

    def where(self, condition: Filter) -> TraceSet:
        """Return the traces that have at least one matching span.

        All spans of these traces are kept, because removing spans would change the critical path.

        Parameters
        ----------
        condition
            A condition over columns of ``spans`` (``"service_name == 'ledger' and duration_ns > 5e6"``,
            ``"name.startswith('GET ')"``; see ``tracekit.expressions.conditions``), an X-Ray filter expression
            (``'service("ledger") { fault } AND duration > 1'``, see ``tracekit.xray_filter``), a boolean Series or
            array with one entry per span (or a Series indexed by trace id), or a callable that accepts ``spans``.

        Returns
        -------
        TraceSet
            Sources and issues are unchanged, because they describe the input data.

        Raises
        ------
        FilterError
            The expression does not parse, names a column that does not exist, or uses syntax that conditions do not
            allow. Expressions are never executed as Python code.
        ValueError
            The mask has the wrong length, or its index does not match the spans.
        TypeError
            The mask is not boolean.  (Missing values are treated as False.)

        Examples
        --------
        >>> shop.where("service_name == 'ledger' and is_error").trace_ids
        ['d4c0de00000000000000000000000000', 'e5c0de00000000000000000000000000']
        """
        return self._only(matching(self, condition), step("where", condition))

    def trace(self, trace_id: str) -> TraceSet:
        """Return one trace.

        Parameters
        ----------
        trace_id
            Hex text or a unique prefix of it; X-Ray's format (``1-5759e988-...``) is accepted.

        Raises
        ------
        ValueError
            No trace, or more than one, has this prefix; the message lists the nearest ids.

        Examples
        --------
        >>> shop.trace("c3")
        TraceSet(1 trace, 6 spans, 3 services, 2026-01-01 12:00:02 to 12:00:02 UTC)
        """
        chosen = np.zeros(len(self), bool)
        chosen[self.find(trace_id)] = True
        return self._only(chosen, step("trace", trace_id))

    def find(self, trace_id: str) -> int:
        """Return the position of the trace with this id or unique id prefix; ValueError lists the nearest ids."""
        return position(trace_id, self.trace_ids)

    def between(self, start: Any, end: Any = None) -> TraceSet:
        """Return the traces whose root starts in [start, end).

        Parameters
        ----------
        start, end
            Anything that ``pandas.Timestamp`` accepts, UTC if it has no time zone; a time of day such as ``"16:24"`` is
            on the date of the recording; None is no limit.

        Raises
        ------
        ValueError
            Not a time; a time of day that occurs several times in the recording; an end before the start; a window
            outside the recording, whose period the message contains.

        Examples
        --------
        >>> len(shop.between("12:00:02", "12:00:04"))
        2
        """
        root = self.forest.root_row
        known = (self.columns.spans.quality[root] & Quality.NO_START) == 0
        begun = self.columns.spans.start_ns[root]
        low, high = window_ns(start, end, begun[known])
        edges = (pd.Timestamp(edge, tz="UTC").isoformat() for edge in (low, high))
        return self._only(known & (begun >= low) & (begun < high), step("between", *edges))

    def with_weights(self, source: Any = "auto") -> TraceSet:
        """Return the same traces with other sampling weights; ``summary["weight_source"]`` has the source of each.

        Parameters
        ----------
        source
            ``"auto"``: the first that is available of a log or tracestate, recorded sample rates, sampler tags, and
            trace-ID forensics (``tracekit.weights.resolve``).  Sampling rules (X-Ray, collector, Jaeger; a mapping, a
            list or the path of a file); request counts or a log with trace ids (a frame); the name of a root-span
            attribute that contains weights; ``"recorded"`` for ``ot=th`` of the root spans only. Or the weights
            themselves, 1 / inclusion probability: one number for all, one per trace in order, or a mapping or Series by
            trace id.

        Raises
        ------
        ValueError
            A weight is missing, below 1 or above 2^63, or the source is none of the above.

        Examples
        --------
        >>> shop.with_weights(20).summary["weight"].tolist()
        [20.0, 20.0, 20.0, 20.0, 20.0]
        """
        from tracekit.weights.resolve import chosen  # noqa: PLC0415 - loads scipy

        return reweighted(self, chosen(self, source), (*self.steps, step("with_weights", source)))

    def sample(self, n: int, *, seed: int = 0) -> TraceSet:
        """Return n traces chosen at random, all with the same probability.

        Known sampling weights are multiplied by (number of traces) / n, so that weighted totals estimate those of this
        set; unknown ones stay unknown, and ratios and means need no weights.

        Parameters
        ----------
        n
            Number of traces, each at most once.
        seed
            Another seed chooses other traces; the same seed the same ones.

        Raises
        ------
        ValueError
            ``n`` is below 1 or above the number of traces.

        Examples
        --------
        >>> shop.with_weights(20).sample(2).summary["weight"].tolist()
        [50.0, 50.0]
        """
        if not 1 <= n <= len(self):
            raise ValueError(f"expected n from 1 to the number of traces, {len(self):,}, found {n:,}")
        chosen = np.zeros(len(self), bool)
        chosen[np.random.default_rng(seed).choice(len(self), n, replace=False)] = True
        return self._only(chosen, step("sample", n, seed=seed), weights=self.weights.scaled(len(self) / n))

    def head(self, n: int = 5) -> TraceSet:
        """Return the first n traces in the order of ``summary``, or all if there are fewer; weights are unchanged.

        Parameters
        ----------
        n
            Number of traces.

        Raises
        ------
        ValueError
            ``n`` is below 0.

        Examples
        --------
        >>> shop.head(2).trace_ids == shop.trace_ids[:2]
        True
        """
        if n < 0:
            raise ValueError(f"expected n of 0 or more traces, found {n}")
        return self._only(np.arange(len(self)) < n, step("head", n))

    def redact(self, policy: Any = "default") -> TraceSet:
        """Return the same traces without personal data and secrets; ``redacted`` says what was removed.

        What is found is what ``tk.privacy`` lists.  Structure, ids, times, weights and the names of hosts stay as they
        are; names and versions of services too, unless they contain a secret, or a number or an e-mail address of a
        person.  Each distinct text is searched and replaced once.

        Parameters
        ----------
        policy
            ``"default"`` (``tk.Policy()``), a ``tk.Policy``, a mapping with its fields, or a TOML file with them.

        Returns
        -------
        TraceSet
            Texts of attributes, names, events, resources, sources and issues are replaced, and equal ones become one;
            the record of what was removed is kept by ``save``.

        Raises
        ------
        ValueError
            The policy cannot be used; the message says why.

        Examples
        --------
        >>> frame = shop.spans[["trace_id", "span_id", "name", "start_ns", "end_ns"]]
        >>> users = tk.TraceSet.from_spans(frame.assign(**{"attributes.user.email": "jo@example.org"})).redact()
        >>> users.attribute("user.email").unique().tolist()
        ['[email]']
        >>> users.redacted[["kind", "key", "use_count"]].to_numpy().tolist()
        [['email', 'user.email', 28]]
        """
        from tracekit.redaction.policy import policy_of  # noqa: PLC0415 - loads what only redacting needs

        chosen = policy_of(policy)
        if chosen is None:
            raise ValueError("expected a redaction policy, found None; omit redact(...) to keep everything")
        return redacted_set(self, chosen, step("redact", *_stated(policy)))[0]

    @property
    def redacted(self) -> pd.DataFrame:
        """What ``redact`` removed: ``kind``, ``where``, ``key``, ``action``, ``value_count``, ``use_count``."""
        from tracekit.redaction.apply import removed_from  # noqa: PLC0415 - as in ``redact``

        return removed_from(self.columns)

    def _only(self, chosen: Array, made: str, weights: Weights | None = None) -> TraceSet:
        """Return the selected traces, with new weights of all traces if given."""
        known = self.weights if weights is None else weights
        if chosen.all():
            return reweighted(self, known, (*self.steps, made))
        rows = np.flatnonzero(chosen[self.forest.trace])
        return TraceSet(self.columns.take(rows), weights=known.take(chosen), steps=(*self.steps, made))

    def __add__(self, other: TraceSet) -> TraceSet:
        """Return the traces of both sets.

        Sources and issues are those of both.  Spans of a trace that is in both sets are merged as ``tk.read`` merges
        the spans of several files: parents are resolved again, and a span with the same content is kept once.  Two
        parts of one recording (``during.head() + during.where(...)``) have its sources once, and a trace in both is
        counted once.

        Every trace keeps its sampling weight, known in one set or equal in both; if the sets have different weights
        for a trace, its weight is unknown.  Weights are not combined: two samples of the same traffic, each with
        weights that describe all of it, count it twice, so that totals (not ratios or means) are those of both.

        Examples
        --------
        >>> both = baseline + shop
        >>> len(baseline), len(shop), len(both)
        (5, 5, 10)
        >>> len(shop.head(3) + shop)
        5
        """
        if not isinstance(other, TraceSet):
            return NotImplemented
        from tracekit.loading.store.union import add  # noqa: PLC0415 - the loaders build on this module

        return add(self, other)

    def __iter__(self) -> Iterator[TraceSet]:
        """Yield each trace as a TraceSet, as ``trace`` returns it, without copying columns."""
        starts = self.forest.starts.tolist()
        for at, (trace_id, low, high) in enumerate(zip(self.trace_ids, starts, starts[1:], strict=False)):
            weights = self.weights.take(np.array([at]))
            yield TraceSet(self.columns.part(low, high), weights=weights, steps=(*self.steps, step("trace", trace_id)))

    def save(self, path: str | Path) -> Path:
        """Write the traces to a folder of Parquet files that ``tracekit.read`` can read.

        Parameters
        ----------
        path
            Folder to write, usually ``NAME.parquet``.  An existing store is replaced only after the new one is
            complete.

        Returns
        -------
        pathlib.Path
            The folder.

        Notes
        -----
        DuckDB and Polars read the files of a store, too: ``part-00000/spans.parquet`` has one row per span, and row i
        (from 0) of ``names``, ``texts``, ``keys``, ``resources`` and ``kv`` is what code i of other tables means;
        ``attributes`` has one row per attribute: the row of its span, and the row of ``kv`` with key and value.
        ``to_parquet`` writes one file without codes instead.

        Examples
        --------
        Time by span name, and which spans have an attribute:

        >>> import duckdb, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> part = shop.save(f"{folder.name}/shop.parquet") / "part-00000"
        >>> duckdb.sql(f'''
        ...     select text as name, count(*) as spans, sum(end_ns - start_ns) // 1_000_000 as milliseconds
        ...     from '{part}/spans.parquet' as spans
        ...     join read_parquet('{part}/names.parquet', file_row_number = true) as names
        ...         on names.file_row_number = spans.name
        ...     group by all order by milliseconds desc limit 2''').fetchall()
        [('POST /pay', 4, 720), ('POST', 9, 670)]
        >>> duckdb.sql(f'''
        ...     select keys.text, kv.text, count(distinct attributes.row) as spans
        ...     from '{part}/attributes.parquet' as attributes
        ...     join read_parquet('{part}/kv.parquet', file_row_number = true) as kv
        ...         on kv.file_row_number = attributes.kv
        ...     join read_parquet('{part}/keys.parquet', file_row_number = true) as keys
        ...         on keys.file_row_number = kv.key
        ...     where keys.text = 'http.route' group by all order by spans desc, kv.text limit 2''').fetchall()
        [('http.route', '/charge', 5), ('http.route', '/lock', 4)]
        >>> folder.cleanup()
        """
        from tracekit.loading.store.read_write import save  # noqa: PLC0415 - the loaders build on this module

        return save(self, Path(path))

    def to_parquet(self, path: str | Path, *, redact: Any = STANDARD) -> Path:
        """Write the spans to one Parquet file that DuckDB, Polars and pandas read.

        The file has one row per span: the columns of ``spans`` except row numbers and positions in sources; ``weight``
        (sampling weight of the trace, missing where unknown); ``attributes`` and ``resource_attributes``, maps of text
        to text.  Ids are lower-case hex text, times UTC in ns, missing times null.  Events, links, scopes and issues
        are not included; ``save`` keeps everything.  ``from_spans(pandas.read_parquet(path))`` reads the columns back,
        without the maps.

        Parameters
        ----------
        path
            File to write.  An existing Parquet file is replaced only after the new one is complete.
        redact
            What becomes of personal data and secrets, as for ``redact``; a warning says what was removed.  None writes
            everything.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        FileExistsError
            The path exists and is not a Parquet file.
        ValueError
            The policy cannot be used.

        Examples
        --------
        >>> import tempfile, pandas
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     spans = pandas.read_parquet(shop.to_parquet(f"{folder}/spans.parquet"))
        >>> spans["attributes"].map(dict)[0]["http.route"]
        '/cart'
        """
        from tracekit.loading.flat import write  # noqa: PLC0415 - the loaders build on this module

        return write(self._outgoing(redact, Path(path)), Path(path))

    def to_otlp(self, path: str | Path, *, progress: bool | None = None, redact: Any = STANDARD) -> Path:
        """Write the traces as OTLP JSON Lines, which the OpenTelemetry Collector and most tracing tools read.

        Each line is one export request with whole traces.  With ``redact=None``, of traces that were read from OTLP
        every span is written with its attributes, events, links, trace state, flags and dropped counts, its resource
        and its scope.  Not written are issues, positions in the sources, marks of what was repaired on reading, and
        sampling weights that are not in attributes or trace states.  Of other formats, what OTLP does not have is lost
        as well: X-Ray's namespaces, origins and indexing of attributes, inferred spans and facts about whole traces;
        Jaeger's kinds of references; the resolution of times.

        Parameters
        ----------
        path
            File to write: ``.jsonl``, compressed as ``.jsonl.zst`` or ``.jsonl.gz``.  An existing file of lines is
            replaced only after the new one is complete.
        progress
            Show the progress after one second: True always, False never, None only in a terminal or notebook.
        redact
            What becomes of personal data and secrets, as for ``redact``; a warning says what was removed.  None writes
            everything.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        ValueError
            The name ends in something else, or the policy cannot be used.
        FileExistsError
            The path exists and is not a file of JSON Lines.

        Examples
        --------
        >>> import tempfile, tracekit
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tracekit.read(shop.to_otlp(f"{folder}/shop.otlp.jsonl.zst"))
        TraceSet(5 traces, 28 spans, 3 services, 2026-01-01 12:00:00 to 12:00:04 UTC)
        """
        from tracekit.loading.otlp.write import write  # noqa: PLC0415 - the loaders build on this module

        return write(self._outgoing(redact, Path(path)), Path(path), progress)

    def _outgoing(self, redact: Any, path: Path) -> TraceSet:
        """Return what may leave in a file, and say what was removed."""
        from tracekit.redaction.policy import policy_of  # noqa: PLC0415 - as in ``redact``

        policy = policy_of(redact)
        if policy is None:
            return self
        found, removed, _ = redacted_set(self, policy)
        say(removed, path)
        return found

    # ---------------------------------------------------------------- display

    def __len__(self) -> int:
        return len(self.forest.starts) - 1

    def __repr__(self) -> str:
        return self_description.line(self)

    def _repr_html_(self) -> str:
        return self_description.table(self)


def reweighted(traces: TraceSet, weights: Weights, steps: tuple[str, ...]) -> TraceSet:
    """Return the same traces with other weights; what is derived from their columns is worked out once for both."""
    found = TraceSet(traces.columns, forest=traces.forest, weights=weights, steps=steps)
    found.__dict__["lookup"] = traces.lookup
    return found


def _stated(policy: Any) -> list[Any]:
    """Return the arguments of ``redact`` as pages show them: without the key of pseudonyms, which is a secret."""
    if isinstance(policy, Mapping):
        return [{name: value for name, value in policy.items() if name != "pseudonym_key"}]
    return [] if policy == STANDARD else [policy]


def redacted_set(traces: TraceSet, policy: Policy, made: str = "") -> tuple[TraceSet, pd.DataFrame, frozenset[str]]:
    """Return a set without personal data and secrets, what was removed, and removed values to search files for."""
    made_set, found = redacted_part(traces, policy, made=made)
    return made_set, found.removed, found.searched


def redacted_part(
    traces: TraceSet, policy: Policy, known: Known | None = None, *, made: str = ""
) -> tuple[TraceSet, Redacted]:
    """Return a set without personal data and secrets, also those known from other parts, and what was removed."""
    from tracekit.redaction.apply import redacted_columns, redacted_texts  # noqa: PLC0415 - as in ``redact``

    found = redacted_columns(traces.columns, policy, known)
    steps = (*redacted_texts(traces.steps, policy, values=set(found.searched)), *([made] if made else []))
    return TraceSet(found.columns, forest=traces.forest, weights=traces.weights, steps=steps), found


def matching(traces: TraceSet, condition: Filter) -> Array:
    """Return which traces have at least one span that matches a condition of ``where``: bool, one per trace."""
    mask = _mask(traces, condition)
    if mask.index.name == "trace_id":
        ids = traces.trace_ids
        by_id = mask if mask.index.tolist() == ids else by_plain_id(mask, ids).reindex(ids, fill_value=False)
        return np.asarray(by_id.to_numpy(bool))
    found = traces.forest.trace[of_spans(mask, len(traces.columns.spans))]
    return np.asarray(np.bincount(found, minlength=len(traces)) > 0)


def matching_spans(traces: TraceSet, condition: Filter) -> Array:
    """Return which spans match a condition of ``where``: bool, one per span; whole traces if it is one of traces."""
    mask = _mask(traces, condition)
    if mask.index.name == "trace_id":
        return matching(traces, mask)[traces.forest.trace]
    return np.asarray(of_spans(mask, len(traces.columns.spans)))


def _mask(traces: TraceSet, condition: Filter) -> pd.Series:
    """Return the mask of spans or traces that a condition stands for."""
    mask: Any = condition
    if isinstance(condition, str):
        is_theirs = is_xray(condition)
        mask = xray_filter(traces, condition) if is_theirs else evaluate(condition, partial(grouping.values, traces))
    if callable(mask):
        mask = mask(grouping.spans_by_name(traces))
    return truths(mask)
