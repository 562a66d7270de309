"""Safe markup: elements made of names, attributes and children, escaped in one place.

All attributes and texts are cleaned and escaped here; no other module concatenates markup from data.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from tracekit.text import LABEL_LIMIT, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NUMERIC = frozenset("0123456789+-\N{MINUS SIGN}\N{EN DASH}")


class Markup(str):
    """Escaped markup that may be inserted into a page unchanged.

    Jinja2 and notebooks recognise it by ``__html__``.

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
    """Return the children of an element: markup unchanged, text cleaned and escaped."""
    return Markup(
        "".join(child if isinstance(child, Markup) else html.escape(clean(child), quote=False) for child in children)
    )


def attribute(value: object) -> str:
    """Return the text of an attribute: rounded numbers, cleaned and escaped strings."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if value == value else "0"  # noqa: PLR0124 - NaN is not drawn
    return html.escape(clean(value))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a plain HTML table.

    Text columns are aligned left explicitly, because notebooks align cells right.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    styles = [{"style": "text-align:left"} if _is_text(column) else {} for column in zip(*cells, strict=True)]
    styles = styles or [{} for _ in heads]
    head = element("tr", {}, *(element("th", style, words) for words, style in zip(heads, styles, strict=True)))
    body = (
        element("tr", {}, *(element("td", style, cell) for cell, style in zip(row, styles, strict=True)))
        for row in cells
    )
    return element("table", {}, element("thead", {}, head), element("tbody", {}, *body, Markup()))


def _is_text(column: Sequence[str]) -> bool:
    """Return whether a cell starts with neither a digit nor a sign."""
    return any(cell[0] not in _NUMERIC for cell in column if cell)


def _cell(value: object) -> str:
    """Return the content of a cell."""
    return value if isinstance(value, Markup) else clean(value, limit=LABEL_LIMIT)
