"""The sampling weights of traces, and a statement of what figures computed with them describe."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.attributes import Codes
from tracekit.filters import by_plain_id
from tracekit.on_demand import pd
from tracekit.text import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.columns import Array

_LEAST, _MOST = 1 - 1e-9, 2.0**63  # beyond it, squares of weights lose precision
UNKNOWN, NOT_SAMPLED, BEYOND = "unknown", "not sampled", "outside the probability sample"
CERTAIN = "tail policy, certain"
UNKNOWN_WEIGHTS = "sampling weights unknown"
LOG, CALIBRATION, TRACE_IDS = "log", "calibration", "trace IDs"
MARKS = ("tracestate ot=th", "tracestate ot=p", "SampleRate", "jaeger sampler")
"""Sources recorded in the traces by samplers."""
STRATIFIED = frozenset({LOG, CALIBRATION})
"""Sources that give the fraction kept of a stratum, but not the probability of each request."""


@dataclass(frozen=True)
class Weights:
    """Sampling weights, one entry per trace.

    Parameters
    ----------
    value
        float64: 1 / inclusion probability. 0 for a trace that is not part of the probability sample (``not sampled``,
        ``outside the probability sample``). 1 where unknown, so that it counts once; see ``known``.
    source
        Source of the weight: ``tracestate ot=th``, ``given``, ..., ``unknown``.
    refusal
        Why weights from a record, a rule or the ids were rejected and are unknown; empty if none were.

    Examples
    --------
    >>> weights = Weights(np.array([4.0, 1.0]), Codes(np.array([0, 1]), ["tracestate ot=th", "unknown"]))
    >>> weights.known, weights.probability
    (array([ True, False]), array([0.25,  nan]))
    >>> weights.statement.partition(":")[0]
    'sampling weights unknown for 1 of 2 traces, which count as 1'
    """

    value: Array
    source: Codes
    refusal: str = ""

    def is_from(self, *sources: str) -> Array:
        """Return which weights are from a source with one of these name prefixes.

        Examples
        --------
        >>> Weights(np.array([4.0, 1.0]), Codes(np.array([0, 1]), ["rule, fixed rate", UNKNOWN])).is_from("rule")
        array([ True, False])
        """
        chosen = np.array([label.startswith(sources) for label in self.source.labels], bool)
        return np.asarray(chosen[self.source.codes])

    def refused(self, rows: Array, why: str) -> Weights:
        """Return the weights with those of some traces (bool) set to unknown.

        Examples
        --------
        >>> own = Weights(np.array([4.0, 4.0]), Codes(np.array([0, 0]), ["rule, fixed rate"]))
        >>> less = own.refused(np.array([True, False]), "two samplers decided")
        >>> less.value.tolist(), less.sources, less.refusal
        ([1.0, 4.0], {'rule, fixed rate': 1, 'unknown': 1}, 'two samplers decided')
        """
        if not rows.any():
            return self
        labels = [*self.source.labels, UNKNOWN] if UNKNOWN not in self.source.labels else self.source.labels
        codes = np.where(rows, labels.index(UNKNOWN), self.source.codes).astype(np.int32)
        refusal = self.refusal if why in self.refusal else "; ".join(filter(None, (self.refusal, why)))
        return Weights(np.where(rows, 1.0, self.value), Codes(codes, labels), refusal)

    def take(self, rows: Array) -> Weights:
        """Return the weights of some traces.

        Examples
        --------
        >>> Weights(np.array([4.0, 1.0]), Codes(np.array([0, 0]), ["given"])).take(np.array([1])).value
        array([1.])
        """
        return Weights(self.value[rows], self.source.take(rows), self.refusal)

    def at(self, traces: Array) -> Array | float:
        """Return the weight of the trace of each row, one number if that of all is 1.

        Examples
        --------
        >>> Weights(np.array([4.0, 1.0]), Codes(np.array([0, 0]), ["given"])).at(np.array([1, 1, 0]))
        array([1., 1., 4.])
        """
        return 1.0 if (self.value == 1).all() else self.value[traces]

    def scaled(self, factor: float) -> Weights:
        """Return the weights with the known ones multiplied.

        Examples
        --------
        >>> Weights(np.array([4.0, 1.0]), Codes(np.array([0, 1]), ["given", UNKNOWN])).scaled(2.5).value
        array([10.,  1.])
        """
        return Weights(np.where(self.known, self.value * factor, self.value), self.source, self.refusal)

    def or_else(self, found: Weights) -> Weights:
        """Return the known weights, and those of ``found`` for the other traces.

        Examples
        --------
        >>> own = Weights(np.array([4.0, 1.0]), Codes(np.array([0, 1], np.int32), ["rule", UNKNOWN]))
        >>> found = Weights(np.array([9.0, 20.0]), Codes(np.array([0, 0], np.int32), ["counts"]))
        >>> own.or_else(found).value.tolist(), own.or_else(found).source.labels
        ([4.0, 20.0], ['rule', 'unknown', 'counts'])
        """
        codes = np.where(self.known, self.source.codes, found.source.codes + len(self.source.labels))
        labels = [*self.source.labels, *found.source.labels]
        distinct = list(dict.fromkeys(labels))
        number = np.array([distinct.index(label) for label in labels], np.int32)
        value = np.where(self.known, self.value, found.value)
        return Weights(value, Codes(number[codes], distinct), found.refusal)

    @property
    def known(self) -> Array:
        """bool: whether the weight is known."""
        known = np.array([label != UNKNOWN for label in self.source.labels], bool)
        return np.asarray(known[self.source.codes])

    @property
    def probability(self) -> Array:
        """float64: inclusion probability; NaN where unknown, or where the weight is 0."""
        usable = self.known & (self.value > 0)
        return np.where(usable, 1 / np.where(usable, self.value, 1), np.nan)

    @property
    def is_one_kind(self) -> bool:
        """Whether all traces of positive weight were selected by outcome (failed, slow): none represents the rest."""
        return self.totals.is_one_kind

    @property
    def n_effective(self) -> float:
        """Kish's effective number of traces: (sum w)^2 / sum w^2."""
        square = float((self.value**2).sum())
        return float(self.value.sum()) ** 2 / square if square > 0 else 0.0

    @property
    def n_at_lowest_rate(self) -> float:
        """Number of traces if all were sampled at the lowest rate: sum w / max w; at most ``n_effective``."""
        return float(self.value.sum() / self.value.max()) if self.value.any() else 0.0

    @property
    def sources(self) -> dict[str, int]:
        """Number of traces by source, the most frequent first."""
        count = np.bincount(self.source.codes, minlength=len(self.source.labels))
        found = [(label, int(n)) for label, n in zip(self.source.labels, count, strict=True) if n]
        return dict(sorted(found, key=lambda pair: -pair[1]))

    @property
    def totals(self) -> WeightTotals:
        """Counts and sums, which can be added for parts of a set."""
        return WeightTotals(
            len(self.value),
            int((~self.known).sum()),
            int((self.value == 0).sum()),
            int((self.value == 1).sum()),
            float(self.value.sum()),
            float((self.value**2).sum()),
            self.sources,
            (self.refusal,) if self.refusal else (),
        )

    @property
    def statement(self) -> str:
        """What weighted figures describe, as a clause: all traffic, the recorded traces, or neither."""
        return self.totals.statement


class WeightTotals(NamedTuple):
    """The weights of a set in numbers: counts of traces, sums, and traces by source.

    Examples
    --------
    >>> part = Weights(np.array([4.0]), Codes(np.array([0]), ["tracestate ot=th"])).totals
    >>> (part + part).trace_count, (part + part).weight_sum
    (2, 8.0)
    """

    trace_count: int
    unknown_count: int
    zero_count: int
    one_count: int
    weight_sum: float
    square_sum: float
    sources: dict[str, int]
    refusals: tuple[str, ...]

    def __add__(self, other: WeightTotals) -> WeightTotals:  # type: ignore[override]  # not those of a tuple
        """Return the totals of the traces of both."""
        return WeightTotals(
            self.trace_count + other.trace_count,
            self.unknown_count + other.unknown_count,
            self.zero_count + other.zero_count,
            self.one_count + other.one_count,
            self.weight_sum + other.weight_sum,
            self.square_sum + other.square_sum,
            dict((Counter(self.sources) + Counter(other.sources)).most_common()),
            tuple(dict.fromkeys(self.refusals + other.refusals)),
        )

    @property
    def is_one_kind(self) -> bool:
        """Whether all traces of positive weight were selected by outcome (failed, slow): none represents the rest."""
        named = [name for name in self.sources if name not in {NOT_SAMPLED, BEYOND}]
        return bool(named) and all(name.endswith(CERTAIN) for name in named)

    @property
    def n_effective(self) -> float:
        """Kish's effective number of traces."""
        return self.weight_sum**2 / self.square_sum if self.square_sum > 0 else 0.0

    @property
    def statement(self) -> str:
        """What weighted figures describe, as a clause: all traffic, the recorded traces, or neither."""
        total, missing, refusal = self.trace_count, self.unknown_count, "; ".join(self.refusals)
        if not total:
            return "no traces"
        if missing == total:
            why = f" {refusal};" if refusal else ""
            return f"{UNKNOWN_WEIGHTS}:{why} figures describe the recorded traces only, not all traffic"
        if missing and refusal:
            return (
                f"sampling weights unknown for {missing:,} of {total:,} traces: {refusal}; these count as 1, and"
                " figures describe neither the recorded traces nor all traffic"
            )
        if missing:
            return (
                f"sampling weights unknown for {missing:,} of {total:,} traces, which count as 1:"
                " figures describe neither the recorded traces nor all traffic"
            )
        if self.zero_count == total:
            return f"all {total:,} traces are outside the probability sample and count as 0: figures describe nothing"
        named = {name: n for name, n in self.sources.items() if name not in {NOT_SAMPLED, BEYOND}}
        several = f"{len(named)} sources ({', '.join(f'{n:,} from {name}' for name, n in named.items())})"
        origin = f"weights from {several if len(named) > 1 else next(iter(named))}"
        if self.zero_count:
            origin += f"; {plural(self.zero_count, 'trace')} outside the probability sample count as 0"
        if named and all(name.endswith(CERTAIN) for name in named):
            return f"{origin}: all were selected by outcome, and figures describe such requests, not all traffic"
        if self.one_count == total:
            return f"{origin}: all are 1, every request has a trace, and figures describe all traffic"
        equal = ", assuming equal sampling within each stratum" * bool(STRATIFIED & set(named))
        return f"{origin}: figures describe all traffic{equal} (effective sample size {self.n_effective:,.0f})"


class Weighted:
    """A result with weighted figures: ``statement`` describes what they mean (see ``Weights.statement``).

    The ``repr`` ends with its first clause; notebooks and figures show all of it.

    Examples
    --------
    >>> answer = Weighted()
    >>> answer.statement = "sampling weights unknown: figures describe the recorded traces"
    >>> answer
    Weighted(; sampling weights unknown)
    """

    statement: str

    def _line(self) -> str:
        """Return the ``repr`` without what the figures describe."""
        return f"{type(self).__name__}()"

    def __repr__(self) -> str:
        line, known = self._line(), self.statement.partition(":")[0]
        return f"{line[:-1]}; {known})" if known else line

    def heading(self) -> str:
        """Return an HTML paragraph with the counts and whether the figures are weighted."""
        return f"<p>{html.escape('; '.join(part for part in (self._line(), self.statement) if part))}</p>"


def given(
    trace_ids: list[str],
    weights: Mapping[str, float] | pd.Series | Sequence[float] | Array | float,
    source: str = "given",
) -> Weights:
    """Return given weights: one for all, one per trace in order, or by trace id."""
    if np.isscalar(weights):
        value = np.full(len(trace_ids), float(weights))  # type: ignore[arg-type]
    elif isinstance(weights, (np.ndarray, list, tuple)):
        value = np.asarray(weights, np.float64)
    else:
        by_id = by_plain_id(pd.Series(weights, dtype="float64"), trace_ids)
        value = by_id.reindex(trace_ids).to_numpy(np.float64)
    if len(value) != len(trace_ids):
        message = f"expected one weight for each of {len(trace_ids)} traces, found {len(value)}"
        raise ValueError(message)
    wrong = np.flatnonzero(~((value >= _LEAST) & (value <= _MOST)))
    if len(wrong):
        others = f" and {plural(len(wrong) - 1, 'other trace')}"
        message = (
            f"weights must be from 1 to 2^63; found {value[wrong[0]]} for trace {trace_ids[wrong[0]]}"
            f"{others * (len(wrong) > 1)}; pass 1 / sampling probability, indexed by trace ID"
        )
        raise ValueError(message)
    return Weights(value, Codes(np.zeros(len(value), np.int32), [source]))
