"""The compiled lane of Jaeger: the columns that the extension makes of answers and traces become a batch.

Tags that the extension does not decode, and processes, are decoded here, each distinct one once, by the functions of
the Python lane (``loader.py``), which reads every record with anything unexpected.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.loading.building.ledger import NOWHERE, Ledger, Position
from tracekit.loading.building.scanned import HANDED_BACK, Found, Records, lines_with
from tracekit.loading.ids import PADDED
from tracekit.loading.numbers import exact_number
from tracekit.loading.records.parse import parse
from tracekit.schema import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.columns import Array
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.opening.source import Source
    from tracekit.loading.records import Line

_BEGINNING = re.compile(
    rb'\s*(?:\{\s*"(?:data|total|limit|offset|errors)"|\[?\s*\{\s*"(?:traceID|spans|processes|warnings)")'
).match
_FIRST = Position(1, 0)  # of the only line of a file
_COLUMNS: dict[str, Any] = {
    **dict.fromkeys(("resource", "record_process"), np.int32),
    "process_count": np.int64,
    "is_answer": np.bool_,
}


def _begins(data: bytes) -> bool:
    """Return whether a line begins like an answer or a trace."""
    return _BEGINNING(data) is not None


class Decode(NamedTuple):
    """The functions of the Python lane: the attributes of a list of tags, and those of a process."""

    tags: Callable[[list[Any], Position, Builder], list[int]]
    process: Callable[[Any, Position, Builder], list[int]]


class Scanner(Records):
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

    def __init__(self, builder: Builder, decode: Decode, extension: Any) -> None:
        super().__init__(builder, extension, "jaeger", Origin.TAG)
        self._decode = decode
        self._resources: dict[bytes, int] = {}
        self._kept: _Columns | None = None

    def scan_ahead(self, content: Sequence[bytes]) -> _Ahead:
        """Return what ``taken`` and ``load_files`` need of the lines; other threads may call it."""
        data = b"".join(content)
        ends = np.cumsum(list(map(len, content)), dtype=np.int64)
        return _Ahead(data, self._extension.scan_jaeger(data, ends.tobytes()))

    def taken(self, lines: Sequence[Line], ahead: object) -> list[bool]:
        """Return which lines can be loaded whole."""
        assert isinstance(ahead, _Ahead)
        self._kept = self._known(ahead)
        is_taken: list[bool] = (~self._kept.is_other(len(lines))).tolist()
        return is_taken

    def load_files(self, sources: Sequence[Source], lines: Sequence[Line], ahead: object) -> None:
        """Load sources with one line each, all of which were ``taken``; ``ahead`` is None for some of them."""
        columns = self._columns(lines) if ahead is None or self._kept is None else self._kept
        self._kept = None
        found, builder = columns.found, self._builder
        counts = found["line_spans"]
        facts = zip(found["is_answer"].tolist(), found["padded"].tolist(), strict=True)
        for source, line, (is_answer, padded) in zip(sources, lines, facts, strict=True):
            ledger = builder.open_source(source.uri)
            ledger.byte_count = len(line.data)
            ledger.record_count, ledger.formats["jaeger"] = 1, 1
            if is_answer:
                ledger.dialect("jaeger_api")
            if padded:
                ledger.tally("ID_64BIT", PADDED, _FIRST, padded)
            ledger.close()
        numbers = np.arange(builder.source + 1 - len(lines), builder.source + 1, dtype=np.int32)
        own = {"resource": columns.resources[found["resource"]], "source": np.repeat(numbers, counts)}
        builder.batch(self._rows(columns, own, np.array([_FIRST] * len(lines), np.int64)), counts.tolist())

    def _columns(self, lines: Sequence[Line]) -> _Columns:
        return self._known(self.scan_ahead([line.data for line in lines]))

    def _known(self, ahead: _Ahead) -> _Columns:
        """Return columns, and what their codes mean."""
        data, found = ahead.data, Found(ahead.made, _COLUMNS)
        codes = self._learn(data, found.made["distinct_attributes"])
        kv = np.array(self._kv, np.int32)[codes] if len(codes) else codes
        return _Columns(found, kv, np.array(list(map(self._resource, found.made["processes"])), np.int32))

    def _give(self, columns: _Columns, places: Array) -> None:
        found, ledger = columns.found, self._builder.ledger
        self._note("jaeger", found, places)
        answers = int(np.count_nonzero(found["is_answer"]))
        if answers:
            ledger.dialect("jaeger_api", answers)
        if len(found["kind"]):
            self._builder.batch(self._rows(columns, {"resource": columns.resources[found["resource"]]}, places))

    # ---------------------------------------------------------------- what the codes mean

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


class _Ahead(NamedTuple):
    """The bytes of some lines, and the columns that the extension made of them."""

    data: bytes
    made: dict[str, Any]


class _Columns:
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
