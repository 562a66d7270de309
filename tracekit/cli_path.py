"""``tracekit path``: who requests waited for, in a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tracekit as tk

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from rich.table import Table

    from tracekit.analysis.critical_path.compare import PathComparison
    from tracekit.analysis.critical_path.result import CriticalPath

_BAND = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")
_MEDIAN = (0.45, 0.55)
_WHOLE = (0.0, 1.0)
_PREFIX = 12  # of a trace id: enough to find it by


def path(
    files: Annotated[
        list[str], typer.Argument(help="Files, folders, patterns, archives, stores, or -.", show_default=False)
    ],
    *,
    by: Annotated[
        list[str] | None,
        typer.Option(help="service_name, callee_service, operation, call_path, host_name, an attribute; repeatable."),
    ] = None,
    band: Annotated[
        str | None, typer.Option(help="Only requests between these percentiles of latency: 99, or 95-99.")
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="Files from before: what has changed since. May be given several times.")
    ] = None,
    scope: Annotated[
        str, typer.Option(help="What a request is: root, roots, trace, or a condition over columns of spans.")
    ] = "root",
    top: Annotated[int, typer.Option(help="So many rows.", min=1)] = 15,
    include_partial: Annotated[bool, typer.Option(help="Count requests of whose traces spans are missing.")] = True,
    format_: Annotated[str | None, typer.Option("--format", help="Accept one format only.")] = None,
) -> None:
    """Tell who requests waited for: time on the critical path, which adds up to their latency.

    With --band: what slow requests wait for beyond median ones.  With --baseline: what changed, in parts that add up:
    on the paths of more requests, more calls, slower calls.
    """
    from tracekit.cli_tables import show  # noqa: PLC0415 - not for --help

    quantiles, keys = _WHOLE if band is None else _quantiles(band), by or ["service_name"]
    try:
        traces = tk.read(files, format=format_)
        earlier = tk.read(baseline, format=format_) if baseline else None  # both, before anything is worked out
        found = tk.critical_path(traces, scope=scope)
        typer.echo(repr(found))
        if not len(found.latency_ns):
            typer.echo("no requests: see tracekit check, or try another --scope")
            return
        if earlier is not None:
            before = tk.critical_path(earlier, scope=scope)
            change = before.compare(found, by=keys, band=quantiles, include_partial=include_partial)
            show(_changes(change, top))
        elif band is not None:
            show(_beyond(found, keys, quantiles, top, include_partial=include_partial))
        else:
            show(_shares(found.by(keys, include_partial=include_partial), keys, top))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for issue in found.issues.itertuples():
        typer.echo(f"{issue.code}: {issue.span_count:,} {issue.message}")


def _quantiles(band: str) -> tuple[float, float]:
    """Return the quantiles of a band such as 99 or 95-99."""
    match = _BAND.fullmatch(band.strip().lower().replace("p", ""))
    low, high = (float(match[1]), float(match[2] or 100)) if match else (0.0, 0.0)
    if not 0 <= low < high <= 100:  # noqa: PLR2004 - per cent
        raise typer.BadParameter(f"expected percentiles such as 99 or 95-99, found {band!r}", param_hint="--band")
    return low / 100, high / 100


def _shares(table: pd.DataFrame, keys: list[str], top: int) -> Table:
    """Return who all requests waited for."""
    from tracekit.text import count, ratio  # noqa: PLC0415 - not for --help

    heads = ["of a request", "share", "on the path of", "requests", "longest in"]
    rows = [
        (
            *(row[key] for key in keys),
            _limits(row, "mean_ns", "mean_low_ns", "mean_high_ns"),
            ratio(row["share_ratio"]),
            ratio(row["presence_ratio"]),
            count(row["trace_count"]),
            str(row["largest_trace_id"])[:_PREFIX],
        )
        for row in _records(table.head(top))
    ]
    return _table("Who requests waited for" + _cut(top, len(table)), keys, heads, rows)


def _beyond(
    found: CriticalPath, keys: list[str], band: tuple[float, float], top: int, *, include_partial: bool
) -> Table:
    """Return what requests of a band waited for, and what of it median requests did not."""
    from tracekit.text import duration, ratio  # noqa: PLC0415 - not for --help

    result = found.bands(keys, [_MEDIAN, band], include_partial=include_partial)
    base, slow = (result.table[result.table["band"] == name] for name in result.bands["band"])
    median = {tuple(row[key] for key in keys): row["mean_ns"] for row in _records(base)}
    about = result.bands.iloc[1]
    widened = f", widened to p{100 * about['low_quantile']:.3g} to p{100 * about['high_quantile']:.3g}"
    title = (
        f"Who the {about['trace_count']:,} requests of {about['band']} waited for{widened * bool(about['is_widened'])}"
    )
    heads = ["of a request", "share", "of a median one", "beyond it"]
    rows = [
        (
            *(row[key] for key in keys),
            _limits(row, "mean_ns", "mean_low_ns", "mean_high_ns"),
            ratio(row["share_ratio"]),
            duration(median.get(tuple(row[key] for key in keys))),
            _limits(row, "excess_ns", "excess_low_ns", "excess_high_ns", sign="+"),
        )
        for row in _records(slow.head(top))
    ]
    return _table(title + _cut(top, len(slow)), keys, heads, rows)


def _changes(change: PathComparison, top: int) -> Table:
    """Return what has changed since the baseline."""
    from tracekit.text import duration  # noqa: PLC0415 - not for --help

    keys = [str(name) for name in change.table.columns[: change.table.columns.get_loc("baseline_mean_ns")]]
    heads = ["before", "change", "paths", "calls", "slower", "chance"]
    rows = [
        (
            *(row[key] for key in keys),
            duration(row["mean_ns"]),
            _limits(row, "change_ns", "change_low_ns", "change_high_ns", sign="+"),
            *(_signed(row[f"{factor}_change_ns"]) for factor in ("presence", "frequency", "duration")),
            "no" if row["is_significant"] else "maybe",
        )
        for row in _records(change.table.head(top))
    ]
    this, other = (duration(mean) for mean in change.sides["mean_latency_ns"])
    whole = {"change_ns": change.change.value, "change_low_ns": change.change.low, "change_high_ns": change.change.high}
    title = f"What has changed: requests of {this} now take {other}, {_limits(whole, *whole, sign='+')}"
    return _table(title + _cut(top, len(change.table)), keys, heads, rows)


def _table(title: str, keys: list[str], heads: list[str], rows: Iterable[tuple[Any, ...]]) -> Table:
    """Return a table: keys as words, the others as numbers."""
    from rich import box  # noqa: PLC0415 - not for --help
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    from tracekit.text import clean  # noqa: PLC0415 - likewise

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for key in keys:
        table.add_column(clean(key), overflow="fold")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text("(none)" if cell is None else clean(cell)) for cell in row))
    return table


def _limits(row: dict[str, Any], name: str, low: str, high: str, *, sign: str = "") -> str:
    """Return a duration with its limits, if there are any."""
    import pandas as pd  # noqa: PLC0415 - not for --help

    words = _signed if sign else _plain
    if pd.isna(row[low]) or pd.isna(row[high]):
        return words(row[name])
    return f"{words(row[name])} ({words(row[low])} to {words(row[high])})"


def _plain(nanoseconds: float | None) -> str:
    """Return a duration."""
    from tracekit.text import duration  # noqa: PLC0415 - not for --help

    return duration(nanoseconds)


def _signed(nanoseconds: float | None) -> str:
    """Return a change of a duration."""
    return f"{'+' if nanoseconds is not None and nanoseconds > 0 else ''}{_plain(nanoseconds)}"


def _cut(top: int, count: int) -> str:
    """Return which rows are shown."""
    return f": the first {top:,} of {count:,}" if count > top else ""


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows, missing values as None."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
