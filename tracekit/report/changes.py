"""What changed against a baseline: the first sentences of a comparison.

Latency is compared along the critical path, so that the parts add up to the whole; see
``analysis.critical_path.compare``.  Every sentence has a test of its own: q-values for operations, for endpoints and
calls limits at the level that their number asks for.  As several questions are asked, a warning needs more evidence:
``SURE`` leaves all of them together at most one false warning in twenty comparisons of equal traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.compare import PathComparison, compare
from tracekit.analysis.critical_path.keys import key_codes
from tracekit.analysis.latency import latency
from tracekit.findings import Estimate, Finding, Findings, Severity
from tracekit.report.error_changes import SURE, failing_calls, failing_requests, family_level
from tracekit.report.overview import ENOUGH
from tracekit.stats.differences import Limited, absence_probability, difference_limits
from tracekit.stats.tests import false_discovery
from tracekit.text import clean, count, duration, interval, plural, ratio
from tracekit.weights.comparability import comparability

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.columns import Array
    from tracekit.report.overview import Overview
    from tracekit.weights.comparability import Comparability

KEYS: Final = ("service_name", "operation")
WAITS: Final = (*KEYS, "callee_service")  # time lost between two services is the caller's own: name the other end
_FDR: Final = 0.05
_WORTH: Final = 0.1  # a factor is named from a tenth of a change, and a mean that grew by a tenth is a warning
_FELT: Final = 0.05  # of the mean latency: what a slower operation adds to a request that has it, to be a warning
_ROUNDED: Final = 0.005  # shares this near to one are all of it
_NAMED: Final = 5  # operations that are named in a sentence
_NAME: Final = 80


@dataclass(frozen=True)
class Changes:
    """A set of traces and its baseline.

    Parameters
    ----------
    before, now
        Both with their results.
    """

    before: Overview
    now: Overview

    @cached_property
    def comparability(self) -> Comparability:
        """Whether the two sides were sampled alike, as far as is known."""
        return comparability(self.before.traces, self.now.traces)

    @property
    def recorded(self) -> str:
        """``of recorded traces`` where no sampling weights are known, for sentences."""
        return " of recorded traces" * (self.comparability.basis == "recorded traces")

    @cached_property
    def comparison(self) -> PathComparison | None:
        """Critical-path time by operation, baseline and current; None where one side has no request with a weight."""
        sides = self.before, self.now
        is_given = all(len(side.path.latency_ns) and side.traces.weights.n_effective for side in sides)
        return compare(self.before.path, self.now.path, by=WAITS, fdr=_FDR) if is_given else None

    @cached_property
    def entries(self) -> pd.DataFrame:
        """Endpoints: the columns of ``latency`` with ``_before`` and ``_now``, most requests first.

        ``p95_change_low_ns`` and ``p95_change_high_ns`` limit the change of p95 at the level that so many endpoints ask
        for (Bonferroni), missing where a side has fewer than ``ENOUGH`` traces.
        """
        sides = self.before, self.now
        both = _beside(*(side.entries.table for side in sides))
        total = both["span_count_before"] + both["span_count_now"]
        enough = (both[["span_count_before", "span_count_now"]] >= ENOUGH).all(axis=1)
        confidence = family_level(int(enough.sum()))
        strict = _beside(*(latency(side.traces, roots=True, confidence=confidence).table for side in sides))
        change = difference_limits(*(_limited(strict, "p95_ns", side) for side in ("before", "now")))
        both["p95_change_low_ns"] = np.where(enough, change.low, np.nan)
        both["p95_change_high_ns"] = np.where(enough, change.high, np.nan)
        return both.iloc[np.argsort(-total.to_numpy(float), kind="stable")].reset_index(drop=True)

    def findings(self) -> Findings:
        """Return the first sentences: what regressed and where, which endpoints, error rates, what is new."""
        if not self.comparability.is_comparable:
            return Findings([_not_comparable(self)])
        found = [
            _slower_entry(self),
            _whole(self),
            _operations(self),
            failing_calls(self),
            failing_requests(self),
            _others(self),
        ]
        return Findings([finding for finding in found if finding is not None])


def _not_comparable(changes: Changes) -> Finding:
    """Return why no change is claimed, and the figures of both sides as recorded."""
    why = changes.comparability.statement
    rates = " and ".join(ratio(side.failed.value) for side in (changes.before, changes.now))
    said = f"{why[0].upper()}{why[1:]}. Error rates of the recorded traces: {rates}."
    remedy = "Set the sampling weights of both sides: traces.with_weights(...)."
    return Finding("comparable", "warning", said, remedy=remedy, code="traces.weights")


def _beside(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Return two tables of ``latency`` joined by service and operation; what one side lacks has a count of 0."""
    tables = [table.astype(dict.fromkeys(KEYS, str)) for table in (before, now)]
    both = tables[0].merge(tables[1], on=list(KEYS), how="outer", suffixes=("_before", "_now"))
    counts = ["span_count_before", "span_count_now"]
    both[counts] = both[counts].fillna(0)
    return both


def _limited(table: pd.DataFrame, name: str, side: str) -> Limited:
    """Return a column of one side with its limits; ``p95_ns`` has ``p95_low_ns`` and ``p95_high_ns``."""
    stem = name.removesuffix("_ns")
    unit = name.removeprefix(stem)
    return Limited(
        *(table[f"{column}_{side}"].to_numpy(float) for column in (name, f"{stem}_low{unit}", f"{stem}_high{unit}"))
    )


def name_of(row: Mapping[Hashable, Any] | pd.Series) -> str:
    """Return an operation in words; X-Ray names many after their service."""
    if row["operation"] == row["service_name"]:
        return clean(row["service_name"], limit=_NAME)
    return f"{clean(row['service_name'], limit=_NAME)} {clean(row['operation'], limit=_NAME)}"


def callee_of(row: Mapping[Any, Any] | pd.Series) -> str:
    """Return the service that an operation calls, where its own name does not say so."""
    callee = row["callee_service"]
    is_named = isinstance(callee, str) and callee not in row["operation"] and callee != row["service_name"]
    return clean(callee, limit=_NAME) if is_named else ""


def _place(row: pd.Series) -> str:
    """Return an operation and its callee."""
    callee = callee_of(row)
    return f"{name_of(row)} (calling {callee})" if callee else name_of(row)


def more(nanoseconds: float) -> str:
    """Return a change of a duration with its sign."""
    return duration(nanoseconds) if nanoseconds < 0 else f"+{duration(nanoseconds)}"


def _whole(changes: Changes) -> Finding:
    """Return by how much the mean latency changed, and in which operation."""
    compared = changes.comparison
    if compared is None:
        said = "Latency cannot be compared: one side has no request with a start, an end and a sampling weight above 0."
        return Finding("change", "notice", said, code="traces.summary")
    before, now = (float(value) for value in compared.sides["mean_latency_ns"])
    change = compared.change
    limits = interval(change.low, change.high, more)
    if not (change.low > 0 or change.high < 0):
        verdict = (
            "no significant change" if np.isfinite([change.low, change.high]).all() else "too few traces to compare"
        )
        said = f"Mean latency{changes.recorded} {duration(before)} → {duration(now)}: {verdict} ({limits})."
        return Finding("change", "info", said, change, compared.table.head(10), method=_METHOD, code=_CODE)
    verb = "regressed" if change.value > 0 else "improved"
    means = f"{duration(before)} → {duration(now)} ({more(change.value)}, {limits})"
    said = f"Mean latency{changes.recorded} {verb} {means}."
    parts = compared.table[compared.table["change_ns"] * change.value > 0]
    significant = parts[parts["is_significant"]]
    exemplars: tuple[str, ...] = ()
    if not significant.empty:
        said += _where(compared, significant.iloc[0], change.value)
        exemplars = _exemplar(changes, significant.iloc[0])
    elif not parts.empty and abs(parts["change_ns"].iloc[0]) > _WORTH * abs(change.value):
        said += _largest(parts.iloc[0])
        exemplars = _exemplar(changes, parts.iloc[0])
    is_felt = change.value > 0 and not significant.empty and _is_felt(compared, significant.iloc[0])
    severity: Severity = "warning" if is_felt or change.value > _WORTH * before else "notice"
    return Finding("change", severity, said, change, compared.table.head(10), exemplars, method=_METHOD, code=_CODE)


_METHOD: Final = "Mean critical-path time per request; the contributions of the operations sum to the total."
_CODE: Final = f"critical_path(before).compare(critical_path(traces), by={list(WAITS)})"


def _where(compared: PathComparison, row: pd.Series, whole: float) -> str:
    """Return the sentence about the operation that changed most."""
    share = row["change_ns"] / whole
    part = f"{ratio(share)} of it" if share < 1 - _ROUNDED else "All of it" if share <= 1 + _ROUNDED else "Largest part"
    why = _factors(compared, row)
    return f" {part}: {_place(row)} ({more(row['change_ns'])}){': ' * bool(why)}{', '.join(why)}."


def _factors(compared: PathComparison, row: pd.Series) -> list[str]:
    """Return which of requests affected, calls per request and time per call changed."""
    parts = compared.parts
    mine = parts[np.logical_and.reduce([_equal(parts[key], row[key]) for key in WAITS])]
    named = mine[(mine["change_ns"].abs() >= _WORTH * abs(row["change_ns"]))].set_index("factor")
    forms: dict[str, tuple[str, Any]] = {
        "presence": ("requests affected", ratio),
        "frequency": ("calls per request", "{:.1f}".format),
        "duration": ("time per call", duration),
    }
    pairs = {
        name: (float(named["baseline_value"][name]), float(named["current_value"][name]))
        for name in forms
        if name in named.index
    }
    return [
        f"{forms[name][0]} {forms[name][1](before)} → {forms[name][1](now)}"
        for name, (before, now) in pairs.items()
        if np.isfinite([before, now]).all()
    ]


def _largest(row: pd.Series) -> str:
    """Return the sentence about the largest of many changes none of which is significant."""
    limits = f"{more(row['change_ns'])}, {interval(row['change_low_ns'], row['change_high_ns'], more)}"
    return f" No single operation changed significantly; the largest change is {_place(row)} ({limits})."


def _operations(changes: Changes) -> Finding | None:
    """Return the operations that regressed where the mean of all requests does not show it."""
    compared = changes.comparison
    if compared is None or compared.change.low > 0:
        return None
    table = compared.table
    grown = table[(table["change_ns"] > 0) & table["is_significant"]]
    if grown.empty:
        return None
    row = grown.iloc[0]
    rest = f" {plural(len(grown) - 1, 'other operation')} regressed as well." if len(grown) > 1 else ""
    why = ", ".join(
        [
            f"{more(row['change_ns'])} per request ({interval(row['change_low_ns'], row['change_high_ns'], more)})",
            *_factors(compared, row),
        ]
    )
    said = f"{_place(row)} regressed although the mean latency shows no significant change: {why}.{rest}"
    estimate = Estimate(
        row["change_ns"], "ns", row["change_low_ns"], row["change_high_ns"], int(compared.sides["trace_count"].sum())
    )
    severity: Severity = "warning" if _is_felt(compared, row) else "notice"
    method = f"{_METHOD} False discovery rate {_FDR:.0%}; {plural(len(table), 'operation')} tried."
    shown = _exemplar(changes, row)
    return Finding("regressed", severity, said, estimate, grown.head(10), shown, method=method, code=_CODE)


def _is_felt(compared: PathComparison, row: pd.Series) -> bool:
    """Return whether an operation regressed beyond doubt, and by enough of what a request with it takes."""
    requests, latency_ns = (compared.sides[name].to_numpy(float) for name in ("trace_count", "mean_latency_ns"))
    added = row["change_ns"] * requests[1] / max(row["current_trace_count"], 1)
    return bool(row["q_value"] <= 2 * SURE and added >= _FELT * latency_ns[0])


def _exemplar(changes: Changes, row: pd.Series) -> tuple[str, ...]:
    """Return the trace that shows the change of an operation, and the span with its longest critical-path time."""
    trace_id = str(row["exemplar_trace_id"])
    for side in (changes.now, changes.before):
        spans, path = side.path.spans, side.path
        keys = [key_codes(path.source, path.tree, key).series().astype(object) for key in WAITS]
        is_mine = np.logical_and.reduce([_equal(key, row[name]) for key, name in zip(keys, WAITS, strict=True)])
        mine = spans[is_mine & (spans["trace_id"].astype(str) == trace_id).to_numpy()]
        if len(mine):
            return trace_id, str(mine["span_id"].iloc[int(mine["path_time_ns"].to_numpy().argmax())])
    return (trace_id,)


def _equal(column: pd.Series, value: object) -> Array:
    """Return where a column has a value, or has none where there is none."""
    return (column.eq(value) if isinstance(value, str) else column.isna()).to_numpy(bool)


def _slower_entry(changes: Changes) -> Finding | None:
    """Return the endpoint whose p95 grew most."""
    table = changes.entries
    grown = table[table["p95_change_low_ns"] > 0]
    if grown.empty:
        return None
    row = grown.iloc[int((grown["p95_ns_now"] - grown["p95_ns_before"]).to_numpy().argmax())]
    before, now = row["p95_ns_before"], row["p95_ns_now"]
    times = f"{now / before:.1f}x, " if before else ""
    said = (
        f"{name_of(row)} p95 regressed {duration(before)} → {duration(now)} ({times}"
        f"{interval(row['p95_low_ns_before'], row['p95_high_ns_before'], duration)} → "
        f"{interval(row['p95_low_ns_now'], row['p95_high_ns_now'], duration, confidence='')}); "
        f"p50 {duration(row['p50_ns_before'])} → {duration(row['p50_ns_now'])} "
        f"(n = {count(row['span_count_before'])} and {count(row['span_count_now'])})."
    )
    if len(grown) > 1:
        said += f" {plural(len(grown) - 1, 'other endpoint')} regressed as well."
    estimate = Estimate(now, "ns", row["p95_low_ns_now"], row["p95_high_ns_now"], int(row["span_count_now"]))
    return Finding("slower", "warning", said, estimate, grown, code="latency(traces, roots=True)")


def _others(changes: Changes) -> Finding | None:
    """Return the operations that only one side has, where that is more than luck of the draw."""
    tables = [_seen(side) for side in (changes.before, changes.now)]
    sizes = [len(side.traces) for side in (changes.before, changes.now)]
    only = [mine[~mine.index.isin(other.index)] for mine, other in (tables, tables[::-1])]
    p = [absence_probability(mine.to_numpy(), sizes[k], sizes[1 - k]) for k, mine in enumerate(only)]
    tried = len(tables[0].index.union(tables[1].index))
    p_all = np.concatenate([*p, np.ones(tried - sum(map(len, p)))])
    is_real = false_discovery(p_all)[: len(p[0]) + len(p[1])] <= _FDR
    gone, new = only[0][is_real[: len(p[0])]], only[1][is_real[len(p[0]) :]]
    said = []
    for words, mine, k in (("new", new, 1), ("gone", gone, 0)):
        if mine.empty:
            continue
        names = [
            f"{name_of(row)} ({count(row['trace_count'])} of {count(sizes[k])} traces)"
            for _, row in mine.reset_index().iterrows()
        ]
        rest = f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
        said.append(f"{plural(len(names), f'{words} operation')}: {', '.join(names[:_NAMED])}{rest}.")
    method = (
        f"Absent from the other side with a false discovery rate of {_FDR:.0%}; {plural(tried, 'operation')} tried."
    )
    return (
        Finding("operations", "notice", " ".join(said), method=method, code="latency(traces).table") if said else None
    )


def _seen(side: Overview) -> pd.Series:
    """Return the number of traces with each operation, by service and operation, most traces first."""
    traces = side.traces
    rows = np.flatnonzero(~traces.is_inferred)
    frame = pd.DataFrame({name: traces.codes(name).take(rows).series().astype(str) for name in KEYS})
    distinct = frame.assign(trace=traces.forest.trace[rows]).drop_duplicates()
    found = distinct.groupby(list(KEYS), observed=True).size().rename("trace_count")
    return found.sort_values(ascending=False, kind="stable")
