"""What changed against a baseline: the first sentences of a comparison, and its tables.

The time that requests wait is compared along the critical path, so that the parts add up to the whole; see
``analysis.critical_path.compare``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.analysis.critical_path.compare import PathComparison, compare
from tracekit.analysis.critical_path.keys import key_codes
from tracekit.findings import Estimate, Finding, Findings, Severity
from tracekit.views.text import clean, duration, plural, ratio

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from tracekit.report.overview import Overview

KEYS: Final = ("service_name", "operation")
WAITS: Final = (*KEYS, "callee_service")  # time lost between two services is the caller's own: name the other end
_WORTH: Final = 0.1  # a factor is named from a tenth of a change
_WARNING: Final = 0.1  # a mean that grew by a tenth is a warning
_ROUNDED: Final = 0.005  # shares this near to one are all of it
_NAMED: Final = 5  # operations that are named in a sentence
_NAME: Final = 80


@dataclass(frozen=True)
class Changes:
    """A set of traces beside an earlier one.

    Parameters
    ----------
    before, now
        Both with their results.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.report.overview import Overview
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "x", "start_ns": 0, "end_ns": 5000})
    >>> shop = Overview(TraceSet.from_spans(frame.assign(service_name="shop")))
    >>> Changes(shop, shop).comparison.change.value
    0
    """

    before: Overview
    now: Overview

    @cached_property
    def comparison(self) -> PathComparison | None:
        """What requests wait for, now and before; None where one side has no request, or stands for none."""
        sides = self.before, self.now
        is_told = all(len(side.path.latency_ns) and side.traces.weights.n_effective for side in sides)
        return compare(self.before.path, self.now.path, by=WAITS) if is_told else None

    @cached_property
    def entries(self) -> pd.DataFrame:
        """Kinds of request: the columns of ``latency`` with ``_before`` and ``_now``, most requests first."""
        tables = [side.entries.table.astype(dict.fromkeys(KEYS, str)) for side in (self.before, self.now)]
        both = tables[0].merge(tables[1], on=list(KEYS), how="outer", suffixes=("_before", "_now"))
        both[["span_count_before", "span_count_now"]] = both[["span_count_before", "span_count_now"]].fillna(0)
        total = both["span_count_before"] + both["span_count_now"]
        return both.iloc[np.argsort(-total.to_numpy(float), kind="stable")].reset_index(drop=True)

    def findings(self) -> Findings:
        """Return the first sentences: how much longer requests take and where, which of them, failures, what is new.

        Returns
        -------
        Findings
            The gravest first.
        """
        found = [_whole(self), _slower_entry(self), _failures(self), _others(self)]
        return Findings([finding for finding in found if finding is not None])


def name_of(row: Mapping[Hashable, Any] | pd.Series) -> str:
    """Return an operation in words; X-Ray names many after their service.

    Parameters
    ----------
    row
        With ``service_name`` and ``operation``.

    Returns
    -------
    str
        Cleaned and cut.

    Examples
    --------
    >>> name_of({"service_name": "cart", "operation": "GET /"})
    'GET / of cart'
    """
    if row["operation"] == row["service_name"]:
        return clean(row["service_name"], limit=_NAME)
    return f"{clean(row['operation'], limit=_NAME)} of {clean(row['service_name'], limit=_NAME)}"


def callee_of(row: Mapping[Any, Any] | pd.Series) -> str:
    """Return the service that an operation calls, where its own name does not say so.

    Parameters
    ----------
    row
        With the columns of ``WAITS``.

    Returns
    -------
    str
        "" for none.

    Examples
    --------
    >>> callee_of({"service_name": "shop", "operation": "HTTP GET", "callee_service": "cart"})
    'cart'
    >>> callee_of({"service_name": "shop", "operation": "cart/GetCart", "callee_service": "cart"})
    ''
    """
    callee = row["callee_service"]
    is_named = isinstance(callee, str) and callee not in row["operation"] and callee != row["service_name"]
    return clean(callee, limit=_NAME) if is_named else ""


def _waited(row: pd.Series) -> str:
    """Return an operation and whom it calls."""
    callee = callee_of(row)
    return f"{name_of(row)}, which calls {callee}," if callee else name_of(row)


def more(nanoseconds: float) -> str:
    """Return a change of a duration with its sign.

    Parameters
    ----------
    nanoseconds
        The change.

    Returns
    -------
    str
        For example ``+17.8 ms``.

    Examples
    --------
    >>> more(17_769_399), more(-2_000)
    ('+17.8 ms', '-2.00 µs')
    """
    return duration(nanoseconds) if nanoseconds < 0 else f"+{duration(nanoseconds)}"


def _whole(changes: Changes) -> Finding | None:
    """Return by how much requests take longer, and where they wait for it."""
    compared = changes.comparison
    if compared is None:
        return None
    before, now = (float(value) for value in compared.sides["mean_latency_ns"])
    change = compared.change
    limits = f"95 % limits {more(change.low)} to {more(change.high)}"
    if change.low <= 0 <= change.high:
        said = f"Requests take {duration(now)} on average, as before ({duration(before)}; {limits})."
        return Finding("change", "info", said, change, compared.table.head(10), code=_CODE)
    than = "longer" if change.value > 0 else "less long"
    said = (
        f"Requests take {than}: {duration(now)} on average instead of {duration(before)} "
        f"({more(change.value)}; {limits})."
    )
    parts = compared.table[compared.table["change_ns"] * change.value > 0]
    told = parts[parts["is_significant"]]
    exemplars: tuple[str, ...] = ()
    if not told.empty:
        said += _where(compared, told.iloc[0], change.value)
        exemplars = _exemplar(changes, told.iloc[0])
    elif not parts.empty and abs(parts["change_ns"].iloc[0]) > _WORTH * abs(change.value):
        said += _perhaps(parts.iloc[0])
        exemplars = _exemplar(changes, parts.iloc[0])
    severity: Severity = "warning" if change.value > _WARNING * before else "notice"
    remedy = "Means of the time that requests wait, along the critical path; what operations have adds up to the whole."
    return Finding("change", severity, said, change, compared.table.head(10), exemplars, remedy=remedy, code=_CODE)


_CODE: Final = f"critical_path(before).compare(critical_path(traces), by={list(WAITS)})"


def _where(compared: PathComparison, row: pd.Series, whole: float) -> str:
    """Return the sentence about the operation that changed most."""
    share = row["change_ns"] / whole
    if share > 1 + _ROUNDED:
        said = f" {_waited(row)} alone makes {more(row['change_ns'])}"
    else:
        part = "All of it" if share > 1 - _ROUNDED else f"{ratio(share)} of it"
        said = f" {part} is {_waited(row).rstrip(',')} ({more(row['change_ns'])})"
    parts = compared.parts
    mine = parts[np.logical_and.reduce([_equal(parts[key], row[key]) for key in WAITS])]
    named = mine[(mine["change_ns"].abs() >= _WORTH * abs(row["change_ns"]))].set_index("factor")
    why = []
    if "presence" in named.index:
        now, before = map(ratio, _pair(named, "presence"))
        why.append(f"{now} of requests wait for it instead of {before}")
    if "frequency" in named.index:
        calls = _pair(named, "frequency")
        if all(map(np.isfinite, calls)):
            why.append(f"called {calls[0]:.1f} times instead of {calls[1]:.1f} by those that call it")
    if "duration" in named.index:
        times = _pair(named, "duration")
        if all(map(np.isfinite, times)):
            why.append(f"{duration(times[0])} a call instead of {duration(times[1])}")
    return f"{said}: {', '.join(why)}." if why else f"{said}."


def _perhaps(row: pd.Series) -> str:
    """Return the sentence about the largest of many changes none of which is sure by itself."""
    limits = f"{more(row['change_ns'])}; {more(row['low_ns'])} to {more(row['high_ns'])}"
    return (
        " Among so many operations none stands out from chance; the largest change is"
        f" {_waited(row).rstrip(',')} ({limits})."
    )


def _exemplar(changes: Changes, row: pd.Series) -> tuple[str, ...]:
    """Return the trace that shows the change of an operation, and the span in it that requests waited for longest."""
    trace_id = str(row["exemplar_trace_id"])
    for side in (changes.now, changes.before):
        spans, path = side.path.spans, side.path
        keys = [key_codes(path.source, path.tree, key).series().astype(object) for key in WAITS]
        is_mine = np.logical_and.reduce([_equal(key, row[name]) for key, name in zip(keys, WAITS, strict=True)])
        mine = spans[is_mine & (spans["trace_id"].astype(str) == trace_id).to_numpy()]
        if len(mine):
            return trace_id, str(mine["span_id"].iloc[int(mine["path_time_ns"].to_numpy().argmax())])
    return (trace_id,)


def _equal(column: pd.Series, value: object) -> np.ndarray:
    """Return where a column has a value, or has none where there is none."""
    return (column.eq(value) if isinstance(value, str) else column.isna()).to_numpy(bool)


def _pair(parts: pd.DataFrame, factor: str) -> tuple[float, float]:
    """Return a factor now and before."""
    return float(parts["other_value"][factor]), float(parts["value"][factor])


def _slower_entry(changes: Changes) -> Finding | None:
    """Return the kind of request whose p95 grew most beyond its limits."""
    table = changes.entries
    grown = table[table["p95_low_ns_now"] > table["p95_high_ns_before"]]
    if grown.empty:
        return None
    row = grown.iloc[int((grown["p95_ns_now"] - grown["p95_ns_before"]).to_numpy().argmax())]
    said = (
        f"5 % of {name_of(row)} take more than {duration(row['p95_ns_now'])} instead of "
        f"{duration(row['p95_ns_before'])} (half of them {duration(row['p50_ns_now'])} instead of "
        f"{duration(row['p50_ns_before'])})."
    )
    estimate = Estimate(
        row["p95_ns_now"], "ns", row["p95_low_ns_now"], row["p95_high_ns_now"], int(row["span_count_now"])
    )
    return Finding("slower", "warning", said, estimate, grown, code="latency(traces)")


def _failures(changes: Changes) -> Finding | None:
    """Return whether more or fewer requests fail: said where the limits of both shares do not touch."""
    before, now = changes.before.failed, changes.now.failed
    if np.isnan(before.value) or np.isnan(now.value):
        return None
    if before.low <= now.high and now.low <= before.high:
        was, is_now = ratio(before.value), ratio(now.value)
        said = f"{is_now} of requests fail, before it was {was}: chance explains the difference."
        if was == is_now:
            said = f"{is_now} of requests fail, as before." if now.value else "No request failed, and none before."
        return Finding("failing", "info", said, now, code="errors(traces)")
    is_worse = now.value > before.value
    said = f"{'More' if is_worse else 'Fewer'} requests fail: {ratio(now.value)} instead of {ratio(before.value)}."
    return Finding("failing", "warning" if is_worse else "notice", said, now, code="errors(traces)")


def _others(changes: Changes) -> Finding | None:
    """Return the operations that only one side has."""
    names = [
        {name_of(row): None for row in side.operations.table.astype(dict.fromkeys(KEYS, str)).to_dict("records")}
        for side in (changes.before, changes.now)
    ]
    said = []
    for words, these, those in (("new", names[1], names[0]), ("gone", names[0], names[1])):
        only = [name for name in these if name not in those]
        if only:
            rest = f" and {len(only) - _NAMED} more" if len(only) > _NAMED else ""
            is_are = "is" if len(only) == 1 else "are"
            said.append(f"{plural(len(only), 'operation')} {is_are} {words}: {', '.join(only[:_NAMED])}{rest}.")
    return Finding("operations", "notice", " ".join(said), code="latency(traces).table") if said else None
