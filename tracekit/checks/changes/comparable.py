"""Whether a set of traces and its baseline were sampled alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.checks.comparison import Changes, changes_of
from tracekit.checks.data.weights import weights_remedy
from tracekit.checks.overview import overview
from tracekit.findings import Finding
from tracekit.text import ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case


def comparable(case: Case) -> list[Finding]:
    """Return why no change may be claimed, if so."""
    changes = case.result(changes_of)
    return [] if changes is None or changes.is_comparable else [_not_comparable(case, changes)]


def _not_comparable(case: Case, changes: Changes) -> Finding:
    """Return why no change is claimed, and the figures of both sides as recorded."""
    why = changes.comparability.statement
    rates = ", ".join(ratio(side.failed.value) for side in (changes.before, changes.now))
    text = f"{why[0].upper()}{why[1:]}. Recorded error rates (baseline, current): {rates}."
    sides = [(name, side) for name, side in (("before", case.baseline), ("traces", case)) if side is not None]
    missing = [weights_remedy(side, name) for name, side in sides if side.result(overview).weights.unknown_count]
    remedy = " ".join(missing) or "Compare with a baseline that was sampled in the same way."
    return Finding("comparable", "warning", text, remedy=remedy, code="traces.weights")
