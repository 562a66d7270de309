"""ClickHouse over HTTP: spans that the collector's exporter (``otel_traces``) or SigNoz wrote, as Arrow.

Requests are GET, which ClickHouse executes read-only, and ``wait_end_of_query`` makes an error a status instead of a
text inside the answer.  Limits of the server that would cut an answer without a word are set to raise an error.  What a
condition contains is sent as a parameter; only ``query`` is SQL, a condition on spans.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Struct

from tracekit.errors import PullError
from tracekit.loading.tables.stored import TableError, distinct_texts
from tracekit.pull.backend import Fetched, Found, Hit, Kind
from tracekit.pull.calls import RejectedError
from tracekit.pull.http import checked_url, http_of
from tracekit.pull.ids import to_hex
from tracekit.pull.windows import duration_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracekit.pull.backend import Calls, Query
    from tracekit.pull.ledger import Selection
    from tracekit.pull.windows import Period

_LIMIT = 100_000  # traces per search
_PAD_NS = 3_600 * 10**9  # spans of a trace may begin before and after those that match
_SETTINGS = (
    ("wait_end_of_query", "1"),
    *((f"{what}_overflow_mode", "throw") for what in ("result", "read", "group_by", "sort", "set", "timeout")),
)
_ARROW = (("output_format_arrow_string_as_string", "1"), ("output_format_arrow_low_cardinality_as_dictionary", "0"))
_NO_SUCH_TABLE = "expected a table otel_traces of the collector's exporter or signoz_index_v3 of SigNoz"


class _Names(NamedTuple):
    """The columns of a layout that conditions use; ``bucket`` is a second time, in seconds, and how much earlier."""

    trace_id: str
    start: str
    name: str
    duration_ns: str
    service: str
    bucket: tuple[str, int] | None = None


_EXPORTER = _Names("TraceId", "Timestamp", "SpanName", "Duration", "ServiceName")
_SIGNOZ = _Names(
    "trace_id",
    "timestamp",
    "name",
    "duration_nano",
    "resources_string['service.name']",
    ("ts_bucket_start", 1_800),
)
_TABLES = {"otel_traces": _EXPORTER, "distributed_signoz_index_v3": _SIGNOZ, "signoz_index_v3": _SIGNOZ}


class _Rows(Struct):
    """An answer in the format JSONCompact."""

    data: list[list[Any]]


_decoded_rows = msgspec.json.Decoder(_Rows).decode


class ClickHouse:
    """One table of spans.

    Parameters
    ----------
    url, query, calls
        As for ``tk.pull``; ``query`` is a condition on spans in SQL.

    Raises
    ------
    PullError
        No table of a known layout, or several of them in different databases.
    """

    selection: Selection = "first_found"  # in the order of their ids
    unit_ns = 1
    longest_ns = 24 * 3_600 * 10**9
    pad_ns = 0
    noun = "trace"
    batch_size = 100
    is_whole = False

    def __init__(self, url: str, query: Query, calls: Calls) -> None:
        asked = [
            ("service", query.service),
            ("name", query.operation),
            ("shortest", duration_ns(query.min_duration)),
            ("longest", duration_ns(query.max_duration)),
        ]
        self._given = {name: value for name, value in asked if value is not None}
        self._condition = query.query
        self.caller = http_of(url, calls)
        self.server = self.caller.server
        self.cap: int | None = calls.limit or _LIMIT
        self.largest_cap: int | None = max(10 * _LIMIT, self.cap)
        self._known: dict[str, tuple[str, int, int]] = {}  # as it is stored, first and last start
        self.version, self._table, self._names = self._found_table()
        self._columns = self._selected()

    @property
    def clock_offset_s(self) -> float | None:
        """Seconds that the server's clock is ahead."""
        return self.caller.clock_offset_s

    def close(self) -> None:
        """Close the connections."""
        self.caller.close()

    def search(self, period: Period, cap: int | None) -> Found:
        """Return the ids of the traces with a matching span that begins in a window."""
        names = self._names
        parameters = {"start": period.start_ns, "end": period.end_ns, **self._given}
        nanos = "toUnixTimestamp64Nano"
        sql = (
            f"SELECT {names.trace_id}, {nanos}(min({names.start})), {nanos}(max({names.start})) FROM {self._table} "  # noqa: S608 - names of the server and of this file
            f"WHERE {' AND '.join(self._conditions(period))} GROUP BY {names.trace_id} ORDER BY {names.trace_id} "
            f"LIMIT {cap:d} FORMAT JSONCompact"
        )
        found = self._ask(sql, parameters, _decoded_rows)
        hits = []
        for trace_id, low, high in found.data:
            hit = Hit(to_hex(trace_id), int(low), int(high))
            hits.append(hit)
            self._known[hit.trace_id] = trace_id, int(low), int(high)
        values = ", ".join(f"{name}={value}" for name, value in parameters.items())
        return Found(f"{sql} ({values})", hits, is_full=cap is not None and len(hits) >= cap)

    def fetch(self, trace_ids: tuple[str, ...]) -> Fetched:
        """Return traces by id, as one Arrow stream."""
        names, conditions = self._names, [f"{self._names.trace_id} IN ({{ids:Array(String)}})"]
        known = [self._known.get(one, (one, 0, 0)) for one in trace_ids]
        parameters: dict[str, Any] = {"ids": _array([text for text, *_ in known])}
        if all(low for _, low, _ in known):
            low, high = min(low for _, low, _ in known) - _PAD_NS, max(high for *_, high in known) + _PAD_NS
            parameters |= {"start": low, "end": high}
            conditions += self._between(low)
        sql = (
            f"SELECT {self._columns} FROM {self._table} WHERE {' AND '.join(conditions)} "  # noqa: S608 - as above
            f"ORDER BY {names.trace_id}, {names.start} FORMAT ArrowStream"
        )
        content, came = self._ask(sql, parameters, self._arrow, _ARROW)
        outcomes = {one: "returned" if one in came else "not_found" for one in trace_ids}
        name = hashlib.sha256(" ".join(trace_ids).encode()).hexdigest()
        return Fetched([], outcomes, {name: content} if came else {})

    def _arrow(self, body: bytes) -> tuple[bytes, set[str]]:
        """Return an Arrow stream and the trace ids in it; msgspec.DecodeError for one that is not complete."""
        try:
            came = distinct_texts(body, self._names.trace_id)
        except TableError as error:
            raise msgspec.DecodeError(str(error)) from None
        return body, set(map(to_hex, came))

    # ---------------------------------------------------------------- SQL

    def _conditions(self, period: Period) -> list[str]:
        """Return the conditions of a search."""
        names = self._names
        texts = {
            "service": f"{names.service} = {{service:String}}",
            "name": f"{names.name} = {{name:String}}",
            "shortest": f"{names.duration_ns} >= {{shortest:UInt64}}",
            "longest": f"{names.duration_ns} <= {{longest:UInt64}}",
        }
        own = [f"({self._condition})"] if self._condition else []
        known = [f"{names.trace_id} != ''", *self._between(period.start_ns)]
        return [*known, *(texts[name] for name in self._given), *own]

    def _between(self, start_ns: int) -> list[str]:
        """Return the conditions on time, from ``start`` on and before ``end``."""
        at, moment = self._names.start, "fromUnixTimestamp64Nano"
        found = [f"{at} >= {moment}({{start:Int64}})", f"{at} < {moment}({{end:Int64}})"]
        if self._names.bucket:
            column, before_s = self._names.bucket
            found.append(f"{column} >= {start_ns // 10**9 - before_s:d}")
        return found

    def _ask(
        self,
        sql: str,
        parameters: dict[str, Any],
        decode: Callable[[bytes], Any],
        settings: tuple[tuple[str, str], ...] = (),
    ) -> Any:
        """Return the decoded answer to a statement with these parameters."""
        sent = [(f"param_{name}", _escaped(value)) for name, value in parameters.items()]
        try:
            return self.caller.get("/", [("query", sql), *sent, *_SETTINGS, *settings], decode)
        except RejectedError as error:
            if "readonly mode" not in error.reason and "SETTING_CONSTRAINT" not in error.reason:
                raise
            wanted = ", ".join(name for name, _ in (*_SETTINGS, *settings))
            message = f"expected a user of {self.server} that may set {wanted}, found: {error.reason}"
            raise PullError(f"{message}; use a user with readonly = 2, not 1") from error

    def _found_table(self) -> tuple[str, str, _Names]:
        """Return the server's version, the table of spans and its layout."""
        sql = (
            "SELECT version(), database, name, database = currentDatabase() FROM system.tables "
            "WHERE name IN ({names:Array(String)}) FORMAT JSONCompact"
        )
        rows = self._ask(sql, {"names": _array(_TABLES)}, _decoded_rows).data
        rows = [row for row in rows if row[3]] or rows
        first = next((name for name in _TABLES if any(row[2] == name for row in rows)), "")
        databases = [row[1] for row in rows if row[2] == first]
        if not databases:
            raise PullError(f"{_NO_SUCH_TABLE} on {self.server}, found none that this user can see; check its rights")
        if len(databases) > 1:
            message = f"expected one table {first} on {self.server}, found it in {', '.join(sorted(databases))}"
            raise PullError(f"{message}; choose one by the header X-ClickHouse-Database (credentials=)")
        self._database, self._table_name = databases[0], first
        return str(rows[0][0]), f"{_quoted(databases[0])}.{_quoted(first)}", _TABLES[first]

    def _selected(self) -> str:
        """Return the columns to select; those of the type JSON as text, which Arrow has."""
        sql = (
            "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String} "
            "AND default_kind NOT IN ('ALIAS', 'MATERIALIZED', 'EPHEMERAL') ORDER BY position FORMAT JSONCompact"
        )
        rows = self._ask(sql, {"database": self._database, "table": self._table_name}, _decoded_rows).data
        missing = {self._names.trace_id, self._names.start, self._names.name} - {name for name, _ in rows}
        if missing:
            message = f"expected the columns {', '.join(sorted(missing))} in {self._table}"
            raise PullError(f"{message}, found {', '.join(name for name, _ in rows)[:200]}; check its layout")
        return ", ".join(
            f"toJSONString({_quoted(name)}) AS {_quoted(name)}" if kind.startswith("JSON") else _quoted(name)
            for name, kind in rows
        )


def _quoted(name: str) -> str:
    """Return an identifier of SQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _escaped(value: Any) -> str:
    """Return a parameter as ClickHouse reads it from the URL: tab-separated text."""
    text = str(value)
    for letter, escape in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(letter, escape)
    return text


def _array(texts: Iterable[str]) -> str:
    """Return texts as an array of strings."""
    quoted = (one.replace("\\", "\\\\").replace("'", "\\'") for one in texts)
    return "[" + ",".join(f"'{one}'" for one in quoted) + "]"


KIND = Kind("clickhouse", ("service", "operation", "query", "min_duration", "max_duration"), ClickHouse, checked_url)
