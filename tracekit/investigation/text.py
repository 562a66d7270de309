"""The text of a report, compared with that of the same report rendered again from its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.investigation.verification import NOT_COMPARED
from tracekit.report.page import Given, render
from tracekit.report.postmortem_markdown import rendered
from tracekit.report.same_text import differing, differing_lines
from tracekit.report.spans import stated_again

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from os import PathLike

    from tracekit.report.redaction import Outgoing
    from tracekit.report.standard import Standard


def not_compared(why: str) -> tuple[str, ...]:
    """Return the row on a text that cannot be rendered again."""
    return "text", "page", NOT_COMPARED, why, ""


def text_differences(
    page: str,
    stated: Mapping[str, Any],
    again: Standard,
    outgoing: Outgoing | None,
    *,
    is_own: bool,
    template: str | PathLike[str] | None,
) -> Iterator[tuple[str, ...]]:
    """Yield a row for each line of a report that differs from that of its sources.

    Parameters
    ----------
    page, stated
        The text of the file, and its claims.
    again, outgoing
        The report made again, and what may leave of it.
    is_own
        Whether it was made of the spans in the page, which lack what was removed.
    template
        The template of the writer, if there is one.
    """
    shown = stated["page"]
    given = Given(
        title=shown["title"],
        generated=shown["generated"],
        redaction=shown.get("redaction") if is_own else None,
        redacted=stated["redacted"] if is_own else None,
    )
    if outgoing is not None and shown["is_title_changed"]:
        outgoing.count_texts(1)  # as when the page was written, which has the title without what was removed
    if stated["form"] == "Markdown":
        found = differing_lines(page, rendered(again, shown["stem"], given, template=template, outgoing=outgoing)[0])
    else:
        spans = stated_again(page, again.sides, again.inputs, is_redacted=stated["redacted"] != "none")
        found = differing(page, render(again, outgoing=outgoing, again=given._replace(own_spans=spans)))
    for kind, place, one, other in found:
        status = "missing" if not other else "different" if one else "not shown"
        yield kind, place, status, one, other
