"""``tracekit audit``: the coverage playbook in a terminal."""

from __future__ import annotations

import sys
from math import isnan
from pathlib import Path  # noqa: TC003 - typer looks at the types
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tracekit as tk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.aws.audit.audit import CoverageAudit

FINE, FAILED, UNASKED = 0, 1, 2
_WIDEST = 10_000  # where nobody looks at a terminal
_LONGEST = 160  # characters of an answer in a terminal
_NUMBERS = {"requests", "traces"}
_COLUMNS = ("service", "", "verdict", "runs as", "requests", "traces", "collector")


def audit(
    *,
    region: Annotated[str | None, typer.Option(help="Of AWS; the one of the profile otherwise.")] = None,
    profile: Annotated[str | None, typer.Option(help="Of boto3's configuration.")] = None,
    days: Annotated[float, typer.Option(help="How far to look back.")] = 7,
    service: Annotated[list[str] | None, typer.Option(help="Only this service; may be repeated.")] = None,
    min_incident_requests: Annotated[
        int | None, typer.Option(help="Requests of the smallest incident that must not be missed.")
    ] = None,
    kubectl: Annotated[
        list[Path] | None,
        typer.Option(help="What `kubectl get pods,deployments,daemonsets -A -o json` printed; one file a cluster."),
    ] = None,
    logs: Annotated[
        list[Path] | None,
        typer.Option(help="What a collector or X-Ray daemon logged: collector-NAME.log; may be repeated."),
    ] = None,
    from_folder: Annotated[
        Path | None, typer.Option("--from", help="A folder of saved answers instead of AWS; audit-shop is bundled.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="A new folder for the answers.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Find out which services are traced, which are not and why: read-only, from AWS or from a saved folder.

    Exit code 0: nothing failed; 1: a service lacks traces; 2: AWS or the folder could not be asked.
    """
    from tracekit.cli_tables import findings_table, show  # noqa: PLC0415 - not for --help
    from tracekit.text import clean  # noqa: PLC0415 - not for --help

    try:
        found = tk.audit_coverage(
            region=region,
            profile=profile,
            days=days,
            services=service or None,
            min_incident_requests=min_incident_requests,
            kubectl=kubectl or (),
            logs=logs or (),
            from_folder=from_folder,
            save=save,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        typer.echo(found.findings.frame().to_json(orient="records", indent=1))
    else:
        for line in _services(found):
            typer.echo(clean(line))
        table = findings_table(found.findings)
        table.title = "What follows"
        show(table)
        for line in _evidence(found.findings):
            typer.echo(clean(line))
        for name, services in found.alarms.items():
            typer.echo(clean(f"{name}: {', '.join(services) or 'none'}"))
        if save is not None:
            typer.echo(clean(f"{save}: {len(found.answers.records):,} answers; tracekit audit --from {save}"))
    if found.services.empty and any(one.check == "coverage.not_checked" for one in found.findings):
        raise typer.Exit(UNASKED)
    raise typer.Exit(FAILED if any(found.alarms.values()) else FINE)


def _services(found: CoverageAudit) -> Iterator[str]:
    """Yield the answer in a line, then a line a service: what fails first, with the numbers behind."""
    from tracekit.aws.audit.service_record import when  # noqa: PLC0415 - not for --help

    start, end = when(found.answers.start), when(found.answers.end)
    yield f"{len(found.services):,} services in {found.answers.region}, {start} to {end} UTC"
    yield found.summary
    yield ""
    if found.services.empty:
        return
    table = found.overview
    told = {name: [*map(_told, table[name].astype(object).where(table[name].notna(), None))] for name in table}
    told["collector"] = [
        "" if name == "unknown" and told["platform"][row] != "container" else name
        for row, name in enumerate(told["collector"])
    ]
    yield from _fitted([_COLUMNS, *zip(map(str, table.index), *told.values(), strict=True)])
    yield ""


def _fitted(lines: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield the lines of a table, in a narrow terminal without the columns that say least."""
    widths = dict(zip(_COLUMNS, (max(map(len, column)) for column in zip(*lines, strict=True)), strict=True))
    shown, room, gap = list(_COLUMNS), get_terminal_size().columns if sys.stdout.isatty() else _WIDEST, 3
    for column in ("collector", "runs as"):
        if sum(widths[name] + gap for name in shown) > room:
            shown.remove(column)
    gap = 3 if sum(widths[name] + 3 for name in shown) <= room else 2
    for line in lines:
        cells = dict(zip(_COLUMNS, line, strict=True))
        told = [cells[n].rjust(widths[n]) if n in _NUMBERS else cells[n].ljust(widths[n]) for n in shown]
        yield f" {(' ' * gap).join(told)}".rstrip()


def _evidence(findings: tk.Findings) -> Iterator[str]:
    """Yield what the findings rest on: facts, and the answers of AWS that tell them."""
    yield "Evidence"
    for finding in findings:
        told = finding.evidence
        if finding.severity == "info" or "answer" not in told:
            continue
        yield f" {finding.check.removeprefix('coverage.')}  {finding.headline}"
        for row in told.to_dict("records"):
            answer = str(row["answer"])
            cut = answer if len(answer) <= _LONGEST else f"{answer[:_LONGEST]}..."
            if row["source_call"]:
                source = f"[{row['source_call']}, {row['as_of'][:16]}]"
                yield f"     {row['fact']}: {_told(row['observed'])}  {source}  {cut}"
            elif row["note"]:
                yield f"     {row['note']}"


def _told(value: Any) -> str:
    """Return an observed value as one reads it."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"
    if isinstance(value, tuple) and len(value) == 2:  # noqa: PLR2004 - so many of so many
        return f"{value[0]} of {value[1]}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_told(part)}" for name, part in value.items() if not isinstance(part, list))
    return ", ".join(map(_told, value)) if isinstance(value, list) else str(value)
