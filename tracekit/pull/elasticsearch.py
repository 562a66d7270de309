"""Elasticsearch and OpenSearch indices that Jaeger writes (``jaeger-span-*``), one document a span.

A search enumerates trace ids with a composite aggregation, page by page, so no limit cuts it.  Spans are read by trace
id at a point in time, in pages with ``search_after``.  An answer with failed shards or a time-out is not used.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct, field

from tracekit.errors import PullError
from tracekit.pull.backend import Fetched, Found, Hit, Kind
from tracekit.pull.calls import RejectedError, StoppedError
from tracekit.pull.http import checked_url, http_of, one_line
from tracekit.pull.ids import to_hex
from tracekit.pull.windows import duration_ns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.pull.backend import Calls, Query
    from tracekit.pull.ledger import Selection
    from tracekit.pull.windows import Period

_INDEX = "*jaeger-span-*,-*jaeger-span-archive*"
_PAGE = 10_000  # index.max_result_window, and search.max_buckets allows more
_MS_NS, _US_NS = 10**6, 10**3
_PAD_MS = 3_600_000
_KEEP_ALIVE = "5m"
_EXPIRED = "404"


class _Version(Struct):
    """The version of a server."""

    number: str = "unknown"
    distribution: str = "elasticsearch"


class _About(Struct):
    """The answer of the base URL."""

    version: _Version


class _Shards(Struct):
    """How many shards answered."""

    total: int = 0
    failed: int = 0


class _Number(Struct):
    """A metric of a bucket."""

    value: float | None = None


class _Bucket(Struct):
    """The spans of one trace."""

    key: dict[str, str]
    first: _Number
    last: _Number


class _Traces(Struct, frozen=True):
    """A page of the aggregation."""

    buckets: list[_Bucket] = []
    after_key: dict[str, str] | None = None


class _Aggregations(Struct, frozen=True):
    """The aggregations of an answer; none if no index matches."""

    traces: _Traces = _Traces()


class _Counted(Struct):
    """An answer with trace ids."""

    shards: _Shards = field(name="_shards")
    timed_out: bool
    aggregations: _Aggregations = _Aggregations()


class _Id(Struct):
    """The trace id of a document."""

    trace_id: str = field(name="traceID")


class _Document(Struct):
    """A document, and its place in the order."""

    source: Raw = field(name="_source")
    sort: list[Any]


class _Documents(Struct):
    """The documents of an answer."""

    hits: list[_Document] = []


class _Spans(Struct):
    """An answer with spans."""

    shards: _Shards = field(name="_shards")
    timed_out: bool
    hits: _Documents


_decoded_about = msgspec.json.Decoder(_About).decode
_decoded_id = msgspec.json.Decoder(_Id).decode
_counted = msgspec.json.Decoder(_Counted).decode
_spans = msgspec.json.Decoder(_Spans).decode
_decoded_object = msgspec.json.Decoder(dict[str, Any]).decode


class Elasticsearch:
    """The indices of one Jaeger.

    Parameters
    ----------
    url
        Base URL; a last part with ``jaeger-span`` in it names the indices (default: all of them, without archives).
    query, calls
        As for ``tk.pull``; ``query`` is a query string of Lucene about one span.
    """

    selection: Selection = "all"
    cap: int | None = None
    largest_cap: int | None = None
    unit_ns = _MS_NS
    longest_ns = 24 * 3_600 * 10**9
    pad_ns = 0
    noun = "trace"
    batch_size = 50
    is_whole = False

    def __init__(self, url: str, query: Query, calls: Calls) -> None:
        if calls.limit is not None:
            raise ValueError(
                "expected no limit for elasticsearch, which returns all traces of a window, found one; omit it"
            )
        base, _, last = url.rstrip("/").rpartition("/")
        is_named = "jaeger-span" in last
        self._index = quote(last if is_named else _INDEX, safe="*,-%")
        self._conditions = _conditions(query)
        self.caller = http_of(base if is_named else url, calls)
        self.server = self.caller.server
        about = self.caller.get("/", [], _decoded_about)
        assert about is not None, "no status counts as absent"
        self._is_opensearch = about.version.distribution == "opensearch"
        self.version = f"{about.version.distribution} {about.version.number}"
        self._known: dict[str, tuple[str, int, int]] = {}  # the id as it is stored, first and last start in ms
        self._point = ""

    @property
    def clock_offset_s(self) -> float | None:
        """Seconds that the server's clock is ahead."""
        return self.caller.clock_offset_s

    def close(self) -> None:
        """Close the connections, and the point in time; where that fails, it expires after some minutes."""
        if self._point:
            with suppress(PullError, StoppedError):
                self._close_point()
        self.caller.close()

    def search(self, period: Period, cap: int | None) -> Found:  # noqa: ARG002 - pages have no limit
        """Return the ids of the traces with a matching span that begins in a window."""
        window = {"gte": period.start_ns // _MS_NS, "lt": period.end_ns // _MS_NS, "format": "epoch_millis"}
        conditions = [{"range": {"startTimeMillis": window}}, *self._conditions]
        hits: list[Hit] = []
        for bucket in self._buckets({"bool": {"filter": conditions}}):
            stored = bucket.key["id"]
            low, high = int(bucket.first.value or 0), int(bucket.last.value or 0)
            hit = Hit(to_hex(stored), low * _US_NS, high * _US_NS)
            hits.append(hit)
            self._known[hit.trace_id] = stored, low // 1_000, high // 1_000
        asked = msgspec.json.encode(conditions).decode()
        return Found(
            f"POST /{self._index}/_search composite aggregation of traceID, filter {asked}", hits, is_full=False
        )

    def _buckets(self, query: dict[str, Any]) -> Iterator[_Bucket]:
        """Yield every trace of a query."""
        after: dict[str, str] | None = None
        while True:
            sources = {"size": _PAGE, "sources": [{"id": {"terms": {"field": "traceID"}}}]}
            traces = {
                "composite": sources | ({"after": after} if after else {}),
                "aggs": {"first": {"min": {"field": "startTime"}}, "last": {"max": {"field": "startTime"}}},
            }
            body = {"size": 0, "track_total_hits": False, "query": query, "aggs": {"traces": traces}}
            found = self.caller.get(f"/{self._index}/_search", _LENIENT, _whole_counted, body=body)
            assert found is not None, "no status counts as absent"
            page = found.aggregations.traces
            yield from page.buckets
            if page.after_key is None or not page.buckets:
                return
            if page.after_key == after:
                raise PullError(
                    f"expected the next page from {self.server}, found the same one; check proxies and caches"
                )
            after = page.after_key

    # ---------------------------------------------------------------- spans

    def fetch(self, trace_ids: tuple[str, ...]) -> Fetched:
        """Return traces by id, each as a list of documents."""
        try:
            found = self._documents(trace_ids)
        except RejectedError as error:
            if error.code != _EXPIRED:
                raise
            self._point = ""  # it expired
            found = self._documents(trace_ids)
        spans: dict[str, list[bytes]] = {}
        for raw in found:
            spans.setdefault(to_hex(_decoded_id(raw).trace_id), []).append(one_line(raw))
        outcomes = {one: "returned" if one in spans else "not_found" for one in trace_ids}
        return Fetched([b"[%b]" % b",".join(spans[one]) for one in trace_ids if one in spans], outcomes)

    def _documents(self, trace_ids: tuple[str, ...]) -> list[Raw]:
        """Return all documents of traces, page by page."""
        self._point = self._point or self._opened()
        body = {
            "size": _PAGE,
            "track_total_hits": False,
            "query": {"bool": {"filter": self._of(trace_ids)}},
            "pit": {"id": self._point, "keep_alive": _KEEP_ALIVE},
            "sort": [{"traceID": "asc"}, {"startTime": "asc"}, {"spanID": "asc"}, "_shard_doc"],
        }
        found: list[Raw] = []
        while True:
            page = self.caller.get("/_search", [], _whole_spans, body=body)
            assert page is not None, "no status counts as absent"
            found += [one.source for one in page.hits.hits]
            if len(page.hits.hits) < _PAGE:
                return found
            body["search_after"] = page.hits.hits[-1].sort

    def _of(self, trace_ids: tuple[str, ...]) -> list[dict[str, Any]]:
        """Return the conditions for traces: their ids, and their times if they are known."""
        known = [self._known.get(one, (one, 0, 0)) for one in trace_ids]
        texts = {form for text, *_ in known for form in (text, text.removeprefix("0" * 16))}
        conditions: list[dict[str, Any]] = [{"terms": {"traceID": sorted(texts)}}]
        if all(low for _, low, _ in known):
            low, high = min(low for _, low, _ in known) - _PAD_MS, max(high for *_, high in known) + _PAD_MS
            conditions.append({"range": {"startTimeMillis": {"gte": low, "lte": high, "format": "epoch_millis"}}})
        return conditions

    def _opened(self) -> str:
        """Return a new point in time."""
        path, name = ("_search/point_in_time", "pit_id") if self._is_opensearch else ("_pit", "id")
        parameters = [("keep_alive", _KEEP_ALIVE), *_LENIENT]
        found = self.caller.get(f"/{self._index}/{path}", parameters, _decoded_object, method="POST")
        point = (found or {}).get(name)
        if not isinstance(point, str):
            raise PullError(f"expected a point in time from {self.server}, found {str(found)[:200]}; check its version")
        return point

    def _close_point(self) -> None:
        """Close the point in time; one that has expired is closed already."""
        if self._is_opensearch:
            path, body = "/_search/point_in_time", {"pit_id": [self._point]}
        else:
            path, body = "/_pit", {"id": self._point}  # type: ignore[dict-item]
        self.caller.get(path, [], _decoded_object, body=body, method="DELETE", absent={404})


_LENIENT = [("ignore_unavailable", "true")]


def _whole_counted(body: bytes) -> _Counted:
    """Return an answer of all shards."""
    found = _counted(body)
    _check(found)
    return found


def _whole_spans(body: bytes) -> _Spans:
    """Return an answer of all shards."""
    found = _spans(body)
    _check(found)
    return found


def _check(found: _Counted | _Spans) -> None:
    """Raise msgspec.DecodeError, after which the request is repeated, for an answer that is not complete."""
    if found.timed_out or found.shards.failed:
        why = "a time-out" if found.timed_out else f"{found.shards.failed} of {found.shards.total} shards failed"
        raise msgspec.DecodeError(f"a partial answer: {why}")


def _conditions(query: Query) -> list[dict[str, Any]]:
    """Return the conditions on one span."""
    found: list[dict[str, Any]] = []
    if query.service:
        found.append({"term": {"process.serviceName": query.service}})
    if query.operation:
        found.append({"term": {"operationName": query.operation}})
    limits = {"gte": duration_ns(query.min_duration), "lte": duration_ns(query.max_duration)}
    if given := {name: value // _US_NS for name, value in limits.items() if value is not None}:
        found.append({"range": {"duration": given}})
    if query.query:
        found.append({"query_string": {"query": query.query}})
    return found


KIND = Kind(
    "elasticsearch",
    ("service", "operation", "query", "min_duration", "max_duration"),
    Elasticsearch,
    checked_url,
)
