"""Findings: their estimates with confidence intervals."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from tracekit.text import plural
from tracekit.views.charts import chart, empty_state, safe
from tracekit.views.finding import AXES
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT, ERROR, MUTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.findings import Finding
    from tracekit.views.figures import Chart

_LABEL: Final = 64  # maximum characters of a row label
_WORDS: Final = {"ratio": "ratio", "ns": "time", "times": "factor"}
_COLOURS: Final = {"critical": ERROR, "warning": "#c48700", "notice": ACCENT, "info": MUTE}


def plot_findings(findings: Sequence[Finding], *, unit: str | None = None) -> Chart:
    """Draw the estimates of findings, the most severe first.

    Parameters
    ----------
    findings
        Findings of checks.
    unit
        Unit of the estimates to draw (default: the most frequent one); estimates in other units have no common axis.

    Returns
    -------
    Chart
        A plotly figure: one point per finding with its 95% CI; the title counts findings without an estimate in this
        unit.

    Examples
    --------
    >>> estimate = tk.Estimate(0.035, "ratio", 0.02, 0.06, n=340)
    >>> orphans = tk.Finding("orphans", "warning", "3.5% of spans have no parent.", estimate)
    >>> tk.plot(tk.Findings([orphans])).data[0].x
    (0.035,)
    """
    units = Counter(finding.estimate.unit for finding in findings if finding.estimate is not None)
    if not findings:
        return empty_state(chart("Findings"), "No findings.")
    unit = unit if unit is not None else max(units, key=units.__getitem__, default="")
    shown = [(f, f.estimate) for f in findings if f.estimate is not None and f.estimate.unit == unit]
    rest = len(findings) - len(shown)
    scale = 1e-9 if unit == "ns" else 1.0
    intervals = [
        Interval(
            safe(f"{k + 1}. {f.headline}", limit=_LABEL), f.severity, *(scale * v for v in (e.value, e.low, e.high))
        )
        for k, (f, e) in enumerate(shown)
    ]
    series = dict.fromkeys(f.severity for f, _ in shown)
    return interval_rows(
        "Findings" + (f" ({plural(rest, 'other')} without an estimate or in another unit)" if rest else ""),
        intervals,
        xaxis={**AXES.get(unit, {}), "title": {"text": _WORDS.get(unit, safe(unit))}},
        colours=[_COLOURS[severity] for severity in series],
        table=table(("severity", "finding"), [(f.severity, f.headline) for f in list(findings)[:8]]),
        nothing=f"{plural(len(findings), 'finding')} without an estimate.",
    )
