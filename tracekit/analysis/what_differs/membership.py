"""Which traces have which attribute value: of spans, resources and scopes, and the operations of their spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.attributes import Codes, join, texts_of
from tracekit.name_templates import template
from tracekit.schema import ValueType
from tracekit.semconv import CURRENT_KEYS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tracekit.columns import Array, KeyValues
    from tracekit.traces import TraceSet

OPERATION: Final = "operation"
_BLOCK: Final = 1 << 27  # bytes of a table of values by traces
_SMALL: Final = 1 << 15  # keys whose numbers fit 16 bits, which takes a quarter of the memory
_SCOPE_KEYS: Final = ("otel.scope.name", "otel.scope.version")
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


def owned(traces: TraceSet) -> list[Owned]:
    """Return all attributes of spans, their resources and scopes, by trace."""
    columns, trace = traces.columns, traces.forest.trace
    spans = Owned(columns.attributes.codes, np.repeat(trace, columns.attributes.counts))
    found = [spans]
    for table, owner in ((columns.resource_attributes, columns.spans.resource),
                         (columns.scope_attributes, columns.spans.scope)):  # fmt: skip
        row, mine = _distinct([(owner, trace)], len(table), len(traces))
        found.append(Owned(table.codes[table.positions(row)], np.repeat(mine, table.counts[row])))
    return found


def membership(
    traces: TraceSet,
    entries: Sequence[Owned],
    *,
    least: int,
    only: str | None = None,
    without: Collection[str] = (),
) -> Membership:
    """Return the values that occur at least ``least`` times, of all keys, one, or all but some, and the operations."""
    kv = traces.columns.kv
    often = sum(np.bincount(each.code, minlength=len(kv)) for each in entries)
    left_out = set(map(_current, without))
    wished = None if only is None else _current(only)
    is_key = np.array([_current(key) not in left_out and wished in {None, _current(key)} for key in kv.keys], bool)
    wanted = np.asarray(often) >= least
    wanted &= is_key[kv.key] if len(kv) else False
    return _membership(traces, entries, wanted, _Numbers(), least=least, only=only)


def same_values(traces: TraceSet, entries: Sequence[Owned], found: Membership) -> Membership:
    """Return which traces have the values of another membership, however often they occur, in its numbering."""
    kv, keys = traces.columns.kv, set(found.keys)
    wanted = np.array([_current(key) in keys for key in kv.keys], bool)[kv.key] if len(kv) else np.zeros(0, bool)
    known = _Numbers(zip(zip(found.keys, found.texts, strict=True), range(len(found.keys)), strict=True))
    return _membership(traces, entries, wanted, known.closed(), least=1)


class _Numbers(dict[tuple[str, str], int]):
    """The number of each key and value; new ones get the next, unless it is closed."""

    is_closed = False

    def closed(self) -> _Numbers:
        """Return the same, which gives new values no number."""
        self.is_closed = True
        return self

    def of(self, key: str, text: str) -> int:
        """Return the number of a value, -1 for none."""
        if self.is_closed:
            return self.get((key, text), -1)
        return self.setdefault((key, text), len(self))


def _membership(
    traces: TraceSet, entries: Sequence[Owned], wanted: Array, number: _Numbers, *, least: int, only: str | None = None
) -> Membership:
    """Return the traces of the wanted attributes, and of the derived values that occur often enough."""
    kv = traces.columns.kv
    used = np.flatnonzero(wanted)
    keys = [_current(kv.keys[at]) for at in kv.key[used].tolist()]
    place = np.full(len(kv), -1, np.int32)
    place[used] = [number.of(key, _shown(key, text)) for key, text in zip(keys, texts_of(kv, used), strict=True)]
    parts = [(place[each.code], each.trace) for each in entries]
    for key, found in _derived(traces).items() if only in {None, OPERATION, *_SCOPE_KEYS} else ():
        if only is None or only == key:
            parts.append((_numbered(key, found, number, least)[found.codes], traces.forest.trace))
    value, trace = _distinct(parts, len(number), len(traces))
    return Membership([key for key, _ in number], [text for _, text in number], value, trace)


def _current(key: str) -> str:
    """Return the name of a key in the current semantic conventions."""
    return CURRENT_KEYS.get(key, key)


def _shown(key: str, text: str) -> str:
    """Return a value, without ids where it is a URL or a statement."""
    return template(text) if key.startswith(_URL_KEYS) else text


def _derived(traces: TraceSet) -> dict[str, Codes]:
    """Return what else spans have a value of: their operation, and the name and version of their scope."""
    columns = traces.columns
    scope = columns.spans.scope
    texts = (columns.scopes.name, columns.scopes.version)
    service, operation = (traces.codes(name) for name in ("service_name", "operation"))
    scopes = (Codes(np.append(text, -1)[scope], columns.texts) for text in texts)
    return {OPERATION: join([service, operation])} | dict(zip(_SCOPE_KEYS, scopes, strict=True))


def _numbered(key: str, found: Codes, number: _Numbers, least: int) -> Array:
    """Return the number of each label of a column, -1 for those that occur less often, and for none."""
    count = np.bincount(found.codes[found.codes >= 0], minlength=len(found.labels))
    place = np.full(len(found.labels) + 1, -1, np.int32)
    for at in np.flatnonzero(count >= least).tolist():
        place[at] = number.of(key, found.labels[at])
    return place


def _distinct(parts: Sequence[tuple[Array, Array]], values: int, traces: int) -> tuple[Array, Array]:
    """Return the distinct pairs of value and trace, sorted, without value -1; in blocks of values."""
    step = max(_BLOCK // max(traces, 1), 1)
    kind = np.int32 if values * traces < 2**31 else np.int64
    # below 0 for value -1
    pairs = [np.multiply(value, traces, dtype=kind) + trace.astype(kind, copy=False) for value, trace in parts]
    found = [_block(pairs, low * traces, min(low + step, values) * traces) for low in range(0, values, step)]
    pair = np.concatenate(found) if found else np.zeros(0, np.int64)
    return pair // max(traces, 1), pair % max(traces, 1)


def _block(pairs: Sequence[Array], low: int, high: int) -> Array:
    """Return the distinct numbers from ``low`` to ``high``, sorted."""
    has = np.zeros(high - low, bool)
    for pair in pairs:
        has[pair[(pair >= low) & (pair < high)] - low] = True
    return np.flatnonzero(has) + low


class Spread(NamedTuple):
    """How many values a key has, how many traces have it, and whether all values are numbers."""

    key: str
    distinct_count: int
    trace_count: int
    is_number: bool


def spreads(traces: TraceSet, entries: Sequence[Owned], *, most: int) -> list[Spread]:
    """Return the keys with more than so many values."""
    kv = traces.columns.kv
    used = np.zeros(len(kv), bool)
    for each in entries:
        used[each.code] = True
    different, quantities = (
        np.bincount(kv.key[mask], minlength=len(kv.keys)) for mask in (used, used & _are_numbers(kv))
    )
    keys = np.flatnonzero(different > most)
    has = np.zeros(len(keys) * len(traces), bool)
    for place, _, trace in _of_keys(kv, entries, keys, used):
        has[place * len(traces) + trace] = True
    count = has.reshape(len(keys), len(traces)).sum(axis=1)
    is_number = different[keys] == quantities[keys]
    columns = (keys.tolist(), different[keys].tolist(), count.tolist(), is_number.tolist())
    return [Spread(kv.keys[key], *rest) for key, *rest in zip(*columns, strict=True)]


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


def _are_numbers(kv: KeyValues) -> Array:
    """Return which attributes are integers or doubles."""
    return np.asarray((kv.type == ValueType.INT) | (kv.type == ValueType.DOUBLE))


class Numbers(NamedTuple):
    """The numbers of one key: the largest of each trace that has any."""

    key: str
    trace: Array
    value: Array
    distinct_count: int


def numbers(traces: TraceSet, entries: Sequence[Owned], *, fewest: int) -> Iterator[Numbers]:
    """Return the keys with at least so many different numbers."""
    kv = traces.columns.kv
    is_number = _are_numbers(kv)
    different = np.bincount(kv.key[is_number], minlength=len(kv.keys))
    as_number = np.where(kv.type == ValueType.INT, kv.integer, kv.double).astype(np.float64)
    keys = np.flatnonzero(different >= fewest)
    largest = np.full(len(keys) * len(traces), -np.inf)
    for place, code, trace in _of_keys(kv, entries, keys, is_number):
        np.maximum.at(largest, place * len(traces) + trace, as_number[code])
    for key, values in zip(keys.tolist(), largest.reshape(len(keys), len(traces)), strict=True):
        has = np.flatnonzero(np.isfinite(values))
        if len(has):
            yield Numbers(kv.keys[key], has, values[has], int(different[key]))
