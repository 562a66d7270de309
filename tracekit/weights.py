"""How many traces each trace stands for: 1 / inclusion probability, with where that came from.

A weight that nobody recorded is 1 and its source is ``unknown``: the two are told apart in every summary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.attributes import Codes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.columns import Array, SpanColumns
    from tracekit.forest import Forest

_THRESHOLD_DIGITS = 14
_ALL = 1 << 56


@dataclass(frozen=True)
class Weights:
    """One entry a trace.

    Parameters
    ----------
    value
        float64: 1 / inclusion probability; 1 where unknown.
    source
        Where it came from: ``tracestate ot=th``, ``given``, ``unknown``.

    Examples
    --------
    >>> Weights(np.array([4.0, 1.0]), Codes(np.array([0, 1]), ["tracestate ot=th", "unknown"])).known
    array([ True, False])
    """

    value: Array
    source: Codes

    @property
    def known(self) -> Array:
        """Whether anybody recorded the weight."""
        known = np.array([label != "unknown" for label in self.source.labels])
        return np.asarray(known[self.source.codes])

    @property
    def n_effective(self) -> float:
        """Kish's effective number of traces: (sum w)^2 / sum w^2."""
        return float(self.value.sum() ** 2 / (self.value**2).sum()) if len(self.value) else 0.0


def probability(trace_state: str) -> float | None:
    """Return the inclusion probability that a tracestate records, None without one.

    Parameters
    ----------
    trace_state
        A W3C tracestate; ``ot=th:<1 to 14 hex digits>`` is the rejection threshold, padded on the right.

    Returns
    -------
    float or None
        (2^56 - threshold) / 2^56.

    Examples
    --------
    >>> probability("vendor=x,ot=th:c;rv:1234567890abcd"), probability("ot=th:0"), probability("vendor=x")
    (0.25, 1.0, None)
    """
    for entry in trace_state.split(","):
        vendor, _, text = entry.strip().partition("=")
        if vendor != "ot":
            continue
        for part in text.split(";"):
            name, _, digits = part.partition(":")
            if name == "th" and 0 < len(digits) <= _THRESHOLD_DIGITS:
                return _kept_share(digits)
    return None


def _kept_share(digits: str) -> float | None:
    """Return the share that a threshold keeps; None where it is not hexadecimal."""
    if not all(c in "0123456789abcdef" for c in digits):
        return None
    return (_ALL - int(digits.ljust(_THRESHOLD_DIGITS, "0"), 16)) / _ALL


def probabilities(codes: Array, texts: list[str]) -> Array:
    """Return the recorded inclusion probability of every span, NaN without one; ``codes`` are into ``texts``."""
    result = np.full(len(texts) + 1, np.nan)
    for code in np.unique(codes[codes >= 0]):
        result[code] = np.nan if (p := probability(texts[code])) is None else p
    return np.asarray(result[codes])


def recorded(spans: SpanColumns, forest: Forest, texts: list[str]) -> Weights:
    """Return the weights that the roots' tracestates record.

    Parameters
    ----------
    spans
        The columns.
    forest
        Their shape; the root's decision is the trace's.
    texts
        What ``spans.trace_state`` codes mean.

    Returns
    -------
    Weights
        1 and ``unknown`` where nothing is recorded.
    """
    share = probabilities(spans.trace_state[forest.root_row], texts) if len(spans) else np.zeros(0)
    known = share > 0
    value = np.ones(len(share))
    value[known] = 1 / share[known]
    return Weights(value, Codes(np.where(known, 0, 1).astype(np.int32), ["tracestate ot=th", "unknown"]))


def given(trace_ids: list[str], weights: Mapping[str, float] | pd.Series | Sequence[float] | Array | float) -> Weights:
    """Return weights that the user gives: one for all, one each in order, or by trace id.

    Raises
    ------
    ValueError
        A weight that is missing, not finite or not positive, or the wrong number of them.
    """
    if np.isscalar(weights):
        value = np.full(len(trace_ids), float(weights))  # type: ignore[arg-type]
    elif isinstance(weights, (np.ndarray, list, tuple)):
        value = np.asarray(weights, np.float64)
    else:
        value = pd.Series(weights, dtype="float64").reindex(trace_ids).to_numpy(np.float64)
    if len(value) != len(trace_ids):
        message = f"expected one weight for each of {len(trace_ids)} traces, found {len(value)}"
        raise ValueError(message)
    wrong = np.flatnonzero(~(np.isfinite(value) & (value > 0)))
    if len(wrong):
        message = (
            f"expected a positive weight for every trace, found {value[wrong[0]]} for trace {trace_ids[wrong[0]]}"
            f" and {len(wrong) - 1} more; give 1 / inclusion probability, by trace id"
        )
        raise ValueError(message)
    return Weights(value, Codes(np.zeros(len(value), np.int32), ["given"]))
