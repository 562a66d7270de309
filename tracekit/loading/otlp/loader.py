"""The loader of OTLP JSON; documents of any size are read span by span: a resource or scope may follow its spans."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tracekit.loading import native
from tracekit.loading.loader import UNREADABLE, Loader
from tracekit.loading.otlp import compiled, fast, prepper_compiled, tolerant

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.loader import Document, Scanner

MOST_WRAPPERS = 4  # deeper ones are read as one value, which has a limit on its depth


def walk(key: str, document: Document) -> Callable[[dict[str, Any]], object] | None:
    """Load a list of ResourceSpans, or an object around one; return what loads the other fields of the document."""
    opening = document.pull.peek()
    ledger = document.builder.ledger
    if key in tolerant.GROUPS and opening == "[":
        ledger.formats["otlp"] += 1
        if key != tolerant.GROUPS[0]:
            ledger.dialect(key)
        for _ in document.pull.items():
            _groups(document)
    elif key in tolerant.WRAPPERS and opening == "{" and document.depth < MOST_WRAPPERS:
        ledger.dialect(f"wrapped_in_{key}")
        document.read_object()
    else:
        return None
    return lambda others: tolerant.note_wrapper(others, document.builder)


def _groups(document: Document) -> None:
    """Load the next ResourceSpans of a list, as many as the scanner can, or one alone."""
    scanner = _scanner(document)
    if scanner is not None and document.run(scanner.load_groups):
        document.end_record()
    elif document.pull.peek() == "{":
        _resource_spans(document, is_large=scanner is not None and document.pull.is_large)
    else:
        document.load_item(tolerant.GROUPS[0])


def _scanner(document: Document) -> compiled.Scanner | None:
    """Return the scanner of the items of lists, None in the Python lane."""
    found = document.scanner("otlp")
    return found if isinstance(found, compiled.Scanner) else None


def _each_object(document: Document, load: Callable[[], None]) -> None:
    """Load every object of a list; load other items as records, which quarantines them."""
    for _ in document.pull.items():
        if document.pull.peek() == "{":
            load()
        else:
            document.load_item(tolerant.GROUPS[0])


def _resource_spans(document: Document, *, is_large: bool) -> None:
    """Load a ResourceSpans; the spans of a large one are scanned."""
    at = document.next_record()
    builder = document.builder
    provisional = builder.provisional_resource()
    group: dict[str, Any] = {}
    try:
        for key in document.pull.keys():  # noqa: SIM118 - a method that reads on, not a dict
            if key in tolerant.SCOPES and document.pull.peek() == "[":
                tolerant.note_scopes(key, builder)
                _each_object(document, lambda: _scope_spans(document, provisional, is_large=is_large))
            elif key in tolerant.OF_GROUP:
                group[key] = document.field_value()
            elif key in tolerant.SCOPES:
                tolerant.load_scopes(key, document.field_value(), provisional, at, builder)
            else:
                document.pull.skip()
    finally:  # also where the document is truncated: the spans keep what was read of the resource
        builder.finalise(provisional, tolerant.resource_of_group(group, at, builder))
    document.end_record()


def _scope_spans(document: Document, resource: int, *, is_large: bool) -> None:
    """Load a ScopeSpans of a resource."""
    at = document.position()
    builder = document.builder
    scanner = _scanner(document) if is_large else None
    provisional = builder.provisional_scope()
    part: dict[str, Any] = {}
    try:
        for key in document.pull.keys():  # noqa: SIM118 - a method that reads on, not a dict
            if key in {"spans", "Spans"} and document.pull.peek() == "[":
                for _ in document.pull.items():
                    if scanner is None or not document.run(partial(scanner.load_spans, resource, provisional)):
                        _span(document, resource, provisional)
            else:
                part[key] = document.field_value()
    finally:
        builder.finalise_scope(provisional, tolerant.scope_of(part, at, builder))
    tolerant.load_spans(part.get("spans", part.get("Spans")), resource, provisional, at, builder)


def _span(document: Document, resource: int, scope: int) -> None:
    """Load one span."""
    at = document.position()
    document.count_span()
    span = document.read_value()
    if span is not UNREADABLE:
        tolerant.load_span(span, resource, scope, at, document.builder)


def scanner(builder: Builder) -> Scanner:
    """Return the scanner of lines: the compiled one where it was built, unless the Python lane is chosen."""
    extension = native.compiled()
    return fast.Scanner(builder) if extension is None else prepper_compiled.Scanner(builder, extension)


LOADER = Loader("otlp", tolerant.recognises, tolerant.load, walk=walk, scanner=scanner)
