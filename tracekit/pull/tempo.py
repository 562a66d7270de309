"""Grafana Tempo: TraceQL search, then every trace by id.

Tempo returns the first traces that its parallel search finds: a search that is cut at its limit has neither the newest
traces nor a random sample.  Traces above the server's size limit arrive as ``PARTIAL`` and are kept as such.
``span_pruning=false`` is always sent: a server may collapse similar spans by default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct, field

from tracekit.pull.backend import Fetched, Found, Hit, Kind, one_by_one
from tracekit.pull.calls import NoAnswerError, RejectedError
from tracekit.pull.http import checked_url, http_of, one_line
from tracekit.pull.ids import to_hex

if TYPE_CHECKING:
    from tracekit.pull.backend import Calls, Query
    from tracekit.pull.ledger import Selection
    from tracekit.pull.windows import Period

_LIMIT, _LARGEST_LIMIT = 1_000, 100_000  # servers refuse more than 262,144 by default
_SECOND_NS, _MS_NS = 10**9, 10**6
_PAD_NS = 3_600 * _SECOND_NS  # around the times of a trace: a window that is too tight cuts traces


class _Summary(Struct):
    """A trace that a search found."""

    trace_id: str = field(name="traceID")
    start: str | int = field(name="startTimeUnixNano", default=0)
    duration_ms: int = field(name="durationMs", default=0)


class _Search(Struct):
    """An answer of the search."""

    traces: list[_Summary] | None = None


class _Build(Struct):
    """The version of a server."""

    version: str = "unknown"


class _Trace(Struct):
    """A trace as bytes, and whether it is complete."""

    trace: msgspec.Raw = msgspec.Raw(b"")
    status: str | int | None = None
    body: bytes = b""


_decoded_search = msgspec.json.Decoder(_Search).decode
_decoded_build = msgspec.json.Decoder(_Build).decode
_decoded_trace = msgspec.json.Decoder(_Trace).decode


class Tempo:
    """One Tempo server.

    Parameters
    ----------
    url, query, calls
        As for ``tk.pull``.
    """

    unit_ns = _SECOND_NS
    longest_ns = 24 * 3_600 * _SECOND_NS  # servers refuse more than 168 h by default
    pad_ns = 0
    noun = "trace"
    batch_size = 16  # one request each: answers of one worker are stored together
    is_whole = False

    def __init__(self, url: str, query: Query, calls: Calls) -> None:
        self._traceql = _traceql(query)
        self.selection: Selection = "newest" if "most_recent=true" in self._traceql.replace(" ", "") else "first_found"
        self.caller = http_of(url, calls)
        self.server = self.caller.server
        self.cap: int | None = calls.limit or _LIMIT
        self.largest_cap: int | None = max(_LARGEST_LIMIT, self.cap)
        self._times: dict[str, tuple[int, int]] = {}
        self.version = self._version()

    def _version(self) -> str:
        """Return the version of the server; proxies may not pass on this request."""
        try:
            found = self.caller.get("/api/status/buildinfo", [], _decoded_build, absent={400, 404, 405})
        except RejectedError as error:
            if error.code in {"tls", "redirect"}:
                raise
            return "unknown"
        except NoAnswerError:
            return "unknown"
        return "unknown" if found is None else found.version

    @property
    def clock_offset_s(self) -> float | None:
        """Seconds that the server's clock is ahead."""
        return self.caller.clock_offset_s

    def close(self) -> None:
        """Close the connections."""
        self.caller.close()

    def search(self, period: Period, cap: int | None) -> Found:
        """Return the ids of the traces of a window."""
        parameters = [
            ("q", self._traceql),
            ("start", str(period.start_ns // _SECOND_NS)),
            ("end", str(period.end_ns // _SECOND_NS)),
            ("limit", str(cap)),
            ("spss", "1"),
        ]
        found = self.caller.get("/api/search", parameters, _decoded_search)
        assert found is not None, "no status counts as absent"
        hits = []
        for summary in found.traces or ():
            start = int(summary.start)
            hit = Hit(to_hex(summary.trace_id), start, start + summary.duration_ms * _MS_NS)
            hits.append(hit if start else Hit(hit.trace_id))
            if start:
                self._times[hit.trace_id] = (start, start + summary.duration_ms * _MS_NS)
        is_full = cap is not None and len({hit.trace_id for hit in hits}) >= cap
        return Found(f"GET /api/search?{urlencode(parameters)}", hits, is_full)

    def fetch(self, trace_ids: tuple[str, ...]) -> Fetched:
        """Return traces by id."""
        return one_by_one(trace_ids, self._fetch_one)

    def _fetch_one(self, trace_id: str) -> tuple[list[bytes], str]:
        """Return the line of a trace and its outcome."""
        parameters = [("span_pruning", "false")]
        if times := self._times.get(trace_id):
            low, high = times[0] - _PAD_NS, times[1] + _PAD_NS
            parameters += [("start", str(low // _SECOND_NS)), ("end", str(-(-high // _SECOND_NS)))]
        found = self.caller.get(f"/api/v2/traces/{quote(trace_id)}", parameters, _with_body, absent={404})
        if found is None or bytes(found.trace) in {b"", b"null", b"{}"}:
            return [], "not_found"
        return [found.body], "partial" if found.status in {"PARTIAL", 1} else "returned"


def _with_body(body: bytes) -> _Trace:
    """Return a trace with the line to store."""
    found = _decoded_trace(body)
    found.body = one_line(body)
    return found


def _traceql(query: Query) -> str:
    """Return the TraceQL query: the user's, or one from service, operation and durations."""
    parts = []
    if query.service:
        parts.append(f"resource.service.name = {_quoted(query.service)}")
    if query.operation:
        parts.append(f"name = {_quoted(query.operation)}")
    parts += [f"duration >= {query.min_duration}"] if query.min_duration else []
    parts += [f"duration <= {query.max_duration}"] if query.max_duration else []
    if query.query and parts:
        message = "expected query or service, operation and durations, found both; write all conditions into the query"
        raise ValueError(f"{message}: {{ {' && '.join(parts)} }}")
    return query.query or f"{{ {' && '.join(parts)} }}".replace("{  }", "{}")


def _quoted(text: str) -> str:
    """Return a text as a string of TraceQL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


KIND = Kind("tempo", ("service", "operation", "query", "min_duration", "max_duration"), Tempo, checked_url)
