"""Notebook representations of a result: interactive view, static image with a table, and plain text.

Notebooks show the view in a frame, running, saved or converted; where frames are removed, the image (an ``<img>``,
which sanitisers keep) with the table is shown, in terminals the text.  No representation contains a memory address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.text import clean
from tracekit.views.card import Card
from tracekit.views.plot import plot, view_of
from tracekit.views.svg import image

if TYPE_CHECKING:
    from tracekit.views.markup import Markup

# shown as a table and a static image, without an interactive view
_FINDINGS: Final = "tracekit.findings.Findings"
_STILL: Final = ("tracekit.traces.TraceSet", _FINDINGS)


def bundle(result: Any) -> dict[str, Any]:
    """Return the representations of a result by media type."""
    words = {"text/plain": repr(result)}
    html = clean(result._repr_html_(), block=True) if hasattr(result, "_repr_html_") else ""
    key = view_of(result)
    if key is None:
        return {**words, "text/html": html} if html else words
    view = plot(result)
    if isinstance(view, Card):  # its words are those of the tables
        return {**view._repr_mimebundle_(), **words}
    if key == _FINDINGS and not view.data:  # no finding has an estimate: the table is sufficient
        return {**words, "text/html": html}
    shown = view._repr_mimebundle_(exclude=("text/html",))
    parts = dict(shown[0] if isinstance(shown, tuple) else shown)
    if key in _STILL:
        picture = parts["image/svg+xml"]
        return {"image/svg+xml": picture, "text/html": f"{image(picture, repr(result))}{html}", **words}
    return {**parts, "text/html": f"{view.frame()}{html}", **words}


def picture_of(view: Any) -> Markup:
    """Return the static image of a view."""
    from tracekit.views.markup import Markup  # noqa: PLC0415 - for types elsewhere

    if hasattr(view, "picture"):
        return Markup(view.picture())
    if hasattr(view, "_picture"):
        return Markup(view._picture)  # noqa: SLF001 - widgets of this package
    if view_of(view) is None:
        raise TypeError(f"expected a view or a result with a view, found {type(view).__name__}")
    return picture_of(plot(view))
