"""What the data cannot show: quality, sampling, coverage, too few traces, and what traces never have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.checks.changes.suspects import suspects_of
from tracekit.checks.overview import ENOUGH, overview
from tracekit.checks.postmortem.recorded import has_versions
from tracekit.checks.registry import CHECKS
from tracekit.checks.screen.course import course_of
from tracekit.findings import Finding
from tracekit.text import clean, moment, plural
from tracekit.weights.comparability import SIDES

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.screen.made import Made

_WEAKENING: Final = frozenset(check.name for check in CHECKS if check.weakens or check.topic == "data")
_NAME: Final = 60
_NAMED: Final = 4
_ORDER: Final = ("critical", "warning", "notice")


def limits(made: Made) -> tuple[Finding, ...]:
    """Return what weakens conclusions from these traces, the most severe first, and what they do not contain."""
    weak = [one for one in made.findings if _is_limit(one)]
    weak.sort(key=lambda one: _ORDER.index(one.severity))
    found = [*weak, *_end(made), *_few(made), *_untested(made), *_versions(made), *_inside(made), *_logs(made)]
    return (*found, _people())


def _is_limit(one: Finding) -> bool:
    """Return whether a finding says that data are missing, weak or too few."""
    if one.severity == "info":
        return False
    return one.check in _WEAKENING or one.status in {"not_assessable", "inconclusive"} or one.check == "failed"


def _said(text: str, code: str, **values: Any) -> Finding:
    """Return a sentence with its numbers."""
    return Finding("postmortem.limits", "notice", text, values=values, code=code)


def _end(made: Made) -> list[Finding]:
    """Return that the recovery is not in the data, or that the onset is not."""
    if made.regression is None:
        return []
    course, found = course_of(made, made.regression), []
    if course.recovered_ns is None and course.is_ongoing is not False:
        text = f"The recovery is not in the data, which end {moment(course.end_ns)} UTC."
        found.append(_said(text, "tk.timeline(traces).changes", end_ns=course.end_ns))
    if course.low_ns is None:
        found.append(_said("When it began is not in the data.", "tk.timeline(traces).changes"))
    elif course.high_ns is None:
        text = (
            f"When it began is not known: only that it was after {moment(course.low_ns)} UTC, where the baseline ends."
        )
        found.append(_said(text, "tk.timeline(traces).changes", low_ns=course.low_ns))
    return found


def _few(made: Made) -> list[Finding]:
    """Return how many endpoints have too few traces for a comparison, or for an interval of the change of the p95."""
    if made.changes is None:
        seen = made.case.result(overview)
        number = seen.trace_count
        if number >= ENOUGH:
            return []
        text = f"{plural(number, 'trace')}: too few for a p95, an error rate or a comparison (at least {ENOUGH})."
        return [_said(text, "len(traces)", trace_count=number)]
    entries = made.changes.entries
    is_few = (entries[[f"{side}_span_count" for side in SIDES]].fillna(0) < ENOUGH).any(axis=1)
    is_open = entries["p95_change_low_ns"].isna() & ~is_few
    rest = {
        f"fewer than {ENOUGH} traces on a side: not enough to say whether {_pronoun(is_few)} regressed.": is_few,
        "too few traces for an interval of the p95: its change is not estimable.": is_open,
    }
    code = "tk.compare(before, traces).endpoints"
    return [
        _said(f"{_of(int(chosen.sum()), len(entries))} {words}", code, endpoint_count=int(chosen.sum()),
              of_count=len(entries))
        for words, chosen in rest.items() if chosen.any()
    ]  # fmt: skip


def _pronoun(chosen: pd.Series) -> str:
    """Return what stands for the chosen endpoints."""
    return "it" if chosen.sum() == 1 else "they"


def _of(number: int, total: int) -> str:
    """Return how many endpoints have something, with the verb."""
    return f"{number} of {plural(total, 'endpoint')} {'has' if number == 1 else 'have'}"


def _untested(made: Made) -> list[Finding]:
    """Return how many operations could not be tested for suspects."""
    found = made.case.result(suspects_of)
    number = 0 if found is None else found.new_operation_count
    if not number:
        return []
    operations = plural(number, "operation has", "operations have")
    pronoun = "it is" if number == 1 else "they are"
    text = f"{operations} fewer than 5 baseline traces: whether {pronoun} the cause could not be tested."
    return [_said(text, "tk.suspects(before, traces)", operation_count=number)]


def _versions(made: Made) -> list[Finding]:
    """Return that versions are not recorded."""
    if not made.case.result(overview).trace_count or made.case.result(has_versions):
        return []
    text = "Service versions are not recorded (service.version): a release cannot be seen, and none ruled out."
    return [_said(text, "traces.resources['service_version']")]


def _inside(made: Made) -> list[Finding]:
    """Return the callees that have no spans of their own."""
    services = made.case.result(overview).graph.services
    mine = services[services["is_inferred"].astype(bool)]
    if mine.empty:
        return []
    names = [clean(name, limit=_NAME) for name in mine["service_name"].head(_NAMED)]
    more = f" and {len(mine) - _NAMED} more" * (len(mine) > _NAMED)
    verb, whose = ("callee has", "its") if len(mine) == 1 else ("callees have", "their")
    text = (
        f"{len(mine)} {verb} no spans of {whose} own ({', '.join(names)}{more}): what happens inside counts as time and"
        f" errors of {whose} callers."
    )
    return [_said(text, "tk.service_graph(traces).services", service_count=len(mine))]


def _logs(made: Made) -> list[Finding]:
    """Return that no log lines were given."""
    if made.case.logs is not None:
        return []
    text = "Log lines were not given: error messages that only logs contain are not considered."
    return [_said(text, "tk.investigate(traces, before, logs=...)")]


def _people() -> Finding:
    """Return what traces never contain."""
    text = "Traces do not say when an alert fired, who responded, and what was tried: add that by hand."
    return _said(text, "traces.spans")
