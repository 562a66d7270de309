"""Base of the widgets: the Python side of ``static/tracekit.js``.  Imported on first use (0.1 s).

A widget includes a static image: saved and converted notebooks and front ends without scripts show an ``<img>`` with a
short table, and ``text/plain`` contains no memory address.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anywidget
import traitlets

from tracekit.views.markup import element
from tracekit.views.svg import image
from tracekit.views.themes import repainted_picture

if TYPE_CHECKING:
    from tracekit.views.markup import Markup

MODULE: Final = Path(__file__).parent / "static" / "tracekit.js"


class Pictured(anywidget.AnyWidget):
    """A widget with a static image; base class of all widgets.

    Examples
    --------
    >>> sorted(tk.plot(tk.service_graph(shop))._repr_mimebundle_()[0])
    ['application/vnd.jupyter.widget-view+json', 'image/svg+xml', 'text/html', 'text/plain']
    """

    _esm = MODULE
    height = traitlets.Int(480).tag(sync=True)
    about = traitlets.Unicode("").tag(sync=True)  # the sampling statement, shown below the widget

    _title = ""
    _picture: Markup
    _table: Markup

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the interactive view with its static image, table and text."""
        bundle = super()._repr_mimebundle_(**options)
        data, meta = bundle if isinstance(bundle, tuple) else (bundle, {})
        picture = repainted_picture(self._picture, "page")
        about = element("p", {}, self.about) if self.about else ""
        still = {
            "text/html": f"{image(picture, self._title)}{about}{self._table}",
            "image/svg+xml": str(picture),
            "text/plain": repr(self),
        }
        return {**(data or {}), **still}, dict(meta or {})

    def __repr__(self) -> str:
        return self._title
