"""The claims of a report, machine-readable in the page: what was found, of which traces, and how to find it again."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from hashlib import blake2b
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from tracekit.analysis.partials import over_parts
from tracekit.errors import TracekitError
from tracekit.loading.checksum import digest, sums_of
from tracekit.redaction import STANDARD
from tracekit.redaction.policy import policy_of
from tracekit.traces import TraceSet
from tracekit.views.markup import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tracekit.findings import Finding
    from tracekit.parts import Parts
    from tracekit.report.redaction import Outgoing
    from tracekit.report.standard import Standard

VERSION: Final = 2
PLACE: Final = Markup("<!--tracekit-claims-->")  # of the claims in a page that is being written
_BLOCK: Final = re.compile(
    r'<script type="application/json" id="tracekit-claims" data-digest="(\w+)">(.*?)</script>', re.DOTALL
)
_COMMENT: Final = re.compile(r"<!-- tracekit-claims (\w+)\n(.*?)\n-->", re.DOTALL)
_OF_LOGS: Final = "new_log_lines"  # the check that only log lines have
Form = Literal["page", "Markdown", "investigation"]


def ledger_of(standard: Standard, outgoing: Outgoing | None, *, form: Form = "page") -> dict[str, Any]:
    """Return the claims of a report as JSON values: traces with their checksums, options, and findings with values.

    ``form``: ``page``; ``Markdown``, which has the sentences of a postmortem and of its pictures only; or
    ``investigation``, which also has a first screen where the page of a single trace has none.
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
        "by_parts": [name for name, one in sets.items() if not isinstance(one, TraceSet | None)],
        "reading": standard.reading._asdict(),
        "form": form,
        "claims": list(_claims(*standard.claims(form))),
    }


def set_facts(traces: TraceSet | Parts) -> dict[str, Any]:
    """Return checksum and size of traces, or of a store."""
    found = over_parts(traces, sums_of, np.add)
    trace_count, span_count = found.weights.trace_count, int(found.state[0, 0])
    return {"checksum": digest(found.state), "trace_count": trace_count, "span_count": span_count}


def _inputs(standard: Standard) -> Iterator[str]:
    """Yield the inputs beside traces without which these claims are not found."""
    if any(found.check == _OF_LOGS for found in standard.findings):
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


def with_claims(page: str, ledger: Mapping[str, Any], **given: Any) -> str:
    """Return a page with its claims, and with what its writer gave, such as the title."""
    before, _, after = page.rpartition(PLACE)
    return f"{before}{_embedded({**ledger, 'page': given})}{after}"


def _embedded(ledger: Mapping[str, Any]) -> Markup:
    """Return the element of a page that contains the claims."""
    text = _plain_json(ledger)
    start = f'<script type="application/json" id="tracekit-claims" data-digest="{_digest(text)}">'
    return Markup(f"{start}{text}</script>")


def with_claims_in_comment(markdown: str, ledger: Mapping[str, Any], **given: Any) -> str:
    """Return Markdown with its claims in a comment, which renderers hide, and with what its writer gave."""
    text = _plain_json({**ledger, "page": given})
    return f"{markdown.rstrip()}\n\n<!-- tracekit-claims {_digest(text)}\n{text}\n-->\n"


def without_claims(page: str) -> str:
    """Return a page or Markdown without its claims; their element stays."""
    if _BLOCK.search(page):
        return _BLOCK.sub('<script type="application/json" id="tracekit-claims"></script>', page, count=1)
    return _COMMENT.sub("", page, count=1)


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


def made_by_parts(path: Path) -> list[str]:
    """Return which sets of a report were stores that were read part by part: ``traces``, ``baseline``."""
    ledger, _ = ledger_in(page_of(path), path.name)
    return [name for name in ("traces", "baseline") if name in ledger.get("by_parts", ())]


def page_of(path: Path) -> str:
    """Return the text of a report."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TracekitError(f"expected a report to read, found {path}: {error}") from error


def _digest(text: str) -> str:
    """Return a digest of the claims as they are written."""
    return blake2b(text.encode("ascii", "replace"), digest_size=16).hexdigest()


def _tracekit_version() -> str:
    """Return the version of tracekit, "from source" if it is not installed."""
    try:
        return metadata.version("tracekit-notebook")
    except metadata.PackageNotFoundError:
        return "from source"
