"""The metrics M1 to M10 of a tracing system, one function each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.trace_rows import TOOK, Rows
from tracekit.checks.merged import Merged
from tracekit.checks.outcomes import rows_one_by_one
from tracekit.checks.quality.completeness.missing_spans import missing_spans
from tracekit.checks.quality.cost import cost
from tracekit.checks.sampling.error_capture import error_capture
from tracekit.checks.sampling.unseen_paths import path_numbers
from tracekit.checks.sampling.weights_used import WEIGHTS_USED
from tracekit.checks.shares import added, share_sums, shares_of
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.histograms import Histogram
from tracekit.stats.proportions import share_interval
from tracekit.stats.quantiles import quantile_limits
from tracekit.stats.weighted_rates import weighted_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding
    from tracekit.traces import Filter

MOST_GROUPS = 200
_TOP_PATHS = 20


class Measured(NamedTuple):
    """One value of a metric, in total or for a service and route; NaN and the missing input where unknown."""

    value: float
    low: float
    high: float
    n: int
    service: str | None = None
    route: str | None = None
    meaning: str = ""


class Metric(NamedTuple):
    """A metric: name, unit, whether more is better, default target, and the function that measures it."""

    name: str
    unit: str
    more_is_better: bool
    target: float | None
    measure: Callable[[Known], list[Measured]]


@dataclass(frozen=True, eq=False)
class _RowsOf:
    """Returns one row per trace of a part: service and route of its root, probability, outcome, duration, success."""

    success: Filter | None

    def __call__(self, case: Case) -> Rows:
        """Return those of a case."""
        traces, root = case.traces, case.traces.forest.root_row
        service, route = traces.codes("service_name").take(root), traces.codes("operation").take(root)
        names: dict[str, Array | Codes] = {"service": service, "route": route}
        chance = {"probability": case.probability, "is_base": case.base}
        outcome = {"failed": case.failed, "succeeded": self._succeeded(case), TOOK: case.took_ns}
        return Rows.of(names | chance | outcome)

    def _succeeded(self, case: Case) -> Array:
        """Return which traces succeeded."""
        if self.success is None:
            return ~case.failed
        chosen = case.traces.where(self.success)
        return np.isin(np.array(case.traces.trace_ids, str), np.array(chosen.trace_ids, str))


@dataclass(frozen=True)
class Known:
    """Inputs of the metrics.

    Parameters
    ----------
    case
        Traces with weights, rules and counts.
    success
        Filter of the successful traces; None for those with a root that did not fail.
    lag
        Finding of ``ingest.lag`` on all traces, including late-arriving ones.
    """

    case: Case
    success: Filter | None
    lag: Finding

    @cached_property
    def rows(self) -> pd.DataFrame:
        """One row per trace: ``service``, ``route``, ``probability``, ``is_base``, outcome, ``took_ns``."""
        return self.case.result(Merged(_RowsOf(self.success), Rows.plus, rows_one_by_one, limit=Rows.distinct))

    @cached_property
    def groups(self) -> pd.DataFrame:
        """One row per service and route of root spans, the most frequent first, then by name: names and row numbers."""
        frame = self.rows[["service", "route"]].assign(row=np.arange(len(self.rows)))
        grouped = frame.groupby(["service", "route"], observed=True, dropna=False)["row"].agg(list).reset_index()
        grouped = grouped.astype({"service": object, "route": object}).assign(count=grouped["row"].map(len))
        return grouped.sort_values(["count", "service", "route"], ascending=[False, True, True]).head(MOST_GROUPS)

    @property
    def is_weighted(self) -> bool:
        """Whether all weights are known, so that the traces represent requests."""
        return not self.case.result(WEIGHTS_USED).totals.unknown_count

    @cached_property
    def chance(self) -> Array:
        """Probability of every row; NaN for a trace that represents no request, 1 if weights are unknown."""
        known = np.where(self.rows["is_base"], self.rows["probability"].to_numpy(np.float64), np.nan)
        return known if self.is_weighted else np.ones(len(self.rows))

    @property
    def about(self) -> str:
        """The population that shares and latencies describe."""
        if not self.is_weighted:
            return "of the recorded traces; weights are unknown"
        one_kind = self.case.result(WEIGHTS_USED).totals.is_one_kind
        return f"of {'requests of the kept kind' if one_kind else 'all traffic'} in this window"

    def parts(self) -> Iterator[tuple[str | None, str | None, Array]]:
        """Yield service, route and row numbers: in total, then for every group."""
        yield None, None, np.arange(len(self.rows))
        for group in self.groups.itertuples(index=False):
            yield _text(group.service), _text(group.route), np.asarray(group.row)

    def shares(self, is_event: Array, meaning: str) -> list[Measured]:
        """Return the weighted share of events among traces, in total and for every group."""
        found = []
        for service, route, row in self.parts():
            kept = row[~np.isnan(self.chance[row])]
            if len(kept):
                found.append(self.share(self.chance[kept], is_event[kept], meaning, service, route))
        return found or [unknown("traces of a probability sample")]

    def share(
        self, chance: Array, is_event: Array, meaning: str, service: str | None = None, route: str | None = None
    ) -> Measured:
        """Return the weighted share of events among some traces."""
        confidence = self.case.confidence
        rate = weighted_rate(chance, is_event.astype(float), target="process", confidence=confidence)
        return Measured(rate.value, rate.low, rate.high, len(chance), service, route, f"{meaning} {self.about}")


def _text(value: object) -> str | None:
    """Return a label, None where it is missing."""
    return None if pd.isna(value) else str(value)  # type: ignore[call-overload]


def unknown(missing: str) -> Measured:
    """Return a metric that is not assessable, with the missing input."""
    return Measured(np.nan, np.nan, np.nan, 0, meaning=f"not assessable: needs {missing}")


def _of_finding(finding: Finding) -> Measured:
    """Return the estimate of a finding, or its missing input."""
    if finding.estimate is None:
        missing = finding.evidence["needs"].iloc[0] if "needs" in finding.evidence else finding.headline
        return unknown(str(missing))
    e = finding.estimate
    return Measured(e.value, e.low, e.high, e.n, meaning=finding.headline)


def traced_requests(known: Known) -> list[Measured]:
    """Return M1: traced over all requests, by service and route of the counts; Wilson interval."""
    if missing := known.case.join_needed:
        return [unknown(missing)]
    counts, table = known.case.counts, (known.case.joined or known.case.tally).frame
    assert counts is not None
    keys = [name for name in ("service_name", "http_route") if name in counts.dimensions]
    parts: list[tuple[str | None, str | None, pd.DataFrame]] = [(None, None, table)]
    if keys:
        for key, part in table.groupby(keys, dropna=False):
            label = dict(zip(keys, key, strict=True))
            parts.append((_text(label.get("service_name")), _text(label.get("http_route")), part))
    found = []
    for service, route, part in parts:
        requests, traces = float(part["requests"].sum()), int(part["traces"].sum())
        low, high = (float(limit) for limit in share_interval(traces, requests, confidence=known.case.confidence))
        if traces > requests:
            not_assessable = f"counts of the same requests: {traces:,.0f} traces of {requests:,.0f} requests"
            found.append(unknown(not_assessable)._replace(service=service, route=route))
        elif requests:
            found.append(
                Measured(traces / requests, low, high, int(requests), service, route, "of the requests counted")
            )
    return found


def error_share(known: Known) -> list[Measured]:
    """Return M2a: failing over all traces, weighted."""
    return known.shares(known.rows["failed"].to_numpy(), "failing traces,")


def errors_captured(known: Known) -> list[Measured]:
    """Return M2b: share of the failing requests with a trace, from a log, counts by status, or the weights."""
    return [_of_finding(error_capture(known.case)[0])]


def latency_p95(known: Known) -> list[Measured]:
    """Return M3: p95 of the durations of root spans, weighted; limits by test inversion."""
    took, found = known.rows[TOOK].to_numpy(), []
    chance = np.where(np.isnan(took), np.nan, known.chance)
    for service, route, row in known.parts():
        kept = row[~np.isnan(chance[row])]
        if len(kept):
            (q,) = quantile_limits(
                chance[kept], took[kept], (0.95,), target="process", confidence=known.case.confidence
            )
            found.append(Measured(q.value, q.low, q.high, len(kept), service, route, f"p95 {known.about}"))
    return found or [unknown("root spans with a duration, in traces of a probability sample")]


def _is_used(case: Case) -> tuple[Array, Array]:
    """Return which traces of a part represent requests, and their probabilities; all with 1 if weights are unknown."""
    if case.result(WEIGHTS_USED).totals.unknown_count:
        return np.ones(len(case.traces), bool), np.ones(len(case.traces))
    return case.base, case.probability[case.base]


def _paths(case: Case) -> Aggregate:
    """Return the requests that the traces of a part represent, by path."""
    is_used, pi = _is_used(case)
    path, at = np.unique(path_numbers(case.traces), return_inverse=True)
    requests = np.bincount(at[is_used], 1 / pi, len(path))
    return Aggregate({"path": path.astype(object)}, {"request_count": requests}, Histogram.empty())


class _Top(NamedTuple):
    """The numbers of the paths with the most requests, and how many paths there are."""

    paths: Array
    path_count: int


def _top(_: Case, paths: Aggregate) -> _Top:
    """Return the paths with the most requests."""
    number = paths.keys["path"].astype(np.uint64)
    return _Top(number[np.lexsort((number, -paths.sums["request_count"]))[:_TOP_PATHS]], len(paths))


_PATHS: Final[Merged[_Top]] = Merged(_paths, added, _top, needs=(WEIGHTS_USED,))


def _on_top_paths(case: Case) -> Rows:
    """Return the probability of the traces of a part that represent requests, and whether they take a top path."""
    is_used, pi = _is_used(case)
    path = path_numbers(case.traces)[is_used]
    return Rows.of({"probability": pi, "is_top": np.isin(path, case.result(_PATHS).paths)})


_ON_TOP: Final[Merged[pd.DataFrame]] = Merged(
    _on_top_paths, Rows.plus, rows_one_by_one, needs=(WEIGHTS_USED, _PATHS), limit=Rows.distinct
)


def usual_paths(known: Known) -> list[Measured]:
    """Return M4: share of the traffic on the twenty most frequent paths, weighted."""
    if not known.case.result(WEIGHTS_USED).totals.trace_count:
        return [unknown("traces")]
    taken, paths = known.case.result(_ON_TOP), known.case.result(_PATHS)
    if not len(taken):
        return [unknown("traces of a probability sample")]
    meaning = f"on the {len(paths.paths)} most frequent of {paths.path_count} paths,"
    return [known.share(taken["probability"].to_numpy(), taken["is_top"].to_numpy(), meaning)]


def _failing_spans(case: Case) -> tuple[Aggregate, Aggregate]:
    """Return the failing spans of a part: in total, and by service."""
    traces = case.traces
    rows = np.flatnonzero(~traces.is_inferred)
    trace, failed = traces.forest.trace[rows], np.asarray(traces.is_error[rows])
    service = {"service_name": (case.service.codes[rows], case.service.labels)}
    return share_sums(case, trace, failed, {}), share_sums(case, trace, failed, service)


def _added_both(first: tuple[Aggregate, Aggregate], second: tuple[Aggregate, Aggregate]) -> tuple[Aggregate, Aggregate]:
    """Return those of two parts."""
    return added(first[0], second[0]), added(first[1], second[1])


_FAILING_SPANS: Final[Merged[tuple[Aggregate, Aggregate]]] = Merged(_failing_spans, _added_both)


def span_errors(known: Known) -> list[Measured]:
    """Return M5: failing over all spans, by service; clustered by trace and weighted."""
    whole, by_service = known.case.result(_FAILING_SPANS)
    if not whole.sums["trial_count"].sum():
        return [unknown("spans")]
    found = []
    for shares in (shares_of(known.case, whole), shares_of(known.case, by_service, ["service_name"])):
        ratio, names = shares.ratio, shares.keys.get("service_name", [None])
        for at, name in enumerate(names):
            value, low, high = (float(column[at]) for column in (ratio.ratio, ratio.low, ratio.high))
            found.append(Measured(value, low, high, int(shares.trial_count[at]), _text(name), None, "failing spans"))
    return found


def ingestion_lag(known: Known) -> list[Measured]:
    """Return M6: p95 ingestion lag."""
    return [_of_finding(known.lag)]


def sampled_requests(known: Known) -> list[Measured]:
    """Return M7: sampled over instrumented requests, counted by the SDKs."""
    stages = known.case.expected.stages
    if not {"instrumented", "sampled"} <= set(stages):
        return [unknown("expected={'stages': {'instrumented': ..., 'sampled': ...}}")]
    n, k = float(stages["instrumented"]), float(stages["sampled"])
    low, high = (float(limit) for limit in share_interval(k, n, confidence=known.case.confidence))
    return [Measured(k / n if n else np.nan, low, high, int(n), meaning="of the instrumented requests")]


def cost_per_million(known: Known) -> list[Measured]:
    """Return M8: price of a million traces, with the monthly cost."""
    finding = cost(known.case)[0]
    measured = _of_finding(finding)
    if finding.estimate is None:
        return [measured]
    prices = known.case.prices
    price = float(prices.get("recorded", 0.0) + prices.get("scanned", 0.0))
    return [measured._replace(value=price, low=price, high=price)]


def completeness(known: Known) -> list[Measured]:
    """Return M9: share of the referenced parent spans that arrived, by service of the child spans."""
    finding = missing_spans(known.case)[0]
    if finding.estimate is None:
        return [_of_finding(finding)]
    e = finding.estimate
    found = [Measured(1 - e.value, 1 - e.high, 1 - e.low, e.n, meaning=finding.headline)]
    for _, row in finding.evidence.iterrows():
        value, low, high = (1 - float(row[name]) for name in ("missing_ratio", "high", "low"))
        n, service, kind = int(row["referenced_count"]), str(row["service_name"]), row["kind"]
        found.append(Measured(value, low, high, n, service, None, f"parents of its {kind} spans"))
    return found


def successes(known: Known) -> list[Measured]:
    """Return M10: share of the successful traces, weighted."""
    return known.shares(known.rows["succeeded"].to_numpy(), "successful traces,")


METRICS = {
    "M1": Metric("trace coverage", "ratio", more_is_better=True, target=None, measure=traced_requests),
    "M2a": Metric("error traces", "ratio", more_is_better=False, target=None, measure=error_share),
    "M2b": Metric("errors captured", "ratio", more_is_better=True, target=0.90, measure=errors_captured),
    "M3": Metric("p95 trace latency", "ns", more_is_better=False, target=None, measure=latency_p95),
    "M4": Metric("traffic on usual paths", "ratio", more_is_better=True, target=0.5, measure=usual_paths),
    "M5": Metric("span error rate", "ratio", more_is_better=False, target=None, measure=span_errors),
    "M6": Metric("p95 ingestion lag", "ns", more_is_better=False, target=30e9, measure=ingestion_lag),
    "M7": Metric("sampling rate", "ratio", more_is_better=True, target=None, measure=sampled_requests),
    "M8": Metric("cost per million traces", "usd", more_is_better=False, target=None, measure=cost_per_million),
    "M9": Metric("trace completeness", "ratio", more_is_better=True, target=0.85, measure=completeness),
    "M10": Metric("successful traces", "ratio", more_is_better=True, target=None, measure=successes),
}
"""By number; only targets that apply to any system."""
