"""Critical-path time by function: the self time of each span, in proportion to its samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.keys import key_codes
from tracekit.analysis.critical_path.stored import of_each_part
from tracekit.analysis.critical_path.tables import PathTable, union
from tracekit.analysis.partials import over_parts
from tracekit.analysis.profile.functions import leaf_codes
from tracekit.analysis.profile.match import Fate, Fits, fitting
from tracekit.analysis.profile.result import Profile
from tracekit.analysis.profile.split import by_function, cells_of_split, split_of, table_of

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.stored import StoredPaths
    from tracekit.columns import Array
    from tracekit.profile_samples import ProfileSamples
    from tracekit.traces import TraceSet

_FATES = {
    Fate.LOCAL_ROOT: "only the local root span is known: attributed to its endpoint, not to a span",
    Fate.UNKNOWN_SPAN: "the span is in no trace",
    Fate.AMBIGUOUS: "several spans have the id",
    Fate.NO_ID: "without a span id",
}
_KEYS = ["service_name", "operation", "function"]


def profile_of(paths: CriticalPath | StoredPaths, samples: ProfileSamples) -> Profile:
    """Return the critical path of requests, split into functions.

    A store is read twice: a sample without a trace id is of a span only if no other span of any part has the id.
    """
    on = getattr(paths, "on", None)
    fate = over_parts(paths.source, FitsOf(samples), Fits.plus, on=on).state.fates(samples)
    matched = samples.take(np.flatnonzero((fate == Fate.SPAN) | (fate == Fate.LOCAL_ROOT)))
    parts = of_each_part(paths, SplitOf(matched))
    table = union([part.table for part in parts])
    return Profile(
        paths,
        samples,
        matched,
        table,
        functions=table_of(by_function(table)),
        endpoints=_endpoints([part.endpoints for part in parts]),
        matching=_matching(samples, fate, sum((part.used for part in parts), np.zeros(2, np.int64))),
    )


@dataclass(frozen=True, eq=False)
class FitsOf:
    """Returns how many spans of a part fit each sample."""

    samples: ProfileSamples

    def __call__(self, traces: TraceSet) -> Fits:
        """Return those of some traces."""
        return fitting(traces.columns.spans, self.samples)[1]


class PartSplit(NamedTuple):
    """The critical path of a part by operation and function.

    Parameters
    ----------
    table
        Time by service, operation, function and request.
    endpoints
        Samples that name only a local root, by its operation and function.
    used
        Samples of spans with self time on the path: their number and weight.
    """

    table: PathTable
    endpoints: pd.DataFrame
    used: Array


@dataclass(frozen=True, eq=False)
class SplitOf:
    """Returns the critical path of a part, split into the functions of samples that each fit one span."""

    samples: ProfileSamples

    def __call__(self, path: CriticalPath) -> PartSplit:
        """Return that of some paths."""
        row, _ = fitting(path.source.columns.spans, self.samples)
        is_span = (row >= 0) & (self.samples.span_id != 0)
        split = split_of(path, self.samples, np.where(is_span, row, -1))
        cells = cells_of_split(path, split, self.samples)
        used = is_span & path.on_path[row] & (path.own_ns[row] > 0)
        return PartSplit(
            PathTable(path.requests, cells, frozenset(), len(path.offsets)),
            _local_roots(path, self.samples, row, (row >= 0) & ~is_span),
            np.array([used.sum(), self.samples.weight[used].sum()], np.int64),
        )


def _local_roots(path: CriticalPath, samples: ProfileSamples, row: Array, chosen: Array) -> pd.DataFrame:
    """Return the samples that name only a local root, by its operation and function."""
    leaf, names = leaf_codes(samples)
    service, operation = (key_codes(path.source, path.tree, name) for name in _KEYS[:2])
    rows = row[chosen]
    table = pd.DataFrame(
        {
            "service_name": np.array([*service.labels, None], object)[service.codes[rows]],
            "operation": np.array([*operation.labels, None], object)[operation.codes[rows]],
            "function": np.array(names, object)[leaf[samples.stack[chosen]]],
            "sample_count": np.ones(len(rows), np.int64),
            "sample_weight": samples.weight[chosen],
        }
    )
    return _added(table)


def _added(table: pd.DataFrame) -> pd.DataFrame:
    """Return the samples by operation and function."""
    return table.groupby(_KEYS, dropna=False, sort=True)[["sample_count", "sample_weight"]].sum().reset_index()


def _endpoints(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the samples of all parts that name only a local root, the largest weight first."""
    both = reduce(lambda one, other: _added(pd.concat([one, other], ignore_index=True)), parts)
    return both.sort_values("sample_weight", ascending=False, kind="stable", ignore_index=True)


def _matching(samples: ProfileSamples, fate: Array, used: Array) -> pd.DataFrame:
    """Return how many samples were matched with what, and how much critical-path time they split."""
    sums = {one: np.array([(fate == one).sum(), samples.weight[fate == one].sum()]) for one in Fate}
    groups = {
        "on the critical path": used,
        "the span has no self time on the critical path": sums[Fate.SPAN] - used,
        **{text: sums[one] for one, text in _FATES.items()},
    }
    rows = [(text, int(number), int(weight)) for text, (number, weight) in groups.items()]
    return pd.DataFrame(rows, columns=["samples", "sample_count", "sample_weight"])
