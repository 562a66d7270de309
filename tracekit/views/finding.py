"""One finding: the numbers of its evidence with confidence intervals."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from tracekit.text import duration, factor, number, plural, ratio, with_interval
from tracekit.views.attribution.bars import labels_of
from tracekit.views.charts import SECONDS, SHARE, chart, empty_state, safe
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT, ERROR, INK, MUTE

if TYPE_CHECKING:
    from tracekit.findings import Finding
    from tracekit.views.figures import Chart

_LIMITS: Final = (("estimate_low", "estimate_high"), ("low", "high"), ("low_ns", "high_ns"))
_COLOURS: Final = {"failed": ERROR, "warning": "#c48700", "ok": ACCENT, "measured": ACCENT}
AXES: Final[dict[str, dict[str, Any]]] = {
    "ratio": SHARE,
    "ns": {**SECONDS, "rangemode": "tozero"},
    "times": {"ticksuffix": "\N{MULTIPLICATION SIGN}", "rangemode": "tozero"},
}
_NS: Final = 1e-9
_CLOCK: Final = "%m-%d %H:%M"
_TITLE: Final = 110  # maximum characters of a title
_RAW: Final = "in the sample (uncorrected)"


class _Numbers(NamedTuple):
    """Rows of the evidence to draw, their unit, and the columns of value and limits."""

    rows: pd.DataFrame
    unit: str
    value: str
    low: str
    high: str


def plot_finding(finding: Finding, *, rows: int = 20) -> Chart:
    """Draw the evidence of a finding.

    Parameters
    ----------
    finding
        Finding of a check.
    rows
        Maximum number of rows of its evidence.

    Returns
    -------
    Chart
        A plotly figure: one point per row with its interval, coloured by status; the uncorrected value of the sample if
        the evidence has it; the headline alone if the evidence has no numbers.

    Examples
    --------
    >>> rows = {"scope": "/pay", "estimate": 0.5, "estimate_low": 0.4, "estimate_high": 0.7, "status": "failed"}
    >>> found = tk.Finding("rate.observed", "warning", "/pay is traced at 50%.", evidence=pd.DataFrame([rows]))
    >>> tk.plot(found).data[0].x
    (0.5,)
    """
    title = safe(finding.headline, limit=_TITLE)
    found = _numbers(finding)
    if found is None:
        return empty_state(chart(safe(finding.check)), safe(finding.headline, limit=200))
    shown = found.rows.head(rows)
    names = _labels(shown)
    texts = [_row_text(row, found) for row in shown.to_dict("records")]
    statuses = [str(row.get("status", "measured")) for row in shown.to_dict("records")]
    scale = _NS if found.unit == "ns" else 1.0
    intervals = [
        Interval(name, status, *(scale * float(v) for v in _triple(row, found)))
        for name, status, row in zip(names, statuses, shown.to_dict("records"), strict=True)
    ]
    left_out = f" ({len(shown)} of {plural(len(found.rows), 'row')})" if len(shown) < len(found.rows) else ""
    known = [interval.series for interval in intervals if math.isfinite(interval.value)]
    figure = interval_rows(
        title + left_out,
        intervals,
        xaxis={**AXES.get(found.unit, {}), "title": {"text": found.value.replace("_", " ")}},
        colours=[_COLOURS.get(status, MUTE) for status in dict.fromkeys(known)],
        texts=texts,
        zero=found.unit == "ns" and bool((shown[found.low] < 0).any()),
        table=table(("", "value"), [(finding.headline, ""), *zip(map(html.unescape, names), texts, strict=True)]),
        nothing=safe(finding.headline, limit=200),
    )
    figure.update_traces(hovertemplate="%{y}: %{text}<extra>%{fullData.name}</extra>")
    if "raw" in shown and known:
        _add_raw(figure, names, shown, scale)
    return figure


def _add_raw(figure: Chart, names: list[str], shown: pd.DataFrame, scale: float) -> None:
    """Add the uncorrected values of the sample."""
    raw = [(name, scale * float(value)) for name, value in zip(names, shown["raw"], strict=True) if pd.notna(value)]
    figure.add_scatter(
        x=[value for _, value in raw],
        y=[name for name, _ in raw],
        name=_RAW,
        mode="markers",
        marker={"color": INK, "size": 13, "symbol": "line-ns-open"},
        hovertemplate=f"%{{y}}: %{{x:.3~s}} {_RAW}<extra></extra>",
    )
    figure.update_layout(margin={"t": 72})


def _numbers(finding: Finding) -> _Numbers | None:
    """Return the evidence that can be drawn on one axis; None without intervals."""
    rows = finding.evidence
    low, high = next(((a, b) for a, b in _LIMITS if a in rows and b in rows), ("", ""))
    if not low:
        return None
    columns = [str(name) for name in rows.columns]
    before = columns[columns.index(low) - 1]
    value = "estimate" if "estimate" in rows else before if before.endswith("_ratio") or before == "ratio" else "middle"
    unit = finding.estimate.unit if finding.estimate else "ns" if low == "low_ns" else "ratio"
    rows = rows[rows["unit"] == unit] if "unit" in rows else rows
    rows = rows.assign(middle=rows[[low, high]].astype(float).mean(axis=1)) if value == "middle" else rows
    rows = rows[rows[value].notna()]
    return _Numbers(rows, unit, value, low, high) if len(rows) else None


def _labels(rows: pd.DataFrame) -> list[str]:
    """Return the label of each row: the leading columns with text or times."""
    is_number = [pd.api.types.is_numeric_dtype(rows[name]) for name in rows.columns]
    names = [str(name) for name in rows.columns[: is_number.index(True)] if name not in ("unit", "status")]
    times = {name: rows[name].dt.strftime(_CLOCK) for name in names if pd.api.types.is_datetime64_any_dtype(rows[name])}
    return labels_of(rows.assign(**times), names)


def _triple(row: dict[Any, Any], found: _Numbers) -> tuple[float, float, float]:
    """Return the value and limits of a row."""
    return row[found.value], row[found.low], row[found.high]


def _row_text(row: dict[Any, Any], found: _Numbers) -> str:
    """Return the value and interval of a row as text."""
    form = {"ns": duration, "ratio": ratio, "times": factor}.get(found.unit, number)
    value, low, high = (float(part) for part in _triple(row, found))
    return with_interval(value, low, high, form)
