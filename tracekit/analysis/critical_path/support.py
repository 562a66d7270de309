"""Evidence from many traces that sequential siblings on a path depend on each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.critical_path.hops import Hops, hops_of, occasions, resting_ns, siblings_of, weakest
from tracekit.analysis.critical_path.keys import key_codes
from tracekit.on_demand import pd
from tracekit.readable_tables import as_html
from tracekit.stats.grouping import sum_by
from tracekit.stats.weighted_rates import clustered_rates
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.tree import PathTree
    from tracekit.columns import Array


@dataclass(frozen=True, repr=False)
class Support(Weighted):
    """How consistent the order of siblings on critical paths is over all traces.

    Parameters
    ----------
    pairs
        One row per pair of call paths that follow each other on a path, those with the most time first:
        ``parent_call_path``; ``earlier_service_name`` and ``earlier_operation``; ``service_name`` and ``operation`` of
        the later one, which is assumed to have waited; ``path_time_ns`` that depends on it; ``trace_count``, traces
        that have both below one parent; ``before_count``, those in which the earlier had always ended;
        ``contradicted_count``, those in which they overlapped by more than 1% of their parent; weighted
        ``support_ratio``, the share of traces in which it had ended, with ``support_low`` and ``support_high``, missing
        where not estimable.
    traces
        One row per request: ``trace_id``, ``latency_ns``, ``ambiguous_ns`` (time that depends on the order of
        siblings), ``confidence_ratio``: the mean over its time of the smallest ``support_low`` that the time depends
        on; missing where not estimable.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.
    """

    pairs: pd.DataFrame
    traces: pd.DataFrame
    statement: str = ""

    def _line(self) -> str:
        """Return the counts in one line."""
        against = int((self.pairs["contradicted_count"] > 0).sum())
        return f"Support({len(self.pairs):,} pairs of siblings, {against:,} contradicted{self._confidence})"

    @property
    def _confidence(self) -> str:
        """Return the mean confidence as text, over the requests for which it is estimable."""
        if not len(self.traces):
            return ""
        known = self.traces["confidence_ratio"].dropna()
        missing = len(self.traces) - len(known)
        words = f"; mean confidence per request {known.mean():.2f}" if len(known) else ""
        return words + (f"; confidence not estimable for {missing:,} of {len(self.traces):,} requests" * bool(missing))

    def _repr_html_(self) -> str:
        return f"{self.heading()}{as_html(self.pairs.head(10))}"


def support(path: CriticalPath, *, confidence: float = 0.95) -> Support:
    """Return how often consecutive siblings on a critical path occur in the same order, over all traces.

    One trace cannot show whether two calls that did not overlap depend on each other (jaeger-ui#2371,
    opentelemetry-specification#4079). If one depends on the other, they never overlap. Each trace with both call
    paths under the same parent counts once; intervals are those of ``stats.weighted_rates.clustered_rates``, missing if
    a few traces have most of the weight. A consistent order makes dependence likely, but does not prove it.
    """
    hops = hops_of(path)
    code, labels = key_codes(path.source, path.tree, "call_path")
    first, of_hop, observed = _observed(path, hops, code)
    counts = _counted(observed, path.source.weights.value, len(first), confidence)
    least = weakest(path, hops, counts["support_low"].to_numpy(float)[of_hop])
    rests = np.zeros(len(first), np.int64)
    np.add.at(rests, of_hop, path.total_ns[hops.earlier])
    names = {
        f"{prefix}{column}": _labels(path, column, nodes[first])
        for prefix, nodes in (("earlier_", hops.earlier), ("", hops.later))
        for column in ("service_name", "operation")
    }
    above = np.array([*labels, ""], object)[code[path.tree.parent[hops.later[first]]]]
    table = pd.DataFrame({"parent_call_path": above, **names, "path_time_ns": rests}).join(counts)
    table = table.sort_values("path_time_ns", ascending=False, kind="stable", ignore_index=True)
    return Support(table, _of_requests(path, hops, least), path.statement)


def without_contradicted(path: CriticalPath) -> PathTree:
    """Return the tree of paths without hops that any trace contradicts."""
    hops = hops_of(path)
    code, _ = key_codes(path.source, path.tree, "call_path")
    first, of_hop, observed = _observed(path, hops, code)
    against = np.zeros(len(first), bool)
    against[observed.loc[observed["is_contradicted"], "pair"]] = True
    excluded = np.zeros(len(path.tree), bool)
    excluded[hops.later[against[of_hop]]] = True
    return replace(path.tree, excluded=excluded)


def _observed(path: CriticalPath, hops: Hops, code: Array) -> tuple[Array, Array, pd.DataFrame]:
    """Return one hop per pair of call paths, the pair of every hop, and the observations of the pairs in all traces."""
    key = code[hops.earlier].astype(np.int64) * (int(code.max(initial=0)) + 1) + code[hops.later]
    _, first, of_hop = np.unique(key, return_index=True, return_inverse=True)
    observed = occasions(siblings_of(path, code), code[hops.earlier[first]], code[hops.later[first]])
    return first, of_hop, observed


def _counted(observed: pd.DataFrame, weight: Array, pairs: int, confidence: float) -> pd.DataFrame:
    """Return counts and intervals of every pair."""
    pair, before = observed["pair"].to_numpy(), observed["is_before"].to_numpy()
    found = clustered_rates(pair, observed["trace"].to_numpy(), before, weight, pairs, confidence=confidence)
    return pd.DataFrame(
        {
            "trace_count": np.bincount(pair, minlength=pairs),
            "before_count": np.bincount(pair[before], minlength=pairs),
            "contradicted_count": np.bincount(pair[observed["is_contradicted"].to_numpy()], minlength=pairs),
            "support_ratio": found.ratio,
            "support_low": found.low,
            "support_high": found.high,
        }
    )


def _labels(path: CriticalPath, column: str, nodes: Array) -> Array:
    """Return the names of nodes."""
    codes, labels = key_codes(path.source, path.tree, column)
    return np.array([*labels, None], object)[codes[nodes]]


def _of_requests(path: CriticalPath, hops: Hops, least: Array) -> pd.DataFrame:
    """Return one row per request."""
    on, latency, count = np.flatnonzero(path.on_path), path.latency_ns, len(path.tree.root)
    own = path.own_ns[on]
    supported = sum_by(path.request[on], np.where(own > 0, own * least[on], 0.0), count)
    trace_id = np.array(path.source.trace_ids, object)[path.tree.trace[path.tree.root]]
    confidence = np.divide(supported, latency, out=np.ones(count), where=latency > 0)
    return pd.DataFrame(
        {
            "trace_id": trace_id,
            "latency_ns": latency,
            "ambiguous_ns": resting_ns(path, hops),
            "confidence_ratio": confidence,
        }
    )
