"""pprof: the messages of google/pprof's ``profile.proto``, read without a protobuf library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tracekit.loading.profiles.collect import chosen_value
from tracekit.loading.profiles.labels import Ids, ids_of, kind_of
from tracekit.loading.profiles.wire import LENGTH, VARINT, fields, integers, signed, varint

if TYPE_CHECKING:
    from tracekit.loading.profiles.collect import Collector

_SAMPLE_TYPE, _SAMPLE, _LOCATION, _FUNCTION, _STRING, _DEFAULT = 1, 2, 4, 5, 6, 14
_VARINTS: Final = frozenset({7, 8, 9, 10, 12, 13, 14, 15})
_LAST: Final = 16
_DEEPEST: Final = 10_000


@dataclass
class _Tables:
    """What samples refer to, and where the samples are."""

    types: list[tuple[int, int]] = field(default_factory=list)
    samples: list[tuple[int, int]] = field(default_factory=list)
    locations: dict[int, tuple[int, list[int]]] = field(default_factory=dict)
    functions: dict[int, int] = field(default_factory=dict)
    strings: list[bytes] = field(default_factory=list)
    default: int = 0

    def text(self, number: int) -> str:
        """Return a string; ValueError if there is none."""
        return self.raw(number).decode("utf-8", "replace")

    def raw(self, number: int) -> bytes:
        """Return the bytes of a string; ValueError if there is none."""
        if not 0 <= number < len(self.strings):
            raise ValueError(f"expected one of {len(self.strings):,} strings, found string {number:,}")
        return self.strings[number]


def is_pprof(data: bytes) -> bool:
    """Return whether data begins with a field of a profile."""
    try:
        tag, _ = varint(data, 0, min(len(data), 10))
    except ValueError:
        return False
    number, kind = tag >> 3, tag & 7
    return 1 <= number <= _LAST and (kind == LENGTH or (kind == VARINT and number in _VARINTS))


def read_pprof(data: bytes, collector: Collector, value: str | None) -> None:
    """Add the samples of a profile; ValueError if nothing of it can be read."""
    tables = _Tables()
    try:
        for number, kind, at, end in fields(data, 0, len(data)):
            _take(tables, data, (number, kind, at, end))
    except ValueError as error:
        if not tables.samples:
            raise
        collector.issue(0, f"the profile is damaged: {error}; read up to there")
    types = [(tables.text(name), tables.text(unit)) for name, unit in tables.types]
    chosen = chosen_value(types, value, tables.text(tables.default) if tables.default else "")
    collector.describe(*types[chosen])
    frames: dict[int, tuple[str, ...]] = {}
    for number, (at, end) in enumerate(tables.samples, 1):
        try:
            locations, values, labels = _sample(tables, data, at, end)
            if len(values) != len(types):
                raise ValueError(f"expected {len(types)} values, one per sample type, found {len(values)}")  # noqa: TRY301 - one issue per sample
            deepest = sum(len(_frames(tables, one, frames)) for one in locations)
            if deepest > _DEEPEST:
                raise ValueError(f"expected a stack of at most {_DEEPEST:,} functions, found {deepest:,}")  # noqa: TRY301 - one issue per sample
            stack = tuple(name for one in reversed(locations) for name in frames[one])
            try:
                ids = ids_of(labels)
            except ValueError as error:
                collector.issue(number, f"byte {at:,}: {error}; counted without ids")
                ids = Ids()
            collector.add(ids, signed(values[chosen]), stack)
        except ValueError as error:
            collector.issue(number, f"byte {at:,}: {error}; left out")


def _take(tables: _Tables, data: bytes, found: tuple[int, int, int, int]) -> None:
    """Add one field of the profile to the tables."""
    number, kind, at, end = found
    if number == _DEFAULT and kind == VARINT:
        tables.default = at
    if kind != LENGTH:
        return
    if number == _SAMPLE:
        tables.samples.append((at, end))
    elif number == _STRING:
        tables.strings.append(data[at:end])
    elif number == _SAMPLE_TYPE:
        numbers = _numbers(data, at, end)
        tables.types.append((numbers.get(1, 0), numbers.get(2, 0)))
    elif number == _FUNCTION:
        numbers = _numbers(data, at, end)
        tables.functions[numbers.get(1, 0)] = numbers.get(2) or numbers.get(3, 0)
    elif number == _LOCATION:
        inner = list(fields(data, at, end))
        numbers = {each[0]: each[2] for each in inner if each[1] == VARINT}
        lines = [_numbers(data, low, high).get(1, 0) for n, k, low, high in inner if n == 4 and k == LENGTH]  # noqa: PLR2004 - Location.line
        tables.locations[numbers.get(1, 0)] = numbers.get(3, 0), lines


def _numbers(data: bytes, at: int, end: int) -> dict[int, int]:
    """Return the integers of a message by field number."""
    return {number: value for number, kind, value, _ in fields(data, at, end) if kind == VARINT}


def _sample(
    tables: _Tables, data: bytes, at: int, end: int
) -> tuple[list[int], list[int], list[tuple[str, int | str | bytes]]]:
    """Return the locations, innermost first, the values and the labels of a sample."""
    locations: list[int] = []
    values: list[int] = []
    labels: list[tuple[str, int | str | bytes]] = []
    for number, kind, low, high in fields(data, at, end):
        if number == 1:
            locations += integers(data, kind, low, high)
        elif number == 2:  # noqa: PLR2004 - Sample.value
            values += integers(data, kind, low, high)
        elif number == 3 and kind == LENGTH:  # noqa: PLR2004 - Sample.label
            label = _numbers(data, low, high)
            key = tables.text(label.get(1, 0))
            if kind_of(key) is not None:
                labels.append((key, tables.raw(label[2]) if label.get(2) else label.get(3, 0)))
    return locations, values, labels


def _frames(tables: _Tables, location: int, known: dict[int, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the functions of a location, callers first; its address if it has none."""
    if location not in known:
        if location not in tables.locations:
            raise ValueError(f"expected one of {len(tables.locations):,} locations, found location {location:,}")
        address, lines = tables.locations[location]
        missing = next((line for line in lines if line not in tables.functions), None)
        if missing is not None:
            raise ValueError(f"expected one of {len(tables.functions):,} functions, found function {missing:,}")
        names = [tables.text(tables.functions[line]) or "(no name)" for line in reversed(lines)]
        known[location] = tuple(names) or (f"0x{address:x}",)
    return known[location]
