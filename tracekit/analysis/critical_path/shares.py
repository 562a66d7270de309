"""Critical-path time by service, operation, call path or attribute: over all requests, and by latency band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.analysis.critical_path.cells import Sample, population_of
from tracekit.findings import Shown
from tracekit.on_demand import pd
from tracekit.readable_tables import as_html
from tracekit.stats.weighted_means import mean_limits
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.critical_path.cells import Labels, Requests
    from tracekit.analysis.critical_path.tables import Paths
    from tracekit.columns import Array
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
    found = shares_by(path, by, confidence=confidence, include_partial=include_partial).frame()
    found.attrs["statement"] = path.statement
    return found


class Shares(NamedTuple):
    """Critical-path time by group, before it is a frame.

    Parameters
    ----------
    keys
        Labels of the groups.
    columns
        The other columns of ``shares``, by name.
    """

    keys: Labels
    columns: dict[str, Array]

    def frame(self) -> pd.DataFrame:
        """Return one row per group."""
        return self.keys.frame().assign(**self.columns)

    def take(self, groups: Array) -> Shares:
        """Return some groups."""
        return Shares(self.keys.take(groups), {name: column[groups] for name, column in self.columns.items()})

    def rows(self, count: int) -> list[dict[str, Any]]:
        """Return the first rows as dictionaries; None where a value is missing."""
        whole = self.keys.columns | self.columns
        values = [[None if one != one else one for one in column[:count].tolist()] for column in whole.values()]  # noqa: PLR0124 - NaN
        return [dict(zip(whole, row, strict=True)) for row in zip(*values, strict=True)]


def shares_by(path: Paths, by: By, *, confidence: float = 0.95, include_partial: bool = True) -> Shares:
    """Return what ``shares`` returns as a frame."""
    requests, cells, *_ = path.tabulated(by)
    sample = Sample.of(requests, cells, population_of(requests, include_partial=include_partial))
    found = _contributions(requests, sample, confidence)
    typical = sample.first(np.abs(cells.time_ns - found.columns["mean_ns"][cells.group]))
    largest = sample.first(-cells.time_ns)
    ids = {"typical_trace_id": requests.ids(typical), "largest_trace_id": requests.ids(largest)}
    order = cells.keys.largest_first(found.columns["path_time_ns"])
    order = order[found.columns["trace_count"][order] > 0]
    return Shares(cells.keys, found.columns | ids).take(order)


def _contributions(requests: Requests, sample: Sample, confidence: float) -> Shares:
    """Return total, share, mean and presence of every group over the requests of a sample."""
    cells, groups = sample.cells, len(sample.cells.keys)
    inside = sample.population.chosen[cells.request]
    exact = np.zeros(groups, np.int64)
    np.add.at(exact, cells.group[inside], cells.time_ns[inside])
    means, whole = sample.means(cells.time_ns), sample.population.facts["mean_latency_ns"]
    low, high = mean_limits(means, sample.moments(sample.influence(cells.time_ns)), confidence=confidence)
    presence = sample.means(np.ones(len(cells.group)))
    columns = {
        "path_time_ns": exact,
        "share_ratio": means / (whole or np.nan),
        "presence_ratio": presence,
        "calls_per_request": sample.means(cells.call_count) / np.where(presence > 0, presence, np.nan),
        "mean_ns": means,
        "mean_low_ns": np.maximum(low, 0.0),
        "mean_high_ns": np.maximum(high, 0.0),
        "trace_count": sample.request_counts,
        "partial_count": np.bincount(cells.group[inside & requests.is_partial[cells.request]], minlength=groups),
    }
    return Shares(cells.keys, columns)


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
    tables = [_contributions(requests, sample, confidence).columns for sample in samples]
    moved = [sample.influence(cells.time_ns) for sample in samples]
    base, parts = tables[0], []
    for name, sample, columns, influence in zip(names, samples, tables, moved, strict=True):
        excess = columns["mean_ns"] - base["mean_ns"]
        moments = samples[0].moments(influence.minus(moved[0]))
        moments = moments._replace(behind=np.minimum(moments.behind, sample.behind))
        low, high = mean_limits(excess, moments, confidence=confidence)
        about_excess = {"excess_ns": excess, "excess_low_ns": low, "excess_high_ns": high}
        order = cells.keys.largest_first(columns["mean_ns"])
        order = order[(columns["trace_count"][order] > 0) | (base["trace_count"][order] > 0)]
        parts.append(Shares(cells.keys, columns | about_excess).take(order).frame().assign(band=name))
    stacked_up = pd.concat(parts, ignore_index=True)
    table = stacked_up[["band", *stacked_up.columns.drop("band")]]
    return Bands(table, about, path.statement, path.recorded_services)
