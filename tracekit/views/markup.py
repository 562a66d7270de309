"""Markup that cannot be broken into: elements from names, attributes and children, escaped in one place.

Every attribute and text is cleaned and escaped here, so that no view and no section ever glues markup from data.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from tracekit.views.text import LABEL_LIMIT, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


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


def element(name: str, attributes: dict[str, object] | None = None, *children: Markup | str) -> Markup:
    """Return one element; text among the children is cleaned and escaped.

    Parameters
    ----------
    name
        Element name.
    attributes
        Values are cleaned, escaped and, if they are numbers, shortened to two decimals; None leaves one out.
    children
        Markup goes in as it is, other strings as text.

    Returns
    -------
    Markup
        The element.

    Examples
    --------
    >>> element("rect", {"x": 1.23456, "class": None, "width": 3})
    '<rect x="1.23" width="3"/>'
    >>> element("text", {"x": 0}, "<script>")
    '<text x="0">&lt;script&gt;</text>'
    """
    head = "".join(f' {key}="{attribute(value)}"' for key, value in (attributes or {}).items() if value is not None)
    if not children:
        return Markup(f"<{name}{head}/>")
    return Markup(f"<{name}{head}>{content(*children)}</{name}>")


def content(*children: Markup | str) -> Markup:
    """Return what stands side by side in an element: markup as it is, text cleaned and escaped.

    Examples
    --------
    >>> content("a < b, ", element("code", {}, "cart"))
    'a &lt; b, <code>cart</code>'
    """
    return Markup(
        "".join(child if isinstance(child, Markup) else html.escape(clean(child), quote=False) for child in children)
    )


def attribute(value: object) -> str:
    """Return an attribute's text: short numbers, cleaned and escaped strings.

    Parameters
    ----------
    value
        A number or anything with words.

    Returns
    -------
    str
        To stand between double quotes.

    Examples
    --------
    >>> attribute(1.23456), attribute('a "b"')
    ('1.23', 'a &quot;b&quot;')
    """
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if value == value else "0"  # noqa: PLR0124 - NaN is not drawn
    return html.escape(clean(value))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a plain table, as notebooks show beside a picture.

    Parameters
    ----------
    heads
        Words above the columns.
    rows
        Cells; Markup goes in as it is.

    Returns
    -------
    Markup
        A ``table`` element.

    Examples
    --------
    >>> table(["span"], [["<b>"]])
    '<table><thead><tr><th>span</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    head = element("tr", {}, *(element("th", {}, words) for words in heads))
    body = (element("tr", {}, *(element("td", {}, _cell(cell)) for cell in row)) for row in rows)
    return element("table", {}, element("thead", {}, head), element("tbody", {}, *body, Markup()))


def _cell(value: object) -> str:
    """Return what stands in a cell."""
    return value if isinstance(value, Markup) else clean(value, limit=LABEL_LIMIT)
