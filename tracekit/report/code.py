"""Code that reproduces the figures of a report in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.views.details import source_names

if TYPE_CHECKING:
    from tracekit.traces import TraceSet

_SECTIONS: Final = {
    "changes": (
        "by = ['service_name', 'operation', 'callee_service']\n"
        "tk.critical_path(before).compare(tk.critical_path(traces), by=by).table"
    ),
    "sources": "traces.sources\ntraces.issues",
    "volume": "traces.summary[['start_ns', 'is_error']]",
    "path": "tk.critical_path(traces).by(['service_name', 'operation', 'callee_service'])",
    "services": "tk.service_graph(traces).services",
    "operations": "tk.latency(traces).table",
    "map": "tk.plot(tk.service_graph(traces))",
    "latency": "tk.plot(tk.latency(traces))",
    "errors": "tk.errors(traces).operations\ntk.errors(traces).exceptions",
    "traces": "traces.summary.nlargest(25, 'root_duration_ns')",
}


def code_of(traces: TraceSet, baseline: TraceSet | None = None) -> dict[str, str]:
    """Return the code that reproduces each section, starting with reading the files."""
    lines = ["import tracekit as tk", "", f"traces = {_made(traces)}"]
    if baseline is not None:
        lines.append(f"before = {_made(baseline)}")
    if any("(...)" in line for line in lines):
        lines.insert(1, "# ...: a mask, function or table; insert the one you used")
    head = "\n".join(lines)
    return {section: f"{head}\n{code}" for section, code in _SECTIONS.items()} | {"head": head}


def _made(traces: TraceSet) -> str:
    """Return the calls that recreate a TraceSet, starting with reading the files."""
    steps = list(traces.steps)
    if not steps or steps[0].startswith("."):
        names = [repr_(name) for name in source_names(traces)]
        steps.insert(0, f"tk.read({names[0] if len(names) == 1 else '[' + ', '.join(names) + ']'})")
    return "".join(steps)


def repr_(name: str) -> str:
    r"""Return a name as a Python literal between double quotes."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
