"""Answers of Elasticsearch or OpenSearch to a search, as documents of any size: their hits are read one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.loading.loader import Document


def walk(key: str, document: Document) -> Callable[[dict[str, Any]], object] | None:
    """Load the hits of a search one by one, also those of other formats; return what loads an answer without any."""
    if key != "hits" or document.pull.peek() != "{":
        return None
    offset, is_empty = document.pull.offset, True
    hits: dict[str, Any] = {}
    for name in document.pull.keys():  # noqa: SIM118 - a method that reads on, not a dict
        if name != "hits" or document.pull.peek() != "[":
            hits[name] = document.field_value()
            continue
        for _ in document.pull.items():
            is_empty = False
            _hit(document)
        hits[name] = []
    return lambda others: document.load_value({**others, "hits": hits}, offset) if is_empty else None


def _hit(document: Document) -> None:
    """Load the next hits of a search, as many as a scanner can, or one alone."""
    if not document.run(document.load_hits):
        document.load_item("hits", "hits")
    document.end_record()
