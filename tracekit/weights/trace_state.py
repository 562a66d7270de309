"""Sampling fields of a tracestate: ``ot=th`` (threshold), the older ``ot=p``, randomness, X-Ray's rule."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from tracekit.attributes import Codes
from tracekit.weights.known import UNKNOWN, Weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.columns import Array, SpanColumns
    from tracekit.forest import Forest

THRESHOLD_SOURCE = "tracestate ot=th"
_THRESHOLD_DIGITS, _RULE_DIGITS, _NEVER = 14, 16, 63
_ALL = 1 << 56


def probability(trace_state: str) -> float | None:
    """Return the inclusion probability that a tracestate records, None without one."""
    rejected = threshold(trace_state)
    return None if rejected is None else (_ALL - rejected) / _ALL


def member(trace_state: str, vendor: str, name: str | None = None) -> str | None:
    """Return one vendor's entry, or one named part of it."""
    for entry in trace_state.split(","):
        key, _, text = entry.strip().partition("=")
        if key != vendor:
            continue
        if name is None:
            return text
        for part in text.split(";"):
            label, colon, value = part.partition(":")
            if label == name and colon:
                return value
    return None


def threshold(trace_state: str) -> int | None:
    """Return the rejection threshold of ``ot=th``: a trace is kept if its 56 random bits are not below it."""
    digits = member(trace_state, "ot", "th") or ""
    return int(digits.ljust(_THRESHOLD_DIGITS, "0"), 16) if _is_hex(digits, _THRESHOLD_DIGITS) else None


def randomness(trace_state: str) -> int | None:
    """Return the explicit randomness ``ot=rv``, None if the low 56 bits of the trace id are used."""
    digits = member(trace_state, "ot", "rv") or ""
    return int(digits, 16) if len(digits) == _THRESHOLD_DIGITS and _is_hex(digits, _THRESHOLD_DIGITS) else None


def legacy_probability(trace_state: str) -> float | None:
    """Return the inclusion probability of the older ``ot=p``: 2^-p, 0 for p = 63."""
    digits = member(trace_state, "ot", "p") or ""
    if not (digits.isascii() and digits.isdigit()) or int(digits) > _NEVER:
        return None
    return 0.0 if int(digits) == _NEVER else 2.0 ** -int(digits)


def rule_hash(rule_name: str) -> str:
    """Return the hash of a rule name in ``xrsr``, as written by X-Ray's samplers for OpenTelemetry."""
    return hashlib.sha256(rule_name.encode()).hexdigest()[:_RULE_DIGITS]


def _is_hex(digits: str, most: int) -> bool:
    """Return whether this is a lower-case hexadecimal number of at most ``most`` digits."""
    return 0 < len(digits) <= most and all(c in "0123456789abcdef" for c in digits)


def probabilities(codes: Array, texts: list[str]) -> Array:
    """Return the recorded inclusion probability of every span, NaN without one; ``codes`` are into ``texts``."""
    return by_text(codes, texts, probability)


def by_text(codes: Array, texts: list[str], read: Callable[[str], float | None]) -> Array:
    """Return the number parsed from each text, NaN without one; ``codes`` are into ``texts``, -1 = none."""
    result = np.full(len(texts) + 1, np.nan)
    for code in np.flatnonzero(np.bincount(codes[codes >= 0])).tolist():
        found = read(texts[code])
        result[code] = np.nan if found is None else found
    return np.asarray(result[codes])


def recorded(spans: SpanColumns, forest: Forest, texts: list[str]) -> Weights:
    """Return the weights recorded in the tracestates of root spans."""
    share = probabilities(spans.trace_state[forest.root_row], texts) if len(spans) else np.zeros(0)
    known = share > 0
    value = np.ones(len(share))
    value[known] = 1 / share[known]
    return Weights(value, Codes(np.where(known, 0, 1).astype(np.int32), [THRESHOLD_SOURCE, UNKNOWN]))
