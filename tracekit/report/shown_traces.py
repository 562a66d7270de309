"""Which traces a page has with their waterfalls: exemplars of changes, the slowest, and those that the page names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.result import CriticalPath
from tracekit.checks.overview import Overview, overview
from tracekit.checks.registry import CHECKS
from tracekit.report.logs import telling

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.comparison import Changes
    from tracekit.findings import Findings
    from tracekit.report.redaction import Outgoing
    from tracekit.traces import TraceSet

WATERFALLS: Final = 5
_NAMED: Final = 40  # further waterfalls, of traces that findings and tables name, with at most ...
_NAMED_SPANS: Final = 4_000  # ... so many spans: about 100 bytes each in the page
_ROWS: Final = 10  # rows of a table whose exemplars are embedded
_TRACE_ID: Final = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, eq=False)
class ShownTraces:
    """The traces that a page has with their waterfalls.

    Parameters
    ----------
    case
        The traces of the page.
    findings
        Its findings, whose exemplars are shown.
    seen, changes
        Results and comparison, as they may leave.
    outgoing
        What may leave of a store; None for traces in memory, which are given as they may leave.
    """

    case: Case
    findings: Findings
    seen: Overview
    changes: Changes | None
    outgoing: Outgoing | None

    @property
    def exemplars(self) -> list[str]:
        """Ids of the exemplar traces of changes."""
        changes = {check.name for check in CHECKS if check.topic == "changes"}
        return [found.exemplars[0] for found in self.findings if found.check in changes and found.exemplars]

    @cached_property
    def first(self) -> list[str]:
        """Ids of the traces with a waterfall: exemplars of changes, and the slowest; a single trace in any case."""
        if self.seen.trace_count == 1:  # also without a duration
            return self.traces.trace_ids
        known = set(self.traces.trace_ids)
        return [name for name in dict.fromkeys([*self.exemplars, *self._slowest]) if name in known]

    @property
    def _slowest(self) -> list[str]:
        """Ids of the slowest traces that have a waterfall."""
        return [str(trace_id) for trace_id in self.seen.slowest_traces.index[:WATERFALLS]]

    @cached_property
    def traces(self) -> TraceSet:
        """The traces that may have a waterfall: all of them in memory, of a store those that the page names."""
        if not self.case.is_stored:
            return self.seen.traces
        ids = [name for name in [*self.exemplars, *self._slowest, *self._names] if _is_id(name)]
        found = self.seen.having(ids)
        return found if self.outgoing is None else self.outgoing.traces(found)

    @cached_property
    def path(self) -> CriticalPath:
        """The critical paths of these traces; of a store, with the clock offsets that all of its traces prove."""
        paths = self.case.result(overview).paths
        if isinstance(paths, CriticalPath):
            return paths
        return critical_path(self.traces, skew=paths.offsets or "off")

    @cached_property
    def _names(self) -> list[str]:
        """Ids that findings and tables name, each once, in the order of the page; also of spans."""
        ids = [name for found in self.findings for name in found.exemplars]
        if self.changes and self.changes.comparison is not None:
            ids += self.changes.comparison.table["exemplar_trace_id"].head(_ROWS).tolist()
        if self.seen.timed_count:
            ids += self.seen.waits["largest_trace_id"].head(_ROWS).tolist()
        ids += self.seen.errors.exceptions["exemplar_trace_id"].head(_ROWS).tolist()
        if (templates := telling(self.case.logs)) is not None:
            ids += templates["exemplar_trace_id"].head(_ROWS).tolist()
        return list(dict.fromkeys(ids + self.seen.slowest_traces.index.tolist()[:_ROWS]))

    @cached_property
    def named(self) -> list[str]:
        """Ids of further traces that findings and tables name, in the order of the page, within the size budget."""
        counts = self.traces.summary["span_count"]
        sizes = counts[counts.index.isin(self._names)].to_dict()
        chosen: list[str] = []
        room = _NAMED_SPANS
        for name in self._names:
            if name in sizes and name not in self.first and sizes[name] <= room and len(chosen) < _NAMED:
                chosen.append(str(name))
                room -= sizes[name]
        return chosen

    @property
    def embedded(self) -> list[str]:
        """Ids of all traces with a waterfall."""
        return [*self.first, *self.named]


def _is_id(text: str) -> bool:
    """Return whether a text is the id of a trace, not of a span."""
    return bool(_TRACE_ID.fullmatch(text))
