"""Markup that cannot be broken into: elements from names, attributes and children, escaped in one place.

Every attribute and text is cleaned and escaped here, so that no view and no section ever glues markup from data.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from tracekit.text import LABEL_LIMIT, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NUMERIC = frozenset("0123456789+-\N{MINUS SIGN}\N{EN DASH}")


class Markup(str):
    """Markup that was built here, and may go into a page as it is.

    Jinja2 and notebooks know it by ``__html__``.

    Examples
    --------
    >>> element("title", {}, "a < b").__html__()
    '<title>a &lt; b</title>'
    """

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def element(name: str, attributes: Mapping[str, object] | None = None, *children: Markup | str) -> Markup:
    """Return one element; text among the children is cleaned and escaped."""
    head = "".join(f' {key}="{attribute(value)}"' for key, value in (attributes or {}).items() if value is not None)
    if not children:
        return Markup(f"<{name}{head}/>")
    return Markup(f"<{name}{head}>{content(*children)}</{name}>")


def content(*children: Markup | str) -> Markup:
    """Return what stands side by side in an element: markup as it is, text cleaned and escaped."""
    return Markup(
        "".join(child if isinstance(child, Markup) else html.escape(clean(child), quote=False) for child in children)
    )


def attribute(value: object) -> str:
    """Return an attribute's text: short numbers, cleaned and escaped strings."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if value == value else "0"  # noqa: PLR0124 - NaN is not drawn
    return html.escape(clean(value))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a plain table, as notebooks show beside a picture.

    Notebooks set cells to the right; columns of words say that they begin on the left.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    styles = [{"style": "text-align:left"} if _is_words(column) else {} for column in zip(*cells, strict=True)]
    styles = styles or [{} for _ in heads]
    head = element("tr", {}, *(element("th", style, words) for words, style in zip(heads, styles, strict=True)))
    body = (
        element("tr", {}, *(element("td", style, cell) for cell, style in zip(row, styles, strict=True)))
        for row in cells
    )
    return element("table", {}, element("thead", {}, head), element("tbody", {}, *body, Markup()))


def _is_words(column: Sequence[str]) -> bool:
    """Return whether some cell begins with neither a digit nor a sign."""
    return any(cell[0] not in _NUMERIC for cell in column if cell)


def _cell(value: object) -> str:
    """Return what stands in a cell."""
    return value if isinstance(value, Markup) else clean(value, limit=LABEL_LIMIT)
