"""The result of ``bounds``."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.bounds.estimates import estimate_of
from tracekit.analysis.bounds.limits import SOURCES
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.stats.worst_case import shares_of_width
from tracekit.text import plural

if TYPE_CHECKING:
    from tracekit.analysis.bounds.claims import Claim, Verdict
    from tracekit.analysis.bounds.hidden import Hidden
    from tracekit.findings import Estimate
    from tracekit.stats.worst_case import Masses
    from tracekit.weights.known import WeightTotals


@dataclass(frozen=True, repr=False)
class Bounds(Shown):
    """Bounds of a figure over everything that can be hidden.

    Parameters
    ----------
    claim
        The figure, and what is claimed of it.
    value
        The figure of the recorded requests, each counted once: ns, or a ratio.
    low, high
        The figure of all requests is between these, whatever was lost; ``high`` is infinite where nothing limits it;
        NaN where they are not estimable.
    verdict
        ``true`` or ``false`` if the bounds decide the claim, else ``undecided``; ``bounded`` without a claim; ``not
        estimable``.
    knowledge
        What the bounds rest on, in sentences.
    needs
        What is missing where they are not estimable; empty otherwise.
    strata
        Requests by stratum and window of the counts: their dimensions, ``start_ns``, ``end_ns``, ``request_count``,
        ``trace_count`` (usable ones), ``unseen_count``; the most unseen requests first.  Empty without counts.
    hidden, low_masses, high_masses
        What can be hidden; and the hidden requests for which the figure is lowest and highest.
    requests
        The recorded requests that the figure is of: distinct ``value`` (ns, or 1 and 0) and ``weight`` (sampling
        weight), ``trace_count``.
    weights
        The sampling weights of all traces in numbers.
    span_ns
        Time from the first to the last of these requests, in ns; a minute without two.

    Examples
    --------
    >>> tk.bounds(shop, "error rate", requests=pd.DataFrame({"count": [8]}))
    Bounds(error rate: recorded 20.0% (5 requests), 12.5–50.0% whatever was lost)
    """

    claim: Claim
    value: float
    low: float
    high: float
    verdict: Verdict
    knowledge: tuple[str, ...]
    needs: str
    strata: pd.DataFrame
    hidden: Hidden
    low_masses: Masses
    high_masses: Masses
    requests: pd.DataFrame
    weights: WeightTotals
    span_ns: float

    @property
    def request_count(self) -> int:
        """Number of recorded requests that the figure is of."""
        return self.hidden.figure.count

    @property
    def is_estimable(self) -> bool:
        """Whether there are bounds."""
        return self.verdict != "not estimable"

    @property
    def unit(self) -> str:
        """``ns`` or ``ratio``."""
        return "ns" if self.claim.is_time else "ratio"

    @property
    def statement(self) -> str:
        """What the bounds rest on, or what is missing."""
        return self.needs or "; ".join(self.knowledge)

    @cached_property
    def estimate(self) -> Estimate:
        """The figure with its 95% CI if chance alone decided which requests have traces; NaN without known weights."""
        return estimate_of(self.claim, self.requests, self.weights)

    @cached_property
    def sources(self) -> pd.DataFrame:
        """The sources of doubt, one row each, the largest part of the width first.

        ``source``; ``request_count``; ``low`` and ``high``: the bounds if the requests of the other sources were like
        the recorded ones; ``low_without`` and ``high_without``: the bounds if those of this source were;
        ``width_ratio``: its share of the width of the bounds (Shapley value; the shares sum to 1), NaN for infinite
        bounds.  Bounds in ns, or ratios.
        """
        sides = self.low_masses, self.high_masses
        numbers = sorted({int(number) for side in sides for number in side.source})
        if not self.is_estimable:
            numbers = []
        every = tuple(numbers)
        width = self.high - self.low
        parts = dict.fromkeys(numbers, math.nan)
        if math.isfinite(width) and width > 0:
            parts = shares_of_width(lambda some: self.between(some)[1] - self.between(some)[0], every)
        rows = [
            (
                SOURCES[number],
                max(float(side.of_sources([number]).size.sum()) for side in sides),
                *self.between((number,)),
                *self.between(tuple(other for other in every if other != number)),
                parts[number] / width if width > 0 else math.nan,
            )
            for number in numbers
        ]
        names = ["source", "request_count", "low", "high", "low_without", "high_without", "width_ratio"]
        table = pd.DataFrame(rows, columns=names)
        return table.sort_values(["width_ratio", "request_count"], ascending=False, kind="stable", ignore_index=True)

    def between(self, sources: tuple[int, ...]) -> tuple[float, float]:
        """Return the bounds if only the requests of these sources are hidden, and all others are like the recorded.

        Parameters
        ----------
        sources
            Their numbers, see ``limits.SOURCES``.

        Examples
        --------
        >>> tk.bounds(shop, "error rate", requests=pd.DataFrame({"count": [8]})).between(())
        (0.2, 0.2)
        """
        found = []
        for side in (self.low_masses, self.high_masses):
            some, n = side.of_sources(sources), max(self.request_count, 1)
            found.append(self.hidden.figure.at(some, 1 + float(side.size.sum() - some.size.sum()) / n))
        return found[0], found[1]

    @cached_property
    def tolerated_count(self) -> float:
        """Largest number of requests that can have been lost, beyond those without an outcome, for the same verdict.

        Of the endpoint; it needs no request counts.  NaN if the claim is undecided even if none was lost, or if nothing
        is claimed.
        """
        from tracekit.analysis.bounds.plan import tolerated  # noqa: PLC0415 - the plan is made from results

        return tolerated(self)

    def plan(self, *, usd_per_million: float = 5.0) -> pd.DataFrame:
        """Return what would decide the claim, if the further requests are like the recorded ones.

        Parameters
        ----------
        usd_per_million
            Price per million recorded traces, in USD.

        Returns
        -------
        pandas.DataFrame
            One row per way: ``action``; ``request_count``: further traces, requests whose outcome is needed, for a
            random sample all traces, for counts the most requests that there may be; ``kept_ratio``: of the requests of
            the endpoint that have a trace then; ``cost_usd`` of the traces of these requests per month
            (``tk.plan_sampling``), ``low``, ``high`` and ``verdict`` then.  Empty if the claim is decided, or nothing
            is claimed; without bounds, only how few requests have to be lost.

        Examples
        --------
        >>> found = tk.bounds(shop, "error rate < 40%", requests=pd.DataFrame({"count": [8]}))
        >>> found.verdict, found.plan()["action"].iloc[0]
        ('undecided', 'record 2 more of the 3 requests without a trace')
        """
        from tracekit.analysis.bounds.plan import plan_of  # noqa: PLC0415 - the plan is made from results

        return plan_of(self, usd_per_million)

    def __repr__(self) -> str:
        claim, words = self.claim, self.claim.words
        known = (
            f"recorded {words(self.value)} ({plural(self.request_count, 'request')})"
            if self.request_count
            else "none recorded"
        )
        if not self.is_estimable:
            return f"Bounds({claim.subject}: {known}, bounds not estimable: {self.needs})"
        verdict = f"; {claim.condition}: {self.verdict}" if claim.condition else ""
        return f"Bounds({claim.subject}: {known}, {self.range_words()} whatever was lost{verdict})"

    def range_words(self) -> str:
        """Return the bounds with their unit, ``not estimable`` without any.

        Examples
        --------
        >>> tk.bounds(shop, "p50", requests=pd.DataFrame({"count": [8]})).range_words()
        '40.0–160 ms'
        """
        return self.claim.range_words(self.low, self.high)

    def _repr_html_(self) -> str:
        said = "".join(f"<li>{html.escape(one)}</li>" for one in self.knowledge)
        suffix = {name: f"{name}_{self.unit}" for name in ("low", "high", "low_without", "high_without")}
        sources = self.sources.rename(columns=suffix).replace(math.inf, math.nan)
        table = as_html(sources) if len(sources) else ""
        spare = self.tolerated_count
        lost = f"at most {plural(spare, 'request')} {'was' if spare == 1 else 'were'} lost"
        more = f"<p>The claim is decided as long as {lost}.</p>" if np.isfinite(spare) and spare > 0 else ""
        return f"<p>{html.escape(repr(self))}</p><ul>{said}</ul>{table}{more}"
