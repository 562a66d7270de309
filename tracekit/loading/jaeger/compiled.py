"""The compiled lane of Jaeger: the columns that the extension makes of answers and traces become a batch.

Tags that the extension does not decode, and processes, are decoded here, each distinct one once, by the functions of
the Python lane (``loader.py``), which reads every record with anything unexpected.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.loading.building.ledger import NOWHERE, Ledger, Position
from tracekit.loading.building.scanned import HANDED_BACK, Distinct, Found, lines_with
from tracekit.loading.jaeger.ids import note_padded
from tracekit.loading.microseconds import RESOLUTION_NS
from tracekit.loading.numbers import exact_number
from tracekit.loading.records import parse
from tracekit.schema import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracekit.columns import Array
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.records import Line

_BEGINNING = re.compile(
    rb'\s*(?:\{\s*"(?:data|total|limit|offset|errors)"|\[?\s*\{\s*"(?:traceID|spans|processes|warnings)")'
).match
AT_ONCE = 16 << 20  # bytes: every batch asks for its distinct texts again
_COLUMNS: dict[str, Any] = {
    **dict.fromkeys(("resource", "scope", "record_process"), np.int32),
    **dict.fromkeys(("padded", "process_count"), np.int64),
    "quality": np.uint32,
    "is_answer": np.bool_,
}


def _begins(data: bytes) -> bool:
    """Return whether a line begins like an answer or a trace."""
    return _BEGINNING(data) is not None


class Decode(NamedTuple):
    """The functions of the Python lane: the attributes of a list of tags, and those of a process."""

    tags: Callable[[list[Any], Position, Builder], list[int]]
    process: Callable[[Any, Position, Builder], list[int]]


class Scanner(Distinct):
    """Loads records into a builder.

    Parameters
    ----------
    builder
        Receives the spans.
    decode
        The functions of the Python lane.
    extension
        The module ``tracekit.loading.native._scan``.
    """

    takes = staticmethod(_begins)
    work_ahead = None

    def __init__(self, builder: Builder, decode: Decode, extension: Any) -> None:
        super().__init__(builder, extension, "jaeger", Origin.TAG)
        self._decode = decode
        self._resources: dict[bytes, int] = {}

    def scan(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Load answers and traces; yield every other line once the lines before it are loaded."""
        kept: list[Line] = []
        size = 0
        for line in lines:
            kept.append(line)
            size += len(line.data)
            if size > AT_ONCE:
                yield from self._read(kept)
                kept, size = [], 0
        if kept:
            yield from self._read(kept)

    def _read(self, lines: list[Line]) -> Iterator[Line]:
        """Load lines; yield those that are handed back in their turn."""
        scanned = self._scanned(lines)
        is_other = scanned.is_other(len(lines))
        if not is_other.any():
            self._give(lines, scanned)
            return
        for other, run in groupby(zip(lines, is_other.tolist(), strict=True), lambda pair: pair[1]):
            some = [line for line, _ in run]
            if other:
                yield from some
            else:
                self._give(some, self._scanned(some))

    def _scanned(self, lines: Sequence[Line]) -> _Scanned:
        """Return the columns of lines, and what their codes mean."""
        data = b"".join([line.data for line in lines])
        ends = np.cumsum([len(line.data) for line in lines], dtype=np.int64)
        found = Found(self._extension.scan_jaeger(data, ends.tobytes()), _COLUMNS)
        codes = self._learn(data, found.made["distinct_attributes"])
        kv = np.array(self._kv, np.int32)[codes] if len(codes) else codes
        return _Scanned(found, kv, np.array(list(map(self._resource, found.made["processes"])), np.int32))

    def _give(self, lines: Sequence[Line], scanned: _Scanned) -> None:
        """Give lines that are read as a whole to the builder, and count them."""
        found, builder = scanned.found, self._builder
        ledger = builder.ledger
        ledger.record_count += len(lines)
        ledger.formats["jaeger"] += len(lines)
        answers = int(np.count_nonzero(found["is_answer"]))
        if answers:
            ledger.dialect("jaeger_api", answers)
        for number in np.flatnonzero(found["padded"]).tolist():
            line = lines[number]
            note_padded(ledger, Position(line.number, line.offset), int(found["padded"][number]))
        if not len(found["kind"]):
            return
        spans = found["line_spans"]
        own = {
            "resolution_ns": np.full(len(found["kind"]), RESOLUTION_NS, np.int32),
            "resource": scanned.resources[found["resource"]],
            "scope": self._scopes(found)[found["scope"]],
            "quality": found["quality"],
        }
        places = np.array([(line.number, line.offset) for line in lines], np.int64).reshape(-1, 2)
        record, offset = (np.repeat(column, spans) for column in places.T)
        builder.batch(self._batch_of(found, scanned.kv, own=own, record=record, offset=offset))

    # ---------------------------------------------------------------- what the codes mean

    def _scopes(self, found: Found) -> Array:
        """Return the builder's numbers of scopes."""
        texts = [*self._decoded(found.made["texts"]), ""]  # the last for -1, a missing one
        pairs = (np.frombuffer(pair, np.int32).tolist() for pair in found.made["scopes"])
        return np.array([self._builder.scope(texts[name], texts[version]) for name, version in pairs], np.int32)

    def _alone(self, raw: bytes, code: int) -> int:  # noqa: ARG002 - for other formats
        """Return the builder's code of any tag; -1 for one that has to be reported."""
        found = self._aside(raw, lambda value: self._decode.tags([value], NOWHERE, self._builder))
        return HANDED_BACK if found is None else found[0]

    def _resource(self, raw: bytes) -> int:
        """Return the number of the resource of a process; -1 for one that has to be reported."""
        if raw not in self._resources:
            found = self._aside(raw, lambda value: self._decode.process(value, NOWHERE, self._builder))
            self._resources[raw] = HANDED_BACK if found is None else self._builder.resource(found)
        return self._resources[raw]

    def _aside(self, raw: bytes, load: Callable[[Any], list[int]]) -> list[int] | None:
        """Return the attributes that a function makes of a JSON value; None if it has to report anything.

        None as well if they depend on how decimal numbers are parsed, which the source decides.
        """
        builder = self._builder
        own, builder.ledger = builder.ledger, Ledger("")
        try:
            parsed = [parse(raw, parse_float=parse_float) for parse_float in (None, exact_number)]
            if any(one.failure is not None or one.notes for one in parsed):
                return None
            found, exact = (load(one.value) for one in parsed)
            has_remarks = builder.ledger.has_remarks
        finally:
            builder.ledger = own
        return None if has_remarks or found != exact else found


class _Scanned:
    """The columns of some lines, the builder's codes of their attributes, and the resources of their processes."""

    def __init__(self, found: Found, kv: Array, resources: Array) -> None:
        self.found, self.kv, self.resources = found, kv, resources

    def is_other(self, count: int) -> Array:
        """Return which of this many lines are handed back."""
        found = self.found
        other = np.zeros(count, bool)
        other[found["other_number"]] = True
        other[lines_with(found, self.kv < 0)] = True
        if (self.resources < 0).any():
            record = np.repeat(found["line_number"], found["process_count"])
            other[record[self.resources[found["record_process"]] < 0]] = True
        return other
