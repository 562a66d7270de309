"""The statement of the likely cause that the baseline does not have, or never as often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.checks.changes.queries import new_queries, per_request, statement_in_words
from tracekit.text import mean_count, number

if TYPE_CHECKING:
    from tracekit.checks.screen.cause import Cause
    from tracekit.checks.screen.made import Made

_WHOLE = 10  # calls per request from which no decimals are shown


class Query(NamedTuple):
    """A statement in words with how often it runs, and its numbers."""

    words: str
    values: dict[str, Any]


def query_of(made: Made, found: Cause) -> Query | None:
    """Return a new statement of the operation that grew, or of its service, with its calls per affected request.

    Where nobody is named as affected: per request that runs it.
    """
    new = made.case.result(new_queries) if made.first("queries") is not None else None
    if new is None or found.row is None:
        return None
    mine = new[new["service_name"] == found.row["service_name"]]
    if mine.empty:
        return None
    is_there = mine["operation"] == found.row["operation"]  # otherwise a statement that the slower operation runs
    order = mine.assign(is_there=is_there).sort_values(["is_there", "call_count"], ascending=False, kind="stable")
    row = order.iloc[0].to_dict()
    ids = _affected(made)
    mean = per_request(made.case, row, ids) if ids else 0.0
    whose = "affected request"
    if not mean > 0:
        mean, whose = row["call_count"] / row["trace_count"], "request that runs it"
    times = number(round(mean)) if mean >= _WHOLE else mean_count(mean)
    most = int(row["baseline_most"])
    was = f"at most {most} in the baseline" if most else "new"
    values = {"statement": row["statement"], "calls_per_request": float(mean), "baseline_most_calls": most}
    return Query(f"{statement_in_words(row)} ({was}; {times} per {whose})", values)


def _affected(made: Made) -> set[str]:
    """Return the ids of the slow or failed requests, of those who are affected where that is known."""
    assert made.regression is not None
    band = made.regression.band
    if band is None:
        return set()
    named = made.affected(band)
    chosen = band.sides[0][0].chosen if named is None else band.sides[0][0].chosen & named.now
    return set(band.roots[0].ids(np.flatnonzero(chosen)))
