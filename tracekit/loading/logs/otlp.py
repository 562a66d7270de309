"""OTLP logs as JSON: ``resourceLogs``, ``scopeLogs``, ``logRecords``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tracekit.errors import MISSHAPEN
from tracekit.loading.logs.fields import SLOTS, slot_of
from tracekit.loading.logs.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

KEYS: Final = ("resourceLogs", "resource_logs")
_SCOPES: Final = ("scopeLogs", "scope_logs", "instrumentationLibraryLogs")
_SEVERITY: Final = {1: "severitynumber"}
_PLACES: Final = SLOTS.index("service_name"), SLOTS.index("host")


def otlp_rows(document: Mapping[str, Any], line: int, offset: int) -> Iterator[Row | Exception]:
    """Yield the log records of an OTLP document, and for what is none the reason."""

    def of_resource(resource_logs: Any) -> Iterator[Row | Exception]:
        service, host = _places(resource_logs.get("resource") or {})
        for scope_logs in _list(resource_logs, *_SCOPES):
            records = _list(scope_logs, "logRecords", "log_records")
            yield from each(records, lambda record: _row(record, service, host, line, offset))

    try:
        resources = _list(document, *KEYS)
    except TypeError as error:
        yield error
        return
    for resource_logs in resources:
        try:
            yield from of_resource(resource_logs)
        except MISSHAPEN as error:
            yield error


def each(items: Iterable[Any], row: Callable[[Any], Row]) -> Iterator[Row | Exception]:
    """Yield the row of each item, and for what is none the reason."""
    for item in items:
        try:
            yield row(item)
        except MISSHAPEN as error:
            yield error


def value_of(value: Any) -> Any:
    """Return an OTLP value: text and numbers as they are, arrays and maps as JSON.

    Examples
    --------
    >>> value_of({"kvlistValue": {"values": [{"key": "n", "value": {"intValue": "5"}}]}})
    '{"n": "5"}'
    """
    found = _plain(value)
    return json.dumps(found, ensure_ascii=False) if isinstance(found, dict | list) else found


def _plain(value: Any) -> Any:
    """Return an OTLP value as a Python object."""
    if not isinstance(value, dict) or not value:
        return value if isinstance(value, str) else None
    (kind, inner), *_ = value.items()
    if kind in {"kvlistValue", "kvlist_value"}:
        return {str(one.get("key")): _plain(one.get("value")) for one in _list(inner, "values")}
    if kind in {"arrayValue", "array_value"}:
        return [_plain(one) for one in (inner or {}).get("values") or []]
    return inner


def _row(record: Mapping[str, Any], service: Any, host: Any, line: int, offset: int) -> Row:
    """Return one log record."""

    def of(*names: str) -> Any:
        return next((record[name] for name in names if record.get(name)), None)

    return Row(
        _number(of("timeUnixNano", "time_unix_nano", "observedTimeUnixNano", "observed_time_unix_nano")),
        of("severityText", "severity_text") or of("severityNumber", "severity_number"),
        value_of(record.get("body")),
        of("traceId", "trace_id"),
        of("spanId", "span_id"),
        service,
        host,
        line,
        offset,
        None if of("severityText", "severity_text") else _SEVERITY,
    )


def _number(value: Any) -> Any:
    """Return digits as an integer, anything else unchanged."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20 else value  # noqa: PLR2004 - of 2^64


def _places(resource: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return service and host of a resource, by the preferred attribute of each."""
    best: dict[int, tuple[int, Any]] = {}
    for attribute in _list(resource, "attributes"):
        found = slot_of(str(attribute.get("key")))
        if found is None:
            continue
        slot, rank = SLOTS.index(found[0]), found[1]
        if slot in _PLACES and (slot not in best or rank < best[slot][0]):
            best[slot] = rank, value_of(attribute.get("value"))
    service, host = (best.get(slot, (0, None))[1] for slot in _PLACES)
    return service, host


def _list(owner: Mapping[str, Any], *names: str) -> list[Any]:
    """Return the objects in a list; TypeError if there is something else."""
    found: Any = next((owner[name] for name in names if owner.get(name)), [])
    if not isinstance(found, list) or not all(type(one) is dict for one in found):
        raise TypeError(f"expected a list of objects in {names[0]}, found {found!r:.60}")
    return found
