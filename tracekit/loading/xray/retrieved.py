"""What the extension found in answers with documents of OpenTelemetry, which it writes as lines of OTLP.

X-Ray returns such documents from ListRetrievedTraces with the trace format OTEL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position
    from tracekit.loading.otlp.compiled import Scanner
    from tracekit.loading.xray.scanned import Found


class Spans:
    """The spans in the documents of some lines; ValueError if one of the documents has to be read otherwise.

    Parameters
    ----------
    found
        The columns of the lines.
    scanner
        Reads the documents.
    """

    lines: frozenset[int] = frozenset()  # of which Python explains anything: none, as there are no causes

    def __init__(self, found: Found, scanner: Scanner) -> None:
        self._counts = found["text_count"]
        inside = scanner.inside(found.made["written"], int(self._counts.sum()))
        if inside is None:
            message = "expected spans of OTLP in all documents, found something else; read them one by one"
            raise ValueError(message)
        self._scanner, self._inside = scanner, inside

    def explain(self, line: int, at: Position) -> None:
        """Do nothing: see ``lines``."""

    def give(self, builder: Builder, places: Array) -> None:  # noqa: ARG002 - the scanner has the builder
        """Give the spans to the builder; ``places`` has the number and the offset of each line."""
        self._scanner.give_inside(*self._inside, np.repeat(places, self._counts, axis=0))
