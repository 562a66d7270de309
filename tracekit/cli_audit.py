"""``tracekit audit``: the coverage playbook in a terminal."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer looks at the types
from typing import TYPE_CHECKING, Annotated

import typer

import tracekit as tk

if TYPE_CHECKING:
    from collections.abc import Iterator

FINE, FAILED = 0, 1
_LONGEST = 160  # characters of an answer in a terminal


def audit(
    *,
    region: Annotated[str | None, typer.Option(help="Of AWS; the one of the profile otherwise.")] = None,
    profile: Annotated[str | None, typer.Option(help="Of boto3's configuration.")] = None,
    days: Annotated[float, typer.Option(help="How far to look back.")] = 7,
    service: Annotated[list[str] | None, typer.Option(help="Only this service; may be repeated.")] = None,
    incident: Annotated[
        int | None, typer.Option(help="Requests of the smallest incident that must not be missed.")
    ] = None,
    kubectl: Annotated[
        list[Path] | None,
        typer.Option(help="What `kubectl get pods,deployments,daemonsets -A -o json` printed; one file a cluster."),
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
    from tracekit.views.text import clean  # noqa: PLC0415 - not for --help

    try:
        found = tk.audit_coverage(
            region=region,
            profile=profile,
            days=days,
            services=service or None,
            incident=incident,
            kubectl=kubectl or (),
            from_folder=from_folder,
            save=save,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        typer.echo(found.findings.frame().to_json(orient="records", indent=1))
    else:
        typer.echo(clean(repr(found)))
        show(findings_table(found.findings))
        for line in _evidence(found.findings):
            typer.echo(clean(line))
        for name, services in found.alarms.items():
            typer.echo(clean(f"{name}: {', '.join(services) or 'none'}"))
        if save is not None:
            typer.echo(clean(f"{save}: {len(found.answers.records):,} answers; tracekit audit --from {save}"))
    raise typer.Exit(FAILED if any(found.alarms.values()) else FINE)


def _evidence(findings: tk.Findings) -> Iterator[str]:
    """Yield what the findings rest on: facts, and the answers of AWS that tell them."""
    yield "Evidence"
    for finding in findings:
        told = finding.evidence
        if finding.severity == "info" or "answer" not in told:
            continue
        yield f" {finding.check.removeprefix('coverage.')}  {finding.headline}"
        for row in told[told["source_call"] != ""].to_dict("records"):
            answer = str(row["answer"])
            cut = answer if len(answer) <= _LONGEST else f"{answer[:_LONGEST]}..."
            yield f"     {row['fact']}: {row['observed']}  [{row['source_call']}, {row['as_of']}]  {cut}"
