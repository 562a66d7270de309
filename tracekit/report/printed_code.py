"""The code that a report prints: how its traces were read, and what reproduces each section."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tracekit.self_description import made
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.parts import Parts

SECTION_CODES: Final = {
    "changes": (
        "by = ['service_name', 'operation', 'callee_service']\n"
        "tk.critical_path(before).compare(tk.critical_path(traces), by=by).table"
    ),
    "sources": "traces.sources\ntraces.issues",
    "volume": "traces.summary[['start_ns', 'is_error']]\ntk.plot(tk.timeline(traces))",
    "path": "tk.critical_path(traces).by(['service_name', 'operation', 'callee_service'])",
    "services": "tk.service_graph(traces).services",
    "operations": "tk.latency(traces).table",
    "map": "tk.plot(tk.service_graph(traces))",
    "latency": "tk.plot(tk.latency(traces))",
    "errors": "tk.errors(traces).operations\ntk.errors(traces).exceptions",
    "traces": "traces.summary.nlargest(25, 'root_duration_ns')",
}


class Reading(NamedTuple):
    """How the traces of a report were read.

    Parameters
    ----------
    files
        Names of the sources of ``traces`` and ``baseline``.
    traces_code, baseline_code
        The calls that recreate them; empty without a baseline.
    """

    files: Mapping[str, Sequence[str]]
    traces_code: str
    baseline_code: str

    def before(self, code: str) -> str:
        """Return code that starts with reading the files that it uses; empty without code."""
        baseline = self.baseline_code if re.search(r"\bbefore\b", code) else ""
        return f"{_reading(self.traces_code, baseline)}\n{code}" if code else ""


def reading(traces: TraceSet | Parts, baseline: TraceSet | Parts | None = None) -> str:
    """Return the code that reads the files."""
    return _reading(made_by(traces), "" if baseline is None else made_by(baseline))


def made_by(side: TraceSet | Parts) -> str:
    """Return the calls that recreate traces."""
    return made(side) if isinstance(side, TraceSet) else side.made


def _reading(traces: str, baseline: str) -> str:
    """Return the code that makes traces by these calls, and a baseline if there are some for it."""
    named = {"traces": traces, "before": baseline}
    lines = ["import tracekit as tk", "", *(f"{name} = {calls}" for name, calls in named.items() if calls)]
    if any("(...)" in line for line in lines):
        lines.insert(1, "# ...: a mask, function or table; insert the one you used")
    return "\n".join(lines)
