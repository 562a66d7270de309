"""What is stated about requests that were lost: the least and the most that the value of each can be."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.bounds.claims import FAILED, SLOWER, time_ns
from tracekit.text import round_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.bounds.claims import Claim
    from tracekit.columns import Array

UNFINISHED, NO_ROOT, EMPTY, UNTRACED = range(4)
SOURCES: Final = (
    "unfinished requests",
    "traces without a root span",
    "requests in windows without traces",
    "other requests without a trace",
)
"""Sources of doubt by number."""


class Limits(NamedTuple):
    """What is stated.

    Parameters
    ----------
    longest_ns
        No request takes longer.
    keeps_failed
        Every failed request has a trace, except in windows without traces.
    keeps_slower_ns
        Every request that takes longer has a trace, except in windows without traces.
    only_5xx_failed
        A request failed if and only if it was counted with status 5xx.
    """

    longest_ns: float = math.inf
    keeps_failed: bool = False
    keeps_slower_ns: float = math.inf
    only_5xx_failed: bool = False

    @property
    def statements(self) -> list[str]:
        """What is stated, in sentences."""
        said = []
        if math.isfinite(self.longest_ns):
            said.append(f"no request takes longer than {round_duration(self.longest_ns)}")
        if self.keeps_failed:
            said.append("every failed request has a trace, except in windows without traces")
        if math.isfinite(self.keeps_slower_ns):
            slower = round_duration(self.keeps_slower_ns)
            said.append(f"every request slower than {slower} has a trace, except in windows without traces")
        if self.only_5xx_failed:
            said.append("exactly the requests with status 5xx failed")
        return said

    def of(self, claim: Claim, source: int, *, is_5xx: bool = False) -> tuple[float, float]:
        """Return the least and the most that the value of a hidden request can be.

        Examples
        --------
        >>> from tracekit.analysis.bounds.claims import claim_of
        >>> Limits(keeps_slower_ns=1e9).of(claim_of("p99"), UNTRACED)
        (0.0, 1000000000.0)
        """
        if claim.metric == "failed":
            return self._failed(source, is_5xx=is_5xx)
        most = min(self.longest_ns, self.keeps_slower_ns) if source == UNTRACED else self.longest_ns
        low, high = self.value(claim, np.zeros(1), most)
        return float(low[0]), high

    def _failed(self, source: int, *, is_5xx: bool) -> tuple[float, float]:
        """Return whether a request can have succeeded and failed."""
        if is_5xx:
            return 1.0, 1.0
        cannot = self.only_5xx_failed or (self.keeps_failed and source == UNTRACED)
        return 0.0, 0.0 if cannot else 1.0

    def value(self, claim: Claim, least_ns: Array, most_ns: float) -> tuple[Array, float]:
        """Return limits of the value of requests from limits of their durations.

        Examples
        --------
        >>> from tracekit.analysis.bounds.claims import claim_of
        >>> Limits().value(claim_of("slower than 1 s"), np.array([0.0, 2e9]), math.inf)
        (array([0., 1.]), 1.0)
        """
        if claim.metric == "failed":
            return np.zeros(len(least_ns)), 1.0
        if claim.limit_ns is None:
            return np.minimum(least_ns, most_ns), most_ns
        return (least_ns > claim.limit_ns).astype(float), float(most_ns > claim.limit_ns)


def limits_of(longest_ms: float | None, always_recorded: str | Sequence[str], *, only_5xx_failed: bool) -> Limits:
    """Return what the arguments state; ValueError if they cannot be read."""
    if longest_ms is not None and not longest_ms > 0:
        raise ValueError(f"expected longest_ms above 0, such as 30000, found {longest_ms!r}")
    keeps_failed, slower = False, math.inf
    for kept in [always_recorded] if isinstance(always_recorded, str) else always_recorded:
        text = " ".join(str(kept).split())
        match = re.fullmatch(SLOWER, text)
        if text != FAILED and not match:
            raise ValueError(f"expected always_recorded 'failed' or 'slower than 1 s', found {kept!r}")
        keeps_failed |= text == FAILED
        slower = min(slower, time_ns(match["limit"], match["limit_unit"])) if match else slower
    longest = math.inf if longest_ms is None else longest_ms * 1e6
    return Limits(longest, keeps_failed, slower, only_5xx_failed)
