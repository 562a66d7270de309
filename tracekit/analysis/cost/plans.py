"""What tracing would cost with other sampling rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.analysis.sampling_plan import plan_sampling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

_COLUMNS: Final = [
    "plan", "kept_ratio", "kept_error_ratio", "kept_slow_ratio", "usd_per_month", "saved_usd_per_month",
]  # fmt: skip


def plan_costs(
    traces: TraceSet | Parts,
    plans: Mapping[str, Any] | None,
    usd_per_trace: float,
    months: float,
    trace_count: int,
    *,
    on: On = None,
) -> pd.DataFrame:
    """Return what recording the traces that each set of sampling rules keeps would cost.

    Parameters
    ----------
    traces
        Requests; each counts with its sampling weight, or once if that is unknown.
    plans
        Sets of sampling rules by name; None for none.
    usd_per_trace
        Price of recording a trace.
    months
        Length of the recording.
    trace_count
        Number of recorded traces.
    on
        Where the parts of a store are read.

    Returns
    -------
    pandas.DataFrame
        One row per plan, see ``Cost.plans``; savings are compared with the recorded traces.

    Examples
    --------
    >>> plan_costs(shop, {"half": 0.5}, 1.0, 1.0, 5)[
    ...     ["kept_ratio", "usd_per_month", "saved_usd_per_month"]
    ... ].values.tolist()
    [[0.5, 2.5, 2.5]]
    """
    if not plans:
        return pd.DataFrame(columns=_COLUMNS)
    found = plan_sampling(traces, dict(plans), on=on).plans.reset_index()
    spent = found["kept_count"] * usd_per_trace / months
    return found.assign(
        kept_error_ratio=found["kept_error_count"] / found["error_count"].where(found["error_count"] > 0),
        kept_slow_ratio=found["kept_slow_count"] / found["slow_count"].where(found["slow_count"] > 0),
        usd_per_month=spent,
        saved_usd_per_month=trace_count * usd_per_trace / months - spent,
    )[_COLUMNS]
