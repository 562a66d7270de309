"""``tracekit audit``: the trace-coverage audit in a terminal."""

from __future__ import annotations

import sys
from math import isnan
from pathlib import Path  # noqa: TC003 - typer reads the types at run time
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tracekit as tk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.aws.audit.coverage import CoverageAudit

FINE, FAILED, NOT_AUDITED = 0, 1, 2
_UNLIMITED_WIDTH = 10_000  # characters, where the output is no terminal
_MAX_ANSWER = 160  # characters of an answer that the evidence shows
_NUMBERS = {"requests", "traces"}
_COLUMNS = ("service", "code", "diagnosis", "platform", "requests", "traces", "collector")


def audit(
    *,
    region: Annotated[str | None, typer.Option(help="AWS region (default: from profile).")] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile (default: boto3's credential chain).")] = None,
    days: Annotated[float, typer.Option(help="Days to look back.")] = 7,
    service: Annotated[list[str] | None, typer.Option(help="Audit only this service. Repeatable.")] = None,
    min_incident_requests: Annotated[
        int | None,
        typer.Option(
            help="Smallest incident that traces must capture, in requests (enables the check of sampling rates)."
        ),
    ] = None,
    kubectl: Annotated[
        list[Path] | None,
        typer.Option(help="Output of `kubectl get pods,deployments,daemonsets -A -o json`, per cluster. Repeatable."),
    ] = None,
    logs: Annotated[
        list[Path] | None,
        typer.Option(help="Log of a collector or X-Ray daemon, named collector-NAME.log. Repeatable."),
    ] = None,
    from_folder: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Folder of saved AWS responses (from --save) to audit offline; audit-shop is a sample."
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="New folder to save the AWS responses to, for use with --from.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Audit trace coverage: which services are traced, which are not, and why. Read-only.

    Exit code 0: no service is missing traces; 1: a service is missing traces; 2: the audit could not run.
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
        show(findings_table(found.findings))
        for line in _evidence(found.findings):
            typer.echo(clean(line))
        typer.echo("Alarms that should fire, and the services")
        for name, services in found.alarms.items():
            typer.echo(clean(f" {name}: {', '.join(services) or 'none'}"))
        if save is not None:
            saved = f"{save}: {len(found.answers.records):,} AWS responses saved"
            typer.echo(clean(f"{saved}; repeat the audit with tracekit audit --from {save}"))
    if found.services.empty and any(one.check == "coverage.not_checked" for one in found.findings):
        raise typer.Exit(NOT_AUDITED)
    raise typer.Exit(FAILED if any(found.alarms.values()) else FINE)


def _services(found: CoverageAudit) -> Iterator[str]:
    """Yield the summary, then one line per service, failing services first."""
    from tracekit.aws.audit.service_record import when  # noqa: PLC0415 - not for --help

    start, end = when(found.answers.start), when(found.answers.end)
    yield f"{len(found.services):,} services in {found.answers.region}, {start} to {end} UTC"
    yield found.summary
    yield ""
    if found.services.empty:
        return
    table = found.overview
    texts = {name: [*map(_text, table[name].astype(object).where(table[name].notna(), None))] for name in table}
    texts["collector"] = [
        "" if name == "unknown" and texts["platform"][row] != "container" else name
        for row, name in enumerate(texts["collector"])
    ]
    yield from _fitted([_COLUMNS, *zip(map(str, table.index), *texts.values(), strict=True)])
    yield ""


def _fitted(lines: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield the lines of a table, without the least important columns if the terminal is narrow."""
    widths = dict(zip(_COLUMNS, (max(map(len, column)) for column in zip(*lines, strict=True)), strict=True))
    available = get_terminal_size().columns if sys.stdout.isatty() else _UNLIMITED_WIDTH
    shown, gap = list(_COLUMNS), 3
    for column in ("collector", "platform"):
        if sum(widths[name] + gap for name in shown) > available:
            shown.remove(column)
    gap = 3 if sum(widths[name] + 3 for name in shown) <= available else 2
    for line in lines:
        cells = dict(zip(_COLUMNS, line, strict=True))
        padded = [cells[n].rjust(widths[n]) if n in _NUMBERS else cells[n].ljust(widths[n]) for n in shown]
        yield f" {(' ' * gap).join(padded)}".rstrip()


def _evidence(findings: tk.Findings) -> Iterator[str]:
    """Yield the evidence of the findings: facts, with the AWS responses that contain them."""
    from tracekit.aws.audit.messages import LABELS  # noqa: PLC0415 - not for --help

    yield "Evidence"
    for finding in findings:
        rows = finding.evidence
        if finding.severity == "info" or "answer" not in rows:
            continue
        code = finding.check.removeprefix("coverage.")
        yield f" {LABELS[code]} [{code}]  {finding.headline}" if code in LABELS else f" {finding.headline}"
        for row in rows.to_dict("records"):
            answer = str(row["answer"])
            cut = answer if len(answer) <= _MAX_ANSWER else f"{answer[:_MAX_ANSWER]}..."
            if row["source_call"]:
                source = f"[{row['source_call']}, {row['as_of'][:16]}]"
                yield f"     {row['fact']}: {_text(row['observed'])}  {source}  {cut}"
            elif row["note"]:
                yield f"     {row['note']}"


def _text(value: Any) -> str:
    """Return an observed value as text."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        from tracekit.text import number  # noqa: PLC0415 - not for --help

        return number(value)
    if isinstance(value, tuple) and len(value) == 2:  # noqa: PLR2004 - (part, total)
        return f"{value[0]} of {value[1]}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items() if not isinstance(part, list))
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)
