"""The parts of many documents in one list: every segment before its subsegments, without recursion."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from tracekit.loading.records import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.loading.xray.segment import Part


DEEPEST = MAX_DEPTH // 4 - 1  # levels of a list and an object each; the rest is enough for any plain block


@dataclass(frozen=True, slots=True)
class Tree:
    """The parts of some documents.

    Parameters
    ----------
    parts
        Document by document, each part before its subsegments.
    above
        The index in ``parts`` of the enclosing part, -1 for the root of a document.
    document
        The document of each part.
    """

    parts: list[Part]
    above: Array
    document: Array

    def sorted(self, key: Array) -> Tree:
        """Return the same parts, stably sorted by a key."""
        order = np.argsort(key, kind="stable")
        place = np.empty(len(order) + 1, np.int64)
        place[order], place[-1] = np.arange(len(order)), -1
        parts = self.parts
        return Tree([parts[i] for i in order.tolist()], place[self.above[order]], self.document[order])


def flat(roots: Sequence[Part]) -> Tree:
    """Return the parts of documents in depth-first order."""
    levels, above = [list(roots)], [np.full(len(roots), -1)]
    while len(levels) <= DEEPEST:
        inner = [part.subsegments or () for part in levels[-1]]
        below = list(chain.from_iterable(inner))
        if not below:
            break
        above.append(np.repeat(np.arange(len(inner)), np.fromiter(map(len, inner), np.int64, len(inner))))
        levels.append(below)
    else:
        raise ValueError("expected subsegments that nest less deep")
    places = _places(above)
    order = np.argsort(np.concatenate(places))
    everything = list(chain.from_iterable(levels))
    over = [above[0], *(upper[parents] for upper, parents in zip(places, above[1:], strict=False))]
    documents = np.repeat(np.arange(len(roots)), np.diff(places[0], append=len(everything)))
    return Tree([everything[i] for i in order.tolist()], np.concatenate(over)[order], documents)


def _places(above: list[Array]) -> list[Array]:
    """Return the final index of each part of each level."""
    sizes = [np.ones(len(level), np.int64) for level in above]
    for level in range(len(above) - 1, 0, -1):
        sizes[level - 1] += np.bincount(above[level], sizes[level], len(above[level - 1])).astype(np.int64)
    places = [np.cumsum(sizes[0]) - sizes[0]]
    for size, parents in zip(sizes[1:], above[1:], strict=True):
        before = np.cumsum(size) - size
        is_first = np.diff(parents, prepend=-1) > 0
        first_child = before[is_first][np.cumsum(is_first) - 1]  # parts before the first child of the same parent
        places.append(places[-1][parents] + 1 + before - first_child)
    return places
