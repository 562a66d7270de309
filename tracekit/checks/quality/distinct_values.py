"""Distinct values of attributes by key, service and operation, of all parts together, in a limited state."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.attributes import Codes, hashes_of, text_hashes, texts_of
from tracekit.checks.merged import Merged
from tracekit.schema import ValueType
from tracekit.stats.distinct_counts import kept_values
from tracekit.stats.grouping import dense_codes, group_codes, group_labels, key_counts, sum_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array, KeyValues

NAME, OPERATION = "span name", "operation from url.full"
_OWNER: Final = ["key", "service_name"]
_KEYS: Final = [*_OWNER, "operation"]
_SAMPLE: Final = 300
_SMALL: Final = 1 << 32
_ALL: Final = 2**64 - 1  # the largest hash
_ID_KEY: Final = re.compile(r"(^|[._-])(id|uuid|guid|key|number)$", re.IGNORECASE)


class Use(NamedTuple):
    """Values of keys by service and operation, one entry each, with their number of occurrences.

    ``hashes`` returns those of the texts of all values, by value, given the case; holding the case would keep the part.
    """

    hashes: Callable[[Case], Array]
    key: Array
    names: list[str]
    indexed: Array
    service: Array
    operation: Array
    value: Array
    times: Array


class _Places(NamedTuple):
    """Services and operations: the number of that of each span, and codes of each of them, -1 for missing."""

    of_span: Array
    service: Array
    operation: Array

    def first_pairs(self, values: int) -> Array:
        """Return the number of the pair of each span's place with the first of so many values; others follow it."""
        is_small = len(self.service) * values < _SMALL
        first: Array = self.of_span.astype(np.uint32 if is_small else np.int64)
        first *= first.dtype.type(values)
        return first


@dataclass(frozen=True)
class Values:
    """Occurrences of values by key, service and operation.

    Parameters
    ----------
    keys
        ``key``, ``service_name`` and ``operation`` of each group, None where missing.
    row_count
        Number of occurrences of each group, also of values that are not kept.
    group, value, times
        One entry per kept value of a group: the group, a number of the value, and its occurrences.
    level
        By group: of its key and service those values are kept whose hash is below ``2 ** (64 - level)``: all, if 0.
    indexed
        Keys that backends index.
    """

    keys: dict[str, Array]
    row_count: Array
    group: Array
    value: Array
    times: Array
    level: Array
    indexed: frozenset[str]

    @property
    def owner(self) -> Array:
        """Number of the key and service of each group."""
        return group_labels(self.keys, _OWNER, len(self.row_count))[0]

    def plus(self, other: Values) -> Values:
        """Return those of two parts."""
        both = {name: np.concatenate([self.keys[name], other.keys[name]]) for name in _KEYS}
        number, keys = group_labels(both, _KEYS, len(self.row_count) + len(other.row_count))
        groups = int(number.max(initial=-1)) + 1
        row_count, level = np.zeros((2, groups), np.int64)
        np.add.at(row_count, number, np.append(self.row_count, other.row_count))
        group = number[np.append(self.group, other.group + len(self.row_count))]
        value, times = np.append(self.value, other.value), np.append(self.times, other.times)
        order = np.lexsort((value, group))
        is_new = np.append(True, (np.diff(group[order]) != 0) | (np.diff(value[order]) != 0))[: len(order)]
        entry = np.cumsum(is_new) - 1
        first = order[is_new]
        times = sum_by(entry, times[order], len(first)).astype(np.int64)
        np.maximum.at(level, number, np.append(self.level, other.level))
        found = Values(keys, row_count, group[first], value[first], times, level, self.indexed | other.indexed)
        return found.limited()

    def limited(self) -> Values:
        """Return those of a part of a store, with a limited number of values of each key and service."""
        owner = self.owner
        level = np.zeros(int(owner.max(initial=-1)) + 1, np.int64)
        np.maximum.at(level, owner, self.level)
        kept, level = kept_values(owner[self.group], self.value, level)
        return replace(self, group=self.group[kept], value=self.value[kept], times=self.times[kept], level=level[owner])


def uses(case: Case) -> list[Use]:
    """Return the number of occurrences of each value of span names and attributes."""
    columns = case.traces.columns
    kv, attributes = columns.kv, columns.attributes
    places = _places(case)
    names = [_one(places, name, rows, column) for name, rows, column in _columns(case)]
    if not len(kv.keys):
        return names
    first, value = attributes.spread(places.first_pairs(len(kv)))
    first += value.astype(first.dtype)
    found = _counted(places, first[_is_label(kv)[value]], len(kv))
    value = found[2]
    indexed = np.bincount(kv.key[value], weights=kv.is_indexed[value], minlength=len(kv.keys)) > 0
    return [*names, Use(_label_hashes, kv.key[value].astype(np.int64), list(kv.keys), indexed, *found)]


def _columns(case: Case) -> list[tuple[str, Array, Codes]]:
    """Return the columns that count as keys: the name, the rows of spans that have it, and the values by row."""
    columns = case.traces.columns
    names = NAME, np.arange(len(columns.spans)), Codes(columns.spans.name, columns.names)
    operation, source = (case.traces.codes(column) for column in ("operation", "operation_source"))
    paths = np.flatnonzero(np.isin(source.codes, [code for code, key in enumerate(source.labels) if key == "url.full"]))
    return [names, *([(OPERATION, paths, operation)] if len(paths) else [])]


def _is_label(kv: KeyValues) -> Array:
    """Return which attributes are texts, or numbers that are ids."""
    if not len(kv.keys):
        return np.zeros(0, bool)
    id_keys = np.array([bool(_ID_KEY.search(key)) for key in kv.keys], bool)
    return np.asarray((kv.type == ValueType.STR) | ((kv.type == ValueType.INT) & id_keys[kv.key]))


def _places(case: Case) -> _Places:
    """Return services and operations."""
    service, operation = (case.traces.codes(name) for name in ("service_name", "operation"))
    size = len(operation.labels) + 1
    place = (service.codes.astype(np.int64) + 1) * size
    place += operation.codes
    place += 1
    number, found = dense_codes(place, (len(service.labels) + 1) * size)
    return _Places(number, found // size - 1, found % size - 1)


def _one(places: _Places, key: str, rows: Array, column: Codes) -> Use:
    """Return the number of occurrences of each value of one column, which backends index; all rows have one."""
    pair = places.first_pairs(len(column.labels))[rows]
    pair += column.codes[rows].astype(pair.dtype)
    counted = _counted(places, pair, len(column.labels))
    zero, is_indexed = np.zeros(len(counted[0]), np.int64), np.array([len(counted[0]) > 0])
    return Use(partial(_hashes_in, column), zero, [key], is_indexed, *counted)


def text_hashes_of(case: Case) -> Array:
    """Return a hash of the text of each attribute; a value that is not text is empty."""
    return case.traces.columns.kv.hashes()


def _label_hashes(case: Case) -> Array:
    """Return a hash of each attribute that is a label, as text."""
    kv, found = case.traces.columns.kv, case.result(text_hashes_of).copy()
    spelled = np.flatnonzero(_is_label(kv) & (kv.type != ValueType.STR))
    found[spelled] = hashes_of(kv, spelled)
    return found


def _hashes_in(column: Codes, _: Case) -> Array:
    """Return a hash of each label of a column."""
    return _all_hashes(column)


def _all_hashes(column: Codes) -> Array:
    """Return a hash of each label of a column."""
    return text_hashes(Codes(np.arange(len(column.labels)), column.labels))


def _counted(places: _Places, pair: Array, values: int) -> tuple[Array, Array, Array, Array]:
    """Return service, operation, value and count of every pair of a place and one of so many values."""
    pair, often = key_counts(pair, len(places.service) * values)
    place, value = np.divmod(pair, max(values, 1))
    return places.service[place], places.operation[place], value, often


def _values(case: Case) -> Values:
    """Return the values of a part, numbered by a hash of their texts; in memory, as they are numbered there."""
    found = [_of_use(case, use) for use in case.result(uses)]
    keys = {name: np.concatenate([one.keys[name] for one in found]) for name in _KEYS}
    begin = np.cumsum([0, *(len(one.row_count) for one in found)])
    group = np.concatenate([one.group + first for one, first in zip(found, begin, strict=False)])
    value, times = (np.concatenate([getattr(one, name) for one in found]) for name in ("value", "times"))
    row_count = np.concatenate([one.row_count for one in found])
    indexed = frozenset[str]().union(*(one.indexed for one in found))
    return Values(keys, row_count, group, value, times, np.zeros(len(row_count), np.int64), indexed)


def _of_use(case: Case, use: Use) -> Values:
    """Return the values of some keys."""
    service, operation = (case.traces.codes(name).labels for name in ("service_name", "operation"))
    columns = {"key": (use.key, use.names), "service_name": (use.service, service)}
    group, keys = group_codes(columns | {"operation": (use.operation, operation)}, len(use.key))
    groups = int(group.max(initial=-1)) + 1
    rows = np.bincount(group, use.times, groups).astype(np.int64)
    value = use.value.astype(np.uint64) if case.known is None else use.hashes(case)[use.value]
    indexed = frozenset(use.names[at] for at in np.flatnonzero(use.indexed))
    return Values(keys, rows, group, value, use.times.astype(np.int64), np.zeros(groups, np.int64), indexed)


VALUES: Final[Merged[Values]] = Merged(_values, Values.plus, limit=Values.limited)


class Place(NamedTuple):
    """A key of a service, or of an operation of it; None without a name, or for all operations."""

    key: str
    service_name: str | None
    operation: str | None
    is_operation: bool


@dataclass(frozen=True)
class _TextsOf:
    """Returns the texts of some values of keys: those with the least hashes, a random sample of all.

    ``most``: by place, a hash that none of these is above.
    """

    places: tuple[Place, ...]
    most: tuple[int, ...]

    def __call__(self, case: Case) -> tuple[dict[int, str], ...]:
        """Return those of a part, by hash."""
        most: dict[str, int] = {}
        for place, own in zip(self.places, self.most, strict=True):
            most[place.key] = max(own, most.get(place.key, 0))
        values = _occurrences(case, most)
        return tuple(self._texts(case, place, values[place.key]) for place in self.places)

    @staticmethod
    def _texts(case: Case, place: Place, values: list[_Occurrences]) -> dict[int, str]:
        """Return those of one key."""
        services, operations = (case.traces.codes(name) for name in ("service_name", "operation"))
        found: dict[int, str] = {}
        for one in values:
            mine = _is_of(services, one.row, place.service_name)
            if place.is_operation:
                mine &= _is_of(operations, one.row, place.operation)
            codes = np.unique(one.code[mine])
            hashes = one.hashes[codes]
            least = np.argsort(hashes) if len(hashes) <= _SAMPLE else np.argpartition(hashes, _SAMPLE)[:_SAMPLE]
            found |= dict(zip(hashes[least].tolist(), one.texts(codes[least]), strict=True))
        return _least(found)


class _Occurrences(NamedTuple):
    """Values of one key: the span and the code of each, and by code the hash of its text.

    ``texts`` returns the texts of codes.
    """

    texts: Callable[[Array], list[str]]
    row: Array
    code: Array
    hashes: Array

    def up_to(self, most: int) -> _Occurrences:
        """Return those with no hash above a limit."""
        kept = np.flatnonzero((self.hashes <= np.uint64(most))[self.code])
        return self._replace(row=self.row[kept], code=self.code[kept])


def _occurrences(case: Case, most: Mapping[str, int]) -> dict[str, list[_Occurrences]]:
    """Return the values of some keys up to a hash: of an attribute, and of a column that is called so."""
    kv, found = case.traces.columns.kv, {key: list[_Occurrences]() for key in most}
    for name, rows, column in _columns(case):
        if name in most:
            found[name].append(_Occurrences(column.texts, rows, column.codes[rows], _all_hashes(column)))
    is_label, asked = _is_label(kv), [at for at, key in enumerate(kv.keys) if key in most]
    hashes = np.zeros(len(kv), np.uint64)
    codes = np.flatnonzero(is_label & np.isin(kv.key, asked))
    if len(codes):
        hashes[codes] = hashes_of(kv, codes)
    for key in (kv.keys[at] for at in asked):
        row, code = case.traces.lookup.by_key.of(key)
        kept = is_label[code]
        found[key].append(_Occurrences(partial(texts_of, kv), row[kept], code[kept], hashes))
    return {key: [one.up_to(most[key]) for one in values] for key, values in found.items()}


def _is_of(column: Codes, rows: Array, label: str | None) -> Array:
    """Return which rows of a column have a label, or none."""
    code = -1 if label is None else column.labels.index(label) if label in column.labels else -2
    return np.asarray(column.codes[rows] == code)


def _least(texts: dict[int, str]) -> dict[int, str]:
    """Return the texts with the least hashes."""
    return dict(sorted(texts.items())[:_SAMPLE])


def _both(first: tuple[dict[int, str], ...], second: tuple[dict[int, str], ...]) -> tuple[dict[int, str], ...]:
    """Return the texts of two parts."""
    return tuple(_least(one | other) for one, other in zip(first, second, strict=True))


def some_texts(case: Case, places: tuple[Place, ...]) -> list[list[str]]:
    """Return up to 300 values of each key, chosen at random: by hash, so that they are the same in any parts."""
    most = (_ALL,) * len(places) if not case.is_stored else _most_of(case.result(VALUES), places)
    merged: Merged[tuple[dict[int, str], ...]] = Merged(_TextsOf(places, most), _both)
    return [list(texts.values()) for texts in case.result(merged)]


def _most_of(values: Values, places: tuple[Place, ...]) -> tuple[int, ...]:
    """Return the largest hash of the values that are chosen of each place, or a larger one where it is not known."""
    groups: dict[Place, list[int]] = {}
    names = zip(*(values.keys[name].tolist() for name in _KEYS), strict=True)
    for group, (key, service, operation) in enumerate(names):
        groups.setdefault(Place(key, service, operation, is_operation=True), []).append(group)
        groups.setdefault(Place(key, service, None, is_operation=False), []).append(group)
    most = []
    for place in places:
        is_mine = np.zeros(len(values.row_count), bool)
        is_mine[groups[place]] = True
        hashes = np.unique(values.value[is_mine[values.group]])
        most.append(int(hashes[_SAMPLE - 1]) if len(hashes) >= _SAMPLE else _ALL)
    return tuple(most)
