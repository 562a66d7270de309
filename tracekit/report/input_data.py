"""Input data: sources and data-quality issues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.report.tables import Cell, Column, Table, count_cell, number, records, rest_note
from tracekit.text import clean, count, size

if TYPE_CHECKING:
    from tracekit.checks.overview import Overview

_RANKS: Final = {"error": 0, "warn": 1, "info": 2}


def sources_table(seen: Overview, names: list[str]) -> Table:
    """Return one row per source."""
    columns = (
        Column("source"), Column("format"), number("size", unit="bytes"), number("records"),
        number("spans", "accepted + merged + quarantined"), number("accepted"),
        number("merged", "duplicates of accepted spans"), number("quarantined", "see the data-quality issues"),
        Column("complete"),
    )  # fmt: skip
    rows = []
    for name, row in zip(names, records(seen.sources), strict=False):
        bytes_ = None if row["byte_count"] is None else float(row["byte_count"])
        lost = int(row["quarantined_count"])
        rows.append(
            (
                Cell(name, name, "wide"),
                Cell(clean(row["format"]), clean(row["format"])),
                Cell(size(bytes_), bytes_),
                count_cell(row["record_count"]),
                count_cell(row["span_count"]),
                count_cell(row["accepted_count"]),
                count_cell(row["merged_count"], "" if row["merged_count"] else "mute"),
                count_cell(lost, "bad" if lost else "mute"),
                Cell("yes", "") if row["complete"] else Cell(f"no: {clean(row['stop_reason'])}", "", "bad"),
            )
        )
    return Table("Input data", columns, rows, note=rest_note(len(seen.sources), "sources"))


def issues_table(seen: Overview, names: list[str]) -> Table:
    """Return one row per issue code and action, with an example."""
    columns = (
        Column("severity"), Column("code"), Column("action"), number("count"), Column("first occurrence"),
        Column("location"),
    )  # fmt: skip
    issues = seen.issues
    rows = []
    if len(issues):
        plain = issues.astype({"code": str, "severity": str, "action": str})
        keys = ["severity", "code", "action"]
        total = plain.groupby(keys)["issue_count"].transform("sum")
        first = plain.assign(issue_count=total, rank=plain["severity"].map(_RANKS)).drop_duplicates(keys)
        for row in records(first.sort_values(["rank", "issue_count"], ascending=[True, False], kind="stable")):
            where = _where(row, names)
            rows.append(
                (
                    Cell(row["severity"], int(row["rank"]), "bad" if row["severity"] == "error" else ""),
                    Cell(row["code"], row["code"], "code"),
                    Cell(row["action"], row["action"]),
                    count_cell(row["issue_count"]),
                    Cell(_example(row, seen, names), None, "wide"),
                    Cell(where, where, "mute"),
                )
            )
    return Table("Data-quality issues", columns, rows)


def _where(issue: dict[str, Any], names: list[str]) -> str:
    """Return the source and record of an issue."""
    source = int(issue["source_id"])
    name = names[source] if 0 <= source < len(names) else ""
    return name if pd.isna(issue["record_number"]) else f"{name}, record {count(issue['record_number'])}"


def _example(issue: dict[str, Any], seen: Overview, names: list[str]) -> str:
    """Return the message without what other columns contain: its code, and the folder of its source."""
    source, message = int(issue["source_id"]), str(issue["message"]).removeprefix(f"{issue['code']} ")
    if 0 <= source < len(names):
        uri = str(seen.sources["uri"].iloc[source])
        message = message.removeprefix(f"{uri} ").replace(uri, names[source])
    return clean(message, limit=400)
