"""Operations whose child operations changed: exceptions, early returns and time-outs that leave no status.

The shape of a span is the set of its child operations.  A shape that was rare and is now frequent deviates; of spans
that deviate along one branch, only the deepest points to a service.  Counts are of traces; with uneven sampling
weights, weighted shares of Kish's effective number of traces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.deviations import (
    SHAPE,
    STOPPED,
    UNANSWERED,
    Deviations,
    plain_labels,
    usual_callees,
)
from tracekit.analysis.suspects.subtrees import callees, has_below, last_callee, last_child
from tracekit.stats.exceedance import hypergeometric_tail, time_blocks

if TYPE_CHECKING:
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array

_RARE: Final = 0.1  # share of the baseline that a deviating shape may have
_MIN_Z, _MIN_TRACES = 6.0, 4
_MAX_P: Final = 0.01  # of one shape, adjusted for the number of shapes
_MIN_BASELINE: Final = 10  # traces with the operation
_MIN_BLOCK: Final = 8  # traces with the operation in a stretch of the baseline, for its share to count
_DEVIATES: Final = 0.5
_ROUNDED: Final = 1e-6
_MOST_STOPPED: Final = 0.8  # of all deviations: callers stop after one service
_KEYS: Final = ["plain", "shape"]


def changed_shapes(before: Window, now: Window) -> Deviations:
    """Return the deepest spans of the current side with a shape that was rare."""
    usual, several = usual_callees(before)
    table, number = _counted(before, now)
    table["weight"] = _weights(table, ~table["plain"].isin(several).to_numpy())
    weight = table["weight"].to_numpy()[number]
    deviates = weight > _DEVIATES
    row = np.flatnonzero(deviates & ~has_below(now, deviates))
    service, how = _services(now, row, weight[row], usual)
    mine = table.iloc[number[row]]
    return Deviations(
        row,
        service,
        how,
        weight[row],
        *(mine[name].to_numpy() for name in ("p", "share0", "share1", "of0", "of1")),
    )


def _spans(window: Window) -> pd.DataFrame:
    """Return operation, shape and trace of every recorded span, indexed by its row."""
    plain = plain_labels(window)
    label = plain * (len(window.names.service) + 1) + callees(window) + 1
    rows = np.flatnonzero(window.parent >= 0)
    pairs = pd.DataFrame({"parent": window.parent[rows], "label": label[rows]}).drop_duplicates()
    shape = np.zeros(len(plain), np.uint64)
    np.add.at(shape, pairs["parent"].to_numpy(), pd.util.hash_array(pairs["label"].to_numpy()))
    weight = window.weight[window.trace]
    frame = pd.DataFrame({"plain": plain, "shape": shape, "trace": window.trace, "weight": weight})
    return frame[window.is_live]


def _counted(before: Window, now: Window) -> tuple[pd.DataFrame, Array]:
    """Return one row per operation and shape of the current side with counts of traces, and the row of every span."""
    past, seen = _spans(before), _spans(now)
    groups = seen.groupby(_KEYS, sort=True)
    number = np.zeros(len(now.parent), np.int64)
    number[seen.index] = groups.ngroup().to_numpy()
    table = groups.size().index.to_frame(index=False)
    past = past.drop_duplicates()
    past = past.assign(block=time_blocks(before.start_ns, len(now.weight))[past["trace"].to_numpy()])
    for at, frame in enumerate((past, seen.drop_duplicates())):
        table = table.join(_effective(frame).rename(f"of{at}"), on="plain")
        table = table.join(_shares(frame, ["plain"]).rename(f"share{at}"), on=_KEYS)
    table = table.join(_worst(past), on=_KEYS).fillna(0)
    for at in (0, 1):
        table[f"k{at}"] = table[f"share{at}"] * table[f"of{at}"]
    return table, number


def _effective(frame: pd.DataFrame) -> pd.Series:
    """Return the effective number of traces with each operation."""
    traces = frame[["plain", "trace", "weight"]].drop_duplicates()
    sums = traces.assign(square=traces["weight"] ** 2).groupby("plain")[["weight", "square"]].sum()
    return sums["weight"] ** 2 / sums["square"].where(sums["square"] > 0)


def _shares(frame: pd.DataFrame, of: list[str]) -> pd.Series:
    """Return the weighted share of the traces with an operation (in a stretch) that have each shape."""
    whole = frame[[*of, "trace", "weight"]].drop_duplicates().groupby(of)["weight"].sum().rename("whole")
    part = frame.groupby([*_KEYS, *of[1:]])["weight"].sum().rename("part").reset_index().join(whole, on=of)
    return (part["part"] / part["whole"].where(part["whole"] > 0)).set_axis(
        pd.MultiIndex.from_frame(part[[*_KEYS, *of[1:]]])
    )


def _worst(past: pd.DataFrame) -> pd.Series:
    """Return the largest share of each shape in any stretch of the baseline."""
    stretch = ["plain", "block"]
    size = past[[*stretch, "trace"]].drop_duplicates().groupby(stretch).size().rename("size")
    share = _shares(past, stretch).rename("worst").reset_index().join(size, on=stretch)
    return share[share["size"] >= _MIN_BLOCK].groupby(_KEYS)["worst"].max()


def _weights(table: pd.DataFrame, is_clear: Array) -> Array:
    """Return by shape how much rarer it was, 0 unless it deviates; its p-value becomes a column of the table."""
    from scipy import stats  # noqa: PLC0415 - half as slow to import as the rest of tracekit

    k0, n0, k1, n1, worst = (table[name].to_numpy(float) for name in ("k0", "of0", "k1", "of1", "worst"))
    is_tested = is_clear & (n0 >= _MIN_BASELINE)
    usual, share = np.maximum((k0 + 0.5) / (n0 + 1), worst), k1 / np.maximum(n1, 1)
    spread = np.sqrt(np.maximum(usual * (1 - usual), 1e-6) * (1 / np.maximum(n1, 1) + 1 / np.maximum(n0, 1)))
    k0, n0, k1, n1 = np.ceil(k0 - _ROUNDED), np.rint(n0), np.floor(k1 + _ROUNDED), np.rint(n1)
    by_chance = hypergeometric_tail(*(part.astype(np.int64) for part in (k1, n1, k0 + k1, n0 + n1)))
    in_worst = stats.binom.sf(k1 - 1, n1, worst)  # were all of the current side like the worst stretch
    p = np.minimum(1.0, np.maximum(by_chance, in_worst) * max(int(is_tested.sum()), 1))
    table["p"] = np.where(is_tested, p, 1.0)
    deviates = is_tested & (usual <= _RARE) & (k1 >= _MIN_TRACES)
    deviates &= ((share - usual) / spread > _MIN_Z) & (p < _MAX_P)
    return np.where(deviates, np.clip(1 - usual / np.maximum(share, 1e-9), 0, 1), 0.0)


def _services(now: Window, row: Array, weight: Array, usual: pd.Series) -> tuple[Array, Array]:
    """Return the service that each deepest deviating span points to, and how."""
    service, how = now.service[row].copy(), np.full(len(row), SHAPE)
    last = last_child(now)
    expected = usual.reindex(plain_labels(now)[row]).fillna(-1).to_numpy(np.int64)
    is_silent = (expected >= 0) & (last[row] < 0)
    service[is_silent], how[is_silent] = expected[is_silent], UNANSWERED
    after = np.where(is_silent, -1, last_callee(now, last)[row])
    for one in np.unique(after[after >= 0]):
        mine = after == one
        callers = np.unique(now.service[row[mine]])
        if len(callers) > 1 and weight[mine].sum() >= _MOST_STOPPED * weight.sum():
            service[mine], how[mine] = one, STOPPED
    return service, how
