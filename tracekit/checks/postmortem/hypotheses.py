"""Root-cause hypotheses: each with what speaks for it, and what speaks against it or for another cause."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tracekit.analysis.suspects.ranking import NOT_SIGNIFICANT
from tracekit.checks.changes.suspects import suspects_of
from tracekit.checks.names import place_of
from tracekit.checks.overview import overview
from tracekit.checks.postmortem.recorded import failed_count, instances
from tracekit.checks.postmortem.result import Hypothesis, numbers_of
from tracekit.checks.postmortem.waits import waits
from tracekit.checks.screen.cause import cause_of
from tracekit.checks.screen.changed import UNDATED, releases, timing_of
from tracekit.checks.screen.course import course_of
from tracekit.checks.screen.versions import words_of
from tracekit.findings import Finding
from tracekit.text import clean, duration, from_to, moment, plural, ratio, signed_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tracekit.analysis.suspects.result import Suspects
    from tracekit.checks.screen.changed import Release
    from tracekit.checks.screen.made import Made
    from tracekit.checks.screen.versions import Contrast

_NAME: Final = 80
_MOST: Final = 3  # services
_WHOLE: Final = 0.95  # of the added latency: the rest needs no other cause
_CODE: Final = "tk.suspects(before, traces, recovery=True)"
_PREFIXES: Final = ("Likely", "Possible")


def hypotheses(made: Made) -> tuple[Hypothesis, ...]:
    """Return the possible root causes of a regression, the best first; nothing without one."""
    if made.regression is None or made.changes is None:
        return ()
    suspects = [one for one in made.findings if one.check == "suspects" and "service_name" in numbers_of(one)]
    found = [_of_suspect(made, one) for one in suspects[:_MOST]]
    named = {str(numbers_of(one)["service_name"]) for one in suspects}
    cause = cause_of(made)
    if not found and cause.service_name:
        found.append(_of_cause(made, cause.service_name))
        named.add(cause.service_name)
    others = [one for one in made.case.result(releases) if one.service_name not in named]
    found += [_of_release(made, one) for one in others if timing_of(made, one).may_be_cause]
    return tuple(found)


def _said(text: str, code: str = _CODE, **values: Any) -> Finding:
    """Return a sentence with its numbers."""
    return Finding("postmortem.hypothesis", "notice", text, values=values, code=code)


# ---------------------------------------------------------------- a service that is suspected


def _of_suspect(made: Made, suspect: Finding) -> Hypothesis:
    """Return the hypothesis about a suspected service."""
    name = str(numbers_of(suspect)["service_name"])
    word = suspect.headline.split(" ", 1)[0]
    prefix = f"{word} suspect: {clean(name, limit=_NAME)}. "
    first = replace(suspect, headline=suspect.headline.removeprefix(prefix))
    words = word if word in _PREFIXES else "Possible"
    found = made.case.result(suspects_of)
    against = [] if found is None else [*_unchanged(found, name), *_twin(found, name)]
    return _made(made, name, words, [first], against)


def _of_cause(made: Made, name: str) -> Hypothesis:
    """Return the hypothesis about a service that no comparison of services names, but whose operation grew."""
    text = f"No comparison of services names {clean(name, limit=_NAME)}: only its operations or patterns changed."
    return _made(made, name, "Possible", [], [_said(text, service_name=name)])


def _made(made: Made, name: str, word: str, first: list[Finding], against: list[Finding]) -> Hypothesis:
    """Return the hypothesis about a service, with everything that speaks for it and against it."""
    cause = cause_of(made)
    pattern = cause.pattern if cause.service_name == name else None
    how = f" ({numbers_of(pattern)['mechanism']})" if pattern is not None else ""
    claim = _said(f"{word}: the cause is at {clean(name, limit=_NAME)}{how}.", service_name=name, verdict=word.lower())
    patterns = [pattern] if pattern is not None else []
    evidence = [*first, *_grown(made, name), *patterns, *_release(made, name), *_origin(made, name)]
    confounded = _confounded(made, name) if pattern is not None else []
    against = [*_elsewhere(made, name), *confounded, *against, *_no_release(made, name), *_sampled(first)]
    return Hypothesis(claim, tuple(evidence), tuple(against) or (_nothing(name),))


def _grown(made: Made, name: str) -> list[Finding]:
    """Return the operation of a service that requests wait for longer, the largest increase."""
    own = f"{clean(name, limit=_NAME)} "
    found = [one for one in waits(made) if one.check == "postmortem.waits" and one.headline.startswith(own)]
    return found[:1]


def _release(made: Made, name: str) -> list[Finding]:
    """Return the releases of a service that may be the cause, and that requests on them are worse than on others."""
    found = []
    for one in made.case.result(releases):
        if one.service_name == name and (timing := timing_of(made, one)).may_be_cause:
            worse = timing.same_time if timing.is_worse else None
            found += [_coincides(made, one), *([_contrast(worse, one)] if worse is not None else [])]
    return found


def _coincides(made: Made, one: Release) -> Finding:
    """Return when a release was first seen, and whether it coincides."""
    timing = timing_of(made, one)
    note = " It coincides; that is not proof." if timing.coincides else f" {UNDATED}" * (not timing.is_dated)
    text = f"{_named(one)} was first seen {moment(one.first_ns)} UTC{_began(made)}.{note}"
    values = {"service_name": one.service_name, "version": one.version, "first_ns": one.first_ns}
    return _said(text, "tk.timeline(traces).deployments", **values)


def _contrast(contrast: Contrast, one: Release) -> Finding:
    """Return what grew on a version and on others at the same time, or on it before and since the regression began."""
    return _said(words_of(contrast, one), "tk.investigate(traces, before)", version=one.version, **contrast.numbers)


def _named(one: Release) -> str:
    """Return a release in words."""
    was = ", ".join(clean(version, limit=_NAME) for version in one.previous)
    return f"{clean(one.service_name, limit=_NAME)} {was}{' → ' * bool(was)}{clean(one.version, limit=_NAME)}"


def _began(made: Made) -> str:
    """Return when the regression began, as the end of a sentence."""
    assert made.regression is not None
    course = course_of(made, made.regression)
    if course.low_ns is None or course.high_ns is None:
        return ""
    return f"; the regression began between {moment(course.low_ns)} and {moment(course.high_ns)[11:]}"


def _origin(made: Made, name: str) -> list[Finding]:
    """Return how many failed requests have an error that begins at a service, if the error rate rose."""
    assert made.regression is not None
    if made.regression.metric != "error_rate":
        return []
    errors = made.case.result(overview).errors.origins
    mine = errors[(errors["service_name"].astype(str) == name) & (errors["failed_request_count"] > 0)]
    if mine.empty:
        return []
    row = mine.iloc[0]
    failed = made.case.result(failed_count)
    place = f"{clean(name, limit=_NAME)} {clean(row['operation'], limit=_NAME)}"
    number = int(row["failed_request_count"])
    text = f"The errors of {number} of {plural(failed, 'failed request')} begin in {place}."
    return [_said(text, "tk.errors(traces).origins", service_name=name, count=number, of_count=failed)]


# ---------------------------------------------------------------- what speaks against it


def _elsewhere(made: Made, name: str) -> list[Finding]:
    """Return how much of the added mean latency is not in the operations of a service."""
    assert made.changes is not None
    compared = made.changes.comparison
    if compared is None or not compared.change.low > 0:
        return []
    table = compared.table
    is_mine = (table["service_name"].astype(str) == name) | (table["callee_service"].astype(str) == name)
    whole = float(compared.change.value)
    rest = whole - float(table.loc[is_mine, "change_ns"].sum())
    others = table[~is_mine & (table["change_ns"] > 0)]
    if rest <= (1 - _WHOLE) * whole or others.empty:
        return []
    row = others.iloc[0]
    sure = "significant" if row["is_significant"] else "not significant"
    text = (
        f"{ratio(min(1.0, rest / whole))} of the added mean latency ({signed_duration(rest)} per request) is outside of"
        f" {clean(name, limit=_NAME)}: most of it in {place_of(row)} ({signed_duration(row['change_ns'])}; {sure})."
    )
    return [_said(text, "tk.critical_path(before).compare(tk.critical_path(traces)).table", ratio=rest / whole)]


def _unchanged(found: Suspects, name: str) -> list[Finding]:
    """Return which measured elements of a suspect did not change."""
    ranks = found.table.loc[(found.table["service_name"] == name) & (found.table["verdict"] != NOT_SIGNIFICANT), "rank"]
    mine = found.evidence[found.evidence["rank"].isin(ranks)]
    rest = mine[~mine["is_changed"].astype(bool)]
    if rest.empty:
        return []
    text = (
        f"{len(rest)} of {len(mine)} measured elements of {clean(name, limit=_NAME)} did not change significantly, such"
        f" as {_element(rest.iloc[0])}."
    )
    return [_said(text, f"{_CODE}.evidence", unchanged_count=len(rest), element_count=len(mine))]


def _element(row: Mapping[Any, Any] | pd.Series) -> str:
    """Return an element of a service with its values on both sides."""
    operation = clean(row["operation"], limit=_NAME)
    ends = [clean(row[key], limit=_NAME) for key in ("caller_service", "callee_service") if isinstance(row[key], str)]
    between = f" from {ends[0]} to {ends[1]}" if len(ends) == len(("caller", "callee")) else ""
    if row["baseline_ratio"] == row["baseline_ratio"]:
        shares = from_to(row["baseline_ratio"], row["current_ratio"], ratio)
        return f"{row['element']} of {operation} ({shares} of traces)"
    times = from_to(row["baseline_ns"], row["current_ns"], duration)
    what = {"gap of calls": "the time of calls outside of the callee", "number of calls": "the number of calls"}
    return f"{what.get(row['element'], row['element'])}{between} ({operation}: {times})"


def _twin(found: Suspects, name: str) -> list[Finding]:
    """Return the service with the same evidence."""
    rows = found.table[(found.table["service_name"] == name) & found.table["not_separable_from"].notna()]
    if rows.empty:
        return []
    other = clean(rows["not_separable_from"].iloc[0], limit=_NAME)
    text = f"The same calls are the only evidence against {other}: the traces cannot tell which of the two it is."
    return [_said(text, f"{_CODE}.table", service_name=name, other_service_name=other)]


def _confounded(made: Made, name: str) -> list[Finding]:
    """Return that a new version runs on one instance only, so that the traces cannot tell the two apart."""
    found = []
    mine = [(version, instance) for service, version, instance in made.case.result(instances) if service == name]
    for one in made.case.result(releases):
        on, others = (
            {instance for version, instance in mine if instance is not None and (version == one.version) == is_on}
            for is_on in (True, False)
        )
        if one.service_name == name and len(on) == 1 and others - on:
            shown = clean(one.version, limit=_NAME)
            text = f"Only one instance of {clean(name, limit=_NAME)} has version {shown}: the traces cannot tell the"
            text += " version from the instance, its host or its zone."
            found.append(_said(text, "traces.resources", service_name=name, version=one.version, instance=on.pop()))
    return found


def _no_release(made: Made, name: str) -> list[Finding]:
    """Return that no release of the service explains why it changed, or that one is too late or was withdrawn."""
    mine = [one for one in made.case.result(releases) if one.service_name == name]
    found = []
    for one in mine:
        timing = timing_of(made, one)
        reasons = [
            *["was first seen after the regression began"] * timing.is_late,
            *["was first seen before the regression began"] * timing.was_good,
            *["is not needed for it: requests on other versions are as bad at the same time"] * timing.is_alike,
            *["no longer serves when the data end"] * (not timing.is_serving),
            *["is also in the past of the baseline, which is later"] * timing.is_undone,
        ]
        if reasons:
            found.append(_said(f"{_named(one)} {' and '.join(reasons)}.", version=one.version))
        if timing.is_alike and timing.same_time is not None:
            found.append(_contrast(timing.same_time, one))
        elif timing.was_good and timing.itself_before is not None:
            found.append(_contrast(timing.itself_before, one))
    if mine or made.case.baseline is None:
        return found
    shown = clean(name, limit=_NAME)
    text = f"The traces show no new version of {shown}: why it changed is not in the data."
    return [_said(text, "tk.timeline(traces).deployments", service_name=name)]


def _sampled(first: list[Finding]) -> list[Finding]:
    """Return what the comparison of services assumes about sampling, where that is not known."""
    notes = [note for one in first for note in one.assumptions if "sampling" in note and "unknown" in note]
    return [_said(f"{note[0].upper()}{note[1:]}.", "traces.weights") for note in notes[:1]]


def _nothing(name: str) -> Finding:
    """Return that nothing speaks against it."""
    text = f"None found: all measured elements of {clean(name, limit=_NAME)} changed. That is not proof."
    return _said(text, f"{_CODE}.evidence", unchanged_count=0)


# ---------------------------------------------------------------- a release elsewhere


def _of_release(made: Made, one: Release) -> Hypothesis:
    """Return the hypothesis about a release of a service that is not suspected."""
    claim = _said(
        f"Possible: the release of {_named(one)}.", service_name=one.service_name, verdict="possible",
        version=one.version,
    )  # fmt: skip
    name, evidence = clean(one.service_name, limit=_NAME), [_coincides(made, one), *_grown(made, one.service_name)]
    assert made.changes is not None
    compared = made.changes.comparison
    against = _elsewhere(made, one.service_name)
    if compared is not None:
        mine = compared.table[compared.table["service_name"].astype(str) == one.service_name]
        if not (mine["is_significant"] & (mine["change_ns"] > 0)).any():
            text = f"Requests wait for none of {plural(len(mine), 'operation')} of {name} significantly longer."
            against.insert(0, _said(text, operation_count=len(mine)))
    text = f"No comparison of services names {name}."
    return Hypothesis(claim, tuple(evidence), (*against, _said(text, service_name=one.service_name)))
