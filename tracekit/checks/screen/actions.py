"""What to do now, and the number that says whether it helped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.checks.changes.endpoints import most_regressed
from tracekit.checks.changes.suspects import suspects_of
from tracekit.checks.names import name_of, place_of
from tracekit.checks.patterns.n_plus_one import N_PLUS_ONE
from tracekit.checks.screen.cause import cause_of, is_of_suspect, part_of, worth
from tracekit.checks.screen.changed import UNDATED, in_baseline, releases, timing_of, version_before
from tracekit.checks.screen.query import query_of
from tracekit.findings import Finding
from tracekit.stats.quantiles import Quantile, quantile_limits
from tracekit.text import clean, duration, interval, ratio, signed_duration

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.critical_path.what_if import WhatIf
    from tracekit.checks.screen.cause import Cause
    from tracekit.checks.screen.made import Made
    from tracekit.checks.screen.query import Query

_NAME: Final = 80
_PREDICTED: Final = ("new_latency_ns", "new_low_ns", "new_high_ns")


def actions(made: Made) -> Finding | None:
    """Return what to do now, in the order of preference, and how to verify it; None where nothing is known."""
    if made.regression is None:
        return None
    found = cause_of(made)
    back, values = roll_back(made, found)
    query = query_of(made, found)
    steps = [*back, *_mend(found, query, is_second=bool(back))] or look(found)
    if not steps:
        return None
    also, more = _others(made, found)
    steps, values = steps + also, {**values, **_values(query), **more}
    check, verified = _verify(made, found)
    steps += check
    text = " ".join(f"{at}. {step}" for at, step in enumerate(steps, 1))
    code = "tk.suspects(before, traces, recovery=True).without.table" if verified else ""
    return Finding("screen.actions", "notice", text, values={**values, **verified}, code=code)


def _values(query: Query | None) -> dict[str, Any]:
    """Return the numbers of a statement; empty without one."""
    return {} if query is None else dict(query.values)


def roll_back(made: Made, found: Cause) -> tuple[list[str], dict[str, Any]]:
    """Return the release to undo: of the likely cause, seen near the onset and still serving; none without one.

    Where it was seen long before, or it is not known by when the regression began: one that the baseline does not have,
    with what is known.  None where other versions are as bad, or where the version was good before the onset.
    """
    return _roll_back(made, found.service_name)


def _roll_back(made: Made, service_name: str) -> tuple[list[str], dict[str, Any]]:
    """Return the release of a service to undo."""
    for one in made.case.result(releases):
        timing = timing_of(made, one)
        if one.service_name != service_name or not timing.may_be_cause:
            continue
        if not (timing.coincides or timing.is_worse) and in_baseline(made.case, one):
            continue
        if (before := version_before(made.case, one)) is not None:
            name, was = clean(one.service_name, limit=_NAME), clean(before, limit=_NAME)
            values = {"roll_back": one.service_name, "version": one.version, "previous_version": before}
            is_sure = timing.coincides or (timing.is_worse and timing.is_dated)
            new = f": the baseline does not have {clean(one.version, limit=_NAME)}"
            doubt = ", first seen before the regression began." if timing.is_early else f". {UNDATED}"
            return [f"Roll back {name} to {was}{'.' if is_sure else new + doubt}"], values
    return [], {}


def _mend(found: Cause, query: Query | None, *, is_second: bool) -> list[str]:
    """Return the remedy of the mechanism, with the new statement; without a mechanism, the statement to look at."""
    remedy = "" if found.pattern is None else found.pattern.remedy
    if query is not None:
        is_repeated = found.pattern is not None and found.pattern.check == N_PLUS_ONE.check
        remedy = f"Batch {query.words}." if is_repeated else f"{remedy} Look at {query.words}.".strip()
    if not remedy:
        return []
    return [f"If you cannot: {remedy[0].lower()}{remedy[1:]}" if is_second else remedy]


def _others(made: Made, found: Cause) -> tuple[list[str], dict[str, Any]]:
    """Return what to do about the other operations that are slower: a step for each service, or for the same one."""
    assert made.changes is not None
    steps: list[str] = []
    done: list[dict[str, Any]] = []
    seen = set()
    for row in _worth(made, found):
        name = str(row["service_name"])
        if name in seen:
            continue
        seen.add(name)
        back, values = _roll_back(made, name) if name != found.service_name else ([], {})
        part = f"{place_of(row)}: {part_of(made.changes, row)}"
        steps.append(f"{back[0].removesuffix('.')} as well ({part})." if back else f"Look at {part} as well.")
        done += [values] if back else []
    return steps, {"also_roll_back": done} if done else {}


def _worth(made: Made, found: Cause) -> list[pd.Series]:
    """Return the other operations to act on."""
    return [] if made.changes is None else worth(found, made.changes)


def look(found: Cause) -> list[str]:
    """Return where to look first, where there is neither a release nor a pattern."""
    if found.row is not None and found.row["service_name"] == found.service_name:
        return [f"Look at {place_of(found.row)} first."]
    return [f"Look at {clean(found.service_name, limit=_NAME)} first."] if found.service_name else []


def _verify(made: Made, cause: Cause) -> tuple[list[str], dict[str, Any]]:
    """Return the figures that say whether it helped: predicted ones, and those of the baseline."""
    changes, regression = made.changes, made.regression
    assert changes is not None
    assert regression is not None
    parts: list[str] = []
    values: dict[str, Any] = {}
    found = made.case.result(suspects_of) if made.warning("suspects") is not None else None
    if found is not None and found.without is not None and found.recovery is not None and found.recovery.low > 0:
        parts, values = _predicted(made, found.without)
        parts += _removed(made, cause, str(found.table["service_name"].iloc[0]))
    if regression.metric == "error_rate":
        parts.append(f"the error rate was {ratio(changes.before.failed.value)} in the baseline")
        values["baseline_error_ratio"] = changes.before.failed.value
    return ([f"Verify: {'; '.join(parts)}."] if parts else []), values


def _removed(made: Made, found: Cause, service_name: str) -> list[str]:
    """Return what the prediction leaves as it is, or removes besides, where more than one operation is slower."""
    others = _worth(made, found)
    if not others or found.row is None:
        return []
    assert made.changes is not None
    name = clean(service_name, limit=_NAME)
    slower = [*([] if is_of_suspect(found, made.changes, found.row) else [found.row]), *others]
    rest = [one for one in slower if str(one["service_name"]) != service_name]
    if not rest:
        return [f"that is without all that is slower at {name}"]
    kept = ", ".join(f"{place_of(one)} ({signed_duration(one['change_ns'])})" for one in rest)
    return [f"that is with only {name} back at its baseline: {kept} remains"]


def _predicted(made: Made, without: WhatIf) -> tuple[list[str], dict[str, Any]]:
    """Return the predicted p95 of the endpoint that regressed, and of all requests."""
    assert made.changes is not None
    assert made.regression is not None
    every = {name: float(value) for name, value in without.table.to_dict("index")["p95"].items()}
    before = float(made.changes.before.requests.table["p95_ns"].iloc[0])
    values = {f"p95_{name}": every[name] for name in _PREDICTED} | {"baseline_p95_ns": before}
    new, low, high = (every[name] for name in _PREDICTED)
    limits = interval(low, high, duration)
    entry = most_regressed(made.changes)
    if made.regression.metric != "p95" or entry is None:
        whole = f"the p95 of all requests should return to about {duration(new)} (what-if; {limits}; baseline"
        return [f"{whole} {duration(before)})"], values
    one = _of_endpoint(made, without)
    mine = (
        f"the p95 of {name_of(entry)} should return to about {duration(one.value)}"
        f" (what-if; {interval(one.low, one.high, duration)}; baseline {duration(entry['baseline_p95_ns'])})"
    )
    values |= {f"endpoint_p95_{name}": value for name, value in zip(_PREDICTED, one[1:4], strict=True)}
    return [f"{mine}, that of all requests to {duration(new)} ({limits}; baseline {duration(before)})"], values


def _of_endpoint(made: Made, without: WhatIf) -> Quantile:
    """Return the predicted p95 of the requests to the endpoint that regressed most."""
    assert made.regression is not None
    assert made.regression.band is not None
    roots = made.regression.band.roots[0]
    ids = roots.ids(np.arange(roots.trace_count))
    weight = dict(zip(ids, roots.weight.tolist(), strict=True))
    table = without.traces[without.traces["trace_id"].isin(weight)]
    weights = table["trace_id"].map(weight).to_numpy(float)
    mine = table[weights > 0]
    trace = np.unique(mine["trace_id"].to_numpy(str), return_inverse=True)[1]
    inclusion = np.minimum(1 / weights[weights > 0], 1)
    new = mine["new_latency_ns"].to_numpy(float)
    return quantile_limits(inclusion, new, [0.95], clusters=trace, target="process")[0]
