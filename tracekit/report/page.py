"""The page: arrange the content, render the template, write the file atomically."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2

from tracekit.errors import RenderError
from tracekit.report.chapters import chapters_of
from tracekit.report.goals import Goals
from tracekit.report.ledger import embedded, ledger_of
from tracekit.report.policy import content_security_policy, inline, packed
from tracekit.report.prose import sentence
from tracekit.report.sections import is_recording, outline
from tracekit.report.sides import sides_of
from tracekit.report.slowest import HEIGHTS
from tracekit.report.standard import Standard
from tracekit.text import clean
from tracekit.traces import TraceSet
from tracekit.views.card import RULES as CARD_RULES
from tracekit.views.colours import DARK, LIGHT
from tracekit.views.markup import Markup

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from datetime import datetime

    from tracekit.report.chapters import Chapters
    from tracekit.report.redaction import Outgoing
    from tracekit.report.sections import Blocks

_HERE: Final = Path(__file__).parent
_MODULE: Final = _HERE.parent / "views" / "static" / "tracekit.js"
_STATIC: Final = re.compile(
    r'(?s)<script type="(?:module|application/x-tracekit-plotly)".*?</script>|<style>.*?</style>'
)
_NOT_REDACTED: Final = "Not redacted: this file may contain personal data and secrets."
_NO_TRACES: Final[dict[str, Any]] = {
    "alone": False, "compared": False, "period": "", "baseline": "", "sampling": "", "source_list": "", "findings": [],
    "screen": [], "screen_code": "", "timeline": None,
}  # fmt: skip


def write(
    sections: Any,
    path: str | os.PathLike[str],
    *,
    baseline: TraceSet | None = None,
    periods: Mapping[str, Any] | None = None,
    logs: Any = None,
    goals: Goals | None = None,
    title: str | None = None,
    generated: datetime | None = None,
    outgoing: Outgoing | None = None,
) -> Path:
    """Write the page; see ``tracekit.report.report``."""
    target = Path(path)
    if target.is_dir() or not target.absolute().parent.is_dir():
        what = "a folder" if target.is_dir() else "no folder " + str(target.absolute().parent)
        raise RenderError(f"expected the path of a file in an existing folder, found {what}: {target}")
    given = {"baseline": baseline, "periods": periods, "logs": logs, "goals": goals}
    page = render(sections, **given, title=title, generated=generated, outgoing=outgoing)
    if outgoing is not None:
        outgoing.check(_STATIC.sub("", page).encode("utf-8"), target.name)
    _write(target, page)
    return target


def render(
    sections: Any,
    *,
    baseline: TraceSet | None = None,
    periods: Mapping[str, Any] | None = None,
    logs: Any = None,
    goals: Goals | None = None,
    title: str | None = None,
    generated: datetime | None = None,
    outgoing: Outgoing | None = None,
) -> str:
    """Return the page as HTML text; of a ``Standard`` the traces are those that may leave."""
    given = sections if isinstance(sections, Standard) else None
    blocks = outline(given.seen.source if given else sections)
    if outgoing is not None and given is None:
        blocks = [outgoing.traces(block) if isinstance(block, TraceSet) else block for block in blocks]
        baseline = outgoing.set_of(baseline)
    standard = given or _standard(blocks, baseline, periods or {}, logs, goals or Goals(), outgoing)
    chapters = chapters_of(blocks, standard, outgoing)
    kinds = {piece.kind for piece in chapters.views}
    script = inline(_script(kinds), "the script")
    style = inline(_style(chapters), "the style sheet")
    plotly = _plotly() if "chart" in kinds else ""
    template = _environment().get_template("template.html")
    shown_title = title or (standard.title() if standard else "Report")
    return template.render(
        title=clean(shown_title if outgoing is None else outgoing.text(shown_title), limit=200),
        redaction=_NOT_REDACTED if outgoing is None else outgoing.statement,
        claims=embedded(ledger_of(standard, outgoing)) if standard else "",
        policy=content_security_policy(script, style, inserted=plotly),
        script=Markup(script),
        style=Markup(style),
        plotly=packed(plotly.encode("utf-8")) if plotly else "",
        generated=generated.strftime("%Y-%m-%d %H:%M") if generated else "",
        navigation=chapters.table_of_contents(*((standard.leading, standard.sections) if standard else ({}, {}))),
        introduction=chapters.introduction,
        chapters=chapters.rest,
        shown=chapters.shown,
        **(standard.first_screen() if standard else _NO_TRACES),
        **(standard.contents(chapters.colours, chapters.shown, chapters.elsewhere) if standard else {}),
    )


def _standard(
    blocks: Blocks,
    baseline: TraceSet | None,
    periods: Mapping[str, Any],
    logs: Any,
    goals: Goals,
    outgoing: Outgoing | None,
) -> Standard | None:
    """Return the results of the TraceSet among the blocks; None without one."""
    traces = next((block for block in blocks if is_recording(block)), None)
    if traces is None:
        asked = {"baseline": baseline, **periods, "logs": logs, **goals._asdict()}
        given = [name for name, value in asked.items() if value is not None]
        if given:
            raise ValueError(f"expected a TraceSet among the sections for {given[0]}= to refer to, found none")
        return None
    return Standard.between(sides_of(traces, baseline, **periods), logs, goals, outgoing)


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
    return f"{rules}{(_HERE / 'report.css').read_text(encoding='utf-8')}{_service_rules()}"


def _environment() -> jinja2.Environment:
    """Return the template engine: text is cleaned and escaped, undefined names raise."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: clean(value, block=True) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sentence"] = sentence
    return environment


def _service_rules() -> str:
    """Return style rules for the colours of services in light and dark themes."""
    light = "".join(f".dot{k}{{background:{c}}}.tk-s{k}{{fill:{c}}}" for k, c in enumerate(LIGHT))
    dark = [(f".dot{k}{{background:{c}}}", f".tk-s{k}{{fill:{c}}}") for k, c in enumerate(DARK)]
    chosen = "".join(f":root[data-theme=dark] {dot}:root[data-theme=dark] {fill}" for dot, fill in dark)
    system = "".join(f":root:not([data-theme=light]) {dot}:root:not([data-theme=light]) {fill}" for dot, fill in dark)
    return f"{light}@media screen{{{chosen}}}@media screen and (prefers-color-scheme:dark){{{system}}}"


def _write(target: Path, text: str) -> None:
    """Write to a temporary file and rename it, so that an interruption leaves the existing report."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.write_bytes(text.encode("utf-8"))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
