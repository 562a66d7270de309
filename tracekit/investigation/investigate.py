"""``tk.investigate``: all checks of a recording and its baseline, and what they come to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tracekit.analysis.deployments import renamed
from tracekit.arguments import check_traces
from tracekit.checks.case import Case, build_case
from tracekit.checks.logs.join import logs as logs_of
from tracekit.checks.screen.lines import FirstScreen
from tracekit.investigation.baseline import Baseline, baseline_within
from tracekit.investigation.result import Investigation
from tracekit.investigation.steps import STEPS, run_steps
from tracekit.loading.store.rounds import Rounds
from tracekit.loading.store.trace_store import TraceStore
from tracekit.report.inputs import Inputs
from tracekit.report.leaving import redacted_findings, redacted_lines
from tracekit.report.sides import Sides
from tracekit.report.stores import keep_names, read_by, read_together, with_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from tracekit.analysis.cost.prices import Price
    from tracekit.loading.logs.table import LogLines
    from tracekit.parts import Parts
    from tracekit.report.redaction import Outgoing
    from tracekit.traces import TraceSet

_Recording: TypeAlias = "TraceSet | TraceStore"
_NAMED_INPUTS: Final = ("rules", "requests", "deployments", "logs")


def investigate(
    traces: TraceSet | TraceStore,
    baseline: TraceSet | TraceStore | None = None,
    *,
    rules: Any = None,
    requests: pd.DataFrame | None = None,
    deployments: pd.DataFrame | Mapping[str, Any] | None = None,
    logs: Any = None,
    slo: float | Mapping[str, Any] | None = None,
    prices: Sequence[Price | str] | None = None,
    steps: Sequence[str] | None = None,
    on_step: Callable[[str, int, int], None] | None = None,
) -> Investigation:
    """Return what is wrong, since when, for whom, what changed, the likely cause and what to do.

    Parameters
    ----------
    traces
        The traces to explain; not modified.  A store is read part by part: suspects are those of a random sample (see
        ``tk.suspects``).
    baseline
        Earlier traces of the same system, or a store of them.  Without one, a baseline is found in ``traces``: those
        before the onset of a change, or before a release; otherwise failed requests are compared with those that
        succeeded, or the slowest ones with the faster half.
    rules, requests
        Sampling rules and request counts of ``traces``, as for ``tk.sampling``.
    deployments
        Deployments, as for ``tk.timeline``; default: those in ``service.version``.
    logs
        Log lines of the traces and of the baseline, any source of ``tk.logs``.
    slo, prices
        Objective and price table, as for ``tk.report``: sections of the report.
    steps
        Names of the steps to run: ``quality``, ``sampling``, ``data``, ``changes``, ``latency``, ``errors``,
        ``patterns``; default: all.
    on_step
        Called before each step with its title, its number from 0 on, and the number of steps.

    Returns
    -------
    Investigation
        ``.first_screen``, ``.findings``, ``.report(path)``.

    Raises
    ------
    TypeError
        An argument that is neither a TraceSet nor a TraceStore.
    ValueError
        A step that does not exist; rules, requests, deployments, logs, an objective or prices that cannot be used.

    Notes
    -----
    Every line is made of findings of checks, and is left out where the data do not support it.  ``critical`` means that
    users are hurt when the data end: the p95 of an endpoint is higher by at least 10%, or the error rate by at least
    one percentage point, both beyond doubt, and the last requests are affected.  A regression also has to be larger
    than what varies between stretches of time (t-test of stretches of both sides, at most 20 of the baseline), because
    requests that are slow together are no evidence each.  A release that coincides is named as such, not as the cause.
    A check that fails is a finding of its own and stops no other.

    On planted incidents and quiet pairs of recordings, ``tests/investigation/tables.py`` measures how often the lines
    are right.

    Examples
    --------
    >>> before, during = tk.load_sample("checkout-regression")
    >>> print(tk.investigate(during, before).first_screen["started"].headline)
    After 2026-11-21 04:58:44 UTC (the baseline ends), by 04:59:08. Still slow when the data end, 05:00:41.

    Without a baseline, the same two recordings as one:

    >>> print(tk.investigate(before + during).baseline.statement)
    No baseline given: compared with the traces before ledger 1.5.0, first seen 2026-11-21 04:59:03 UTC
    """
    check_traces(traces, "investigate")
    if baseline is not None:
        check_traces(baseline, "investigate")
    given = Inputs.of(logs=logs, rules=rules, requests=requests, deployments=deployments, slo=slo, prices=prices)
    return investigation_of(traces, baseline, given, steps, on_step)()


def investigation_of(
    traces: _Recording,
    baseline: _Recording | None,
    given: Inputs,
    steps: Sequence[str] | None = None,
    on_step: Callable[[str, int, int], None] | None = None,
) -> Callable[..., Investigation]:
    """Return a function that investigates the traces, what may leave of them, or others with the same options.

    Parameters
    ----------
    traces, baseline
        The traces to explain, and earlier ones.
    given
        What was given beside them.
    steps, on_step
        Names of the steps, and what is called before each, as for ``investigate``.

    Raises
    ------
    ValueError
        A step that does not exist.
    """
    names = [step.name for step in STEPS]
    if unknown := [name for name in steps or () if name not in names]:
        raise ValueError(f"expected steps among {', '.join(names)}, found {', '.join(map(repr, unknown))}")
    chosen = names if steps is None else steps
    has_store = any(isinstance(side, TraceStore) for side in (traces, baseline))
    all_given = given.read()
    of_baseline = ("baseline",) if baseline is not None else ()
    inputs = (*(name for name in _NAMED_INPUTS if getattr(given, name) is not None), *of_baseline)

    own = Rounds()

    def run(
        outgoing: Outgoing | None = None, sets: tuple[_Recording, _Recording | None] | None = None
    ) -> Investigation:
        """Return the investigation of the traces, of what may leave of them, or of others with the same options."""
        rounds = own if sets is None else Rounds()
        now, before = (None if side is None else read_by(rounds, side) for side in sets or (traces, baseline))
        assert now is not None
        if outgoing is not None:
            now, before = outgoing.set_of(now), outgoing.set_of(before)
        known = _leaving(all_given, outgoing, now, has_store=has_store)
        recording = replace(build_case(now, rules=known.rules, requests=known.requests), deployments=known.deployments)
        recording = recording if outgoing is None else replace(recording, policy=outgoing.policy)
        compared = baseline_within(recording) if before is None else Baseline("given", now, before, "")
        case = _case(recording, compared, known.logs)
        sides = Sides(compared.current, compared.before, now, _names(compared), {"investigate": list(chosen)}, inputs)
        if case.has_store:
            read_together(rounds, case)
            if outgoing is not None:
                keep_names(case, outgoing)
        ran = run_steps(case, recording if compared.kind != "given" else case, chosen, on_step)
        screen, findings = ran.screen, ran.findings
        if case.has_store and outgoing is not None:
            screen, findings = FirstScreen(redacted_lines(screen, outgoing)), redacted_findings(findings, outgoing)
        more = outgoing if case.has_store else None
        return Investigation(screen, findings, compared.current, compared, ran.table, case, sides, known, run, more)

    return run


def _leaving(inputs: Inputs, outgoing: Outgoing | None, now: TraceSet | Parts, *, has_store: bool) -> Inputs:
    """Return inputs as they may leave.

    Of a store the results are redacted, so that what its traces are compared with stays as they are: rules, counts and
    goals.
    """
    if outgoing is None:
        return inputs
    if not has_store:
        return inputs.redacted(outgoing)
    known = inputs if isinstance(now, TraceStore) else inputs._replace(logs=None).redacted(outgoing)
    lines = with_lines(inputs, outgoing).logs
    return known._replace(logs=lines, deployments=renamed(inputs.deployments, outgoing.texts))


def _case(recording: Case, compared: Baseline, logs: LogLines | None) -> Case:
    """Return the case of the traces to explain: with their baseline and their log lines."""
    earlier = None if compared.before is None else Case(compared.before, policy=recording.policy)
    case = recording
    if compared.current is not recording.source:  # the inputs of the recording do not fit a part of it
        case = Case(compared.current, deployments=recording.deployments, recording=recording.source)
        case = replace(case, policy=recording.policy)
    case = replace(case, baseline=earlier, comparison=compared.statement)
    return case if logs is None else replace(case, logs=logs_of(compared.current, logs, baseline=compared.before))


def _names(compared: Baseline) -> tuple[str, str]:
    """Return the names of the sides in the report."""
    return ("baseline" if compared.kind in {"given", "none"} else compared.kind), "current"
