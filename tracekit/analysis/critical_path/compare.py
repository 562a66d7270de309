"""Comparison of critical-path time between two sets of traces, in parts that sum to the change in mean latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.critical_path.cells import Sample, population_of
from tracekit.analysis.critical_path.contrast import FACTORS, contrast, whole_numbers
from tracekit.analysis.critical_path.tables import together
from tracekit.findings import Estimate, Shown
from tracekit.grouping import named
from tracekit.on_demand import pd
from tracekit.readable_tables import as_html
from tracekit.text import clean
from tracekit.weights.comparability import SIDES, Comparability, comparability, side_names
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.critical_path.cells import Population, Requests
    from tracekit.analysis.critical_path.contrast import Contrast
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.stored import ReadPaths
    from tracekit.analysis.critical_path.tables import Paths, PathTable
    from tracekit.columns import Array
    from tracekit.grouping import By

_CLOCKS = 0.1  # corrected clocks per trace: if the sides differ by more, groups are not compared


@dataclass(frozen=True, repr=False)
class PathComparison(Weighted, Shown):
    """Change in mean latency between two sets of traces, by group on the critical path.

    Parameters
    ----------
    table
        One row per group, the largest change first: the keys; ``baseline_mean_ns`` and ``current_mean_ns``,
        critical-path time per request; ``change_ns``, an integer, with ``change_low_ns`` and ``change_high_ns``; its
        parts ``presence_change_ns`` (more requests), ``frequency_change_ns`` (more calls per request) and
        ``duration_change_ns`` (slower calls), integers that sum to ``change_ns``; ``q_value`` and ``is_significant``;
        ``baseline_trace_count`` and ``current_trace_count``, requests with the group on their path;
        ``exemplar_trace_id``, the request with the most time in the group, on the side with the larger mean.
    parts
        One row per group and ``factor`` (presence, frequency, duration): the keys; ``baseline_value`` and
        ``current_value`` (share of requests affected; calls per affected request; ns per call), missing if there is no
        call; ``change_ns`` as above, with ``change_low_ns`` and ``change_high_ns``.
    sides
        A row for each side, ``side`` is its name: ``trace_count`` of requests, ``partial_count``, ``mean_latency_ns``,
        ``low_quantile`` and ``high_quantile`` of latency (as used), ``is_widened``, ``low_latency_ns``,
        ``high_latency_ns``.
    change
        Change of the mean latency in whole ns: the sum of ``table["change_ns"]``.
    shared_trace_count
        Traces that are on both sides; the intervals assume that the sides are independent.
    comparability
        What the comparison describes, given the weights of both sides: ``basis`` and ``statement``. If the sides are
        not comparable, intervals and ``q_value`` are missing and no group is significant.
    names
        Names of baseline and current, for people; ``named_table`` has them in its column names.

    Examples
    --------
    >>> change = tk.critical_path(baseline).compare(tk.critical_path(shop))
    >>> (change.sides["mean_latency_ns"] / 1e6).tolist(), change.is_significant
    ([88.0, 152.0], False)
    """

    table: pd.DataFrame
    parts: pd.DataFrame
    sides: pd.DataFrame
    change: Estimate
    shared_trace_count: int
    comparability: Comparability
    names: tuple[str, str] = SIDES

    @property
    def named_table(self) -> pd.DataFrame:
        """``table`` for people: the names of the sides in its column names instead of baseline and current.

        Underscores of the names are spaces, because suffixes such as ``_ms`` are units.
        """
        heads = {f"{side}_": f"{name.replace('_', ' ')}_" for side, name in zip(SIDES, self.names, strict=True)}
        columns = [
            next((to + column.removeprefix(side) for side, to in heads.items() if column.startswith(side)), column)
            for column in map(str, self.table.columns)
        ]
        return self.table.set_axis(columns, axis=1)

    @property
    def statement(self) -> str:  # type: ignore[override]  # computed
        """What is compared: all traffic, or the recorded traces, or why the two sides are not comparable."""
        return self.comparability.statement

    @property
    def is_significant(self) -> bool:
        """Whether the mean latency changed significantly: its interval is estimable and excludes 0."""
        return bool(self.change.low > 0 or self.change.high < 0)

    def _line(self) -> str:
        """Return the counts in one line."""
        this, other = self.sides["mean_latency_ns"]
        names = " to ".join(clean(name, limit=40) for name in self.names)
        change = f"{self.change.value:+,.0f}"
        if np.isfinite(self.change.low):
            change += f" ({self.change.low:+,.0f} to {self.change.high:+,.0f})"
        found = f"{int(self.table['is_significant'].sum()):,} of {len(self.table):,} groups significant"
        shared = f", {self.shared_trace_count:,} traces on both sides" * bool(self.shared_trace_count)
        return f"PathComparison({names}: mean {this:,.0f} -> {other:,.0f} ns, {change}, {found}{shared})"

    def _repr_html_(self) -> str:
        shown = as_html(self.named_table.head(10))
        return f"{self.heading()}{shown}{as_html(self.sides)}"


def compare(
    path: Paths,
    other: Paths,
    *,
    by: By = ("service_name", "operation"),
    band: tuple[float, float] = (0.0, 1.0),
    min_traces: int = 20,
    confidence: float = 0.95,
    fdr: float = 0.05,
    include_partial: bool = True,
    names: tuple[str, str] = SIDES,
) -> PathComparison:
    """Return the change in mean latency to another set of requests, by group: ``baseline.compare(current)``.

    The changes of all groups sum to the change of the mean latency in whole nanoseconds (each is rounded by less than 1
    ns), and the parts of a group sum to its change; see ``factors.split``.

    Intervals and p values use Student's t on the influences of traces (``stats.weighted_means.difference``); the
    variance of a side is at least the pooled variance, because a few traces rarely show the tail. They are not
    estimable if on either side the variance of the group or of the latency is based on fewer than 20 traces, counted by
    weight class (``stats.influences.Moments``). A ``q_value`` is the smallest ``fdr`` at which a group is significant
    (Benjamini and Hochberg 1995). If one side has weights and the other has none, they are not comparable:
    ``.comparability`` reports it, and nothing is significant. If clock skew was corrected on one side only, groups have
    no intervals, because the correction itself moves time between groups.

    ``names`` are the names of both sides for people, such as ``("1.4.0", "1.5.0")``: in the repr, tables, figures and
    reports.  Columns of the frames start with ``baseline_`` and ``current_``.
    """
    if not hasattr(other, "tabulated"):
        message = f"expected a CriticalPath to compare with, found {type(other).__name__}"
        raise TypeError(f"{message}; use tk.critical_path(before).compare(tk.critical_path(after))")
    if not 0 < fdr < 1:
        raise ValueError(f"expected a false discovery rate between 0 and 1, such as 0.05, found {fdr}")
    names = side_names(names)
    tables = _tables((path, other), by)
    requests = [table.requests for table in tables]
    populations = [
        population_of(side, band, min_traces=min_traces, include_partial=include_partial) for side in requests
    ]
    for name, population in zip(names, populations, strict=True):
        if not population.chosen.any():
            raise ValueError(f"expected requests to compare, found none on the {name} side; see path.traces")
        if not population.weight[population.chosen].any():
            raise ValueError(f"expected weights above 0, found only 0 on the {name} side; see path.traces.weights")
    cells = together([table.cells for table in tables])
    this_sample, other_sample = map(Sample.of, requests, cells, populations)
    from tracekit.stats.tests import false_discovery  # noqa: PLC0415 - slow to import, and rarely needed

    about = comparability(path.source, other.source, names)
    found = contrast(this_sample, other_sample, confidence=confidence)
    found = found if _same_clocks(tables) else found.total_only
    found = found if about.is_comparable else found.without_limits
    (change, parts), q_value = _rounded_parts(found), false_discovery(found.p_value)
    keys = cells[0].keys.frame()
    table = keys.assign(
        baseline_mean_ns=found.this.time,
        current_mean_ns=found.other.time,
        change_ns=change,
        change_low_ns=found.low[:, 0],
        change_high_ns=found.high[:, 0],
        **{f"{factor}_change_ns": parts[:, at] for at, factor in enumerate(FACTORS)},
        q_value=q_value,
        is_significant=q_value <= fdr,
        baseline_trace_count=this_sample.request_counts,
        current_trace_count=other_sample.request_counts,
        exemplar_trace_id=np.where(change > 0, _slowest(requests[1], other_sample), _slowest(requests[0], this_sample)),
    )
    shared = np.intersect1d(_trace_ids(requests[0], populations[0]), _trace_ids(requests[1], populations[1]))
    occurs = (table["baseline_trace_count"] + table["current_trace_count"]).to_numpy() > 0
    order = np.argsort(-np.abs(change), kind="stable")
    order = order[occurs[order]]
    return PathComparison(
        table.iloc[order].reset_index(drop=True),
        _parts(keys, found, parts, order),
        _sides(populations, names),
        Estimate(int(change.sum()), "ns", *found.total, n=sum(int(each.chosen.sum()) for each in populations)),
        len(shared),
        about,
        names,
    )


def same_clocks(*sides: CriticalPath | ReadPaths) -> bool:
    """Return whether about the same number of clocks per trace was corrected on each side."""
    return _is_alike([(side.corrected_count, len(side.requests.trace_weight)) for side in sides])


def _same_clocks(tables: Sequence[PathTable]) -> bool:
    """Return the same for tables."""
    return _is_alike([(table.corrected_count, len(table.requests.trace_weight)) for table in tables])


def _is_alike(counts: Sequence[tuple[int, int]]) -> bool:
    """Return whether two sides have about as many corrected clocks for each trace."""
    (first, firsts), (second, seconds) = counts
    return abs(first / firsts - second / seconds) < _CLOCKS


def _tables(sides: Sequence[Paths], by: By) -> list[PathTable]:
    """Return both sides as tables; a name that neither has is an error, one that one lacks is missing there."""
    for name, key in named(by).items():
        if not isinstance(key, str) and key.index.name != "trace_id":
            message = "expected a Series indexed by trace id to compare two sides by, found one aligned with spans"
            raise ValueError(f"{message} ({name}); pass a name, or pandas.concat of a Series by trace id of each side")
    tables = [side.tabulated(by, may_lack=True) for side in sides]
    if tables[0].lacking & tables[1].lacking:
        sides[0].tabulated(by)  # says what is unknown
    return tables


def _rounded_parts(found: Contrast) -> tuple[Array, Array]:
    """Return the changes and their parts as integers that sum to the total, in ns."""
    total = int(np.rint(found.change[:, 0].sum()))
    change = whole_numbers(found.change[:, 0], total)
    return change, whole_numbers(found.change[:, 1:], change)


def _parts(keys: pd.DataFrame, found: Contrast, parts: Array, order: Array) -> pd.DataFrame:
    """Return one row per group and factor."""
    tables = []
    values = zip(FACTORS, found.this.factors(None), found.other.factors(None), strict=True)
    for at, (factor, this, other) in enumerate(values):
        absent = [(side.presence <= 0) & (factor != "presence") for side in (found.this, found.other)]
        tables.append(
            keys.assign(
                factor=factor,
                baseline_value=np.where(absent[0], np.nan, this),
                current_value=np.where(absent[1], np.nan, other),
                change_ns=parts[:, at],
                change_low_ns=found.low[:, 1 + at],
                change_high_ns=found.high[:, 1 + at],
            ).iloc[order]
        )
    table = pd.concat(tables, ignore_index=True)
    return table.iloc[np.arange(len(table)).reshape(len(FACTORS), -1).T.ravel()].reset_index(drop=True)


def _sides(populations: Sequence[Population], names: tuple[str, str]) -> pd.DataFrame:
    """Return the counts, quantiles and latencies of both sides."""
    about = pd.DataFrame([population.facts for population in populations])
    about.insert(0, "side", list(names))
    return about


def _slowest(requests: Requests, sample: Sample) -> Array:
    """Return for every group the trace with the most critical-path time in it."""
    return requests.ids(sample.first(-sample.cells.time_ns))


def _trace_ids(requests: Requests, population: Population) -> Array:
    """Return the ids of the traces of a population."""
    return requests.ids(np.flatnonzero(population.chosen))
