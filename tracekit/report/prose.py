"""Plain text of report sections, with minimal markup.

A blank line ends a paragraph, lines that begin with ``- `` are a list, text between backticks is code, and the id of a
trace links to its waterfall if the page has one.  There is no further markup, because span names contain ``*``, ``_``
and ``<``.
"""

from __future__ import annotations

import re
from textwrap import dedent
from typing import TYPE_CHECKING, Final

from tracekit.views.markup import Markup, content, element

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

_TOKENS: Final = re.compile(r"`([^`]+)`|\b([0-9a-f]{32})\b")
_ITEM: Final = re.compile(r"(?m)^[ \t]*- ")


def prose(text: str, shown: Container[str] = ()) -> Markup:
    r"""Return a text as paragraphs and lists; ``shown`` are the ids of traces with a waterfall in the page."""
    blocks = filter(None, (block.strip() for block in re.split(r"\n[ \t]*\n", dedent(text))))
    return Markup("".join(part for block in blocks for part in _block(block, shown)))


def _block(block: str, shown: Container[str]) -> Iterator[Markup]:
    """Yield the elements of one block: a paragraph, a list, or both."""
    before, *items = _ITEM.split(block)
    if before.strip():
        yield element("p", {}, *_line(before, shown))
    if items:
        yield element("ul", {}, *(element("li", {}, *_line(item, shown)) for item in items))


def _line(text: str, shown: Container[str]) -> Iterator[Markup | str]:
    """Yield the parts of running text, with lines joined: text, code and links."""
    line, reached = " ".join(text.split()), 0
    for found in _TOKENS.finditer(line):
        code, trace_id = found.groups()
        if code is None and trace_id not in shown:
            continue
        yield line[reached : found.start()]
        reached = found.end()
        yield element("code", {}, code) if code else element("a", {"href": f"#trace-{trace_id}"}, trace_id)
    yield line[reached:]


def sentence(text: str) -> Markup:
    """Return a sentence of a finding, with names between backticks as code."""
    return content(*_line(text, ()))
