"""What users waited for: the change of the critical path by operation, or the critical path itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.checks.changes.operations import CODE, METHOD, factors_of, presence_of
from tracekit.checks.names import WAITS, place_of
from tracekit.checks.overview import overview
from tracekit.findings import Estimate, Finding
from tracekit.text import duration, from_to, interval, ratio, signed_duration

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.critical_path.compare import PathComparison
    from tracekit.checks.screen.made import Made

_MOST: Final = 8
_ALL: Final = 0.995  # of the requests
_CODE: Final = f"tk.critical_path(traces).by({list(WAITS)})"


def waits(made: Made) -> tuple[Finding, ...]:
    """Return the operations that requests waited for longer than in the baseline; without one, waited for most."""
    if made.changes is None:
        return _of_path(made)
    if not all(side.timed_count for side in (made.changes.before, made.changes.now)):
        return ()
    compared = made.changes.comparison
    alike = made.changes.has_same_clocks
    if made.regression is None or compared is None or not alike:
        return ()
    table = compared.table
    grown = table[table["is_significant"] & (table["change_ns"] > 0)].head(_MOST)
    tail = made.first("tail")
    found = [_grown(compared, row) for _, row in grown.iterrows()]
    return (*found, *([tail] if tail is not None else []))


def _grown(compared: PathComparison, row: pd.Series) -> Finding:
    """Return how much longer requests wait for one operation."""
    means = from_to(float(row["baseline_mean_ns"]), float(row["current_mean_ns"]))
    limits = interval(row["change_low_ns"], row["change_high_ns"], signed_duration)
    why, whose = _factors(compared, row)
    share = row["change_ns"] / compared.change.value if compared.change.low > 0 else float("nan")
    part = f"; {ratio(min(1.0, share))} of the added mean latency" * (share > 0)
    text = f"{place_of(row)}: {means} per request{whose} ({signed_duration(row['change_ns'])}; {limits}{part})"
    estimate = Estimate(
        float(row["change_ns"]), "ns", float(row["change_low_ns"]), float(row["change_high_ns"]),
        int(compared.sides["trace_count"].sum()),
    )  # fmt: skip
    text = f"{text}{f': {why}' * bool(why)}."
    shown = (str(row["exemplar_trace_id"]),)
    return Finding("postmortem.waits", "notice", text, estimate, exemplars=shown, method=METHOD, code=CODE)


def _factors(compared: PathComparison, row: pd.Series) -> tuple[str, str]:
    """Return what of an operation changed, and of whom the mean is where only some requests have the operation.

    Share of requests, calls per request that has them and time per call multiply to the mean of all requests.
    """
    why = ", ".join(factors_of(compared, row))
    has_calls = presence_of(compared, row)
    if not why or has_calls is None or min(has_calls) >= _ALL:
        return why, ""
    is_complete = why.startswith("requests affected")
    shares = from_to(*has_calls, ratio) if round(has_calls[0], 3) != round(has_calls[1], 3) else ratio(has_calls[1])
    return (why if is_complete else f"in the {shares} of requests that have it, {why}"), " of all"


def _of_path(made: Made) -> tuple[Finding, ...]:
    """Return the operations with most of the critical path."""
    seen = made.case.result(overview)
    if not seen.timed_count:
        return ()
    table = seen.waits
    return tuple(_waited(row) for _, row in table[table["path_time_ns"] > 0].head(_MOST).iterrows())


def _waited(row: pd.Series) -> Finding:
    """Return how long requests wait for one operation."""
    low, high = float(row["mean_low_ns"]), float(row["mean_high_ns"])
    limits = interval(low, high, duration)
    text = (
        f"{place_of(row)}: {duration(row['mean_ns'])} per request ({limits}), {ratio(row['share_ratio'])} of latency."
    )
    estimate = Estimate(float(row["mean_ns"]), "ns", low, high, int(row["trace_count"]))
    return Finding("postmortem.waits", "info", text, estimate, exemplars=(str(row["largest_trace_id"]),), code=_CODE)
