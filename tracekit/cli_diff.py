"""``tracekit diff``: what changed between two sets of traces, and conditions for a pipeline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import tracekit as tk
from tracekit.cli_reading import ByParts, Dask, read_side
from tracekit.text import in_markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from tracekit.analysis.compare.gates import Gate
    from tracekit.analysis.compare.result import Comparison

Format = Literal["table", "markdown", "json", "junit"]
MET, UNDECIDED = 1, 3


def diff(
    baseline: Annotated[str, typer.Argument(help="Baseline: a file, folder, glob, archive or Parquet store.")],
    current: Annotated[str, typer.Argument(help="Current traces, likewise.")],
    *,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Group by service_name and operation (default), or other columns or attributes. Repeatable."),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            help="Condition that fails the command: 'p95_ms rises 10%', 'error_rate of POST /checkout rises 1 points',"
            " 'new edge'. Repeatable."
        ),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="Output: table, markdown, json or junit.")] = "table",
    top: Annotated[int, typer.Option(help="Rows to show.", min=1)] = 15,
    input_format: Annotated[
        str | None, typer.Option(help="Input format: otlp, xray, jaeger or zipkin (default: detected).")
    ] = None,
    by_parts: ByParts = False,
    dask: Dask = None,
) -> None:
    """Compare two sets of traces: operations, calls between services, endpoints.

    Exit code 0: no condition is met; 1: at least one is, significantly; 3: none is, and at least one is
    inconclusive (it says how many traces are needed); 2: a file or argument error.
    """
    from tracekit.analysis.compare.gates import evaluate  # noqa: PLC0415 - not for --help

    keys = by or ["service_name", "operation"]
    options: dict[str, Any] = {
        "by_parts": by_parts,
        "dask": dask,
        "weights": None,
        "sample_spans": None,
        "format": input_format,
    }
    sides = [read_side([files], **options) for files in (baseline, current)]
    try:
        changes = tk.compare(sides[0], sides[1], by=keys)
        gates = [evaluate(condition, changes) for condition in fail_if or []]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    printers: dict[Format, Callable[[Comparison, list[Gate], int], None]] = {
        "table": _print_table,
        "markdown": _print_markdown,
        "json": _print_json,
        "junit": _print_junit,
    }
    printers[format_](changes, gates, top)
    outcomes = {gate.outcome for gate in gates}
    if "failed" in outcomes:
        raise typer.Exit(MET)
    if "inconclusive" in outcomes:
        raise typer.Exit(UNDECIDED)


def _print_table(changes: Comparison, gates: list[Gate], top: int) -> None:
    """Print tables for a terminal."""
    from tracekit.cli_tables import comparison_table, show  # noqa: PLC0415 - not for --help

    typer.echo(repr(changes))
    for title, table in _tables(changes):
        show(comparison_table(title, table, top))
    for gate in gates:
        typer.echo(_line(gate))


def _print_markdown(changes: Comparison, gates: list[Gate], top: int) -> None:
    """Print Markdown for a pull request."""
    typer.echo(f"**{in_markdown(repr(changes))}**\n")
    for gate in gates:
        typer.echo(f"- {in_markdown(_line(gate))}")
    typer.echo("")
    for title, table in _tables(changes):
        typer.echo(f"### {title}\n")
        rows = list(_cells(table.head(top)))
        heads = list(_heads(table))
        typer.echo("\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows]))
        hidden = len(table) - top
        typer.echo(f"\n{hidden:,} more rows\n" if hidden > 0 else "")


def _print_json(changes: Comparison, gates: list[Gate], top: int) -> None:
    """Print all rows of all tables and the conditions as one JSON document; ``top`` limits nothing here."""
    del top
    tables = {name: json.loads(getattr(changes, name).to_json(orient="records", double_precision=15))
              for name in ("table", "edges", "endpoints", "requests", "effects")}  # fmt: skip
    document = {
        "statement": changes.statement,
        "trace_counts": dict(zip(("baseline", "current"), changes.trace_counts, strict=True)),
        "conditions": [
            {
                "condition": gate.condition,
                "outcome": gate.outcome,
                "sentence": gate.sentence,
                "traces_needed": gate.traces_needed,
            }
            for gate in gates
        ],
        **tables,
    }
    typer.echo(json.dumps(document, indent=1))


def _print_junit(changes: Comparison, gates: list[Gate], top: int) -> None:
    """Print the conditions as JUnit test cases: failed, skipped where inconclusive, or passed."""
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - not for other commands

    del top
    counts = {name: str(sum(gate.outcome == name for gate in gates)) for name in ("failed", "inconclusive")}
    suite = ET.Element(
        "testsuite", name="tracekit diff", tests=str(len(gates)), failures=counts["failed"], errors="0",
        skipped=counts["inconclusive"],
    )  # fmt: skip
    tags = {"failed": "failure", "inconclusive": "skipped", "passed": "system-out"}
    for gate in gates:
        case = ET.SubElement(suite, "testcase", classname="tracekit.diff", name=_in_xml(gate.condition))
        outcome = ET.SubElement(case, tags[gate.outcome])
        if gate.outcome == "passed":
            outcome.text = _in_xml(gate.sentence)
        else:
            outcome.set("message", _in_xml(gate.sentence))
    ET.SubElement(suite, "system-out").text = _in_xml(repr(changes))
    typer.echo(ET.tostring(suite, encoding="unicode", xml_declaration=True))


def _tables(changes: Comparison) -> list[tuple[str, pd.DataFrame]]:
    """Return the tables that are shown, with their titles."""
    return [
        ("Operations, by contribution to the change of the mean latency", changes.table),
        ("Calls between services", changes.edges),
        ("Endpoints", changes.endpoints),
    ]


def _line(gate: Gate) -> str:
    """Return a condition and its outcome in one line."""
    words = {"failed": "FAILED", "passed": "passed", "inconclusive": "CANNOT TELL"}
    return f"{words[gate.outcome]}: {gate.condition}: {gate.sentence}"


def _heads(table: pd.DataFrame) -> Sequence[str]:
    """Return the heads of the columns that are shown."""
    from tracekit.cli_tables import comparison_heads  # noqa: PLC0415 - not for --help

    return [in_markdown(head.replace("\n", " ")) for head in comparison_heads(table)]


def _cells(table: pd.DataFrame) -> list[list[str]]:
    """Return the rows that are shown, as Markdown."""
    from tracekit.cli_tables import comparison_rows  # noqa: PLC0415 - not for --help

    return [[in_markdown(text) for text in row] for row in comparison_rows(table)]


def _in_xml(text: str) -> str:
    """Return text without characters that XML does not allow."""
    from tracekit.text import clean  # noqa: PLC0415 - not for --help

    return clean(text)
