"""Whether a regression is also found without the traces that are incomplete or have impossible times."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.analysis.partials import kept, over_parts
from tracekit.checks.changes.endpoints import most_regressed
from tracekit.checks.changes.error_rate import has_risen
from tracekit.checks.comparison import Changes, comparable_changes
from tracekit.checks.names import KEYS, name_of
from tracekit.checks.overview import ENOUGH, Overview
from tracekit.completeness import is_partial
from tracekit.findings import Finding
from tracekit.schema import Quality
from tracekit.text import count, from_to, ratio

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_IMPOSSIBLE: Final = Quality.DURATION_NEGATIVE | Quality.DURATION_ABSURD | Quality.TIME_FUTURE
_METHOD: Final = (
    "The same tests on the other traces. Requests that are unfinished may be the slow ones, so that leaving them out"
    " can hide a regression."
)
_CODE: Final = 'tk.compare(before.where("not partial"), traces.where("not partial"))'


def holds(case: Case) -> list[Finding]:
    """Return whether what regressed is also found without incomplete traces and those with impossible times."""
    changes = comparable_changes(case)
    if changes is None:
        return []
    row, is_risen = most_regressed(changes), has_risen(changes)
    sides = changes.before.source, changes.now.source
    if row is None and not is_risen:
        return []
    bad = [over_parts(side, _bad_count, operator.add).state for side in sides]
    if not any(bad):
        return []
    total, good = (
        changes.before.trace_count + changes.now.trace_count,
        [side.trace_count - number for side, number in zip((changes.before, changes.now), bad, strict=True)],
    )
    left = f"Without the {count(sum(bad))} of {count(total)} traces that are incomplete or have impossible times"
    if min(good) < ENOUGH:
        sizes = " → ".join(map(count, good))
        return [_finding(f"{left}: too few to compare (n = {sizes} traces).", "inconclusive", None)]
    less = Changes(*(Overview(kept(side, _good)) for side in sides))
    parts = [_endpoint(less, row)] if row is not None else []
    parts += [_errors(less)] if is_risen else []
    is_same = all(found for _, found in parts)
    text = f"{left}: {'; '.join(words for words, _ in parts)}."
    return [_finding(text, "ok" if is_same else "warning", is_same)]


def _bad_count(traces: TraceSet) -> int:
    """Return how many traces are incomplete or have impossible times."""
    return int(_bad(traces).sum())


def _good(traces: TraceSet) -> TraceSet:
    """Return the other traces."""
    return traces.where(~_bad(traces)[traces.forest.trace])


def _bad(traces: TraceSet) -> Array:
    """Return which traces are incomplete, or have a span that ends before it starts, is absurdly long or ahead."""
    impossible = (traces.columns.spans.quality & _IMPOSSIBLE) != 0
    has_impossible = np.bincount(traces.forest.trace[impossible], minlength=len(traces)) > 0
    return np.asarray(is_partial(traces.lookup, traces.forest) | has_impossible)


def _endpoint(less: Changes, row: pd.Series) -> tuple[str, bool]:
    """Return the p95 of an endpoint, and whether it regressed."""
    own = less.entries[(less.entries[list(KEYS)] == row[list(KEYS)]).all(axis=1)]
    if own.empty or own["p95_change_low_ns"].isna().all():
        return f"too few requests to {name_of(row)} to compare", False
    found = own.iloc[0]
    is_slower = bool(found["p95_change_low_ns"] > 0)
    verdict = "regressed as well" if is_slower else "no significant change"
    return f"{name_of(row)} p95 {from_to(found['baseline_p95_ns'], found['current_p95_ns'])}, {verdict}", is_slower


def _errors(less: Changes) -> tuple[str, bool]:
    """Return the error rate, and whether it rose."""
    is_risen = has_risen(less)
    rates = from_to(less.before.failed.value, less.now.failed.value, ratio)
    return f"error rate {rates}, {'risen as well' if is_risen else 'no significant change'}", is_risen


def _finding(text: str, status: str, holds_too: bool | None) -> Finding:
    """Return the finding."""
    remedy = "" if holds_too else "Find out why these traces are incomplete before you act on the regression."
    kind = {"ok": "info", "inconclusive": "notice", "warning": "warning"}[status]
    return Finding("holds", kind, text, values={"holds": holds_too}, status=status, remedy=remedy,  # type: ignore[arg-type]  # of the table above
                   method=_METHOD, code=_CODE)  # fmt: skip
