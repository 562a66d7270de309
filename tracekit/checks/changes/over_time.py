"""When the error rate, the latency or the request rate of a recording changed, and when it recovered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.analysis.change_points import ERRORS, FORMS, LATENCY, ONSET, PATH_TIME, RATE, RECOVERY
from tracekit.analysis.timeline.compute import timeline
from tracekit.checks.overview import overview
from tracekit.findings import Finding
from tracekit.text import clean, from_to, moment, plural

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from tracekit.analysis.timeline.result import Timeline
    from tracekit.checks.case import Case
    from tracekit.findings import Severity

_SUBJECTS: Final = {ERRORS: "Error rate", LATENCY: "Mean latency", RATE: "Request rate"}
_NAME, _NAMED = 80, 3  # characters of a name, services named in a sentence
_METHOD: Final = (
    "The part of the recording whose level differs most, tested by a self-normalized scan, which allows for correlated"
    " noise; p-values are adjusted for all metrics and services."
)
_ASSUMPTIONS: Final = ("means also change if the mix of endpoints does: tk.timeline(traces, by='request.operation')",)


def over_time(case: Case) -> list[Finding]:
    """Return one finding per metric of requests that changed; nothing without a change."""
    seen = case.result(timeline_of)
    if case.recording is None and not case.is_stored:
        _ = case.result(overview).paths  # the changes need them, too
    changes = seen.changes
    found = [_finding(seen, metric) for metric in _SUBJECTS if (changes["metric"] == metric).any()]
    return found or ([_services_only(seen)] if len(seen.affected) else [])


def timeline_of(case: Case) -> Timeline:
    """Return requests over time: of the whole recording, if traces and baseline are parts of one."""
    return timeline(case.source if case.recording is None else case.recording, deployments=case.deployments)


def _finding(seen: Timeline, metric: str) -> Finding:
    """Return the finding about one metric."""
    rows = seen.changes[seen.changes["metric"] == metric].reset_index(drop=True)
    steps = {row["kind"]: row for row in rows.to_dict("records")}
    onset, recovery = steps[ONSET], steps.get(RECOVERY)
    is_up = onset["after_value"] > onset["before_value"]
    text = (
        f"{_SUBJECTS[metric]}{' of recorded requests' * (not seen.is_of_all_traffic)} {'rose' if is_up else 'fell'} at"
        f" {_time(onset)}: {_values(onset)}"
    )
    text += f", and changed back to {FORMS[metric](recovery['after_value'])} at {_time(recovery)}." if recovery else "."
    sentences = [text, *_deployed(onset), *(_order(seen) if metric == LATENCY else [])]
    if metric == RATE:
        sentences.append("Load varies on its own, and traces that are missing look the same.")
    severity: Severity = "info" if metric == RATE else "warning" if is_up else "notice"
    return _made(seen, severity, sentences, rows, onset)


def _services_only(seen: Timeline) -> Finding:
    """Return the finding about services, where no metric of whole requests changed."""
    rows = seen.changes[seen.changes["metric"] == PATH_TIME].reset_index(drop=True)
    onset = rows[rows["kind"] == ONSET].to_dict("records")[0]
    verb = "rose" if onset["after_value"] > onset["before_value"] else "fell"
    name = clean(onset["service_name"], limit=_NAME)
    text = f"Critical-path time of {name} {verb} at {_time(onset)}: {_values(onset)} per request."
    return _made(seen, "notice", [text, *_deployed(onset), *_order(seen)], rows, onset)


def _made(
    seen: Timeline, severity: Severity, sentences: list[str], rows: pd.DataFrame, onset: dict[Hashable, Any]
) -> Finding:
    """Return a finding of some sentences."""
    names = ("metric", "time_ns", "low_ns", "high_ns", "before_value", "after_value", "p_value")
    return Finding(
        "over_time",
        severity,
        " ".join(sentences),
        evidence=rows,
        assumptions=(*_ASSUMPTIONS, *seen.sampled),
        method=_METHOD,
        values={name: onset[name] for name in names},
        code="tk.timeline(traces).changes",
    )


def _time(row: dict[Hashable, Any]) -> str:
    """Return the time of a step with its interval, in UTC."""
    low, high = moment(row["low_ns"]), moment(row["high_ns"])
    limits = f"95% CI {low[11:]} to {high[11:] if high[:10] == low[:10] else high}"
    return f"{moment(row['time_ns'])} UTC ({limits})"


def _values(row: dict[Hashable, Any]) -> str:
    """Return the values before and after, with the p-value."""
    return f"{from_to(row['before_value'], row['after_value'], FORMS[row['metric']])} (p = {row['p_value']:.2g})"


def _deployed(onset: dict[Hashable, Any]) -> list[str]:
    """Return the sentence about deployments at the time of the onset."""
    if not onset["deployment"]:
        return []
    return [f"Deployed at that time: {clean(onset['deployment'], limit=_NAME)} (coincides; no proof)."]


def _order(seen: Timeline) -> list[str]:
    """Return the sentence about the services, in the order of their onsets as far as it is known."""
    rows = seen.affected
    if len(rows) < 2:  # noqa: PLR2004 - one service needs no order
        return []
    names = [clean(name, limit=_NAME) for name in rows["service_name"]]
    first = np.flatnonzero(rows["last_position"] == 1)
    if not len(first):
        return [f"Critical-path time changed at {_list(names)}; their intervals overlap, so no order is known."]
    rest = [name for at, name in enumerate(names) if at != first[0]]
    return [f"Critical-path time changed first at {names[first[0]]}, later at {_list(rest)}."]


def _list(names: list[str]) -> str:
    """Return the first few names, and how many others there are."""
    return ", ".join(names[:_NAMED]) + f" and {plural(len(names) - _NAMED, 'other')}" * (len(names) > _NAMED)
