"""``tracekit path``: critical-path time in a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

import tracekit as tk
from tracekit.cli_reading import Dask, opened, read_side

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.stored import StoredPaths
    from tracekit.analysis.profile.result import Profile

_BAND = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")
_MEDIAN = (0.45, 0.55)
_WHOLE = (0.0, 1.0)


def path(
    files: Annotated[
        list[str],
        typer.Argument(help="Files, folders, globs, archives, Parquet stores, or - for stdin.", show_default=False),
    ],
    *,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Group by service_name (default), callee_service, operation, call_path, host_name or an attribute."
            " Repeatable."
        ),
    ] = None,
    band: Annotated[
        str | None, typer.Option(help="Latency percentile range: 99 is p99-p100, 95-99 is p95-p99 (default: all).")
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="Baseline traces of the same system to compare with. Repeatable.")
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(help="Profiles (pprof, OTLP JSON, collapsed stacks): show time by function. Repeatable."),
    ] = None,
    scope: Annotated[
        str, typer.Option(help="What counts as a request: root, roots, trace, or a condition on span columns.")
    ] = "root",
    top: Annotated[int, typer.Option(help="Rows to show.", min=1)] = 15,
    include_partial: Annotated[bool, typer.Option(help="Include requests from incomplete traces.")] = True,
    dask: Dask = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="Input format: otlp, xray, jaeger or zipkin (default: detected).")
    ] = None,
) -> None:
    """Show which services, operations or calls account for request latency (critical path).

    With --band: critical-path time of slow requests, compared with median requests. With --baseline: change in latency
    due to more affected requests, more calls per request and slower calls.
    """
    from tracekit.cli_tables import path_comparison_table, show  # noqa: PLC0415 - not for --help

    quantiles, keys = _WHOLE if band is None else _quantiles(band), by or ["service_name"]
    try:
        if profile and (baseline or band or by):
            raise ValueError("expected --profile without --baseline, --band and --by; use tk.profile for these")  # noqa: TRY301 - shown as a usage error
        traces = _traces(files, dask, format_, is_compared=bool(baseline), by_parts=bool(profile))
        baseline_traces = tk.read(baseline, format=format_) if baseline else None  # read both before any analysis
        result = tk.critical_path(traces, scope=scope)
        if isinstance(result, tk.CriticalPath):
            typer.echo(repr(result))
            if not len(result.latency_ns):
                typer.echo("no requests: see tracekit check, or try another --scope")
                return
        if profile:
            _show_profile(tk.profile(result, profile), top)
        elif baseline_traces is not None and isinstance(result, tk.CriticalPath):
            baseline_path = tk.critical_path(baseline_traces, scope=scope)
            change = baseline_path.compare(result, by=keys, band=quantiles, include_partial=include_partial)
            show(path_comparison_table(change, top))
        else:
            _show(result, keys, None if band is None else quantiles, top, include_partial=include_partial)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for issue in result.issues.itertuples() if isinstance(result, tk.CriticalPath) else ():
        typer.echo(f"{issue.span_count:,} {issue.message}")


def _traces(
    files: list[str], dask: str | None, format_: str | None, *, is_compared: bool, by_parts: bool
) -> tk.TraceSet | tk.TraceStore:
    """Return the traces of files; a store is opened for a cluster, by parts, or if it is larger than memory."""
    if dask is not None:
        if is_compared:
            raise ValueError("expected --dask without --baseline; tk.compare takes two stores")
        return opened(files, dask=dask, format=format_)
    if is_compared:
        return tk.read(files, format=format_)
    return read_side(files, by_parts=by_parts, dask=None, weights=None, sample_spans=None, format=format_)


def _show_profile(found: Profile, top: int) -> None:
    """Print critical-path time by function."""
    from tracekit.cli_tables import profile_tables, show  # noqa: PLC0415 - not for --help

    typer.echo(repr(found))
    for table in profile_tables(found, top):
        show(table)


def _show(
    result: CriticalPath | StoredPaths,
    keys: list[str],
    quantiles: tuple[float, float] | None,
    top: int,
    *,
    include_partial: bool,
) -> None:
    """Print critical-path time by group, of all requests or of a band of latency."""
    from tracekit.cli_tables import path_band_table, path_table, show  # noqa: PLC0415 - not for --help

    if quantiles is None:
        show(path_table(result.by(keys, include_partial=include_partial), keys, top))
    else:
        bands = result.bands(keys, [_MEDIAN, quantiles], include_partial=include_partial)
        show(path_band_table(bands, keys, top))


def _quantiles(band: str) -> tuple[float, float]:
    """Return the quantiles, from 0 to 1, of a band such as 99 or 95-99."""
    match = _BAND.fullmatch(band.strip().lower().replace("p", ""))
    low, high = (float(match[1]), float(match[2] or 100)) if match else (0.0, 0.0)
    if not 0 <= low < high <= 100:  # noqa: PLR2004 - percent
        message = f"invalid percentile range {band!r}; use for example 99 or 95-99"
        raise typer.BadParameter(message, param_hint="--band")
    return low / 100, high / 100
