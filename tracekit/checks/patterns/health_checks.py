"""Health checks among the requests: they are fast, and hide the latency of users."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Pattern
from tracekit.checks.patterns.sums import Occurrences

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.columns import Array

_MANY: Final = 0.05  # of the traces
_PATHS: Final = re.compile(
    r"(?i)(?:^|[\s/])(?:_?health(?:z|y|check|_check|-check)?|livez|liveness|readyz|readiness|alive|heartbeat)(?:/\w+)?/?$"
    r"|^grpc\.health\.v1\.Health/"
)
_AGENTS: Final = re.compile(r"(?i)^(?:kube-probe|ELB-HealthChecker|GoogleHC|Consul Health Check|Envoy/HC)\b")


def _detect(case: Case) -> Occurrences:
    """Return the requests that are health checks by their path or their user agent; they cost nothing."""
    traces = case.traces
    root = traces.forest.root_row
    is_check = np.zeros(len(root), bool)
    for codes, pattern in ((traces.codes("operation"), _PATHS), (_user_agents(case), _AGENTS)):
        is_check |= _matching(codes, pattern)[codes.codes[root]]
    row = root[is_check].astype(np.int64)
    return Occurrences(row, row, np.ones(len(row)), np.zeros(len(row)))


def _user_agents(case: Case) -> Codes:
    """Return the user agent of every span."""
    return case.traces.lookup.by_key.codes_of(("user_agent.original", "http.user_agent"))


def _matching(codes: Codes, pattern: re.Pattern[str]) -> Array:
    """Return which labels match; false for missing."""
    return np.array([pattern.search(label) is not None for label in codes.labels] + [False])


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which operation is a health check."""
    return f"Health checks: {name_of(row)} is no request of a user, and part of all figures,"


HEALTH_CHECKS: Final = Pattern(
    "patterns.health_checks",
    _detect,
    _say,
    remedy="Exclude them when recording (a sampling rule), or here: traces.where(...) by their operation.",
    method="By the path of the operation (health, livez, readyz, ...) or the user agent of a prober.",
    matters=lambda table: table["trace_ratio"] >= _MANY,
)
