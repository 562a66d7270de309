"""plotly figures for notebooks, with a static image.  Imported on first use.

plotly's own display imports nbformat (several seconds) and leaves nothing to show in converted notebooks; here the
representations are made directly.  JupyterLab and VS Code draw the figure with their plotly; elsewhere, the static
image is shown in a frame with its values.  plotly.js itself is 2 MB for each figure, too much for a notebook.
"""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any, Final, Self

from plotly import graph_objects as go

from tracekit.text import plural
from tracekit.views.frame import folded, framed
from tracekit.views.svg import PAPER
from tracekit.views.svg_chart.figure import HEIGHT, still_picture
from tracekit.views.svg_chart.spots import spots_of
from tracekit.views.themes import on_page, repainted, repainted_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from tracekit.views.markup import Markup


_PAINT: Final = re.compile(r'(?<=fill="|roke=")#[0-9a-f]{6}(?=")')


class Chart(go.Figure):  # type: ignore[misc]  # plotly ships no types
    """A plotly figure with a static image, legible on light and dark pages.

    By default its background is transparent and its colours fit both themes, because plotly figures cannot follow the
    theme of a page.  ``themed`` sets a theme with its own background.

    Parameters
    ----------
    args, kwargs
        Arguments of ``plotly.graph_objects.Figure``.

    Examples
    --------
    >>> figure = Chart(layout={"title": {"text": "Waits"}}).add_bar(x=["ledger"], y=[3])
    >>> figure
    Chart('Waits', 1 series)
    >>> sorted(figure._repr_mimebundle_())
    ['application/vnd.plotly.v1+json', 'image/svg+xml', 'text/html', 'text/plain']
    """

    _table: Markup | None = None
    _theme = "page"
    _ipython_display_ = None  # plotly's would start its renderers

    def __repr__(self) -> str:
        drawn = plural(len(self.data), "series", "series") if self.data else "nothing drawn"
        return f"Chart({self.layout.title.text or 'untitled'!r}, {drawn})"

    def themed(self, theme: str) -> Self:
        """Return the figure in a fixed theme.

        Parameters
        ----------
        theme
            ``light`` or ``dark``; ``page`` removes the background.

        Returns
        -------
        Chart
            A copy with the background of the theme.

        Raises
        ------
        ValueError
            If the theme is unknown.

        Examples
        --------
        >>> Chart(layout={"paper_bgcolor": "#ffffff"}).themed("dark").layout.paper_bgcolor
        '#16181d'
        """
        colours = "light" if theme == "page" else theme
        other = type(self)(repainted(json.loads(self.to_json()), colours))
        other._table, other._theme = self._table, theme  # noqa: SLF001 - of the same class
        return other

    def picture(self) -> Markup:
        """Return the figure as a static image.

        Returns
        -------
        Markup
            An ``svg`` element, in the theme of the figure.

        Examples
        --------
        >>> Chart(layout={"title": {"text": "Waits"}}).picture().count("Waits")
        2
        """
        if self.layout.template.layout.paper_bgcolor != repainted(PAPER, "dark"):
            return still_picture(self)
        return repainted_picture(still_picture(self.themed("light")), "dark")

    def frame(self) -> Markup:
        """Return the figure as HTML that needs neither a kernel nor a network, and not plotly.

        Returns
        -------
        Markup
            A sandboxed frame over the static image: values under the pointer and at the arrow keys, and series that
            the legend hides and shows.

        Examples
        --------
        >>> "<iframe" in Chart(layout={"title": {"text": "Waits"}}).frame()
        True
        """
        light = type(self)(repainted(json.loads(self.to_json()), "light"))
        picture = still_picture(light)
        names = set(_PAINT.findall(picture))
        dark = {colour: other for colour in sorted(names) if (other := repainted(colour, "dark")) != colour}
        state = {"series": spots_of(light), "dark": dark}
        title = html.unescape(self.layout.title.text or "chart")
        height = int(float(self.layout.height or HEIGHT))
        return framed(self._shown(), title, picture.encode("utf-8", "replace"), state, height=height, code="chart")

    def _repr_mimebundle_(self, include: Container[str] | None = None, exclude: Container[str] = (), **_: Any) -> Any:
        """Return the interactive figure with its frame and table, static image, and text."""
        make: dict[str, Callable[[], Any]] = {
            "application/vnd.plotly.v1+json": self._plotly,
            "text/html": lambda: f"{self.frame()}{folded(self._table) if self._table else ''}",
            "image/svg+xml": lambda: str(self._shown()),
            "text/plain": lambda: repr(self),
        }
        return {k: part() for k, part in make.items() if (include is None or k in include) and k not in (exclude or ())}

    def _plotly(self) -> dict[str, Any]:
        """Return the figure for plotly."""
        figure = json.loads(self.to_json())
        return {**(on_page(figure) if self._theme == "page" else figure), "config": {"displaylogo": False}}

    def _shown(self) -> Markup:
        """Return the static image in the colours of a notebook."""
        picture = self.picture()
        return repainted_picture(picture, "page") if self._theme == "page" else picture
