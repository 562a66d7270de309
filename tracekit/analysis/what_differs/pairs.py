"""Pairs of values that together set traces apart more than either alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.what_differs.shares import Counted, presence, shares
from tracekit.stats.mover import weight_classes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.analysis.what_differs.membership import Membership
    from tracekit.analysis.what_differs.shares import Shares
    from tracekit.analysis.what_differs.tally import SideTally
    from tracekit.columns import Array

_BLOCK: Final = 1 << 16  # traces
_LEAST: Final = 5  # traces with both values
_POWERS: Final = 3
_Matrices = tuple["Array", ...]


class Together(NamedTuple):
    """The traces of one side that have two values, for all pairs of some values.

    Parameters
    ----------
    recorded
        int64[values, values]: recorded traces.
    classes
        By weight class: sums of their weights to the powers 0, 1 and 2.
    """

    recorded: Array
    classes: Mapping[int, _Matrices]

    def with_(self, other: Together) -> Together:
        """Return the traces of both."""
        classes = dict(self.classes)
        for label, sums in other.classes.items():
            known = classes.get(label)
            classes[label] = sums if known is None else tuple(map(np.add, known, sums))
        return Together(self.recorded + other.recorded, classes)


class Pairs(NamedTuple):
    """Pairs of values, the first with the smaller number.

    Parameters
    ----------
    first, second
        Places of the values among those that were tried.
    counts
        How many traces of each side have both.
    shares
        Shares of traces with both.
    gain_p_value
        That the pair says no more than one of its values: the larger of two, each among the traces with one value.
    """

    first: Array
    second: Array
    counts: tuple[Counted, Counted]
    shares: Shares
    gain_p_value: Array


def together(found: Membership, chosen: Array, weights: Array) -> Together:
    """Return which of some traces have two values."""
    has = table(found, len(chosen))
    codes, labels = weight_classes(np.where(chosen, weights, 0.0))
    classes: dict[int, _Matrices] = {}
    for code, label in enumerate(labels):
        rows = np.flatnonzero(codes == code)
        classes[label] = _sums(has, rows, weights[rows])
    is_all = len(labels) == 1 and bool((codes[chosen] >= 0).all())
    recorded = next(iter(classes.values()))[0] if is_all else _products(has, np.flatnonzero(chosen))
    return Together(np.rint(recorded).astype(np.int64), classes)


def table(found: Membership, traces: int) -> Array:
    """Return which trace has which value, bool[values, traces]."""
    has = np.zeros((len(found.keys), traces), bool)
    has[found.value, found.trace] = True
    return has


def _sums(has: Array, rows: Array, weights: Array) -> _Matrices:
    """Return sums of the weights of some traces to the powers 0, 1 and 2, by pairs of values."""
    count = _products(has, rows)
    if not len(rows) or weights.min() == weights.max():
        one = weights[0] if len(rows) else 0.0
        return count, count * one, count * one**2
    return count, *(_products(has, rows, weights**power) for power in (1, 2))


def _products(has: Array, rows: Array, weights: Array | None = None) -> Array:
    """Return the sum over some traces of their weights, by pairs of values that they have."""
    total = np.zeros((len(has), len(has)))
    for low in range(0, len(rows), _BLOCK):
        part = has[:, rows[low : low + _BLOCK]]
        if weights is None:
            part = part.astype(np.float32)
            total += part @ part.T
        else:
            total += (part * weights[low : low + _BLOCK]) @ part.T.astype(np.float64)
    return total


def pairs(
    keys: Sequence[str],
    found: tuple[Together, Together],
    sides: tuple[SideTally, SideTally],
    sizes: tuple[int, int],
    *,
    confidence: float,
) -> Pairs | None:
    """Return the pairs of values of different keys that differ more than either; None without any.

    ``sizes``: traces of each side.
    """
    inside = [each.recorded for each in found]
    first, second = np.triu_indices(len(keys), 1)
    names = np.array(keys, object)
    is_pair = names[first] != names[second]
    is_pair &= (inside[0][first, second] + inside[1][first, second]) >= _LEAST
    is_pair &= _is_more(inside, first, second, sizes)
    first, second = first[is_pair], second[is_pair]
    if not len(first):
        return None
    totals = [{label: each.total for label, each in side.classes.items()} for side in sides]
    counts = [_counted(each, first, second, total) for each, total in zip(found, totals, strict=True)]
    gain = np.maximum(*(_gain(found, own, first, second, confidence) for own in (first, second)))
    return Pairs(first, second, (counts[0], counts[1]), shares(counts[0], counts[1], confidence=confidence), gain)


def _is_more(inside: Sequence[Array], first: Array, second: Array, sizes: Sequence[int]) -> Array:
    """Return which pairs differ more between the sides than either value, as counted."""
    parts = [matrix / max(size, 1) for matrix, size in zip(inside, sizes, strict=True)]
    difference = np.abs(parts[0] - parts[1])
    alone = np.diag(difference)
    return np.asarray(difference[first, second] > np.maximum(alone[first], alone[second]))


def _gain(found: Sequence[Together], own: Array, first: Array, second: Array, confidence: float) -> Array:
    """Return p values that, among the traces with one value of each pair, the other one makes no difference."""
    counts = []
    for each in found:
        totals = {label: np.stack([matrix[own, own] for matrix in sums]) for label, sums in each.classes.items()}
        counts.append(_counted(each, first, second, totals))
    return np.asarray(np.nan_to_num(shares(counts[0], counts[1], confidence=confidence).p_value, nan=1.0))


def _counted(found: Together, first: Array, second: Array, totals: Mapping[int, Array]) -> Counted:
    """Return the traces with each pair, among those of which these are the powers: of all, or pair by pair."""
    labels, pairs = sorted(totals), len(first)
    every = np.zeros((_POWERS, pairs, max(len(labels), 1)))
    own = np.zeros_like(every)
    for at, label in enumerate(labels):
        every[:, :, at] = np.broadcast_to(np.reshape(totals[label], (_POWERS, -1)), (_POWERS, pairs))
        if label in found.classes:
            own[:, :, at] = [matrix[first, second] for matrix in found.classes[label]]
    is_used = every[0] > 0
    is_used[:, 0] |= ~is_used.any(axis=1)
    _, weight, square = own[:, is_used]
    sums = presence(tuple(every[:, is_used]), weight, square)
    owner = np.repeat(np.arange(pairs), is_used.sum(axis=1))
    return Counted(found.recorded[first, second], sums, owner)
