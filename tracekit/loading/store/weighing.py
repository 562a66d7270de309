"""Sampling weights that need all traces at once: found from some spans of each, and given to each part."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tracekit.columns import trace_starts
from tracekit.loading.store.union import Piece, piece_of
from tracekit.parts import OfEachPart
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.columns import Array, SpanColumns
    from tracekit.weights import Weights


@dataclass(frozen=True)
class PieceOf(OfEachPart):
    """Returns some spans of a part, chosen by a function that returns their rows, as a piece."""

    rows: Callable[[TraceSet], Array]

    def __call__(self, traces: TraceSet) -> tuple[Piece, ...]:
        """Return those of a part or a piece of it, also if it has none."""
        some = TraceSet(traces.columns.take(self.rows(traces)), weights=traces.weights)
        return (piece_of(some, some.weights, np.ones(len(some), bool), 0),)


@dataclass(frozen=True)
class WeightsById:
    """Sampling weights of the traces of a part by trace id, about 30 bytes each.

    Parameters
    ----------
    ids
        The 16 bytes of each id, ascending.
    weights
        One for each.
    """

    ids: Array
    weights: Weights

    @cached_property
    def digest(self) -> bytes:
        """A name of the weights, the same for equal ones."""
        return hashlib.blake2b(pickle.dumps((self.ids, self.weights)), digest_size=16).digest()

    def of(self, traces: TraceSet) -> TraceSet:
        """Return some of the traces of the part with their weights."""
        wanted = _ids(traces.columns.spans)
        at = np.minimum(np.searchsorted(self.ids, wanted), max(len(self.ids) - 1, 0))
        assert not len(wanted) or (self.ids[at] == wanted).all()
        return TraceSet(traces.columns, forest=traces.forest, weights=self.weights.take(at), steps=traces.steps)


def by_part(pieces: Sequence[Piece], numbers: Sequence[int], weights: Weights) -> dict[int, WeightsById]:
    """Return the weights of the traces of each part from those of all, in the order of their ids.

    ``numbers``: of the part of each piece.
    """
    ids = [_ids(piece.columns.spans) for piece in pieces]
    every, own = np.concatenate(ids), np.repeat(numbers, [len(each) for each in ids])
    order = np.argsort(every)
    rows = {number: np.flatnonzero(own[order] == number) for number in numbers}
    return {number: WeightsById(every[order[at]], weights.take(at)) for number, at in rows.items()}


def _ids(spans: SpanColumns) -> Array:
    """Return the 16 bytes of the id of each trace, which sort as the ids do."""
    first = trace_starts(spans)[:-1]
    return np.column_stack((spans.trace_hi[first], spans.trace_lo[first])).astype(">u8").view("S16").ravel()
