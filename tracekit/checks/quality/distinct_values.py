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
from tracekit.stats.grouping import dense_codes, group_codes, group_labels, sum_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.checks.case import Case
    from tracekit.columns import Array, KeyValues

NAME, OPERATION = "span name", "operation from url.full"
_OWNER: Final = ["key", "service_name"]
_KEYS: Final = [*_OWNER, "operation"]
_SAMPLE: Final = 300
_ID_KEY: Final = re.compile(r"(^|[._-])(id|uuid|guid|key|number)$", re.IGNORECASE)


class _Texts(NamedTuple):
    """Returns texts by code, and their hashes."""

    of: Callable[[Array], list[str]]
    hashes: Callable[[Array], Array]

    @classmethod
    def of_column(cls, column: Codes) -> _Texts:
        """Return those of a column."""
        return cls(column.texts, lambda codes: text_hashes(Codes(codes, column.labels)))

    @classmethod
    def of_attributes(cls, kv: KeyValues) -> _Texts:
        """Return those of attributes."""
        return cls(partial(texts_of, kv), partial(hashes_of, kv))


class Use(NamedTuple):
    """Values of keys by service and operation, one entry each, with their number of occurrences."""

    texts: _Texts
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
    names = [_one(places, name, places.of_span[rows], column.take(rows)) for name, rows, column in _columns(case)]
    if not len(kv.keys):
        return names
    place, value = attributes.spread(places.of_span)
    chosen = _is_label(kv)[value]
    found = _counted(places, place[chosen], value[chosen])
    value = found[2]
    indexed = np.bincount(kv.key[value], weights=kv.is_indexed[value], minlength=len(kv.keys)) > 0
    return [*names, Use(_Texts.of_attributes(kv), kv.key[value].astype(np.int64), list(kv.keys), indexed, *found)]


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


def _one(places: _Places, key: str, place: Array, column: Codes) -> Use:
    """Return the number of occurrences of each value of one column, which backends index."""
    counted = _counted(places, place, column.codes)
    return Use(_Texts.of_column(column), np.zeros(len(counted[0]), np.int64), [key], np.array([True]), *counted)


def _counted(places: _Places, place: Array, value: Array) -> tuple[Array, Array, Array, Array]:
    """Return service, operation, value and count of every combination of them."""
    many = int(value.max(initial=0)) + 1
    pair = place * many
    pair += value
    pair, often = np.unique(pair, return_counts=True)
    place, value = np.divmod(pair, many)
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
    value = use.value.astype(np.uint64) if case.known is None else _hashes(use, use.value)
    indexed = frozenset(use.names[at] for at in np.unique(use.key) if use.indexed[at])
    return Values(keys, rows, group, value, use.times.astype(np.int64), np.zeros(groups, np.int64), indexed)


def _hashes(use: Use, value: Array) -> Array:
    """Return a hash of the text of each value."""
    code, distinct = dense_codes(value, int(value.max(initial=-1)) + 1)
    return use.texts.hashes(distinct)[code]


VALUES: Final[Merged[Values]] = Merged(_values, Values.plus, limit=Values.limited)


class Place(NamedTuple):
    """A key of a service, or of an operation of it; None without a name, or for all operations."""

    key: str
    service_name: str | None
    operation: str | None
    is_operation: bool


@dataclass(frozen=True)
class _TextsOf:
    """Returns the texts of some values of keys: those with the least hashes, a random sample of all."""

    places: tuple[Place, ...]

    def __call__(self, case: Case) -> tuple[dict[int, str], ...]:
        """Return those of a part, by hash."""
        values = {key: _occurrences(case, key) for key in dict.fromkeys(place.key for place in self.places)}
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
            there = np.flatnonzero(np.bincount(one.value[mine]))
            least = there[np.argsort(one.hashes[there], kind="stable")[:_SAMPLE]]
            found |= dict(zip(one.hashes[least].tolist(), one.texts.of(one.codes[least]), strict=True))
        return _least(found)


class _Occurrences(NamedTuple):
    """Values of one key: the span and the number of the value of each, and by number its code and the hash of its text.

    ``texts`` returns the texts of codes.
    """

    texts: _Texts
    row: Array
    value: Array
    codes: Array
    hashes: Array

    @classmethod
    def of(cls, texts: _Texts, row: Array, value: Array) -> _Occurrences:
        """Return them from the spans and the codes."""
        number, codes = dense_codes(value.astype(np.int64), int(value.max(initial=-1)) + 1)
        return cls(texts, row, number, codes, texts.hashes(codes))


def _occurrences(case: Case, key: str) -> list[_Occurrences]:
    """Return the values of a key: of an attribute, and of a column that is called so."""
    columns = case.traces.columns
    found = [
        _Occurrences.of(_Texts.of_column(column), rows, column.codes[rows])
        for name, rows, column in _columns(case)
        if name == key
    ]
    if key in columns.kv.keys:
        row, value = case.traces.lookup.by_key.of(key)
        kept = _is_label(columns.kv)[value]
        found.append(_Occurrences.of(_Texts.of_attributes(columns.kv), row[kept], value[kept]))
    return found


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
    merged: Merged[tuple[dict[int, str], ...]] = Merged(_TextsOf(places), _both)
    return [list(texts.values()) for texts in case.result(merged)]
