"""Queries that find such requests again: X-Ray filter expressions and TraceQL, counted on these traces."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from tracekit.checks.changes.endpoints import most_regressed
from tracekit.checks.overview import overview
from tracekit.checks.postmortem.recorded import root_names
from tracekit.checks.postmortem.removed_names import is_removed
from tracekit.errors import FilterError
from tracekit.findings import Finding
from tracekit.text import clean, count, plural

if TYPE_CHECKING:
    from tracekit.checks.screen.made import Made

_PLAIN: Final = re.compile(r'[^"`\\\x00-\x1f]{1,200}')  # names that both languages can quote without an escape
_MS: Final = 1e6


def queries(made: Made) -> list[Finding]:
    """Return queries for slow requests of the endpoint that regressed, and for errors where they begin."""
    if made.regression is None or made.changes is None:
        return []
    return [one for one in (*_slow(made), *_failing(made)) if one is not None]


def _slow(made: Made) -> list[Finding | None]:
    """Return the queries for requests slower than the p95 of the baseline."""
    assert made.changes is not None
    row = most_regressed(made.changes)
    if row is None or not _is_plain(made, service := str(row["service_name"])):
        return []
    limit_ms = max(1, round(float(row["baseline_p95_ns"]) / _MS))
    xray = f'service("{service}") AND responsetime > {limit_ms / 1000:.3f}'
    name = _span_name(made, service, str(row["operation"]))
    named = f" && name = {json.dumps(name, ensure_ascii=False)}" if name else ""
    traceql = f'{{ resource.service.name = "{service}"{named} && duration > {limit_ms}ms }}'
    same = f"service_name == {service!r}{f' and name == {name!r}' * bool(name)} and duration_ns > {limit_ms * 10**6}"
    return [_counted(made, "x-ray", xray, xray), _counted(made, "traceql", traceql, same)]


def _failing(made: Made) -> list[Finding | None]:
    """Return the queries for errors of the service where most failed requests begin to fail, if the rate rose."""
    assert made.regression is not None
    origins = made.case.result(overview).errors.origins
    if made.regression.metric != "error_rate" or origins.empty:
        return []
    first = origins.sort_values("failed_request_count", ascending=False, kind="stable").iloc[0]
    service = str(first["service_name"])
    if not _is_plain(made, service) or not first["failed_request_count"]:
        return []
    xray = f'service("{service}") {{ fault = true }}'
    traceql = f'{{ resource.service.name = "{service}" && status = error }}'
    same = f"service_name == {service!r} and status_code == 'ERROR'"
    return [_counted(made, "x-ray", xray, xray), _counted(made, "traceql", traceql, same)]


def _is_plain(made: Made, name: str) -> bool:
    """Return whether a name can be written in a query as it is, and is that of the recorded traces."""
    return clean(name) == name and _PLAIN.fullmatch(name) is not None and not is_removed(made.case, name)


def _span_name(made: Made, service: str, operation: str) -> str:
    """Return the one name that the root spans of an endpoint have; empty if they have several."""
    found = list(root_names(made.case.source, service, operation))
    return found[0] if len(found) == 1 and isinstance(found[0], str) and _is_plain(made, found[0]) else ""


def _counted(made: Made, kind: str, query: str, same: str) -> Finding | None:
    """Return how many traces a query selects, on both sides; None if it selects none, or cannot be evaluated."""
    assert made.changes is not None
    sides: tuple[Any, Any] = made.case.source, made.changes.before.source
    try:
        now, before = (len(side.where(same)) for side in sides)
    except FilterError:  # a name that the language of conditions cannot spell
        return None
    if not now:
        return None
    values = {"kind": kind, "command": query, "count": now, "baseline_count": before}
    how = {"x-ray": "", "traceql": " (counted here by the same condition)"}
    was = f"{count(before)} of {plural(made.changes.before.trace_count, 'baseline trace')}"
    found = f"{count(now)} of {plural(made.changes.now.trace_count, 'current trace')}"
    text = f"{query} selects {was} and {found}{how[kind]}."
    return Finding("postmortem.check", "info", text, values=values, code=f"len(traces.where({same!r}))")
