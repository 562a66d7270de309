"""Calls that end without an answer and traces that begin, of all parts together: the two ends of a split request."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.clock_skew.calls import clocks
from tracekit.attributes import Codes, pick
from tracekit.checks.merged import Merged
from tracekit.checks.quality.propagation.call_targets import CALLEES, unanswered, unknown_peers
from tracekit.schema import Kind, ParentState
from tracekit.stats.grouping import dense_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_COLUMNS: Final = ("trace_hi", "trace_lo", "start_ns", "end_ns")


@dataclass(frozen=True)
class Spans:
    """Some spans, one entry each.

    Parameters
    ----------
    columns
        ``trace_hi`` and ``trace_lo`` (id of the trace), ``start_ns`` and ``end_ns`` as recorded, and columns of bool.
    names
        Columns of text, with the labels that occur.
    """

    columns: dict[str, Array]
    names: dict[str, Codes]

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def start_ns(self) -> Array:
        """int64: start of each."""
        return self.columns["start_ns"]

    @property
    def end_ns(self) -> Array:
        """int64: end of each."""
        return self.columns["end_ns"]

    def where(self, chosen: Array) -> Spans:
        """Return some of them."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return Spans(columns, {name: codes.take(chosen) for name, codes in self.names.items()})


class Ends(NamedTuple):
    """Unanswered calls and root spans.

    Parameters
    ----------
    calls
        Unanswered client spans with start and end: ``service_name``, ``callee_service`` (missing if unknown), clock.
    roots
        Root spans with start and end: ``service_name``, ``operation``, clock and client; ``is_server``, ``is_error``.
    open_count
        Number of unanswered client spans, also of those with an unknown callee and without times.
    has_calls
        Whether there are client spans.
    """

    calls: Spans
    roots: Spans
    open_count: int
    has_calls: bool

    @property
    def trace(self) -> tuple[Array, Array]:
        """Number of the trace of every call and of every root."""
        hi, lo = (
            np.concatenate([side.columns[name] for side in (self.calls, self.roots)])
            for name in ("trace_hi", "trace_lo")
        )
        order = np.lexsort((lo, hi))
        is_new = np.append(False, (np.diff(hi[order]) != 0) | (np.diff(lo[order]) != 0))[: len(order)]
        number = np.empty(len(order), np.int64)
        number[order] = np.cumsum(is_new)
        return number[: len(self.calls)], number[len(self.calls) :]


def _ends(case: Case) -> list[Ends]:
    """Return those of a part: about 40 bytes for every unanswered call, and 50 for every root."""
    traces, kind = case.traces, case.traces.columns.spans.kind
    named, free = unanswered(case), unknown_peers(case)
    callee = Codes(np.append(named.callee.codes, np.full(len(free), -1)), named.callee.labels)
    rows = np.append(named.client, free)
    timed = traces.has_duration[rows]
    roots = np.flatnonzero((traces.forest.state == ParentState.ROOT) & traces.has_duration)
    clock = clocks(traces)
    calls = {
        "service_name": case.service.take(rows[timed]),
        "callee_service": callee.take(timed),
        "clock": clock.take(rows[timed]),
    }
    begun = {
        "service_name": case.service.take(roots),
        "operation": traces.codes("operation").take(roots),
        "clock": clock.take(roots),
        "client": _client(case, roots),
    }
    flags = {"is_server": kind[roots] == Kind.SERVER, "is_error": traces.is_error[roots]}
    has_calls = bool(np.any(kind == Kind.CLIENT))
    return [Ends(_spans(case, rows[timed], calls, {}), _spans(case, roots, begun, flags), len(rows), has_calls)]


def _client(case: Case, rows: Array) -> Codes:
    """Return the client: address for servers, instance or host for others; missing where unknown."""
    address, instance, host = (
        case.traces.codes(name).take(rows) for name in ("peer_address", "service_instance_id", "host_name")
    )
    serving = case.traces.columns.spans.kind[rows] == Kind.SERVER
    client = address._replace(codes=np.where(serving, address.codes, -1))
    own = [one._replace(codes=np.where(serving, -1, one.codes)) for one in (instance, host)]
    return pick([client, *own])[0]


def _spans(case: Case, rows: Array, names: dict[str, Codes], flags: dict[str, Array]) -> Spans:
    """Return some spans of a part, with the labels in use."""
    columns = {name: getattr(case.traces.columns.spans, name)[rows] for name in _COLUMNS}
    return Spans(columns | flags, {name: _used(one) for name, one in names.items()})


def _used(column: Codes) -> Codes:
    """Return a column with only the labels in use."""
    codes, used = dense_codes(column.codes.astype(np.int64) + 1, len(column.labels) + 1)
    if len(used) and used[0] == 0:
        codes, used = codes - 1, used[1:]
    return Codes(codes.astype(np.int32), [column.labels[code - 1] for code in used])


def _together(_: Case, parts: Sequence[Ends]) -> Ends:
    """Return those of all parts."""
    calls, roots = (_joined([getattr(part, name) for part in parts]) for name in ("calls", "roots"))
    return Ends(calls, roots, sum(part.open_count for part in parts), any(part.has_calls for part in parts))


def _joined(parts: Sequence[Spans]) -> Spans:
    """Return the spans of all parts, their names in order."""
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    return Spans(columns, {name: _recoded([part.names[name] for part in parts]) for name in parts[0].names})


def _recoded(parts: Sequence[Codes]) -> Codes:
    """Return a column of all parts."""
    labels = sorted({label for part in parts for label in part.labels})
    number = {label: code for code, label in enumerate(labels)}
    codes = [np.array([*(number[label] for label in part.labels), -1])[part.codes] for part in parts]
    return Codes(np.concatenate(codes), labels)


ENDS: Final[Merged[Ends]] = Merged(_ends, operator.add, _together, needs=(CALLEES,))
