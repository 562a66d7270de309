"""What sampling rules decide by: requests with their weight, minute, outcome, operation and matching rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.trace_rows import OFTEN, TOOK, Rows
from tracekit.schema import Quality
from tracekit.stats.quantiles import weighted_quantiles
from tracekit.weights.rules import HeadRule
from tracekit.weights.xray_reservoir import root_attribute

if TYPE_CHECKING:
    from tracekit.attributes import Codes
    from tracekit.columns import Array
    from tracekit.traces import TraceSet
    from tracekit.weights.rules import Rules

Family = Literal["otel", "classic"]
MINUTE_NS: Final = 60 * 10**9
RULE: Final = "rule_{}"
_LATE = ("status", "response", "error", "fault", "duration", "latency", "exception")
_SLOW = 0.99
_LATEST: Final = int(np.iinfo(np.int64).max)
_NAMES: Final = {"service_name": "service_name", "name": "name"}  # of the root, to the column of spans


class Durations(NamedTuple):
    """Durations of requests with their weights, and the first and the last known start; those of parts add."""

    rows: Rows
    first_ns: int
    last_ns: int

    def plus(self, other: Durations) -> Durations:
        """Return those of two parts."""
        limits = min(self.first_ns, other.first_ns), max(self.last_ns, other.last_ns)
        return Durations(self.rows.plus(other.rows), *limits)

    @property
    def edge(self) -> float:
        """Duration above which a request is slow."""
        frame = self.rows.frame
        weight = frame["weight"] * frame[OFTEN]
        return float(weighted_quantiles(frame[TOOK].to_numpy(), weight.to_numpy(), [_SLOW])[0]) if len(frame) else 0.0

    @property
    def span_ns(self) -> float:
        """Time from the first to the last request; a minute without two."""
        return float(max(self.last_ns - self.first_ns, 0)) or float(MINUTE_NS)


def _took(traces: TraceSet) -> Array:
    """Return the duration of each request; 0 without."""
    root = traces.forest.root_row
    return np.where(traces.has_duration[root], traces.duration_ns[root], 0).astype(np.float64)


@dataclass(frozen=True)
class DurationsOf:
    """Returns the durations of a part; ``is_part``: of a store, so that the state is limited in size."""

    is_part: bool

    def __call__(self, traces: TraceSet) -> Durations:
        """Return those of some traces."""
        root, spans = traces.forest.root_row, traces.columns.spans
        start = spans.start_ns[root][(spans.quality[root] & Quality.NO_START) == 0]
        limits = int(start.min(initial=_LATEST)), int(start.max(initial=-_LATEST))
        rows = Rows.of({"weight": traces.weights.value, TOOK: _took(traces)})
        return Durations(rows.distinct() if self.is_part else rows, *limits)


@dataclass(frozen=True)
class RequestsByRule:
    """Returns weight, minute, outcome, operation and rules of the requests of a part."""

    rules: tuple[Rules, ...]
    sdk: Family
    edge_ns: float

    def __call__(self, traces: TraceSet) -> Rows:
        """Return those of some traces."""
        root = traces.forest.root_row
        facts: dict[str, Array | Codes] = {
            "weight": traces.weights.value,
            "minute": traces.columns.spans.start_ns[root] // MINUTE_NS,
            "failed": np.asarray(traces.is_error[root]),
            "slow": _took(traces) > self.edge_ns,
        }
        numbers = {RULE.format(at): _matched(traces, each, self.sdk) for at, each in enumerate(self.rules)}
        names = {f"root_{name}": traces.codes(column).take(root) for name, column in _NAMES.items()}
        return Rows.of(facts | names | numbers).distinct()


@dataclass(frozen=True)
class Requests:
    """The facts needed about every request."""

    weight: Array
    minute: Array
    failed: Array
    slow: Array
    operation: pd.DataFrame
    span_ns: float

    @classmethod
    def of(cls, rows: pd.DataFrame, span_ns: float) -> Requests:
        """Return the facts of one row per request."""
        weight, minute, failed, slow = (rows[name].to_numpy() for name in ("weight", "minute", "failed", "slow"))
        names = rows[[f"root_{name}" for name in _NAMES]]
        return cls(weight, pd.factorize(minute)[0], failed, slow, names, span_ns)


def _matched(traces: TraceSet, rules: Rules, sdk: Family) -> Array:
    """Return the number of the rule that matches every trace, -1 without a match."""
    root = traces.forest.root_row
    columns = {
        "service_name": traces.codes("service_name").take(root),
        "http_request_method": traces.codes("http_request_method").take(root),
        "path": root_attribute(traces, "url.path", "http.target", "http.route"),
        "host": root_attribute(traces, "server.address", "http.host", "net.host.name"),
    }
    keys = {key for rule in rules.head for key, _ in rule.attributes if not _is_late(key)}
    columns |= {f"attribute {key}": root_attribute(traces, key) for key in keys}
    frame = pd.DataFrame({name: column.codes for name, column in columns.items()})
    group = frame.groupby(list(frame), sort=False).ngroup().to_numpy()
    _, first = np.unique(group, return_index=True)
    found = [_decides(rules, {name: column.at(int(row)) for name, column in columns.items()}, sdk) for row in first]
    return np.array(found, np.int64)[group] if len(group) else np.zeros(0, np.int64)


def _is_late(key: str) -> bool:
    """Return whether an attribute is unknown when a trace begins."""
    return any(word in key.lower() for word in _LATE)


def _decides(rules: Rules, request: dict[str, str | None], sdk: Family) -> int:
    """Return the number of the first rule that matches in an SDK of this family, -1 without a match."""
    for number, rule in enumerate(rules.head):
        matches = replace(rule, attributes=()).matches(request)
        if matches is None:
            matches = sdk == "classic"  # a missing value is a match
        if matches and (sdk == "classic" or all(_has(request, key, pattern) for key, pattern in rule.attributes)):
            return number
    return -1


def _has(request: dict[str, str | None], key: str, pattern: str) -> bool:
    """Return whether a request has an attribute that matches a pattern."""
    text = request.get(f"attribute {key}")
    if text is None:
        return False
    return HeadRule("", 0.0, path=pattern).matches({"path": text}) is True
