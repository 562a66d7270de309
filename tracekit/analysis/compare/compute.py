"""``tk.compare``: what changed between two sets of traces, in operations, calls and endpoints."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import pandas as pd

from tracekit.analysis.compare.effects import Settings, adjusted, effects
from tracekit.analysis.compare.levels import groups_of, names_of, table_of
from tracekit.analysis.compare.observations import ALL, ENDPOINT
from tracekit.analysis.compare.result import Comparison
from tracekit.analysis.compare.sums import SidePowers, SideSums, means_only, tabulate, tabulate_powers
from tracekit.analysis.critical_path import compare as path_compare
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.partials import check_names, check_on, on_side, over_parts
from tracekit.arguments import check_traces
from tracekit.grouping import named
from tracekit.stats.intervals import normal_quantile
from tracekit.traces import TraceSet
from tracekit.weights.comparability import SIDES, Comparability, comparability, shared_ids, side_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.critical_path.compare import PathComparison
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.stored import ReadPaths
    from tracekit.grouping import By
    from tracekit.parts import On, Parts

_EDGE: Final = {"edge_caller": "caller_service", "edge_callee": "callee_service"}
_ENTRY: Final = {f"request.{name}": name for name in ENDPOINT}


def compare(
    baseline: TraceSet | Parts,
    current: TraceSet | Parts,
    *,
    by: By = ("service_name", "operation"),
    names: tuple[str, str] = SIDES,
    min_traces: int = 20,
    confidence: float = 0.95,
    fdr: float = 0.05,
    on: On = None,
) -> Comparison:
    """Return what changed between two sets of traces, by operation, by call between services, and by endpoint.

    Parameters
    ----------
    baseline, current
        The traces; not modified.  Two windows of one recording are ``traces.between(...)``.  A store is read part by
        part, five times: for totals, then for intervals, for the weights, for clock skew (twice if calls seem skewed)
        and for critical paths.  Between the parts it keeps about 50 bytes for every request and group on its path.
    by
        Names to group spans by: columns of ``spans``, attribute keys, ``resource.<key>`` or ``request.<name>``, see
        ``tracekit.grouping``.
    names
        Names of the two sides, such as the versions.
    min_traces
        Traces with a group that both sides need; rows with fewer are ``too few``.
    confidence
        Confidence level of the intervals.
    fdr
        False discovery rate at which a change is significant, over all groups and metrics of all tables.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Comparison
        ``.table``, ``.edges``, ``.endpoints``, ``.requests``, ``.effects``, ``.path``.

    Raises
    ------
    ValueError
        No name to group by, or one that neither side has; names of sides that are empty or equal; a rate outside 0
        and 1.

    Notes
    -----
    Rows are ranked by their contribution to the change of the mean latency on the critical path
    (``CriticalPath.compare``), not by ratio, so a row that doubled and nobody waits for is last.  A contribution
    contains changes of presence, calls and time; the verdict is about durations of calls, calls per request and error
    rates, and names the change with the larger contribution if both durations and calls changed.

    Error rates and percentiles: limits of each side (``tk.latency``), combined by MOVER (Zou and Donner 2008); the p
    value is the smallest of seven levels of significance at which the limits of the change exclude 0.  Calls per
    request and means: Student's t on the influences of traces.  Every trace is one observation, however many spans it
    has.  q values: Benjamini and Hochberg 1995.  Groups of which one side has no trace are new or gone only if their
    absence by chance is unlikely (hypergeometric, at the lowest sampling rate of the side without it).

    Traces are taken to be independent.  Where load comes in bursts, neighbouring requests are slow together and the
    limits are too narrow: of 30 pairs of equal recordings with a fifth of the requests in bursts of 20, 19 had a row
    that is significant, of 30 without bursts none.  ``tk.investigate`` and the report also compare a regression with
    the variation between stretches of time, and give no warning where that is as large.

    Calls per second and ``rate_factor`` are not tested: two windows have different traffic for many reasons, and the
    limits assume that requests arrive independently.

    If the sides were sampled differently, or one has weights and the other none, all rows are ``not comparable`` and
    nothing is tested.

    Examples
    --------
    >>> before, during = tk.load_sample("checkout-regression")
    >>> changes = tk.compare(before, during, names=("1.4.0", "1.5.0"))
    >>> row = changes.table.iloc[0]
    >>> row["service_name"], row["operation"], row["verdict"]
    ('ledger', 'SELECT entries', 'more')
    >>> bool(changes.table["contribution_ns"].sum() == changes.path.change.value)
    True
    """
    sides = baseline, current
    for side in sides:
        check_traces(side, "compare")
        check_names(side, by)
    check_on(on, *sides)
    keys = _checked_names(by, names, confidence=confidence, fdr=fdr)
    read = [_read(side, by, on_side(side, on)) for side in sides]
    sums, powers = (read[0][0], read[1][0]), (read[0][1], read[1][1])
    counts = sums[0].trace_count, sums[1].trace_count
    about = _comparability(sides, counts, names)
    settings = Settings(confidence, fdr, min_traces, about.is_comparable)
    bys: tuple[By, ...] = (by, tuple(_EDGE), tuple(_ENTRY))
    paths = _paths(baseline, bys, on), _paths(current, bys, on)
    whole = _change(paths, by, settings, names)
    kinds = {
        "group": (whole, {name: name for name in keys}),
        "edge": (_change(paths, tuple(_EDGE), settings, names), _EDGE),
        "endpoint": (_change(paths, tuple(_ENTRY), settings, names), _ENTRY),
        "request": (whole, None),
    }
    groups = [groups_of(name, sums, powers, confidence=confidence) for name in kinds]
    found = adjusted([effects(*each.sides, settings) for each in groups])
    tables, long = [], []
    for (name, (path, own)), each, changes in zip(kinds.items(), groups, found, strict=True):
        table, order = table_of(each, changes, _parts(path, own), about.statement)
        tables.append(table)
        long.append(changes.take(order).long(name, names_of(each.keys.iloc[order])))
    every = pd.concat(long, ignore_index=True)
    table, edges, endpoints, whole_requests = tables
    shared = shared_ids(sums[0].ids, sums[1].ids)
    return Comparison(table, edges, endpoints, whole_requests, every, whole, names, counts, about, shared)


def _read(traces: TraceSet | Parts, by: By, on: On) -> tuple[SideSums, SidePowers]:
    """Return the sums of one side, in two passes."""
    sums = over_parts(traces, partial(tabulate, by=by), SideSums.__add__, on=on).state
    state = partial(tabulate_powers, by=by, known=means_only(sums))
    return sums, over_parts(traces, state, SidePowers.__add__, on=on).state


def _paths(traces: TraceSet | Parts, bys: Sequence[By], on: On) -> CriticalPath | ReadPaths:
    """Return the critical paths of one side; of a store, its tables by some names, read at once."""
    if isinstance(traces, TraceSet):
        return critical_path(traces)
    return critical_path(traces, on=on).read(bys)


def _checked_names(by: By, names: tuple[str, str], *, confidence: float, fdr: float) -> list[str]:
    """Return the names to group by; ValueError for arguments that cannot be."""
    keys = list(named(by))
    if not keys:
        raise ValueError("expected at least one name to group by, found none; the default is service_name, operation")
    side_names(names)
    if not 0 < fdr < 1:
        raise ValueError(f"expected a false discovery rate between 0 and 1, such as 0.05, found {fdr}")
    normal_quantile(confidence)
    return keys


def _comparability(
    sides: tuple[TraceSet | Parts, TraceSet | Parts], counts: tuple[int, int], names: tuple[str, str]
) -> Comparability:
    """Return what the comparison describes; without traces on one side, nothing."""
    empty = [name for name, count in zip(names, counts, strict=True) if not count]
    if empty:
        return Comparability("not comparable", f"not comparable: no traces in {' and '.join(empty)}")
    return comparability(*sides, names)


def _change(
    paths: tuple[CriticalPath | ReadPaths, CriticalPath | ReadPaths], by: By, settings: Settings, names: tuple[str, str]
) -> PathComparison | None:
    """Return the change of critical-path time by some names; None if one side has no finished request."""
    if not all(path.weight.any() for path in paths):
        return None
    return path_compare.compare(*paths, by=by, confidence=settings.confidence, fdr=settings.fdr, names=names)


def _parts(path: PathComparison | None, names: dict[str, str] | None) -> pd.DataFrame:
    """Return the contributions by the keys of a table; without names, the whole change as one row."""
    parts = ("change", "change_low", "change_high", "presence_change", "frequency_change", "duration_change")
    columns = [f"{part}_ns" for part in parts]
    if path is None:
        return pd.DataFrame(columns=[*(names or {"": "request"}).values(), *columns], dtype=float)
    if names is None:
        change = path.change
        return pd.DataFrame([[ALL, change.value, change.low, change.high, 0, 0, 0]], columns=["request", *columns])
    return path.table.rename(columns=names)
