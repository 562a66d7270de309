"""Measured numbers of a case, one row each: what a claim about these traces is compared with.

A row names what was measured (all requests, an endpoint, an operation, a service), the metric and the side; it has the
value, its interval where the analysis has one, and the call that returns it.  ``stated`` makes a finding of a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.compare import compare
from tracekit.analysis.critical_path.shares import shares
from tracekit.analysis.latency import latency
from tracekit.checks.comparison import changes_of, comparable_changes
from tracekit.checks.names import KEYS, WAITS
from tracekit.checks.overview import overview
from tracekit.findings import Estimate, Finding
from tracekit.grouping import REQUEST, UnknownNameError
from tracekit.text import clean, count, duration, interval, mean_count, ratio, signed_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from tracekit.analysis.critical_path.compare import PathComparison
    from tracekit.checks.case import Case
    from tracekit.checks.comparison import Changes
    from tracekit.checks.overview import Overview

SUBJECT: Final = ("service_name", "operation", "callee_service", "attribute_key", "attribute_value")
COLUMNS: Final = (*SUBJECT, "scope", "metric", "side", "value", "low", "high", "unit", "n", "trace_id", "code")
CURRENT, BASELINE, CHANGE = "current", "baseline", "change"
_NAME: Final = 80
_LATENCY: Final = ("p50", "p90", "p95", "p99", "mean", "max")
_SETS: Final = {CURRENT: "traces", BASELINE: "before"}
METRICS: Final = {
    "p50": "p50",
    "p90": "p90",
    "p95": "p95",
    "p99": "p99",
    "mean": "mean latency",
    "max": "maximum latency",
    "error_ratio": "error rate",
    "request_count": "requests",
    "path_time": "critical-path time per request",
    "latency_share": "share of the latency of all requests",
    "change_share": "share of the change of the mean latency",
    "calls_per_request": "calls per request with this call",
    "call_time": "critical-path time per call",
}
"""The name of each metric in sentences."""


def measured(case: Case, *, keys: Sequence[str] = ()) -> pd.DataFrame:
    """Return the numbers of a case and its baseline.

    Parameters
    ----------
    case
        The traces, with their baseline if there is one.
    keys
        Keys of attributes by whose values requests are told apart too.

    Returns
    -------
    pandas.DataFrame
        ``service_name``, ``operation``, ``callee_service``, ``attribute_key`` and ``attribute_value`` (empty where the
        number is not about one); ``scope`` (``requests``, ``spans``, ``calls``, ``critical path``); ``metric``, a key
        of ``METRICS``; ``side`` (``current``, ``baseline``, or ``change`` from baseline to current); ``value``,
        ``low``, ``high`` (NaN without an interval); ``unit`` (``ns``, ``ratio``, ``count``); ``n``; ``trace_id`` of an
        exemplar; ``code``.

    Examples
    --------
    >>> from tracekit.checks.case import Case
    >>> rows = measured(Case(shop))
    >>> rows.query("metric == 'p50' and scope == 'requests' and service_name == ''")["value"].tolist()
    [100000000.0]
    """
    sides = {CURRENT: case.result(overview)}
    if case.baseline is not None and case.baseline.result(overview).trace_count:
        sides[BASELINE] = case.baseline.result(overview)
    parts = [part for side, seen in sides.items() for part in _of_side(seen, side)]
    parts += [part for key in keys for side, seen in sides.items() for part in _of_key(seen, side, key)]
    changes = case.result(comparable_changes)
    if changes is not None:
        parts += list(_of_change(changes))
    elif (known := case.result(changes_of)) is not None and known.comparison is not None:
        parts += list(_factors(known.comparison))
    kept = [part for part in parts if len(part)]
    if not kept:
        return pd.DataFrame({name: [] for name in COLUMNS})
    rows = pd.concat(kept, ignore_index=True)
    names = [*SUBJECT, "trace_id"]
    rows[names] = rows[names].astype(object).where(rows[names].notna(), "")
    found: pd.DataFrame = rows[np.isfinite(rows["value"].to_numpy(float))].reset_index(drop=True)
    return found


def _of_side(seen: Overview, side: str) -> Iterator[pd.DataFrame]:
    """Yield the numbers of one set of traces."""
    if not seen.trace_count:
        return
    name = _SETS[side]
    yield from _latencies(seen.requests.table, "requests", side, f"tk.latency({name}, by=(), roots=True).table")
    yield from _latencies(seen.entries.table, "requests", side, f"tk.latency({name}, roots=True).table")
    yield from _latencies(seen.operations.table, "spans", side, f"tk.latency({name}).table")
    services = seen.graph.services
    graph = f"tk.service_graph({name}).services"
    quantiles = ("p50", "p95", "p99")
    for metric in (*quantiles, "error_ratio"):
        columns = _limits(metric, "ns" if metric in quantiles else "")
        yield _rows(services, metric, side, columns, scope="calls", code=graph, n=services["request_count"])
    yield _rows(services, "request_count", side, ("request_count",), scope="calls", code=graph, unit="count")
    if seen.timed_count and seen.weights.n_effective:
        for by, table in ((list(KEYS[:1]), shares(seen.walked_by_service, list(KEYS[:1]))), (list(WAITS), seen.waits)):
            code = f"tk.critical_path({name}).by({by})"
            more: dict[str, Any] = {"scope": "critical path", "code": code, "n": table["trace_count"]}
            more["trace_id"] = table["largest_trace_id"]
            yield _rows(table, "latency_share", side, ("share_ratio",), unit="ratio", **more)
            yield _rows(table, "path_time", side, ("mean_ns", "mean_low_ns", "mean_high_ns"), **more)


def _of_key(seen: Overview, side: str, key: str) -> Iterator[pd.DataFrame]:
    """Yield latencies and error rates of requests by the values of an attribute: of all, and by endpoint."""
    for by in ([f"{REQUEST}{key}"], [*KEYS, f"{REQUEST}{key}"]):
        try:
            table = latency(seen.source, by=by, roots=True).table
        except UnknownNameError:
            return  # no request of this side has it
        named = table.rename(columns={by[-1]: "attribute_value"}).assign(attribute_key=key)
        named = named[named["attribute_value"].notna()].astype({"attribute_value": str})
        yield from _latencies(named, "requests", side, f"tk.latency({_SETS[side]}, by={by}, roots=True).table")


def _latencies(table: pd.DataFrame, scope: str, side: str, code: str) -> Iterator[pd.DataFrame]:
    """Yield latencies, error rates and counts of a table of ``latency``."""
    for metric in _LATENCY:
        yield _rows(table, metric, side, _limits(metric, "ns"), scope=scope, code=code, n=table["span_count"])
    columns = _limits("error_ratio", "")
    yield _rows(table, "error_ratio", side, columns, scope=scope, code=code, unit="ratio", n=table["span_count"])
    if scope == "requests":
        yield _rows(table, "request_count", side, ("span_count",), scope=scope, code=code, unit="count")


def _limits(metric: str, unit: str) -> tuple[str, str, str]:
    """Return the columns of an estimate and its interval."""
    end = f"_{unit}" * bool(unit)
    return f"{metric}{end}", f"{metric}_low{end}", f"{metric}_high{end}"


def _of_change(changes: Changes) -> Iterator[pd.DataFrame]:
    """Yield the change of the mean latency: of all requests, by service and by operation."""
    compared = changes.comparison
    if compared is None:
        return
    change = compared.change
    whole = pd.DataFrame([{"change_ns": change.value, "change_low_ns": change.low, "change_high_ns": change.high}])
    code = "tk.critical_path(before).compare(tk.critical_path(traces))"
    columns = _limits("change", "ns")
    yield _rows(whole, "mean", CHANGE, columns, scope="requests", code=f"{code}.change", n=change.n)
    by_service = compare(changes.before.walked_by_service, changes.now.walked_by_service, by=list(KEYS[:1]))
    for found, by in ((by_service, list(KEYS[:1])), (compared, list(WAITS))):
        call = f"{code[:-1]}, by={by})"
        table = found.table
        more: dict[str, Any] = {"scope": "critical path", "code": f"{call}.table"}
        more["trace_id"] = table["exemplar_trace_id"]
        more["n"] = table["baseline_trace_count"] + table["current_trace_count"]
        yield _rows(table, "path_time", CHANGE, columns, **more)
        if compared.is_significant:
            shares = table.assign(share=table["change_ns"] / change.value)
            more["code"] = f"compared = {call}\ncompared.table['change_ns'] / compared.change.value"
            yield _rows(shares, "change_share", CHANGE, ("share",), unit="ratio", **more)
    yield from _factors(compared)


def _factors(compared: PathComparison) -> Iterator[pd.DataFrame]:
    """Yield calls per request and time per call of both sides."""
    code = f"tk.critical_path(before).compare(tk.critical_path(traces), by={list(WAITS)}).parts"
    for factor, metric, unit in (("frequency", "calls_per_request", "count"), ("duration", "call_time", "ns")):
        table = compared.parts[compared.parts["factor"] == factor]
        for side in (BASELINE, CURRENT):
            yield _rows(table, metric, side, (f"{side}_value",), scope="critical path", code=code, unit=unit)


def _rows(
    table: pd.DataFrame,
    metric: str,
    side: str,
    columns: tuple[str, ...],
    *,
    scope: str,
    code: str,
    unit: str | None = None,
    n: Any = 0,
    trace_id: Any = "",
) -> pd.DataFrame:
    """Return one metric of a table: value and limits of each row."""
    value, low, high = (table[name].astype(float) if name in table else np.nan for name in (*columns, "", "")[:3])
    subject = {name: table[name].astype(object) if name in table else "" for name in SUBJECT}
    kind = unit or ("ns" if columns[0].endswith("_ns") else "ratio")
    numbers = {"value": value, "low": low, "high": high, "unit": kind, "n": n}
    about = {"scope": scope, "metric": metric, "side": side}
    return pd.DataFrame({**subject, **about, **numbers, "trace_id": trace_id, "code": code}, index=table.index)


def stated(row: Mapping[Hashable, Any]) -> Finding:
    """Return a row of ``measured`` as a finding.

    Parameters
    ----------
    row
        A row, as a mapping.

    Examples
    --------
    >>> from tracekit.checks.case import Case
    >>> rows = measured(Case(shop)).query("metric == 'p50' and scope == 'requests' and operation != ''")
    >>> print(stated(rows.iloc[0].to_dict()).headline)
    shop POST /pay: p50 100 ms (n = 4 requests).
    """
    metric, side = str(row["metric"]), str(row["side"])
    unit, low, high = str(row["unit"]), float(row["low"]), float(row["high"])
    n, form = int(row["n"]), form_of(unit, side)
    about = "; ".join(filter(None, (_interval(low, high, form), f"n = {_counted(n, str(row['scope']))}" * bool(n))))
    where = {CURRENT: "", BASELINE: " in the baseline", CHANGE: ""}[side]
    change = " changed by" if side == CHANGE and metric != "change_share" else ""
    text = f"{subject_of(row)}: {METRICS[metric]}{where}{change} {form(float(row['value']))}" + f" ({about})" * bool(
        about
    )
    values = {name: row[name] for name in (*SUBJECT, "scope", "metric", "side", "value", "low", "high", "unit", "n")}
    exemplars = (str(row["trace_id"]),) if row["trace_id"] else ()
    estimate = Estimate(float(row["value"]), unit, low, high, n)
    kept = {name: value for name, value in values.items() if value != "" and not _is_missing(value)}
    code = str(row["code"])
    return Finding(f"measured.{metric}", "info", f"{text}.", estimate, exemplars=exemplars, code=code,
                   values=kept, status="measured")  # fmt: skip


def subject_of(row: Mapping[Hashable, Any]) -> str:
    """Return what a row is about, in words."""
    service, operation, callee, key, value = (clean(row[name], limit=_NAME) for name in SUBJECT)
    own = f"{service} {operation}".rstrip() or "All requests"
    own += f" (calling {callee})" * bool(callee)
    return f"{own} with {key} {value}" if key else own


def form_of(unit: str, side: str) -> Callable[[float], str]:
    """Return the formatter of a unit."""
    if unit == "ns":
        return signed_duration if side == CHANGE else duration
    return ratio if unit == "ratio" else _number


def _number(value: float) -> str:
    """Return a count: a whole one as it is, a mean with a decimal."""
    return count(value) if float(value).is_integer() else mean_count(value)


def _interval(low: float, high: float, form: Callable[[float], str]) -> str:
    """Return an interval in words; empty without one."""
    return interval(low, high, form) if np.isfinite([low, high]).all() else ""


def _counted(n: int, scope: str) -> str:
    """Return a number of traces or spans with its noun."""
    noun = {"requests": "request", "spans": "span", "calls": "call"}.get(scope, "trace")
    return f"{count(n)} {noun}{'s' * (n != 1)}"


def _is_missing(value: Any) -> bool:
    """Return whether a value is NaN."""
    return isinstance(value, float) and np.isnan(value)
