"""Results of a store as they may leave: their tables without personal data and secrets.

Of traces in memory, everything is computed from redacted traces.  A store would have to be redacted in every pass, so
the texts of its tables are searched instead; exemplar traces are redacted as a whole, and exception messages before
they become templates.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from tracekit.checks.comparison import Changes
from tracekit.checks.overview import Overview
from tracekit.findings import Findings
from tracekit.redaction.keys import context_of
from tracekit.report.ledger import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracekit.analysis.critical_path.compare import PathComparison
    from tracekit.analysis.errors import Errors
    from tracekit.analysis.latency import Latency
    from tracekit.analysis.service_graph.build import ServiceGraph
    from tracekit.checks.content import Content
    from tracekit.findings import Finding
    from tracekit.report.redaction import Outgoing
    from tracekit.weights.comparability import Comparability

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Leaving(Overview):
    """The results of a store as they may leave.

    Parameters
    ----------
    seen
        The results.
    outgoing
        What the file shows.
    """

    seen: Overview
    outgoing: Outgoing

    @cached_property
    def content(self) -> Content:
        """Counts and examples of the recording."""
        return redacted_result(self.seen.content, self.outgoing)

    @cached_property
    def requests(self) -> Latency:
        """Latency of all requests."""
        return redacted_result(self.seen.requests, self.outgoing)

    @cached_property
    def entries(self) -> Latency:
        """Latency by endpoint."""
        return redacted_result(self.seen.entries, self.outgoing)

    @cached_property
    def operations(self) -> Latency:
        """Latency and errors by operation."""
        return redacted_result(self.seen.operations, self.outgoing)

    @cached_property
    def graph(self) -> ServiceGraph:
        """Services and their calls."""
        return redacted_result(self.seen.graph, self.outgoing)

    @cached_property
    def errors(self) -> Errors:
        """Errors by operation."""
        self.outgoing.texts(self.seen.redacted_messages, context_of("exception.message"))  # notes what is in them
        return redacted_result(self.seen.errors, self.outgoing)

    @cached_property
    def waits(self) -> pd.DataFrame:
        """Critical-path time by operation and callee."""
        return self.outgoing.frame(self.seen.waits)

    @property
    def timed_count(self) -> int:
        """Number of requests with a latency."""
        return self.seen.timed_count

    @cached_property
    def sources(self) -> pd.DataFrame:
        """One row per source."""
        return self.outgoing.frame(self.seen.sources)

    @cached_property
    def issues(self) -> pd.DataFrame:
        """One row per issue."""
        return self.outgoing.frame(self.seen.issues)


@dataclass(frozen=True)
class LeavingChanges(Changes):
    """The comparison of a store with its baseline, as it may leave.

    Parameters
    ----------
    seen
        The comparison.
    outgoing
        What the file shows.
    """

    seen: Changes
    outgoing: Outgoing

    @cached_property
    def comparability(self) -> Comparability:
        """Whether the two sides were sampled alike."""
        return self.seen.comparability

    @cached_property
    def comparison(self) -> PathComparison | None:
        """Critical-path time by operation."""
        found = self.seen.comparison
        return None if found is None else redacted_result(found, self.outgoing)

    @cached_property
    def entries(self) -> pd.DataFrame:
        """Endpoints of both sides."""
        return self.outgoing.frame(self.seen.entries)


def redacted_result(result: _Result, outgoing: Outgoing) -> _Result:
    """Return a result with its tables as they may leave."""
    assert is_dataclass(result)
    values = ((field.name, getattr(result, field.name)) for field in fields(result))
    tables = {name: outgoing.frame(value) for name, value in values if isinstance(value, pd.DataFrame)}
    found: _Result = replace(result, **tables)  # type: ignore[type-var]  # a dataclass
    return found


def redacted_lines(lines: Iterable[Finding], outgoing: Outgoing) -> list[Finding]:
    """Return findings with their texts, values and evidence as they may leave, in their order."""
    return [one for line in lines for one in redacted_findings(Findings([line]), outgoing)]


def redacted_findings(findings: Findings, outgoing: Outgoing) -> Findings:
    """Return findings with their texts, values and evidence as they may leave."""
    found = outgoing.content(findings)
    assert isinstance(found, Findings)
    return Findings([_redacted(finding, outgoing) for finding in found])


def _redacted(finding: Finding, outgoing: Outgoing) -> Finding:
    """Return a finding with its values and evidence as they may leave."""
    values: dict[str, Any] = outgoing.members(plain(finding.values))
    evidence = None if finding.evidence is None else outgoing.frame(finding.evidence)
    return replace(finding, values=values, evidence=evidence)
