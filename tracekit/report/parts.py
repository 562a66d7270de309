"""Parts of report sections: text, tables, findings and interactive views, ready for the template."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pandas as pd

from tracekit.findings import Finding, Findings, Shown
from tracekit.report.frame_table import frame_table
from tracekit.report.html_table import HtmlTable, html_table
from tracekit.report.markdown import Markdown, rendered
from tracekit.report.pictures import picture_part
from tracekit.report.policy import packed
from tracekit.report.prose import prose
from tracekit.traces import TraceSet
from tracekit.views.card import Card
from tracekit.views.markup import Markup
from tracekit.views.plot import plot, view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracekit.report.redaction import Outgoing
    from tracekit.views.colours import Colours
    from tracekit.views.embedded import Embedded

Content: TypeAlias = "str | Markdown | pd.DataFrame | Findings | HtmlTable | Embedded"
_STATIC: Final = (str, Markdown, pd.DataFrame, Findings, HtmlTable)
_ACCEPTED: Final = (
    "text, tk.md(...), a DataFrame, Series or Styler, findings, a result with a view or a table, the return value of "
    "tk.plot or tk.waterfall, a figure of plotly or matplotlib, an image or the Path of an image"
)
_LONGEST: Final = 60  # characters of an element id


@dataclass(frozen=True)
class Piece:
    """One element of a section, ready for the template.

    Parameters
    ----------
    kind
        ``prose``, ``picture``, ``html``, ``table``, ``findings``, or the ``kind`` of an ``Embedded``.
    content
        Markup, HtmlTable, Table, [(id, Finding, code)], or Embedded.
    anchor
        Id of the element of an interactive view.
    article
        Id that links to the waterfall of a trace; empty for a repeated one.
    data
        Data of an interactive view, compressed.
    """

    kind: str
    content: Any
    anchor: str = ""
    article: str = ""
    data: str = ""


def contents_of(part: Any, place: str, outgoing: Outgoing | None = None) -> list[Content]:
    """Return the contents of a part as they may leave; of a result its view, and its table if it has one."""
    if outgoing is None:
        return _contents_of(part, place, None)
    return [outgoing.content(content) for content in _contents_of(outgoing.learn(part), place, outgoing.traces)]


def _contents_of(part: Any, place: str, redacted: Callable[[TraceSet], TraceSet] | None) -> list[Content]:
    """Return the contents of a part; a waterfall is of redacted traces."""
    if isinstance(part, str | Markdown | pd.DataFrame | Findings):
        return [part]
    if isinstance(part, pd.Series):
        return [part.to_frame()]
    if isinstance(part, Finding):
        return [Findings([part])]
    if isinstance(part, Card):
        return [part.inline()]
    if (live := _live(part, place, redacted)) is not None:
        return [live]
    table = getattr(part, "named_table", getattr(part, "table", None))
    frames = [table] if isinstance(table, pd.DataFrame) else []
    has_view = view_of(part) is not None and not isinstance(part, TraceSet)
    if not has_view and not frames:
        other = None if isinstance(part, TraceSet | Shown) else picture_part(part, place) or html_table(part)
        if other is not None:
            return [other]
        raise TypeError(f"{place}: expected {_ACCEPTED}, found {type(part).__name__}{_hint(part)}")
    return [*(_contents_of(plot(part), place, redacted) if has_view else []), *frames]


def trace_of(content: Content) -> str:
    """Return the trace id of a waterfall; empty for other contents."""
    return "" if isinstance(content, _STATIC) else content.trace_id


def heading_of(part: Any, content: Content) -> str:
    """Return the heading of a part outside of a section."""
    if isinstance(part, pd.DataFrame | pd.Series):
        return "Table"
    live = None if isinstance(content, _STATIC) else content
    if live is not None and live.kind == "chart" and view_of(part) is None:
        return live.title
    name = type(part).__name__.removesuffix("Widget")
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip().capitalize()


class Composer:
    """Makes the pieces of a page, with unique ids.

    Parameters
    ----------
    colours
        Colours of services.
    shown
        Ids of traces with a waterfall in the page.
    taken
        Element ids in use.
    """

    def __init__(self, colours: Colours, shown: set[str], taken: Iterable[str]) -> None:
        self._colours, self._shown = colours, shown
        self._taken, self._captions = set(taken), Counter[str]()

    def anchor(self, wanted: str) -> str:
        """Return an unused id made from this text."""
        words = "-".join("".join(c if c.isalnum() else " " for c in wanted.lower()).split())[:_LONGEST] or "section"
        free, number = words, 1
        while free in self._taken:
            number += 1
            free = f"{words}-{number}"
        self._taken.add(free)
        return free

    def piece(self, content: Content, title: str) -> Piece:
        """Return the piece of a content; ``title`` is that of its section."""
        if isinstance(content, Markup):
            return Piece("picture", content)
        if isinstance(content, HtmlTable):
            return Piece("html", content)
        if isinstance(content, Markdown):
            return Piece("prose", rendered(content, self._shown))
        if isinstance(content, str):
            return Piece("prose", prose(content, self._shown))
        if isinstance(content, pd.DataFrame):
            return Piece("table", frame_table(content, self._caption(title), self._colours, self._shown))
        if isinstance(content, Findings):
            rows = [(self.anchor(f"finding {finding.check}"), finding, finding.code) for finding in content]
            return Piece("findings", rows)
        article = f"trace-{content.trace_id}" if content.trace_id else ""
        article = "" if article in self._taken else article
        self._taken.add(article)
        return Piece(content.kind, content, self.anchor("view part"), article, packed(content.data))

    def _caption(self, title: str) -> str:
        """Return the caption of a table, numbered if its section has several: downloads are named after it."""
        name = title or "Table"
        self._captions[name] += 1
        return name if self._captions[name] == 1 else f"{name} {self._captions[name]}"


def _live(part: Any, place: str, redacted: Callable[[TraceSet], TraceSet] | None) -> Embedded | None:
    """Return the embedded form of a view; None if the part is not a view."""
    from tracekit.views.embedded import embedded  # noqa: PLC0415 - plotly and widgets load slowly

    try:
        return embedded(part, redacted)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _hint(part: Any) -> str:
    """Return what to pass instead, as the end of an error message."""
    if isinstance(part, TraceSet):
        return ": a section cannot contain a TraceSet; pass it as an item of the list"
    if isinstance(part, dict):
        return ": use tk.section(title, *parts) for parts under a heading"
    if isinstance(part, list | tuple):
        return f": pass the items of the {type(part).__name__} as separate parts"
    frames = [name for name, value in getattr(part, "__dict__", {}).items() if isinstance(value, pd.DataFrame)]
    return f": pass one of its frames: {', '.join(frames)}" if frames else ""
