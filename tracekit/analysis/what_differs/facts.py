"""Values that name the same traces, collapsed into one fact."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tracekit.analysis.what_differs.membership import Membership
    from tracekit.columns import Array


class Facts(NamedTuple):
    """Values grouped by the traces that have them.

    Parameters
    ----------
    shown
        One value of each fact.
    also
        The other values of each fact, as text; ``not key=value`` where a value is on all other traces.
    """

    shown: Array
    also: list[list[str]]


def marks(found: Membership, among: Array, *, seed: int) -> tuple[Array, int]:
    """Return a 64-bit mark of the set of traces of each value, and that of all; equal sets have equal marks.

    ``among`` says which traces count; sets of different traces have different seeds.
    """
    bits = np.random.default_rng(seed).integers(1, 2**63, len(among), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    bits[~among] = 0
    mark = np.zeros(len(found.keys), np.uint64)
    first = np.flatnonzero(np.diff(found.value, prepend=-1))
    if len(first):
        mark[found.value[first]] = np.bitwise_xor.reduceat(bits[found.trace], first)
    return mark, int(np.bitwise_xor.reduce(bits))


def facts(found: Membership, mark: Array, whole: int, candidates: Array) -> Facts:
    """Return the facts among some values, in their order: the first of equal ones is shown."""
    place: dict[int, int] = {}
    shown: list[int] = []
    also: list[list[str]] = []
    for value in candidates.tolist():
        own = int(mark[value])
        other = own ^ whole
        text = f"{found.keys[value]}={found.texts[value]}"
        if own in place:
            also[place[own]].append(text)
        elif other in place:
            also[place[other]].append(f"not {text}")
        else:
            place[own] = len(shown)
            shown.append(value)
            also.append([])
    return Facts(np.array(shown, np.int64), also)
