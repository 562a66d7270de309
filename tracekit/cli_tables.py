"""Tables for the terminal: rich tables and JSON out of the frames that a notebook shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracekit.text import clean, count, duration, ratio, short_names, size

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tracekit.checks.overview import Overview
    from tracekit.errors import LoadError
    from tracekit.findings import Findings
    from tracekit.traces import TraceSet

_COLOURS = {"critical": "bold red", "error": "red", "warning": "yellow", "warn": "yellow", "notice": "cyan"}
_RANKS = {"error": 0, "warn": 1, "info": 2}
_PAGE_WIDTH = 120  # columns where no terminal says how many it has: a pipe, a log


def show(table: Table) -> None:
    """Print a table; one without rows is its title alone."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_PAGE_WIDTH)
    console.print(table if table.row_count else str(table.title))


def sources_table(sources: pd.DataFrame) -> Table:
    """Return what was read: one row a source."""
    counts = ("span_count", "accepted_count", "merged_count", "quarantined_count", "skipped_count")
    table = _table("What was read", ["source", "format"], ["size", "seen", "used", "merged", "quarantined", "skipped"])
    table.add_column("read", overflow="fold", max_width=40)
    for name, row in zip(short_names(list(sources["uri"])), _records(sources), strict=True):
        packed = "" if row["compression"] in {"none", None} else f" ({row['compression']})"
        table.add_row(
            _cell(name),
            _cell(f"{row['format']}{packed}"),
            size(row["byte_count"]),
            *(count(row[column]) for column in counts),
            _cell("to the end" if row["complete"] else f"in part: {row['stop_reason']}"),
        )
    return table


def issues_table(issues: pd.DataFrame, sources: pd.DataFrame) -> Table:
    """Return what was wrong: one row a code and what was done about it, the gravest first."""
    table = _table("What was wrong" if len(issues) else "Nothing was wrong.", ["severity", "code", "done"], ["times"])
    table.add_column("the first of them", overflow="fold", ratio=1)
    uris = list(sources["uri"])
    names = short_names(uris)
    for row in _records(_by_code(issues)):
        at = row["source_id"]
        words = str(row["message"]).removeprefix(row["code"]).strip().removeprefix(uris[at])
        table.add_row(
            Text(row["severity"], style=_COLOURS.get(row["severity"], "")),
            _cell(row["code"]),
            _cell(row["action"]),
            count(row["issue_count"]),
            _cell(f"{names[at]}{words}"),
        )
    return table


def _by_code(issues: pd.DataFrame) -> pd.DataFrame:
    """Return the first issue of every code, severity and action, with the count of all of them."""
    keys = ["severity", "code", "action"]
    plain = issues.astype(dict.fromkeys(keys, str))
    total = plain.groupby(keys)["issue_count"].sum()
    first = plain.drop_duplicates(keys).set_index(keys).assign(issue_count=total).reset_index()
    return first.sort_values("severity", key=lambda column: column.map(_RANKS), kind="stable")


def findings_table(findings: Findings) -> Table:
    """Return the findings: severity and sentence."""
    table = _table("What the traces show", ["severity", "finding"])
    for finding in findings:
        said = _cell(finding.headline)
        for more in filter(None, (finding.method, finding.remedy)):
            said.append(f"\n{clean(more)}", style="dim")
        table.add_row(Text(finding.severity, style=_COLOURS.get(finding.severity, "")), said)
    return table


def figures_table(sets: Mapping[str, Overview]) -> Table:
    """Return the headline numbers of sets side by side."""
    table = _table("Requests", [""], list(sets))
    rows = {name: seen.requests.table.iloc[0] for name, seen in sets.items()}
    table.add_row("traces", *(count(len(seen.traces)) for seen in sets.values()))
    table.add_row("spans", *(count(seen.span_count) for seen in sets.values()))
    table.add_row("services", *(count(seen.service_count) for seen in sets.values()))
    failed = (_limits(row, "error_ratio", ratio, "") for row in rows.values())
    table.add_row("failed", *failed)
    for quantile in ("p50", "p95"):
        table.add_row(quantile, *(_limits(row, quantile, duration, "_ns") for row in rows.values()))
    return table


def samples_table(samples: pd.DataFrame) -> Table:
    """Return the recordings."""
    table = _table(
        "Recordings for tk.load_sample(name)", ["name", "what", "what is true about it"], ["traces", "spans"]
    )
    for row in _records(samples):
        table.add_row(row["name"], row["title"], row["truth"], count(row["trace_count"]), count(row["span_count"]))
    return table


def as_document(traces: TraceSet | None, exit_code: int, error: LoadError | None = None) -> str:
    """Return what ``check`` found as JSON."""
    members = ("code", "source", "record")
    document = {
        "exit_code": exit_code,
        "trace_count": 0 if traces is None else len(traces),
        "span_count": 0 if traces is None else len(traces.columns.spans),
        "sources": [] if traces is None else json.loads(traces.sources.to_json(orient="records")),
        "issues": [] if traces is None else json.loads(traces.issues.to_json(orient="records")),
        "error": None if error is None else {name: getattr(error, name) for name in members} | {"message": str(error)},
    }
    return json.dumps(document, indent=1)


def _table(title: str, words: list[str], numbers: list[str] | None = None) -> Table:
    """Return an empty table: columns of words, then columns of numbers."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in words:
        table.add_column(name, overflow="fold")
    for name in numbers or []:
        table.add_column(name, justify="right")
    return table


def _cell(text: object) -> Text:
    """Return text that can neither move the cursor nor style the table."""
    return Text(clean(text))


def _limits(row: pd.Series[Any], name: str, words: Any, unit: str) -> str:
    """Return a number with its limits."""
    low, high = (words(row[f"{name}_{side}{unit}"]) for side in ("low", "high"))
    return f"{words(row[f'{name}{unit}'])} ({low} to {high})"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows, missing values as None."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
