"""The claims of a report, machine-readable in the page: what was found, of which traces, and how to find it again."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from hashlib import blake2b
from html import unescape
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from tracekit.analysis.partials import over_parts
from tracekit.errors import TracekitError
from tracekit.loading.checksum import digest, sums_of
from tracekit.redaction.policy import STANDARD, policy_of
from tracekit.self_description import names_of
from tracekit.text import clean
from tracekit.traces import TraceSet
from tracekit.views.markup import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tracekit.findings import Finding
    from tracekit.parts import Parts
    from tracekit.report.redaction import Outgoing
    from tracekit.report.standard import Standard

VERSION: Final = 1
PLACE: Final = Markup("<!--tracekit-claims-->")  # of the claims in a page that is being written
_BLOCK: Final = re.compile(
    r'<script type="application/json" id="tracekit-claims" data-digest="(\w+)">(.*?)</script>', re.DOTALL
)
_COMMENT: Final = re.compile(r"<!-- tracekit-claims (\w+)\n(.*?)\n-->", re.DOTALL)
_MARKDOWN: Final = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])|(?P<fence>`+)(?P<code>.+?)(?<!`)(?P=fence)(?!`)|&lt;|\*\*"
)
Form = Literal["page", "Markdown"]
_HIDDEN: Final = re.compile(r"<(script|style|template)\b.*?</\1>", re.DOTALL)
_TAG: Final = re.compile(r"<[^>]*>")


def ledger_of(standard: Standard, outgoing: Outgoing | None, *, form: Form = "page") -> dict[str, Any]:
    """Return the claims of a report as JSON values: traces with their checksums, options, and findings with values.

    ``form``: ``page``, or ``Markdown``, which has the sentences of a postmortem and of its figures only.
    """
    sides = standard.sides
    sets = {"traces": sides.traces, "baseline": sides.baseline}
    return {
        "ledger": VERSION,
        "tracekit": _tracekit_version(),
        "redacted": redaction_of(outgoing),
        "asked": dict(sides.asked),
        "inputs": sorted({*sides.inputs, *_inputs(standard)}),
        "input_checksums": standard.input_sums,
        "sets": standard.facts,
        "form": form,
        "claims": list(_claims(*(standard.claims if form == "page" else standard.claims_in_markdown))),
        "files": {} if standard.story is None else {
            name: names_of(one.sources) for name, one in sets.items() if isinstance(one, TraceSet)
        },
    }  # fmt: skip


def set_facts(traces: TraceSet | Parts) -> dict[str, Any]:
    """Return checksum and size of traces, or of a store."""
    found = over_parts(traces, sums_of, np.add)
    trace_count, span_count = found.weights.trace_count, int(found.state[0, 0])
    return {"checksum": digest(found.state), "trace_count": trace_count, "span_count": span_count}


def _inputs(standard: Standard) -> Iterator[str]:
    """Yield the inputs beside traces without which these claims are not found."""
    if any(found.check == "new_log_lines" for found in standard.findings):
        yield "logs"
    yield from (name for name, value in standard.goals._asdict().items() if value is not None)


def redaction_of(outgoing: Outgoing | None) -> str:
    """Return what became of personal data and secrets: ``none``, ``default``, or ``policy`` for another one."""
    if outgoing is None:
        return "none"
    return STANDARD if outgoing.policy == policy_of(STANDARD) else "policy"


def _claims(*parts: Iterable[Finding]) -> Iterator[dict[str, Any]]:
    """Yield each finding with its values; several of one check are numbered."""
    seen: Counter[str] = Counter()
    for part in parts:
        for found in part:
            seen[found.check] += 1
            yield {
                "id": f"{found.check}-{seen[found.check]}",
                "severity": found.severity,
                "text": found.headline,
                "values": plain(found.values),
            }


def plain(value: Any) -> Any:
    """Return a value as JSON has it; numbers that are not finite as text."""
    if hasattr(value, "items"):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(one) for one in value]
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def with_claims(page: str, ledger: dict[str, Any]) -> str:
    """Return a page with its claims, each with how often the page shows its text."""
    words = words_of(page)
    claims = [{**claim, "shown_count": shown_count(claim["text"], words)} for claim in ledger["claims"]]
    before, _, after = page.rpartition(PLACE)
    return f"{before}{_embedded({**ledger, 'claims': claims})}{after}"


def _embedded(ledger: dict[str, Any]) -> Markup:
    """Return the element of a page that contains the claims."""
    text = _plain_json(ledger)
    start = f'<script type="application/json" id="tracekit-claims" data-digest="{_digest(text)}">'
    return Markup(f"{start}{text}</script>")


def with_claims_in_comment(markdown: str, ledger: Mapping[str, Any], *, is_own_template: bool) -> str:
    """Return Markdown with its claims in a comment, which renderers hide; one's own template need not show them all."""
    words = _words_of_markdown(markdown)
    least = 0 if is_own_template else 1
    claims = [{**claim, "shown_count": max(least, shown_count(claim["text"], words))} for claim in ledger["claims"]]
    text = _plain_json({**ledger, "claims": claims, "is_own_template": is_own_template})
    return f"{markdown.rstrip()}\n\n<!-- tracekit-claims {_digest(text)}\n{text}\n-->\n"


def _plain_json(ledger: Mapping[str, Any]) -> str:
    """Return claims as JSON that neither an element nor a comment ends in: without ``<``, ``&`` and ``--``."""
    text = json.dumps(ledger, ensure_ascii=True, allow_nan=False).replace("<", r"\u003c").replace("&", r"\u0026")
    return text.replace("--", r"-\u002d")


def ledger_in(page: str, name: str) -> tuple[dict[str, Any], bool]:
    """Return the claims in a page or Markdown, and whether they are as written; TracekitError if there are none."""
    block = _BLOCK.search(page) or _COMMENT.search(page)
    try:
        found = json.loads(block[2]) if block else None
    except json.JSONDecodeError:
        found = None
    if block is None or not isinstance(found, dict) or found.get("ledger") != VERSION:
        raise TracekitError(f"expected a report with claims of version {VERSION}, found none in {name}; write it again")
    return found, _digest(block[2]) == block[1]


def _digest(text: str) -> str:
    """Return a digest of the claims as they are written."""
    return blake2b(text.encode("ascii", "replace"), digest_size=16).hexdigest()


def words_of(page: str) -> str:
    """Return the text that a reader of the page or Markdown sees, without spaces."""
    if _COMMENT.search(page) and not _BLOCK.search(page):
        return _words_of_markdown(page)
    return _single(unescape(_TAG.sub("", _HIDDEN.sub("", page))))


def _words_of_markdown(text: str) -> str:
    """Return the text that a reader of Markdown sees, without spaces."""
    return _single(_MARKDOWN.sub(_literally, _COMMENT.sub("", text)))


def _literally(found: re.Match[str]) -> str:
    """Return what Markdown shows for code, an escape, or an entity; nothing for emphasis."""
    return found["code"] or found["escaped"] or ("<" if found[0] == "&lt;" else "")


def shown_count(text: str, words: str) -> int:
    """Return how often the text of a claim is among the words of a page, also within other claims."""
    return words.count(_single(clean(text, block=True).replace("`", "")))


def not_shown(stated: Mapping[str, Any], words: str) -> Iterator[Mapping[str, Any]]:
    """Yield the claims whose text a page shows less often than when it was written."""
    for claim in stated["claims"]:
        least = 0 if stated.get("is_own_template") else 1
        if shown_count(claim["text"], words) < max(least, claim.get("shown_count", 1)):
            yield claim


def _single(text: str) -> str:
    """Return a text without white space, which markup adds and removes."""
    return "".join(text.split())


def _tracekit_version() -> str:
    """Return the version of tracekit, "from source" if it is not installed."""
    try:
        return metadata.version("tracekit-notebook")
    except metadata.PackageNotFoundError:
        return "from source"
