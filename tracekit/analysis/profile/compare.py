"""Which functions take more or less of the critical path than in a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.cells import Labels, Sample, population_of
from tracekit.analysis.critical_path.contrast import whole_numbers
from tracekit.analysis.profile.functions import NO_SAMPLES
from tracekit.analysis.profile.result import ProfileComparison
from tracekit.analysis.profile.split import by_function
from tracekit.stats.tests import false_discovery
from tracekit.stats.weighted_means import difference
from tracekit.weights.comparability import comparability

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.cells import Cells
    from tracekit.analysis.profile.result import Profile
    from tracekit.schema import Array


def compared(baseline: Profile, current: Profile, *, fdr: float = 0.05) -> ProfileComparison:
    """Return the change of every function, from the baseline to the current side."""
    sides = (baseline, current)
    if not all(len(side.table.requests) for side in sides):
        raise ValueError("expected requests to compare, found none on one side; see path.traces")
    if len({(side.samples.value_type, side.samples.value_unit) for side in sides}) > 1:
        found = ", ".join(f"{side.samples.value_type} in {side.samples.value_unit}" for side in sides)
        raise ValueError(f"expected samples of one type on both sides, found {found}; read both with the same value=")
    cells = [by_function(side.table).cells for side in sides]
    names = sorted({name for one in cells for name in one.keys.columns["function"]})
    samples = [
        Sample.of(side.table.requests, _renumbered(one, names), population_of(side.table.requests))
        for side, one in zip(sides, cells, strict=True)
    ]
    means = [sample.means(sample.cells.time_ns) for sample in samples]
    moments = [sample.moments(sample.influence(sample.cells.time_ns)) for sample in samples]
    change = means[1] - means[0]
    low, high, p_value = difference(change, *moments)
    about = comparability(baseline.paths.source, current.paths.source)
    if not about.is_comparable:
        low, high, p_value = (np.full(len(names), np.nan) for _ in range(3))
    q_value = false_discovery(p_value)
    is_significant = q_value <= fdr
    is_rest = np.array([name == NO_SAMPLES for name in names], bool)
    moved = np.sign(change[is_rest & is_significant]).sum()  # of the time without samples: -1, 0 or 1
    if moved:
        is_significant &= np.sign(change) == moved
    table = pd.DataFrame(
        {
            "function": np.array(names, object),
            "baseline_mean_ns": means[0],
            "current_mean_ns": means[1],
            "change_ns": whole_numbers(change, int(np.rint(change.sum()))),
            "change_low_ns": low,
            "change_high_ns": high,
            "q_value": q_value,
            "is_significant": is_significant,
        }
    )
    order = np.argsort(-np.abs(change), kind="stable")
    return ProfileComparison(table.iloc[order].reset_index(drop=True), baseline, current, about.statement)


def _renumbered(cells: Cells, names: list[str]) -> Cells:
    """Return cells with the functions of both sides as groups."""
    number = {name: at for at, name in enumerate(names)}
    code: Array = np.array([number[name] for name in cells.keys.columns["function"]], np.int64)
    group = code[cells.group]
    order = np.lexsort((cells.request, group))
    keys = Labels({"function": np.array(names, object)}, len(names))
    return cells._replace(
        keys=keys,
        group=group[order],
        request=cells.request[order],
        call_count=cells.call_count[order],
        time_ns=cells.time_ns[order],
    )
