"""What to see in the chart of traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from tracekit.findings import Finding
from tracekit.text import count, moment, number, plural

if TYPE_CHECKING:
    from tracekit.analysis.traffic import Traffic
    from tracekit.checks.overview import Overview


def traffic_figure(found: Traffic, seen: Overview) -> Finding:
    """Return the mean and the largest number of traces in a step, and how many have a failed request."""
    total, failed, busiest = float(found.weight.sum()), float(found.failed.sum()), int(found.weight.argmax())
    what, steps = f"{seen.counted}trace", len(found.weight)
    text = f"{plural(total, what)} in {plural(steps, 'step')} of {found.step_ns / 1e9:g} s: "
    text += f"{number(total / steps)} per step on average, at most {count(found.weight[busiest])} "
    text += f"({moment(int(found.start_ns[busiest]))} UTC). "
    if failed:
        worst = int(found.failed.argmax())
        text += f"{plural(failed, what)} with a failed request, at most {count(found.failed[worst])} in a step "
        text += f"({moment(int(found.start_ns[worst]))} UTC)."
    else:
        text += "None has a failed request."
    rows = pd.DataFrame(
        {
            "start_time": pd.to_datetime(found.start_ns, utc=True),
            "trace_count": found.weight,
            "failed_count": found.failed,
        }
    )
    values = {"trace_count": total, "failed_count": failed, "step_ns": found.step_ns, "step_count": steps,
              "highest_count": float(found.weight[busiest])}  # fmt: skip
    return Finding("figure.traffic", "info", text, evidence=rows, values=values,
                   code="traces.summary[['start_ns', 'is_error']]")  # fmt: skip
