"""``tracekit check``: what files contain, and what is wrong with them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import tracekit as tk
from tracekit.cli_reading import Files, Format, TimeUnit, check_options, read_recording

DONE, QUARANTINED, UNREADABLE = 0, 1, 2


def check(
    files: Files,
    *,
    format_: Format = None,
    time_unit: TimeUnit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Also say how the files were read.")] = False,
) -> None:
    """Validate trace files: show their contents and data-quality issues; of a store, those of its conversion.

    Exit code 0: all records accepted; 1: records were quarantined; 2: reading a file was stopped.
    """
    from tracekit.cli_tables import as_document, issues_table, show, sources_table  # noqa: PLC0415 - not for --help

    check_options(format_, time_unit)
    options: dict[str, Any] = {"weights": None, "sample_spans": None, "format": format_, "time_unit": time_unit}
    try:
        traces = read_recording(files, by_parts=False, dask=None, **options)
    except tk.LoadError as error:
        if as_json:
            typer.echo(as_document(None, UNREADABLE, error))
        raise
    code = _exit_code(traces)
    if as_json:
        typer.echo(as_document(traces, code))
    else:
        typer.echo(repr(traces))
        show(sources_table(traces.sources))
        show(issues_table(traces.issues, traces.sources))
    if verbose:
        build = tk.describe_build()
        typer.echo(
            f"read by the {build.lane} lane: {build.reason}{f' ({build.compiler})' * bool(build.compiler)}", err=True
        )
    raise typer.Exit(code)


def _exit_code(traces: tk.TraceSet | tk.TraceStore) -> int:
    """Return the exit code of ``check``: that of the most severe issue of any source."""
    if (traces.issues["action"].astype(str) == "aborted").any():
        return UNREADABLE
    return QUARANTINED if int(traces.sources["quarantined_count"].sum()) else DONE
