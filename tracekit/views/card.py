"""Cards: words beside small drawings, in a notebook, as a still image and in a report.

The words of a page wrap and the columns stand below each other on a phone; the still image has fixed columns.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from tracekit.text import clean
from tracekit.views.markup import Markup, element
from tracekit.views.svg import LINE, image, picture, text
from tracekit.views.themes import repainted_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

NARROW: Final = 380.0  # width of a drawing: legible on a phone
_WIDTH: Final = 860.0
_GAP: Final = 24.0
_EDGE: Final = 12.0
_LINE_HEIGHT: Final = 16.0
_CHARACTER: Final = 6.0  # mean width of 11 px text, which is 8 % wider where it is bold
_BOLD: Final = 6.5
_LONGEST: Final = 600  # characters of a paragraph
RULES: Final = (
    ".tk-card{overflow-wrap:anywhere}.tk-card p{margin:0 0 6px}"
    ".tk-card ul{margin:0 0 10px;padding-left:18px;list-style:disc}"
    ".tk-row{display:flex;flex-wrap:wrap;gap:8px 24px;margin-top:10px}"
    ".tk-column{flex:1 1 320px;min-width:0;max-width:640px}.tk-column.tk-drawn{flex:0 1 380px}"
    ".tk-card img,.tk-card svg{display:block;max-width:100%;height:auto;margin:0 0 8px}"
)


class Drawing(NamedTuple):
    """A small drawing: its marks, size in pixels, and what it shows in words."""

    marks: list[Markup]
    height: float
    words: str
    width: float = NARROW

    def picture(self) -> Markup:
        """Return the drawing as SVG."""
        return picture(self.width, self.height, self.words, self.marks)


class Words(NamedTuple):
    """A heading, and paragraphs or items of a list below it."""

    heading: str
    lines: Sequence[str] = ()
    is_list: bool = True


Part: TypeAlias = "Drawing | Words"
Row: TypeAlias = "Sequence[Sequence[Part]]"


@dataclass(repr=False)
class Card:
    """Words beside small drawings.

    Parameters
    ----------
    title
        The first line.
    lead
        Paragraphs below it.
    rows
        Rows of columns of words and drawings.
    about
        What the figures describe.

    Examples
    --------
    >>> card = Card("No change.", rows=[[[Words("Tested", ["12 operations"])]]])
    >>> card
    Card('No change.')
    >>> sorted(card._repr_mimebundle_())
    ['image/svg+xml', 'text/html', 'text/plain']
    """

    title: str
    lead: Sequence[str] = ()
    rows: Sequence[Row] = ()
    about: str = ""

    def __repr__(self) -> str:
        return f"Card({clean(self.title, limit=_LONGEST)!r})"

    def picture(self) -> Markup:
        """Return the card as a static image.

        Returns
        -------
        Markup
            An ``svg`` element.

        Examples
        --------
        >>> Card("No change.").picture().count("No change.")
        2
        """
        marks, y = _lines(self.title, _EDGE, 22.0, _WIDTH - 2 * _EDGE, is_bold=True)
        for paragraph in (*self.lead, *([self.about] if self.about else [])):
            more, y = _lines(
                paragraph, _EDGE, y + 2, _WIDTH - 2 * _EDGE, kind="ink" if paragraph in self.lead else "mute"
            )
            marks += more
        for row in self.rows:
            marks.append(
                element("line", {"x1": 0.0, "x2": _WIDTH, "y1": y - 6, "y2": y - 6, "stroke": LINE, "class": "tk-line"})
            )
            more, y = _row(row, y + 6)
            marks += more
        return picture(_WIDTH, y, clean(self.title, limit=_LONGEST), marks, paper=True)

    def inline(self) -> Markup:
        """Return the card as HTML with inline drawings, for a page that has ``RULES``.

        Returns
        -------
        Markup
            A ``div`` element.

        Examples
        --------
        >>> print(Card("No change.").inline())
        <div class="tk-card"><p><b>No change.</b></p></div>
        """
        return self._html(Drawing.picture)

    def frame(self) -> Markup:
        """Return the card as HTML for a notebook, which needs neither a kernel nor a network.

        Returns
        -------
        Markup
            Style rules and a ``div`` element with images.

        Examples
        --------
        >>> Card("No change.").frame().startswith("<style>")
        True
        """
        return Markup(f"<style>{RULES}</style>{self._html(_image)}")

    def _html(self, drawn: Callable[[Drawing], Markup]) -> Markup:
        """Return the card as HTML."""
        head = [element("p", {}, element("b", {}, clean(self.title, limit=_LONGEST)))]
        head += [element("p", {}, clean(paragraph, limit=_LONGEST)) for paragraph in self.lead]
        rows = [element("div", {"class": "tk-row"}, *(_column(column, drawn) for column in row)) for row in self.rows]
        about = [element("p", {}, element("small", {}, self.about))] if self.about else []
        return element("div", {"class": "tk-card"}, *head, *rows, *about)

    def _repr_mimebundle_(self, include: Container[str] | None = None, exclude: Container[str] = ()) -> dict[str, str]:
        """Return the card as HTML, static image and text."""
        still = repainted_picture(self.picture(), "page")
        parts = {"text/html": str(self.frame()), "image/svg+xml": str(still), "text/plain": repr(self)}
        return {k: v for k, v in parts.items() if (include is None or k in include) and k not in (exclude or ())}


def _image(drawing: Drawing) -> Markup:
    """Return a drawing as an image in the colours of a notebook."""
    return image(repainted_picture(drawing.picture(), "page"), drawing.words)


def _column(column: Sequence[Part], drawn: Callable[[Drawing], Markup]) -> Markup:
    """Return a column as HTML."""
    parts: list[Markup] = []
    for part in column:
        if isinstance(part, Drawing):
            parts.append(drawn(part))
            continue
        parts += [element("p", {}, element("b", {}, clean(part.heading, limit=_LONGEST)))] if part.heading else []
        items = [element("li" if part.is_list else "p", {}, clean(line, limit=_LONGEST)) for line in part.lines]
        parts += [element("ul", {}, *items)] if part.is_list and items else items
    is_drawn = all(isinstance(part, Drawing) for part in column)
    return element("div", {"class": "tk-column tk-drawn" if is_drawn else "tk-column"}, *parts, Markup())


def _row(row: Row, top: float) -> tuple[list[Markup], float]:
    """Return the marks of a row of a still image, and where the next one begins."""
    room = _WIDTH - 2 * _EDGE
    drawn = [all(isinstance(part, Drawing) for part in column) for column in row]
    rest = room - sum(NARROW + _GAP for is_drawn in drawn if is_drawn)
    wide = rest / max(1, drawn.count(False)) - _GAP * (drawn.count(False) > 1)
    marks, x, bottom = [], _EDGE, top
    for column, is_drawn in zip(row, drawn, strict=True):
        more, low = _stacked(column, x, top, wide)
        marks += more
        x += (NARROW if is_drawn else wide) + _GAP
        bottom = max(bottom, low)
    return marks, bottom + 8


def _stacked(column: Sequence[Part], x: float, y: float, wide: float) -> tuple[list[Markup], float]:
    """Return the marks of a column of a still image, and its lower end."""
    marks: list[Markup] = []
    for part in column:
        if isinstance(part, Drawing):
            marks.append(element("g", {"transform": f"translate({x:.1f} {y:.1f})"}, *part.marks, Markup()))
            y += part.height + 8
            continue
        if part.heading:
            more, y = _lines(part.heading, x, y + 12, wide, is_bold=True)
            marks += more
            y -= 12
        for line in part.lines:
            more, y = _lines(f"\N{BULLET} {line}" if part.is_list else line, x, y + 12, wide)
            marks += more
            y -= 12
        y += 8
    return marks, y


def _lines(
    words: str, x: float, y: float, wide: float, *, is_bold: bool = False, kind: str = "ink"
) -> tuple[list[Markup], float]:
    """Return a paragraph of a still image as lines, and the base line of the next one."""
    weight = {"font_weight": 600} if is_bold else {}
    room = max(8, int(wide / (_BOLD if is_bold else _CHARACTER)))
    lines = textwrap.wrap(clean(words, limit=_LONGEST), room) or [""]
    marks = [text(x, y + _LINE_HEIGHT * k, line, kind=kind, **weight) for k, line in enumerate(lines)]
    return marks, y + _LINE_HEIGHT * len(lines)
