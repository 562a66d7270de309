"""What the plotly charts share: a calm look in light and dark, and names that stay names.

plotly reads text as a kind of HTML: a span named ``<a href=...>`` would become a link.  Everything that comes from data
goes through ``safe``.  plotly itself is imported by the functions that make a figure, never before.
"""

from __future__ import annotations

import html
import math
import re
from typing import TYPE_CHECKING, Any, Final

from tracekit.views.colours import DARK, LIGHT
from tracekit.views.svg import ACCENT, ERROR, FONT, INK, LINE, MUTE, PAPER
from tracekit.views.text import clean, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracekit.views.figures import Chart
    from tracekit.views.markup import Markup

NAME_LIMIT: Final = 60
THEMES: Final = ("page", "light", "dark")  # page: can be read on a light page and on a dark one
_SUBTITLE: Final = 130  # characters that find room
_LINE: Final = 20  # pixels
_FEW_DECADES: Final = 4.5
_ROUND: Final = (1, 1.2, 1.4, 1.5, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9)  # plotly's steps, as far as seen
_SPACED: Final = {  # plotly writes 5ms, everything else here 5 ms
    f"{number:g}{unit}": f"{number:g} {unit}"
    for unit in ("ns", "\u00b5s", "ms", "s")
    for number in (first * ten for ten in (1, 10, 100) for first in _ROUND)
}
SECONDS: Final[dict[str, Any]] = {  # an axis of durations, in seconds
    "tickformat": "~s",
    "ticksuffix": "s",
    "labelalias": {"0s": "0", **_SPACED},
}
SIGNED_SECONDS: Final[dict[str, Any]] = {
    **SECONDS,
    "labelalias": {**SECONDS["labelalias"], **{f"\u2212{a}": f"\u2212{b}" for a, b in _SPACED.items()}},
}
HEAT: Final = ("#dcebfa", "#b3d4f5", "#7fb5ea", "#4a90d9", "#1f68b8", "#0b3f7d")  # few to many
SHARE: Final[dict[str, Any]] = {"tickformat": ".1~%", "rangemode": "tozero"}  # an axis of ratios
_DARK_HEAT: Final = ("#16324f", "#1d4b7c", "#2a6db0", "#4a93dc", "#86bdf2", "#d6e9fc")
_DARK: Final = {
    **dict(zip(LIGHT, DARK, strict=True)),
    **dict(zip(HEAT, _DARK_HEAT, strict=True)),
    INK: "#e4e6ea",
    MUTE: "#a3a9b3",
    LINE: "#3a3f48",
    PAPER: "#16181d",
    ERROR: "#ff6b6b",
    ACCENT: "#64b5f6",
}
_LIGHT: Final = {dark: light for light, dark in reversed(_DARK.items())}
_CLEAR: Final = "rgba(0,0,0,0)"
_PAGE: Final = {  # what is not named here has a contrast of 3:1 on white and on JupyterLab's #111111, and stays
    **{colour: f"rgba(74,144,217,{0.15 + 0.17 * k:.2f})" for k, colour in enumerate(HEAT)},
    "#7a4964": "#a3688a",
    "#753400": "#a85a1c",
    "#5b32a8": "#8a63d2",
    "#4e382b": "#8c6a56",
    INK: "#757a83",
    MUTE: "#757a83",
    LINE: "rgba(128,128,128,0.3)",
    PAPER: _CLEAR,
}
_PAINT: Final = re.compile(r'(?<=fill="|roke=")#[0-9a-f]{6}(?=")')
_RGBA: Final = re.compile(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)")


VEIL: Final = "rgba(255,255,255,0.75)"  # behind words that stand on a curve


def safe(text: object, *, limit: int = NAME_LIMIT) -> str:
    """Return a text that plotly shows as it is.

    Parameters
    ----------
    text
        A name from data.
    limit
        Most characters; the rest becomes an ellipsis.

    Returns
    -------
    str
        Cleaned, cut and escaped.

    Examples
    --------
    >>> safe("<a href='http://x'>GET</a>")
    "&lt;a href='http://x'&gt;GET&lt;/a&gt;"
    """
    return html.escape(clean(text, limit=limit), quote=False)


def faded(colour: str, share: float) -> str:
    """Return a colour that lets the ground through.

    Parameters
    ----------
    colour
        As ``#rrggbb``.
    share
        How much of it is left: 1 is all.

    Returns
    -------
    str
        As plotly takes it.

    Examples
    --------
    >>> faded("#1976d2", 0.25)
    'rgba(25,118,210,0.25)'
    """
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"


def repainted(part: Any, theme: str) -> Any:
    """Return any part of a figure with the colours of this house as another theme has them.

    Parameters
    ----------
    part
        Dictionaries, lists and values, as plotly writes them.
    theme
        ``light`` or ``dark``; ``page`` for colours that can be read on either, on a clear ground.

    Returns
    -------
    Any
        A copy; what is no colour of ours stays.

    Raises
    ------
    ValueError
        Another theme.

    Examples
    --------
    >>> repainted({"line": {"color": "#1c1e21", "width": 2}}, "dark")
    {'line': {'color': '#e4e6ea', 'width': 2}}
    >>> repainted({"paper_bgcolor": "#ffffff"}, "page")
    {'paper_bgcolor': 'rgba(0,0,0,0)'}
    """
    if theme not in THEMES:
        raise ValueError(f"expected a theme of {' or '.join(THEMES)}, found {theme!r}")
    paints = {"page": _PAGE, "light": _LIGHT, "dark": _DARK}[theme]
    if isinstance(part, dict):
        return {key: repainted(value, theme) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [repainted(value, theme) for value in part]
    return _repainted_colour(part, paints) if isinstance(part, str) else part


def repainted_picture(picture: Markup, theme: str) -> Markup:
    """Return a still picture in the colours that the house has in another theme.

    Parameters
    ----------
    picture
        An ``svg`` element, made by this room: only attributes are looked at, texts stay.
    theme
        As ``repainted`` takes it.

    Returns
    -------
    Markup
        A copy.

    Examples
    --------
    >>> from tracekit.views.svg import text
    >>> repainted_picture(text(0, 0, 'fill="#1c1e21"'), "dark")
    '<text x="0" y="0" fill="#e4e6ea" class="tk-ink">fill="#1c1e21"</text>'
    """
    from tracekit.views.markup import Markup  # noqa: PLC0415 - for types elsewhere

    def tag(found: re.Match[str]) -> str:
        return _PAINT.sub(lambda colour: str(repainted(colour[0], theme)), found[0])

    return Markup(re.sub(r"<[^<>]*>", tag, picture))


def on_page(figure: dict[str, Any]) -> dict[str, Any]:
    """Return a figure as it can be read on a light page and on a dark one, whichever it stands on.

    Parameters
    ----------
    figure
        As plotly writes it, in the light theme.

    Returns
    -------
    dict
        A copy on a clear ground; the box that hovering opens is dark on both.

    Examples
    --------
    >>> on_page({"layout": {"template": {"layout": {"paper_bgcolor": "#ffffff"}}}})["layout"]["template"]["layout"]
    {'paper_bgcolor': 'rgba(0,0,0,0)'}
    """
    shown: dict[str, Any] = repainted(figure, "page")
    look = shown["layout"].get("template", {}).get("layout", {})
    if "hoverlabel" in look:
        look["hoverlabel"] = repainted(figure["layout"]["template"]["layout"]["hoverlabel"], "dark")
    return shown


def duration_axis(seconds: Iterable[float], **more: Any) -> dict[str, Any]:
    """Return a logarithmic axis of durations with round labels.

    Parameters
    ----------
    seconds
        What has to find room on it.
    more
        Further members of plotly's axis.

    Returns
    -------
    dict
        1, 2, 5 and zeros, or powers of ten alone where there are many.

    Examples
    --------
    >>> axis = duration_axis([0.001, 0.02])
    >>> [words for words in axis["ticktext"] if "ms" in words][:4]
    ['1 ms', '2 ms', '5 ms', '10 ms']
    """
    held = [value for value in seconds if value > 0]
    decades = math.log10(max(held) / min(held)) if held else 0.0
    steps = (1, 2, 5) if decades < _FEW_DECADES else (1,)
    values = [step * 10.0**decade for decade in range(-9, 6) for step in steps]
    words = [
        re.sub(r"\.0+(?= )", "", duration(round(value * 1e9))) if value < 1 else f"{value:g} s" for value in values
    ]
    return {"type": "log", "title": {"text": "duration"}, "tickvals": values, "ticktext": words, **SECONDS, **more}


def chart_layout(title: str, **more: Any) -> dict[str, Any]:
    """Return the layout of a figure.

    Parameters
    ----------
    title
        What the figure shows; must be safe.
    more
        Further members of plotly's layout; these win.

    Returns
    -------
    dict
        For ``plotly.graph_objects.Figure(layout=...)``, in the light theme.

    Examples
    --------
    >>> chart_layout("Latency")["title"]["text"]
    'Latency'
    """
    return {"template": _TEMPLATE, "title": {"text": title}, **more}


def chart(title: str, *, table: Markup | None = None, **more: Any) -> Chart:
    """Return an empty chart in the look of the house.

    Parameters
    ----------
    title
        What it shows, safe.
    table
        The most important figures as a short table, for where neither script nor picture is shown.
    more
        Further members of plotly's layout.

    Returns
    -------
    Chart
        To be filled by ``add_scatter`` and its like.

    Examples
    --------
    >>> chart("Latency")
    Chart('Latency', nothing drawn)
    """
    from tracekit.views.figures import Chart  # noqa: PLC0415 - plotly is for notebooks only

    figure = Chart(layout=chart_layout(title, **more))
    figure._table = table  # noqa: SLF001 - a figure takes no other names
    return figure


def legend_room(labels: Sequence[str], *, width: float = 560) -> int:
    """Return the margin above a chart that a title and a legend need, so that the legend does not cover the title.

    Parameters
    ----------
    labels
        Of the series; plotly gives each as much room as the longest needs.
    width
        Of the chart, in pixels.

    Returns
    -------
    int
        In pixels; with one row of the legend at least.

    Examples
    --------
    >>> legend_room(["cart", "ledger"]), legend_room(["a rather long name of an operation"] * 4)
    (73, 92)
    """
    longest = max((len(label) for label in labels), default=0) * 6.6 + 50
    rows = math.ceil(len(labels) / max(1, int(width / longest))) or 1
    return 54 + 19 * rows


def empty_state(figure: Chart, words: str) -> Chart:
    """Say in words that there is nothing to draw.

    Parameters
    ----------
    figure
        Changed in place: its axes go.
    words
        A sentence, safe.

    Returns
    -------
    Chart
        The same.

    Examples
    --------
    >>> empty_state(chart("Errors"), "No span failed.").layout.annotations[0].text
    'No span failed.'
    """
    hidden = {"visible": False, "showgrid": False}
    figure.update_layout(height=160, xaxis=hidden, yaxis=hidden, showlegend=False)
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 0.6, "xanchor": "left", "showarrow": False}
    figure.add_annotation(text=words, font={"size": 14, "color": MUTE}, **place)
    return figure


def subtitled(figure: Chart, words: str) -> Chart:
    """Say below the title what the figures of a chart are about.

    Parameters
    ----------
    figure
        Changed in place.
    words
        Such as the ``statement`` of an answer; made safe; nothing where it is empty.

    Returns
    -------
    Chart
        The same.

    Examples
    --------
    >>> subtitled(chart("Latency"), "no weights are known").layout.title.subtitle.text
    'no weights are known'
    """
    if words:
        font = {"size": 12, "color": MUTE}
        top = figure.layout.margin.t or figure.layout.template.layout.margin.t
        figure.update_layout(title={"subtitle": {"text": safe(words, limit=_SUBTITLE), "font": font}})
        figure.update_layout(margin={"t": top + _LINE})
        if figure.layout.height:
            figure.update_layout(height=figure.layout.height + _LINE)
    return figure


def remark(figure: Chart, words: str, *, height: float) -> Chart:
    """Say at the right of a figure what it cannot show.

    Parameters
    ----------
    figure
        Changed in place.
    words
        A sentence; made safe.
    height
        Where, at the right: 0 is the lower end of the axis, 1 the upper.

    Returns
    -------
    Chart
        The same.

    Examples
    --------
    >>> remark(chart("Latency"), "Needs <rules>.", height=0.1).layout.annotations[0].text
    'Needs &lt;rules&gt;.'
    """
    place = {"xref": "paper", "yref": "paper", "x": 1, "y": height, "xanchor": "right", "yanchor": "middle"}
    figure.add_annotation(
        text=safe(words, limit=120), showarrow=False, font={"size": 11, "color": MUTE}, bgcolor=VEIL, **place
    )
    return figure


def _repainted_colour(text: str, paints: dict[str, str]) -> str:
    """Return a colour of ours as the other theme has it; any other text as it is."""
    if found := _RGBA.fullmatch(text):
        red, green, blue, share = found.groups()
        solid = f"#{int(red):02x}{int(green):02x}{int(blue):02x}"
        other = paints.get(solid, solid)
        return faded(other, float(share)) if other[0] == "#" else other
    return paints.get(text, text)


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
