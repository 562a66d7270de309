"""Whether a page is the one that its sources give: the text of both line by line, then their markup."""

from __future__ import annotations

import math
import re
from difflib import SequenceMatcher
from html.parser import HTMLParser
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from tracekit.report.ledger import without_claims
from tracekit.report.spans import without_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PARTS: Final = re.compile(r"(<[^>]*>)")
_SLOT: Final = re.compile(r"\b(dot|tk-s)\d+\b")  # colours of services depend on what the session drew before
_VIEW: Final = re.compile(r'(<script type="application/x-tracekit[^>]*>)[A-Za-z0-9+/=\s]*(?=</script>)')
_DRAWN: Final = re.compile(
    r'(?<=\s)(?:[xy][12]?|d|c[xy]|r[xy]?|points|transform|width|height|viewBox|data-v)="[-+0-9.eE,\sMLHVZACQa-z()]*"'
)
_NUMBER: Final = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_CLOSE: Final = 0.02  # of a unit of a picture: attributes have two decimals
_LONGEST: Final = 200
_INLINE: Final = {"a", "abbr", "b", "code", "del", "em", "i", "mark", "s", "small", "span", "strong", "sub", "sup"}
_UNSEEN: Final = {"script", "style", "template"}
_VOID: Final = {"br", "hr", "img", "input", "link", "meta", "col", "wbr"}
_HEADING: Final = re.compile(r"#+ +(?P<title>.+)")
_HIDING: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0", re.IGNORECASE)


class Line(NamedTuple):
    """A line of text that a page shows, and the id of its section."""

    place: str
    text: str


class Difference(NamedTuple):
    """A line, or a piece of markup, of a page and of the one that the sources give; empty where one lacks it."""

    kind: str
    place: str
    stated: str
    found: str


def differing(page: str, again: str) -> list[Difference]:
    """Return the lines of two pages that differ; where none do, the first difference of their markup.

    Parameters
    ----------
    page, again
        HTML, as it was written and as it is rendered again.  Claims, embedded spans, the data of interactive views,
        and the colours of services are left out; positions in pictures are compared to a fiftieth of a unit.
    """
    one, other = (_PARTS.split(_SLOT.sub(r"\1", _VIEW.sub(r"\1", _without_blocks(text)))) for text in (page, again))
    where = _first(one, other)
    if where is None:
        return []
    lines = list(_changed(lines_of(page), lines_of(again)))
    return lines or [Difference("markup", "markup", _shown(one, where), _shown(other, where))]


def differing_lines(text: str, again: str) -> list[Difference]:
    """Return the lines of two texts in Markdown, without their claims, that differ."""
    return list(_changed(*(_lines_of_markdown(without_claims(one)) for one in (text, again))))


def lines_of(page: str) -> list[Line]:
    """Return the text of a page in the order of its elements; hidden elements have none."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    reader.end_line()
    return reader.lines


def _without_blocks(page: str) -> str:
    """Return a page without its claims and spans."""
    return without_spans(without_claims(page))


def _first(one: Sequence[str], other: Sequence[str]) -> int | None:
    """Return the position of the first piece that differs; None without one."""
    return next((at for at, pair in enumerate(zip_longest(one, other)) if not _is_same(*pair)), None)


def _is_same(one: str | None, other: str | None) -> bool:
    """Return whether pieces are equal, or elements that are drawn at the same place."""
    if one == other:
        return True
    if one is None or other is None or not one.startswith("<") or _DRAWN.sub("", one) != _DRAWN.sub("", other):
        return False
    return all(map(_is_close, _DRAWN.findall(one), _DRAWN.findall(other)))


def _is_close(one: str, other: str) -> bool:
    """Return whether two attributes have the same numbers, up to rounding."""
    if _NUMBER.sub("0", one) != _NUMBER.sub("0", other):
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=_CLOSE) for a, b in pairs)


def _shown(parts: Sequence[str], at: int) -> str:
    """Return a piece of markup, shortened."""
    text = "".join(parts[at : at + 1])
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _changed(page: Sequence[Line], again: Sequence[Line]) -> Iterator[Difference]:
    """Yield the lines that differ: those in the same place side by side."""
    words = [[line.text for line in lines] for lines in (page, again)]
    first, last = _equal_ends(*words)
    one_middle, other_middle = (lines[first : len(lines) - last] for lines in words)
    for kind, low, high, start, end in SequenceMatcher(None, one_middle, other_middle, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        for one, other in zip_longest(page[first + low : first + high], again[first + start : first + end]):
            place = one.place if one is not None else other.place
            yield Difference("text", place, "" if one is None else one.text, "" if other is None else other.text)


def _equal_ends(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """Return how many lines two texts have in common at their beginning and at their end."""
    shorter = min(len(one), len(other))
    first = next((at for at in range(shorter) if one[at] != other[at]), shorter)
    last = next((at for at in range(shorter - first) if one[-1 - at] != other[-1 - at]), shorter - first)
    return first, last


def _lines_of_markdown(text: str) -> list[Line]:
    """Return the lines of Markdown, each with the heading above it."""
    place, lines = "", []
    for line in map(str.rstrip, text.splitlines()):
        heading = _HEADING.fullmatch(line)
        place = heading["title"] if heading else place
        lines += [Line(place, line)] if line else []
    return lines


class _Reader(HTMLParser):
    """Collects the lines of a page that a reader sees."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[Line] = []
        self._place = "page"
        self._words: list[str] = []
        self._hidden: list[str] = []  # open elements from the outermost hidden one on

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a line ends, a section begins, and whether an element is hidden."""
        given = dict(attrs)
        if tag not in _INLINE:
            self.end_line()
        if self._hidden:
            self._hidden += [tag] * (tag not in _VOID)
        elif tag not in _VOID and (tag in _UNSEEN or "hidden" in given or _HIDING.search(given.get("style") or "")):
            self._hidden = [tag]
        elif tag in {"section", "header", "footer", "nav"} or (tag == "div" and "id" in given):
            self._place = given.get("id") or tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where a line ends: the element has no text."""
        del attrs
        if tag not in _INLINE:
            self.end_line()

    def handle_endtag(self, tag: str) -> None:
        """Note where a line or a hidden element ends."""
        if tag not in _INLINE:
            self.end_line()
        if tag in self._hidden:
            del self._hidden[len(self._hidden) - 1 - self._hidden[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        """Note text that is shown."""
        if not self._hidden:
            self._words.append(data)

    def end_line(self) -> None:
        """Add a line of the words so far, if there are any."""
        text = " ".join("".join(self._words).split())
        self._words = []
        if text:
            self.lines.append(Line(self._place, text))
