"""OpenTelemetry's meaning of Jaeger's and Zipkin's tags: kind, status, scope and trace state.

======================================  ====================================================
tag                                     becomes
======================================  ====================================================
``span.kind``                           kind
``otel.status_code``                    status code
``error``                               status ERROR, unless ``otel.status_code`` differs
``otel.status_description``             status message
``otel.scope.name``, ``.version``       scope; also the older ``otel.library.*``
``w3c.tracestate``                      trace state
======================================  ====================================================

These tags are consumed; all others are attributes, verbatim, with origin ``tag``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tracekit.schema import KINDS, STATUS_CODES, Kind, Origin, Quality, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position

_SCOPE_NAME = ("otel.scope.name", "otel.library.name")
_SCOPE_VERSION = ("otel.scope.version", "otel.library.version")
_SPECIAL = frozenset(
    {
        "span.kind",
        "error",
        "otel.status_code",
        "otel.status_description",
        "w3c.tracestate",
        *_SCOPE_NAME,
        *_SCOPE_VERSION,
    }
)
_FALSE = frozenset({"false", "0", "none", ""})
_TRUE = frozenset({"true", "1"})
_STATUSES = {name: code for code, name in enumerate(STATUS_CODES)} | {str(code): code for code in range(3)}


class Meaning(NamedTuple):
    """The meaning of a span's tags; ``attributes`` are the codes of all other tags."""

    kind: int
    status_code: int
    status_message: str
    trace_state: str
    scope: int
    attributes: list[int]
    quality: int


def meaning(
    tags: Iterable[tuple[str, Any]], at: Position, builder: Builder, *, kind: int = 0, any_error: bool = False
) -> Meaning:
    """Return the meaning of a span's tags."""
    kv = builder.kv
    special: dict[str, Any] = {}
    attributes: list[int] = []
    for key, value in tags:
        if key in _SPECIAL:
            special[key] = value
        else:
            attributes.append(kv(key, value, Origin.TAG))
    if not special:
        bits = 0 if kind else int(Quality.KIND_INFERRED)
        return Meaning(kind or Kind.INTERNAL, 0, "", "", builder.scope(), attributes, bits)
    kind, bits = _kind(special, kind, attributes, at, builder)
    message = _text(special, "otel.status_description")
    status = _status(special, attributes, at, builder)
    if "error" in special:
        has_failed, error_text = _error(special["error"], any_error=any_error)
        if status is None and has_failed:
            status, bits = int(Status.ERROR), bits | int(Quality.ERROR_TAGGED)
        if error_text and any_error and not message:
            message = error_text
        elif error_text:
            attributes.append(kv("error", special["error"], Origin.TAG))
    scope = builder.scope(_text(special, *_SCOPE_NAME), _text(special, *_SCOPE_VERSION))
    return Meaning(kind, status or 0, message, _text(special, "w3c.tracestate"), scope, attributes, bits)


def _kind(special: dict[str, Any], kind: int, attributes: list[int], at: Position, builder: Builder) -> tuple[int, int]:
    """Return the kind, and a quality bit if it was inferred."""
    if "span.kind" in special:
        word = str(special["span.kind"]).upper()
        if kind or word not in KINDS:
            attributes.append(builder.kv("span.kind", special["span.kind"], Origin.TAG))
        if word in KINDS:
            return kind or KINDS.index(word), 0
        bad_word("span.kind", KINDS, special["span.kind"], at, builder)
    return kind or int(Kind.INTERNAL), 0 if kind else int(Quality.KIND_INFERRED)


def _status(special: dict[str, Any], attributes: list[int], at: Position, builder: Builder) -> int | None:
    """Return the status from a tag, None without one."""
    if "otel.status_code" not in special:
        return None
    code = _STATUSES.get(str(special["otel.status_code"]).upper())
    if code is None:
        attributes.append(builder.kv("otel.status_code", special["otel.status_code"], Origin.TAG))
        bad_word("otel.status_code", STATUS_CODES, special["otel.status_code"], at, builder)
    return code


def bad_word(field: str, words: tuple[str, ...], found: Any, at: Position, builder: Builder) -> None:
    """Report a value outside its enumeration."""
    message = f"expected {field} to be one of {', '.join(words).lower()}, found {found!r:.80}; kept as an attribute"
    builder.ledger.issue("ENUM_BAD", message, at=at, field=field)


def _error(value: Any, *, any_error: bool) -> tuple[bool, str]:
    """Return whether a tag ``error`` means failure, and its text unless it is only true or false."""
    word = str(value).lower()
    has_failed = any_error or word not in _FALSE
    return has_failed, "" if word in _FALSE or word in _TRUE else str(value)


def _text(special: dict[str, Any], *keys: str) -> str:
    """Return the first of these tags that exists, as text."""
    return next((str(special[key]) for key in keys if key in special), "")
