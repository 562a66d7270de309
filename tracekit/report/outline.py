"""What an author puts into a page, and in which order: sections under their headings, and the parts they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Section:
    """Parts of a page under one heading; ``section`` makes it.

    Parameters
    ----------
    title
        The heading.
    parts
        What stands below it, in this order.
    code
        The calls that give it again.

    Examples
    --------
    >>> Section("What happened", ("At 14:05 the ledger slowed down.",))
    Section('What happened', 1 part)
    """

    title: str
    parts: tuple[Any, ...]
    code: str = ""

    def __repr__(self) -> str:
        count = len(self.parts)
        return f"Section({self.title!r}, {count} part{'' if count == 1 else 's'})"


def section(title: str, *parts: Any, code: str = "") -> Section:
    """Put parts of a report under a heading.

    Parameters
    ----------
    title
        The heading; the table of contents has it too, and ``#`` with its words leads there.
    parts
        What stands below it, in this order: text, DataFrames, findings, results of analyses, what ``plot`` and
        ``waterfall`` return, plotly figures.  See ``report``.
    code
        The calls that give this again; shown at a click.

    Returns
    -------
    Section
        For the list that ``report`` takes.

    Raises
    ------
    TypeError
        If the title or the code is no text.

    Examples
    --------
    >>> section("Who waited", "Half of them.", code="tk.latency(traces)").code
    'tk.latency(traces)'
    """
    for what, text in (("title", title), ("code", code)):
        if not isinstance(text, str):
            raise TypeError(f"expected text as the {what} of a section, found {type(text).__name__}")
    return Section(title, parts, code)


@dataclass(frozen=True)
class Block:
    """A section of the page, with the places that its parts had in the list.

    Parameters
    ----------
    title
        The heading; empty for what has to be named after its first part.
    parts
        (part, its place in words).
    code
        The calls that give it again.
    """

    title: str
    parts: list[tuple[Any, str]] = field(default_factory=list)
    code: str = ""


Blocks: TypeAlias = "list[Block | TraceSet]"


def outline(sections: Any) -> Blocks:
    """Return the blocks of a page: text outside of a section goes on with what stands before it."""
    parts: Sequence[Any] = sections if isinstance(sections, list | tuple) else [sections]
    if not parts:
        raise ValueError("expected at least one section, found an empty list: give a TraceSet, or what should be shown")
    blocks: Blocks = [Block("")]
    for number, part in enumerate(parts, 1):
        place = f"place {number} of the list"
        if isinstance(part, TraceSet):
            if any(isinstance(block, TraceSet) for block in blocks):
                raise ValueError(
                    f"{place}: expected at most one TraceSet, found a second: what it is compared with is given as "
                    "baseline=, and of others the results can be shown"
                )
            blocks.append(part)
        elif isinstance(part, Section):
            inside = [(held, f"part {k} of section {part.title!r}") for k, held in enumerate(part.parts, 1)]
            blocks.append(Block(part.title, inside, part.code))
        elif isinstance(part, str):
            if isinstance(blocks[-1], TraceSet):
                raise ValueError(  # noqa: TRY004 - text may stand here, elsewhere
                    f"{place}: expected a section after a TraceSet, found text without a heading: "
                    "tk.section(title, text) gives it one"
                )
            blocks[-1].parts.append((part, place))
        else:
            blocks.append(Block("", [(part, place)]))
    return blocks
