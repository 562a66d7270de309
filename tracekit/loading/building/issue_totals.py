"""What settling told about each piece of a set, summed: one issue a source and code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tracekit.loading.building.finish import TOLD, say
from tracekit.loading.building.ledger import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.loading.building.ledger import Issue, Ledger


_SUM = re.compile(r": [\d,]+ (?:span|trace)s?: ")


class IssueTotals:
    """Sums issues and counts of pieces, and writes them as if the whole had been settled at once.

    Parameters
    ----------
    ledgers
        One a source; they get the sums.
    """

    def __init__(self, ledgers: Sequence[Ledger]) -> None:
        self._ledgers = ledgers
        self._issues: dict[tuple[str, int], Issue] = {}

    def add(self, pieces: Sequence[Ledger]) -> None:
        """Add what was told about a piece, in ledgers of its own."""
        for source, (ledger, more) in enumerate(zip(self._ledgers, pieces, strict=True)):
            ledger.merged += more.merged
            ledger.quarantined += more.quarantined
            for issue in more.issues:
                self.add_issue(source, issue)

    def add_issue(self, source: int, issue: Issue) -> None:
        """Add one issue; the one with the lowest ids is the example of all, as in ``finish.tell``."""
        before = self._issues.get((issue.code, source))
        if before is not None:
            lowest = min(before, issue, key=_ids_and_place)
            issue = lowest._replace(issue_count=before.issue_count + issue.issue_count)
        self._issues[issue.code, source] = issue

    def write(self) -> None:
        """Write the sums to the ledgers, in the order in which settling the whole would."""
        for code, source in sorted(self._issues, key=lambda key: (TOLD.index(key[0]), key[1])):
            issue = self._issues[code, source]
            at = Position(issue.record_number or 0, issue.byte_offset or 0)
            say(self._ledgers[source], code, issue.issue_count, issue.trace_id, issue.span_id, issue.action, at)


def _ids_and_place(issue: Issue) -> tuple[str, str, int, int]:
    """Return what orders examples."""
    return issue.trace_id, issue.span_id, issue.record_number or 0, issue.byte_offset or 0


def is_sum(code: str, message: str) -> bool:
    """Return whether an issue is one that settling told, not one of the same code that a loader did."""
    return code in TOLD and _SUM.search(message) is not None
