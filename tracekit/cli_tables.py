"""Tables for the terminal: rich tables and JSON from the data frames of results."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracekit.text import (
    NO_FIGURE,
    cell,
    clean,
    count,
    duration,
    from_to,
    interval,
    mean_count,
    plural,
    ratio,
    short_names,
    signed_duration,
    size,
    with_interval,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from tracekit.analysis.critical_path.compare import PathComparison
    from tracekit.analysis.critical_path.shares import Bands, Shares
    from tracekit.analysis.profile.result import Profile
    from tracekit.checks.overview import Overview
    from tracekit.checks.screen.lines import FirstScreen
    from tracekit.errors import LoadError
    from tracekit.findings import Findings
    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.traces import TraceSet

_COLOURS = {"critical": "bold red", "error": "red", "warning": "yellow", "warn": "yellow", "notice": "cyan"}
_RANKS = {"error": 0, "warn": 1, "info": 2}
_ACTIONS = {"aborted": "reading stopped"}
_ID_PREFIX = 12  # characters of a trace id: enough to find the trace
_PAGE_WIDTH = 120  # characters where the output is no terminal: a pipe, a log


def show(table: Table) -> None:
    """Print a table, or only its title if it has no rows."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_PAGE_WIDTH)
    console.print(table if table.row_count else str(table.title))


def sources_table(sources: pd.DataFrame) -> Table:
    """Return one row per source: its size and how many of its spans were accepted."""
    counts = ("span_count", "accepted_count", "merged_count", "quarantined_count", "skipped_count")
    table = _table(
        "Input data", ["source", "format"], ["size", "spans", "accepted", "merged", "quarantined", "skipped"]
    )
    table.add_column("complete", overflow="fold", max_width=40)
    for name, row in zip(short_names(list(sources["uri"])), _records(sources), strict=True):
        packed = "" if row["compression"] in {"none", None} else f" ({row['compression']})"
        table.add_row(
            _cell(name),
            _cell(f"{row['format']}{packed}"),
            cell(size, row["byte_count"]),
            *(cell(count, row[column]) for column in counts),
            _cell("yes" if row["complete"] else f"no: {row['stop_reason']}"),
        )
    return table


def issues_table(issues: pd.DataFrame, sources: pd.DataFrame) -> Table:
    """Return one row per issue code and action, the most severe first."""
    title = "Data-quality issues" if len(issues) else "No data-quality issues."
    table = _table(title, ["severity", "code", "action"], ["count"])
    table.add_column("first occurrence", overflow="fold", ratio=1)
    uris = list(sources["uri"])
    names = short_names(uris)
    for row in _records(_by_code(issues)):
        source = row["source_id"]
        message = str(row["message"]).removeprefix(row["code"]).strip().removeprefix(uris[source])
        table.add_row(
            Text(row["severity"], style=_COLOURS.get(row["severity"], "")),
            _cell(row["code"]),
            _cell(_ACTIONS.get(row["action"], row["action"])),
            count(row["issue_count"]),
            _cell(f"{names[source]}{message}"),
        )
    return table


def _by_code(issues: pd.DataFrame) -> pd.DataFrame:
    """Return the first issue of each severity, code and action, with their total count."""
    keys = ["severity", "code", "action"]
    plain = issues.astype(dict.fromkeys(keys, str))
    total = plain.groupby(keys)["issue_count"].sum()
    first = plain.drop_duplicates(keys).set_index(keys).assign(issue_count=total).reset_index()
    return first.sort_values("severity", key=lambda column: column.map(_RANKS), kind="stable")


def privacy_table(found: pd.DataFrame) -> Table:
    """Return one row per kind of personal data and secrets, place and key."""
    title = "Personal data and secrets" if len(found) else "No personal data or secrets found."
    table = _table(title, ["kind", "where", "key"], ["values", "uses"])
    table.add_column("action")
    table.add_column("example", overflow="fold")
    for row in _records(found):
        texts = [_cell(row[name]) for name in ("kind", "where", "key")]
        numbers = [count(row[name]) for name in ("value_count", "use_count")]
        table.add_row(*texts, *numbers, _cell(row["action"]), _cell(row["example"]))
    return table


def verification_table(found: pd.DataFrame) -> Table:
    """Return one row per difference between a report and its sources."""
    table = _table("Differences", ["what", "name", "status"])
    for name in ("stated", "found"):
        table.add_column(name, overflow="fold")
    for row in _records(found):
        table.add_row(*(_cell(row[name]) for name in ("kind", "name", "status", "stated", "found")))
    return table


def findings_table(findings: Findings, title: str = "Findings") -> Table:
    """Return one row per finding: severity, headline, method and remedy."""
    table = _table(title, ["severity", "finding"])
    for finding in findings:
        sentences = _cell(finding.headline)
        for detail in filter(None, (finding.method, finding.remedy)):
            sentences.append(f"\n{clean(detail)}", style="dim")
        table.add_row(Text(finding.severity, style=_COLOURS.get(finding.severity, "")), sentences)
    return table


def screen_table(screen: FirstScreen) -> Table:
    """Return one row per line of the first screen: its title and its sentences."""
    from tracekit.checks.screen.lines import title_of  # noqa: PLC0415 - loads every check, and other tables need none

    table = Table(box=None, show_header=False, padding=(0, 1, 1, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for line in screen:
        sentences = _cell(line.headline)
        is_first = line.check == "screen.headline"
        if is_first:
            sentences.stylize("bold")
        mark = line.severity if is_first or line.severity in {"warning", "critical"} else ""
        table.add_row(Text(title_of(line) or mark, style=_COLOURS.get(mark, "bold")), sentences)
    return table


def figures_table(sets: Mapping[str, Overview]) -> Table:
    """Return the headline numbers of trace sets, one column per set."""
    table = _table("Requests (95% CI)", [""], list(sets))
    rows = [overview.requests.table.iloc[0] for overview in sets.values()]
    table.add_row("traces", *(count(len(overview.traces)) for overview in sets.values()))
    table.add_row("spans", *(count(overview.span_count) for overview in sets.values()))
    table.add_row("services", *(count(overview.service_count) for overview in sets.values()))
    table.add_row("error rate", *(_with_interval(row, "error_ratio", ratio, "") for row in rows))
    for quantile in ("p50", "p95"):
        table.add_row(quantile, *(_with_interval(row, quantile, duration, "_ns") for row in rows))
    return table


def samples_table(samples: pd.DataFrame) -> Table:
    """Return one row per bundled sample."""
    table = _table("Samples for tk.load_sample(name)", ["name", "title", "ground truth"], ["traces", "spans"])
    for row in _records(samples):
        table.add_row(row["name"], row["title"], row["truth"], count(row["trace_count"]), count(row["span_count"]))
    return table


def path_table(table: Shares, keys: list[str], top: int) -> Table:
    """Return the critical-path time per request of each group, largest first."""
    heads = ["per request (95% CI)", "share", "requests\naffected", "traces", "exemplar trace"]
    shown = _path_table("Critical-path time per request", keys, heads, top, len(table.keys))
    for row in table.rows(top):
        shown.add_row(
            *_keys(row, keys),
            _time(row, "mean"),
            cell(ratio, row["share_ratio"]),
            cell(ratio, row["presence_ratio"]),
            count(row["trace_count"]),
            clean(row["largest_trace_id"])[:_ID_PREFIX],
        )
    return shown


def profile_tables(found: Profile, top: int) -> list[Table]:
    """Return the critical-path time of each function, largest first, and what the samples were matched with."""
    heads = ["per request (95% CI)", "share", "requests\naffected"]
    shown = _path_table("Critical-path time per request", ["function"], heads, top, len(found.functions))
    for row in _records(found.functions.head(top)):
        shown.add_row(
            *_keys(row, ["function"]), _time(row, "mean"), cell(ratio, row["share_ratio"]), count(row["trace_count"])
        )
    used = _table("Samples of the profile", ["samples"])
    used.add_column("count", justify="right")
    for row in _records(found.matching[found.matching["sample_count"] > 0]):
        used.add_row(row["samples"], count(row["sample_count"]))
    return [shown, used]


def path_band_table(result: Bands, keys: list[str], top: int) -> Table:
    """Return the critical-path time of slow requests and its excess over that of median requests."""
    base, slow = (result.table[result.table["band"] == name] for name in result.bands["band"])
    median = {tuple(row[key] for key in keys): row["mean_ns"] for row in _records(base)}
    band = result.bands.iloc[1]
    title = f"Critical-path time, {str(band['band']).replace(' to ', '-')} ({plural(band['trace_count'], 'request')}"
    if band["is_widened"]:
        title += f", widened to p{100 * band['low_quantile']:.3g}-p{100 * band['high_quantile']:.3g}"
    heads = ["per request (95% CI)", "share", "median\nrequest", "excess (95% CI)"]
    shown = _path_table(f"{title})", keys, heads, top, len(slow))
    for row in _records(slow.head(top)):
        shown.add_row(
            *_keys(row, keys),
            _time(row, "mean"),
            cell(ratio, row["share_ratio"]),
            cell(duration, median.get(tuple(row[key] for key in keys))),
            _time(row, "excess", signed_duration),
        )
    return shown


def path_comparison_table(comparison: PathComparison, top: int) -> Table:
    """Return the change in critical-path time per request of each group, split by cause."""
    table, change = comparison.table, comparison.change
    keys = [str(name) for name in table.columns[: table.columns.get_loc("baseline_mean_ns")]]
    title = f"Mean latency{_bands(comparison.sides)} {from_to(*comparison.sides['mean_latency_ns'])}"
    title += f" ({signed_duration(change.value)}"
    if not (math.isnan(change.low) or math.isnan(change.high)):
        title += f", {interval(change.low, change.high, signed_duration)}"
    heads = ["baseline", "change (95% CI)", "more\nrequests", "more\ncalls", "slower\ncalls", "significant"]
    shown = _path_table(f"{title})", keys, heads, top, len(table))
    for row in _records(table.head(top)):
        shown.add_row(
            *_keys(row, keys),
            cell(duration, row["baseline_mean_ns"]),
            _time(row, "change", signed_duration),
            *(cell(signed_duration, row[f"{factor}_change_ns"]) for factor in ("presence", "frequency", "duration")),
            "yes" if row["is_significant"] else "no",
        )
    return shown


def comparison_table(title: str, table: pd.DataFrame, top: int) -> Table:
    """Return the rows of one table of ``tk.compare``."""
    heads, keys = comparison_heads(table), len(_comparison_keys(table)) + 1
    title = f"{title}, top {top:,} of {len(table):,}" if len(table) > top else title
    shown = _table(title, heads[:keys], heads[keys:])
    for row in comparison_rows(table.head(top)):
        shown.add_row(*map(_cell, row))
    return shown


def comparison_heads(table: pd.DataFrame) -> list[str]:
    """Return the heads of the columns of ``comparison_rows``."""
    heads = ["verdict", "contribution\nper request", "calls per\nrequest", "error rate", "p50", "p95"]
    return [*_comparison_keys(table), *heads]


def comparison_rows(table: pd.DataFrame) -> list[list[str]]:
    """Return rows of ``tk.compare`` as text: the keys, the verdict, the contribution, and metrics of both sides."""
    forms: dict[str, Callable[[float | None], str]] = {
        "calls_per_request": mean_count,
        "error_ratio": ratio,
        "p50_ns": duration,
        "p95_ns": duration,
    }
    return [
        [
            *("(none)" if row[key] is None else clean(row[key]) for key in _comparison_keys(table)),
            NO_FIGURE if row["verdict"] == "no significant change" else row["verdict"],
            cell(signed_duration, row["contribution_ns"]),
            *(_both_sides(row, name, form) for name, form in forms.items()),
        ]
        for row in _records(table)
    ]


def _comparison_keys(table: pd.DataFrame) -> list[str]:
    """Return the key columns that are shown."""
    hidden = {"callee_type", "call_type"}
    return [name for name in table.columns[: table.columns.get_loc("verdict")] if name not in hidden]


def _both_sides(row: dict[str, Any], name: str, form: Callable[[float | None], str]) -> str:
    """Return a metric on both sides, once where they look alike; an en dash where neither has it."""
    before, now = row[f"baseline_{name}"], row[f"current_{name}"]
    alike = form(before) == form(now)
    return cell(form, now) if alike else from_to(before, now, form)


def _bands(sides: pd.DataFrame) -> str:
    """Return the latency percentile ranges of a comparison and their numbers of requests, unless it is of all."""
    if (sides["low_quantile"] == 0).all() and (sides["high_quantile"] == 1).all():
        return ""
    limits = zip(100 * sides["low_quantile"], 100 * sides["high_quantile"], strict=True)
    ranges = [f"p{low:.3g}-p{high:.3g}" for low, high in limits]
    requests = " → ".join(map(count, sides["trace_count"]))
    return f" of {' vs. '.join(dict.fromkeys(ranges))} ({requests} requests)"


def as_document(traces: TraceSet | TraceStore | None, exit_code: int, error: LoadError | None = None) -> str:
    """Return the result of ``check`` as JSON."""
    from tracekit.traces import TraceSet  # noqa: PLC0415 - only for --json

    fields = ("code", "source", "record")
    spans = 0 if traces is None else len(traces.columns.spans) if isinstance(traces, TraceSet) else traces.span_count
    document = {
        "exit_code": exit_code,
        "trace_count": 0 if traces is None else len(traces),
        "span_count": spans,
        "sources": [] if traces is None else json.loads(traces.sources.to_json(orient="records")),
        "issues": [] if traces is None else json.loads(traces.issues.to_json(orient="records")),
        "error": None if error is None else {name: getattr(error, name) for name in fields} | {"message": str(error)},
    }
    return json.dumps(document, indent=1)


def _table(title: str, texts: list[str], numbers: list[str] | None = None) -> Table:
    """Return an empty table: columns of text, then columns of numbers."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in texts:
        table.add_column(name, overflow="fold")
    for name in numbers or []:
        table.add_column(name, justify="right")
    return table


def _cell(text: object) -> Text:
    """Return text without terminal control characters or markup."""
    return Text(clean(text))


def _with_interval(row: pd.Series[Any], name: str, form: Callable[[float], str], unit: str) -> str:
    """Return a number with its confidence interval."""
    value, low, high = (float(row[f"{name}{side}{unit}"]) for side in ("", "_low", "_high"))
    return cell(lambda known: with_interval(known, low, high, form), value)


def _path_table(title: str, keys: list[str], numbers: list[str], top: int, row_count: int) -> Table:
    """Return an empty table of critical-path times, whose title states how many of its rows are shown."""
    table = _table(title + (f", top {top:,} of {row_count:,}" if row_count > top else ""), [clean(key) for key in keys])
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _keys(row: dict[str, Any], keys: list[str]) -> list[Text]:
    """Return the cells of a row's group."""
    return [_cell("(none)" if row[key] is None else row[key]) for key in keys]


def _time(row: dict[str, Any], name: str, form: Callable[[float], str] = duration) -> str:
    """Return a time with its confidence interval, if it has one."""
    value, low, high = (row[f"{name}{side}_ns"] for side in ("", "_low", "_high"))
    return cell(form, value) if low is None or high is None else with_interval(value, low, high, form)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows, missing values as None."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
