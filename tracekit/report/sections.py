"""The tables and pictures of the page: results in, words and marks out; nothing is computed that a result holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.report.tables import Cell, Column, Table, count_cell, share_cell, time_cell
from tracekit.views.latency import latency_picture, strip_picture
from tracekit.views.service_graph import FAILING
from tracekit.views.text import clean, count, duration, moment, plural, size

if TYPE_CHECKING:
    from tracekit.report.overview import Overview
    from tracekit.views.colours import Colours
    from tracekit.views.markup import Markup

MOST_ROWS: Final = 400
_RANKS: Final = {"error": 0, "warn": 1, "info": 2}
_OPERATION_LIMIT: Final = 160


def _number(words: str, note: str = "", *, is_sorted: bool = False) -> Column:
    """Return the head of a column of numbers."""
    return Column(words, is_number=True, is_sorted=is_sorted, note=note)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the first rows as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.head(MOST_ROWS).to_dict("records")]


def _cut(total: int, what: str) -> str:
    """Return the sentence that says that rows were left out."""
    return f"The first {count(MOST_ROWS)} of {count(total)} {what}." if total > MOST_ROWS else ""


def _service_cell(name: object, colours: Colours, *, inferred: bool = False) -> Cell:
    """Return a service with its swatch."""
    text = clean(name, limit=_OPERATION_LIMIT)
    return Cell(f"{text} (inferred)" if inferred else text, text, slot=None if inferred else colours.slot(str(name)))


def _name_cell(name: object) -> Cell:
    """Return the name of an operation."""
    text = clean(name, limit=_OPERATION_LIMIT)
    return Cell(text, text, "wide")


# ---------------------------------------------------------------- what was read


def sources_table(seen: Overview, names: list[str]) -> Table:
    """Return what was read: one row a source.

    Parameters
    ----------
    seen
        Traces and results.
    names
        Of the sources, as they are shown.

    Returns
    -------
    Table
        Spans seen = used + merged + not usable, for every source.
    """
    columns = (
        Column("source"), Column("format"), _number("size"), _number("records"),
        _number("spans seen", "used + merged + not usable"), _number("used"),
        _number("merged", "copies of a span folded into it"), _number("not usable", "quarantined; see the issues"),
        Column("read"),
    )  # fmt: skip
    rows = []
    for name, row in zip(names, _records(seen.traces.sources), strict=False):
        bytes_ = None if row["byte_count"] is None else float(row["byte_count"])
        lost = int(row["quarantined_count"])
        rows.append(
            (
                Cell(name, name, "wide"),
                Cell(clean(row["format"]), clean(row["format"])),
                Cell(size(bytes_), bytes_),
                count_cell(row["record_count"]),
                count_cell(row["span_count"]),
                count_cell(row["accepted_count"]),
                count_cell(row["merged_count"], "" if row["merged_count"] else "mute"),
                count_cell(lost, "bad" if lost else "mute"),
                Cell("to the end", "") if row["complete"] else Cell(f"in part: {clean(row['stop_reason'])}", "", "bad"),
            )
        )
    return Table("What was read", columns, rows, note=_cut(len(seen.traces.sources), "sources"))


def issues_table(seen: Overview, names: list[str]) -> Table:
    """Return what was wrong with the sources: one row a code and action, with an example.

    Parameters
    ----------
    seen
        Traces and results.
    names
        Of the sources, as they are shown.

    Returns
    -------
    Table
        Severest first, then the most frequent.
    """
    columns = (
        Column("severity"), Column("issue"), _number("cases"), Column("done"), Column("example"), Column("where"),
    )  # fmt: skip
    issues = seen.traces.issues
    rows = []
    if len(issues):
        plain = issues.astype({"code": str, "severity": str, "action": str})
        keys = ["severity", "code", "action"]
        total = plain.groupby(keys)["issue_count"].transform("sum")
        first = plain.assign(issue_count=total, rank=plain["severity"].map(_RANKS)).drop_duplicates(keys)
        for row in _records(first.sort_values(["rank", "issue_count"], ascending=[True, False], kind="stable")):
            where = _where(row, names)
            rows.append(
                (
                    Cell(row["severity"], int(row["rank"]), "bad" if row["severity"] == "error" else ""),
                    Cell(row["code"], row["code"], "code"),
                    count_cell(row["issue_count"]),
                    Cell(row["action"], row["action"]),
                    Cell(clean(row["message"], limit=400), clean(row["message"], limit=400), "wide"),
                    Cell(where, where, "mute"),
                )
            )
    return Table("Issues of the sources, by code", columns, rows)


def _where(issue: dict[str, Any], names: list[str]) -> str:
    """Return where an issue was found."""
    source = int(issue["source_id"])
    name = names[source] if 0 <= source < len(names) else ""
    return name if pd.isna(issue["record_number"]) else f"{name}, record {count(issue['record_number'])}"


# ---------------------------------------------------------------- services and operations


def services_table(seen: Overview, colours: Colours) -> Table:
    """Return one row a service or inferred peer.

    Parameters
    ----------
    seen
        Traces and results.
    colours
        Slots of services.

    Returns
    -------
    Table
        Most requests first.
    """
    columns = (
        Column("service"), _number("requests", "calls that arrived, and roots", is_sorted=True), _number("failed"),
        _number("p50"), _number("p95"), _number("p99"),
        _number("own time", "share of all time in which no child was at work"), _number("spans"), _number("traces"),
    )  # fmt: skip
    total = float(seen.graph.services["self_time_ns"].sum())
    rows = []
    for row in _records(seen.graph.services):
        inferred = bool(row["is_inferred"])
        own = Cell("–", None, "mute") if inferred or not total else share_cell(float(row["self_time_ns"]) / total)  # noqa: RUF001 - no figure
        rows.append(
            (
                _service_cell(row["service_name"], colours, inferred=inferred),
                count_cell(row["request_count"]),
                share_cell(row["error_ratio"], bad_from=FAILING),
                *(time_cell(row[f"{name}_ns"]) for name in ("p50", "p95", "p99")),
                own,
                count_cell(row["span_count"]),
                count_cell(row["trace_count"]),
            )
        )
    return Table("Services", columns, rows, note=_cut(len(seen.graph.services), "services"))


def operations_table(seen: Overview, colours: Colours) -> Table:
    """Return one row a service and operation.

    Parameters
    ----------
    seen
        Traces and results.
    colours
        Slots of services.

    Returns
    -------
    Table
        Those with most spans first; p95 with its 95 % limits, and a line from p50 over p95 to p99.
    """
    columns = (
        Column("service"), Column("operation"), _number("spans", is_sorted=True), _number("failed"), _number("p50"),
        _number("p95"), Column("95 % limits of p95"), _number("p99"),
        _number("spread", "p99 / p50; the line runs from p50 over p95 to p99"),
    )  # fmt: skip
    table = seen.operations.table
    low, high = float(table["p50_ns"].min()), float(table["p99_ns"].max())
    rows = [
        (
            _service_cell(row["service_name"], colours),
            _name_cell(row["operation"]),
            count_cell(row["span_count"]),
            share_cell(row["error_ratio"], bad_from=FAILING),
            time_cell(row["p50_ns"]),
            time_cell(row["p95_ns"]),
            _limits_cell(row["p95_low_ns"], row["p95_high_ns"]),
            time_cell(row["p99_ns"]),
            Cell(
                strip_picture(row, low, high, slot=colours.slot(str(row["service_name"]))),
                row["p99_ns"] / max(row["p50_ns"], 1.0),
            ),
        )
        for row in _records(table)
    ]
    excluded = int(table["excluded_count"].sum()) if len(table) else 0
    note = f"{plural(excluded, 'span')} without a usable start and end left out of the times." if excluded else ""
    return Table("Operations", columns, rows, note=f"{_cut(len(table), 'operations')} {note}".strip())


def _limits_cell(low: float, high: float) -> Cell:
    """Return an interval in words."""
    if np.isnan(low) and np.isnan(high):
        return Cell("too few traces", None, "mute")
    words = f"above {duration(low)}" if np.isnan(high) else f"{duration(low)} to {duration(high)}"
    return Cell(words, None, "mute")


# ---------------------------------------------------------------- latency


def latency_pictures(seen: Overview) -> list[tuple[str, str, Markup]]:
    """Return the distributions: all requests, then those of the four slowest kinds.

    Parameters
    ----------
    seen
        Traces and results.

    Returns
    -------
    list
        (title, subtitle, picture).
    """
    if seen.requests.table.empty or not seen.requests.table["span_count"].iloc[0]:
        return []
    whole = seen.requests.table.iloc[0]
    out = [
        (
            "All requests",
            f"root spans of {plural(whole['span_count'], 'trace')}",
            latency_picture(seen.requests.histogram, _marks(whole), width=1000, height=200, subject="All requests"),
        )
    ]
    cells = seen.entries.histogram
    if len(seen.slowest_entries) < 2:  # noqa: PLR2004 - one kind is all requests
        return out
    for _, row in seen.slowest_entries.head(4).iterrows():
        mine = cells[(cells["service_name"] == row["service_name"]) & (cells["operation"] == row["operation"])]
        title = f"{clean(row['service_name'], limit=40)} {clean(row['operation'], limit=60)}"
        said = f"{plural(row['span_count'], 'trace')}"
        out.append((title, said, latency_picture(mine, _marks(row), width=490, height=150, subject=title)))
    return out


def _marks(row: pd.Series) -> dict[str, float]:
    """Return the quantiles that are marked."""
    return {name: float(row[f"{name}_ns"]) for name in ("p50", "p95", "p99")}


# ---------------------------------------------------------------- errors


def failing_table(seen: Overview, colours: Colours) -> Table:
    """Return the operations that failed.

    Parameters
    ----------
    seen
        Traces and results.
    colours
        Slots of services.

    Returns
    -------
    Table
        Most errors first; by whose mistake it was.
    """
    columns = (
        Column("service"), Column("operation"), _number("spans"), _number("errors", is_sorted=True), _number("share"),
        Column("95 % limits"), _number("faults", "the callee's mistake"),
        _number("client errors", "the caller's mistake"), _number("throttled"), _number("not said"),
    )  # fmt: skip
    table = seen.errors.operations
    classes = ["fault_count", "client_count", "throttle_count", "unspecified_count"]
    failing = table[(table["error_count"] > 0) | (table[classes].sum(axis=1) > 0)]
    rows = [
        (
            _service_cell(row["service_name"], colours),
            _name_cell(row["operation"]),
            count_cell(row["span_count"]),
            count_cell(row["error_count"]),
            share_cell(row["error_ratio"], bad_from=FAILING),
            Cell(f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %", None, "mute"),
            *(count_cell(row[name], "" if row[name] else "mute") for name in classes),
        )
        for row in _records(failing)
    ]
    return Table("Operations with errors", columns, rows, note=_cut(len(failing), "operations"))


def exceptions_table(seen: Overview, colours: Colours, shown: set[str]) -> Table:
    """Return the exceptions by service, type and message.

    Parameters
    ----------
    seen
        Traces and results.
    colours
        Slots of services.
    shown
        Ids of the traces whose waterfall is in the page: exemplars link to them.

    Returns
    -------
    Table
        Most events first.
    """
    columns = (
        Column("service"), Column("exception"), Column("message"), _number("events", is_sorted=True), _number("traces"),
        Column("first"), Column("last"), Column("for example"),
    )  # fmt: skip
    rows = []
    for row in _records(seen.errors.exceptions):
        times = [_moment_cell(row[name]) for name in ("first_time", "last_time")]
        rows.append(
            (
                _service_cell(row["service_name"], colours),
                Cell(clean(row["exception_type"], limit=120), clean(row["exception_type"], limit=120), "code"),
                _name_cell(row["exception_message"]),
                count_cell(row["event_count"]),
                count_cell(row["trace_count"]),
                *times,
                trace_cell(str(row["exemplar_trace_id"]), shown),
            )
        )
    return Table("Exceptions", columns, rows, note=_cut(len(seen.errors.exceptions), "kinds of exception"))


def _moment_cell(time: pd.Timestamp) -> Cell:
    """Return a moment in UTC; a dash where it is not known."""
    if time != time:  # noqa: PLR0124 - NaT is not equal to itself
        return Cell("–", None, "mute")  # noqa: RUF001 - no figure
    return Cell(moment(time.value), float(time.value), "mute")


# ---------------------------------------------------------------- traces


def trace_cell(trace_id: str, shown: set[str]) -> Cell:
    """Return the id of a trace, leading to its waterfall where there is one.

    Parameters
    ----------
    trace_id
        Hex text.
    shown
        Ids of the traces whose waterfall is in the page.

    Returns
    -------
    Cell
        The whole id: it is what one searches for elsewhere.

    Examples
    --------
    >>> trace_cell("a1", {"a1"}).link
    'trace-a1'
    """
    return Cell(trace_id, trace_id, "code", link=f"trace-{trace_id}" if trace_id in shown else "")


def traces_table(seen: Overview, colours: Colours, shown: set[str], *, limit: int = 25) -> Table:
    """Return the slowest traces.

    Parameters
    ----------
    seen
        Traces and results.
    colours
        Slots of services.
    shown
        Ids of the traces whose waterfall is in the page.
    limit
        Most rows.

    Returns
    -------
    Table
        The longest first.
    """
    columns = (
        Column("trace"), Column("service"), Column("root span"), Column("start, UTC"),
        _number("duration", is_sorted=True), _number("spans"), _number("services"), _number("errors"),
    )  # fmt: skip
    rows = []
    for trace_id, row in seen.slowest_traces.head(limit).iterrows():
        rows.append(
            (
                trace_cell(str(trace_id), shown),
                _service_cell(row["root_service_name"], colours),
                _name_cell(row["root_name"]),
                Cell(moment(row["start_ns"], decimals=3), float(row["start_ns"]), "mute"),
                time_cell(row["duration_ns"]),
                count_cell(row["span_count"]),
                count_cell(row["service_count"]),
                count_cell(row["error_count"], "bad" if row["error_count"] else "mute"),
            )
        )
    return Table("The slowest traces", columns, rows, short=10)
