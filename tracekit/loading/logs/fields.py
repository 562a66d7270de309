"""Which field of a log record is its time, level, message, trace id, span id, service or host."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SLOTS: Final = ("time", "level", "message", "trace_id", "span_id", "service_name", "host")
# names without case and punctuation, the preferred one first: traceId, trace_id and trace.id are all traceid
_NAMES: Final = {
    "time": (
        "timeunixnano", "timestamp", "time", "ts", "datetime", "eventtime", "asctime", "timemillis", "epochmillis",
        "date", "timelocal", "t", "observedtimeunixnano", "ingestiontime",
    ),
    "level": (
        "severitytext", "loglevel", "level", "levelname", "severity", "lvl", "severitynumber", "levelno",
    ),
    "message": ("message", "msg", "body", "log", "event", "textpayload", "shortmessage", "text", "line"),
    "trace_id": (
        "traceid", "oteltraceid", "xraytraceid", "awsxraytraceid", "xamzntraceid", "ddtraceid", "b3traceid",
        "xb3traceid", "googleapiscomtrace", "trace", "traceparent",
    ),
    "span_id": (
        "spanid", "otelspanid", "ddspanid", "b3spanid", "xb3spanid", "googleapiscomspanid", "segmentid", "span",
    ),
    "service_name": (
        "servicename", "otelservicename", "service", "ddservice", "serviceid", "appname", "applicationname",
        "application", "app",
    ),
    "host": (
        "k8spodname", "kubernetespodname", "podname", "pod", "serviceinstanceid", "containerid", "hostname", "hostid",
        "host", "instanceid", "instance",
    ),
}  # fmt: skip
_SLOT_OF: Final = {name: (slot, rank) for slot, names in _NAMES.items() for rank, name in enumerate(names)}
_OUTER: Final = re.compile(  # objects around the fields that do not change what a field means
    r"^(?:attributes|resourceattributes|resource|context|contextmap|fields|mdc|labels|extra|data|record|metadata|json|"
    r"logging|properties|ctx)(?=.)"
)
_PUNCTUATION: Final = re.compile(r"[^a-z0-9]")
_DEEPEST: Final = 4
_MOST_PLANS: Final = 4096  # sets of keys that are remembered; a hostile file may have a new one in every record


class Field(NamedTuple):
    """Where a value of a record is: its slot, its key, and whether integers in it are decimal ids or OTLP levels."""

    slot: int
    key: str
    kind: str


def slot_of(key: str) -> tuple[str, int] | None:
    """Return the slot of a field and its rank among the names of that slot; None for any other field."""
    name = _PUNCTUATION.sub("", key.lower())
    while name not in _SLOT_OF and (outer := _OUTER.match(name)):
        name = name[outer.end() :]
    return _SLOT_OF.get(name)


def plan(keys: Iterable[str]) -> tuple[Field, ...]:
    """Return the fields among these keys, by slot, the preferred one of each slot first.

    Examples
    --------
    >>> [(SLOTS[field.slot], field.key) for field in plan(["ts", "@timestamp", "dd.trace_id", "msg", "n"])]
    [('time', '@timestamp'), ('time', 'ts'), ('message', 'msg'), ('trace_id', 'dd.trace_id')]
    """
    found = ((slot_of(key), key) for key in keys)
    ranked = sorted((SLOTS.index(place[0]), place[1], key) for place, key in found if place is not None)
    return tuple(Field(slot, key, _kind(key)) for slot, _, key in ranked)


def _kind(key: str) -> str:
    """Return what an integer in a field means."""
    name = _PUNCTUATION.sub("", key.lower())
    if name.endswith(("ddtraceid", "ddspanid")):
        return "decimal"
    return next((kind for kind in ("severitynumber", "levelno", "traceparent") if name.endswith(kind)), "")


def flat(record: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return a record with the fields of inner objects as dotted keys.

    Examples
    --------
    >>> flat({"msg": "paid", "trace": {"id": "a1"}})
    {'msg': 'paid', 'trace.id': 'a1'}
    """
    if dict not in set(map(type, record.values())) or depth >= _DEEPEST:
        return record if type(record) is dict else dict(record)
    found: dict[str, Any] = {}
    for key, value in record.items():
        if type(value) is dict:
            found.update({f"{key}.{inner}": each for inner, each in flat(value, depth + 1).items()})
        else:
            found[key] = value
    return found


class Plans:
    """The values of records by slot; the fields are looked up once for each set of keys."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[tuple[Field, ...], tuple[str | None, ...] | None]] = {}

    def has_fields(self, record: Mapping[str, Any]) -> bool:
        """Return whether a flat record has any field of a log line."""
        return bool(self._of(record)[0])

    def values(self, record: Mapping[str, Any]) -> tuple[list[Any], dict[int, str] | None]:
        """Return the first value of each slot of a flat record, and what integers in them mean."""
        fields, keys = self._of(record)
        if keys is not None:
            return [None if key is None else record[key] for key in keys], None
        values: list[Any] = [None] * len(SLOTS)
        kinds: dict[int, str] = {}
        for slot, key, kind in fields:
            if values[slot] is not None:
                continue
            values[slot] = record[key]
            if kind:
                kinds[slot] = kind
        return values, kinds or None

    def _of(self, record: Mapping[str, Any]) -> tuple[tuple[Field, ...], tuple[str | None, ...] | None]:
        """Return the fields of a flat record, and the key of each slot if no slot has several or a special one."""
        keys = tuple(record)
        found = self._known.get(keys)
        if found is None:
            fields = plan(keys)
            names = {slot: key for slot, key, _ in fields}
            is_simple = len(names) == len(fields) and not any(field.kind for field in fields)
            found = fields, tuple(map(names.get, range(len(SLOTS)))) if is_simple else None
            if len(self._known) < _MOST_PLANS:
                self._known[keys] = found
        return found
