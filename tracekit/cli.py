"""The command line: each command reads files, calls the same functions as a notebook, and prints the result.

Exit codes: 0 success; 1 ``check`` quarantined records, ``pull`` or ``audit`` found missing traces, a cell of ``run``
failed, or a condition of ``diff`` is met; 2 an input or argument error or a failed write (one line on standard error);
3 a condition of ``diff`` is inconclusive; 130 interrupted by Ctrl-C.
"""

from __future__ import annotations

import atexit
import gc
import subprocess
import sys
from collections import Counter
from copy import copy
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

import tracekit as tk
from tracekit import (
    cli_audit,
    cli_check,
    cli_diff,
    cli_investigate,
    cli_listen,
    cli_mcp,
    cli_notebook,
    cli_path,
    cli_privacy,
    cli_pull,
    cli_verify,
)
from tracekit.cli_check import UNREADABLE
from tracekit.cli_goals import LatencyMs, Objective, Prices, objective_of, prices_of
from tracekit.cli_notebook import absolute
from tracekit.cli_privacy import EmbedSpans, NoRedact, Redact, outgoing_of, removals_printed, usable
from tracekit.cli_reading import (
    ByParts,
    Dask,
    Files,
    Format,
    SampleSpans,
    TimeUnit,
    check_options,
    imported_beside,
    read_recording,
    read_side,
)
from tracekit.notebooks import copy_notebooks, folder_for

if TYPE_CHECKING:
    from tracekit.analysis.cost.prices import Price
    from tracekit.report.redaction import Outgoing
    from tracekit.report.sides import Sides
    from tracekit.report.standard import Standard

STOPPED = 130


class _Commands(TyperGroup):
    """Commands whose expected failures are one line on standard error, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command and turn its expected exceptions into exit codes."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _print_error("stopped; no partial files were left")
            raise typer.Exit(STOPPED) from None
        except BrokenPipeError:
            raise  # the reader closed the pipe
        except (tk.TracekitError, OSError) as error:
            _print_error(str(error))
            raise typer.Exit(UNREADABLE) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Analyze distributed traces recorded by OpenTelemetry, AWS X-Ray, Jaeger or Zipkin.",
)

app.add_typer(cli_pull.app, name="pull")
app.command()(cli_listen.listen)
app.command()(cli_check.check)
app.command()(cli_investigate.investigate)
app.command()(cli_path.path)
app.command()(cli_diff.diff)
app.command()(cli_audit.audit)
app.command()(cli_privacy.privacy)
app.command()(cli_verify.verify)
app.command()(cli_notebook.new)
app.command(cls=cli_notebook.PairsOfArguments)(cli_notebook.run)
app.command()(cli_mcp.mcp)

_OF_REPORTS: Final = (
    "tracekit.report.page",
    "tracekit.report.redaction",
    "tracekit.views.timeline",
    "tracekit.views.figures",
    "tracekit.views.svg_chart.figure",
    "scipy.sparse.csgraph",
    "tracekit.cli_tables",
)
_COLLECTED: Final = (50_000, 10, 10)  # new objects before the collector looks: most live until the command ends
Strict = Annotated[bool, typer.Option("--strict", help="Fail on the first invalid record instead of quarantining it.")]


def main() -> None:
    """Run the command line (the ``tracekit`` script).

    Examples
    --------
    >>> import sys
    >>> sys.argv = ["tracekit", "--version"]
    >>> try:
    ...     main()
    ... except SystemExit as left:
    ...     print(left.code)
    tracekit 0.1.0
    0
    """
    gc.set_threshold(*_COLLECTED)
    atexit.register(gc.freeze)  # or the collector would look at all objects again and again while the process ends
    _app_for(sys.argv[1:])(prog_name="tracekit")


def _app_for(arguments: list[str]) -> typer.Typer:
    """Return the command line with only the command that is asked for: typer prepares the options of all it has."""
    asked = [one for one in app.registered_commands if one.callback and [one.callback.__name__] == arguments[:1]]
    if not asked:
        return app
    narrow = copy(app)
    narrow.registered_commands, narrow.registered_groups = asked, []
    return narrow


def _version(requested: bool) -> None:
    """Print the version and exit."""
    if requested:
        typer.echo(f"tracekit {tk.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Define the options of ``tracekit`` itself."""


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("tracekit-demo.html"),
) -> None:
    """Investigate a bundled sample, a checkout latency regression, and write the report."""
    from tracekit.checks.overview import Overview  # noqa: PLC0415 - not for --help
    from tracekit.cli_tables import figures_table, show  # noqa: PLC0415 - not for --help
    from tracekit.report.page import write  # noqa: PLC0415 - not for --help

    sets = tk.load_sample("checkout-regression")
    assert isinstance(sets, tuple)
    baseline, current = sets
    outgoing = outgoing_of(usable(None, no_redact=False))
    assert outgoing is not None
    found = tk.investigate(outgoing.traces(current), outgoing.traces(baseline))
    written = write(found.standard, output, title="checkout-regression: during the incident", outgoing=outgoing)
    cli_investigate.show_screen(found)
    show(figures_table({"baseline": Overview(baseline), "current": Overview(current)}))
    _show_findings(found.standard, written, outgoing)
    typer.echo('In a notebook (`tracekit lab`): baseline, current = tk.load_sample("checkout-regression")')


@app.command()
def report(
    files: Files,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("report.html"),
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="Baseline traces of the same system to compare with. Repeatable."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Compare the traces from this time on (16:24) with those before it.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Only traces from this time on (UTC).")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only traces before this time (UTC).")] = None,
    baseline_start: Annotated[
        str | None,
        typer.Option(
            "--baseline-from", help="Start of the baseline period (UTC) in the --baseline files, else in FILES."
        ),
    ] = None,
    baseline_end: Annotated[
        str | None, typer.Option("--baseline-to", help="End of the baseline period (UTC, exclusive).")
    ] = None,
    logs: Annotated[
        list[str] | None,
        typer.Option(help="Log lines of the traces and of the baseline: file, folder or glob. Repeatable."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Sampling weights: 1 if every request was recorded, auto, or a file of sampling rules."),
    ] = None,
    slo: Objective = None,
    slo_latency_ms: LatencyMs = None,
    prices: Prices = None,
    title: Annotated[str | None, typer.Option(help="Page title (default: the file names).")] = None,
    sample_spans: SampleSpans = None,
    by_parts: ByParts = False,
    dask: Dask = None,
    redact: Redact = None,
    no_redact: NoRedact = False,
    embed_spans: EmbedSpans = False,
    format_: Format = None,
    time_unit: TimeUnit = None,
    strict: Strict = False,
) -> None:
    """Write a self-contained HTML report and print its findings."""
    policy = usable(redact, no_redact=no_redact)
    objective = objective_of(slo, slo_latency_ms)
    charged = prices_of(prices)
    check_options(format_, time_unit)
    options: dict[str, Any] = {"format": format_, "time_unit": time_unit, "strict": strict}
    options |= {"weights": weights, "sample_spans": sample_spans}
    parts: dict[str, Any] = {"by_parts": by_parts, "dask": dask}
    with imported_beside(*_OF_REPORTS):
        before = read_side(baseline, **parts, **options) if baseline else None
        traces = read_recording(files, **parts, **options)
    from tracekit.report.sides import sides_of  # noqa: PLC0415 - imported while the files are read

    outgoing = outgoing_of(policy)
    try:
        if outgoing is not None:
            traces = outgoing.set_of(traces)
            before = outgoing.set_of(before)
        sides = sides_of(
            traces,
            before,
            split=split,
            period=_period(start, end),
            baseline_period=_period(baseline_start, baseline_end),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    options = {"outgoing": outgoing, "embed": embed_spans}
    _write_report(sides, output, title, logs=logs, slo=objective, prices=charged, **options)


def _period(start: str | None, end: str | None) -> tuple[str | None, str | None] | None:
    """Return the ends of a period; None without any."""
    return None if start is None and end is None else (start, end)


@app.command()
def convert(
    files: Files,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder to write (with --flat: file), usually NAME.parquet; NAME.jsonl[.zst|.gz]: file of OTLP.",
        ),
    ],
    flat: Annotated[
        bool, typer.Option("--flat", help="Write one Parquet file of spans for DuckDB, Polars and pandas instead.")
    ] = False,
    append: Annotated[bool, typer.Option("--append", help="Add to the store that is there, if any.")] = False,
    redact: Redact = None,
    no_redact: NoRedact = False,
    format_: Format = None,
    time_unit: TimeUnit = None,
    strict: Strict = False,
) -> None:
    """Convert traces to a Parquet store, which every command and tk.read accept as input, or to OTLP JSON Lines.

    Personal data and secrets are removed from OTLP and from --flat files, and with --redact from a store.
    """
    from tracekit.loading.convert import AUTO  # noqa: PLC0415 - not for --help

    check_options(format_, time_unit)
    policy = usable(redact, no_redact=no_redact, otherwise=AUTO)
    lost: Counter[str] = Counter()
    with removals_printed():
        written = tk.convert(
            files,
            output,
            flat=flat,
            append=append,
            format=format_,
            time_unit=time_unit,
            strict=strict,
            on_issue=lambda issue: lost.update({issue.action: issue.issue_count}),
            redact=policy,
        )
    byte_count = sum(file.stat().st_size for file in [written, *written.rglob("*")] if file.is_file())
    typer.echo(f"{written}: {byte_count / 1e6:,.1f} MB, {lost['quarantined']:,} records quarantined")


@app.command()
def samples() -> None:
    """List the bundled sample datasets."""
    from tracekit.cli_tables import samples_table, show  # noqa: PLC0415 - not for --help

    show(samples_table(tk.list_samples()))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    *,
    traces: Annotated[
        list[str] | None, typer.Option(help="Traces to open the notebooks with: file, folder or glob. Repeatable.")
    ] = None,
    baseline: Annotated[list[str] | None, typer.Option(help="Baseline of the same system. Repeatable.")] = None,
    audit: Annotated[Path | None, typer.Option(help="Folder of tracekit audit --save, for notebook 05.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder to copy the notebooks to (default: notebooks, or notebooks-NAME for own data)."),
    ] = None,
) -> None:
    """Copy the bundled notebooks into a folder and open it in JupyterLab.

    Existing notebooks are not overwritten. Other options are passed to JupyterLab.
    """
    if find_spec("jupyterlab") is None:
        raise tk.TracekitError(
            f"JupyterLab is not installed for {sys.executable}; run pip install 'tracekit-notebook[lab]'"
        )
    if baseline and not traces:
        raise typer.BadParameter("a baseline needs --traces to compare with it", param_hint="--baseline")
    if audit is not None and not audit.is_dir():
        raise typer.BadParameter(f"expected a folder, found none at {audit}", param_hint="--audit")
    given = {"traces_path": traces, "baseline_path": baseline, "audit_path": [str(audit)] if audit else None}
    parameters = {name: absolute(paths) for name, paths in given.items() if paths}
    named = [str(audit)] if audit and not traces else traces
    target = folder or (folder_for(named[0]) if named else Path("notebooks"))
    for path, is_new in copy_notebooks(target, parameters).items():
        typer.echo(f"{path}: {'copied' if is_new else 'exists, not overwritten'}")
    ran = subprocess.run([sys.executable, "-m", "jupyterlab", str(target), *context.args], check=False)  # noqa: S603 - this interpreter with the user's own arguments
    raise typer.Exit(ran.returncode)


def _write_report(
    sides: Sides,
    output: Path,
    title: str | None,
    *,
    outgoing: Outgoing | None = None,
    embed: bool = False,
    logs: list[str] | None = None,
    slo: dict[str, float] | None = None,
    prices: list[Price] | None = None,
) -> None:
    """Write the report, then print its first screen and its findings."""
    from tracekit.cli_tables import screen_table, show  # noqa: PLC0415 - not for --help
    from tracekit.report.beside import second_process  # noqa: PLC0415 - not for --help
    from tracekit.report.inputs import Inputs  # noqa: PLC0415 - not for --help
    from tracekit.report.page import write  # noqa: PLC0415 - not for --help
    from tracekit.report.standard import Standard  # noqa: PLC0415 - not for --help

    results = Standard.between(sides, Inputs.of(logs=logs, slo=slo, prices=prices), outgoing)
    with second_process():
        written = write(results, output, title=title, outgoing=outgoing, embed=embed)
    show(screen_table(results.screen))
    _show_findings(results, written, outgoing)


def _show_findings(results: Standard, written: Path, outgoing: Outgoing | None) -> None:
    """Print what a report is about, and its findings."""
    from tracekit.cli_tables import findings_table, show  # noqa: PLC0415 - not for --help

    typer.echo(repr(results.sides.traces))
    if results.case.logs is not None:
        typer.echo(repr(results.case.logs))
    show(findings_table(results.findings))
    typer.echo(f"{written}: {written.stat().st_size / 1e6:,.1f} MB, self-contained; open it in any browser")
    if outgoing is not None:
        typer.echo(outgoing.statement)


def _print_error(message: str) -> None:
    """Print one line to standard error, without terminal control characters."""
    from tracekit.text import clean  # noqa: PLC0415 - not for --help

    typer.echo(f"tracekit: {clean(' '.join(message.split()))}", err=True)
