"""What is compared with what: the periods, the number of traces, and what the figures describe."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tracekit.checks.comparison import changes_of
from tracekit.checks.overview import overview
from tracekit.checks.registry import CHECKS
from tracekit.findings import Finding
from tracekit.text import count, from_to, number, period, plural

if TYPE_CHECKING:
    from tracekit.checks.overview import Overview
    from tracekit.checks.screen.made import Made

_WEAKENING: Final = frozenset(check.name for check in CHECKS if check.weakens)
_CLEARLY: Final = 1.5  # times as many traces per second
_NORMAL: Final = 1.96  # standard errors of a 95% interval
_ALARMS: Final = ("warning", "critical")
_BIASED: Final = ("bias.tail", "bias.reservoir", "bias.attribute", "mix.head")


def caveat(made: Made) -> Finding | None:
    """Return that the sampling is unknown, and biased or unlike that of the baseline; nothing otherwise."""
    seen = made.case.result(overview)
    if not seen.weights.unknown_count or (biased := made.warning(*_BIASED)) is None:
        return _unlike(made)
    traces = plural(seen.trace_count, "recorded trace")
    text = f"Sampling unknown: figures describe these {traces}, not all requests. {biased.headline}"
    values = {"trace_count": seen.trace_count, "check": biased.check}
    return Finding("screen.caveat", "warning", text, biased.estimate, values=values, remedy=_remedy(made),
                   code=biased.code)  # fmt: skip


def rates_apart(made: Made) -> tuple[float, float] | None:
    """Return the traces per second recorded in the baseline and now, if sampling is unknown and they differ clearly.

    That is by half or more beyond doubt (95%, as Poisson counts): the load may be another one, or the sampling.
    """
    if made.changes is None:
        return None
    sides = made.changes.before, made.changes.now
    lasted = [0 if side.period_ns is None else (side.period_ns[1] - side.period_ns[0]) / 1e9 for side in sides]
    counts = [side.trace_count for side in sides]
    if not any(side.weights.unknown_count for side in sides) or min(*lasted, *counts) <= 0:
        return None
    before, now = (number / seconds for number, seconds in zip(counts, lasted, strict=True))
    apart = abs(math.log(now / before)) - _NORMAL * math.sqrt(sum(1 / number for number in counts))
    return (before, now) if apart > math.log(_CLEARLY) else None


def _unlike(made: Made) -> Finding | None:
    """Return that the recorded rates of both sides of a regression differ; None where sampling is no reason."""
    rates = rates_apart(made)
    if made.regression is None or rates is None:
        return None
    before, now = rates
    text = (
        f"Sampling unknown: {from_to(before, now, number)} traces per second are recorded, in the baseline and now. "
        "What is below may be a difference in sampling."
    )
    values = {"baseline_rate_per_s": before, "current_rate_per_s": now}
    return Finding("screen.caveat", "warning", text, values=values, remedy=_remedy(made), code="traces.weights")


def _remedy(made: Made) -> str:
    """Return how weights are set; empty where nothing says so."""
    return weights.remedy if (weights := made.first("weights")) is not None else ""


def compared(made: Made) -> Finding | None:
    """Return the periods and the number of traces of both sides, and what their figures describe."""
    changes = made.case.result(changes_of)
    sides = [made.case.result(overview)] if changes is None else [changes.now, changes.before]
    name = "Incident" if made.regression is not None else "Current"
    now, *before = (_period(side) for side in sides)
    if sides[0].period_ns is not None:
        before = [one.removeprefix(now[:11]) for one in before]  # the date, where it is the same
    counts = [side.trace_count for side in sides]
    each = (
        f"{plural(counts[0], 'trace')} each"
        if before and len(set(counts)) == 1
        else " and ".join(plural(each, "trace") if at == 0 else count(each) for at, each in enumerate(counts))
    )
    what = f"{name} {now}" + "".join(f" vs baseline {one}" for one in before) if before else f"Recorded {now}"
    weights = made.case.result(overview).weights
    is_known = not weights.unknown_count
    sampling = weights.statement if is_known else "sampling unknown: figures describe recorded traces"
    values = {
        "trace_counts": counts,
        "periods_ns": [None if side.period_ns is None else list(side.period_ns) for side in sides],
        "is_sampling_known": is_known,
    }
    later = ["the baseline is later than these traces"] if made.is_baseline_later else []
    parts = [what, *later, each, sampling, *([made.case.comparison] if made.case.comparison else [])]
    return Finding("screen.period", "info", f"{' · '.join(parts)}.", values=values, code="traces.summary")


def weakened(made: Made) -> Finding | None:
    """Return what weakens these conclusions most, and whether they hold without bad traces; None where nothing does."""
    shown = made.warning(*_BIASED) if caveat(made) is not None else None
    weak = [one for one in made.findings if one.check in _WEAKENING and one.severity in _ALARMS and one is not shown]
    holds = made.first("holds") if made.regression is not None else None
    if not weak:
        return None if holds is None or holds.severity == "info" else replace(holds, check="screen.weakened", remedy="")
    rest = f" {plural(len(weak) - 1, 'more finding')} on the quality of the data below." if len(weak) > 1 else ""
    too = "" if holds is None else f" {holds.headline}"
    values = {"checks": [one.check for one in weak]}
    return Finding("screen.weakened", "notice", f"{weak[0].headline}{rest}{too}", values=values, code=weak[0].code)


def _period(side: Overview) -> str:
    """Return the period of one side."""
    return "without times" if side.period_ns is None else period(*side.period_ns)
