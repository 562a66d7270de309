"""Which traces have which attribute value: of spans, resources and scopes, and the operations of their spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from tracekit.attributes import Codes, join, texts_of
from tracekit.name_templates import template
from tracekit.schema import ValueType
from tracekit.semconv import CURRENT_KEYS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from tracekit.columns import Array, KeyValues
    from tracekit.traces import TraceSet

OPERATION: Final = "operation"
_BLOCK: Final = 1 << 27  # bytes of a table of values by traces
_STEP: Final = 1 << 16  # attributes that are looked up at once: what is worked out of them stays in the cache
_SMALL: Final = 1 << 15  # keys whose numbers fit 16 bits, which takes a quarter of the memory
_SCOPE_KEYS: Final = ("otel.scope.name", "otel.scope.version")
DERIVED: Final = (OPERATION, *_SCOPE_KEYS)
"""Keys of what spans have beside attributes."""
Value: TypeAlias = tuple[str, str]
"""A key, and the text of a value."""
_IDS: Final = (".id", "_id", ".uid", ".pid")
_URL_KEYS: Final = ("url.", "http.target", "http.url", "db.statement", "db.query.text")


class Owned(NamedTuple):
    """Attribute codes with their traces, one entry per attribute of a span; more than once for several spans."""

    code: Array
    trace: Array


class Membership(NamedTuple):
    """The values of some keys, and the traces that have them.

    Parameters
    ----------
    keys, texts
        The key and the text of each value, without duplicates.
    value, trace
        One entry per value and trace that has it, sorted.
    """

    keys: list[str]
    texts: list[str]
    value: Array
    trace: Array

    def only(self, values: Sequence[int]) -> Membership:
        """Return some of the values, numbered in the order given."""
        place = np.full(len(self.keys) + 1, -1)
        place[list(values)] = np.arange(len(values))
        found = place[self.value]
        rows = np.flatnonzero(found >= 0)
        rows = rows[np.argsort(found[rows], kind="stable")]
        keys, texts = ([names[at] for at in values] for names in (self.keys, self.texts))
        return Membership(keys, texts, found[rows], self.trace[rows])


def owned(traces: TraceSet) -> list[Owned]:
    """Return all attributes of spans, their resources and scopes, by trace."""
    trace, codes = traces.columns.attributes.spread(traces.forest.trace)
    return [Owned(codes, trace), *_of_resources_and_scopes(traces)]


def owned_of(traces: TraceSet, keys: Collection[str]) -> list[Owned]:
    """Return the same without other attributes of spans than those with some keys, by their current or older names.

    Of a part of a store, no others are read.
    """
    names = [key for key in traces.columns.kv.keys if current(key) in keys]
    pairs = [traces.lookup.by_key.pairs_of(name) for name in names]
    return [
        *(Owned(codes, traces.forest.trace[rows]) for rows, codes in pairs),
        *_of_resources_and_scopes(traces),
    ]


def _of_resources_and_scopes(traces: TraceSet) -> Iterator[Owned]:
    """Yield the attributes of resources and scopes, by trace."""
    columns, trace = traces.columns, traces.forest.trace
    for table, owner in ((columns.resource_attributes, columns.spans.resource),
                         (columns.scope_attributes, columns.spans.scope)):  # fmt: skip
        row, mine = distinct_pairs([(_themselves(len(table)), Owned(owner, trace))], len(table), len(traces))
        yield Owned(table.codes[table.positions(row)], np.repeat(mine, table.counts[row]))


def _themselves(count: int) -> Array:
    """Return rows as values of themselves, with -1 at the end, for none."""
    return np.append(np.arange(count), -1)


def membership(
    traces: TraceSet,
    entries: Sequence[Owned],
    wanted: Array,
    names: Sequence[Value],
    texts: Sequence[Value] | None = None,
) -> Membership:
    """Return which traces have some values.

    Parameters
    ----------
    traces, entries
        A set, and what ``owned`` returns of it.
    wanted
        bool, one per distinct attribute: those that count.
    names
        The values, each once.
    texts
        ``values_of`` these attributes, if known.
    """
    kv, number = traces.columns.kv, {name: at for at, name in enumerate(names)}
    place = np.full(len(kv), -1, np.int32)
    used = np.flatnonzero(wanted)
    place[used] = [number.get(name, -1) for name in (values_of(kv, used) if texts is None else texts)]
    parts = [(place, each) for each in entries]
    keys = {key for key, _ in names}
    for key, found in derived_of(traces).items() if keys & set(DERIVED) else ():
        if key in keys:
            own = np.full(len(found.labels) + 1, -1, np.int32)
            for code in np.flatnonzero(np.bincount(found.codes[found.codes >= 0], minlength=1)).tolist():
                own[code] = number.get((key, found.labels[code]), -1)
            parts.append((own, Owned(found.codes, traces.forest.trace)))
    value, trace = distinct_pairs(parts, len(names), len(traces))
    return Membership([key for key, _ in names], [text for _, text in names], value, trace)


def values_of(kv: KeyValues, codes: Array) -> list[Value]:
    """Return key and text of distinct attributes, in the names of the current conventions."""
    keys = [current(kv.keys[at]) for at in kv.key[codes].tolist()]
    return [(key, shown(key, text)) for key, text in zip(keys, texts_of(kv, codes), strict=True)]


def in_order(values: Iterable[Value]) -> list[Value]:
    """Return different values in the order in which they are numbered: attributes, of services first and ids last.

    Of values of the same traces, the first one is shown.
    """
    return sorted(set(values), key=_place)


def _place(value: Value) -> tuple[bool, bool, bool, Value]:
    """Return what values are ordered by."""
    key, _ = value
    return key in DERIVED, key.endswith(_IDS), not key.startswith("service."), value


def has_key(kv: KeyValues, keys: Collection[str]) -> Array:
    """Return which distinct attributes have one of some keys, by their current or older name."""
    is_one = np.array([current(key) in keys for key in kv.keys], bool)
    return np.asarray(is_one[kv.key]) if len(kv) else np.zeros(0, bool)


def current(key: str) -> str:
    """Return the name of a key in the current semantic conventions."""
    return CURRENT_KEYS.get(key, key)


def shown(key: str, text: str) -> str:
    """Return a value, without ids where it is a URL or a statement."""
    return template(text) if key.startswith(_URL_KEYS) else text


def derived_of(traces: TraceSet) -> dict[str, Codes]:
    """Return what else spans have a value of: their operation, and the name and version of their scope."""
    columns = traces.columns
    scope = columns.spans.scope
    texts = (columns.scopes.name, columns.scopes.version)
    service, operation = (traces.codes(name) for name in ("service_name", "operation"))
    scopes = (Codes(np.append(text, -1)[scope], columns.texts) for text in texts)
    return {OPERATION: join([service, operation])} | dict(zip(_SCOPE_KEYS, scopes, strict=True))


def distinct_pairs(parts: Sequence[tuple[Array, Owned]], values: int, traces: int) -> tuple[Array, Array]:
    """Return the distinct pairs of value and trace, sorted, in blocks of values.

    Each part has the value of every code, -1 for none, and the codes with their traces.
    """
    step = max(_BLOCK // max(traces, 1), 1)
    found = [_block(parts, low, min(low + step, values), traces) for low in range(0, values, step)]
    pair = np.concatenate(found) if found else np.zeros(0, np.int64)
    return pair // max(traces, 1), pair % max(traces, 1)


def _block(parts: Sequence[tuple[Array, Owned]], first: int, last: int, traces: int) -> Array:
    """Return the distinct pairs of the values from ``first`` to ``last``, as sorted numbers.

    The row of a code is looked up, and codes of other values have one of their own, behind all others: that takes a
    third of the time of finding out which entries count.
    """
    count = last - first
    has = np.zeros((count + 1) * traces, bool)
    for place, each in parts:
        own = np.where((place >= first) & (place < last), place - first, count)
        row = own * np.int64(traces)
        for low in range(0, len(each.code), _STEP):
            cell = row.take(each.code[low : low + _STEP])
            cell += each.trace[low : low + _STEP]
            has[cell] = True
    return np.flatnonzero(has[: count * traces]) + first * traces


def _of_keys(
    kv: KeyValues, entries: Sequence[Owned], keys: Array, wanted: Array
) -> Iterator[tuple[Array, Array, Array]]:
    """Return the wanted attributes of some keys: the place of the key, the code and the trace."""
    place = np.full(len(kv.keys) + 1, -1, np.int16 if len(keys) < _SMALL else np.int64)
    place[keys] = np.arange(len(keys))
    of_code = np.where(wanted, place[kv.key], np.array(-1, place.dtype))
    for each in entries:
        found = of_code[each.code]
        rows = np.flatnonzero(found >= 0)
        yield found[rows].astype(np.int64), each.code[rows], each.trace[rows]


def are_numbers(kv: KeyValues) -> Array:
    """Return which attributes are integers or doubles."""
    return np.asarray((kv.type == ValueType.INT) | (kv.type == ValueType.DOUBLE))


class Numbers(NamedTuple):
    """The numbers of one key: the largest of each trace that has any."""

    key: str
    trace: Array
    value: Array


def numbers(traces: TraceSet, entries: Sequence[Owned], names: Sequence[str]) -> Iterator[Numbers]:
    """Return the numbers of some keys, by their recorded names."""
    kv = traces.columns.kv
    as_number = np.where(kv.type == ValueType.INT, kv.integer, kv.double).astype(np.float64)
    keys = np.array([at for at, key in enumerate(kv.keys) if key in names], np.int64)
    largest = np.full(len(keys) * len(traces), -np.inf)
    for place, code, trace in _of_keys(kv, entries, keys, are_numbers(kv)):
        np.maximum.at(largest, place * len(traces) + trace, as_number[code])
    for key, values in zip(keys.tolist(), largest.reshape(len(keys), len(traces)), strict=True):
        has = np.flatnonzero(np.isfinite(values))
        if len(has):
            yield Numbers(kv.keys[key], has, values[has])
