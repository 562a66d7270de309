"""Base of the widgets: the Python side of ``static/tracekit.js``.  Imported on first use (0.1 s).

A view is displayed in a sandboxed frame that needs no kernel (``tracekit.views.frame``), with its static image.  The
live widget, of which Python knows the selections, is displayed after ``live()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import anywidget
import traitlets

from tracekit.views.frame import STATIC, folded, framed
from tracekit.views.markup import Markup, element
from tracekit.views.themes import repainted_picture

if TYPE_CHECKING:
    from collections.abc import Container

MODULE: Final = STATIC / "tracekit.js"


class Pictured(anywidget.AnyWidget):
    """A view in a frame, with a static image and a live widget; base class of all widgets.

    Examples
    --------
    >>> sorted(tk.plot(tk.service_graph(shop))._repr_mimebundle_()[0])
    ['image/svg+xml', 'text/html', 'text/plain']
    """

    _esm = MODULE
    height = traitlets.Int(480).tag(sync=True)
    about = traitlets.Unicode("").tag(sync=True)  # the sampling statement, shown below the widget

    _input: ClassVar[str]  # the trait with the data that the front end draws
    _state: ClassVar[tuple[str, ...]] = ()  # traits that a selection sets
    _title = ""
    _is_live = False
    _is_needed = False
    _picture: Markup
    _table: Markup

    def live(self) -> Self:
        """Return the view, displayed as a live widget from now on: Python knows what is selected in it.

        A notebook that is reopened shows a live widget only after its cell has been run again; without ``live``, the
        view remains, but its selections are not known in Python.

        Returns
        -------
        Pictured
            The same view.

        Examples
        --------
        >>> import pandas as pd
        >>> import tracekit as tk
        >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
        >>> view = tk.plot(tk.service_graph(tk.TraceSet.from_spans(frame.assign(service_name="shop"))))
        >>> sorted(view._repr_mimebundle_()[0])
        ['image/svg+xml', 'text/html', 'text/plain']
        >>> "application/vnd.jupyter.widget-view+json" in view.live()._repr_mimebundle_()[0]
        True
        """
        self._is_live = True
        return self

    def open(self) -> None:
        """Connect to the front end, when a live widget is displayed and not before."""
        if self._is_needed:
            super().open()

    @property
    def model_id(self) -> str:
        """Id of the widget's model in the front end."""
        self._is_needed = True
        self.open()
        return str(super().model_id)

    def frame(self) -> Markup:
        """Return the view as HTML that needs neither a kernel nor a network.

        Returns
        -------
        Markup
            A sandboxed frame over the static image.
        """
        state = {name: getattr(self, name) for name in (*self._state, "height")} | {"trait": self._input}
        picture = repainted_picture(self._picture, "page")
        return framed(picture, self._title, self._frame_data(), state, height=self.height)

    def _frame_data(self) -> bytes:
        """Return the data of the frame."""
        return str(getattr(self, self._input)).encode("utf-8", "replace")

    def _repr_mimebundle_(
        self, exclude: Container[str] | None = (), **options: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the view in a frame with its static image, table and text; of a live view also the widget."""
        bundle = super()._repr_mimebundle_(**options) if self._is_live else None
        data, meta = bundle if isinstance(bundle, tuple) else (bundle, {})
        about = element("p", {}, self.about) if self.about else ""
        page = "" if "text/html" in (exclude or ()) else f"{self.frame()}{about}{folded(self._table)}"
        still = {
            **({"text/html": page} if page else {}),
            "image/svg+xml": str(repainted_picture(self._picture, "page")),
            "text/plain": repr(self),
        }
        return {**(data or {}), **still}, dict(meta or {})

    def __repr__(self) -> str:
        return self._title
