"""Latency: distributions as bars on a logarithmic axis, for notebooks (plotly) and as still pictures (SVG)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.stats.histograms import BASE
from tracekit.text import duration, ratio
from tracekit.views.colours import LIGHT
from tracekit.views.markup import Markup, element
from tracekit.views.svg import ACCENT, LINE, MUTE, picture, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tracekit.analysis.latency import Latency
    from tracekit.columns import Array
    from tracekit.views.figures import Chart

BARS: Final = 56
_STEPS: Final = (1, 2, 5)
_LEVELS: Final = 3  # of labels above the bars
_TOP: Final = 44.0
_LABEL_TOP: Final = 11
_LABEL_HEIGHT: Final = 13
_CHARACTER: Final = 6.4  # mean width of bold 11 px text


KINDS: Final = ("histogram", "ecdf", "limits")


def plot_latency(
    result: Latency, *, kind: str = "histogram", groups: int = 5, against: Mapping[str, Latency] | None = None
) -> Chart:
    """Draw how long the heaviest groups take.

    Parameters
    ----------
    result
        Of ``analysis.latency``.
    kind
        ``histogram``: the share of spans in each step of duration; ``ecdf``: the share at or below each duration;
        ``limits``: p50, p95 and p99 with their 95 % limits.
    groups
        How many groups, the heaviest first.
    against
        Other latencies by the same keys, by name, drawn dashed: of another period, or without weights
        (``{"unweighted": tk.latency(traces.with_weights(1))}``).

    Returns
    -------
    Chart
        A plotly figure; durations in seconds, on a logarithmic axis.

    Raises
    ------
    ValueError
        Another kind, or a latency by other keys.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.latency import latency
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> max(plot_latency(latency(TraceSet.from_spans(frame))).data[0].y)
    1.0
    """
    from tracekit.views.latency_charts import LatencyChart  # noqa: PLC0415 - it imports this module

    if kind not in KINDS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}, found {kind!r}")
    return LatencyChart(result, dict(against or {}), groups).draw(kind)


def latency_picture(
    cells: pd.DataFrame,
    marks: Mapping[str, float],
    *,
    width: float = 720,
    height: float = 190,
    subject: str = "Latency",
) -> Markup:
    """Return one distribution as a still picture."""
    known = {name: value for name, value in marks.items() if math.isfinite(value)}
    said = ", ".join(f"{name} {duration(value)}" for name, value in known.items())
    title = f"{subject}: {said or 'no durations'}"
    if cells.empty:
        return picture(width, height, title, [text(0, 16, "No durations to show.", kind="mute")])
    low, step = grid(cells)
    edges, share = binned(cells, low, step)
    axis = _LogAxis(float(edges[0]), float(edges[-1]), width)
    floor, top = height - 22, _TOP
    tallest = float(share.max())
    bars = [
        _bar(axis, (float(a), float(b)), float(part), (floor, (floor - top) * float(part) / tallest))
        for a, b, part in zip(edges[:-1], edges[1:], share, strict=True)
        if part > 0
    ]
    base = element("line", {"x1": 0, "x2": width, "y1": floor, "y2": floor, "stroke": LINE, "class": "tk-line"})
    return picture(width, height, title, [*_ticks(axis, floor), *bars, base, *_marks(axis, known, floor)])


def strip_picture(row: Mapping[str, Any], low_ns: float, high_ns: float, *, slot: int) -> Markup:
    """Return p50, p95 and p99 of one group as a line on a logarithmic axis that all groups of a table share."""
    values = [float(row[f"{name}_ns"]) for name in ("p50", "p95", "p99")]
    width, height = 120.0, 14.0
    said = ", ".join(f"{name} {duration(value)}" for name, value in zip(("p50", "p95", "p99"), values, strict=True))
    if not all(math.isfinite(value) for value in values):
        return picture(width, height, "no durations", [])
    axis = _LogAxis(max(1.0, low_ns), max(high_ns, low_ns * 1.1, 1.1), width)
    p50, p95, p99 = (axis.at(value) for value in values)
    paint = {"fill": LIGHT[slot], "class": f"tk-s{slot}"}
    parts = [
        element("line", {"x1": 0, "x2": width, "y1": 7, "y2": 7, "stroke": LINE, "class": "tk-line"}),
        element("rect", {"x": p50, "y": 6, "width": max(1.0, p99 - p50), "height": 2, **paint}),
        element("rect", {"x": p50, "y": 3, "width": max(2.0, p95 - p50), "height": 8, "rx": 1.5, **paint}),
    ]
    return picture(width, height, said, parts)


class _LogAxis:
    """A logarithmic time axis."""

    def __init__(self, low: float, high: float, width: float) -> None:
        self.low, self.high, self.width = low, high, width
        self._scale = width / math.log(high / low)

    def at(self, value: float) -> float:
        """Return the place of a duration, within the axis."""
        return min(self.width, max(0.0, math.log(max(value, 1e-9) / self.low) * self._scale))

    def ticks(self) -> list[float]:
        """Return round durations: 1, 2, 5 and zeros, or powers of ten alone where there are many."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = _STEPS if len(decades) <= 4 else (1,)  # noqa: PLR2004 - more labels would touch
        return [t for d in decades for s in steps if self.low <= (t := s * 10.0**d) <= self.high]


def grid(cells: pd.DataFrame) -> tuple[int, int]:
    """Return the first bucket and how many buckets make a bar, so that at most ``BARS`` bars show all cells."""
    used = cells["bucket"].to_numpy()
    if not len(used):
        return 0, 1
    low = max(0, int(used.min()) - 1)
    return low, max(1, math.ceil((int(used.max()) + 2 - low) / BARS))


def binned(cells: pd.DataFrame, low: int, step: int) -> tuple[Array, Array]:
    """Return the edges of the bars in ns and the share of the weight in each; zero durations are in the first."""
    bar = np.maximum(cells["bucket"].to_numpy(np.int64) - low, 0) // step
    weight = np.bincount(bar, cells["weight_sum"].to_numpy(float))
    edges = BASE ** (low + np.arange(len(weight) + 1.0) * step)
    return edges, weight / max(float(weight.sum()), 1e-300)


def _bar(axis: _LogAxis, ends: tuple[float, float], share: float, box: tuple[float, float]) -> Markup:
    """Return one bar with its words on hovering; ``box`` is floor and height."""
    x0, x1 = axis.at(ends[0]), axis.at(ends[1])
    floor, height = box
    attributes = {
        "x": x0 + 0.5,
        "y": floor - max(1.0, height),
        "width": max(0.5, x1 - x0 - 1),
        "height": max(1.0, height),
        "fill": ACCENT,
        "class": "tk-bar",
    }
    words = f"{duration(round(ends[0]))} to {duration(round(ends[1]))}: {ratio(share)}"
    return element("rect", attributes, element("title", {}, words))


def _ticks(axis: _LogAxis, floor: float) -> list[Markup]:
    """Return the labels of the time axis with their lines."""
    parts = []
    for time in axis.ticks():
        x = axis.at(time)
        line = {"x1": x, "x2": x, "y1": _TOP, "y2": floor + 4, "stroke": LINE, "class": "tk-grid"}
        anchor = "start" if x < 20 else "end" if x > axis.width - 20 else "middle"  # noqa: PLR2004 - half a label
        label = duration(round(time)).replace(".00 ", " ").replace(".0 ", " ")
        parts += [element("line", line), text(x, floor + 17, label, kind="mute", text_anchor=anchor)]
    return parts


def _marks(axis: _LogAxis, marks: Mapping[str, float], floor: float) -> list[Markup]:
    """Return the marked durations: a line and a label each, labels on the first level where they do not touch."""
    lines: list[tuple[float, float]] = []
    labels: list[Markup] = []
    taken: list[list[tuple[float, float]]] = [[] for _ in range(_LEVELS)]
    for name, value in sorted(marks.items(), key=lambda item: item[1]):
        x, words = axis.at(value), f"{name} {duration(value)}"
        wide = _CHARACTER * len(words) + 8
        left = x if x + wide < axis.width else x - wide
        free = [k for k, used in enumerate(taken) if all(left + wide < a or b < left for a, b in used)]
        confidence = free[0] if free else _LEVELS - 1
        taken[confidence].append((left, left + wide))
        y = _LABEL_TOP + _LABEL_HEIGHT * confidence
        lines.append((x, y - 9))
        at, anchor = (x + 4, "start") if left == x else (x - 4, "end")
        labels.append(text(at, y, words, text_anchor=anchor, font_weight=600))
    return [_mark(*piece) for line in lines for piece in _around(*line, floor, taken)] + labels


def _around(x: float, top: float, floor: float, taken: list[list[tuple[float, float]]]) -> list[tuple[float, ...]]:
    """Return the pieces of an upright line that leaves out the labels in its way."""
    pieces, begin = [], top
    for confidence, used in enumerate(taken):
        y = _LABEL_TOP + _LABEL_HEIGHT * confidence - 10
        if y > top and any(a < x < b for a, b in used):
            pieces += [(x, begin, y)] if y > begin else []
            begin = y + _LABEL_HEIGHT
    return [*pieces, (x, begin, floor)]


def _mark(x: float, top: float, bottom: float) -> Markup:
    """Return a piece of the line at a marked duration."""
    ends = {"x1": x, "x2": x, "y1": top, "y2": bottom}
    return element("line", {**ends, "stroke": MUTE, "stroke-dasharray": "3 2", "class": "tk-mark"})
