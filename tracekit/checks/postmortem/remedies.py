"""What would help most: the simulated latency without the first suspect, and without the largest operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.checks.changes.suspects import suspects_of
from tracekit.checks.names import name_of
from tracekit.checks.overview import ENOUGH
from tracekit.checks.postmortem.recorded import path_of
from tracekit.findings import Finding
from tracekit.text import clean, duration, interval, plural

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.screen.made import Made

_NAME: Final = 80
_MOST: Final = 3
_OPPORTUNITIES: Final = "Upper bound: these calls take no time, everything else stays as it was."


def remedies(made: Made) -> tuple[Finding, ...]:
    """Return what would help most; nothing where a comparison shows no regression."""
    if made.changes is not None and made.regression is None:
        return ()
    return (*_undone(made), *_opportunities(made))


def _undone(made: Made) -> list[Finding]:
    """Return the latency without the first suspect."""
    found = made.case.result(suspects_of) if made.warning("suspects") is not None else None
    if found is None or found.recovery is None or found.without is None or not found.recovery.low > 0:
        return []
    name = str(found.table["service_name"].iloc[0])
    saved = found.recovery
    limits = interval(saved.low, saved.high, duration)
    row = found.without.table.to_dict("index")["p95"]
    new = interval(float(row["new_low_ns"]), float(row["new_high_ns"]), duration)
    text = (
        f"Undoing the change at {clean(name, limit=_NAME)}: the mean latency would be {duration(saved.value)} lower"
        f" ({limits}), the p95 of all requests {duration(float(row['new_latency_ns']))} ({new}). Simulated."
    )
    code = "tk.suspects(before, traces, recovery=True).recovery"
    return [Finding("postmortem.remedies", "notice", text, saved, code=code)]


def _opportunities(made: Made) -> list[Finding]:
    """Return the operations without which requests would be fastest."""
    path, sampled = made.case.result(path_of)
    if not len(path.latency_ns):
        return []
    table = path.opportunities(top=_MOST, roots=False)
    table, number = table[table["saved_mean_ns"] > 0], len(path.latency_ns)
    return [
        Finding(
            "postmortem.remedies",
            "info",
            f"Without {name_of(row)}: mean latency {duration(row['saved_mean_ns'])} lower{_p95(row, number)} (what-if"
            f" for {plural(number, 'recorded request')}{sampled}).",
            values={"saved_mean_ns": float(row["saved_mean_ns"]), "saved_p95_ns": float(row["saved_p95_ns"])},
            method=_OPPORTUNITIES,
            code=f"tk.critical_path(traces).opportunities(top={_MOST}, roots=False)",
        )
        for _, row in table.iterrows()
    ]


def _p95(row: pd.Series, number: int) -> str:
    """Return how much lower the p95 would be; empty where it stays, or too few requests have one."""
    saved = float(row["saved_p95_ns"])
    return f", p95 {duration(saved)} lower" if number >= ENOUGH and saved > 0 else ""
