"""The chapters of a page: what its author wrote, and the standard sections of a set of traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracekit.report.outline import Block
from tracekit.report.parts import Composer, contents_of, heading_of, trace_of
from tracekit.views.colours import SHARED, Colours

if TYPE_CHECKING:
    from tracekit.report.outline import Blocks
    from tracekit.report.parts import Piece
    from tracekit.report.standard import Standard


@dataclass(frozen=True)
class Chapter:
    """A section of the page.

    Parameters
    ----------
    anchor
        Its id; empty for the introduction.
    title
        Its heading.
    pieces
        What stands in it.
    code
        The calls that give it again.
    is_standard
        The standard sections stand here, and nothing else.
    """

    anchor: str
    title: str
    pieces: list[Piece]
    code: str = ""
    is_standard: bool = False


@dataclass(frozen=True)
class Chapters:
    """All of a page, in order.

    Parameters
    ----------
    introduction
        What stands before everything else.
    rest
        The others.
    colours
        Slots of services.
    shown
        Ids of the traces whose waterfall is in the page.
    elsewhere
        Those of them that the author shows.
    """

    introduction: list[Piece]
    rest: list[Chapter]
    colours: Colours
    shown: set[str]
    elsewhere: set[str]

    @property
    def views(self) -> list[Piece]:
        """The live views that the author put in."""
        held = [*self.introduction, *(piece for chapter in self.rest for piece in chapter.pieces)]
        return [piece for piece in held if piece.data]

    def table_of_contents(self, standard: dict[str, str]) -> list[tuple[str, str]]:
        """Return ids and headings."""
        out: list[tuple[str, str]] = [("findings", "Findings")] if any(c.is_standard for c in self.rest) else []
        for chapter in self.rest:
            out += standard.items() if chapter.is_standard else [(chapter.anchor, chapter.title)]
        return out


def chapters_of(blocks: Blocks, standard: Standard | None) -> Chapters:
    """Return the chapters of a page."""
    contents = [
        [(part, contents_of(part, place)) for part, place in block.parts] if isinstance(block, Block) else []
        for block in blocks
    ]
    elsewhere = {trace_of(held) for parts in contents for _, inside in parts for held in inside} - {""}
    services, waterfalls = (standard.seen.services, standard.waterfalls) if standard else ([], [])
    colours = SHARED if any(contents) else Colours()  # views of a notebook keep the colours they had there
    colours.assign(services)
    taken = ["main", "plotly-script", *(f"trace-{name}" for name in waterfalls if name not in elsewhere)]
    shown = elsewhere | set(waterfalls)
    composer = Composer(colours, shown, [*taken, *(standard.taken if standard else ())])
    chapters = []
    for block, parts in zip(blocks, contents, strict=True):
        if not isinstance(block, Block):
            chapters.append(Chapter("", "", [], is_standard=True))
            continue
        title = block.title or (heading_of(parts[0][0], parts[0][1][0]) if chapters else "")
        anchor = composer.anchor(title) if chapters else ""
        pieces = [composer.piece(held, title) for _, inside in parts for held in inside]
        chapters.append(Chapter(anchor, title, pieces, block.code))
    return Chapters(chapters[0].pieces, chapters[1:], colours, shown, elsewhere)
