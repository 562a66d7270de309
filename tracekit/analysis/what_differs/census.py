"""Which values of which keys are compared: counted over all parts first."""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.what_differs.membership import are_numbers, derived_of, distinct_pairs, owned
from tracekit.attributes import hashes_of, texts_of
from tracekit.stats.grouping import counted, distinct

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tracekit.analysis.what_differs.membership import Owned
    from tracekit.columns import Array, KeyValues
    from tracekit.traces import TraceSet

MOST: Final = 20_000  # values of a key that are all counted; of more, only frequent ones
QUANTITY: Final = 10  # different numbers from which an attribute is a quantity
_MANY: Final = 50  # values from which a key may be an identifier, ...
_FEW: Final = 100  # values of a part that are compared as texts at once
_MOSTLY: Final = 0.5  # ... which it is with one value for two traces or fewer
_END: Final = "\x1f"  # of type, origin, namespace, and whether it is indexed, before the text of a value


class Spread(NamedTuple):
    """How many values a key has, how many traces have it, and whether all values are numbers.

    ``number_count``: different numbers, up to ``QUANTITY``.
    ``occurrence_count``: attributes of spans, and of resources and scopes, each once a trace.
    ``is_many``: more than ``MOST`` values; of a store, their number is then an estimate (``is_estimate``).
    """

    key: str
    distinct_count: int
    trace_count: int
    is_number: bool
    number_count: int
    occurrence_count: int
    is_many: bool
    is_estimate: bool = False

    @property
    def is_identifier(self) -> bool:
        """Whether most values are of few traces."""
        return self.distinct_count > _MANY and self.distinct_count > _MOSTLY * self.trace_count

    @property
    def is_left_out(self) -> bool:
        """Whether its values are not compared one by one: those of identifiers and quantities."""
        return self.distinct_count > _MANY and (self.is_number or self.is_identifier)

    @property
    def is_in_part(self) -> bool:
        """Whether only its frequent values are compared."""
        return self.is_many and not self.is_left_out

    def least(self, fewest: int) -> int:
        """Return how often a value must occur: of a key with very many, more than one in ``MOST`` occurrences."""
        return fewest if not self.is_many else max(fewest, self.occurrence_count // MOST + 1)


# ---------------------------------------------------------------- in memory: by the codes of attributes


def occurrences(traces: TraceSet, entries: Sequence[Owned]) -> Array:
    """Return how often each distinct attribute occurs."""
    count = len(traces.columns.kv)
    return np.asarray(sum(counted(each.code, count) for each in entries))


def spreads(traces: TraceSet, entries: Sequence[Owned], often: Array, *, fewest: int = _MANY) -> list[Spread]:
    """Return the spread of every key; traces are counted of those with more than so many values."""
    kv, used = traces.columns.kv, often > 0
    number = are_numbers(kv)
    different, quantities, total = (
        np.bincount(kv.key[mask], weight[mask] if weight is not None else None, minlength=len(kv.keys))
        for mask, weight in ((used, None), (used & number, None), (used, often))
    )
    keys = np.flatnonzero(different)
    of_key = _trace_counts(traces, entries, np.flatnonzero(different > fewest))
    found = []
    for key in keys.tolist():
        distinct, is_number = int(different[key]), different[key] == quantities[key]
        sizes = min(int(quantities[key]), QUANTITY), int(total[key])
        found.append(Spread(kv.keys[key], distinct, int(of_key[key]), bool(is_number), *sizes, distinct > MOST))
    return found


def _trace_counts(traces: TraceSet, entries: Sequence[Owned], keys: Array) -> Array:
    """Return how many traces have each of some keys, 0 for others."""
    kv = traces.columns.kv
    place = np.full(len(kv.keys), -1, np.int32)
    place[keys] = np.arange(len(keys))
    of_code = place[kv.key]
    pairs, _ = distinct_pairs([(of_code, each) for each in entries], len(keys), len(traces))
    count = np.zeros(len(kv.keys), np.int64)
    count[keys] = np.bincount(pairs, minlength=len(keys))
    return count


def identities(kv: KeyValues, codes: Array) -> list[str]:
    """Return what tells distinct attributes of one key apart, in any part: type, origin, namespace, text."""
    found = np.array(texts_of(kv, codes), object)
    for mark, rows in _by_mark(kv, codes):
        found[rows] = mark + found[rows]
    identical: list[str] = found.tolist()
    return identical


def having(kv: KeyValues, codes: Array, wanted: Collection[str]) -> Array:
    """Return which attributes of one key have one of some identities; only those with equal hashes become texts."""
    are_few = len(codes) <= _FEW
    rows = np.arange(len(codes)) if are_few else np.flatnonzero(np.isin(_identity_hashes(kv, codes), _hashes(wanted)))
    found = np.zeros(len(codes), bool)
    found[rows] = [one in wanted for one in identities(kv, codes[rows])]
    return found


def _identity_hashes(kv: KeyValues, codes: Array) -> Array:
    """Return a hash of each of the ``identities``, without making these."""
    found = np.zeros(len(codes), np.uint64)
    for mark, rows in _by_mark(kv, codes):
        found[rows] = hashes_of(kv, codes[rows], mark)
    return found


def _by_mark(kv: KeyValues, codes: Array) -> Iterator[tuple[str, Array | slice]]:
    """Yield what precedes the texts of some attributes, and which attributes these are."""
    columns = [column[codes] for column in (kv.type, kv.origin, kv.is_indexed, kv.namespace)]
    if len(codes) and all((column == column[0]).all() for column in columns):  # of most keys
        yield _mark(kv, *(int(column[0]) for column in columns)), slice(None)
        return
    marks, mark = np.unique(np.stack(columns).astype(np.int64), axis=1, return_inverse=True)
    for at, one in enumerate(marks.T.tolist()):
        yield _mark(kv, *one), np.flatnonzero(mark == at)


def _mark(kv: KeyValues, kind: int, origin: int, indexed: int, namespace: int) -> str:
    """Return what precedes the text of a value."""
    return f"{kind}/{origin}/{indexed}/{kv.namespaces[namespace] if namespace >= 0 else ''}{_END}"


def text_in(identity: str) -> str:
    """Return the text of a value."""
    return identity.partition(_END)[2]


# ---------------------------------------------------------------- of parts: by the values themselves


class _Key(NamedTuple):
    """The values of one key in some parts.

    Parameters
    ----------
    trace_count, occurrence_count
        Traces that have it; how often it occurs.
    is_number
        Whether all values are numbers.
    numbers
        Some different numbers, up to ``QUANTITY``.
    counts
        How often each value occurs; of more than ``MOST``, an undercount of those that are frequent (Misra and Gries
        1982, merged as by Agarwal et al. 2012): a value with more than one in ``MOST`` occurrences is among them.
    sketch
        The smallest hashes of values, from which their number is estimated; None while all are counted.
    """

    trace_count: int
    occurrence_count: int
    is_number: bool
    numbers: frozenset[str]
    counts: dict[str, int]
    sketch: Array | None

    def with_(self, other: _Key) -> _Key:
        """Return the same of both."""
        counts = dict(self.counts)
        for value, count in other.counts.items():
            counts[value] = counts.get(value, 0) + count
        sketch = None
        if self.sketch is not None or other.sketch is not None:
            sketch = _smallest(np.concatenate([each.hashes for each in (self, other)]))
        found = _Key(
            self.trace_count + other.trace_count,
            self.occurrence_count + other.occurrence_count,
            self.is_number and other.is_number,
            _some(self.numbers | other.numbers),
            counts,
            sketch,
        )
        return found.bounded()

    @property
    def hashes(self) -> Array:
        """Hashes of the values, the smallest if there are many."""
        return _hashes(list(self.counts)) if self.sketch is None else self.sketch

    def bounded(self) -> _Key:
        """Return the same with at most ``MOST`` values."""
        if len(self.counts) <= MOST:
            return self
        values = list(self.counts)
        kept, counts = _frequent(np.fromiter(self.counts.values(), np.int64, len(values)))
        named = dict(zip((values[at] for at in kept.tolist()), counts.tolist(), strict=True))
        return self._replace(counts=named, sketch=_smallest(self.hashes))

    def spread(self, key: str) -> Spread:
        """Return the spread."""
        distinct = len(self.counts) if self.sketch is None else _estimate(self.sketch)
        sizes = len(self.numbers), self.occurrence_count
        is_many = self.sketch is not None
        return Spread(key, distinct, self.trace_count, self.is_number, *sizes, is_many, is_many)


class Census(NamedTuple):
    """The values of all keys in some parts; ``derived`` are those that are no attributes, such as operations."""

    keys: dict[str, _Key]
    derived: dict[str, _Key]

    def with_(self, other: Census) -> Census:
        """Return the values of both."""
        return Census(*(_united(*pair) for pair in zip(self, other, strict=True)))

    @property
    def spreads(self) -> list[Spread]:
        """The spread of every key."""
        return [found.spread(key) for key, found in self.keys.items()]


def _united(first: Mapping[str, _Key], second: Mapping[str, _Key]) -> dict[str, _Key]:
    """Return the values of both by key."""
    found = dict(first)
    for key, own in second.items():
        found[key] = found[key].with_(own) if key in found else own
    return dict(sorted(found.items()))


def census(traces: TraceSet) -> Census:
    """Return the values of a part."""
    kv, entries = traces.columns.kv, owned(traces)
    often = occurrences(traces, entries)
    by_key: dict[str, _Key] = {}
    number = are_numbers(kv)
    used = np.flatnonzero(often)
    order = used[np.argsort(kv.key[used], kind="stable")]
    places = {each.key: each for each in spreads(traces, entries, often, fewest=0)}
    for codes in np.split(order, np.flatnonzero(np.diff(kv.key[order])) + 1) if len(order) else ():
        key = kv.keys[int(kv.key[codes[0]])]
        own = places[key]
        numbers = _some(identities(kv, codes[number[codes]]))
        by_key[key] = _Key(own.trace_count, own.occurrence_count, own.is_number, numbers, *_counts(kv, codes, often))
    derived = {}
    for key, column in derived_of(traces).items():
        count = np.bincount(column.codes[column.codes >= 0], minlength=len(column.labels))
        counts = {column.labels[at]: int(count[at]) for at in np.flatnonzero(count).tolist()}
        derived[key] = _Key(0, int(count.sum()), False, frozenset(), counts, None).bounded()  # noqa: FBT003 - of a tuple
    return Census(by_key, derived)


def _counts(kv: KeyValues, codes: Array, often: Array) -> tuple[dict[str, int], Array | None]:
    """Return how often each value of a key occurs, of at most ``MOST`` of them, and the sketch if there are more."""
    if len(codes) <= MOST:
        return dict(zip(identities(kv, codes), often[codes].tolist(), strict=True)), None
    kept, counts = _frequent(often[codes])
    named = dict(zip(identities(kv, codes[kept]), counts.tolist(), strict=True))
    return named, _smallest(_identity_hashes(kv, codes))


def _frequent(often: Array) -> tuple[Array, Array]:
    """Return which of more than ``MOST`` values are kept, and the undercount of how often each of them occurs."""
    less = int(np.partition(often, -MOST - 1)[-MOST - 1])
    kept = np.flatnonzero(often > less)
    return kept, often[kept] - less


def _some(numbers: Iterable[str]) -> frozenset[str]:
    """Return the first few of different numbers."""
    return frozenset(nsmallest(QUANTITY, set(numbers)))


def _hashes(values: Collection[str]) -> Array:
    """Return a 64-bit hash of each value."""
    return np.asarray(pd.util.hash_array(np.array(list(values), object), categorize=False))


def _smallest(hashes: Array) -> Array:
    """Return the smallest different hashes, where each occurs at most twice; the others are not sorted."""
    few = hashes if len(hashes) <= 2 * MOST else np.partition(hashes, 2 * MOST)[: 2 * MOST]
    return distinct(few)[:MOST]


def _estimate(sketch: Array) -> int:
    """Return the number of values, from the smallest hashes: those of n values are n even steps apart (0.7%)."""
    if len(sketch) < MOST:
        return len(sketch)
    return round((MOST - 1) / (float(sketch[-1]) / 2.0**64))
