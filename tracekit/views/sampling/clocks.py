"""Clock skew between hosts, with the bounds implied by the calls between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.text import count, duration, interval, moment, plural
from tracekit.views.charts import SIGNED_SECONDS, chart, empty_state, safe
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT, ERROR

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.views.figures import Chart

_NS: Final = 1e-9
_SKEWED, _AGREEING = "clock skew", "no clock skew detected"


def plot_clock_skew(result: ClockSkew, *, pairs: int = 15) -> Chart:
    """Draw the clock skew between pairs of hosts that call each other.

    Parameters
    ----------
    result
        Result of ``clock_skew``.
    pairs
        Number of pairs of hosts, the largest proven skew first.

    Returns
    -------
    Chart
        A plotly figure: one row per pair, one interval per period; red where it excludes 0.  Periods without bounds are
        excluded; the title counts pairs without any.

    Examples
    --------
    >>> late = shop.spans.copy()
    >>> late.loc[late["host_name"] == "shop-2", ["start_ns", "end_ns"]] += 1_000_000_000
    >>> skew = tk.clock_skew(tk.TraceSet.from_spans(late), min_traces=1)
    >>> [round(x) for x in tk.plot(skew).data[0].x]
    [1]
    """
    every = result.pairs.assign(name=result.pairs["host"].astype(str) + " → " + result.pairs["peer_host"].astype(str))
    seen = every[every["low_ns"].notna() & every["high_ns"].notna()]
    if seen.empty:
        words = "No calls between hosts that bound their clock skew."
        return empty_state(chart("Clock skew between hosts"), words)
    low, high = seen["low_ns"].to_numpy(float), seen["high_ns"].to_numpy(float)
    proven = np.where((low > 0) | (high < 0), np.minimum(np.abs(low), np.abs(high)), 0.0)
    seen = seen.assign(proven_ns=proven)
    furthest = seen.groupby("name", sort=False)["proven_ns"].max().sort_values(ascending=False, kind="stable")
    chosen = list(furthest.index[:pairs])
    shown = seen.set_index("name").loc[chosen].reset_index()
    unbounded = every["name"].nunique() - len(furthest)
    figure = interval_rows(
        _title(furthest, len(chosen)) + (f" ({plural(unbounded, 'more pair')} without bounds)" if unbounded else ""),
        [_interval(row) for row in shown.to_dict("records")],
        xaxis={**SIGNED_SECONDS, "title": {"text": "offset of the second host's clock"}},
        colours=[{_SKEWED: ERROR, _AGREEING: ACCENT}[word] for word in dict.fromkeys(map(_word, shown["proven_ns"]))],
        texts=[_row_text(row) for row in shown.to_dict("records")],
        zero=True,
        table=table(
            ("hosts", "clock offset of the second"),
            [(r["name"], _row_text(r)) for r in shown.head(8).to_dict("records")],
        ),
    )
    figure.update_traces(hovertemplate="%{y}: %{text}<extra></extra>")
    return figure


def _word(proven_ns: float) -> str:
    """Return the series of a pair: with or without detected skew."""
    return _SKEWED if proven_ns > 0 else _AGREEING


def _interval(row: dict[Any, Any]) -> Interval:
    """Return one period as an interval around its midpoint."""
    low, high = float(row["low_ns"]) * _NS, float(row["high_ns"]) * _NS
    return Interval(safe(row["name"]), _word(row["proven_ns"]), (low + high) / 2, low, high)


def _title(furthest: pd.Series, shown: int) -> str:
    """Return the number of pairs with clock skew, and the largest proven skew."""
    skewed = int((furthest > 0).sum())
    some = f" (top {shown})" if shown < len(furthest) else ""
    if not skewed:
        return f"No clock skew detected in {plural(len(furthest), 'host pair')}{some}"
    most = duration(float(furthest.iloc[0]))
    return f"Clock skew in {count(skewed)} of {plural(len(furthest), 'host pair')}, at least {most}{some}"


def _row_text(row: dict[Any, Any]) -> str:
    """Return one period as text."""
    limits = interval(row["low_ns"], row["high_ns"], duration, confidence="")
    calls = f"{plural(row['call_count'], 'call')} from {moment(int(row['start_ns']))} UTC"
    return f"{limits}, {calls}, {row['agreement_ratio']:.0%} consistent"
