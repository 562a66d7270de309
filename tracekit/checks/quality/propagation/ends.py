"""Calls that end without an answer and traces that begin, of all parts together: the two ends of a split request.

Of a store with very many of them, those of some stretches of time are kept (``stretches``), by caller and callee or by
service, and all are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from tracekit.analysis.clock_skew.calls import clocks
from tracekit.attributes import Codes, pick
from tracekit.checks.merged import Merged
from tracekit.checks.quality.propagation.call_targets import CALLEES, unanswered, unknown_peers
from tracekit.checks.quality.propagation.stretches import Stretches
from tracekit.schema import Kind, ParentState
from tracekit.stats.distinct_counts import kept_values
from tracekit.stats.grouping import group_codes
from tracekit.text import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

Labels: TypeAlias = "tuple[str | None, ...]"
MOST: Final = 65_536  # calls by caller and callee, or roots of a service
_MOST_IN_ALL: Final = 262_144  # calls, or roots, unless each of very many callers or services has fewer than
_LEAST: Final = 512
_SPELL_NS: Final = 2**42  # 73 min
_FEW: Final = 0.1  # of the traces of the busiest spell: where fewer begin, the recording may not have begun
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
    by
        Columns of ``names``: spans with the same of these are kept at one level.
    level
        Of each of them: those of the stretches of this level are kept, all at 0.
    """

    columns: dict[str, Array]
    names: dict[str, Codes]
    by: tuple[str, ...]
    level: dict[Labels, int]

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
        return replace(self, columns=columns, names={name: codes.take(chosen) for name, codes in self.names.items()})

    def plus(self, other: Spans) -> Spans:
        """Return those of two parts, their names in order."""
        columns = {name: np.append(column, other.columns[name]) for name, column in self.columns.items()}
        names = {name: _recoded(codes, other.names[name]) for name, codes in self.names.items()}
        level = {one: max(self.level.get(one, 0), other.level.get(one, 0)) for one in {**self.level, **other.level}}
        return Spans(columns, names, self.by, level)

    @cached_property
    def entries(self) -> dict[Labels, Array]:
        """The entries of the spans with the same names of ``by``."""
        owner, owners = self._owners
        order, size = np.argsort(owner, kind="stable"), np.bincount(owner, minlength=len(owners))
        return dict(zip(owners, np.split(order, np.cumsum(size)[:-1]), strict=True)) if owners else {}

    @property
    def _owners(self) -> tuple[Array, list[Labels]]:
        """Number of the names of each span, and these names."""
        owner, keys = group_codes({name: self.names[name] for name in self.by}, len(self))
        return owner, list(zip(*(labels.tolist() for labels in keys.values()), strict=True))

    def limited(self, place: Callable[[Array, Array], Array]) -> Spans:
        """Return a limited number of those with the same names, in the stretches of which ``place`` knows the spans."""
        owner, owners = self._owners
        most = min(MOST, max(_LEAST, _MOST_IN_ALL // max(len({*self.level, *owners}), 1)))
        before = np.array([self.level.get(one, 0) for one in owners], np.int64)
        kept, level = kept_values(owner, place(self.start_ns, self.end_ns), before, most)
        return replace(self.where(kept), level=self.level | dict(zip(owners, level.tolist(), strict=True)))


class Ends(NamedTuple):
    """Unanswered calls and root spans.

    Parameters
    ----------
    calls
        Unanswered client spans with start and end: ``service_name``, ``callee_service`` (missing if unknown), clock.
    roots
        Root spans with start and end: ``service_name``, ``operation``, clock and client; ``is_server``, ``is_error``.
    call_counts
        Number of calls by caller and callee, also of those that are not kept.
    root_counts
        Number of roots by service and operation, of server spans among them, and of failed ones.
    open_count
        Number of unanswered client spans, also of those with an unknown callee and without times.
    has_calls
        Whether there are client spans.
    stretches
        The stretches of time that are examined.
    """

    calls: Spans
    roots: Spans
    call_counts: dict[Labels, Array]
    root_counts: dict[Labels, Array]
    open_count: int
    has_calls: bool
    stretches: Stretches

    def plus(self, other: Ends) -> Ends:
        """Return those of two parts, with a limited number of spans."""
        return Ends(
            self.calls.plus(other.calls),
            self.roots.plus(other.roots),
            _added(self.call_counts, other.call_counts),
            _added(self.root_counts, other.root_counts),
            self.open_count + other.open_count,
            self.has_calls or other.has_calls,
            self.stretches,
        ).limited()

    def limited(self) -> Ends:
        """Return those of a part of a store, with a limited number of spans."""
        calls, roots = self.calls.limited(self.stretches.touching), self.roots.limited(self.stretches.within)
        return self._replace(calls=calls, roots=roots)

    @property
    def all_roots(self) -> Array:
        """Number of all roots, of server spans among them, and of failed ones."""
        return np.sum([*self.root_counts.values()], axis=0) if self.root_counts else np.zeros(3, np.int64)

    @property
    def server_counts(self) -> dict[str | None, int]:
        """Number of server spans among all roots by service."""
        found: dict[str | None, int] = {}
        for (name, _), count in self.root_counts.items():
            found[name] = found.get(name, 0) + int(count[1])
        return found

    @property
    def sampled(self) -> tuple[str, ...]:
        """The assumption that the examined spans stand for all; nothing if they are all."""
        calls, roots = (sum(int(one[0]) for one in counts.values()) for counts in (self.call_counts, self.root_counts))
        if len(self.calls) == calls and len(self.roots) == roots:
            return ()
        kept = f"{len(self.roots):,} of {roots:,} root spans and {len(self.calls):,} of {calls:,} unanswered calls"
        return (f"estimated from {kept}: those at the start of every {duration(self.stretches.cycle_ns)}",)

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


class _Spell(NamedTuple):
    """Traces that begin in some time: how many, and the first and the last start (ns)."""

    trace_count: int
    first_ns: int
    last_ns: int

    def plus(self, other: _Spell) -> _Spell:
        """Return those of two parts."""
        first, last = min(self.first_ns, other.first_ns), max(self.last_ns, other.last_ns)
        return _Spell(self.trace_count + other.trace_count, first, last)


def _spells(case: Case) -> dict[int, _Spell]:
    """Return the traces of a part that begin in every 73 minutes."""
    roots = np.flatnonzero((case.traces.forest.state == ParentState.ROOT) & case.traces.has_duration)
    start = np.sort(case.traces.columns.spans.start_ns[roots])
    spell, first, number = np.unique(start // _SPELL_NS, return_index=True, return_counts=True)
    last = start[first + number - 1]
    found = zip(number.tolist(), start[first].tolist(), last.tolist(), strict=True)
    return {one: _Spell(*each) for one, each in zip(spell.tolist(), found, strict=True)}


def _both(first: dict[int, _Spell], second: dict[int, _Spell]) -> dict[int, _Spell]:
    """Return the spells of two parts."""
    return first | {one: first[one].plus(each) if one in first else each for one, each in second.items()}


def _stretches(_: Case, spells: dict[int, _Spell]) -> Stretches:
    """Return the stretches of the time of the recording, whatever the start of a few spans is."""
    most = max((one.trace_count for one in spells.values()), default=0)
    busy = [one for one in spells.values() if one.trace_count >= _FEW * most]
    first = min((one.first_ns for one in busy), default=0)
    return Stretches.over(first, max((one.last_ns for one in busy), default=first))


_STRETCHES: Final[Merged[Stretches]] = Merged(_spells, _both, _stretches)


def _ends(case: Case) -> Ends:
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
    called = _spans(case, rows[timed], calls, {}, ("service_name", "callee_service"))
    rooted = _spans(case, roots, begun, flags, ("service_name",))
    return Ends(
        called,
        rooted,
        _counted(called.names, called.by, [np.ones(len(called))]),
        _counted(rooted.names, ("service_name", "operation"), [np.ones(len(rooted)), *flags.values()]),
        len(rows),
        bool(np.any(kind == Kind.CLIENT)),
        case.result(_STRETCHES),
    )


def _counted(names: Mapping[str, Codes], by: tuple[str, ...], values: list[Array]) -> dict[Labels, Array]:
    """Return sums of values by names."""
    group, keys = group_codes({name: names[name] for name in by}, len(values[0]))
    owners = list(zip(*(labels.tolist() for labels in keys.values()), strict=True))
    sums = np.stack([np.bincount(group, each, len(owners)).astype(np.int64) for each in values], axis=1)
    return dict(zip(owners, sums, strict=True))


def _added(first: dict[Labels, Array], second: dict[Labels, Array]) -> dict[Labels, Array]:
    """Return the sums of two parts."""
    return first | {one: first[one] + number if one in first else number for one, number in second.items()}


def _client(case: Case, rows: Array) -> Codes:
    """Return the client: address for servers, instance or host for others; missing where unknown."""
    address, instance, host = (
        case.traces.codes(name).take(rows) for name in ("peer_address", "service_instance_id", "host_name")
    )
    serving = case.traces.columns.spans.kind[rows] == Kind.SERVER
    client = address._replace(codes=np.where(serving, address.codes, -1))
    own = [one._replace(codes=np.where(serving, -1, one.codes)) for one in (instance, host)]
    return pick([client, *own])[0]


def _spans(case: Case, rows: Array, names: dict[str, Codes], flags: dict[str, Array], by: tuple[str, ...]) -> Spans:
    """Return some spans of a part, with the labels in use."""
    columns = {name: getattr(case.traces.columns.spans, name)[rows] for name in _COLUMNS}
    return Spans(columns | flags, {name: one.used() for name, one in names.items()}, by, {})


def _recoded(first: Codes, second: Codes) -> Codes:
    """Return a column of two parts, with the labels in use."""
    return first.followed_by(second).used()


ENDS: Final[Merged[Ends]] = Merged(_ends, Ends.plus, needs=(CALLEES, _STRETCHES), limit=Ends.limited)
