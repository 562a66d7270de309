"""Shared parts of plotly charts: layout, axes, notes and escaping.

plotly interprets text as a subset of HTML: a span named ``<a href=...>`` would become a link.  All text from data is
escaped by ``safe``.  plotly is imported only by the functions that make a figure.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.text import clean, round_duration
from tracekit.views.colours import LIGHT
from tracekit.views.svg import FONT, INK, LINE, MUTE, PAPER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from tracekit.views.figures import Chart
    from tracekit.views.markup import Markup

NAME_LIMIT: Final = 60
_SUBTITLE: Final = 130  # maximum characters of a subtitle
_LINE: Final = 20  # pixels
_PLOTLY_TOP: Final = 100  # plotly's default top margin in pixels
_FEW_DECADES: Final = 4.5
_ROUND: Final = (1, 1.2, 1.4, 1.5, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9)  # plotly's tick steps
_SPACED: Final = {  # plotly writes 5ms instead of 5 ms
    f"{number:g}{unit}": f"{number:g} {unit}"
    for unit in ("ns", "\u00b5s", "ms", "s")
    for number in (first * ten for ten in (1, 10, 100) for first in _ROUND)
}
SECONDS: Final[dict[str, Any]] = {  # axis of durations in seconds
    "tickformat": "~s",
    "ticksuffix": "s",
    "labelalias": {"0s": "0", **_SPACED},
}
SIGNED_SECONDS: Final[dict[str, Any]] = {
    **SECONDS,
    "labelalias": {**SECONDS["labelalias"], **{f"\u2212{a}": f"\u2212{b}" for a, b in _SPACED.items()}},
}
SHARE: Final[dict[str, Any]] = {"tickformat": ".1~%", "rangemode": "tozero"}  # axis of ratios
VEIL: Final = "rgba(255,255,255,0.75)"  # background of labels on a curve


def safe(text: object, *, limit: int = NAME_LIMIT) -> str:
    """Return a text escaped for plotly."""
    return html.escape(clean(text, limit=limit), quote=False)


def duration_axis(seconds: Iterable[float], **more: Any) -> dict[str, Any]:
    """Return a logarithmic axis of durations in seconds, with round labels."""
    known = [value for value in seconds if value > 0]
    decades = math.log10(max(known) / min(known)) if known else 0.0
    steps = (1, 2, 5) if decades < _FEW_DECADES else (1,)
    values = [step * 10.0**decade for decade in range(-9, 6) for step in steps]
    words = [round_duration(value * 1e9) if value < 1 else f"{value:g} s" for value in values]
    return {"type": "log", "title": {"text": "duration"}, "tickvals": values, "ticktext": words, **SECONDS, **more}


def utc_texts(times_ns: ArrayLike) -> list[str]:
    """Return times in ns since the epoch as text for plotly, which shows them unchanged: in UTC."""
    return [str(text) for text in np.datetime_as_string(np.asarray(times_ns, "datetime64[ns]"), unit="ms")]


def chart_layout(title: str, **more: Any) -> dict[str, Any]:
    """Return the layout of a figure."""
    return {"template": _TEMPLATE, "title": {"text": title}, **more}


def chart(title: str, *, table: Markup | None = None, **more: Any) -> Chart:
    """Return an empty chart with tracekit's layout."""
    from tracekit.views.figures import Chart  # noqa: PLC0415 - plotly is for notebooks only

    figure = Chart(layout=chart_layout(title, **more))
    figure._table = table  # noqa: SLF001 - plotly figures allow no public attributes
    return figure


def bar_rows(labels: Sequence[str], xaxis: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layout of horizontal bars, the first at the top."""
    return {
        "xaxis": {"showgrid": True, **xaxis},
        "yaxis": {"type": "category", "categoryorder": "array", "categoryarray": list(labels)[::-1]},
        "height": 110 + 26 * len(labels),
        "showlegend": False,
        "margin": {"t": 44},
    }


def legend_room(labels: Sequence[str], *, width: float = 560) -> int:
    """Return the top margin in pixels that fits the title and the legend."""
    longest = max((len(label) for label in labels), default=0) * 6.6 + 50
    rows = math.ceil(len(labels) / max(1, int(width / longest))) or 1
    return 54 + 19 * rows


def empty_state(figure: Chart, words: str) -> Chart:
    """Return the figure with a note in place of data."""
    hidden = {"visible": False, "showgrid": False}
    figure.update_layout(height=160, xaxis=hidden, yaxis=hidden, showlegend=False)
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 0.6, "xanchor": "left", "showarrow": False}
    figure.add_annotation(text=words, font={"size": 14, "color": MUTE}, **place)
    return figure


def subtitled(figure: Chart, words: str) -> Chart:
    """Return the figure with a subtitle."""
    if words:
        font = {"size": 12, "color": MUTE}
        top = figure.layout.margin.t or figure.layout.template.layout.margin.t or _PLOTLY_TOP
        figure.update_layout(title={"subtitle": {"text": safe(words, limit=_SUBTITLE), "font": font}})
        figure.update_layout(margin={"t": top + _LINE})
        if figure.layout.height:
            figure.update_layout(height=figure.layout.height + _LINE)
    return figure


def remark(figure: Chart, words: str, *, height: float) -> Chart:
    """Return the figure with a remark at the right."""
    place = {"xref": "paper", "yref": "paper", "x": 1, "y": height, "xanchor": "right", "yanchor": "middle"}
    figure.add_annotation(
        text=safe(words, limit=120), showarrow=False, font={"size": 11, "color": MUTE}, bgcolor=VEIL, **place
    )
    return figure


_AXIS: Final = {
    "gridcolor": LINE,
    "linecolor": LINE,
    "zeroline": False,
    "automargin": True,
    "tickfont": {"color": MUTE, "size": 11},
    "title": {"font": {"color": MUTE, "size": 12}, "standoff": 10},
}
_TEMPLATE: Final = {
    "layout": {
        "colorway": list(LIGHT),
        "font": {"family": FONT, "size": 12, "color": INK},
        "hoverlabel": {"align": "left", "bgcolor": PAPER, "bordercolor": LINE, "font": {"color": INK, "size": 12}},
        "legend": {
            "orientation": "h",
            "traceorder": "normal",
            "x": 0,
            "y": 1,
            "yanchor": "bottom",
            "font": {"size": 12},
        },
        "margin": {"l": 60, "r": 24, "t": 72, "b": 48},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "title": {
            "font": {"size": 15},
            "x": 0.01,
            "xanchor": "left",
            "y": 1,
            "yanchor": "top",
            "yref": "container",
            "pad": {"t": 10},
        },
        "xaxis": {**_AXIS, "showgrid": False, "showline": True, "ticks": "outside", "tickcolor": LINE, "ticklen": 4},
        "yaxis": {**_AXIS, "ticklabelstandoff": 6},
    }
}
