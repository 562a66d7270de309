"""``tracekit pull``: download traces into a folder that every command reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tracekit.pull.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.aws.pull.result import Pull as XRayPull
    from tracekit.pull.result import Pull

    AnyPull = Pull | XRayPull

DONE, MISSING = 0, 1
_SHOWN = 10

app = typer.Typer(no_args_is_help=True, help="Download traces into a folder.")


def _read_ids(ids: str | None, trace_id: list[str] | None, words_of: Callable[[str | Path], list[str]]) -> list[str]:
    """Return the ids of both options."""
    trace_ids = list(trace_id or ())
    if ids is not None:
        trace_ids += words_of(sys.stdin.read() if ids == "-" else Path(ids))
        if not trace_ids:
            where = "standard input" if ids == "-" else ids
            raise typer.BadParameter(f"no trace IDs in {where}; write one per line")
    return trace_ids


def _finish(pull: AnyPull, name: str) -> None:
    """Print the outcome, and exit with the code for it; ``name`` is the column with the ids."""
    typer.echo(repr(pull))
    accounts = pull.accounts.reset_index()
    missing = accounts[~accounts["outcome"].isin(["returned", "partial", "truncated"])]
    for row in missing.head(_SHOWN).itertuples():
        typer.echo(f"  {getattr(row, name)} {row.outcome} {row.reason}".rstrip())
    if len(missing) > _SHOWN:
        typer.echo(f"  and {len(missing) - _SHOWN:,} more")
    for note in pull.notes:
        typer.echo(f"note: {note}")
    raise typer.Exit(MISSING if len(missing) else DONE)


def _command(name: str, about: str) -> None:
    """Add the command of a backend."""

    def command(
        url: Annotated[str, typer.Argument(help="Base URL of the server, without user and password.")],
        folder: Annotated[Path, typer.Argument(help="Folder to write; every command and tk.read accept it as input.")],
        *,
        ids: Annotated[str | None, typer.Option(help="File with one trace ID per line, or - for stdin.")] = None,
        trace_id: Annotated[list[str] | None, typer.Option(help="Trace ID to pull. Repeatable.")] = None,
        service: Annotated[str | None, typer.Option(help="Pull all traces of this service.")] = None,
        operation: Annotated[str | None, typer.Option(help="Pull all traces with a span of this name.")] = None,
        query: Annotated[str | None, typer.Option(help="Query in the language of the backend.")] = None,
        min_duration: Annotated[str | None, typer.Option(help="Shortest duration of a span, such as 250ms.")] = None,
        max_duration: Annotated[str | None, typer.Option(help="Longest duration of a span.")] = None,
        start: Annotated[
            str | None, typer.Option(help="Start: a UTC time (2026-11-21T14:00) or a duration before now (6h).")
        ] = None,
        end: Annotated[str | None, typer.Option(help="End, in the same format (default: now).")] = None,
        limit: Annotated[int | None, typer.Option(help="Traces per request.", min=1)] = None,
        credentials: Annotated[
            Path | None,
            typer.Option(help="File with HTTP headers, one 'Name: value' per line (default: $TRACEKIT_PULL_HEADERS)."),
        ] = None,
        ca_file: Annotated[Path | None, typer.Option(help="Certificates of authorities to trust.")] = None,
        concurrency: Annotated[int, typer.Option(help="Parallel requests.", min=1)] = 4,
        yes: Annotated[bool, typer.Option("--yes", help="Skip confirmation for pulls over 1,000 traces.")] = False,
    ) -> None:
        from tracekit.pull import pull  # noqa: PLC0415 - not for --help
        from tracekit.pull.session import read_trace_ids  # noqa: PLC0415 - likewise

        options: dict[str, Any] = {
            "service": service,
            "operation": operation,
            "query": query,
            "min_duration": min_duration,
            "max_duration": max_duration,
            "start": start,
            "end": end,
            "limit": limit,
            "credentials": credentials,
            "ca_file": ca_file,
            "concurrency": concurrency,
            "yes": yes,
        }
        try:
            trace_ids = _read_ids(ids, trace_id, read_trace_ids)
            found = pull(name, url, folder=folder, trace_ids=trace_ids or None, **options)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        _finish(found, "trace_id")

    codes = "Exit code 0: all traces pulled; 1: some traces are missing (listed); 2: the pull failed."
    rerun = "Report the outcome of each trace. Rerun with the same folder to resume."
    app.command(name, help=f"Pull traces from {about}.\n\n{rerun}\n\n{codes}")(command)


for _name, (_, _about) in KINDS.items():
    _command(_name, _about)


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

    trace_ids = _read_ids(ids, trace_id, lambda given: list(read_trace_ids(given)))
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
    _finish(pull, "xray_id")
