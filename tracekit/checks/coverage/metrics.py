"""The metrics M1 to M10 of a tracing system, one function each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.quality.completeness.missing_spans import missing_spans
from tracekit.checks.quality.cost import cost
from tracekit.checks.sampling.error_capture import error_capture
from tracekit.checks.sampling.unseen_paths import path_codes
from tracekit.stats.proportions import share_interval
from tracekit.stats.quantiles import quantile_limits
from tracekit.stats.weighted_rates import weighted_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

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


@dataclass(frozen=True)
class Known:
    """Inputs of the metrics.

    Parameters
    ----------
    case
        Traces with weights, rules and counts.
    succeeded
        bool, one a trace.
    lag
        Finding of ``ingest.lag`` on all traces, including late-arriving ones.
    """

    case: Case
    succeeded: Array
    lag: Finding

    @cached_property
    def groups(self) -> pd.DataFrame:
        """One row per service and route of root spans, the most frequent first: names and trace numbers."""
        traces = self.case.traces
        root = traces.forest.root_row
        service, route = traces.codes("service_name").take(root), traces.codes("operation").take(root)
        frame = pd.DataFrame({"service": service.series(), "route": route.series(), "trace": np.arange(len(root))})
        grouped = frame.groupby(["service", "route"], observed=True, dropna=False)["trace"].agg(list).reset_index()
        return grouped.iloc[np.argsort(-grouped["trace"].map(len).to_numpy(), kind="stable")].head(MOST_GROUPS)

    @cached_property
    def sample(self) -> tuple[Array, Array, str]:
        """Traces used for estimates, their probabilities, and the population they represent."""
        if self.case.traces.weights.known.all():
            base = np.flatnonzero(self.case.base)
            about = "requests of the kept kind" if self.case.traces.weights.is_one_kind else "all traffic"
            return base, self.case.probability[base], f"of {about} in this window"
        every = np.arange(len(self.case.traces))
        return every, np.ones(len(every)), "of the recorded traces; weights are unknown"

    def parts(self) -> Iterator[tuple[str | None, str | None, Array]]:
        """Yield service, route and trace numbers: in total, then for every group."""
        yield None, None, np.arange(len(self.case.traces))
        for row in self.groups.itertuples(index=False):
            yield _text(row.service), _text(row.route), np.asarray(row.trace)

    def shares(self, is_event: Array, meaning: str) -> list[Measured]:
        """Return the weighted share of events among traces, in total and for every group."""
        base, pi, about = self.sample
        chance = np.full(len(self.case.traces), np.nan)
        chance[base] = pi
        found = []
        for service, route, trace in self.parts():
            kept = trace[~np.isnan(chance[trace])]
            if len(kept):
                rate = weighted_rate(
                    chance[kept], is_event[kept].astype(float), target="process", confidence=self.case.confidence
                )
                found.append(Measured(rate.value, rate.low, rate.high, len(kept), service, route, f"{meaning} {about}"))
        return found or [unknown("traces of a probability sample")]


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
    return known.shares(known.case.failed, "failing traces,")


def errors_captured(known: Known) -> list[Measured]:
    """Return M2b: share of the failing requests with a trace, from a log, counts by status, or the weights."""
    return [_of_finding(error_capture(known.case)[0])]


def latency_p95(known: Known) -> list[Measured]:
    """Return M3: p95 of the durations of root spans, weighted; limits by test inversion."""
    base, pi, about = known.sample
    chance = np.full(len(known.case.traces), np.nan)
    chance[base] = pi
    chance[np.isnan(known.case.took_ns)] = np.nan
    found = []
    for service, route, trace in known.parts():
        kept = trace[~np.isnan(chance[trace])]
        if len(kept):
            took = known.case.took_ns[kept]
            (q,) = quantile_limits(chance[kept], took, (0.95,), target="process", confidence=known.case.confidence)
            found.append(Measured(q.value, q.low, q.high, len(kept), service, route, f"p95 {about}"))
    return found or [unknown("root spans with a duration, in traces of a probability sample")]


def usual_paths(known: Known) -> list[Measured]:
    """Return M4: share of the traffic on the twenty most frequent paths, weighted."""
    if not len(known.case.traces):
        return [unknown("traces")]
    path, (base, pi, _) = path_codes(known.case.traces), known.sample
    top = np.argsort(-np.bincount(path[base], 1 / pi), kind="stable")[:_TOP_PATHS]
    whole = known.shares(np.isin(path, top), f"on the {len(top)} most frequent of {path.max() + 1} paths,")
    return whole[:1]


def span_errors(known: Known) -> list[Measured]:
    """Return M5: failing over all spans, by service; clustered by trace and weighted."""
    traces = known.case.traces
    rows = np.flatnonzero(~traces.is_inferred)
    if not len(rows):
        return [unknown("spans")]
    service, trace, failed = known.case.service, traces.forest.trace[rows], traces.is_error[rows]
    found = []
    whole: list[str | None] = [None]
    for labels, group in ((whole, np.zeros(len(rows), np.int64)), ([*service.labels], service.codes[rows])):
        ratio = known.case.ratio(trace, failed, group.astype(np.int64), len(labels))
        size = np.bincount(group, minlength=len(labels))
        for at in np.flatnonzero(size):
            value, low, high = (float(column[at]) for column in (ratio.ratio, ratio.low, ratio.high))
            found.append(Measured(value, low, high, int(size[at]), labels[at], None, "failing spans"))
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
    return known.shares(known.succeeded, "successful traces,")


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
