"""Jaeger: ``/api/v3`` (OTLP), or ``/api`` of servers without it.

``rawTraces=true`` (v3) and ``raw=true`` (v1) are always sent: otherwise the server moves spans to correct clock skew.
Without a service, every service of the server is searched: storages differ in whether they accept a search without one.
There is no pagination, and at the limit the choice of traces depends on the storage.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Raw, Struct, field

from tracekit.pull.backend import Fetched, Found, Hit, Kind, one_by_one
from tracekit.pull.calls import RejectedError
from tracekit.pull.http import checked_url, http_of, one_line
from tracekit.pull.ids import to_hex
from tracekit.pull.windows import rfc3339

if TYPE_CHECKING:
    from tracekit.pull.backend import Calls, Query
    from tracekit.pull.ledger import Selection
    from tracekit.pull.windows import Period

_LIMIT, _LARGEST_LIMIT = 500, 20_000
_US = 1_000
_TAG = re.compile(r"""\s*([^\s=]+)=("(?:[^"\\]|\\.)*"|\S+)""")
Parameters = list[tuple[str, str]]


class _Span3(Struct):
    """Id and times of a span of v3."""

    trace_id: str = field(name="traceId")
    start: str | int = field(name="startTimeUnixNano", default=0)
    end: str | int = field(name="endTimeUnixNano", default=0)


class _Scope3(Struct):
    """The spans of a scope."""

    spans: list[_Span3] = []


class _Group3(Struct):
    """The spans of a resource."""

    scopes: list[_Scope3] = field(name="scopeSpans", default_factory=list)


class _Result3(Struct):
    """The groups of an answer as bytes."""

    groups: list[Raw] = field(name="resourceSpans", default_factory=list)


class _Answer3(Struct):
    """An answer of v3."""

    result: _Result3


class _Services(Struct):
    """Names of services, of both generations."""

    services: list[str] | None = None
    data: list[str] | None = None


class _Span1(Struct):
    """Times of a span of v1, in microseconds."""

    start: int = field(name="startTime", default=0)
    duration: int = 0


class _Trace1(Struct):
    """A trace of v1."""

    trace_id: str = field(name="traceID")
    spans: list[_Span1] = []


class _Answer1(Struct):
    """An answer of v1, its traces as bytes."""

    data: list[Raw] | None = None
    errors: Any = None


_decoded3 = msgspec.json.Decoder(_Answer3).decode
_decoded_group = msgspec.json.Decoder(_Group3).decode
_decoded1 = msgspec.json.Decoder(_Answer1).decode
_decoded_trace1 = msgspec.json.Decoder(_Trace1).decode
_decoded_services = msgspec.json.Decoder(_Services).decode


class Jaeger:
    """One Jaeger server.

    Parameters
    ----------
    url, query, calls
        As for ``tk.pull``.
    """

    selection: Selection = "unknown"
    unit_ns = 1_000_000
    longest_ns = 3_600 * 10**9
    pad_ns = 0
    noun = "trace"
    batch_size = 16  # one request each: answers of one worker are stored together
    is_whole = True

    def __init__(self, url: str, query: Query, calls: Calls) -> None:
        self._tags = _tags(query.query)
        self._query = query
        self.caller = http_of(url, calls)
        self.server = self.caller.server
        self.cap: int | None = calls.limit or _LIMIT
        self.largest_cap: int | None = max(_LARGEST_LIMIT, self.cap)
        found = self._services3()
        self.version = "API v1" if found is None else "API v3"
        if found is None:
            found = self.caller.get("/api/services", [], _decoded_services)
        assert found is not None, "no status counts as absent"
        self._services = [query.service] if query.service else sorted(set(found.services or found.data or ()))

    def _services3(self) -> _Services | None:
        """Return the services by v3; None of a server without it, which may answer with the page of its UI."""
        try:
            return self.caller.get("/api/v3/services", [], _decoded_services, absent={404})
        except RejectedError as error:
            if error.code != "html":
                raise
            return None

    @property
    def _is_v3(self) -> bool:
        """Whether the server has the stable API."""
        return self.version == "API v3"

    @property
    def clock_offset_s(self) -> float | None:
        """Seconds that the server's clock is ahead."""
        return self.caller.clock_offset_s

    def close(self) -> None:
        """Close the connections."""
        self.caller.close()

    def search(self, period: Period, cap: int | None) -> Found:
        """Return the traces of a window."""
        assert cap is not None, "Jaeger always has a limit"
        path = "/api/v3/traces" if self._is_v3 else "/api/traces"
        hits: dict[tuple[str, int], Hit] = {}
        asked: list[str] = []
        is_full = False
        for service in self._services:
            parameters = (
                self._parameters3(service, period, cap) if self._is_v3 else self._parameters1(service, period, cap)
            )
            asked.append(f"GET {path}?{urlencode(parameters)}")
            found = self._hits(path, parameters)
            is_full = is_full or len({hit.trace_id for hit in found}) >= cap
            hits |= {(hit.trace_id, hash(hit.body)): hit for hit in found}
        return Found("\n".join(asked), list(hits.values()), is_full)

    def _hits(self, path: str, parameters: Parameters) -> list[Hit]:
        """Return the traces of one request."""
        if self._is_v3:
            return self.caller.get(path, parameters, _hits3, absent={404}) or []
        return self.caller.get(path, parameters, _hits1, absent={404}) or []

    def _parameters3(self, service: str, period: Period, cap: int) -> Parameters:
        """Return the parameters of a search by v3."""
        query = self._query
        given = {
            "query.serviceName": service,
            "query.operationName": query.operation,
            "query.attributes": msgspec.json.encode(self._tags).decode() if self._tags else None,
            "query.durationMin": query.min_duration,
            "query.durationMax": query.max_duration,
            "query.startTimeMin": rfc3339(period.start_ns),
            "query.startTimeMax": rfc3339(period.end_ns),
            "query.searchDepth": str(cap),
            "query.rawTraces": "true",
        }
        return [(name, value) for name, value in given.items() if value is not None]

    def _parameters1(self, service: str, period: Period, cap: int) -> Parameters:
        """Return the parameters of a search by v1."""
        query = self._query
        given = {
            "service": service,
            "operation": query.operation,
            "tags": msgspec.json.encode(self._tags).decode() if self._tags else None,
            "minDuration": query.min_duration,
            "maxDuration": query.max_duration,
            "start": str(period.start_ns // _US),
            "end": str(period.end_ns // _US),
            "limit": str(cap),
            "raw": "true",
        }
        return [(name, value) for name, value in given.items() if value is not None]

    def fetch(self, trace_ids: tuple[str, ...]) -> Fetched:
        """Return traces by id."""
        return one_by_one(trace_ids, self._fetch_one)

    def _fetch_one(self, trace_id: str) -> tuple[list[bytes], str]:
        """Return the lines of a trace and its outcome."""
        path = f"/api/v3/traces/{quote(trace_id)}" if self._is_v3 else f"/api/traces/{quote(trace_id)}"
        hits = self._hits(path, [("rawTraces" if self._is_v3 else "raw", "true")])
        return [hit.body for hit in hits], "returned" if hits else "not_found"


def _hits3(body: bytes) -> list[Hit]:
    """Return the traces of an answer of v3; resources that share a trace are one line."""
    groups: dict[str, list[bytes]] = {}
    times: dict[str, tuple[int, int]] = {}
    for raw in _decoded3(body).result.groups:
        spans = [span for scope in _decoded_group(raw).scopes for span in scope.spans]
        ids = list(dict.fromkeys(span.trace_id for span in spans))
        for one in ids:
            own = [span for span in spans if span.trace_id == one] if len(ids) > 1 else spans
            start, end = min(int(span.start) for span in own), max(int(span.end) for span in own)
            low, high = times.get(one, (start, end))
            times[one] = (min(low, start), max(high, end))
            groups.setdefault(one, [])
        if ids:
            groups[ids[0]].append(one_line(raw))
    return [
        Hit(to_hex(one), *times[one], b'{"resourceSpans":[%b]}' % b",".join(parts) if parts else b"")
        for one, parts in groups.items()
    ]


def _hits1(body: bytes) -> list[Hit]:
    """Return the traces of an answer of v1."""
    hits = []
    for raw in _decoded1(body).data or ():
        trace = _decoded_trace1(raw)
        start = min((span.start for span in trace.spans), default=0)
        end = max((span.start + span.duration for span in trace.spans), default=0)
        line = b'{"data":[%b]}' % one_line(raw)
        hits.append(Hit(to_hex(trace.trace_id), start * _US, end * _US, line))
    return hits


def _tags(text: str | None) -> dict[str, str]:
    """Return the attributes of a query ``key=value key2="a b"``."""
    tags: dict[str, str] = {}
    position = 0
    text = (text or "").rstrip()
    while position < len(text):
        found = _TAG.match(text, position)
        if found is None:
            raise ValueError(
                f"expected query as key=value pairs such as http.route=/cart, found {text[position:][:40]!r}"
            )
        value = found[2]
        tags[found[1]] = msgspec.json.decode(value) if value.startswith('"') else value
        position = found.end()
    return tags


KIND = Kind("jaeger", ("service", "operation", "query", "min_duration", "max_duration"), Jaeger, checked_url)
