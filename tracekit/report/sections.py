"""Outline of a page: sections with their headings and parts, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from tracekit.arguments import is_store
from tracekit.report.markdown import Markdown
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.loading.store.trace_store import TraceStore


@dataclass(frozen=True)
class Section:
    """Parts of a page under one heading; the return value of ``section``.

    Parameters
    ----------
    title
        The heading.
    parts
        Content below the heading, in order.
    code
        Code that reproduces it.

    Examples
    --------
    >>> tk.section("What happened", "At 14:05 the ledger became slow.")
    Section('What happened', 1 part)
    """

    title: str
    parts: tuple[Any, ...]
    code: str = ""

    def __repr__(self) -> str:
        count = len(self.parts)
        return f"Section({self.title!r}, {count} part{'' if count == 1 else 's'})"


def section(title: str, *parts: Any, code: str = "") -> Section:
    """Group parts of a report under a heading.

    Parameters
    ----------
    title
        The heading, which is also in the table of contents.
    parts
        Content below the heading, in order: text, ``md(...)``, DataFrames, findings, results of analyses, return values
        of ``plot`` and ``waterfall``, figures of plotly and matplotlib, images.  See ``report``.
    code
        Code that reproduces the content; shown on request.

    Returns
    -------
    Section
        An item for the list that is passed to ``report``.

    Raises
    ------
    TypeError
        If the title or the code is not text.

    Examples
    --------
    >>> tk.section("Affected requests", "Half of them.", shop.summary, code="shop.summary")
    Section('Affected requests', 2 parts)
    """
    for what, text in (("title", title), ("code", code)):
        if not isinstance(text, str):
            raise TypeError(f"expected text as the {what} of a section, found {type(text).__name__}")
    return Section(title, parts, code)


@dataclass(frozen=True)
class Block:
    """A section of the page, with the positions of its parts in the list.

    Parameters
    ----------
    title
        The heading; empty if it is derived from the first part.
    parts
        (part, its position for error messages).
    code
        Code that reproduces it.
    """

    title: str
    parts: list[tuple[Any, str]] = field(default_factory=list)
    code: str = ""


Recording: TypeAlias = "TraceSet | TraceStore"
Blocks: TypeAlias = "list[Block | Recording]"


def is_recording(part: object) -> TypeGuard[Recording]:
    """Return whether a part stands for the standard sections: a TraceSet or a TraceStore."""
    return isinstance(part, TraceSet) or is_store(part)


def outline(sections: Any) -> Blocks:
    """Return the blocks of a page; text outside of a section is appended to the preceding block."""
    parts: Sequence[Any] = sections if isinstance(sections, list | tuple) else [sections]
    if not parts:
        raise ValueError("expected at least one section, found an empty list: pass a TraceSet or a list of parts")
    blocks: Blocks = [Block("")]
    for number, part in enumerate(parts, 1):
        place = f"item {number} of the list"
        if is_recording(part):
            if any(is_recording(block) for block in blocks):
                raise ValueError(
                    f"{place}: expected at most one TraceSet, found a second: pass a baseline as baseline=, "
                    "or pass results of an analysis"
                )
            blocks.append(part)
        elif isinstance(part, Section):
            inside = [(item, f"part {k} of section {part.title!r}") for k, item in enumerate(part.parts, 1)]
            blocks.append(Block(part.title, inside, part.code))
        elif isinstance(part, str | Markdown):
            if not isinstance(blocks[-1], Block):
                raise ValueError(
                    f"{place}: expected a section after a TraceSet, found text without a heading: "
                    "use tk.section(title, text)"
                )
            blocks[-1].parts.append((part, place))
        else:
            blocks.append(Block("", [(part, place)]))
    return blocks
