"""The first sentences of a report: what is slow, why the slowest are slow, what fails, what the data do not say.

Each is a ``Finding``: a plain sentence with its number, the rows it rests on, and the trace that shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.completeness import is_open
from tracekit.findings import Estimate, Finding, Findings, Severity
from tracekit.report.changes import name_of
from tracekit.report.overview import ENOUGH, Overview
from tracekit.schema import Quality
from tracekit.views.text import count, duration, plural, ratio

if TYPE_CHECKING:
    from tracekit.columns import Array

_TAIL: Final = 0.05  # the slowest twentieth is compared with the faster half
_LEAST: Final = 5  # traces at least in that twentieth
_TELLING: Final = 0.25  # share of the difference that one operation must explain to be named
_MANY_TIMES: Final = 3.0  # as often as usual: worth saying
_WORTH: Final = 1.5  # as long as the usual: below, there is no tail to explain
_APART: Final = 3.0  # p95 over p50 from which a tail with one cause is a warning
_FAILING: Final = 0.01
_KEYS: Final = ("service_name", "operation")


def headlines(seen: Overview) -> Findings:
    """Return what a reader should know first.

    Parameters
    ----------
    seen
        Traces and results.

    Returns
    -------
    Findings
        At least one; the gravest first.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> from tracekit.report.overview import Overview
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> print(headlines(Overview(TraceSet.from_spans(frame.assign(service_name="shop"))))[0].headline)
    The slowest requests are GET / of shop: half take up to 5.00 µs, 5 % more than 5.00 µs (1 trace).
    """
    if not len(seen.traces):
        found = [_lost(seen), Finding("empty", "warning", "There is no trace in the data.", remedy=_NOTHING)]
    else:
        checks = (_lost, _unfinished, _tail, _slowest, _failures, _partial, _weights)
        found = [check(seen) for check in checks]
    return Findings([finding for finding in found if finding is not None])


_NOTHING: Final = "See what was read, below: files of another kind, or records that could not be used."


def _slowest(seen: Overview) -> Finding | None:
    """Return which requests are slowest."""
    if seen.slowest_entries.empty:
        return None
    row = seen.slowest_entries.iloc[0]
    said = (
        f"The slowest requests are {name_of(row)}: half take up to {duration(row['p50_ns'])}, "
        f"5 % more than {duration(row['p95_ns'])} ({plural(row['span_count'], 'trace')})."
    )
    estimate = Estimate(
        row["p95_ns"], "ns", row["p95_low_ns"], row["p95_high_ns"], int(row["span_count"]), row["n_effective"]
    )
    return Finding("slowest", "notice", said, estimate, row.to_frame().T, code="latency(traces)")


def _tail(seen: Overview) -> Finding | None:
    """Return what the slowest requests of the slowest kind do longer than the others."""
    if seen.slowest_entries.empty:
        return None
    entry = seen.slowest_entries.iloc[0]
    took = seen.traces.summary["root_duration_ns"].to_numpy(np.float64, na_value=np.nan)
    weights = seen.traces.weights.value
    mine = (
        seen.rows_of(entry) & ~np.isnan(took) & (weights > 0)
    )  # a trace beside the sample says nothing about requests
    if mine.sum() < ENOUGH:
        return None
    slow = np.zeros(len(mine), bool)
    slow[np.argsort(np.where(mine, -took, np.inf), kind="stable")[: max(_LEAST, round(_TAIL * mine.sum()))]] = True
    usual = mine & (took <= max(entry["p50_ns"], took[mine].min()))
    slow_ns, usual_ns = (float(np.average(took[some], weights=weights[some])) for some in (slow, usual))
    more = slow_ns - usual_ns
    if more <= 0 or slow_ns < _WORTH * usual_ns:
        return None
    table = _compared(seen, slow, usual)
    if table.empty or table.iloc[0]["difference_ns"] < _TELLING * more:
        return None
    row = table.iloc[0]
    often = ""
    if row["slow_count"] >= _MANY_TIMES * max(row["usual_count"], 1.0):
        often = f" It runs {row['slow_count']:.0f} times a request instead of {row['usual_count']:.1f}."
    said = (
        f"The slowest {name_of(entry)} spend {duration(row['slow_ns'])} in {name_of(row)} where the others spend "
        f"{duration(row['usual_ns'])}: {ratio(min(1.0, row['difference_ns'] / more))} of what they take longer.{often}"
    )
    worst = seen.traces.trace_ids[int(np.argmax(np.where(slow, took, -1)))]
    number = Estimate(row["difference_ns"] / more, "ratio", np.nan, np.nan, int(slow.sum()))
    those = f"the slowest {count(slow.sum())} of {count(mine.sum())} such requests"
    method = f"Mean self time of {those} and of the faster half."
    apart = entry["p95_ns"] >= _APART * entry["p50_ns"] and row["difference_ns"] >= more / 2
    severity: Severity = "warning" if apart else "notice"
    return Finding("tail", severity, said, number, table.head(10), (worst,), code="self_time(traces)", method=method)


def _compared(seen: Overview, slow: Array, usual: Array) -> pd.DataFrame:
    """Return own time and number of spans a trace by operation, in the slow and in the usual traces."""
    spans = seen.self_time.spans
    trace = seen.traces.forest.trace[spans.index.to_numpy()]
    parts = {}
    for name, chosen in (("slow", slow), ("usual", usual)):
        held, total = spans[chosen[trace]], seen.traces.weights.value[chosen].sum()
        weighted = pd.DataFrame(
            {
                "service_name": held["service_name"].astype(str),
                "operation": held["operation"].astype(str),
                f"{name}_ns": held["weight"] * held["self_time_ns"] / total,
                f"{name}_count": held["weight"] / total,
            }
        )
        parts[name] = weighted.groupby(list(_KEYS)).sum()
    table = parts["slow"].join(parts["usual"], how="outer").fillna(0.0).reset_index()
    table["difference_ns"] = table["slow_ns"] - table["usual_ns"]
    return table.sort_values("difference_ns", ascending=False, kind="stable", ignore_index=True)


def _failures(seen: Overview) -> Finding:
    """Return how many finished requests failed, and where failures begin."""
    summary, share, finished = seen.traces.summary, seen.failed, seen.finished
    failed = summary["is_error"].to_numpy(bool) & finished
    some = "finished " * (not finished.all())
    open_ones = f"; {plural(int((~finished).sum()), 'unfinished request')} without an outcome" if some else ""
    if not finished.any():
        said = f"The error rate is not estimable: {_none_of(len(summary))} finished, so none has an outcome."
        return Finding("failures", "notice", said, code="errors(traces)")
    if np.isnan(share.value):
        said = (
            f"The error rate is not estimable: all sampling weights are 0; {count(failed.sum())} of "
            f"{plural(share.n, f'{some}trace')} failed."
        )
        return Finding("failures", "notice", said, code="errors(traces)")
    if not failed.any():
        said = f"No request failed in {plural(share.n, f'{some}trace')}; up to {ratio(share.high)} may in the long run"
        return Finding("failures", "info", f"{said}{open_ones}.", share, code="errors(traces)")
    is_even = np.ptp(seen.traces.weights.value[finished]) == 0
    noun, of_what = ("request", "") if is_even else ("trace", " of the requests they stand for")
    said = f"{count(failed.sum())} of {plural(share.n, some + noun)} failed ({ratio(share.value)}{of_what})"
    origin = _origins(seen, failed)
    if not origin.empty:
        top = origin.iloc[0]
        total = count(origin["span_count"].sum())
        said += f"; {count(top['span_count'])} of the {total} errors behind them begin in {name_of(top)}"
    severity: Severity = "warning" if share.value >= _FAILING else "notice"
    first = tuple(summary.index[failed][:1])
    return Finding("failures", severity, f"{said}{open_ones}.", share, origin.head(10), first, code="errors(traces)")


def _none_of(total: int) -> str:
    """Return the subject of a sentence about requests of which none did something."""
    return "the only request has not" if total == 1 else f"none of {count(total)} requests has"


def _origins(seen: Overview, of_requests: Array) -> pd.DataFrame:
    """Return where errors begin: failed spans of failed requests that have no failed child, by operation."""
    traces = seen.traces
    parent, failed = traces.forest.parent_row, traces.is_error
    passed_on = np.zeros(len(parent), bool)
    passed_on[parent[failed & (parent >= 0)]] = True
    rows = np.flatnonzero(failed & ~passed_on & of_requests[traces.forest.trace])
    frame = pd.DataFrame({name: traces.codes(name).take(rows).series().astype(str) for name in _KEYS})
    counted = frame.value_counts(sort=False).rename("span_count").reset_index()
    return counted.sort_values(["span_count", *_KEYS], ascending=[False, True, True], ignore_index=True)


def _lost(seen: Overview) -> Finding | None:
    """Return what could not be used."""
    sources = seen.traces.sources
    lost, total = int(sources["quarantined_count"].sum()), int(sources["span_count"].sum())
    cut = int((~sources["complete"].astype(bool)).sum())
    if not lost and not cut:
        return None
    parts = [f"{count(lost)} of {plural(total, 'span')} could not be used"] if lost else []
    parts += [f"{plural(cut, 'source')} {'was' if cut == 1 else 'were'} not read to the end"] if cut else []
    said = f"{' and '.join(parts)}: the figures describe the rest."
    return Finding("lost", "warning", said[0].upper() + said[1:], evidence=sources, code="traces.issues")


def _unfinished(seen: Overview) -> Finding | None:
    """Return how many requests, or calls within finished ones, have no end: what figures leave out."""
    traces, finished = seen.traces, seen.finished
    inside = np.zeros(len(traces), bool)
    inside[traces.forest.trace[is_open(traces.lookup)]] = True
    inside &= finished
    total = plural(len(traces), "request")
    parts = []
    if not finished.all():
        parts.append(
            f"{count((~finished).sum())} of {total} {_be(~finished)} unfinished (no end was recorded) and left out of "
            "latency, error rate and critical path"
        )
    if inside.any():
        parts.append(
            f"{count(inside.sum())} of {total} {_have(inside)} spans without an end inside, whose critical-path time "
            "counts only as far as it is known"
        )
    if not parts:
        return None
    touched = ~finished | inside
    share = float(touched.mean())
    severity: Severity = "warning" if share >= _FAILING else "notice"
    estimate = Estimate(share, "ratio", share, share, len(traces))
    rows = traces.summary[touched]
    said, first = f"{'; '.join(parts)}.", tuple(rows.index[:1])
    remedy = "Read these traces again when their requests have ended."
    return Finding("unfinished", severity, said, estimate, rows.head(10), first, remedy=remedy, code="traces.summary")


def _partial(seen: Overview) -> Finding | None:
    """Return how many traces are incomplete and why, and how many spans end before they start."""
    traces, summary = seen.traces, seen.traces.summary
    partial = summary["partial"].to_numpy(bool)
    negative = int(((traces.columns.spans.quality & Quality.DURATION_NEGATIVE) != 0).sum())
    if not partial.any() and not negative:
        return None
    said = []
    if partial.any():
        reasons = (
            (summary["orphan_count"].sum(), "orphan span", ""),
            ((summary["root_count"] == 0).sum(), "trace", " without a root span"),
            ((summary["root_count"] > 1).sum(), "trace", " with several root spans"),
            (is_open(traces.lookup).sum(), "span", " without an end"),
            (summary["limit_exceeded"].sum(), "trace", " cut by X-Ray"),
        )
        why = ", ".join(f"{plural(int(number), noun)}{rest}" for number, noun, rest in reasons if number)
        said.append(f"{count(partial.sum())} of {plural(len(summary), 'trace')} {_be(partial)} incomplete: {why}.")
    if negative:
        said.append(
            f"{plural(negative, 'span')} {'ends before it starts' if negative == 1 else 'end before they start'}."
        )
    value = float(partial.mean())
    share = Estimate(value, "ratio", value, value, len(summary))
    return Finding("partial", "notice", " ".join(said), share, summary[partial].head(10), code="traces.summary")


def _be(chosen: Array) -> str:
    """Return the verb for some of several."""
    return "is" if chosen.sum() == 1 else "are"


def _have(chosen: Array) -> str:
    """Return the verb for some of several."""
    return "has" if chosen.sum() == 1 else "have"


def _weights(seen: Overview) -> Finding | None:
    """Return what nobody knows about what was not recorded; nothing where every trace stands for a known number."""
    weights = seen.traces.weights
    if not seen.weights_known:
        said = "The traces do not say how they were sampled: every figure describes the recorded traces, each once."
        return Finding("weights", "info", said, remedy="traces.with_weights(...) sets them.", code="traces.weights")
    if weights.known.all() and (weights.value > 0).all():
        return None
    said = f"{weights.statement[0].upper()}{weights.statement[1:]}."
    return Finding("weights", "notice" if weights.value.any() else "warning", said, code="traces.weights")
