"""``tracekit pull``: recorded traces from where they are kept into a folder that every command reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

DONE, MISSING = 0, 1
_SHOWN = 10

app = typer.Typer(no_args_is_help=True, help="Pull traces from where they are kept into a folder.")


@app.callback()
def _pull() -> None:
    """Hold the sources."""


@app.command()
def xray(
    folder: Annotated[Path, typer.Argument(help="Takes the answers; every command and tk.read read it.")],
    *,
    ids: Annotated[str | None, typer.Option(help="A file of trace ids, one a line, or - for standard input.")] = None,
    trace_id: Annotated[list[str] | None, typer.Option(help="A trace id; may be given several times.")] = None,
    service: Annotated[str | None, typer.Option(help="Every trace of this service.")] = None,
    group: Annotated[str | None, typer.Option(help="Every trace of this group.")] = None,
    filter_: Annotated[str | None, typer.Option("--filter", help="An X-Ray filter expression.")] = None,
    start: Annotated[str | None, typer.Option(help="2026-11-21T14:00 (UTC), or how long ago: 6h.")] = None,
    end: Annotated[str | None, typer.Option(help="Likewise; now by default.")] = None,
    time_range: Annotated[str, typer.Option(help="Event, Service or TraceId.")] = "Event",
    sampling: Annotated[float | None, typer.Option(help="A share of the traces, above 0 and at most 1.")] = None,
    source: Annotated[str, typer.Option(help="xray, or logs: the log group aws/spans.")] = "xray",
    trace_format: Annotated[str, typer.Option(help="Of Transaction Search: XRAY or OTEL.")] = "XRAY",
    region: Annotated[str | None, typer.Option(help="Instead of the profile's.")] = None,
    profile: Annotated[str | None, typer.Option(help="Of the AWS configuration.")] = None,
    concurrency: Annotated[int, typer.Option(help="Calls at the same time.", min=1)] = 4,
    yes: Annotated[bool, typer.Option("--yes", help="Also above 1,000 traces or a dollar.")] = False,
) -> None:
    """Pull traces from AWS X-Ray, every asked id accounted for; the same folder again goes on where it was.

    Exit code 0: every trace came; 1: some did not, as the table says; 2: AWS did not give what was asked.
    """
    from tracekit.aws.pull.pull import pull_xray  # noqa: PLC0415 - not for --help
    from tracekit.aws.pull.trace_ids import given  # noqa: PLC0415 - likewise

    asked = list(trace_id or ())
    if ids is not None:
        asked += given(sys.stdin.read() if ids == "-" else Path(ids))
        if not asked:
            where = "standard input" if ids == "-" else ids
            raise typer.BadParameter(f"expected trace ids in {where}, one a line, found none")
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
            folder, asked or None, **options, region=region, profile=profile, concurrency=concurrency, yes=yes
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(repr(pull))
    came = pull.accounts["outcome"].isin(["returned", "partial", "truncated"])
    lost = pull.accounts[~came]
    for row in lost.head(_SHOWN).itertuples():
        typer.echo(f"  {row.xray_id} {row.outcome} {row.reason}".rstrip())
    if len(lost) > _SHOWN:
        typer.echo(f"  and {len(lost) - _SHOWN:,} more")
    for note in pull.notes:
        typer.echo(f"note: {note}")
    raise typer.Exit(MISSING if len(lost) else DONE)
