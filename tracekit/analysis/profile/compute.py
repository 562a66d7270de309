"""Critical-path time by function: the self time of each span, in proportion to its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.keys import key_codes
from tracekit.analysis.profile.functions import leaf_codes
from tracekit.analysis.profile.match import Fate, matched
from tracekit.analysis.profile.result import Profile
from tracekit.analysis.profile.split import split_of, table_of

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array
    from tracekit.profile_samples import ProfileSamples

_FATES = {
    Fate.LOCAL_ROOT: "only the local root span is known: attributed to its endpoint, not to a span",
    Fate.UNKNOWN_SPAN: "the span is in no trace",
    Fate.AMBIGUOUS: "several spans have the id",
    Fate.NO_ID: "without a span id",
}


def profile_of(path: CriticalPath, samples: ProfileSamples) -> Profile:
    """Return the critical path of requests, split into functions."""
    spans = path.source.columns.spans
    row, fate = matched(spans, samples)
    split = split_of(path, samples, np.where(fate == Fate.SPAN, row, -1))
    return Profile(
        path,
        samples,
        split,
        functions=table_of(path, split, samples, ()),
        endpoints=_endpoints(path, samples, row, fate == Fate.LOCAL_ROOT),
        matching=_matching(path, samples, row, fate),
    )


def _endpoints(path: CriticalPath, samples: ProfileSamples, row: Array, chosen: Array) -> pd.DataFrame:
    """Return the samples that name only a local root, by its operation and function."""
    leaf, names = leaf_codes(samples)
    service, operation = (key_codes(path.source, path.tree, name) for name in ("service_name", "operation"))
    rows = row[chosen]
    table = pd.DataFrame(
        {
            "service_name": np.array([*service.labels, None], object)[service.codes[rows]],
            "operation": np.array([*operation.labels, None], object)[operation.codes[rows]],
            "function": np.array(names, object)[leaf[samples.stack[chosen]]],
            "sample_weight": samples.weight[chosen],
        }
    )
    keys = ["service_name", "operation", "function"]
    weights = table.groupby(keys, dropna=False, sort=True)["sample_weight"]
    found = pd.DataFrame({"sample_count": weights.size(), "sample_weight": weights.sum()}).reset_index()
    return found.sort_values("sample_weight", ascending=False, kind="stable", ignore_index=True)


def _matching(path: CriticalPath, samples: ProfileSamples, row: Array, fate: Array) -> pd.DataFrame:
    """Return how many samples were matched with what, and how much critical-path time they split."""
    is_span = fate == Fate.SPAN
    is_used = is_span.copy()
    is_used[is_span] = path.on_path[row[is_span]] & (path.own_ns[row[is_span]] > 0)
    groups = {
        "on the critical path": is_used,
        "the span has no self time on the critical path": is_span & ~is_used,
        **{text: fate == one for one, text in _FATES.items()},
    }
    rows = [(text, int(chosen.sum()), int(samples.weight[chosen].sum())) for text, chosen in groups.items()]
    return pd.DataFrame(rows, columns=["samples", "sample_count", "sample_weight"])
