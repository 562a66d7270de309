"""Chapters of a page: custom sections, and the standard sections of a set of traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracekit.report.parts import Composer, contents_of, heading_of, trace_of
from tracekit.report.sections import Block
from tracekit.views.colours import Colours, colours_for

if TYPE_CHECKING:
    from tracekit.report.parts import Content, Piece
    from tracekit.report.redaction import Outgoing
    from tracekit.report.sections import Blocks, Recording
    from tracekit.report.standard import Standard


@dataclass(frozen=True)
class Chapter:
    """A section of the page.

    Parameters
    ----------
    anchor
        Element id; empty for the introduction.
    title
        The heading.
    pieces
        The content.
    code
        Code that reproduces it.
    is_standard
        Whether this is the place of the standard sections.
    """

    anchor: str
    title: str
    pieces: list[Piece]
    code: str = ""
    is_standard: bool = False


@dataclass(frozen=True)
class Chapters:
    """The content of a page, in order.

    Parameters
    ----------
    introduction
        Content before the first heading.
    rest
        The other chapters.
    colours
        Colours of services.
    shown
        Ids of traces with a waterfall in the page.
    elsewhere
        Ids of traces with a waterfall in a custom section.
    """

    introduction: list[Piece]
    rest: list[Chapter]
    colours: Colours
    shown: set[str]
    elsewhere: set[str]

    @property
    def pieces(self) -> list[Piece]:
        """The pieces of the introduction and of custom sections."""
        return [*self.introduction, *(piece for chapter in self.rest for piece in chapter.pieces)]

    @property
    def views(self) -> list[Piece]:
        """The interactive views among them."""
        return [piece for piece in self.pieces if piece.data]

    def table_of_contents(self, leading: dict[str, str], standard: dict[str, str]) -> list[tuple[str, str]]:
        """Return ids and headings: of the sections before all chapters, and of the chapters."""
        is_standard = any(chapter.is_standard for chapter in self.rest)
        out = [*leading.items()] if is_standard else []
        for chapter in self.rest:
            out += standard.items() if chapter.is_standard else [(chapter.anchor, chapter.title)]
        return out


def chapters_of(blocks: Blocks, standard: Standard | None, outgoing: Outgoing | None = None) -> Chapters:
    """Return the chapters of a page."""
    contents = [_contents(block, outgoing) for block in blocks]
    elsewhere = {trace_of(content) for inside in contents for content in inside} - {""}
    sides, waterfalls = (standard.sides[:2], standard.shown.embedded) if standard else ((), [])
    colours = colours_for(*(side for side in sides if side is not None))
    taken = ["main", "plotly-script", *(f"trace-{name}" for name in waterfalls if name not in elsewhere)]
    shown = elsewhere | set(waterfalls)
    composer = Composer(colours, shown, [*taken, *(standard.taken if standard else ())])
    introduction = [composer.piece(content, "") for content in contents[0]]
    rest = [_chapter(block, inside, composer, outgoing) for block, inside in zip(blocks[1:], contents[1:], strict=True)]
    return Chapters(introduction, rest, colours, shown, elsewhere)


def _contents(block: Block | Recording, outgoing: Outgoing | None) -> list[Content]:
    """Return the contents of a block; none where the standard sections go."""
    parts = block.parts if isinstance(block, Block) else []
    return [content for part, place in parts for content in contents_of(part, place, outgoing)]


def _chapter(block: Block | Recording, inside: list[Content], composer: Composer, outgoing: Outgoing | None) -> Chapter:
    """Return the chapter of a block."""
    if not isinstance(block, Block):
        return Chapter("", "", [], is_standard=True)
    title = block.title or heading_of(block.parts[0][0], inside[0])
    code = block.code
    if outgoing is not None:
        title, code = outgoing.texts([title, code])
    return Chapter(composer.anchor(title), title, [composer.piece(content, title) for content in inside], code)
