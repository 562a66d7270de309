"""Markdown in a report: CommonMark with tables, without HTML, and without anything loaded from an address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from textwrap import dedent
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tracekit.text import clean
from tracekit.views.markup import Markup, content, element

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_TRACE_ID: Final = re.compile(r"\b([0-9a-f]{32})\b")
_LINKS: Final = ("http", "https", "mailto", "")
_TOP: Final = 3  # level of a first-level heading: the page's and the section's title are above


@dataclass(frozen=True)
class Markdown:
    """Text in Markdown, made by ``tk.md``.

    Parameters
    ----------
    text
        The text, without common indentation.

    Examples
    --------
    >>> Markdown("**Half** of them.")
    Markdown(text='**Half** of them.')
    """

    text: str

    def _repr_markdown_(self) -> str:
        return self.text


def md(text: str) -> Markdown:
    r"""Return text as Markdown, to be shown in a report or in a notebook.

    Parameters
    ----------
    text
        CommonMark with tables and ~~strikethrough~~; common indentation is removed.

    Returns
    -------
    Markdown
        A part of ``report`` or ``section``.

    Raises
    ------
    TypeError
        If it is not text.

    Notes
    -----
    In a report, HTML is shown as text, images are shown as their description (pass an image file as a part of its own),
    links lead to web and mail addresses only, and the id of a trace links to its waterfall if the page has one.  Plain
    strings in a report are not Markdown, because span names contain ``*`` and ``_``.

    Examples
    --------
    >>> md('''
    ...     - **05:01** rolled back
    ...     - **05:04** recovered
    ... ''').text
    '- **05:01** rolled back\n- **05:04** recovered'
    """
    if not isinstance(text, str):
        raise TypeError(f"expected Markdown as text, found {type(text).__name__}")
    return Markdown(dedent(text).strip())


def rendered(markdown: Markdown, shown: Container[str] = ()) -> Markup:
    """Return Markdown as HTML; ``shown`` are the ids of traces with a waterfall in the page."""
    parser = _parser()
    tokens = list(_safe(parser.parse(clean(markdown.text, block=True)), shown))
    return Markup(parser.renderer.render(tokens, parser.options, {}))


@cache
def _parser() -> MarkdownIt:
    """Return the parser, with HTML shown as text."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - only for pages with Markdown

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def _safe(tokens: list[Token], shown: Container[str]) -> Iterator[Token]:
    """Yield block tokens with safe links, trace links, no images, and headings below those of the page."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(_TOP - 1 + int(token.tag[1]), 6)}"
        if token.children:
            token.children = list(_inline(token.children, shown))
        yield _plain(token)


def _inline(tokens: list[Token], shown: Container[str]) -> Iterator[Token]:
    """Yield inline tokens; a link to any other kind of address becomes its text."""
    open_links: list[bool] = []
    for token in tokens:
        if token.type == "image":
            yield _html(token, element("em", {}, f"image: {token.content}"))
        elif token.type == "link_open":
            open_links.append(_is_link(str(token.attrs.get("href", ""))))
            if open_links[-1]:
                token.attrs = {"href": token.attrs["href"], "rel": "noopener noreferrer"}
                yield token
        elif token.type == "link_close":
            if open_links.pop():
                yield token
        elif token.type == "text" and not open_links:
            yield _html(token, content(*_linked(token.content, shown)))
        else:
            yield token


def _is_link(address: str) -> bool:
    """Return whether a link may lead there: a web or mail address, or an element of the page."""
    scheme = urlsplit(address).scheme
    return scheme in _LINKS and (bool(scheme) or address.startswith("#"))


def _linked(text: str, shown: Container[str]) -> Iterator[Markup | str]:
    """Yield text, with the ids of shown traces as links."""
    for number, part in enumerate(_TRACE_ID.split(text)):
        is_link = number % 2 == 1 and part in shown
        yield element("a", {"href": f"#trace-{part}"}, part) if is_link else part


def _html(token: Token, markup: Markup) -> Token:
    """Return a token that is rendered as this markup."""
    return token.copy(type="html_inline", tag="", content=str(markup), children=None)


def _plain(token: Token) -> Token:
    """Return a block token without inline styles, which the page's policy blocks."""
    alignment = str(token.attrs.pop("style", "")).removeprefix("text-align:")
    if alignment:
        token.attrs["class"] = alignment
    return token
