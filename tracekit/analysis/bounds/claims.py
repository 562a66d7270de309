"""Claims about requests, such as ``p99 of POST /checkout < 1.5 s``: read, and decided by bounds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from tracekit.findings import Finding
from tracekit.text import clean, duration, interval, ratio, round_duration, round_ratio

if TYPE_CHECKING:
    from tracekit.schema import Array

Metric = Literal["quantile", "mean", "slower", "failed"]
Verdict = Literal["true", "false", "undecided", "bounded", "not estimable"]
_UNITS: Final = {"ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "min": 6e10}
_NUMBER: Final = r"\d+(?:\.\d+)?"
_TIME: Final = rf"(?P<number>{_NUMBER}) ?(?P<unit>{'|'.join(_UNITS)})"
_LIMIT: Final = rf"(?P<limit>{_NUMBER}) ?(?P<limit_unit>{'|'.join(_UNITS)})"
_PERCENT: Final = rf"(?P<number>{_NUMBER}) ?(?P<unit>%)"
_PLACE: Final = r"(?: of (?P<place>.+?))?"
_OPERATOR: Final = r"(?P<operator>is|=|<=|<|>=|>)"
_TIMES: Final = rf"{_PLACE}(?: {_OPERATOR} {_TIME})?"
_SHARES: Final = rf"{_PLACE}(?: {_OPERATOR} {_PERCENT})?"
_FORMS: Final[tuple[tuple[Metric, str], ...]] = (
    ("quantile", rf"p(?P<quantile>{_NUMBER}){_TIMES}"),
    ("mean", rf"mean{_TIMES}"),
    ("failed", rf"error[ _]rate{_SHARES}"),
    ("slower", rf"slower than {_LIMIT}{_SHARES}"),
    ("failed", rf"{_PERCENT}{_PLACE} failed"),
    ("slower", rf"{_PERCENT}{_PLACE} slower than {_LIMIT}"),
)
FORMS: Final = (
    "'p99 of POST /checkout < 1.5 s', 'mean < 200 ms', 'error rate of POST /checkout < 1%', '2% failed' or "
    "'5% slower than 300 ms'"
)
FAILED: Final = "failed"
SLOWER: Final = rf"slower than {_LIMIT}"
_WHOLE: Final = 100.0


@dataclass(frozen=True)
class Claim:
    """A figure of requests, and what is claimed of it.

    Parameters
    ----------
    metric
        ``quantile``, ``mean`` (of latency), ``slower`` (share of requests), ``failed`` (share of requests).
    share
        Of the quantile, such as 0.99; None for other metrics.
    limit_ns
        Of ``slower``; None for other metrics.
    place
        Endpoint; None for all requests.
    operator
        ``is``, ``<``, ``<=``, ``>``, ``>=``; empty if nothing is claimed.
    value
        In ns, or a ratio; NaN if nothing is claimed.
    half
        Half the last digit of the value as written: a figure that ``is`` 1.2 s is between 1.15 and 1.25 s.

    Examples
    --------
    >>> claim = claim_of("p99 of POST /checkout < 1.5 s")
    >>> claim.subject, claim.verdict(1.1e9, 1.4e9), claim.verdict(1.1e9, 1.9e9)
    ('p99 of POST /checkout', 'true', 'undecided')
    """

    metric: Metric
    share: float | None = None
    limit_ns: float | None = None
    place: str | None = None
    operator: str = ""
    value: float = math.nan
    half: float = 0.0

    @property
    def is_time(self) -> bool:
        """Whether the figure is a time in ns, and not a ratio."""
        return self.metric in {"quantile", "mean"}

    @property
    def edges(self) -> Array:
        """The values, ascending, that a duration in ns must not cross when it is rounded: what is asked about it."""
        ends = (self.value - self.half, self.value, self.value + self.half) if self.is_time else (self.limit_ns,)
        return np.unique([end for end in ends if end is not None and not math.isnan(end)])

    @property
    def subject(self) -> str:
        """The figure in words."""
        of = f" of {clean(self.place, limit=80)}" if self.place is not None else ""
        if self.metric == "quantile":
            return f"p{_WHOLE * (self.share or 0):g}{of}"
        if self.metric == "mean":
            return f"mean latency{of}"
        return (
            f"error rate{of}" if self.metric == "failed" else f"share{of} slower than {round_duration(self.limit_ns)}"
        )

    @property
    def condition(self) -> str:
        """What is claimed of it, such as ``< 1.5 s``; empty if nothing is."""
        if not self.operator:
            return ""
        return f"{self.operator} {(round_duration if self.is_time else round_ratio)(self.value)}"

    def words(self, value: float) -> str:
        """Return a value of the figure with its unit."""
        return duration(value) if self.is_time else ratio(value)

    def range_words(self, low: float, high: float) -> str:
        """Return bounds of the figure with their unit.

        Examples
        --------
        >>> claim_of("p99").range_words(1e9, 2e9), claim_of("error rate").range_words(0.0, 0.0)
        ('1.00–2.00 s', 'exactly 0%')
        """
        return f"exactly {self.words(low)}" if low == high else interval(low, high, self.words, confidence="")

    def values(self, duration_ns: Array, is_error: Array) -> Array:
        """Return the value of each request whose mean or quantile the figure is: ns, or 1 and 0.

        Examples
        --------
        >>> claim_of("slower than 300 ms").values(np.array([2e8, 4e8]), np.array([True, False])).tolist()
        [0.0, 1.0]
        """
        if self.metric == "failed":
            return is_error.astype(float)
        took = duration_ns.astype(float)
        return (took > self.limit_ns).astype(float) if self.limit_ns is not None else took

    def verdict(self, low: float, high: float) -> Verdict:
        """Return what bounds say of the claim.

        Examples
        --------
        >>> claim_of("2% failed").verdict(0.016, 0.024), claim_of("error rate < 1%").verdict(0.01, 0.02)
        ('true', 'false')
        """
        if math.isnan(low) or math.isnan(high):
            return "not estimable"
        if not self.operator:
            return "bounded"
        holds = {
            "<": (high < self.value, low >= self.value),
            "<=": (high <= self.value, low > self.value),
            ">": (low > self.value, high <= self.value),
            ">=": (low >= self.value, high < self.value),
            "is": (
                self.value - self.half <= low and high <= self.value + self.half,
                high < self.value - self.half or low > self.value + self.half,
            ),
        }[self.operator]
        return "true" if holds[0] else "false" if holds[1] else "undecided"


def claim_of(claim: str | Finding) -> Claim:
    """Return a parsed claim; ValueError lists the forms.

    Parameters
    ----------
    claim
        Text, or the finding on the error rate (check ``failures``).

    Examples
    --------
    >>> claim_of("5% of GET /cart slower than 300 ms").subject
    'share of GET /cart slower than 300 ms'
    """
    if isinstance(claim, Finding):
        return claim_of(_text_of(claim))
    if not isinstance(claim, str):
        raise TypeError(f"expected a claim such as {FORMS}, found {type(claim).__name__}")
    text = " ".join(claim.split())
    matches = ((metric, re.fullmatch(form, text)) for metric, form in _FORMS)
    metric, found = next(((metric, match) for metric, match in matches if match), (None, None))
    if metric is None or found is None:
        raise ValueError(f"expected a claim such as {FORMS}, found {claim!r}")
    parts: dict[str, Any] = found.groupdict()
    share = None if metric != "quantile" else float(parts["quantile"]) / _WHOLE
    if share is not None and not 0 < share < 1:
        raise ValueError(
            f"expected a quantile between p0 and p100, such as p99, found p{parts['quantile']} in {claim!r}"
        )
    limit = time_ns(parts["limit"], parts["limit_unit"]) if parts.get("limit") else None
    place = parts.get("place")
    if parts.get("number") is None:
        return Claim(metric, share, limit, place)
    scale = 1 / _WHOLE if parts["unit"] == "%" else _UNITS[parts["unit"]]
    value, digits = float(parts["number"]) * scale, len(parts["number"].partition(".")[2])
    is_exact = parts["unit"] == "%" and value in {0, 1}  # only 0 and 1 themselves are written so
    operator = {"=": "is"}.get(parts.get("operator") or "is", parts.get("operator") or "is")
    return Claim(metric, share, limit, place, operator, value, 0.0 if is_exact else scale * 0.5 * 10.0**-digits)


def time_ns(number: str, unit: str) -> float:
    """Return a time in ns.

    Examples
    --------
    >>> time_ns("1.5", "s")
    1500000000.0
    """
    return float(number) * _UNITS[unit]


def _text_of(finding: Finding) -> str:
    """Return what the finding on the error rate claims; TypeError for other findings."""
    if finding.check != "failures" or finding.estimate is None or math.isnan(finding.estimate.value):
        raise TypeError(f"expected a claim or the finding 'failures' with an error rate, found {finding.check!r}")
    value = ratio(finding.estimate.value)
    return f"error rate {value[0]} {value[1:]}" if value[0] in "<>" else f"error rate is {value}"
