"""Zipkin v2: the traces nearest to the end of a window first, at most ``limit`` of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Raw, Struct, field

from tracekit.pull.backend import Fetched, Found, Hit, Kind
from tracekit.pull.calls import NoAnswerError, RejectedError
from tracekit.pull.http import checked_url, http_of, one_line
from tracekit.pull.ids import to_hex
from tracekit.pull.windows import duration_ns

if TYPE_CHECKING:
    from tracekit.pull.backend import Calls, Query
    from tracekit.pull.ledger import Selection
    from tracekit.pull.windows import Period

_LIMIT, _LARGEST_LIMIT = 500, 20_000
_MS_NS, _US_NS = 10**6, 10**3


class _Span(Struct):
    """Id and times of a span, in microseconds."""

    trace_id: str = field(name="traceId")
    timestamp: int | None = None
    duration: int | None = None


_decoded_lists = msgspec.json.Decoder(list[list[Raw]]).decode
_decoded_list = msgspec.json.Decoder(list[Raw]).decode
_decoded_span = msgspec.json.Decoder(_Span).decode
_decoded_info = msgspec.json.Decoder(dict[str, Any]).decode


class Zipkin:
    """One Zipkin server.

    Parameters
    ----------
    url, query, calls
        As for ``tk.pull``.
    """

    selection: Selection = "newest"
    unit_ns = _MS_NS
    longest_ns = 24 * 3_600 * 10**9
    pad_ns = 0
    noun = "trace"
    batch_size = 20
    is_whole = True

    def __init__(self, url: str, query: Query, calls: Calls) -> None:
        given = {
            "serviceName": query.service.lower() if query.service else None,
            "spanName": query.operation.lower() if query.operation else None,
            "annotationQuery": query.query,
            "minDuration": _microseconds(query.min_duration),
            "maxDuration": _microseconds(query.max_duration),
        }
        self._parameters = [(name, value) for name, value in given.items() if value is not None]
        self.caller = http_of(url, calls)
        self.server = self.caller.server
        self.cap: int | None = calls.limit or _LIMIT
        self.largest_cap: int | None = max(_LARGEST_LIMIT, self.cap)
        self.version = self._version()

    def _version(self) -> str:
        """Return the version of the server; proxies may not pass on this request."""
        try:
            found = self.caller.get("/info", [], _decoded_info, absent={400, 404, 405})
        except RejectedError as error:
            if error.code in {"tls", "redirect"}:
                raise
            return "unknown"
        except NoAnswerError:
            return "unknown"
        about = (found or {}).get("zipkin")
        return str(about.get("version", "unknown")) if isinstance(about, dict) else "unknown"

    @property
    def clock_offset_s(self) -> float | None:
        """Seconds that the server's clock is ahead."""
        return self.caller.clock_offset_s

    def close(self) -> None:
        """Close the connections."""
        self.caller.close()

    def search(self, period: Period, cap: int | None) -> Found:
        """Return the traces of a window."""
        parameters = [
            *self._parameters,
            ("endTs", str(period.end_ns // _MS_NS)),
            ("lookback", str((period.end_ns - period.start_ns) // _MS_NS)),
            ("limit", str(cap)),
        ]
        hits = self.caller.get("/api/v2/traces", parameters, _hits_of_lists)
        assert hits is not None, "no status counts as absent"
        is_full = cap is not None and len({hit.trace_id for hit in hits}) >= cap
        return Found(f"GET /api/v2/traces?{urlencode(parameters)}", hits, is_full)

    def fetch(self, trace_ids: tuple[str, ...]) -> Fetched:
        """Return traces by id; ``traceMany`` requires at least two."""
        if len(trace_ids) == 1:
            found = self.caller.get(f"/api/v2/trace/{quote(_short(trace_ids[0]))}", [], _hits_of_list, absent={404})
        else:
            found = self.caller.get(
                "/api/v2/traceMany", [("traceIds", ",".join(map(_short, trace_ids)))], _hits_of_lists
            )
        hits = found or []
        came = {hit.trace_id for hit in hits}
        outcomes = {one: "returned" if one in came else "not_found" for one in trace_ids}
        return Fetched([hit.body for hit in hits], outcomes)


def _short(trace_id: str) -> str:
    """Return an id as Zipkin writes it: 16 digits if it has 64 bits."""
    return trace_id.removeprefix("0" * 16)


def _hits_of_lists(body: bytes) -> list[Hit]:
    """Return the traces of a list of lists of spans."""
    return [hit for spans in _decoded_lists(body) for hit in _hit(spans)]


def _hits_of_list(body: bytes) -> list[Hit]:
    """Return the trace of a list of spans."""
    return _hit(_decoded_list(body))


def _hit(spans: list[Raw]) -> list[Hit]:
    """Return a trace, or nothing for an empty list."""
    if not spans:
        return []
    heads = [_decoded_span(raw) for raw in spans]
    body = one_line(b"[%b]" % b",".join(map(bytes, spans)))
    timed = [head for head in heads if head.timestamp]
    trace_id = to_hex(heads[0].trace_id)
    if not timed:
        return [Hit(trace_id, body=body)]
    start = min(head.timestamp or 0 for head in timed)
    end = max((head.timestamp or 0) + (head.duration or 0) for head in timed)
    return [Hit(trace_id, start * _US_NS, end * _US_NS, body)]


def _microseconds(duration: str | None) -> str | None:
    """Return a duration such as ``250ms`` in microseconds, as text."""
    found = duration_ns(duration)
    return None if found is None else str(found // _US_NS)


KIND = Kind("zipkin", ("service", "operation", "query", "min_duration", "max_duration"), Zipkin, checked_url)
