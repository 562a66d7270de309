"""Log lines joined with traces: ``tk.logs``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.analysis.logs.match import BY_ID, MATCHES, SPAN_ID, by_id, by_time, matched, with_rows, without_id
from tracekit.analysis.logs.nearby import Known
from tracekit.analysis.logs.new_templates import KEYS, Side, new_templates
from tracekit.analysis.logs.open_requests import KnownHosts, OpenAt, OpenRequests
from tracekit.analysis.logs.silent_errors import JoinedLines, added, silent_errors
from tracekit.analysis.logs.templates import templates
from tracekit.analysis.partials import check_on, on_side, over_parts
from tracekit.arguments import check_traces, is_store
from tracekit.attributes import Codes
from tracekit.checks.logs.named import named_spans
from tracekit.checks.logs.result import Logs
from tracekit.loading.logs.read import read_lines
from tracekit.loading.logs.table import LogLines
from tracekit.schema import Quality
from tracekit.traces import TraceSet
from tracekit.weights.comparability import comparability

if TYPE_CHECKING:
    import re

    from tracekit.analysis.logs.match import Matched, WithoutId
    from tracekit.columns import Array
    from tracekit.parts import On, Parts

_MS = 1e6
Period = tuple[int, int]


def logs(
    traces: TraceSet | Parts,
    source: Any,
    *,
    baseline: TraceSet | Parts | Logs | None = None,
    pattern: str | re.Pattern[str] | None = None,
    service: str | None = None,
    tolerance_ms: float = 10.0,
    min_score: float = 0.5,
    strict: bool = False,
    on: On = None,
) -> Logs:
    r"""Join log lines with traces: by trace and span id, otherwise by service, host and time.

    Parameters
    ----------
    traces
        The traces; not modified.  A store is read part by part, twice (three times with the traces of a baseline), and
        up to three times more if there are lines without an id.
    source
        The log: a path, a glob, a folder, bytes or a list of these, plain or compressed, or a DataFrame.  JSON lines
        with the field names of usual libraries, OTLP logs as JSON, CloudWatch Logs (``filter-log-events``, Insights, an
        export to S3, a subscription), logfmt, or plain text that begins with a date and time; or what
        ``tracekit.loading.logs.read.read_lines`` returned.
    baseline
        The logs of the baseline (``tk.logs(before, "before.log")``), or its traces, also a store, if the same source
        has its lines (without an id they are assigned by the periods of both): new templates come first.
    pattern
        A regular expression for other lines of plain text, with groups named ``time``, ``level``, ``message``,
        ``trace_id``, ``span_id``, ``service_name`` or ``host``.
    service
        Service of the lines that name none.
    tolerance_ms
        Difference between the clocks of log and spans that is allowed for when joining by time, in ms.
    min_score
        Lines that were joined by time with a lower score are ``ambiguous``.
    strict
        Raise at the first line that cannot be read.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Logs
        ``.lines``, ``.templates``, ``.new``, ``.silent_errors``, ``.unmatched``, ``.of(trace_id)``,
        ``.critical_path(trace_id)``, ``.issues``.

    Raises
    ------
    LoadError
        If no source can be read, or with ``strict`` a line cannot.
    ValueError
        If a setting is out of range, the pattern or the table has no known names, or ``on`` without a store.

    Notes
    -----
    Ids may be in any usual notation (hex, X-Ray ``1-...``, Datadog's decimals, ``traceparent``); an id of 64 bits
    matches the lower half of a trace id.  A line with the id of a trace that is not among the traces (``other_trace``)
    is never joined by time.

    A line without ids is joined if exactly one recorded request had a span of its service (and of its host, pod,
    container or instance, if it names one) at its time.  Allowed for are the resolution of the log's times and the
    larger one of ``tolerance_ms`` and how far lines of the same service and host that are joined by id are outside of
    their spans (95th percentile; ``.clocks``).  ``score`` is 1 / (the sum of the sampling weights of the requests that
    were open, an estimate of their number, recorded or not): the probability that the line belongs to the request, if a
    request wrote it and all that were open are equally likely; with unknown weights an upper bound.  With several
    requests the line is ``ambiguous`` and not joined.  The span is the innermost one; none if two are side by side.
    Statistics of templates use lines joined by id only.

    All numbers of a store are those of the traces in memory.  Its ``.traces`` are the spans that lines belong to, with
    the spans above them; other spans of a trace are read when ``.critical_path`` or ``.as_events`` needs them.  Every
    part is asked for the lines of all parts, because neither a time nor the id of a span alone says in which part it
    is: 4 bytes for each different trace id and span id (8 for a span id without a trace, and a trace id of 64 bits),
    and 12 for each line without an id, of which 16 to 52 bytes are kept.

    Lines of plain text without a date continue the message above.  Lines that cannot be read are counted in
    ``.sources`` and ``.issues``.

    Examples
    --------
    >>> span = shop.spans.iloc[0]
    >>> line = {"ts": span["start_ns"], "level": "warn", "trace_id": span["trace_id"], "msg": "cart 17 is empty"}
    >>> found = tk.logs(shop, pd.DataFrame([line, {**line, "trace_id": "77", "msg": "cart 9 is empty"}]))
    >>> found
    Logs(2 lines, 50.0% joined (1 by id), 1 templates; sampling weights unknown)
    >>> found.lines[["level", "template", "match"]].to_numpy().tolist()
    [['WARN', 'cart <n> is empty', 'trace_id'], ['WARN', 'cart <n> is empty', 'other_trace']]
    """
    check_traces(traces, "logs")
    if not tolerance_ms >= 0:
        raise ValueError(f"expected tolerance_ms of 0 or more, such as 10, found {tolerance_ms!r}")
    if not 0 < min_score <= 1:
        raise ValueError(f"expected min_score above 0 and at most 1, such as 0.5, found {min_score!r}")
    if isinstance(source, Logs):
        raise TypeError("expected a log, found the result of tk.logs; pass the file or table that it was read from")
    if baseline is not None and not isinstance(baseline, TraceSet | Logs) and not is_store(baseline):
        found = type(baseline).__name__
        raise TypeError(f"expected the traces or the logs of the baseline as baseline=, found {found}")
    lines = (
        source if isinstance(source, LogLines) else read_lines(source, pattern=pattern, service=service, strict=strict)
    )
    check_on(on, traces, *([] if baseline is None or isinstance(baseline, Logs) else [baseline]))
    join = partial(joined, tolerance_ns=round(tolerance_ms * _MS), min_score=min_score, on=on)
    now = named_spans(traces, lines, on)
    if baseline is None or isinstance(baseline, Logs):
        return join(traces, now, lines, baseline)
    before = named_spans(baseline, lines, on)
    lines, others = sides_of(now, before, lines, (_period(traces, on), _period(baseline, on)))
    return join(traces, now, lines, join(baseline, before, others))


def joined(
    source: TraceSet | Parts,
    traces: TraceSet,
    read: LogLines,
    before: Logs | None = None,
    *,
    tolerance_ns: int,
    min_score: float = 0.5,
    on: On = None,
) -> Logs:
    """Return log lines joined with traces or a store of them, compared with the logs of a baseline.

    ``traces``: those of ``named_spans``.
    """
    frame = read.frame
    resolution = read.sources["resolution_ns"].to_numpy(np.int64)[frame["source"].to_numpy()] if len(frame) else _NONE
    match = matched(traces, frame)
    left = without_id(match, frame, resolution, tolerance_ns)
    if len(left.line):
        match, only = by_time(match, left, _open_requests(source, left, on), min_score)
        if len(only.line) and not isinstance(source, TraceSet):
            traces = named_spans(source, read, on, only)
            match = match._replace(**dict(zip(("trace", "span"), by_id(traces, frame), strict=True)))
        match = with_rows(match, only, traces)
    codes, texts = templates(frame["message"].tolist())
    lines = _lines(traces, read, match, pd.Categorical.from_codes(codes, pd.Index(texts, dtype=object)))
    table = _templates(traces, lines, match.trace)
    new = pd.DataFrame()
    if before is not None:
        table = _against(table, before.templates)
        if comparability(before.source, source).is_comparable:
            new = new_templates(_side(traces, lines), _side(before.traces, before.lines))
    service = lines["service_name"].cat
    own = JoinedLines.of(traces, match, Codes(service.codes.to_numpy(np.int32), list(service.categories)))
    silent = over_parts(source, own, added, on=on_side(source, on))
    return Logs(
        source,
        traces,
        lines,
        _matches(match),
        table,
        new,
        silent_errors(silent.state, _logging(traces, lines, match.span)),
        _clocks(lines),
        read.sources,
        read.issues,
        silent.weights.statement,
    )


_NONE = np.zeros(0, np.int64)


def _open_requests(source: TraceSet | Parts, left: WithoutId, on: On) -> OpenRequests:
    """Return the requests that were open at the places and times of lines without an id."""
    place, known = on_side(source, on), Known(frozenset(), frozenset())
    if left.hosts:
        known = over_parts(source, KnownHosts(left.hosts), Known.plus, on=place).state
    return over_parts(source, OpenAt(left.spots, left.spot, left.time_ns, known), OpenRequests.plus, on=place).state


def _logging(traces: TraceSet, lines: pd.DataFrame, span: Array) -> set[str | None]:
    """Return the services with any line."""
    names = traces.codes("service_name")
    of_spans = {names.labels[code] if code >= 0 else None for code in np.unique(names.codes[span[span >= 0]])}
    return of_spans | set(lines["service_name"].dropna().astype(str).unique())


def sides_of(
    traces: TraceSet, baseline: TraceSet, read: LogLines, periods: tuple[Period | None, Period | None]
) -> tuple[LogLines, LogLines]:
    """Return the lines of each side in one log: by trace id, otherwise by its period; of neither period in both."""
    ours, theirs = (by_id(side, read.frame)[0] >= 0 for side in (traces, baseline))
    now, before = (_is_within(period, read.frame["time_ns"].to_numpy()) for period in periods)
    mine = ours | (~theirs & (now | ~before))
    other = theirs | (~ours & (before | ~now))
    first, second = (replace(read, frame=read.frame[chosen].reset_index(drop=True)) for chosen in (mine, other))
    return first, second


def period_of(traces: TraceSet) -> Period | None:
    """Return the period of the spans; None without a start."""
    spans = traces.columns.spans
    start = spans.start_ns[(spans.quality & Quality.NO_START) == 0]
    return (int(start.min()), max(int(start.max()), int(spans.end_ns.max()))) if len(start) else None


def _period(traces: TraceSet | Parts, on: On) -> Period | None:
    """Return the period of the spans of traces or of a store."""
    return over_parts(traces, period_of, _wider, on=on_side(traces, on)).state


def _wider(first: Period | None, second: Period | None) -> Period | None:
    """Return the period of both."""
    if first is None or second is None:
        return first or second
    return min(first[0], second[0]), max(first[1], second[1])


def _is_within(period: Period | None, time_ns: Array) -> Array:
    """Return which times are within a period."""
    if period is None:
        return np.zeros(len(time_ns), bool)
    return np.asarray((time_ns >= period[0]) & (time_ns <= period[1]))


def _lines(traces: TraceSet, read: LogLines, match: Matched, template: pd.Categorical) -> pd.DataFrame:
    """Return ``Logs.lines``."""
    frame, spans = read.frame, traces.columns.spans
    used, at = np.unique(match.span[match.span >= 0], return_inverse=True)
    span = np.full(len(frame), -1, np.int64)
    span[match.span >= 0] = at
    ids = pd.Index([f"{int(spans.span_id[row]):016x}" for row in used], dtype=object)
    unique, code = np.unique(ids, return_inverse=True) if len(ids) else (ids, _NONE)
    span[span >= 0] = code[span[span >= 0]]
    sources = pd.Index(read.sources["source"].astype(str), dtype=object)
    names, source = np.unique(sources, return_inverse=True)
    of_line = source[frame["source"].to_numpy()] if len(source) else _NONE
    return pd.DataFrame(
        {
            "time": pd.to_datetime(frame["time_ns"].to_numpy(), utc=True),
            "level": frame["level"],
            "service_name": _services(traces, frame["service_name"].array, match.span),
            "host": frame["host"],
            "message": frame["message"],
            "template": template,
            "match": pd.Categorical.from_codes(match.how, pd.Index(MATCHES, dtype=object)),
            "score": match.score,
            "candidate_count": match.candidate_count,
            "trace_id": pd.Categorical.from_codes(match.trace, pd.Index(traces.trace_ids, dtype=object)),
            "span_id": pd.Categorical.from_codes(span, pd.Index(unique, dtype=object)),
            "span_row": match.span,
            "outside_ns": match.outside_ns,
            "source": pd.Categorical.from_codes(of_line, pd.Index(names, dtype=object)),
            "line": frame["line"],
            "byte_offset": frame["byte_offset"],
        }
    )


def _services(traces: TraceSet, named: pd.Categorical, span: Array) -> pd.Categorical:
    """Return the service that each line names, otherwise that of its span."""
    of_spans = traces.codes("service_name")
    labels = list(dict.fromkeys([*map(str, named.categories), *of_spans.labels]))
    number = {label: code for code, label in enumerate(labels)}
    own = np.array([*(number[str(label)] for label in named.categories), -1], np.int64)[named.codes]
    theirs = np.array([*(number[label] for label in of_spans.labels), -1], np.int64)
    of_line = np.where(span >= 0, theirs[of_spans.codes[span]], -1) if len(of_spans.codes) else np.full(len(span), -1)
    return pd.Categorical.from_codes(np.where(own >= 0, own, of_line), pd.Index(labels, dtype=object))


def _templates(traces: TraceSet, lines: pd.DataFrame, trace: Array) -> pd.DataFrame:
    """Return ``Logs.templates``."""
    rows = lines[[*KEYS, "time"]].assign(trace=trace)
    groups = rows.groupby(KEYS, observed=True, sort=True, dropna=False)
    table = groups.agg(line_count=("trace", "size"), first_time=("time", "min"), last_time=("time", "max"))
    distinct = rows[rows["trace"] >= 0].drop_duplicates([*KEYS, "trace"])
    failed = traces.is_error[traces.forest.root_row][distinct["trace"]] if len(distinct) else np.zeros(0, bool)
    counted = distinct.assign(failed=failed).groupby(KEYS, observed=True, sort=True, dropna=False)
    more = counted.agg(trace_count=("trace", "size"), failed_count=("failed", "sum"), exemplar=("trace", "first"))
    table = table.join(more).reset_index()
    names = ["trace_count", "failed_count"]
    table[names] = table[names].fillna(0).astype(np.int64)
    at = table.pop("exemplar").fillna(-1).astype(np.int64)
    table["exemplar_trace_id"] = [traces.trace_ids[one] if one >= 0 else None for one in at]
    columns = [*KEYS, "line_count", *names, "first_time", "last_time", "exemplar_trace_id"]
    table = table[columns].astype(dict.fromkeys(KEYS, object))
    return table.sort_values("line_count", ascending=False, kind="stable", ignore_index=True)


def _against(now: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Return templates with their counts in the baseline, new ones first."""
    names = {"line_count": "baseline_line_count", "trace_count": "baseline_trace_count"}
    found = now.merge(before[[*KEYS, *names]].rename(columns=names), on=KEYS, how="left")
    found[[*names.values()]] = found[[*names.values()]].fillna(0).astype(np.int64)
    known = pd.MultiIndex.from_frame(before[KEYS[::2]].astype(str))
    found["is_new"] = ~pd.MultiIndex.from_frame(found[KEYS[::2]].astype(str)).isin(known)
    return found.sort_values(["is_new", "line_count"], ascending=False, kind="stable", ignore_index=True)


def _side(traces: TraceSet, lines: pd.DataFrame) -> Side:
    """Return the lines joined by id, one row per template and trace."""
    mine = lines.loc[lines["match"].isin(BY_ID).to_numpy(), KEYS].astype(dict.fromkeys(KEYS, object))
    mine = mine.assign(trace=lines.loc[mine.index, "trace_id"].cat.codes.astype(np.int64)).drop_duplicates()
    weights = traces.weights
    weight = weights.value if weights.known.all() else np.ones(len(weights.value))
    return Side(mine, traces.is_error[traces.forest.root_row], weight)


def _matches(match: Matched) -> pd.DataFrame:
    """Return ``Logs.matches``."""
    counts = np.bincount(match.how, minlength=len(MATCHES))
    table = pd.DataFrame({"match": MATCHES, "line_count": counts, "line_ratio": counts / max(len(match.how), 1)})
    return table[table["line_count"] > 0].reset_index(drop=True)


def _clocks(lines: pd.DataFrame) -> pd.DataFrame:
    """Return ``Logs.clocks``."""
    mine = lines.loc[(lines["match"] == MATCHES[SPAN_ID]).to_numpy(), ["service_name", "host", "outside_ns"]]
    mine = mine.assign(size=mine["outside_ns"].abs(), is_outside=mine["outside_ns"] != 0)
    groups = mine.groupby(["service_name", "host"], observed=True, sort=True, dropna=False)
    table = groups.agg(
        line_count=("size", "size"),
        outside_count=("is_outside", "sum"),
        outside_p50_ns=("outside_ns", "median"),
        outside_p95_ns=("size", lambda sizes: float(np.percentile(sizes, 95))),
    ).reset_index()
    return table.astype({"service_name": object, "host": object})
