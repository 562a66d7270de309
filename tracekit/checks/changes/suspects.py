"""Which services explain the difference from the baseline, in sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tracekit.analysis.suspects.compute import compute
from tracekit.analysis.suspects.paths import NEXT_CALL, SELF_TIME
from tracekit.analysis.suspects.ranking import FAILURES, LIKELY, MORE_CALLS, NOT_SIGNIFICANT, SHAPES
from tracekit.checks.drawn import drawn
from tracekit.checks.names import name_of
from tracekit.checks.overview import overview
from tracekit.findings import Estimate, Finding, Findings, not_assessable
from tracekit.text import clean, count, duration, from_to, interval, moment, p_value, plural, ratio, signed_duration
from tracekit.weights.comparability import comparability

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.suspects.result import Suspects
    from tracekit.checks.case import Case
    from tracekit.checks.drawn import Drawn

_NAMED: Final = 3  # suspects with a finding of their own
_NAME: Final = 80
METHOD: Final = (
    "Self times of services, gaps of calls and numbers of calls, one value per trace, tested by ranks; p-values are"
    " adjusted for all of them."
)
_ATTRIBUTES: Final = {
    "service_version": "version",
    "k8s_pod_name": "pod",
    "host_name": "host",
    "service_instance_id": "instance",
}


def suspects_of_change(case: Case) -> list[Finding]:
    """Return the services that explain the difference from the baseline; nothing where no service is named."""
    found = case.result(suspects_of)
    is_named = found is not None and found.is_assessable and not found.is_no_change
    return list(found.findings) if found is not None and is_named else []


def suspects_of(case: Case) -> Suspects | None:
    """Return the services that explain the difference from the baseline, with their findings; None without one."""
    if case.baseline is None:
        return None
    path = None if case.is_stored else case.result(overview).path
    return suspects_between(case, case.baseline, with_recovery=True, path=path)


def suspects_between(case: Case, baseline: Case, *, with_recovery: bool, path: CriticalPath | None = None) -> Suspects:
    """Return the services that explain the difference, with their findings; of stores, from samples of the traces.

    ``path``: that of the current traces, if it is known.
    """
    before, now = baseline.result(drawn), case.result(drawn)
    compared = comparability(baseline.source, case.source)
    found = compute(before.traces, now.traces, with_recovery=with_recovery, path=path, compared=compared)
    found = replace(found, sample=_sample(before, now))
    code = f"tk.suspects(before, traces{', recovery=True' * with_recovery})"
    return replace(found, findings=Findings(findings_of(found, code)))


def drawn_baseline(case: Case) -> Drawn | None:
    """Return the traces of the baseline that are compared; None without one."""
    return None if case.baseline is None else case.baseline.result(drawn)


def drawn_current(case: Case) -> Drawn | None:
    """Return the current traces that are compared; None without a baseline."""
    return None if case.baseline is None else case.result(drawn)


def _sample(before: Drawn, now: Drawn) -> str:
    """Return which of the traces were compared; empty for all of them."""
    sides = ((now, "trace"), (before, "baseline trace"))
    parts = [f"{count(len(side.traces))} of {plural(side.trace_count, what)}" for side, what in sides if side.is_sample]
    return ", ".join(parts)


def findings_of(found: Suspects, code: str = "tk.suspects(before, traces)") -> list[Finding]:
    """Return one finding per suspect; or one that says that no change is significant, or what is missing."""
    if not found.is_assessable:
        return [_not_assessable(found, code)]
    if found.is_no_change:
        return [_no_change(found, code)]
    named = found.table[found.table["verdict"] != NOT_SIGNIFICANT].head(_NAMED)
    return [_suspect(found, row, code) for row in named.to_dict("records")]


def _not_assessable(found: Suspects, code: str) -> Finding:
    """Return why no service is named."""
    if not found.comparability.is_comparable:
        why = found.statement
        text = f"{why[0].upper()}{why[1:]}. No service is suspected."
        return Finding("suspects", "warning", text, status="not_assessable", code=code)
    for side, traces in (("baseline", found.baseline_count), ("current", found.current_count)):
        if not traces:
            return not_assessable("suspects", "Suspects", f"traces on the {side} side")
    counts = f"{plural(found.baseline_count, 'baseline trace')}, {plural(found.current_count, 'current trace')}"
    missing = f"an operation with at least 5 baseline and 3 current traces ({counts})"
    return not_assessable("suspects", "Suspects", missing, remedy="Use longer periods of the same services.")


def _no_change(found: Suspects, code: str) -> Finding:
    """Return that no change is significant."""
    text = (
        "The traces show no significant change: no service is suspected "
        f"({count(found.tested_count)} operations and calls tested, "
        f"n = {from_to(found.baseline_count, found.current_count, count)} traces)."
    )
    notes = [f" {note[0].upper()}{note[1:]}." for note in _limitations(found)]
    notes += [f" {one}" for one in _of_sample(found)]
    text += "".join(notes)
    return Finding("suspects", "info", text, method=METHOD, assumptions=_assumptions(found), code=code)


def _assumptions(found: Suspects) -> tuple[str, ...]:
    """Return what the comparison describes, and what limits it."""
    return (found.statement, *_limitations(found))


def _limitations(found: Suspects) -> list[str]:
    """Return how many traces both sides have in common, and how many operations have too few baseline traces."""
    notes = []
    if found.shared_trace_count:
        traces = plural(found.shared_trace_count, "trace is", "traces are")
        notes.append(f"{traces} on both sides, which hides changes")
    if found.new_operation_count:
        operations = plural(found.new_operation_count, "operation has", "operations have")
        notes.append(f"{operations} fewer than 5 baseline traces and could not be tested")
    return notes


def _of_sample(found: Suspects) -> list[str]:
    """Return the sentence about the sample, if not all traces were compared."""
    return [f"From a random sample: {found.sample}."] if found.sample else []


def _suspect(found: Suspects, row: dict[Hashable, Any], code: str) -> Finding:
    """Return the finding about one suspect."""
    mine = found.evidence[found.evidence["rank"] == row["rank"]]
    is_likely = row["verdict"] == LIKELY
    on_path = _on_path(found, row)
    sentences = [
        f"{'Likely' if is_likely else 'Possible'} suspect: {clean(row['service_name'], limit=_NAME)}.",
        _what(row, mine),
        *_per_request(found, row, on_path),
        _how_much(row),
        *_where(found, row),
        *_twin(row),
        *(_undone(found.recovery) if row["rank"] == 1 else []),
    ]
    if row["kind"] in {SHAPES, MORE_CALLS} and not is_likely:
        sentences.append("Different requests can have the same effect.")
    sentences += _of_sample(found)
    shown = tuple(str(row[name]) for name in ("exemplar_trace_id", "exemplar_span_id") if row[name] is not None)
    values = {name: row[name] for name in ("score", "excess_ns", "excess_ratio", "affected_count", "p_value")}
    return Finding(
        "suspects",
        "warning" if is_likely else "notice",
        " ".join(filter(None, sentences)),
        estimate=on_path,
        evidence=mine.drop(columns=["rank"]).reset_index(drop=True),
        exemplars=shown,
        assumptions=_assumptions(found),
        method=METHOD,
        values={"service_name": row["service_name"], "kind": row["kind"], **values},
        code=code,
    )


def _what(row: dict[Hashable, Any], mine: pd.DataFrame) -> str:
    """Return the sentence about what changed most at a suspect."""
    if row["kind"] in {SHAPES, FAILURES}:
        return _deviation(mine, is_failing=row["kind"] == FAILURES)
    slower = mine[mine["is_changed"] & mine["baseline_ns"].notna()]
    chosen = slower[slower["element"].isin(_OF_KIND[row["kind"]])]
    chosen = chosen if len(chosen) else slower
    if chosen.empty:
        return ""
    one = chosen.iloc[0]
    operation = clean(one["operation"], limit=_NAME)
    times = from_to(one["baseline_ns"], one["current_ns"])
    if one["element"] == "self time":
        return f"Its {operation}, without calls to other services: {times}{_also(row)}."
    ends = f"from {clean(one['caller_service'], limit=_NAME)} to {clean(one['callee_service'], limit=_NAME)}"
    if one["element"] == "number of calls":
        ratio_of = one["current_ns"] / max(one["baseline_ns"], 1.0)
        return f"Calls {ends} ({operation}) are {ratio_of:.1f} times as frequent per trace."
    way = "there" if one["way_there_excess_ns"] >= one["way_back_excess_ns"] else "back"
    return f"Calls {ends} ({operation}) take longer outside the callee: {times}, mainly on the way {way}{_also(row)}."


_OF_KIND: Final = {
    "own": ("self time",),
    "way in": ("gap of calls",),
    "way out": ("gap of calls",),
    "starved": ("self time",),
    MORE_CALLS: ("number of calls",),
}


def _also(row: dict[Hashable, Any]) -> str:
    """Return what else is slower at a service that is slow in everything."""
    return "; its calls are slower as well" if row["kind"] == "starved" else ""


def _deviation(mine: pd.DataFrame, *, is_failing: bool) -> str:
    """Return the sentence about deviating spans."""
    one = mine[mine["baseline_ratio"].notna() & (mine["element"].str.startswith("failing") == is_failing)].iloc[0]
    shares = f"{from_to(one['baseline_ratio'], one['current_ratio'], ratio)} of {plural(one['current_count'], 'trace')}"
    operation = clean(one["operation"], limit=_NAME)
    caller = one["caller_service"]
    if not isinstance(caller, str):
        forms = {"failing spans": "fails, and no call below it does,", "other child operations": "makes other calls"}
        return f"{operation} {forms[one['element']]} in {shares}."
    where = f"{clean(caller, limit=_NAME)} {operation}"
    forms = {
        "calls without an answer": f"Calls to it by {where} have no server span in {shares}.",
        "failing calls without an answer": f"Calls to it by {where} fail without a server span in {shares}.",
        "callers stop after it": f"Callers, such as {where}, make no further calls after it in {shares}.",
    }
    return forms[one["element"]]


def _how_much(row: dict[Hashable, Any]) -> str:
    """Return the sentence about how much time was added, and to how many traces."""
    traces = plural(row["affected_count"], "trace")
    if row["kind"] in {SHAPES, FAILURES}:
        return f"{traces[0].upper()}{traces[1:]} affected (p {p_value(row['p_value'])})."
    return (
        f"This adds {signed_duration(row['excess_ns']).removeprefix('+')} per affected trace ({traces}), "
        f"{ratio(row['excess_ratio'])} of the excess of all services (p {p_value(row['p_value'])})."
    )


def _where(found: Suspects, row: dict[Hashable, Any]) -> list[str]:
    """Return the sentence about the version, host, pod or instance that is affected."""
    parts = found.breakdown
    mine = parts[(parts["rank"] == row["rank"]) & parts["attribute"].isin(list(_ATTRIBUTES))]
    confined = mine[mine["is_confined"].astype(bool)]
    if len(confined):
        one = confined.iloc[0]
        which = f"{_ATTRIBUTES[one['attribute']]} {clean(one['value'], limit=_NAME)}"
        share, traces = ratio(one["excess_ratio"]), plural(one["current_count"], "trace")
        return [f"{share} of it is in {which} ({traces}{_since(one, mine)})."]
    new = mine[(mine["attribute"] == "service_version") & mine["is_new"].astype(bool)]
    if len(new) and new["excess_ratio"].sum() >= 0.9:  # noqa: PLR2004 - as for values to which the excess is confined
        return [f"Its version {clean(new.iloc[0]['value'], limit=_NAME)} is not in the baseline."]
    return []


def _since(one: pd.Series, parts: pd.DataFrame) -> str:
    """Return since when a new value occurs, if another value of the attribute occurred earlier."""
    first = parts.loc[parts["attribute"] == one["attribute"], "first_time"].min()
    if not (one["is_new"] and one["first_time"] > first):
        return ""
    return f", new since {moment(one['first_time'].value)} UTC"


_STEP_OF_KIND: Final = {"own": SELF_TIME, "way in": NEXT_CALL}


def _on_path(found: Suspects, row: dict[Hashable, Any]) -> Estimate | None:
    """Return the change of the step of the path at which a suspect adds time; None where it adds it at several."""
    path = found.path[(found.path["rank"] == row["rank"]) & (found.path["step"] == _STEP_OF_KIND.get(row["kind"]))]
    if path.empty or not path["excess_low_ns"].iloc[-1] > 0:
        return None
    step = path.iloc[-1]
    limits = float(step["excess_low_ns"]), float(step["excess_high_ns"])
    return Estimate(float(step["excess_ns"]), "ns", *limits, int(step["current_count"]))


def _per_request(found: Suspects, row: dict[Hashable, Any], on_path: Estimate | None) -> list[str]:
    """Return the sentence about the requests of the path."""
    if on_path is None:
        return []
    entry = name_of(found.path[found.path["rank"] == row["rank"]].iloc[0])
    limits = interval(on_path.low, on_path.high, signed_duration)
    return [f"Mean change per request to {entry}: {signed_duration(on_path.value)} ({limits})."]


def _undone(saved: Estimate | None) -> list[str]:
    """Return the sentence about the simulation without the suspect."""
    if saved is None or not saved.low > 0:
        return []
    limits = interval(saved.low, saved.high, duration)
    return [f"Without it, the mean latency would be {duration(saved.value)} lower ({limits}; simulated)."]


def _twin(row: dict[Hashable, Any]) -> list[str]:
    """Return the sentence about a service with the same evidence."""
    other = row["not_separable_from"]
    if not isinstance(other, str):
        return []
    return [
        f"The same calls are the only evidence against {clean(other, limit=_NAME)}: the traces cannot separate both."
    ]
