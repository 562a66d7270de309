"""What to see in the figures of what changed: suspects, who is affected, shapes of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.findings import Finding
from tracekit.text import clean, count, duration, plural, ratio

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.paths.result import Paths
    from tracekit.analysis.suspects.result import Suspects
    from tracekit.checks.changes.affected import Affected

CHANGED: Final = ("new", "gone", "more", "fewer")
_NAME: Final = 80
_SUSPECTS: Final = [
    "rank", "service_name", "verdict", "operation", "excess_ns", "excess_ratio", "affected_count", "p_value",
]  # fmt: skip
_VALUES: Final = [
    "key", "value", "selection_count", "selection_ratio", "baseline_count", "baseline_ratio", "difference_ratio",
    "difference_low_ratio", "difference_high_ratio", "q_value", "is_significant",
]  # fmt: skip
_SHAPES: Final = [
    "endpoint", "differs_by", "verdict", "trace_count", "frequency_ratio", "baseline_trace_count",
    "baseline_frequency_ratio", "change_ratio", "q_value", "p50_ns", "p95_ns",
]  # fmt: skip


def suspects_figure(found: Suspects) -> Finding:
    """Return the first suspect with its share of the excess, or that nobody is one."""
    table = found.table
    likely = table[table["verdict"] == "likely"]
    if likely.empty:
        text = f"No likely suspect among {plural(len(table), 'service')}."
    else:
        row, rest = likely.iloc[0], len(likely) - 1
        text = f"{clean(row['service_name'], limit=_NAME)}: {ratio(row['excess_ratio'])} of the excess of all services"
        text += f" ({duration(row['excess_ns'])} per affected trace, {plural(row['affected_count'], 'trace')})."
        text += f" {plural(rest, 'further likely suspect')}." * bool(rest)
    values = {"likely_count": len(likely), "service_count": len(table)}
    return Finding("figure.suspects", "info", text, evidence=table[_SUSPECTS], values=values,
                   code="tk.suspects(before, traces).table")  # fmt: skip


def affected_figure(found: Affected) -> Finding:
    """Return the attribute value that sets the slow or failed requests apart most."""
    table: pd.DataFrame = found.differences.table
    significant = table[table["is_significant"]]
    row = significant.iloc[int(significant["difference_ratio"].abs().to_numpy().argmax())]
    what = f"{clean(row['key'], limit=_NAME)} = {clean(row['value'], limit=_NAME)}"
    text = (
        f"Largest difference: {what}, {ratio(row['selection_ratio'])} of {found.band.what} that {found.band.verb[0]} "
        f"(n = {count(row['selection_count'])}) and {ratio(row['baseline_ratio'])} of the rest. "
        f"{plural(len(significant), 'value')} of {count(len(table))} significant."
    )
    values = {"selection_ratio": float(row["selection_ratio"]), "baseline_ratio": float(row["baseline_ratio"]),
              "significant_count": len(significant)}  # fmt: skip
    return Finding("figure.affected", "info", text, evidence=table[_VALUES], values=values, code=found.band.code)


def shapes_figure(found: Paths) -> Finding:
    """Return how many shapes changed, and the one that changed most."""
    changed = found.table[found.table["verdict"].isin(CHANGED)]
    row = changed.iloc[int(changed["change_ratio"].abs().to_numpy().argmax())]
    counts = [(name, int((changed["verdict"] == name).sum())) for name in CHANGED]
    words = ", ".join(f"{count(n)} {_VERDICTS[name]}" for name, n in counts if n)
    text = (
        f"{plural(len(found.table), 'shape')}: {words}. Largest change: {clean(row['endpoint'], limit=_NAME)}, "
        f"{ratio(row['baseline_frequency_ratio'])} → {ratio(row['frequency_ratio'])} of the traces."
    )
    values = {**{f"{name}_count": n for name, n in counts}, "change_ratio": float(row["change_ratio"])}
    return Finding("figure.shapes", "info", text, evidence=changed[_SHAPES], values=values,
                   code="tk.paths(traces, before).table")  # fmt: skip


_VERDICTS: Final = {"new": "new", "gone": "gone", "more": "more frequent", "fewer": "less frequent"}
