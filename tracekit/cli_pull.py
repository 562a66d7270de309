"""``tracekit pull``: download traces into a folder that every command reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

DONE, MISSING = 0, 1
_SHOWN = 10

app = typer.Typer(no_args_is_help=True, help="Download traces into a folder.")


@app.callback()
def _pull() -> None:
    """Group the sources as subcommands."""


@app.command()
def xray(
    folder: Annotated[Path, typer.Argument(help="Folder to write; every command and tk.read accept it as input.")],
    *,
    ids: Annotated[str | None, typer.Option(help="File with one trace ID per line, or - for stdin.")] = None,
    trace_id: Annotated[list[str] | None, typer.Option(help="Trace ID to pull. Repeatable.")] = None,
    service: Annotated[str | None, typer.Option(help="Pull all traces of this service.")] = None,
    group: Annotated[str | None, typer.Option(help="Pull all traces of this X-Ray group.")] = None,
    filter_: Annotated[str | None, typer.Option("--filter", help="X-Ray filter expression.")] = None,
    start: Annotated[
        str | None, typer.Option(help="Start: a UTC time (2026-11-21T14:00) or a duration before now (6h).")
    ] = None,
    end: Annotated[str | None, typer.Option(help="End, in the same format (default: now).")] = None,
    time_range: Annotated[
        str,
        typer.Option(
            help="Timestamp that --start and --end filter on (X-Ray TimeRangeType): Event, Service or TraceId."
        ),
    ] = "Event",
    sampling: Annotated[float | None, typer.Option(help="Fraction of traces to pull, above 0 and at most 1.")] = None,
    source: Annotated[str, typer.Option(help="xray, or logs (the CloudWatch log group aws/spans).")] = "xray",
    trace_format: Annotated[
        str, typer.Option(help="Format to request (Transaction Search only): XRAY or OTEL.")
    ] = "XRAY",
    region: Annotated[str | None, typer.Option(help="AWS region (default: from profile).")] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile (default: boto3's credential chain).")] = None,
    concurrency: Annotated[int, typer.Option(help="Parallel API calls.", min=1)] = 4,
    yes: Annotated[bool, typer.Option("--yes", help="Skip confirmation for pulls over 1,000 traces or $1.")] = False,
) -> None:
    """Pull traces from AWS X-Ray and report the outcome of each trace ID. Rerun with the same folder to resume.

    Exit code 0: all traces pulled; 1: some traces are missing (listed); 2: the pull failed.
    """
    from tracekit.aws.pull.trace_ids import read_trace_ids  # noqa: PLC0415 - likewise
    from tracekit.aws.pull.xray import pull_xray  # noqa: PLC0415 - not for --help

    trace_ids = list(trace_id or ())
    if ids is not None:
        trace_ids += read_trace_ids(sys.stdin.read() if ids == "-" else Path(ids))
        if not trace_ids:
            where = "standard input" if ids == "-" else ids
            raise typer.BadParameter(f"no trace IDs in {where}; write one per line")
    options: dict[str, Any] = {
        "service": service,
        "group": group,
        "filter": filter_,
        "start": start,
        "end": end,
        "time_range": time_range,
        "sampling": False if sampling is None else sampling,
        "source": source,
        "trace_format": trace_format,
    }
    try:
        pull = pull_xray(
            folder, trace_ids or None, **options, region=region, profile=profile, concurrency=concurrency, yes=yes
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(repr(pull))
    missing = pull.accounts[~pull.accounts["outcome"].isin(["returned", "partial", "truncated"])]
    for row in missing.head(_SHOWN).itertuples():
        typer.echo(f"  {row.xray_id} {row.outcome} {row.reason}".rstrip())
    if len(missing) > _SHOWN:
        typer.echo(f"  and {len(missing) - _SHOWN:,} more")
    for note in pull.notes:
        typer.echo(f"note: {note}")
    raise typer.Exit(MISSING if len(missing) else DONE)
