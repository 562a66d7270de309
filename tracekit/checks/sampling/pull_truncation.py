"""Traces that a pull did not bring: windows cut at the limit of the backend, missing traces, an unfinished pull."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit.findings import finding, not_assessable
from tracekit.text import plural

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Status

CHECK = "pull.truncation"
_CHOSEN = {
    "all": "all",
    "fixed_rate": "a fixed share",
    "newest": "the newest",
    "first_found": "those found first",
    "unknown": "chosen by an undocumented rule",
}
_COLUMNS = ["backend", "server", "start", "end", "cap", "selection", "truncation", "trace_count", "query"]


def pull_truncation(case: Case) -> list[Finding]:
    """Return whether a pull cut its windows at the limit of the backend, and whether traces of it are missing.

    A window that returned as many traces as the limit allows is a sample, whose choice is that of the backend: the
    newest traces, or those found first.  Neither is random, and no sampling weight represents the others.  Source: the
    ledger of ``tk.pull`` (column ``pull`` of ``traces.sources``).
    """
    texts = case.source.sources["pull"]
    parts = [part for text in texts[texts.astype(bool)] for part in json.loads(text)]
    if not parts:
        return [not_assessable(CHECK, "Truncation by the pull", "traces pulled with tk.pull")]
    windows = pd.DataFrame([part for part in parts if "query" in part], columns=_COLUMNS)
    states = {part["pull"]: part for part in parts if "requested_count" in part}  # the last one of each pull
    unfinished = len({part["pull"] for part in parts} - set(states))
    cut = windows[windows["truncation"] != "excluded"]
    clauses = [*_cut(cut, len(windows)), *_missing(list(states.values()), unfinished)]
    partial = sum(len(state.get("partial", ())) for state in states.values())
    clauses += [f"{plural(partial, 'trace')} {'is' if partial == 1 else 'are'} partial"] if partial else []
    if not clauses:
        text = f"Pull complete: no window of {len(windows):,} reached the limit of the backend."
        return [finding(CHECK, "ok", text, windows, is_critical=False)]
    is_proven = bool((cut["truncation"] == "proven").any())
    status: Status = "failed" if is_proven else "warning"
    remedy = (
        "Pull again with a narrower query or a higher limit." if len(cut) else "Rerun the pull with the same folder."
    )
    return [
        finding(CHECK, status, f"Pull incomplete: {'; '.join(clauses)}.", windows, remedy=remedy, is_critical=False)
    ]


def _cut(cut: pd.DataFrame, total: int) -> list[str]:
    """Return the clause about truncated windows."""
    if cut.empty:
        return []
    proven = int((cut["truncation"] == "proven").sum())
    certainty = "are truncated" if proven == len(cut) else "may be truncated"
    chosen = " and ".join(sorted({_CHOSEN.get(str(one), str(one)) for one in cut["selection"]}))
    return [f"{len(cut):,} of {plural(total, 'window')} {certainty}, so these traces are a sample ({chosen})"]


def _missing(states: list[dict[str, Any]], unfinished: int) -> list[str]:
    """Return the clauses about missing traces and windows."""
    missing, requested = (sum(state[name] for state in states) for name in ("missing_count", "requested_count"))
    left = sum(state["open_count"] for state in states)
    clauses = [f"{missing:,} of {plural(requested, 'trace')} did not arrive"] if missing else []
    clauses += [f"at least {plural(left, 'window')} not searched"] if left else []
    return clauses + ([f"{plural(unfinished, 'pull')} stopped before its end"] if unfinished else [])
