"""Where to see it: a trace that shows the regression, and the code of the comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.checks.overview import overview
from tracekit.checks.screen.cause import cause_of
from tracekit.findings import Finding
from tracekit.text import clean, count, duration, plural

if TYPE_CHECKING:
    from tracekit.checks.screen.cause import Cause
    from tracekit.checks.screen.made import Made

_SHOWN: Final = ("affected", "change", "regressed", "suspects", "slow_requests", "failed_requests", "tail")
_ID: Final = 8  # characters of a trace id
_NAME: Final = 80


def exemplar(made: Made) -> Finding | None:
    """Return a trace that shows what is wrong; None without one."""
    names = ("change", "regressed", *_SHOWN) if made.regression is not None else _SHOWN
    one = next((found for name in names if (found := made.first(name)) is not None and found.exemplars), None)
    if one is None:
        return None
    trace_id = one.exemplars[0]
    traces = made.case.result(overview).having([trace_id])
    if trace_id not in set(traces.trace_ids):
        return None
    took = traces.summary["root_duration_ns"].to_dict()[trace_id]
    calls = _calls(made, cause_of(made), trace_id) if made.regression is not None else ""
    text = f"Exemplar {trace_id[:_ID]} ({duration(took)}{calls})."
    code = f"tk.waterfall(traces, {trace_id!r})"
    return Finding("screen.exemplar", "info", text, exemplars=one.exemplars, values={"trace_id": trace_id}, code=code)


def _calls(made: Made, found: Cause, trace_id: str) -> str:
    """Return how often the exemplar has the operation that grew; empty where no operation did."""
    if found.row is None or made.changes is None or made.changes.comparison is None:
        return ""
    traces = made.case.result(overview).having([trace_id]).trace(trace_id)
    is_named = traces.spans["operation"].astype(str) == found.row["operation"]
    is_mine = traces.spans["service_name"].astype(str) == found.row["service_name"]
    number = int((is_named & is_mine).sum())
    parts = made.changes.comparison.parts
    keys = ["service_name", "operation"]
    same = (parts[keys].astype(str) == found.row[keys].astype(str)).all(axis=1) & (parts["factor"] == "frequency")
    usual = float(parts.loc[same, "baseline_value"].max()) if same.any() else float("nan")
    was = f", usually {count(round(usual))} in the baseline" if usual == usual and number > 1 else ""  # noqa: PLR0124 - NaN
    name = clean(found.row["operation"], limit=_NAME)
    return f", {plural(number, f'call of {name}', f'calls of {name}')}{was}"
