"""A postmortem for its template: the sections, their pictures, and the appendix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.checks.postmortem.result import TITLES
from tracekit.checks.screen.lines import title_of
from tracekit.report.latency_change import change_picture
from tracekit.report.ledger import ledger_of
from tracekit.text import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.findings import Finding
    from tracekit.report.redaction import Outgoing
    from tracekit.report.standard import Standard
    from tracekit.views.markup import Markup

_KINDS: Final = {
    "diff": "Pipeline gate",
    "x-ray": "X-Ray filter expression",
    "traceql": "TraceQL",
    "instrumentation": "Instrumentation",
}
_REDACTED: Final = {
    "none": "nothing was removed", "default": "default policy", "policy": "a policy of its own"
}  # fmt: skip


def postmortem_shown(
    standard: Standard, outgoing: Outgoing | None, redacted: str | None = None
) -> dict[str, Any] | None:
    """Return what the template of a postmortem shows; None without one.

    ``redacted``: what was removed, where only redacted spans are known.
    """
    story = standard.story
    if story is None:
        return None
    ledger = ledger_of(standard, outgoing)
    return {
        "length": story.length,
        "sections": [(name, TITLES[name]) for name in story.sections],
        "parts": {name: getattr(story, name) for name in TITLES},
        "summary": [(title_of(line), line) for line in story.summary],
        "timeline": [parted(line, str(line.values["at"])) for line in story.timeline],
        "actions": [(one.item, [command_of(check) for check in one.checks]) for one in story.actions],
        "left_out": {name: plural(number, "more sentence") for name, number in story.left_out.items()},
        "change": _change(standard),
        "facts": facts_of({**ledger, "redacted": redacted or ledger["redacted"]}),
    }


def parted(found: Finding, start: str) -> tuple[str, str]:
    """Return the beginning of a sentence, and the rest of it."""
    return start, found.headline.removeprefix(start).strip()


def command_of(check: Finding) -> tuple[str, str, str]:
    """Return the kind of a check in words, its command, and what it says."""
    kind = _KINDS[str(check.values["kind"])]
    return (kind, *parted(check, str(check.values["command"])))


def _change(standard: Standard) -> Markup | None:
    """Return the chart of the change of the mean latency; None where nothing regressed."""
    is_shown = standard.story is not None and standard.story.waits and standard.changes is not None
    return change_picture(standard.changes, standard.sides.names) if is_shown and standard.changes else None


def facts_of(ledger: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the appendix of a postmortem with these claims: version, options, sources with checksums."""
    asked = ", ".join(f"{name}={_given(value)}" for name, value in ledger["asked"].items())
    rows = [("tracekit", str(ledger["tracekit"])), ("Options", asked or "defaults")]
    rows += [("Other inputs", ", ".join(ledger["inputs"]))] if ledger["inputs"] else []
    for name, one in ledger["sets"].items():
        files = ", ".join(ledger["reading"]["files"].get(name, ()))
        rows.append((name.capitalize(), f"{files}: {_size(one)}, checksum {one['checksum']}"))
    return [*rows, ("Redaction", _REDACTED[ledger["redacted"]])]


def _size(one: Mapping[str, Any]) -> str:
    """Return the number of traces and spans of a set."""
    return f"{plural(one['trace_count'], 'trace')}, {plural(one['span_count'], 'span')}"


def _given(value: Any) -> str:
    """Return an option in words."""
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)
