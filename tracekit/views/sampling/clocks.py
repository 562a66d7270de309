"""Clock offsets between hosts, with the limits that calls between them prove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.text import count, duration, moment, plural
from tracekit.views.charts import SIGNED_SECONDS, chart, empty_state, safe
from tracekit.views.intervals import Interval, interval_rows
from tracekit.views.markup import table
from tracekit.views.svg import ACCENT, ERROR

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.views.figures import Chart

_NS: Final = 1e-9
_APART, _TOGETHER = "clocks apart", "no difference proven"


def plot_clock_skew(result: ClockSkew, *, pairs: int = 15) -> Chart:
    """Draw between which limits the clocks of hosts that call each other are apart.

    Parameters
    ----------
    result
        Of ``analysis.clock_skew``.
    pairs
        How many pairs of hosts, those that are proven furthest apart first.

    Returns
    -------
    Chart
        A plotly figure: a row a pair, an interval a stretch of time; red where it excludes 0.  Stretches whose calls
        give no limits together are left out, pairs without any are counted in the title.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.clock_skew.clock_skew import clock_skew
    >>> rows = {"span_id": ["1", "2"], "parent_span_id": [None, "1"], "host_name": ["h1", "h2"], "name": "x"}
    >>> frame = pd.DataFrame(rows | {"trace_id": "a1", "start_ns": [0, 1020], "end_ns": [100, 1080]})
    >>> [round(x * 1e9) for x in plot_clock_skew(clock_skew(TraceSet.from_spans(frame), min_traces=1)).data[0].x]
    [1000]
    """
    every = result.pairs.assign(name=result.pairs["host"].astype(str) + " → " + result.pairs["peer_host"].astype(str))
    seen = every[every["low_ns"].notna() & every["high_ns"].notna()]
    if seen.empty:
        words = "No call between two hosts tells about their clocks."
        return empty_state(chart("Clocks of hosts that call each other"), words)
    low, high = seen["low_ns"].to_numpy(float), seen["high_ns"].to_numpy(float)
    proven = np.where((low > 0) | (high < 0), np.minimum(np.abs(low), np.abs(high)), 0.0)
    seen = seen.assign(proven_ns=proven)
    furthest = seen.groupby("name", sort=False)["proven_ns"].max().sort_values(ascending=False, kind="stable")
    chosen = list(furthest.index[:pairs])
    shown = seen.set_index("name").loc[chosen].reset_index()
    silent = every["name"].nunique() - len(furthest)
    figure = interval_rows(
        _title(furthest, len(chosen)) + (f" ({plural(silent, 'more pair')} without limits)" if silent else ""),
        [_interval(row) for row in shown.to_dict("records")],
        xaxis={**SIGNED_SECONDS, "title": {"text": "how far the second host's clock is ahead"}},
        colours=[{_APART: ERROR, _TOGETHER: ACCENT}[word] for word in dict.fromkeys(map(_word, shown["proven_ns"]))],
        texts=[_said(row) for row in shown.to_dict("records")],
        zero=True,
        table=table(
            ("hosts", "the second is ahead by"), [(r["name"], _said(r)) for r in shown.head(8).to_dict("records")]
        ),
    )
    figure.update_traces(hovertemplate="%{y}: %{text}<extra></extra>")
    return figure


def _word(proven_ns: float) -> str:
    """Return whether clocks are proven apart."""
    return _APART if proven_ns > 0 else _TOGETHER


def _interval(row: dict[Any, Any]) -> Interval:
    """Return one stretch as an interval around its middle."""
    low, high = float(row["low_ns"]) * _NS, float(row["high_ns"]) * _NS
    return Interval(safe(row["name"]), _word(row["proven_ns"]), (low + high) / 2, low, high)


def _title(furthest: pd.Series, shown: int) -> str:
    """Return how many pairs are apart, and the largest distance that is proven."""
    apart = int((furthest > 0).sum())
    some = f": the {shown} furthest" if shown < len(furthest) else ""
    if not apart:
        return f"No clock of {plural(len(furthest), 'pair')} of hosts is proven wrong{some}"
    by = f"by at least {duration(float(furthest.iloc[0]))}"
    return f"Clocks of {count(apart)} of {plural(len(furthest), 'pair')} of hosts are apart, {by}{some}"


def _said(row: dict[Any, Any]) -> str:
    """Return one stretch in words."""
    limits = f"{duration(row['low_ns'])} to {duration(row['high_ns'])}"
    calls = f"{plural(row['call_count'], 'call')} from {moment(int(row['start_ns']))} UTC"
    return f"{limits}, {calls}, {row['agreement_ratio']:.0%} agree"
