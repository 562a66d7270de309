"""Vertical positions in a layered map: boxes close to those they call, with minimum gaps.

Each row is a least-squares problem with minimum gaps, solved exactly by pooling adjacent violators (isotonic
regression of the target position minus the offset).
"""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

ROW_STEP: Final = 48.0
_PASSES: Final = 24
_BOTH_SIDES: Final = 4  # the last passes use both adjacent layers
_BESIDE_DUMMY: Final = 0.7
_BETWEEN_DUMMIES: Final = 0.38
_DUMMY_WEIGHT: Final = 8.0  # a large weight keeps long lines straight
_ISOLATED_WEIGHT: Final = 0.05


def place(
    rows: Sequence[Sequence[int]], up: Sequence[Sequence[int]], down: Sequence[Sequence[int]], box_count: int
) -> dict[int, float]:
    """Return the vertical centre of each box and dummy node, in pixels."""
    height = {v: k * ROW_STEP for row in rows for k, v in enumerate(row)}
    gaps = [_gaps(row, box_count) for row in rows]
    for sweep in range(_PASSES):
        downwards = sweep % 2 == 0
        order = range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1)
        for k in order:
            both = sweep >= _PASSES - _BOTH_SIDES
            beside = {v: [*up[v], *down[v]] if both else up[v] if downwards else down[v] for v in rows[k]}
            wanted = [median(height[w] for w in beside[v]) if beside[v] else height[v] for v in rows[k]]
            weights = [_weight(v, len(beside[v]), box_count) for v in rows[k]]
            height.update(zip(rows[k], spread(wanted, weights, gaps[k]), strict=True))
    return height


def spread(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Return the positions closest to the target positions that keep the minimum gaps."""
    offsets, offset = [], 0.0
    for k, gap in enumerate(gaps):
        offset += gap if k else 0.0
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for want, weight, shift in zip(wanted, weights, offsets, strict=True):
        mean, total, members = want - shift, weight, 1
        while pools and pools[-1][0] > mean:
            other, other_total, other_members = pools.pop()
            mean = (other * other_total + mean * total) / (other_total + total)
            total, members = other_total + total, other_members + members
        pools.append((mean, total, members))
    means = [mean for mean, _, members in pools for _ in range(members)]
    return [float(mean + shift) for mean, shift in zip(means, offsets, strict=True)]


def _gaps(row: Sequence[int], box_count: int) -> list[float]:
    """Return the minimum distance of each member of a row to the previous one."""
    factors = (1.0, _BESIDE_DUMMY, _BETWEEN_DUMMIES)
    pairs = pairwise(row)
    return [0.0, *(ROW_STEP * factors[(a >= box_count) + (b >= box_count)] for a, b in pairs)][: len(row)]


def _weight(node: int, edge_count: int, box_count: int) -> float:
    """Return the weight of a node's target position."""
    if not edge_count:
        return _ISOLATED_WEIGHT
    return _DUMMY_WEIGHT if node >= box_count else 1 + 0.2 * edge_count
