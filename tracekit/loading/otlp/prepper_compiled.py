"""The compiled lane of span documents of OpenSearch: the extension reads them to the columns of OTLP.

A record with anything unexpected goes to ``prepper.py`` whole, which is what the extension does, in Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.loading.loader import Taken
from tracekit.loading.otlp import compiled
from tracekit.loading.otlp.prepper import attribute_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.loading.loader import Place

_HEAD = 1 << 14  # bytes of a chunk, enough to see whether it has such documents


def _begins(data: bytes | memoryview) -> bool:
    """Return whether some bytes begin with a span document, or a hit or an answer with one."""
    return b'"durationInNanos"' in bytes(data[:_HEAD])


class Scanner(compiled.Scanner):
    """Loads OTLP JSON, and span documents of OpenSearch, into a builder; see ``otlp.compiled``."""

    def _scanned(self, data: bytes | memoryview, excluded: bytes) -> dict[str, Any]:
        scan: Callable[..., dict[str, Any]] = self._extension.scan_documents if _begins(data) else self._extension.scan
        return scan(data, excluded)

    def _scanned_items(self, data: bytes, kind: int, most: int) -> dict[str, Any]:
        is_list_or_stream = kind in {compiled.REQUESTS, compiled.DOCUMENTS}
        scan: Callable[..., dict[str, Any]] = (
            self._extension.scan_document_items if is_list_or_stream and _begins(data) else self._extension.scan_items
        )
        return scan(data, kind, most)

    def load_hits(self, data: bytes, place: Place) -> Taken:
        """Load the first hits of a search, as many as it can."""
        found = self.load_list(data, place) if _begins(data) else Taken()
        if found.records:
            self._builder.ledger.dialect("opensearch_hits", found.records)
        return found

    def _alone(self, raw: bytes, code: int) -> int:
        if not raw.startswith((b'"', b"{")):  # a member of a document, without its first quote
            name, rest = raw.split(b'"', 1)
            raw = b'"%b"%b' % (attribute_name(name.decode()).encode(), rest)
        return super()._alone(raw, code)
