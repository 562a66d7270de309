"""A postmortem as Markdown, by the template here or by one of the reader's, with its pictures beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tracekit.errors import RenderError
from tracekit.report.ledger import ledger_of, plain, with_claims_in_comment
from tracekit.report.page import Given, put, target_of
from tracekit.report.postmortem import postmortem_shown
from tracekit.text import clean, in_markdown
from tracekit.views.markup import Markup

if TYPE_CHECKING:
    import os
    from datetime import datetime

    from tracekit.findings import Finding
    from tracekit.report.redaction import Outgoing
    from tracekit.report.standard import Standard

_TEMPLATE: Final = Path(__file__).parent / "postmortem.md.jinja"
# what an expression of a template can fail with; RenderError tells the reader, who wrote it
_FAILURES: Final = (
    jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip
_FIGURES: Final = {"timeline": "over_time", "change": "contributions"}
_RUNS: Final = re.compile("`+")
_ROOT: Final = re.compile(r"^<svg\b[^>]*>")
_GROUND: Final = '<rect width="100%" height="100%" fill="#fff"/>'  # a page in dark mode has no light ground


def write_markdown(
    standard: Standard,
    path: str | os.PathLike[str],
    *,
    template: str | os.PathLike[str] | None = None,
    title: str | None = None,
    generated: datetime | None = None,
    outgoing: Outgoing | None = None,
) -> Path:
    """Write a postmortem and its pictures; see ``Investigation.postmortem``."""
    target, given = target_of(path), Given.of(title, generated, outgoing)
    text, drawn = rendered(standard, target.stem, given, template=template, outgoing=outgoing)
    made = {target: text} | {target.with_name(name): _alone(picture) for name, picture in drawn.items()}
    for file, text in made.items():
        if outgoing is not None:
            outgoing.check(text.replace(r"-\u002d", "--").encode("utf-8"), file.name)  # as the claims spell it
    for file, text in reversed(made.items()):  # the pictures first: the text refers to them
        put(file, text)
    return target


def rendered(
    standard: Standard,
    stem: str,
    given: Given,
    *,
    template: str | os.PathLike[str] | None = None,
    outgoing: Outgoing | None = None,
) -> tuple[str, dict[str, Markup]]:
    """Return a postmortem as Markdown with its claims, and its pictures by the names of their files."""
    source = _source(template)
    shown = postmortem_shown(standard, outgoing)
    assert shown is not None
    drawn = {"timeline": standard.timeline_shown(), "change": shown["change"]}
    files = {name: f"{stem}-{name}.svg" for name, picture in drawn.items() if picture}
    names = {
        "title": given.title_of(standard, outgoing),
        "generated": given.generated,
        "redaction": given.redaction_of(outgoing),
        "captions": {name: _caption(standard, figure) for name, figure in _FIGURES.items()},
        "pictures": {name: Markup(quote(files[name])) if name in files else "" for name in drawn},
        **_names(standard, shown),
    }
    text = _rendered(source, template or _TEMPLATE, names)
    stated = {**given.stated, "stem": stem, "has_own_template": template is not None}
    claims = with_claims_in_comment(text, ledger_of(standard, outgoing, form="Markdown"), **stated)
    return claims, {files[name]: picture for name, picture in drawn.items() if picture}


def _caption(standard: Standard, name: str) -> str:
    """Return what to see in a figure; empty where it is not drawn."""
    return standard.figures[name].headline if name in standard.figures else ""


def _source(template: str | os.PathLike[str] | None) -> str:
    """Return the text of a template."""
    file = _TEMPLATE if template is None else Path(template)
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RenderError(f"expected a template to read, found {file}: {error}") from error


def _rendered(source: str, name: str | os.PathLike[str], names: dict[str, Any]) -> str:
    """Return a rendered template; RenderError says where it fails, and which names there are."""
    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        finalize=_escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _code
    try:
        return environment.from_string(source).render(names)
    except _FAILURES as error:
        line = getattr(error, "lineno", None) or _line_of(error)
        where = f"{name}, line {line}" if line else f"{name}"
        known = ", ".join(sorted(names))
        raise RenderError(
            f"{where}: expected a template that can be rendered, found: {error}; names are {known}"
        ) from error


def _escaped(value: Any) -> Any:
    """Return the text of an expression of a template; nothing but markup of this module stays as it is."""
    if isinstance(value, Markup | jinja2.Undefined):
        return value
    return in_markdown(str(value))


def _line_of(error: Exception) -> int | None:
    """Return the line of a template in which an error occurred; None where it is not known."""
    found, step = None, error.__traceback__
    while step is not None:
        found = step.tb_lineno if step.tb_frame.f_code.co_filename == "<template>" else found
        step = step.tb_next
    return found


def _code(text: object) -> Markup:
    """Return text as code in a line of Markdown, whatever characters it contains."""
    shown = clean(text)
    longest = max(map(len, _RUNS.findall(shown)), default=0)
    fence, space = "`" * (longest + 1), " " * (longest > 0)
    return Markup(f"{fence}{space}{shown}{space}{fence}")


def _alone(picture: Markup) -> str:
    """Return a picture as a file of its own, with a light ground."""
    return _ROOT.sub(lambda root: f"{root[0]}{_GROUND}", str(picture), count=1)


def _names(standard: Standard, shown: dict[str, Any]) -> dict[str, Any]:
    """Return what a template sees: texts, numbers, lists and mappings, nothing that can be called."""
    story = standard.story
    assert story is not None
    parts: dict[str, Any] = {
        "summary": [{**_entry(line), "title": title} for title, line in shown["summary"]],
        "impact": list(map(_entry, story.impact)),
        "timeline": [
            {**_entry(line), "at": at, "rest": rest}
            for line, (at, rest) in zip(story.timeline, shown["timeline"], strict=True)
        ],
        "waits": list(map(_entry, story.waits)),
        "hypotheses": [
            {"claim": _entry(one.claim), "evidence": list(map(_entry, one.evidence)),
             "counter": list(map(_entry, one.counter))}
            for one in story.hypotheses
        ],
        "limits": list(map(_entry, story.limits)),
        "remedies": list(map(_entry, story.remedies)),
        "actions": [
            {"item": _entry(item), "checks": [
                {**_entry(check), "kind": kind, "command": command, "rest": rest}
                for check, (kind, command, rest) in zip(one.checks, checks, strict=True)]}
            for one, (item, checks) in zip(story.actions, shown["actions"], strict=True)
        ],
    }  # fmt: skip
    sections = [
        {"name": name, "title": title, "entries": parts[name], "left_out": shown["left_out"].get(name, "")}
        for name, title in shown["sections"]
    ]
    facts = [{"name": name, "text": text} for name, text in shown["facts"]]
    return {**parts, "length": story.length, "sections": sections, "facts": facts}


def _entry(found: Finding) -> dict[str, Any]:
    """Return a sentence with its numbers."""
    return {
        "text": found.headline.replace("`", ""),
        "severity": found.severity,
        "check": found.check,
        "numbers": plain(found.values),
        "code": found.code,
    }
