"""What an author writes: plain text, and nothing that a name from data could be mistaken for.

A blank line ends a paragraph, lines that begin with ``- `` are a list, words between backticks are code, the id of a
trace whose waterfall is in the page leads there.  There is no further markup: names of spans hold ``*``, ``_`` and
``<``, and stand as they were written.
"""

from __future__ import annotations

import re
from textwrap import dedent
from typing import TYPE_CHECKING, Final

from tracekit.views.markup import Markup, content, element

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

_TOLD_APART: Final = re.compile(r"`([^`]+)`|\b([0-9a-f]{32})\b")
_ITEM: Final = re.compile(r"(?m)^[ \t]*- ")


def prose(text: str, shown: Container[str] = ()) -> Markup:
    r"""Return a text as paragraphs and lists."""
    blocks = filter(None, (block.strip() for block in re.split(r"\n[ \t]*\n", dedent(text))))
    return Markup("".join(part for block in blocks for part in _block(block, shown)))


def _block(block: str, shown: Container[str]) -> Iterator[Markup]:
    """Return what stands between two blank lines: a paragraph, a list, or a list after the words that lead to it."""
    before, *items = _ITEM.split(block)
    if before.strip():
        yield element("p", {}, *_line(before, shown))
    if items:
        yield element("ul", {}, *(element("li", {}, *_line(item, shown)) for item in items))


def _line(text: str, shown: Container[str]) -> Iterator[Markup | str]:
    """Return the pieces of running text, lines joined: words, code and links."""
    line, reached = " ".join(text.split()), 0
    for found in _TOLD_APART.finditer(line):
        code, trace_id = found.groups()
        if code is None and trace_id not in shown:
            continue
        yield line[reached : found.start()]
        reached = found.end()
        yield element("code", {}, code) if code else element("a", {"href": f"#trace-{trace_id}"}, trace_id)
    yield line[reached:]


def sentence(text: str) -> Markup:
    """Return the sentence of a finding, names between backticks as code."""
    return content(*_line(text, ()))
