"""Conversion of Zipkin v1 spans to v2: v1 uses annotations where v2 has fields.

``cs`` and ``cr`` (client sends, receives) begin and end a CLIENT, ``sr`` and ``ss`` a SERVER; ``ms`` is a PRODUCER,
``mr`` a CONSUMER.  A span that holds both halves of a call is two spans with one id; a server's half without a
timestamp of its own is shared.  ``binaryAnnotations`` are tags, but ``sa``, ``ca`` and ``ma``: the address of the other
side.  After the conversion of openzipkin/loader, ``V1SpanConverter``.
"""

from __future__ import annotations

from typing import Any, TypeGuard

_SIDES = {"CLIENT": ("cs", "cr"), "SERVER": ("sr", "ss"), "PRODUCER": ("ms", "ws"), "CONSUMER": ("mr", "wr")}
_CORE = tuple(word for pair in _SIDES.values() for word in pair)
_ADDRESSES = {"sa": ("CLIENT",), "ca": ("SERVER",), "ma": ("PRODUCER", "CONSUMER")}
_FAR = 2**63
_COMMON = ("traceId", "id", "parentId", "name", "debug")


def is_v1(span: dict[str, Any]) -> bool:
    """Return whether a span is in the v1 format."""
    if "binaryAnnotations" in span:
        return True
    found = _objects(span.get("annotations"))
    return "kind" not in span and any("endpoint" in item or item.get("value") in _CORE for item in found)


def halves(span: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a v1 span as v2 spans: one, or the two halves of a call."""
    annotations, binary = _objects(span.get("annotations")), _objects(span.get("binaryAnnotations"))
    core = {str(item["value"]): item for item in reversed(annotations) if item.get("value") in _CORE}
    sides = [side for side, words in _SIDES.items() if any(word in core for word in words)] or _addressed(binary)
    found = [_half(span, side, core, is_first=at == 0) for at, side in enumerate(sides)] or [_local(span)]
    for item in annotations:
        if core.get(str(item.get("value"))) is not item:
            _home(item, found)["annotations"].append(item)
    for item in binary:
        _place(item, found)
    for half in found:
        if not half.get("localEndpoint"):
            half["localEndpoint"] = _any_endpoint(annotations, binary)
    return found


def _addressed(binary: list[dict[str, Any]]) -> list[str]:
    """Return the side whose address of the other side is given; an empty list if none is."""
    return [kinds[0] for key, kinds in _ADDRESSES.items() if any(_is_address(item, key) for item in binary)][:1]


def _half(span: dict[str, Any], side: str, core: dict[str, dict[str, Any]], *, is_first: bool) -> dict[str, Any]:
    """Return one half of a span; the span's times belong to its first half."""
    begin, end = (core.get(word, {}) for word in _SIDES[side])
    half = _blank(span) | {"kind": side, "localEndpoint": begin.get("endpoint") or end.get("endpoint")}
    half["timestamp"], half["duration"] = begin.get("timestamp"), _between(begin, end)
    has_own = bool(span.get("timestamp"))
    if is_first and has_own:
        half["timestamp"] = span["timestamp"]
    if is_first and span.get("duration") is not None:
        half["duration"] = span["duration"]
    if side == "SERVER" and not (is_first and has_own):
        half["shared"] = True
    return half


def _local(span: dict[str, Any]) -> dict[str, Any]:
    """Return a span without annotations of a call."""
    return _blank(span) | {"timestamp": span.get("timestamp"), "duration": span.get("duration")}


def _blank(span: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that all halves of a span share."""
    common = {key: span[key] for key in _COMMON if key in span}
    tags = span.get("tags")
    return common | {"annotations": [], "tags": dict(tags) if isinstance(tags, dict) else {}}


def _place(item: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """Add a binary annotation to its half: as an address or a tag."""
    key = str(item.get("key", ""))
    if _is_address(item, key):
        for half in found:
            if half.get("kind") in _ADDRESSES[key]:
                half["remoteEndpoint"] = item["endpoint"]
                return
    _home(item, found)["tags"][key] = item.get("value")


def _is_address(item: dict[str, Any], key: str) -> bool:
    """Return whether a binary annotation is the address of the remote endpoint."""
    return key in _ADDRESSES and item.get("key") == key and isinstance(item.get("endpoint"), dict)


def _home(item: dict[str, Any], found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the half of the service that wrote an annotation, by default the first."""
    service = _service(item.get("endpoint"))
    return next((half for half in found if service and _service(half.get("localEndpoint")) == service), found[0])


def _service(endpoint: Any) -> Any:
    """Return the service of an endpoint."""
    return endpoint.get("serviceName") if isinstance(endpoint, dict) else None


def _any_endpoint(annotations: list[dict[str, Any]], binary: list[dict[str, Any]]) -> Any:
    """Return the first endpoint of an annotation that is not the address of the remote side."""
    own = [item for item in binary if str(item.get("key")) not in _ADDRESSES]
    return next((item["endpoint"] for item in (*annotations, *own) if isinstance(item.get("endpoint"), dict)), None)


def _between(begin: dict[str, Any], end: dict[str, Any]) -> int | float | None:
    """Return the time between two annotations, None unless both have one."""
    first, last = begin.get("timestamp"), end.get("timestamp")
    return last - first if _is_time(first) and _is_time(last) else None


def _is_time(value: Any) -> TypeGuard[int | float]:
    """Return whether a JSON value is a number within 64 bits."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_FAR < value < _FAR


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def odd_items(span: dict[str, Any]) -> list[Any]:
    """Return the malformed annotations of a v1 span."""
    odd: list[Any] = []
    for member in ("annotations", "binaryAnnotations"):
        found = span.get(member)
        items = found if isinstance(found, list) else [] if found is None else [found]
        odd += [item for item in items if not (isinstance(item, dict) and isinstance(found, list))]
    return odd
