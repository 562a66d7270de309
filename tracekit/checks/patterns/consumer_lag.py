"""Consumer lag: messages wait longer and longer for their consumer, or longer than in the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.analysis.service_graph.calls import linked_consumers
from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Pattern, caller_of
from tracekit.checks.patterns.sums import Occurrences, pairs_of
from tracekit.forest import visible_parents
from tracekit.messages import are_messages
from tracekit.schema import Kind, Quality
from tracekit.text import duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    import pandas as pd

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_PERIODS: Final = 8  # equally many messages in each
_FEWEST: Final = 5  # messages of a period, and of a baseline
_LONGER: Final = 2.0  # times the lag of the first period, or of the baseline
_HEAVY: Final = 10.0  # times: a warning
_P: Final = 0.001  # for all pairs of a recording together
_DRIFT: Final = 1e-4  # of the elapsed time: clocks drift less
_SHORTEST_NS: Final = 100_000_000  # growth
_CLOCKS_NS: Final = 1_000_000_000  # more than in the baseline: synchronised clocks differ less


class _Messages(NamedTuple):
    """Messages, one entry each: rows of the sending and receiving span, their lag, the pair and its names."""

    sender: Array
    receiver: Array
    lag_ns: Array
    pair: Array
    keys: pd.DataFrame


def _detect(case: Case) -> Occurrences:
    """Return the messages with a lag beyond the usual; nobody waits for them, so that they cost nothing."""
    found = case.result(_messages)
    usual = case.result(_usual)["usual_lag_ns"].to_numpy()[found.pair]
    at = found.lag_ns >= _LONGER * np.maximum(usual, 1)
    sender, receiver = found.sender[at], found.receiver[at]
    return Occurrences(sender, receiver, found.lag_ns[at], np.zeros(len(sender)))


def _messages(case: Case) -> _Messages:
    """Return the messages with known times, in the order in which they were sent."""
    traces, spans = case.traces, case.traces.columns.spans
    up = visible_parents(traces.forest.parent_row, traces.is_inferred)
    linked, producer = linked_consumers(traces, up)
    incoming = ((spans.kind == Kind.CONSUMER) | (spans.kind == Kind.SERVER)) & (up >= 0) & ~traces.is_inferred
    receiver = np.flatnonzero(incoming)
    receiver = receiver[are_messages(traces.lookup, up[receiver], receiver)]
    sender, receiver = np.concatenate([up[receiver], producer]), np.concatenate([receiver, linked])
    known = traces.has_duration[sender] & ((spans.quality[receiver] & Quality.NO_START) == 0)
    sender, receiver = sender[known].astype(np.int64), receiver[known].astype(np.int64)
    order = np.lexsort((receiver, spans.end_ns[sender]))
    sender, receiver = sender[order], receiver[order]
    pair, keys = pairs_of(case, sender, receiver)
    return _Messages(sender, receiver, spans.start_ns[receiver] - spans.end_ns[sender], pair, keys)


def _usual(case: Case) -> pd.DataFrame:
    """Return the pairs with the lag that later messages, or those since the baseline, exceed; infinite if none do."""
    found = case.result(_messages)
    usual, is_before = np.full(len(found.keys), np.inf), np.zeros(len(found.keys), bool)
    before = {} if case.baseline is None else dict(_by_pair(case.baseline.result(_messages)))
    level = _P / max(len(usual), 1)
    for at, (names, mine) in enumerate(_by_pair(found)):
        then = before.get(names)
        if then is not None and _is_longer(mine.lag_ns, then.lag_ns, level):
            usual[at], is_before[at] = np.median(then.lag_ns), True
        elif len(mine.lag_ns) >= _PERIODS * _FEWEST:
            sent = case.traces.columns.spans.end_ns[mine.sender]
            usual[at] = _first_if_growing(mine.lag_ns, sent, level)
    return found.keys.assign(usual_lag_ns=usual, is_before=is_before)


def _by_pair(found: _Messages) -> Iterator[tuple[tuple[str, ...], _Messages]]:
    """Yield the names of each pair, and its messages."""
    order = np.argsort(found.pair, kind="stable")
    edges = np.searchsorted(found.pair[order], np.arange(len(found.keys) + 1))
    for at, names in enumerate(found.keys.itertuples(index=False, name=None)):
        mine = order[edges[at] : edges[at + 1]]
        yield (
            names,
            _Messages(found.sender[mine], found.receiver[mine], found.lag_ns[mine], found.pair[mine], found.keys),
        )


def _is_longer(lag: Array, then: Array, level: float) -> bool:
    """Return whether a lag is longer than in the baseline, by more than clocks differ and by more than chance."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - slow to import, and needed only here

    if min(len(lag), len(then)) < _FEWEST:
        return False
    now, before = float(np.median(lag)), float(np.median(then))
    if now < _LONGER * max(before, 1.0) or now - before < _CLOCKS_NS:
        return False
    return bool(mannwhitneyu(lag, then, alternative="greater").pvalue <= level)


def _first_if_growing(lag: Array, sent: Array, level: float) -> float:
    """Return the median lag of the first period if the medians of later periods grow; infinite if not."""
    from scipy.stats import kendalltau  # noqa: PLC0415 - slow to import, and needed only here

    medians = [float(np.median(part)) for part in np.array_split(lag, _PERIODS)]
    growth = medians[-1] - medians[0]
    first = medians[0] - min(float(lag.min()), 0.0)  # a message does not arrive before it is sent
    enough = max(_SHORTEST_NS, _DRIFT * float(sent[-1] - sent[0]), (_LONGER - 1) * first)
    if growth < enough:
        return float("inf")
    trend = kendalltau(np.arange(_PERIODS), medians, alternative="greater", method="exact")
    return medians[0] if trend.pvalue <= level else float("inf")


def _with_usual(case: Case, table: pd.DataFrame) -> pd.DataFrame:
    """Add the usual lag: ``usual_lag_ns``, and whether it is that of the baseline: ``is_before``."""
    return table.merge(case.result(_usual), how="left")


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return how long messages wait, and how long usual ones do."""
    usual = f"{duration(max(row['usual_lag_ns'], 0))} {'in the baseline' if row['is_before'] else 'at first'}"
    return (
        f"Consumer lag: messages of {caller_of(row)} reach {name_of(row)} after {duration(row['size_p50'])} (median; "
        f"at most {duration(row['size_max'])}), compared with {usual},"
    )


CONSUMER_LAG: Final = Pattern(
    "patterns.consumer_lag",
    _detect,
    _say,
    remedy="Add consumers, or make them faster; look at retries of messages that fail, and at the rate of producers.",
    method=(
        "From the end of the sending span to the start of the receiving one: medians of 8 periods with equally many"
        " messages grow (Kendall's tau, p <= 0.001 for all pairs together) to at least twice the first one and by more"
        " than clocks drift (0.01% of the time); or twice the baseline and 1 s more (tested by ranks)."
        " The lag itself is as exact as the clocks of both hosts."
    ),
    matters=lambda table: table["occurrence_count"] >= _FEWEST,
    is_heavy=lambda table: table["size_p50"] >= _HEAVY * np.maximum(table["usual_lag_ns"], 1),
    complete=_with_usual,
    whole="it needs the messages of a pair in the order of their times",
)
