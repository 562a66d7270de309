"""Who is affected, how many, and who is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tracekit.checks.changes.affected import affected_by, affected_finding, affected_requests, has_contrast, in_part
from tracekit.checks.changes.customers import customers_of
from tracekit.checks.request_keys import share_of
from tracekit.checks.screen.own_band import own_band
from tracekit.findings import Estimate, Finding
from tracekit.text import count, from_to, interval, plural, ratio

if TYPE_CHECKING:
    from tracekit.checks.changes.affected import Band
    from tracekit.checks.screen.made import Made

_CUSTOMERS = ("affected", "slow_requests", "failed_requests")


def affected(made: Made) -> Finding | None:
    """Return who is affected, and what did not change; None without a regression or a slow group."""
    regression = made.regression
    one = made.first(*_CUSTOMERS)
    if one is None and regression is not None and regression.metric == "mean":
        about = made.warning("suspects") if regression.finding.check == "change" else regression.finding
        one = None if about is None else _of_finding(made, about)
    if one is None:
        one = None if regression is None or regression.band is None else _everybody(made, regression.band)
    if one is None:
        return None
    text = one.headline.removeprefix("Affected: ")
    return replace(one, check="screen.affected", headline=f"{text}{_unchanged(made)}", method="", severity="notice",
                   status="measured")  # fmt: skip


def _of_finding(made: Made, finding: Finding) -> Finding | None:
    """Return whose requests have more of what a finding is about; None where no attribute sets them apart."""
    band = own_band(made, finding)
    found = affected_by(band) if band is not None and has_contrast(band) else None
    return None if found is None or not found.key else affected_finding(found)


def _everybody(made: Made, band: Band) -> Finding:
    """Return which share of the requests is slow or failed, where no attribute sets them apart."""
    shares = [share_of(side, np.ones(len(side[0].chosen), bool), 0.95) for side in band.sides]
    value, low, high = shares[0]
    named = f"{count(band.sides[0][0].trace_count)} of {plural(band.trace_counts[0], band.noun)}"
    customers = customers_of(band.sides[0][0], band.sides[0][0].chosen)
    tried = [one.differences for one in made.case.result(affected_requests) if one.band is band]
    rare = "".join(map(in_part, tried))
    whose = "" if customers is None else f" from {customers.words}"
    left = " that redaction leaves" * (made.case.policy is not None)
    text = (
        f"{from_to(shares[1][0], value, ratio)} of {band.what} {band.verb[0]} ({named}{whose}; "
        f"{interval(low, high, ratio)}). No attribute of the requests{left} says whose they are.{rare}"
    )
    values = {} if customers is None else customers.facts
    estimate = Estimate(value, "ratio", low, high, band.trace_counts[0])
    return Finding("affected", "notice", text, estimate, values={**estimate.values, **values}, code=band.code)


def _unchanged(made: Made) -> str:
    """Return the sentence about the error rate, where that did not change and latency did."""
    errors = made.first("failing")
    if made.regression is None or made.regression.metric == "error_rate" or errors is None:
        return ""
    return f" {errors.headline}"
