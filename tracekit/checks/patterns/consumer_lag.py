"""Consumer lag: messages wait longer and longer for their consumer, or longer than in the baseline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.service_graph.calls import linked_consumers
from tracekit.checks.merged import Merged, known_to
from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Pattern, caller_of
from tracekit.checks.patterns.sums import Occurrences, labels_of, pairs_of
from tracekit.forest import visible_parents
from tracekit.messages import are_messages
from tracekit.schema import Kind, Quality
from tracekit.stats.grouping import group_labels, positions
from tracekit.stats.trend import growing
from tracekit.text import duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_PERIODS: Final = 8  # equally many messages in each
_FEWEST: Final = 5  # messages of a period, and of a baseline
_LONGER: Final = 2.0  # times the lag of the first period, or of the baseline
_HEAVY: Final = 10.0  # times: a warning
_P: Final = 0.001  # for all pairs of a recording together
_DRIFT: Final = 1e-4  # of the elapsed time: clocks drift less
_SHORTEST_NS: Final = 100_000_000  # growth
_MOST: Final = 4096  # messages of a pair in a store whose lags are ordered
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
    found, known = case.result(_messages), case.result(_usual)
    at = positions(labels_of(known), labels_of(found.keys), [str(name) for name in found.keys])
    usual = np.append(known["usual_lag_ns"].to_numpy(np.float64), np.inf)[at][found.pair]
    late = found.lag_ns >= _LONGER * np.maximum(usual, 1)
    sender, receiver = found.sender[late], found.receiver[late]
    return Occurrences(sender, receiver, found.lag_ns[late], np.zeros(len(sender)))


def _messages(case: Case) -> _Messages:
    """Return the messages with known times."""
    traces, spans = case.traces, case.traces.columns.spans
    up = visible_parents(traces.forest.parent_row, traces.is_inferred)
    linked, producer = linked_consumers(traces, up)
    incoming = ((spans.kind == Kind.CONSUMER) | (spans.kind == Kind.SERVER)) & (up >= 0) & ~traces.is_inferred
    receiver = np.flatnonzero(incoming)
    receiver = receiver[are_messages(traces.lookup, up[receiver], receiver)]
    sender, receiver = np.concatenate([up[receiver], producer]), np.concatenate([receiver, linked])
    known = traces.has_duration[sender] & ((spans.quality[receiver] & Quality.NO_START) == 0)
    sender, receiver = sender[known].astype(np.int64), receiver[known].astype(np.int64)
    pair, keys = pairs_of(case, sender, receiver)
    return _Messages(sender, receiver, spans.start_ns[receiver] - spans.end_ns[sender], pair, keys)


@dataclass(frozen=True)
class _Lags:
    """Lags of messages by pair, of a store those of a random sample of each pair.

    Parameters
    ----------
    keys
        Names of the pairs.
    least_ns, first_ns, last_ns
        By pair: the shortest lag of all messages, and when the first and the last one were sent.
    pair, sent_ns, lag_ns
        One entry per message.
    draw
        Random number of each message, which depends on its trace and span only.
    """

    keys: dict[str, Array]
    least_ns: Array
    first_ns: Array
    last_ns: Array
    pair: Array
    sent_ns: Array
    lag_ns: Array
    draw: Array

    @classmethod
    def of(cls, case: Case) -> _Lags:
        """Return the lags of all messages of a case."""
        found, spans = case.result(_messages), case.traces.columns.spans
        sent, lag = spans.end_ns[found.sender], found.lag_ns
        draw = pd.util.hash_array(spans.trace_lo[found.receiver] ^ pd.util.hash_array(spans.span_id[found.receiver]))
        return cls(
            labels_of(found.keys),
            *_extremes(found.pair, (lag, sent, sent), len(found.keys)),
            found.pair,
            sent,
            lag,
            draw,
        )

    def plus(self, other: _Lags) -> _Lags:
        """Return those of two parts."""
        keys = {name: np.concatenate([self.keys[name], other.keys[name]]) for name in self.keys}
        group, labels = group_labels(keys, list(keys), len(self.least_ns) + len(other.least_ns))
        count = int(group.max(initial=-1)) + 1
        names = ("least_ns", "first_ns", "last_ns", "sent_ns", "lag_ns", "draw")
        both = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        pair = group[np.append(self.pair, other.pair + len(self.least_ns))]
        extremes = _extremes(group, tuple(both[name] for name in names[:3]), count)
        return _Lags(labels, *extremes, pair, both["sent_ns"], both["lag_ns"], both["draw"]).limited()

    def limited(self) -> _Lags:
        """Return those of the messages with the lowest random numbers of each pair."""
        order = np.lexsort((self.draw, self.pair))
        rank = np.arange(len(order)) - np.searchsorted(self.pair[order], self.pair[order])
        kept = order[rank < _MOST]
        names = ("pair", "sent_ns", "lag_ns", "draw")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    def by_pair(self) -> Iterator[tuple[tuple[str, ...], _Sent]]:
        """Yield the names of each pair, and its messages in the order in which they were sent."""
        order = np.lexsort((self.lag_ns, self.sent_ns, self.pair))
        edges = np.searchsorted(self.pair[order], np.arange(len(self.least_ns) + 1))
        for at, names in enumerate(zip(*self.keys.values(), strict=True)):
            lag = self.lag_ns[order[edges[at] : edges[at + 1]]]
            yield names, _Sent(lag, int(self.least_ns[at]), int(self.last_ns[at] - self.first_ns[at]))


class _Sent(NamedTuple):
    """Lags of a pair in the order in which the messages were sent, the shortest of all, and the time they cover."""

    lag_ns: Array
    least_ns: int
    length_ns: int


def _extremes(group: Array, values: tuple[Array, ...], count: int) -> tuple[Array, Array, Array]:
    """Return the least of two values and the largest of a third, by group."""
    least, first = (np.full(count, np.iinfo(np.int64).max) for _ in range(2))
    last = np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(least, group, values[0])
    np.minimum.at(first, group, values[1])
    np.maximum.at(last, group, values[2])
    return least, first, last


_LAGS: Final[Merged[_Lags]] = Merged(_Lags.of, _Lags.plus, limit=_Lags.limited)


def _usual(case: Case) -> pd.DataFrame:
    """Return the pairs with the lag that later messages, or those since the baseline, exceed; infinite if none do."""
    if case.known is not None:
        known: pd.DataFrame = known_to(case, _usual)
        return known
    found = case.result(_LAGS)
    count = len(found.least_ns)
    usual, is_before = np.full(count, np.inf), np.zeros(count, bool)
    before = {} if case.baseline is None else dict(case.baseline.result(_LAGS).by_pair())
    level = _P / max(count, 1)
    for at, (names, mine) in enumerate(found.by_pair()):
        then = before.get(names)
        if then is not None and _is_longer(mine.lag_ns, then.lag_ns, level):
            usual[at], is_before[at] = np.median(then.lag_ns), True
        elif len(mine.lag_ns) >= _PERIODS * _FEWEST:
            usual[at] = _first_if_growing(mine, level)
    return pd.DataFrame(found.keys).assign(usual_lag_ns=usual, is_before=is_before)


def _is_longer(lag: Array, then: Array, level: float) -> bool:
    """Return whether a lag is longer than in the baseline, by more than clocks differ and by more than chance."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - slow to import, and needed only here

    if min(len(lag), len(then)) < _FEWEST:
        return False
    now, before = float(np.median(lag)), float(np.median(then))
    if now < _LONGER * max(before, 1.0) or now - before < _CLOCKS_NS:
        return False
    return bool(mannwhitneyu(lag, then, alternative="greater").pvalue <= level)


def _first_if_growing(found: _Sent, level: float) -> float:
    """Return the median lag of the first period if the medians of later periods grow; infinite if not."""
    medians = [float(np.median(part)) for part in np.array_split(found.lag_ns, _PERIODS)]
    growth = medians[-1] - medians[0]
    first = medians[0] - min(found.least_ns, 0)  # a message does not arrive before it is sent
    enough = max(_SHORTEST_NS, _DRIFT * found.length_ns, (_LONGER - 1) * first)
    if growth < enough:
        return float("inf")
    return medians[0] if growing(medians) <= level else float("inf")


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
        " The lag itself is as exact as the clocks of both hosts. Of a store, medians and ranks are of up to 4,096"
        " messages of a pair, at random."
    ),
    matters=lambda table: table["occurrence_count"] >= _FEWEST,
    is_heavy=lambda table: table["size_p50"] >= _HEAVY * np.maximum(table["usual_lag_ns"], 1),
    complete=_with_usual,
    needs=(_usual,),
)
