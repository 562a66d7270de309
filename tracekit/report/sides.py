"""The sides of a report: which traces it is about, and which ones it compares them with."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tracekit.analysis.timeline.compute import started_between
from tracekit.arguments import check_traces
from tracekit.filters import spelled
from tracekit.weights.comparability import shared_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.parts import Parts
    from tracekit.traces import TraceSet

Period = tuple[Any, Any]
_Recording: TypeAlias = "TraceSet | TraceStore"


class Sides(NamedTuple):
    """The traces of a report and of its baseline.

    Parameters
    ----------
    traces
        What the report is about.
    baseline
        What it is compared with; None without a comparison.
    recording
        All traces that were given, for the timeline.
    names
        Name of the baseline and of the traces.
    asked
        How they were chosen, as JSON values: arguments of ``sides_of``, or ``{"investigate": steps}``.
    inputs
        Names of other inputs that findings are from.
    """

    traces: TraceSet | Parts
    baseline: TraceSet | Parts | None
    recording: TraceSet | Parts
    names: tuple[str, str] = ("baseline", "current")
    asked: Mapping[str, Any] = MappingProxyType({})
    inputs: tuple[str, ...] = ()


def sides_of(
    traces: TraceSet | TraceStore,
    baseline: TraceSet | TraceStore | None = None,
    *,
    split: Any = None,
    period: Period | None = None,
    baseline_period: Period | None = None,
) -> Sides:
    """Return the sides of a report: see ``tracekit.report``; ValueError where one would be empty."""
    if baseline is not None:
        check_traces(baseline, "report")
    asked = {"split": split, "period": period, "baseline_period": baseline_period}
    sides = _sides(traces, baseline, **asked)
    return sides._replace(asked={name: _spelled(value) for name, value in asked.items() if value is not None})


def _spelled(value: Any) -> Any:
    """Return a time, or two, as JSON has them."""
    if isinstance(value, tuple | list):
        return [_spelled(one) for one in value]
    return value if value is None or isinstance(value, int) else str(value)


def _sides(
    traces: _Recording, baseline: _Recording | None, split: Any, period: Period | None, baseline_period: Period | None
) -> Sides:
    """Return the sides of a report."""
    if split is not None:
        if baseline is not None or period is not None or baseline_period is not None:
            raise ValueError(
                "expected split= alone, or baseline=, period= and baseline_period=, found split= and others"
            )
        sides = _between(traces, None, split, "split"), _between(traces, split, None, "split")
        return Sides(sides[1], sides[0], traces, (f"before {split}", f"from {split}"))
    current = traces if period is None else _between(traces, *_pair(period, "period"), "period")
    if baseline_period is None:
        return Sides(current, baseline, traces, ("baseline", _named(period, "current")))
    source = traces if baseline is None else baseline
    before = _between(source, *_pair(baseline_period, "baseline_period"), "baseline_period")
    if baseline is None and (shared := shared_count(before, current)):
        message = f"expected a baseline period without traces of the other one, found {shared:,} traces in both"
        raise ValueError(f"{message}; set period= and baseline_period= to times that do not overlap")
    return Sides(current, before, traces, (_named(baseline_period, "baseline"), _named(period, "current")))


def _pair(period: Any, name: str) -> Period:
    """Return a period as two times; ValueError if it is something else."""
    if not isinstance(period, tuple | list) or len(period) != 2:  # noqa: PLR2004 - start and end
        raise ValueError(f"expected two times as {name}=, such as ('16:24', '16:40'), found {period!r}")
    return period[0], period[1]


def _between(traces: _Recording, start: Any, end: Any, name: str) -> _Recording:
    """Return the traces of a period; ValueError if there are none."""
    try:
        found = traces.between(start, end)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not len(found):
        words = f"{'its start' if start is None else start} to {'its end' if end is None else end}"
        raise ValueError(f"{name}: expected traces from {words} of the recording, found none; it has {_period(traces)}")
    return found


def _period(traces: _Recording) -> str:
    """Return the number of traces and the period of their roots."""
    period = started_between(traces)
    return f"{len(traces):,} traces" + (f", {spelled(*period)}" if period else "")


def _named(period: Period | None, otherwise: str) -> str:
    """Return the name of a side: its period as it was given."""
    if period is None:
        return otherwise
    start, end = period
    if start is None or end is None:
        return f"{otherwise}, {'from' if end is None else 'before'} {start if end is None else end}"
    return f"{otherwise}, {start} to {end}"
