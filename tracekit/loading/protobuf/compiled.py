"""The compiled lane of OTLP protobuf: as of JSON, but texts are UTF-8 and what Python decodes is protobuf."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.loading.building.ledger import Ledger, Position
from tracekit.loading.otlp import compiled
from tracekit.loading.protobuf.decode import Decoder
from tracekit.loading.protobuf.wire import DamageError
from tracekit.schema import ValueType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array

_DEEPEST = {
    "KeyValue": 4,
    "Resource": 1,
    "Scope": 2,
}  # how many messages can be around one: those of an event have most


class Scanner(compiled.Scanner):
    """Loads ResourceSpans into a builder.

    Parameters
    ----------
    builder
        Receives the spans; the scanner uses its attribute codes.
    extension
        The module ``tracekit.loading.native._scan``.
    """

    notation = "protobuf"

    def _scanned(self, data: bytes | memoryview, excluded: bytes) -> dict[str, Any]:
        columns: dict[str, Any] = self._extension.scan_protobuf(data, excluded)
        return columns

    def _decoded(self, raws: Sequence[bytes]) -> list[str]:
        return [raw.decode() for raw in raws]

    def _numbers(self, learned: dict[str, Any], kinds: Array) -> tuple[Array, Array]:
        bits, is_double = np.frombuffer(learned["integer"], np.int64), kinds == ValueType.DOUBLE
        return np.where(is_double, 0, bits), np.where(is_double, bits, 0).view(np.float64)

    def _parsed(self, raw: bytes, name: str, ledger: Ledger) -> tuple[Any, bool]:
        decoder = Decoder(raw, ledger, Position(0, 0), 0)
        try:
            return decoder.message(name, 0, len(raw), _DEEPEST[name]), True
        except DamageError:
            return None, False
