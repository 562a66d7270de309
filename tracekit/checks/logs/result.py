"""The result of ``logs``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.logs.match import BY_ID, found_in
from tracekit.analysis.logs.span_events import with_events
from tracekit.findings import Shown
from tracekit.loading.logs.read import FRAME
from tracekit.readable_tables import as_html
from tracekit.redaction.texts import redacted
from tracekit.text import plural, ratio, short_names
from tracekit.traces import TraceSet
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.columns import Array
    from tracekit.parts import Parts

_SHOWN = 10  # rows of a table in a notebook
_LONGEST = 1_000  # characters of a message that is the name of an event


@dataclass(frozen=True, repr=False)
class Logs(Weighted, Shown):
    """Log lines joined with traces.

    Parameters
    ----------
    source
        The traces, or a store of them.
    traces
        The traces; of a store, the spans that lines name, with the spans above them.
    lines
        One row per line, in the order of the sources: ``time`` (UTC), ``level``, ``service_name``, ``host``,
        ``message``, ``template``; ``match`` (how it was joined: ``span_id``, ``trace_id``, ``time``; or why not:
        ``ambiguous``, ``other_trace``, ``none``), ``score`` (1 for ids), ``candidate_count`` (requests that it may
        belong to), ``trace_id``, ``span_id``, ``span_row`` (row of ``traces.spans``, -1 = none), ``outside_ns`` (how
        far it is before (negative) or after its span); ``source``, ``line``, ``byte_offset``.
    matches
        One row per value of ``match``: ``line_count``, ``line_ratio``.
    templates
        One row per service, level and template, most lines first: ``line_count``, ``trace_count`` and ``failed_count``
        (recorded traces with such a line, and those of them that failed), ``first_time``, ``last_time``,
        ``exemplar_trace_id``.  With a baseline, those that it does not have come first: ``is_new``,
        ``baseline_line_count``, ``baseline_trace_count``.
    new
        Templates that the baseline does not have, and whether they go with failing requests significantly; see
        ``analysis.logs.new_templates``.  Empty without a baseline.
    silent_errors
        Error spans without a log line, by operation; see ``analysis.logs.silent_errors``.
    clocks
        One row per service and host with lines joined by span id: ``line_count``, ``outside_count`` (lines outside the
        time of their span), ``outside_p50_ns`` and ``outside_p95_ns`` of their distance.
    sources, issues
        What was read, and every problem with its line: see ``loading.logs.table.LogLines``.
    statement
        What the figures describe: the source of the sampling weights, or that they are unknown.

    Examples
    --------
    >>> root = shop.spans.iloc[shop.forest.root_row[0]]
    >>> ids = {"trace_id": root["trace_id"], "span_id": root["span_id"]}
    >>> lines = pd.DataFrame([{"message": "user 7 logged in", **ids}, {"message": "7 in pool"}])
    >>> found = tk.logs(shop, lines.assign(time=root["start_ns"] + 10**6))
    >>> found.critical_path(root["trace_id"])[["since_start_ns", "service_name", "message"]].to_numpy().tolist()
    [[1000000, 'shop', 'user 7 logged in']]
    >>> found.unmatched["message"].tolist()
    ['7 in pool']
    """

    source: TraceSet | Parts
    traces: TraceSet
    lines: pd.DataFrame
    matches: pd.DataFrame
    templates: pd.DataFrame
    new: pd.DataFrame
    silent_errors: pd.DataFrame
    clocks: pd.DataFrame
    sources: pd.DataFrame
    issues: pd.DataFrame
    statement: str = ""

    @property
    def unmatched(self) -> pd.DataFrame:
        """Lines without a trace: of traces that are not among these, ambiguous ones, and those that nothing matches."""
        return self.lines[self.lines["trace_id"].isna()]

    @property
    def source_code(self) -> str:
        """The argument of ``tk.logs`` that reads the same sources, as code: their names without the common folder."""
        names = short_names([str(name) for name in self.sources["source"]])
        if names == [FRAME]:
            return FRAME
        return repr(names[0] if len(names) == 1 else names)

    def of(self, trace_id: str) -> pd.DataFrame:
        """Return the lines of one trace, in order of time.

        Parameters
        ----------
        trace_id
            Id of the trace.

        Returns
        -------
        pandas.DataFrame
            Rows of ``lines``, with ``service_name`` of the span where the line has none; lines without a time last.

        Raises
        ------
        ValueError
            If there is no such trace.
        """
        whole = self._whole(trace_id)
        mine = self.lines[(self.lines["trace_id"] == whole.trace_ids[0]).to_numpy()]
        return mine.sort_values("time", kind="stable")

    def critical_path(self, trace_id: str) -> pd.DataFrame:
        """Return the lines on the critical path of one trace, in order of time.

        Parameters
        ----------
        trace_id
            Id of the trace.

        Returns
        -------
        pandas.DataFrame
            One row per line that was joined to a span on the critical path: ``time``, ``since_start_ns`` (after the
            start of the request), ``service_name``, ``operation``, ``span_id``, ``path_time_ns`` (of the span),
            ``level``, ``message``, ``match``, ``score``.

        Raises
        ------
        ValueError
            If there is no such trace.
        """
        whole = self._whole(trace_id)
        path = critical_path(whole)
        mine = self.of(trace_id)
        row = _rows(whole, np.zeros(len(mine), np.int64), mine)
        on_path = (row >= 0) & path.on_path[np.maximum(row, 0)]
        mine, row = mine[on_path], row[on_path]
        spans = path.spans.iloc[row]
        start = pd.Timestamp(int(whole.columns.spans.start_ns[whole.forest.root_row[0]]), tz="UTC")
        return pd.DataFrame(
            {
                "time": mine["time"].to_numpy(),
                "since_start_ns": ((mine["time"] - start) // pd.Timedelta(1, "ns")).astype("Int64").to_numpy(),
                **{name: spans[name].to_numpy() for name in ("service_name", "operation", "span_id", "path_time_ns")},
                **{name: mine[name].to_numpy() for name in ("level", "message", "match", "score")},
            }
        )

    def as_events(self) -> TraceSet:
        """Return the traces with the lines as events of the spans that they were joined to, for the waterfall.

        Returns
        -------
        TraceSet
            The same traces, of a store those with lines; an event is named after the level and the message of its line,
            with PII and secrets masked.  Lines that were joined to a trace and to no span are events of its root span.
        """
        lines = self.lines[self.lines["trace_id"].notna()]
        lines = lines.sort_values("time", kind="stable")
        whole = self.source if isinstance(self.source, TraceSet) else self.source.traces(self.traces.trace_ids)
        trace = pd.Index(whole.trace_ids).get_indexer(pd.Index(lines["trace_id"].astype(object)))
        span = _rows(whole, trace, lines)
        span = np.where(span >= 0, span, whole.forest.root_row[trace])
        level = lines["level"].astype(object).where(lines["level"].notna(), "log")
        texts = zip(level, redacted([text[:_LONGEST] for text in lines["message"]]), strict=True)
        time = lines["time"].dt.tz_convert(None).to_numpy("datetime64[ns]").astype(np.int64)
        return with_events(whole, span, np.where(lines["time"].isna(), 0, time), [": ".join(one) for one in texts])

    def _whole(self, trace_id: str) -> TraceSet:
        """Return one trace with all of its spans; ValueError without it."""
        return self.source.trace(trace_id)

    def redacted(self, texts: Callable[[Sequence[str]], list[str]] = redacted) -> Logs:
        """Return the same with PII and secrets in messages, templates and names of sources masked, as in reports.

        Parameters
        ----------
        texts
            Masks texts.

        Returns
        -------
        Logs
            With masked texts; equal ones stay apart.
        """
        lines = self.lines.assign(message=texts(self.lines["message"].tolist()))
        lines["template"] = _renamed(lines["template"], texts)
        lines["source"] = _renamed(lines["source"], texts)
        templates, new = (_masked(table, texts) for table in (self.templates, self.new))
        sources, issues = (_named(table, texts) for table in (self.sources, self.issues))
        return replace(self, lines=lines, templates=templates, new=new, sources=sources, issues=issues)

    def _line(self) -> str:
        """Return how many lines were joined, in one line."""
        n = len(self.lines)
        joined = int(self.lines["trace_id"].notna().sum())
        by_id = int(self.lines["match"].isin(BY_ID).sum())
        rejected = int(self.sources["rejected_count"].sum())
        parts = [f"{plural(n, 'line')}, {ratio(joined / n) if n else 'none'} joined ({by_id:,} by id)"]
        ambiguous = int((self.lines["match"] == "ambiguous").sum())
        parts += [f"{ambiguous:,} ambiguous"] if ambiguous else []
        parts += [f"{len(self.templates):,} templates"]
        parts += [f"{rejected:,} rejected"] if rejected else []
        return f"Logs({', '.join(parts)})"

    def _repr_html_(self) -> str:
        shown: list[Any] = [self.matches, _masked(self.templates.head(_SHOWN))]
        return f"{self.heading()}{''.join(as_html(table) for table in shown)}"


def _rows(whole: TraceSet, trace: Array, lines: pd.DataFrame) -> Array:
    """Return the row of the span of each line in traces with all of their spans, -1 for none."""
    spans, rows = whole.columns.spans, np.flatnonzero(~whole.is_inferred)
    ids = np.array([*(int(one, 16) for one in lines["span_id"].cat.categories), 0], np.uint64)
    wanted = ids[lines["span_id"].cat.codes]
    known = whole.forest.trace[rows].astype(np.uint64), spans.span_id[rows]
    at = found_in(known, (trace.astype(np.uint64), wanted))
    return np.where((at >= 0) & (wanted != 0), np.append(rows, -1)[at], -1)


def _masked(table: pd.DataFrame, texts: Callable[[Sequence[str]], list[str]] = redacted) -> pd.DataFrame:
    """Return a table of templates with PII and secrets masked."""
    return table.assign(template=texts([str(text) for text in table["template"]])) if "template" in table else table


def _named(table: pd.DataFrame, texts: Callable[[Sequence[str]], list[str]]) -> pd.DataFrame:
    """Return a table of sources or issues with PII and secrets in its texts masked."""
    out = table.copy()
    for name in table.select_dtypes(["object", "str", "category"]):
        known = [value for value in table[name].unique() if isinstance(value, str)]
        new = dict(zip(known, texts(known), strict=True))
        if any(old != text for old, text in new.items()):
            out[name] = table[name].astype(object).map(lambda value, new=new: new.get(value, value))
    return out


def _renamed(column: pd.Series, texts: Callable[[Sequence[str]], list[str]]) -> pd.Categorical:
    """Return a categorical of templates with PII and secrets masked; equal ones stay apart."""
    labels = texts([str(label) for label in column.cat.categories])
    return pd.Categorical(
        np.array(labels, object)[column.cat.codes] if len(labels) else [], list(dict.fromkeys(labels))
    )
