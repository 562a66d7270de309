"""The representations of a TraceSet: one line of text, a small HTML table, and the code that recreates it."""

from __future__ import annotations

import ast
import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.on_demand import pd
from tracekit.schema import Quality
from tracekit.text import clean, plural, short_names

if TYPE_CHECKING:
    from tracekit.traces import TraceSet

_LONGEST = 1000  # characters of a readable literal


def line(traces: TraceSet) -> str:
    """Return the ``repr`` of a set."""
    shown = facts(traces)
    parts = [f"{shown[name]} {name[: -1 if shown[name] == '1' else None]}" for name in ("traces", "spans", "services")]
    parts.append(shown["period"])
    parts += [f"{shown['quarantined']} quarantined"] if shown["quarantined"] else []
    parts += [f"{shown['incomplete']} incomplete"] if shown["incomplete"] else []
    parts += ["weighted"] if shown["weights"] == "known" else []
    return f"TraceSet({', '.join(parts)})"


def table(traces: TraceSet) -> str:
    """Return the facts that are not empty as an HTML table."""
    rows = "".join(
        f"<tr><th>{name}</th><td>{html.escape(fact)}</td></tr>" for name, fact in facts(traces).items() if fact
    )
    return f"<table>{rows}</table>"


def facts(traces: TraceSet) -> dict[str, str]:
    """Return the size, period and completeness of a set, as text."""
    spans, count = traces.columns.spans, traces.columns.sources
    known = spans.start_ns[(spans.quality & Quality.NO_START) == 0]
    quarantined = int(count["quarantined_count"].sum())
    partial = int((~count["complete"].astype(bool)).sum())
    return {
        "traces": f"{len(traces):,}",
        "spans": f"{len(spans):,}",
        "services": f"{len(np.unique(traces.codes('service_name').codes)):,}",
        "period": _period(*pd.to_datetime([known.min(), known.max()])) if len(known) else "no times",
        "quarantined": plural(quarantined, "record") * bool(quarantined),
        "incomplete": f"{partial:,} of {len(count)} sources" * bool(partial),
        "weights": _weights_known(traces),
    }


def _weights_known(traces: TraceSet) -> str:
    """Return for how many traces the sampling weight is known."""
    missing = int((~traces.weights.known).sum())
    if missing == len(traces):
        return "unknown: every trace counts once"
    return f"unknown for {missing:,} of {len(traces):,} traces, which count once" if missing else "known"


def _period(first: pd.Timestamp, last: pd.Timestamp) -> str:
    """Return a period in UTC, without the second date if it equals the first."""
    form = "%H:%M:%S" if first.date() == last.date() else "%Y-%m-%d %H:%M:%S"
    return f"{first:%Y-%m-%d %H:%M:%S} to {last.strftime(form)} UTC"


def made(traces: TraceSet) -> str:
    """Return the calls that recreate a set, starting with reading the files."""
    steps = list(traces.steps)
    if not steps or steps[0].startswith("."):
        names = [f'"{_escaped(name)}"' for name in source_names(traces)]
        steps.insert(0, f"tk.read({names[0] if len(names) == 1 else '[' + ', '.join(names) + ']'})")
    return "".join(steps)


def made_of(first: TraceSet, second: TraceSet) -> tuple[str, ...]:
    """Return the steps of a union; none where reading all sources together gives it."""
    return (f"({made(first)} + {made(second)})",) if first.steps or second.steps else ()


def source_names(traces: TraceSet) -> list[str]:
    """Return the display names of the sources of a set."""
    return names_of(traces.columns.sources)


def names_of(sources: pd.DataFrame) -> list[str]:
    """Return the display names of sources: cleaned, without their common folder."""
    return [clean(name) for name in short_names([str(uri) for uri in sources["uri"]])]


def _escaped(name: str) -> str:
    """Return a name as the content of a Python literal between double quotes."""
    return name.replace("\\", "\\\\").replace('"', '\\"')


def step(method: str, *arguments: Any, **named: Any) -> str:
    """Return a method call as code."""
    given = [*map(_literal, arguments), *(f"{name}={_literal(value)}" for name, value in named.items())]
    return f".{method}({', '.join(given)})"


def _literal(value: Any) -> str:
    """Return a Python literal that equals the value, ``...`` if there is none of readable length."""
    value = str(value) if isinstance(value, Path) else value
    if type(value) not in {str, int, float, bool, list, tuple, dict}:
        return "..."
    written = repr(value)
    try:
        is_same = len(written) <= _LONGEST and bool(ast.literal_eval(written) == value)
    except (ValueError, SyntaxError):  # contains something that is not a literal
        is_same = False
    return written if is_same else "..."
