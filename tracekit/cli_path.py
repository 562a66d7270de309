"""``tracekit path``: critical-path time in a terminal."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

import tracekit as tk
from tracekit.arguments import is_store
from tracekit.cli_reading import ByParts, Dask, read_recording, read_side

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from rich.table import Table

    from tracekit.analysis.critical_path.compare import PathComparison
    from tracekit.analysis.critical_path.counts import PathCounts
    from tracekit.analysis.critical_path.issues import Assumption
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.shares import Bands, Shares
    from tracekit.analysis.critical_path.stored import StoredPaths
    from tracekit.analysis.profile.result import Profile

_BAND = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")
_MEDIAN = (0.45, 0.55)
_WHOLE = (0.0, 1.0)
_TABLES: Final = ("bands", "sides", "table", "parts", "functions", "matching")


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
    as_json: Annotated[bool, typer.Option("--json", help="Print all rows as JSON instead of a table.")] = False,
    by_parts: ByParts = False,
    dask: Dask = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="Input format: otlp, xray, jaeger or zipkin (default: detected).")
    ] = None,
) -> None:
    """Show which services, operations or calls account for request latency (critical path).

    With --band: critical-path time of slow requests, compared with median requests. With --baseline: change in latency
    due to more affected requests, more calls per request and slower calls.
    """
    asked = _Asked(by or ["service_name"], None if band is None else _quantiles(band), profile, include_partial)
    options: dict[str, Any] = {"dask": dask, "weights": None, "sample_spans": None, "format": format_}
    if profile and (baseline or band or by):
        raise typer.BadParameter("expected --profile without --baseline, --band and --by; use tk.profile for these")
    try:
        if profile and not by_parts and dask is None:  # a store is opened, as profiles are matched by parts
            traces = read_side(files, by_parts=True, **options)
        else:
            traces = read_recording(files, by_parts=by_parts, **options)
        # both sides are read before any analysis
        before = read_side(baseline, by_parts=by_parts, **options) if baseline else None
        found = _found(traces, before, scope, asked)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        typer.echo(_document(found))
    else:
        _show(found, asked.keys, top)


class _Found(NamedTuple):
    """Counts of critical paths, what the weights describe, assumptions, and the answer; None without a request."""

    counts: PathCounts
    statement: str
    assumptions: list[Assumption]
    answer: Shares | Bands | PathComparison | Profile | None


class _Asked(NamedTuple):
    """What is asked about critical paths."""

    keys: list[str]
    quantiles: tuple[float, float] | None
    profile: list[str] | None
    include_partial: bool

    def of(self, paths: CriticalPath | StoredPaths, before: CriticalPath | StoredPaths | None) -> _Found:
        """Return it, and counts and assumptions of the paths; nothing more without a request."""
        counts = paths.counts
        answer = self._answer(paths, before) if counts.request_count else None
        return _Found(counts, paths.statement, paths.assumptions, answer)

    def _answer(self, paths: CriticalPath | StoredPaths, before: CriticalPath | StoredPaths | None) -> Any:
        """Return it, with at least one request."""
        from tracekit.analysis.critical_path.shares import shares_by  # noqa: PLC0415 - not for --help

        if self.profile:
            return tk.profile(paths, self.profile)
        if before is not None:
            band = self.quantiles or _WHOLE
            return before.compare(paths, by=self.keys, band=band, include_partial=self.include_partial)
        if self.quantiles is None:
            return shares_by(paths, self.keys, include_partial=self.include_partial)
        return paths.bands(self.keys, [_MEDIAN, self.quantiles], include_partial=self.include_partial)


def _found(
    traces: tk.TraceSet | tk.TraceStore, before: tk.TraceSet | tk.TraceStore | None, scope: str, asked: _Asked
) -> _Found:
    """Return what is asked; each part of a store is read together for all of it."""
    from tracekit.analysis.critical_path.compute import critical_path  # noqa: PLC0415 - not for --help

    sides: list[Any] = [traces, before]
    rounds = None
    if any(is_store(side) for side in sides):
        from tracekit.loading.store.rounds import Rounds  # noqa: PLC0415 - for stores only

        rounds = Rounds()
        sides = [rounds.of(side) if is_store(side) else side for side in sides]
    paths, earlier = (None if side is None else critical_path(side, scope=scope) for side in sides)
    assert paths is not None
    if rounds is not None and not asked.profile:
        stored: list[Any] = [one for one in (paths, earlier) if not isinstance(one, tk.CriticalPath | None)]
        reads = [partial(getattr, one, name) for one in stored for name in ("counts", "assumptions")]
        reads += [partial(one.tabulated, asked.keys, may_lack=earlier is not None) for one in stored]
        rounds.run([*reads, partial(asked.of, paths, earlier)])
    return asked.of(paths, earlier)


def _show(found: _Found, keys: list[str], top: int) -> None:
    """Print the counts, the answer as a table, and the assumptions."""
    from tracekit.cli_tables import show  # noqa: PLC0415 - not for --help

    typer.echo(f"CriticalPath({found.counts.line}; {found.statement.partition(':')[0]})")
    if found.answer is None:
        typer.echo("no requests: see tracekit check, or try another --scope")
        return
    for printed in _printed(found.answer, keys, top):
        if isinstance(printed, str):
            typer.echo(printed)
        else:
            show(printed)
    for one in found.assumptions:
        typer.echo(f"{one.span_count:,} {one.message}")


def _printed(answer: Shares | Bands | PathComparison | Profile, keys: list[str], top: int) -> Iterator[Table | str]:
    """Yield the lines and tables of an answer for a terminal."""
    from tracekit import cli_tables  # noqa: PLC0415 - not for --help
    from tracekit.analysis.critical_path.shares import Shares  # noqa: PLC0415 - not for --help

    if isinstance(answer, Shares):
        yield cli_tables.path_table(answer, keys, top)
    elif isinstance(answer, tk.PathComparison):
        yield cli_tables.path_comparison_table(answer, top)
    elif isinstance(answer, tk.Bands):
        yield cli_tables.path_band_table(answer, keys, top)
    else:
        yield repr(answer)
        yield from cli_tables.profile_tables(answer, top)


def _document(found: _Found) -> str:
    """Return the counts, all rows of the answer and the assumptions as one JSON document."""
    from tracekit.analysis.critical_path.issues import issues_frame  # noqa: PLC0415 - not for --help
    from tracekit.analysis.critical_path.shares import Shares  # noqa: PLC0415 - not for --help

    tables: dict[str, pd.DataFrame] = {"issues": issues_frame(found.assumptions)}
    if isinstance(found.answer, Shares):
        tables["table"] = found.answer.frame()
    else:
        tables |= {name: getattr(found.answer, name) for name in _TABLES if hasattr(found.answer, name)}
    rows = {name: json.loads(table.to_json(orient="records", double_precision=15)) for name, table in tables.items()}
    mean = found.counts.mean_latency_ns
    counts = {name: value for name, value in found.counts._asdict().items() if name.endswith("_count")}
    counts["mean_latency_ns"] = None if mean != mean else mean  # noqa: PLR0124 - NaN
    return json.dumps({"statement": found.statement, "counts": counts, **rows}, indent=1)


def _quantiles(band: str) -> tuple[float, float]:
    """Return the quantiles, from 0 to 1, of a band such as 99 or 95-99."""
    match = _BAND.fullmatch(band.strip().lower().replace("p", ""))
    low, high = (float(match[1]), float(match[2] or 100)) if match else (0.0, 0.0)
    if not 0 <= low < high <= 100:  # noqa: PLR2004 - percent
        message = f"invalid percentile range {band!r}; use for example 99 or 95-99"
        raise typer.BadParameter(message, param_hint="--band")
    return low / 100, high / 100
