"""Which traces are set apart from which: a condition, the slowest of an endpoint, or two recordings."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.partials import on_side, over_parts
from tracekit.analysis.what_differs.roots import Roots, tabulate
from tracekit.arguments import is_store
from tracekit.stats.quantiles import weighted_quantiles
from tracekit.text import plural
from tracekit.traces import TraceSet, matching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.parts import On, Parts
    from tracekit.weights.known import WeightTotals

_BAND: Final = re.compile(r"slowest (\d+(?:\.\d+)?) ?%(?: of (.+))?")
FAILED: Final = "failed"
_Endpoints = Counter[tuple[str, str]]


class Rule(NamedTuple):
    """Which traces of any part are selected, and which they are compared with.

    Parameters
    ----------
    selection
        ``failed``, or a condition; None: every trace, compared with none.
    is_band
        Whether finished requests are selected by their latency.
    endpoint
        Only requests of this endpoint; None for all.
    limit_ns
        Requests that take longer are selected; NaN before it is known, when none is.
    """

    selection: Any = None
    is_band: bool = False
    endpoint: str | None = None
    limit_ns: float = float("nan")

    def split(self, traces: TraceSet) -> tuple[Array, Array]:
        """Return the selected traces of a set, and those that they are compared with: bool, one per trace each."""
        if self.is_band:
            root = traces.forest.root_row
            among = traces.has_duration[root] & _of_endpoint(traces, self.endpoint)[0]
            chosen = among & (np.where(among, traces.duration_ns[root], 0) > self.limit_ns)
            return chosen, among & ~chosen
        if self.selection is None:
            return np.ones(len(traces), bool), np.zeros(len(traces), bool)
        if isinstance(self.selection, str) and self.selection == FAILED:
            chosen = traces.is_error[traces.forest.root_row]
        else:
            chosen = matching(traces, self.selection)
        return chosen, ~chosen


class Side(NamedTuple):
    """Some traces of a recording.

    Parameters
    ----------
    traces
        The recording.
    name
        What they are.
    roots
        Its root spans.
    chosen
        bool, one per root: whether the trace is one of them.
    rule
        What selects them in any part of the recording.
    weights
        What the sampling weights of the recording describe.
    """

    traces: TraceSet | Parts
    name: str
    roots: Roots
    chosen: Array
    rule: Rule
    weights: WeightTotals

    @property
    def trace_count(self) -> int:
        """Recorded traces."""
        return int(self.chosen.sum())


class _Seen(NamedTuple):
    """Root spans of a part, which of them are selected or compared, and the traces of each endpoint."""

    roots: Roots
    chosen: Array
    others: Array
    endpoints: _Endpoints

    def with_(self, other: _Seen) -> _Seen:
        """Return the same of two parts."""
        chosen, others = np.append(self.chosen, other.chosen), np.append(self.others, other.others)
        return _Seen(self.roots.with_(other.roots), chosen, others, self.endpoints + other.endpoints)


def sides_of(traces: TraceSet | Parts, selection: Any, on: On = None) -> tuple[Side, Side]:
    """Return the selected traces and those that they are compared with."""
    if isinstance(selection, TraceSet) or is_store(selection):
        sides = (traces, "current"), (selection, "baseline")
        first, second = (_every(side, name, on_side(side, on)) for side, name in sides)
        return first, second
    rule, names = _rule(traces, selection)
    part = over_parts(traces, partial(_seen, rule=rule), _Seen.with_, on=on)
    seen = part.state
    if not isinstance(traces, TraceSet):
        order = seen.roots.order
        seen = _Seen(seen.roots.take(order), seen.chosen[order], seen.others[order], seen.endpoints)
    if rule.is_band:
        rule, seen = _slowest(rule, seen, selection)
    return tuple(  # type: ignore[return-value]  # of two
        Side(traces, name, seen.roots, mask, rule, part.weights)
        for name, mask in zip(names, (seen.chosen, seen.others), strict=True)
    )


def _every(traces: TraceSet | Parts, name: str, on: On) -> Side:
    """Return all traces of a recording."""
    part = over_parts(traces, tabulate, Roots.with_, on=on)
    roots = part.state if isinstance(traces, TraceSet) else part.state.take(part.state.order)
    return Side(traces, name, roots, np.ones(roots.trace_count, bool), Rule(), part.weights)


def _rule(traces: TraceSet | Parts, selection: Any) -> tuple[Rule, tuple[str, str]]:
    """Return what selects traces, and the names of the sides; ValueError or TypeError for what cannot."""
    if isinstance(selection, str) and selection == FAILED:
        return Rule(selection), (FAILED, "succeeded")
    if isinstance(selection, str) and (band := _BAND.fullmatch(" ".join(selection.split()))):
        if not 0 < float(band[1]) / 100 < 1:
            raise ValueError(f"expected a share between 0 and 100%, such as 'slowest 5%', found {selection!r}")
        return Rule(selection, is_band=True, endpoint=band[2]), (selection, "the rest")
    if not isinstance(traces, TraceSet) and not (isinstance(selection, str) or callable(selection)):
        is_by_id = isinstance(selection, pd.Series) and selection.index.name == "trace_id"
        if not is_by_id:
            found = type(selection).__name__
            message = f"expected a condition, a callable or a mask by trace id for a store, found {found}"
            raise TypeError(f"{message}; use load() for other masks")
    return Rule(selection), (selection if isinstance(selection, str) else "selected", "the rest")


def _seen(traces: TraceSet, rule: Rule) -> _Seen:
    """Return the root spans of a part, and which of them a rule selects."""
    endpoints = _of_endpoint(traces, rule.endpoint)[1] if rule.endpoint is not None else Counter()
    return _Seen(tabulate(traces), *rule.split(traces), endpoints)


def _slowest(rule: Rule, seen: _Seen, selection: str) -> tuple[Rule, _Seen]:
    """Return the rule with the latency from which on requests are selected; ValueError for an unknown endpoint."""
    if rule.endpoint is not None and not any(rule.endpoint in _names(each) for each in seen.endpoints):
        _refuse(rule.endpoint, seen.endpoints)
    band = _BAND.fullmatch(" ".join(selection.split()))
    assert band is not None
    among, took = seen.others, seen.roots.duration_ns
    limit = weighted_quantiles(took[among], seen.roots.weight[among], (1 - float(band[1]) / 100,))[0]
    chosen = among & (np.where(among, took, 0) > limit)
    return rule._replace(limit_ns=float(limit)), seen._replace(chosen=chosen, others=among & ~chosen)


def _of_endpoint(traces: TraceSet, endpoint: str | None) -> tuple[Array, _Endpoints]:
    """Return the traces whose root span has this operation, with or without its service, and those of each endpoint."""
    if endpoint is None:
        return np.ones(len(traces), bool), Counter()
    root = traces.forest.root_row
    service, operation = (traces.codes(name).take(root) for name in ("service_name", "operation"))
    pairs, place = np.unique(np.stack([service.codes, operation.codes]), axis=1, return_inverse=True)
    labels = [[*codes.labels, ""] for codes in (service, operation)]  # -1 is a missing name
    names = [(labels[0][one], labels[1][other]) for one, other in pairs.T.tolist()]
    number = np.bincount(place.ravel(), minlength=len(names))
    counted = Counter(dict(zip(names, number.tolist(), strict=True)))
    found = np.array([endpoint in _names(name) for name in names], bool)
    return np.asarray(found[place.ravel()]), counted


def _names(endpoint: Sequence[str]) -> set[str]:
    """Return what an endpoint may be called."""
    return {endpoint[1], " ".join(endpoint)}


def _refuse(endpoint: str, known: _Endpoints) -> None:
    """Raise ValueError that lists the endpoints with the most traces."""
    often = sorted(known, key=lambda each: (-known[each], each))[:4]
    named = ", ".join(" ".join(each) for each in often)
    raise ValueError(f"expected an endpoint, found {endpoint!r}; {plural(len(known), 'endpoint')}: {named}")
