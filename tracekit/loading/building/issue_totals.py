"""Issues that ``finalise`` found in each piece of a set, summed: one issue per source and code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.loading.building.ledger import TOTALS, Position
from tracekit.loading.building.trace_set import add_total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.loading.building.ledger import Issue, Ledger


class IssueTotals:
    """Sums issues and counts of pieces, and writes them as if the whole set had been finalised at once.

    Parameters
    ----------
    ledgers
        One per source; they receive the sums.
    """

    def __init__(self, ledgers: Sequence[Ledger]) -> None:
        self._ledgers = ledgers
        self._issues: dict[tuple[str, int], Issue] = {}

    def add(self, pieces: Sequence[Ledger]) -> None:
        """Add the ledgers of a piece, one per source."""
        for source, (ledger, more) in enumerate(zip(self._ledgers, pieces, strict=True)):
            ledger.merged += more.merged
            ledger.quarantined += more.quarantined
            for issue in more.issues:
                self.add_issue(source, issue)

    def add_issue(self, source: int, issue: Issue) -> None:
        """Add one issue; the one with the lowest ids is the exemplar, as in ``finish.add_totals``."""
        before = self._issues.get((issue.code, source))
        if before is not None:
            lowest = min(before, issue, key=_ids_and_position)
            issue = lowest._replace(issue_count=before.issue_count + issue.issue_count)
        self._issues[issue.code, source] = issue

    def write(self) -> None:
        """Write the sums to the ledgers, in the order of ``finalise``."""
        for code, source in sorted(self._issues, key=lambda key: (TOTALS.index(key[0]), key[1])):
            issue = self._issues[code, source]
            at = Position(issue.record_number or 0, issue.byte_offset or 0)
            add_total(self._ledgers[source], code, issue.issue_count, issue.trace_id, issue.span_id, issue.action, at)


def _ids_and_position(issue: Issue) -> tuple[str, str, int, int]:
    """Return the sort key of exemplars."""
    return issue.trace_id, issue.span_id, issue.record_number or 0, issue.byte_offset or 0
