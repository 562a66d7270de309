"""Critical-path time by service, operation, call path or attribute: over all requests, and by latency band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.cells import Sample, population_of
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.stats.weighted_means import mean_limits
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.critical_path.cells import Requests
    from tracekit.analysis.critical_path.tables import Paths
    from tracekit.grouping import By

BANDS = ((0.45, 0.55), (0.90, 0.95), (0.95, 0.99), (0.99, 1.0))


@dataclass(frozen=True, repr=False)
class Bands(Weighted, Shown):
    """Critical-path time by latency band.

    Parameters
    ----------
    table
        One row per band and group: ``band``, the keys, the columns of ``CriticalPath.by`` without exemplars, and
        ``excess_ns``: mean critical-path time in excess of the first band, with ``excess_low_ns`` and
        ``excess_high_ns``. The means of a band sum to its mean latency, and the excesses to the excess of that.
    bands
        One row per band: ``band``, ``low_quantile`` and ``high_quantile`` as used, ``is_widened``, ``trace_count``,
        ``partial_count``, ``low_latency_ns``, ``high_latency_ns``, ``mean_latency_ns``, ``excess_ns``.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.
    recorded_services
        All services of the recording, which views give their colours: those of a subset are the same.

    Examples
    --------
    >>> tk.critical_path(shop).bands("service_name", [(0, 1)])
    Bands(p0 to p100: 5; sampling weights unknown)
    """

    table: pd.DataFrame
    bands: pd.DataFrame
    statement: str = ""
    recorded_services: tuple[str, ...] = ()

    def _line(self) -> str:
        """Return the counts in one line."""
        counts = zip(self.bands["band"], self.bands["trace_count"], strict=True)
        return f"Bands({', '.join(f'{band}: {count:,}' for band, count in counts)})"

    def _repr_html_(self) -> str:
        shown = self.table.groupby("band", sort=False).head(5) if len(self.table) else self.table
        tables = "".join(as_html(frame) for frame in (self.bands, shown))
        return f"{self.heading()}{tables}"


def shares(
    path: Paths,
    by: By = "service_name",
    *,
    confidence: float = 0.95,
    include_partial: bool = True,
) -> pd.DataFrame:
    """Return critical-path time by service, operation, call path or any attribute.

    ``by``: columns of ``spans``, attribute keys, ``resource.<key>``, ``request.<name>`` (one value per trace, so that
    all time of a request is in one group), ``caller_service``, ``callee_service``, ``call_path``, or an aligned Series;
    see ``tracekit.grouping``.

    Intervals are 95% CIs of the mean per request, with traces as independent observations; see
    ``stats.weighted_means.mean_limits``. They are missing if fewer than 20 traces (per weight class) contribute to the
    variance of the group or of the latency; see ``stats.influences.Moments``. Spans without a value form one unlabeled
    group.

    The self time of a span that calls another service includes network and queueing time between the two.
    ``("service_name", "callee_service")`` attributes it to the callee: the service of the child spans if there is
    exactly one, otherwise the peer of the span.
    """
    requests, cells, *_ = path.tabulated(by)
    sample = Sample.of(requests, cells, population_of(requests, include_partial=include_partial))
    table = _contributions(requests, sample, confidence)
    typical = sample.first(np.abs(cells.time_ns - table["mean_ns"].to_numpy()[cells.group]))
    largest = sample.first(-cells.time_ns)
    table = table.assign(typical_trace_id=requests.ids(typical), largest_trace_id=requests.ids(largest))
    found = _largest_first(table[table["trace_count"] > 0], "path_time_ns", cells.keys).reset_index(drop=True)
    found.attrs["statement"] = path.statement
    return found


def _largest_first(table: pd.DataFrame, column: str, keys: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by a column, the largest first, then by their names."""
    names = [str(name) for name in keys]
    is_ascending = [False, *(True for _ in names)]
    return table.sort_values([column, *names], ascending=is_ascending, na_position="first")


def _contributions(requests: Requests, sample: Sample, confidence: float) -> pd.DataFrame:
    """Return total, share, mean and presence of every group over the requests of a sample."""
    cells, groups = sample.cells, len(sample.cells.keys)
    inside = sample.population.chosen[cells.request]
    exact = np.zeros(groups, np.int64)
    np.add.at(exact, cells.group[inside], cells.time_ns[inside])
    means, whole = sample.means(cells.time_ns), sample.population.facts["mean_latency_ns"]
    low, high = mean_limits(means, sample.moments(sample.influence(cells.time_ns)), confidence=confidence)
    presence = sample.means(np.ones(len(cells.group)))
    return cells.keys.assign(
        path_time_ns=exact,
        share_ratio=means / (whole or np.nan),
        presence_ratio=presence,
        calls_per_request=sample.means(cells.call_count) / np.where(presence > 0, presence, np.nan),
        mean_ns=means,
        mean_low_ns=np.maximum(low, 0.0),
        mean_high_ns=np.maximum(high, 0.0),
        trace_count=sample.request_counts,
        partial_count=np.bincount(cells.group[inside & requests.is_partial[cells.request]], minlength=groups),
    )


def bands(
    path: Paths,
    by: By = "service_name",
    quantiles: Sequence[tuple[float, float]] = BANDS,
    *,
    min_traces: int = 20,
    confidence: float = 0.95,
    include_partial: bool = True,
) -> Bands:
    """Return critical-path time by latency band: why slow requests take longer than median ones.

    Requests are ranked by latency, with their weights; ties in the order of ``traces``. Means over the requests of a
    band sum to its mean latency; percentiles of single services would not. Intervals include the sampling error of the
    band ends, which are quantiles.
    """
    if not quantiles:
        raise ValueError("expected at least one band of quantiles, found none")
    requests, cells, *_ = path.tabulated(by)
    populations = [
        population_of(requests, band, min_traces=min_traces, include_partial=include_partial) for band in quantiles
    ]
    samples = [Sample.of(requests, cells, population) for population in populations]
    names = [f"p{100 * low:g} to p{100 * high:g}" for low, high in quantiles]
    about = pd.DataFrame([population.facts for population in populations])
    about.insert(0, "band", names)
    about["excess_ns"] = about["mean_latency_ns"] - about["mean_latency_ns"].iloc[0]
    tables = [_contributions(requests, sample, confidence) for sample in samples]
    moved = [sample.influence(cells.time_ns) for sample in samples]
    base, parts = tables[0], []
    for name, sample, table, influence in zip(names, samples, tables, moved, strict=True):
        excess = table["mean_ns"] - base["mean_ns"]
        moments = samples[0].moments(influence.minus(moved[0]))
        moments = moments._replace(behind=np.minimum(moments.behind, sample.behind))
        low, high = mean_limits(excess.to_numpy(), moments, confidence=confidence)
        whole = table.assign(band=name, excess_ns=excess, excess_low_ns=low, excess_high_ns=high)
        kept = whole[(table["trace_count"] > 0) | (base["trace_count"] > 0)]
        parts.append(_largest_first(kept, "mean_ns", cells.keys))
    stacked_up = pd.concat(parts, ignore_index=True)
    table = stacked_up[["band", *stacked_up.columns.drop("band")]]
    return Bands(table, about, path.statement, path.recorded_services)
