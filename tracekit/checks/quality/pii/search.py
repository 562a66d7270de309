"""PII and secrets in the texts of traces: which keys, how many distinct values, which traces, of all parts together.

A state has hashes of values, masked examples and ids of traces: no value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import Codes, text_hashes
from tracekit.checks.merged import Merged
from tracekit.checks.quality.distinct_values import text_hashes_of
from tracekit.checks.quality.pii.traffic import CLASS, trace_sums
from tracekit.checks.shares import added, first_of
from tracekit.redaction.patterns import masked
from tracekit.redaction.scan import blob, blob_of, digit_runs, hits
from tracekit.schema import ValueType
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.distinct_counts import DistinctCounts
from tracekit.stats.grouping import dense_codes
from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.checks.case import Case
    from tracekit.columns import Array, KeyValues
    from tracekit.redaction.scan import Blob, Hit
    from tracekit.traces import TraceSet
    from tracekit.weights.known import WeightTotals

CARD: Final = "payment card"
CARD_OR_RUN: Final = "payment card or digits that could be one"
SEARCHED, RUNS, VALID_RUNS = "searched", "digit runs", "valid digit runs"
LOGGED: Final = "log message"
_OWNER: Final = ["place", "key", "kind"]
_LEAST_CARD: Final = 10**12
_MOST_DIGITS: Final = 19

Place = tuple[str, str, str]


@dataclass(frozen=True)
class Found:
    """What was found in the texts of some traces.

    Parameters
    ----------
    distinct
        Distinct values by ``place``, ``key`` and ``kind``: those that were searched, those with each kind of PII, and
        the runs of digits that could be cards, all and those with a valid check digit.
    traffic
        Traces with each kind by the same and by weight class.
    examples
        By the same, a masked example and ids of the first traces.
    whole, totals
        All traces by weight class, and what their weights describe.
    """

    distinct: DistinctCounts
    traffic: Aggregate
    examples: dict[Place, tuple[str, tuple[str, ...]]]
    whole: Aggregate
    totals: WeightTotals

    def plus(self, other: Found) -> Found:
        """Return those of two parts, with a limited number of hashes of each key and kind."""
        distinct = self.distinct.plus(other.distinct).limited()
        examples, traffic = _first_examples(self.examples, other.examples), added(self.traffic, other.traffic)
        return Found(distinct, traffic, examples, added(self.whole, other.whole), self.totals + other.totals)

    def limited(self) -> Found:
        """Return those of a part of a store, with a limited number of hashes of each key and kind."""
        return replace(self, distinct=self.distinct.limited())

    @property
    def places(self) -> list[Place]:
        """Place, key and kind of each group of values."""
        return list(zip(*(self.distinct.keys[name].tolist() for name in _OWNER), strict=True))

    def traffic_of(self, place: Place) -> Aggregate:
        """Return the traces of a place, key and kind by weight class."""
        keys = zip(*(self.traffic.keys[name].tolist() for name in _OWNER), strict=True)
        return self.traffic.where(np.array([key == place for key in keys], bool))


@dataclass(frozen=True)
class Texts:
    """Distinct texts of some keys.

    Parameters
    ----------
    place, keys, key
        Where they are, the keys there, and the key of each text.
    text
        The texts; a null is empty.
    use
        Uses of each text; a text without is not searched.
    value
        uint64: number or hash of each text.
    """

    place: str
    keys: Sequence[str]
    key: Array
    text: Blob
    use: Array
    value: Array


class Runs(NamedTuple):
    """Digits that could be cards: text, number, whether the check digit is valid."""

    row: Array
    value: Array
    is_valid: Array


def _first_examples(
    first: dict[Place, tuple[str, tuple[str, ...]]], second: dict[Place, tuple[str, tuple[str, ...]]]
) -> dict[Place, tuple[str, tuple[str, ...]]]:
    """Return one example and the first traces of each place of two parts."""
    found = dict(first)
    for place, (text, traces) in second.items():
        mine = found.get(place, (text, ()))
        found[place] = min(mine[0], text), first_of(mine[1], traces)
    return found


def _search(case: Case) -> Found:
    """Return what was found in a part; its values are hashed, in memory they are numbered."""
    traces, hashed = case.traces, case.known is not None
    hashes = case.result(text_hashes_of) if hashed else None
    found = [_attributes(traces, hashes), *_names(traces, hashed=hashed)]
    if hashed:  # before they are added up: few are sorted again
        found = [(distinct.limited(), traffic, examples) for distinct, traffic, examples in found]
    distinct, traffic, examples = found[0]
    for more_distinct, more_traffic, more_examples in found[1:]:
        distinct, traffic = distinct.plus(more_distinct), Aggregate.concatenate([traffic, more_traffic])
        examples |= more_examples
    whole = trace_sums(traces, np.arange(len(traces)))
    return Found(distinct, traffic, examples, whole, traces.weights.totals)


FOUND: Final[Merged[Found]] = Merged(_search, Found.plus, limit=Found.limited)
_Three = tuple[DistinctCounts, Aggregate, dict[Place, tuple[str, tuple[str, ...]]]]


def found_in_lines(lines: pd.DataFrame, traces: TraceSet, others: Found) -> Found:
    """Return what was found in log messages; a use is a line.  ``others``: what was found in the traces."""
    codes, messages = pd.factorize(lines["message"].to_numpy(object))
    own = lines["trace_id"].cat.codes.to_numpy(np.int64)
    use = np.bincount(codes, minlength=len(messages))
    zero = np.zeros(len(messages), np.int64)
    number = np.arange(len(messages)).astype(np.uint64)
    texts = Texts("log", [LOGGED], zero, blob([str(text) for text in messages]), use, number)
    joined = own >= 0
    found = _found(traces, texts, hits(texts.text), (codes[joined], own[joined]))
    return Found(*found, others.whole, others.totals)


# -------------------------------------------------------------------- where texts are


def _attributes(traces: TraceSet, hashes: Array | None) -> _Three:
    """Return what was found in the attributes of spans, events, links and resources; ``hashes``: of their texts."""
    columns = traces.columns
    kv = columns.kv
    owners = (columns.attributes, columns.event_attributes, columns.link_attributes)
    use = sum((owner.often(len(kv)) for owner in owners), np.zeros(len(kv), np.int64))
    of_resources = np.bincount(columns.spans.resource, minlength=len(columns.resources))
    weight = of_resources[columns.resource_attributes.owners()]
    use = use + np.bincount(columns.resource_attributes.codes, weight, minlength=len(kv)).astype(np.int64)
    used = np.flatnonzero(use > 0)
    number = np.zeros(len(kv), np.uint64)
    number[used] = used if hashes is None else _hashes(kv, used, hashes[used])
    texts = Texts("attribute", kv.keys, kv.key, blob_of(kv.text), use, number)
    found = [hit for hit in hits(texts.text) if use[hit.row]]
    runs, examples = _runs(kv, texts)
    leaking = np.zeros(len(kv), bool)
    leaking[[hit.row for hit in found]] = True
    leaking[runs.row[runs.is_valid]] = True
    none = np.zeros(0, np.int64)
    return _found(traces, texts, found, uses_of(traces, leaking) if leaking.any() else (none, none), runs, examples)


def _hashes(kv: KeyValues, rows: Array, texts: Array) -> Array:
    """Return a hash of the value of some attributes, from that of their texts: it differs by type and origin, too."""
    origin = text_hashes(Codes(np.append(np.arange(len(kv.namespaces)), -1), kv.namespaces))
    kind = (kv.type[rows].astype(np.uint64) << np.uint64(16)) | (kv.origin[rows].astype(np.uint64) << np.uint64(8))
    kind |= kv.is_indexed[rows].astype(np.uint64)
    mixed = texts
    for other in (
        _number_hashes(kv.integer[rows].astype(np.int64).view(np.uint64)),
        _number_hashes(kv.double[rows].view(np.uint64)),
        pd.util.hash_array(origin)[kv.namespace[rows]],
        pd.util.hash_array(kind),
    ):
        mixed = pd.util.hash_array(mixed ^ other)
    return np.asarray(mixed)


def _number_hashes(values: Array) -> Array:
    """Return a hash of each number, of which most are 0."""
    found = np.full(len(values), pd.util.hash_array(np.zeros(1, np.uint64))[0])
    some = np.flatnonzero(values)
    found[some] = pd.util.hash_array(values[some])
    return found


def _runs(kv: KeyValues, texts: Texts) -> tuple[Runs, list[str]]:
    """Return the digits in attributes that could be cards, and the valid ones masked."""
    integers = np.flatnonzero((texts.use > 0) & (kv.type == ValueType.INT) & (kv.integer >= _LEAST_CARD))
    spelt = blob([str(number) for number in kv.integer[integers].tolist()])
    found, examples = [], []
    for text, owner in ((texts.text, np.arange(len(kv))), (spelt, integers)):
        runs = digit_runs(text)
        chosen = np.flatnonzero(runs.is_card_like & (texts.use[owner[runs.row]] > 0))
        begin, length, is_valid = runs.begin[chosen], runs.length[chosen], runs.is_valid[chosen]
        found.append(Runs(owner[runs.row[chosen]], _hash_of_digits(text.data, begin, length), is_valid))
        valid = zip(begin[is_valid].tolist(), length[is_valid].tolist(), strict=True)
        examples += [masked(bytes(text.data[at : at + size]).decode()) for at, size in valid]
    return Runs(*(np.concatenate(columns) for columns in zip(*found, strict=True))), examples


def _hash_of_digits(data: Array, begin: Array, length: Array) -> Array:
    """Return a hash of runs of at most 19 digits, of which none begins with 0."""
    number = np.zeros(len(begin), np.uint64)
    for place in range(_MOST_DIGITS):
        inside = place < length
        digit = data[np.where(inside, begin + place, 0)] - np.uint8(ord("0")) if len(begin) else number
        number = np.where(inside, number * np.uint64(10) + digit.astype(np.uint64), number)
    return np.asarray(pd.util.hash_array(number))


def _names(traces: TraceSet, *, hashed: bool) -> list[_Three]:
    """Return what was found in names of spans and events, and in status messages."""
    columns, trace, found = traces.columns, traces.forest.trace, []
    for key, labels, codes, own in (
        ("span name", columns.names, columns.spans.name, trace),
        ("status message", columns.texts, columns.spans.status_message, trace),
        ("event name", columns.texts, columns.events.name, trace[columns.events.span_row]),
    ):
        known = codes >= 0
        use = np.bincount(codes[known], minlength=len(labels))
        looked = np.flatnonzero(use)
        shown = [labels[at] for at in looked]
        zero, number = np.zeros(len(looked), np.int64), np.arange(len(looked))
        value = text_hashes(Codes(number, shown)) if hashed else number.astype(np.uint64)
        texts = Texts("text", [key], zero, blob(shown), use[looked], value)
        uses = np.searchsorted(looked, codes[known]), own[known]
        found.append(_found(traces, texts, hits(texts.text), uses))
    return found


def uses_of(traces: TraceSet, values: Array) -> tuple[Array, Array]:
    """Return every use of some attribute values: row in the table of values, and trace."""
    columns, trace = traces.columns, traces.forest.trace
    found = []
    for owned, span in (
        (columns.attributes, np.arange(len(trace))),
        (columns.event_attributes, columns.events.span_row),
        (columns.link_attributes, columns.links.span_row),
    ):
        rows, codes = owned.having(values)
        found.append((codes, trace[span[rows]]))
    on_resource = columns.resource_attributes
    if len(at := np.flatnonzero(values[on_resource.codes])):
        span = np.argsort(columns.spans.resource, kind="stable")
        own, ordered = on_resource.owners()[at], columns.spans.resource[span]
        first, last = (np.searchsorted(ordered, own, side) for side in ("left", "right"))
        count = last - first
        rows = span[np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)]
        found.append((np.repeat(on_resource.codes[at], count), trace[rows]))
    return np.concatenate([value for value, _ in found]), np.concatenate([own for _, own in found])


# -------------------------------------------------------------------- sums of one place


def _found(
    traces: TraceSet,
    texts: Texts,
    found: list[Hit],
    uses: tuple[Array, Array],
    runs: Runs | None = None,
    valid: Sequence[str] = (),
) -> _Three:
    """Return distinct values, traces and examples of one place.

    ``uses``: text and trace of every use of a text with a match; ``valid``: the valid runs, masked.
    """
    shown: dict[str, list[tuple[int, str]]] = {}
    for hit in found:
        shown.setdefault(hit.kind, []).append((hit.row, masked(hit.match)))
    entries = [_Entries(SEARCHED, np.flatnonzero(texts.use > 0)).with_values(texts)]
    if runs is not None:
        zero, rows = np.zeros(len(runs.row), np.int64), runs.row[runs.is_valid]
        entries += [_Entries(RUNS, runs.row, runs.value, zero)]
        entries += [_Entries(VALID_RUNS, rows, runs.value[runs.is_valid], zero[: len(rows)])]
        if len(rows):
            shown[CARD_OR_RUN] = [*shown.get(CARD, []), *zip(rows.tolist(), valid, strict=True)]
    traffic, examples = [no_traces()], {}
    for kind, matches in shown.items():
        rows = np.unique([row for row, _ in matches])
        entries.append(_Entries(kind, rows).with_values(texts))
        is_mine = np.isin(uses[0], rows)
        key, trace = texts.key[uses[0][is_mine]], uses[1][is_mine]
        first: dict[int, str] = {}
        for row, example in matches:
            at = int(texts.key[row])
            first[at] = min(first.get(at, example), example)
        for at, example in first.items():
            place = texts.place, texts.keys[at], kind
            own = np.unique(trace[key == at])
            traffic.append(_of_place(trace_sums(traces, own), place))
            examples[place] = example, tuple(traces.trace_ids[one] for one in own[:5])
    return _counted(texts, entries), Aggregate.concatenate(traffic), examples


class _Entries(NamedTuple):
    """Texts of one kind, or what is counted instead: text, number or hash, and uses."""

    kind: str
    row: Array
    value: Array = np.zeros(0, np.uint64)
    use: Array = np.zeros(0, np.int64)

    def with_values(self, texts: Texts) -> _Entries:
        """Return the same, for counting the texts themselves."""
        return self._replace(value=texts.value[self.row], use=texts.use[self.row])


def _counted(texts: Texts, entries: list[_Entries]) -> DistinctCounts:
    """Return distinct values by key and kind."""
    many = len(entries)
    number = np.concatenate([texts.key[one.row].astype(np.int64) * many + at for at, one in enumerate(entries)])
    group, distinct = dense_codes(number, many * max(len(texts.keys), 1))
    kinds, names = np.array([one.kind for one in entries], object), np.array([*texts.keys, ""], object)
    keys = {"key": names[distinct // many], "kind": kinds[distinct % many]}
    keys = {"place": np.full(len(distinct), texts.place, object), **keys}
    value, use = (np.concatenate([getattr(one, name) for one in entries]) for name in ("value", "use"))
    return DistinctCounts.of(keys, group, value, use)


def _of_place(sums: Aggregate, place: Place) -> Aggregate:
    """Return sums by weight class as those of a place, key and kind."""
    keys = {name: np.full(len(sums), label, object) for name, label in zip(_OWNER, place, strict=True)}
    return Aggregate(keys | sums.keys, sums.sums, sums.histogram)


def no_traces() -> Aggregate:
    """Return sums without a trace."""
    keys = {name: np.zeros(0, object) for name in [*_OWNER, CLASS]}
    sums = {"trace_count": np.zeros(0, np.int64), "request_count": np.zeros(0)}
    return Aggregate(keys, sums, Histogram.empty())
