"""What sets some traces apart from the others, a finding for each attribute value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.analysis.what_differs.compute import what_differs
from tracekit.findings import Estimate, Finding
from tracekit.text import clean, count, interval, points, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.parts import Parts
    from tracekit.traces import TraceSet

_NAME: Final = 80


def differing(traces: TraceSet | Parts, selection: Any, *, code: str) -> list[Finding]:
    """Return the attribute values that set selected traces apart, the clearest first.

    Parameters
    ----------
    traces, selection
        As for ``what_differs``.
    code
        The call that returns the table.

    Examples
    --------
    >>> before, during = tk.load_sample("checkout-regression")
    >>> found = differing(during, "slowest 5% of POST /checkout", code="")
    >>> print(found[0].headline.partition(" (")[0] + ".")
    app.customer.tier enterprise: 100% of the selected traces, 21.8% of the others.
    """
    table = what_differs(traces, selection, pairs=False).table
    return [_finding(row, code) for row in table[table["is_significant"]].to_dict("records")]


def _finding(row: Mapping[Any, Any], code: str) -> Finding:
    """Return the finding about one value."""
    low, high = float(row["difference_low_ratio"]), float(row["difference_high_ratio"])
    name = f"{clean(row['key'], limit=_NAME)} {clean(row['value'], limit=_NAME)}"
    limits = interval(low, high, points)
    more = f" {count(row['also_count'])} other values name the same traces." if row["also_count"] else ""
    text = (
        f"{name}: {ratio(row['selection_ratio'])} of the selected traces, {ratio(row['baseline_ratio'])} of the others"
        f" (difference {limits}).{more}"
    )
    n = int(row["selection_count"]) + int(row["baseline_count"])
    values = {name: row[name] for name in ("key", "selection_count", "selection_ratio", "baseline_ratio")}
    values["attribute_value"] = row["value"]
    return Finding(
        "differs",
        "notice",
        text,
        Estimate(float(row["difference_ratio"]), "ratio", low, high, n),
        exemplars=(str(row["exemplar_trace_id"]),),
        values=values,
        code=code,
        method="A value that sets traces apart need not be the cause.",
    )
