"""Whether the p95 latency of an endpoint fell, and the error rate, by more than they vary over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.checks.changes.affected import failed_band, slow_band
from tracekit.checks.changes.error_rate import has_fallen
from tracekit.checks.changes.variation import METHOD, p_of_fall
from tracekit.checks.comparison import SURE, Changes, comparable_changes
from tracekit.checks.names import name_of
from tracekit.findings import Finding
from tracekit.text import count, from_to, plural, ratio

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.case import Case

_CODE: Final = "tk.compare(before, traces)"


def improved(case: Case) -> list[Finding]:
    """Return what is better than in the baseline: the endpoint with the largest decrease of p95, and the error rate."""
    changes = comparable_changes(case)
    if changes is None:
        return []
    faster, values = _faster(changes), _fewer_errors(changes)
    if faster.empty and not values:
        return []
    texts = []
    if not faster.empty:
        texts.append(_latency(faster.iloc[0], len(faster)))
        values |= _values(faster.iloc[0])
    if "current_error_ratio" in values:
        rates = from_to(values["baseline_error_ratio"], values["current_error_ratio"], ratio)
        texts.append(f"Error rate{changes.recorded} fell {rates}.")
    return [Finding("improved", "info", " ".join(texts), evidence=faster, method=METHOD, code=_CODE, values=values)]


def _faster(changes: Changes) -> pd.DataFrame:
    """Return the endpoints whose p95 decreased significantly and by more than it varies, the largest decrease first."""
    fell = changes.entries[changes.entries["p95_change_high_ns"] < 0]
    is_sure = [
        p_of_fall(slow_band(changes, row, int(row["current_p95_ns"]))) <= SURE / len(fell) for _, row in fell.iterrows()
    ]
    fell = fell[np.array(is_sure, bool)]
    by = fell["current_p95_ns"] - fell["baseline_p95_ns"]
    return fell.loc[by.sort_values(kind="stable").index]


def _fewer_errors(changes: Changes) -> dict[str, Any]:
    """Return the error rates if it fell significantly and by more than it varies; empty otherwise."""
    if not has_fallen(changes) or p_of_fall(failed_band(changes)) > SURE:
        return {}
    before, now = changes.before.failed.value, changes.now.failed.value
    return {"baseline_error_ratio": before, "current_error_ratio": now}


def _latency(row: pd.Series, endpoint_count: int) -> str:
    """Return the sentence about the endpoint whose p95 decreased most."""
    text = (
        f"{name_of(row)} p95 improved {from_to(row['baseline_p95_ns'], row['current_p95_ns'])}"
        f" (n = {from_to(row['baseline_span_count'], row['current_span_count'], count)})."
    )
    return text + f" {plural(endpoint_count - 1, 'other endpoint')} improved as well." * (endpoint_count > 1)


def _values(row: pd.Series) -> dict[str, Any]:
    """Return the numbers of the endpoint whose p95 decreased most."""
    place = {"service_name": str(row["service_name"]), "operation": str(row["operation"])}
    return {**place, "baseline": float(row["baseline_p95_ns"]), "current": float(row["current_p95_ns"]), "unit": "ns"}
