"""The first sentences of a report: what is slow, why the slowest are slow, what fails, what the data do not say.

Each is a ``Finding``: a plain sentence with its number, the rows it rests on, and the trace that shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.critical_path import critical_path
from tracekit.completeness import is_open
from tracekit.findings import Estimate, Finding, Findings, Severity
from tracekit.report.changes import name_of
from tracekit.report.overview import ENOUGH, Overview
from tracekit.schema import Quality
from tracekit.text import count, duration, interval, plural, ratio

if TYPE_CHECKING:
    from tracekit.columns import Array

_BANDS: Final = ((0.0, 0.5), (0.95, 1.0))  # the slowest requests are compared with the faster half
_LEAST: Final = 5  # requests at least among the slowest
_TELLING: Final = 0.25  # share of the difference that one operation must explain to be named
_MANY_TIMES: Final = 3.0  # as often as usual: worth saying
_WORTH: Final = 1.5  # as long as the usual: below, there is no tail to explain
_APART: Final = 3.0  # p95 over p50 from which a tail with one cause is a warning
_FAILING: Final = 0.01
_KEYS: Final = ("service_name", "operation")


def headlines(seen: Overview) -> Findings:
    """Return what a reader should know first."""
    if not len(seen.traces):
        found = [_lost(seen), Finding("empty", "warning", "There is no trace in the data.", remedy=_NOTHING)]
    else:
        checks = (_weights, _lost, _unfinished, _tail, _slowest, _failures, _partial)
        found = [check(seen) for check in checks]
    return Findings([finding for finding in found if finding is not None])


_NOTHING: Final = "See what was read, below: files of another kind, or records that could not be used."


def _slowest(seen: Overview) -> Finding | None:
    """Return the endpoint with the highest p95."""
    if seen.slowest_entries.empty:
        return None
    row = seen.slowest_entries.iloc[0]
    if row["span_count"] == 1:
        said = f"Slowest endpoint: {name_of(row)}, {duration(row['p50_ns'])} (1 {_in_hand(seen)}request)."
    else:
        said = (
            f"Slowest endpoint: {name_of(row)}, p50 {duration(row['p50_ns'])}, p95 {duration(row['p95_ns'])} "
            f"({interval(row['p95_low_ns'], row['p95_high_ns'], duration)}; "
            f"n = {plural(row['span_count'], f'{_in_hand(seen)}request')})."
        )
    estimate = Estimate(
        row["p95_ns"], "ns", row["p95_low_ns"], row["p95_high_ns"], int(row["span_count"]), row["n_effective"]
    )
    return Finding("slowest", "notice", said, estimate, row.to_frame().T, code="latency(traces, roots=True)")


def _tail(seen: Overview) -> Finding | None:
    """Return where the slowest requests of the slowest endpoint spend their time, and the faster half does not."""
    if seen.slowest_entries.empty:
        return None
    entry = seen.slowest_entries.iloc[0]
    condition = f"depth == 0 and service_name == {entry['service_name']!r} and operation == {entry['operation']!r}"
    path = critical_path(seen.traces.where(condition))
    if np.count_nonzero(path.weight) < ENOUGH:
        return None
    bands = path.bands(list(_KEYS), _BANDS, min_traces=_LEAST)
    faster, slowest = (row for _, row in bands.bands.iterrows())
    more = slowest["mean_latency_ns"] - faster["mean_latency_ns"]
    if more <= 0 or slowest["mean_latency_ns"] < _WORTH * faster["mean_latency_ns"]:
        return None
    table = bands.table[bands.table["band"] == slowest["band"]]
    table = table.sort_values("excess_ns", ascending=False, kind="stable")
    row = table.iloc[0]
    if row["excess_ns"] < _TELLING * more:
        return None
    keys = list(_KEYS)
    same = (bands.table[keys].fillna("") == row[keys].fillna("")).all(axis=1) & (bands.table["band"] == faster["band"])
    usual_ns = row["mean_ns"] - row["excess_ns"]
    calls = float(row["calls_per_request"])
    usual_calls = float(bands.table.loc[same, "calls_per_request"].fillna(0.0).sum())
    often = f"; calls per request {usual_calls:.1f} → {calls:.1f}" * bool(calls >= _MANY_TIMES * max(usual_calls, 1.0))
    share = min(1.0, row["excess_ns"] / more)
    said = (
        f"Tail: the slowest {ratio(1 - slowest['low_quantile'])} of {seen.recorded}{name_of(entry)} requests wait "
        f"{duration(row['mean_ns'])} for {name_of(row)}, the faster half {duration(usual_ns)} "
        f"({ratio(share)} of the difference{often})."
    )
    number = Estimate(row["excess_ns"], "ns", row["excess_low_ns"], row["excess_high_ns"], int(slowest["trace_count"]))
    method = f"Mean critical-path time of the slowest {count(slowest['trace_count'])} requests and of the faster half."
    apart = entry["p95_ns"] >= _APART * entry["p50_ns"] and row["excess_ns"] >= more / 2
    severity: Severity = "warning" if apart and row["excess_low_ns"] > 0 else "notice"
    worst = str(path.traces["trace_id"].iloc[int(path.traces["latency_ns"].to_numpy().argmax())])
    code = f"critical_path(traces.where({condition!r})).bands({list(_KEYS)}, {list(_BANDS)}, min_traces={_LEAST})"
    return Finding("tail", severity, said, number, table.head(10), (worst,), method=method, code=code)


def _failures(seen: Overview) -> Finding:
    """Return the error rate of finished requests, and where errors originate."""
    summary, share, finished = seen.traces.summary, seen.failed, seen.finished
    failed = summary["is_error"].to_numpy(bool) & finished
    total = plural(share.n, f"{_in_hand(seen)}request")
    of = f"{count(failed.sum())} of {total}"
    left_out = f"; {plural(int((~finished).sum()), 'unfinished request')} left out" * (not finished.all())
    if not finished.any():
        said = f"The error rate is not estimable: {_none_of(len(summary))} finished, so none has an outcome."
        return Finding("failures", "notice", said, code=_FAILED)
    if np.isnan(share.value):
        said = f"The error rate is not estimable: all sampling weights are 0; {of} failed{left_out}."
        return Finding("failures", "notice", said, code=_FAILED)
    limits = interval(share.low, share.high, ratio)
    if not failed.any():
        said = f"No errors in {total} (error rate {limits}{left_out})."
        return Finding("failures", "info", said, share, code=_FAILED)
    is_even = np.ptp(seen.traces.weights.value[finished]) == 0
    said = f"Error rate {ratio(share.value)} ({f'{of}; ' if is_even else 'weighted; '}{limits}{left_out})."
    origin = _origins(seen, failed)
    if not origin.empty:
        top, weight = origin.iloc[0], origin["weight_sum"].sum()
        spans = (
            f"{count(top['span_count'])} of {plural(origin['span_count'].sum(), 'error span')}"
            if is_even
            else "weighted"
        )
        part = "All" if len(origin) == 1 else f"{ratio(top['weight_sum'] / weight)} of the errors"
        said += f" {part} originate in {name_of(top)} ({spans})."
    severity: Severity = "warning" if share.low >= _FAILING else "notice"
    first = tuple(summary.index[failed][:1])
    return Finding("failures", severity, said, share, origin.head(10), first, code=_FAILED)


_FAILED: Final = "errors(traces, by=(), roots=True)"


def _in_hand(seen: Overview) -> str:
    """Return the word for requests that are counted, not weighted: ``recorded`` unless each stands for itself."""
    is_all = seen.traces.weights.known.all() and (seen.traces.weights.value == 1).all()
    return "" if is_all else "recorded "


def _none_of(total: int) -> str:
    """Return the subject of a sentence about requests of which none did something."""
    return "the only request has not" if total == 1 else f"none of {count(total)} requests has"


def _origins(seen: Overview, of_requests: Array) -> pd.DataFrame:
    """Return where errors originate: failed spans of failed requests without a failed child, by operation."""
    traces = seen.traces
    parent, failed = traces.forest.parent_row, traces.is_error
    passed_on = np.zeros(len(parent), bool)
    passed_on[parent[failed & (parent >= 0)]] = True
    rows = np.flatnonzero(failed & ~passed_on & of_requests[traces.forest.trace])
    frame = pd.DataFrame({name: traces.codes(name).take(rows).series().astype(str) for name in _KEYS})
    frame = frame.assign(span_count=1, weight_sum=traces.weights.value[traces.forest.trace[rows]])
    counted = frame.groupby(list(_KEYS)).sum().reset_index()
    return counted.sort_values(["weight_sum", *_KEYS], ascending=[False, True, True], ignore_index=True)


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
    code = 'traces.summary["partial"].mean()'
    return Finding("partial", "notice", " ".join(said), share, summary[partial].head(10), code=code)


def _be(chosen: Array) -> str:
    """Return the verb for some of several."""
    return "is" if chosen.sum() == 1 else "are"


def _have(chosen: Array) -> str:
    """Return the verb for some of several."""
    return "has" if chosen.sum() == 1 else "have"


def _weights(seen: Overview) -> Finding:
    """Return what the figures describe: all requests, the recorded traces, or a mixture."""
    weights = seen.traces.weights
    said = f"{weights.statement[0].upper()}{weights.statement[1:]}."
    if weights.known.all():
        severity: Severity = "info" if weights.value.all() else "notice" if weights.value.any() else "warning"
        return Finding("weights", severity, said, code="traces.weights")
    if not weights.known.any() and not weights.refusal:
        said = f"Sampling unknown: figures describe {_these(len(weights.value))}, not all requests."
    remedy = (
        "Set sampling weights with traces.with_weights(...), or state that every request was recorded: with_weights(1)."
    )
    return Finding("weights", "warning", said, remedy=remedy, code="traces.weights")


def _these(total: int) -> str:
    """Return the recorded traces as the object of a sentence."""
    return "this recorded trace" if total == 1 else f"these {count(total)} recorded traces"
