"""What the plotly charts share: a calm look, and names that stay names.

plotly reads text as a kind of HTML: a span named ``<a href=...>`` would become a link.  Everything that comes from data
goes through ``safe``.  plotly itself is imported by the functions that make a figure, never before.
"""

from __future__ import annotations

import html
from typing import Any, Final

from tracekit.views.svg import FONT, INK, LINE
from tracekit.views.text import clean

NAME_LIMIT: Final = 60


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
        For ``plotly.graph_objects.Figure(layout=...)``.

    Examples
    --------
    >>> chart_layout("Latency")["title"]["text"]
    'Latency'
    """
    axis = {"gridcolor": LINE, "zeroline": False, "automargin": True}
    return {
        "template": "plotly_white",
        "title": {"text": title, "font": {"size": 15}},
        "font": {"family": FONT, "size": 12, "color": INK},
        "margin": {"l": 60, "r": 20, "t": 48, "b": 48},
        "hoverlabel": {"align": "left"},
        "xaxis": axis | more.pop("xaxis", {}),
        "yaxis": axis | more.pop("yaxis", {}),
        **more,
    }
