"""The page: arrange the content, render the template, write the file atomically."""

from __future__ import annotations

import re
import secrets
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.errors import RenderError
from tracekit.report.chapters import chapters_of
from tracekit.report.contents import contents
from tracekit.report.inputs import NO_INPUTS, Inputs
from tracekit.report.ledger import PLACE, ledger_of, with_claims
from tracekit.report.policy import content_security_policy, inline, packed
from tracekit.report.postmortem import postmortem_shown
from tracekit.report.sections import Block, is_recording, outline
from tracekit.report.sides import sides_of
from tracekit.report.slowest import HEIGHTS
from tracekit.report.spans import embedded_spans
from tracekit.report.standard import Standard
from tracekit.report.templates import compile_pages, environment
from tracekit.text import clean
from tracekit.traces import TraceSet
from tracekit.views.card import RULES as CARD_RULES
from tracekit.views.colours import DARK, LIGHT
from tracekit.views.markup import Markup

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from datetime import datetime

    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.report.chapters import Chapters
    from tracekit.report.redaction import Outgoing
    from tracekit.report.sections import Blocks
    from tracekit.report.spans import Embedded

_HERE: Final = Path(__file__).parent
_MODULE: Final = _HERE.parent / "views" / "static" / "tracekit.js"
_STATIC: Final = re.compile(
    r'(?s)<script type="(?:module|application/x-tracekit-plotly)".*?</script>|<style>.*?</style>'
)
NOT_REDACTED: Final = "Not redacted: this file may contain personal data and secrets."
_NO_TRACES: Final[dict[str, Any]] = {
    "alone": False, "compared": False, "period": "", "baseline": "", "sampling": "", "source_list": "", "findings": [],
    "screen": [], "screen_code": "", "timeline": None, "readings": {}, "tables": {},
}  # fmt: skip


class Given(NamedTuple):
    """What a page has that does not follow from its traces; a page that is rendered again takes it from the first one.

    Parameters
    ----------
    title
        The title of the writer; empty for that of the sources.
    generated
        The time that the page shows.
    redaction, redacted
        What was removed, as a sentence and as the claims state it, where only redacted spans are known; None where it
        follows from the traces.
    own_spans
        The spans in the page.
    is_title_changed
        Whether something was removed from the title.
    """

    title: str = ""
    generated: str = ""
    redaction: str | None = None
    redacted: str | None = None
    own_spans: Embedded | None = None
    is_title_changed: bool = False

    @classmethod
    def of(cls, title: str | None, generated: datetime | None, outgoing: Outgoing | None) -> Given:
        """Return what the writer of a page gave, as it may leave."""
        own = title or ""
        safe = outgoing.text(own) if outgoing is not None and own else own
        when = generated.strftime("%Y-%m-%d %H:%M") if generated else ""
        return cls(clean(safe, limit=200), when, is_title_changed=safe != own)

    def title_of(self, standard: Standard | None, outgoing: Outgoing | None) -> str:
        """Return the title that the page shows."""
        if self.title:
            return self.title
        own = "Report" if standard is None else standard.title()
        return clean(own if outgoing is None else outgoing.text(own), limit=200)

    def redaction_of(self, outgoing: Outgoing | None) -> str:
        """Return the sentence on what was removed."""
        if self.redaction is not None:
            return self.redaction
        return NOT_REDACTED if outgoing is None else outgoing.statement

    @property
    def stated(self) -> dict[str, str | bool]:
        """What the claims of the page state of it."""
        return {"title": self.title, "generated": self.generated, "is_title_changed": self.is_title_changed}


def write(
    sections: Any,
    path: str | os.PathLike[str],
    *,
    baseline: TraceSet | TraceStore | None = None,
    periods: Mapping[str, Any] | None = None,
    inputs: Inputs = NO_INPUTS,
    title: str | None = None,
    generated: datetime | None = None,
    outgoing: Outgoing | None = None,
    embed: bool = False,
) -> Path:
    """Write the page; see ``tracekit.report.report``."""
    target = target_of(path)
    page = render(
        sections,
        baseline=baseline,
        periods=periods,
        inputs=inputs,
        title=title,
        generated=generated,
        outgoing=outgoing,
        embed=embed,
    )
    if outgoing is not None:
        outgoing.check(_STATIC.sub("", page).encode("utf-8"), target.name)
    put(target, page)
    return target


def target_of(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that can be written; RenderError for a folder, and where the folder does not exist."""
    target = Path(path)
    if target.is_dir() or not target.absolute().parent.is_dir():
        what = "a folder" if target.is_dir() else "no folder " + str(target.absolute().parent)
        raise RenderError(f"expected the path of a file in an existing folder, found {what}: {target}")
    return target


def render(
    sections: Any,
    *,
    baseline: TraceSet | TraceStore | None = None,
    periods: Mapping[str, Any] | None = None,
    inputs: Inputs = NO_INPUTS,
    title: str | None = None,
    generated: datetime | None = None,
    outgoing: Outgoing | None = None,
    embed: bool = False,
    again: Given | None = None,
) -> str:
    """Return the page as HTML text; of a ``Standard`` the traces are those that may leave."""
    more = again or Given.of(title, generated, outgoing)
    given = sections if isinstance(sections, Standard) else None
    if given is not None and given.is_brief:
        return _brief(given, _with_spans(more, given, outgoing) if embed else more, outgoing)
    blocks = outline(given.seen.source if given else sections)
    if outgoing is not None and given is None:
        blocks = [outgoing.traces(block) if isinstance(block, TraceSet) else block for block in blocks]
        baseline = outgoing.set_of(baseline)
    standard = given or _standard(blocks, baseline, periods or {}, inputs, outgoing)
    if embed and standard is None:
        raise ValueError("expected a TraceSet among the sections for embed= to refer to, found none")
    if embed and standard is not None:
        more = _with_spans(more, standard, outgoing)
    chapters = chapters_of(blocks, standard, outgoing)
    kinds = {piece.kind for piece in chapters.views}
    script = inline(_script(kinds), "the script")
    style = inline(_style(chapters), "the style sheet")
    plotly = _plotly() if "chart" in kinds else ""
    engine = environment()
    title_shown, redaction = more.title_of(standard, outgoing), more.redaction_of(outgoing)
    postmortem = postmortem_shown(standard, outgoing, more.redacted) if standard else None
    shown = contents(standard, chapters, partial(compile_pages, engine)) if standard else _NO_TRACES
    page = engine.get_template("template.html").render(
        title=title_shown,
        redaction=redaction,
        own_spans=more.own_spans,
        claims=PLACE if standard else "",
        postmortem=postmortem,
        policy=content_security_policy(script, style, inserted=plotly),
        script=Markup(script),
        style=Markup(style),
        plotly=packed(plotly.encode("utf-8")) if plotly else "",
        generated=more.generated,
        navigation=chapters.table_of_contents(*((standard.leading, standard.sections) if standard else ({}, {}))),
        introduction=chapters.introduction,
        chapters=chapters.rest,
        shown=chapters.shown,
        **shown,
    )
    if standard is None:
        return page
    own = sum(isinstance(block, Block) and bool(block.title or block.parts) for block in blocks)
    stated = {**more.stated, "redaction": redaction, "own_part_count": own}
    return with_claims(page, ledger_of(standard, outgoing), **stated)


def _with_spans(more: Given, standard: Standard, outgoing: Outgoing | None) -> Given:
    """Return the same with the spans that the page is made of."""
    own_spans = embedded_spans(standard.sides, standard.inputs, is_redacted=outgoing is not None)
    return more._replace(own_spans=own_spans)


def _brief(standard: Standard, more: Given, outgoing: Outgoing | None) -> str:
    """Return a postmortem without the sections of the report, as HTML text: a page without scripts."""
    style, redaction = inline(_sheet(), "the style sheet"), more.redaction_of(outgoing)
    page = (
        environment()
        .get_template("brief.html")
        .render(
            title=more.title_of(standard, outgoing),
            redaction=redaction,
            own_spans=more.own_spans,
            claims=PLACE,
            postmortem=postmortem_shown(standard, outgoing, more.redacted),
            policy=content_security_policy("", style),
            style=Markup(style),
            generated=more.generated,
            timeline=standard.timeline_shown() if "over_time" in standard.figures_shown else None,
            readings=standard.figures_shown,
        )
    )
    return with_claims(page, ledger_of(standard, outgoing), **more.stated, redaction=redaction)


def _standard(
    blocks: Blocks,
    baseline: TraceSet | TraceStore | None,
    periods: Mapping[str, Any],
    inputs: Inputs,
    outgoing: Outgoing | None,
) -> Standard | None:
    """Return the results of the TraceSet among the blocks; None without one."""
    traces = next((block for block in blocks if is_recording(block)), None)
    if traces is None:
        asked = {"baseline": baseline, **periods, **inputs.given}
        given = [name for name, value in asked.items() if value is not None]
        if given:
            raise ValueError(f"expected a TraceSet among the sections for {given[0]}= to refer to, found none")
        return None
    return Standard.between(sides_of(traces, baseline, **periods), inputs, outgoing)


def _script(kinds: set[str]) -> str:
    """Return the script of the page: the front end, and what custom views need in addition."""
    text = f"{_MODULE.read_text(encoding='utf-8')}\nbootStatic();\n"
    if kinds & {"chart", "canvas"}:
        text += f"{(_HERE / 'charts.js').read_text(encoding='utf-8')}\nbootParts();\n"
    return text


def _plotly() -> str:
    """Return the source of plotly.js."""
    from tracekit.views.embedded import plotly_script  # noqa: PLC0415 - only for pages with charts

    return plotly_script()


def _style(chapters: Chapters) -> str:
    """Return the style sheet, with a rule for each view height and those of tables of other libraries."""
    heights = {*HEIGHTS, *(piece.content.height for piece in chapters.views)}
    rules = "".join(f".view.h{height}{{min-height:{height}px}}" for height in sorted(heights))
    tables = [piece.content.rules for piece in chapters.pieces if piece.kind == "html"]
    rules += "".join(dict.fromkeys(rule for found in tables for rule in found))
    rules += CARD_RULES
    return f"{rules}{_sheet()}"


def _sheet() -> str:
    """Return the style sheet that all pages have."""
    return f"{(_HERE / 'report.css').read_text(encoding='utf-8')}{_service_rules()}"


def _service_rules() -> str:
    """Return style rules for the colours of services in light and dark themes."""
    light = "".join(f".dot{k}{{background:{c}}}.tk-s{k}{{fill:{c}}}" for k, c in enumerate(LIGHT))
    dark = [(f".dot{k}{{background:{c}}}", f".tk-s{k}{{fill:{c}}}") for k, c in enumerate(DARK)]
    chosen = "".join(f":root[data-theme=dark] {dot}:root[data-theme=dark] {fill}" for dot, fill in dark)
    system = "".join(f":root:not([data-theme=light]) {dot}:root:not([data-theme=light]) {fill}" for dot, fill in dark)
    return f"{light}@media screen{{{chosen}}}@media screen and (prefers-color-scheme:dark){{{system}}}"


def put(target: Path, text: str) -> None:
    """Write to a temporary file and rename it, so that an interruption leaves the existing report."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.write_bytes(text.encode("utf-8"))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
