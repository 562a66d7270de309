"""The ledger of a pull from X-Ray: the windows that were searched, and what is missing at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tracekit.pull.core import entry_fields
from tracekit.pull.ledger import Entry, Status, entry_of, line
from tracekit.pull.windows import Period

if TYPE_CHECKING:
    from tracekit.aws.pull.account import Account
    from tracekit.aws.pull.summaries import Found
    from tracekit.pull.folder import PullFolder
    from tracekit.pull.ledger import Selection, Truncation

_SECOND_NS = 10**9
_API = "2016-04-12"


class Search(NamedTuple):
    """What all windows of a pull share.

    Parameters
    ----------
    plan
        The options of the first run.
    request
        The parameters of GetTraceSummaries.
    is_indexed
        Whether Transaction Search is on: then X-Ray lists only the traces that it indexes.
    """

    plan: dict[str, Any]
    request: dict[str, Any]
    is_indexed: bool

    @property
    def choice(self) -> tuple[Selection, Truncation]:
        """How X-Ray chooses traces, and whether some of the window are missing."""
        if self.is_indexed or self.plan["sampling"] is True:
            return "unknown", "unknown"
        return "all" if self.plan["sampling"] is False else "fixed_rate", "excluded"

    def entry(self, start: int, end: int, trace_count: int) -> Entry:
        """Return the entry of a window, in seconds."""
        selection, truncation = self.choice
        return entry_of(
            _period(start, end),
            pull=self.plan["id"],
            backend="xray",
            server=f"xray.{self.plan['region']}.amazonaws.com",
            version=_API,
            query=f"GetTraceSummaries {msgspec.json.encode(self.request).decode()}",
            cap=None,
            selection=selection,
            truncation=truncation,
            trace_count=trace_count,
        )


def write_windows(folder: PullFolder, found: Found, search: Search) -> bool:
    """Write the windows that are complete and not in the ledger yet; return whether there were any."""
    written = {tuple(entry["searched"]) for entry in folder.entries() if "searched" in entry}
    fresh = [window for window in sorted(found.done) if tuple(_period(*window)) not in written]
    for window in fresh:
        period = _period(*window)
        entry = search.entry(*window, found.counts.get(window, 0))
        folder.append("traces", [line(entry)], {"searched": period, "traces": [], "ledger": entry_fields(entry)})
    return bool(fresh)


def write_status(folder: PullFolder, account: Account, pull: str) -> None:
    """Write the state of the pull at the end of a run."""
    missing = sum(1 for _ in account.having("unprocessed", "failed", "not_found", "not_indexed"))
    partial = list(account.having("partial", "truncated"))
    folder.append("traces", [line(Status(pull, len(account), missing, 0, partial))], {})


def _period(start: int, end: int) -> Period:
    """Return a window of seconds in nanoseconds."""
    return Period(start * _SECOND_NS, end * _SECOND_NS)
