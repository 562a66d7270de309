"""What a notebook shows of an answer: its live view, a still picture with a table, and plain text.

Front ends take what they can: JupyterLab the view, saved and converted notebooks the picture (an ``<img>``, which every
sanitiser lets through) with the table, terminals the text.  No representation holds a memory address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.text import clean
from tracekit.views.plot import plot, view_of
from tracekit.views.svg import image

if TYPE_CHECKING:
    from tracekit.views.markup import Markup

# shown by their table and a picture: a live view would be in the way of what the eye looks for first
_SENTENCES: Final = "tracekit.findings.Findings"
_STILL: Final = ("tracekit.traces.TraceSet", _SENTENCES)


def bundle(answer: Any) -> dict[str, Any]:
    """Return the representations of an answer by media type."""
    words = {"text/plain": repr(answer)}
    html = clean(answer._repr_html_(), block=True) if hasattr(answer, "_repr_html_") else ""
    key = view_of(answer)
    if key is None:
        return {**words, "text/html": html} if html else words
    view = plot(answer)
    if key == _SENTENCES and not view.data:  # no finding has a number: the table says all, a picture nothing
        return {**words, "text/html": html}
    shown = view._repr_mimebundle_()
    parts = dict(shown[0] if isinstance(shown, tuple) else shown)
    if key in _STILL:
        parts = {"image/svg+xml": parts["image/svg+xml"]}
    picture = parts.get("image/svg+xml")
    return {**parts, "text/html": f"{image(picture, repr(answer)) if picture else ''}{html}", **words}


def picture_of(view: Any) -> Markup:
    """Return the still picture of a view."""
    from tracekit.views.markup import Markup  # noqa: PLC0415 - for types elsewhere

    if hasattr(view, "picture"):
        return Markup(view.picture())
    if hasattr(view, "_picture"):
        return Markup(view._picture)  # noqa: SLF001 - of the widgets of this room
    if view_of(view) is None:
        raise TypeError(f"expected a view or an answer that has one, found {type(view).__name__}")
    return picture_of(plot(view))
