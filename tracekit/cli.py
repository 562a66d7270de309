"""The command line: each command reads, calls what the notebook would call, and prints.

Exit codes: 0 done, 1 ``check`` found records that could not be used, 2 something could not be read, written or
understood (one line on standard error says what), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import tracekit as tk
from tracekit import cli_audit, cli_path, cli_pull
from tracekit.bundled import NOTEBOOKS

DONE, QUARANTINED, UNREADABLE, STOPPED = 0, 1, 2, 130


class _Commands(TyperGroup):
    """Commands whose expected failures are one line on standard error, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what it raises on purpose becomes its exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _complain("stopped; nothing was left half-written")
            raise typer.Exit(STOPPED) from None
        except BrokenPipeError:
            raise  # the reader of a pipe has seen enough
        except (tk.TracekitError, OSError) as error:
            _complain(str(error))
            raise typer.Exit(UNREADABLE) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Investigate recorded distributed traces: OpenTelemetry, AWS X-Ray, Jaeger and Zipkin files.",
)

app.add_typer(cli_pull.app, name="pull")
app.command()(cli_path.path)
app.command()(cli_audit.audit)

Files = Annotated[
    list[str],
    typer.Argument(help="Files, folders, patterns, archives, stores, or - for standard input.", show_default=False),
]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Accept one format only: otlp, xray, jaeger or zipkin. Told by content otherwise."),
]
TimeUnit = Annotated[
    str | None, typer.Option(help="Unit of the recorded times, where it is not what the format says: us, ms or s.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first record that cannot be used.")]


def main() -> None:
    """Run the command line; ``tracekit`` in a terminal.

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
    app(prog_name="tracekit")


def _version(asked: bool) -> None:
    """Print the version and leave."""
    if asked:
        typer.echo(f"tracekit {tk.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *, version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False
) -> None:
    """Hold the options of tracekit itself."""


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="The report.")] = Path("tracekit-demo.html"),
) -> None:
    """Investigate the bundled recording of a checkout that became slow, and write its report."""
    from tracekit.checks.overview import Overview  # noqa: PLC0415 - not for --help
    from tracekit.cli_tables import figures_table, show  # noqa: PLC0415 - not for --help

    sets = tk.load_sample("checkout-regression")
    assert isinstance(sets, tuple)
    baseline, during = sets
    show(figures_table({"baseline": Overview(baseline), "during": Overview(during)}))
    _publish(during, output, "checkout-regression: during the incident", baseline)
    typer.echo('In a notebook: before, during = tk.load_sample("checkout-regression"); `tracekit lab` opens one.')


@app.command()
def report(
    files: Files,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The report.")] = Path("report.html"),
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="Earlier traces of the same system: the report says what changed. May be repeated."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the page; the names of the files otherwise.")] = None,
    format_: Format = None,
    time_unit: TimeUnit = None,
    strict: Strict = False,
) -> None:
    """Write what the traces show into one HTML file that needs no network, and print its first sentences."""
    before = _read(baseline, format_, time_unit, strict=strict) if baseline else None
    _publish(_read(files, format_, time_unit, strict=strict), output, title, before)


@app.command()
def check(
    files: Files,
    *,
    format_: Format = None,
    time_unit: TimeUnit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Tell what is in the files and what is wrong with them.

    Exit code 0: every record was used; 1: records were quarantined; 2: a file could not be read to its end.
    """
    from tracekit.cli_tables import as_document, issues_table, show, sources_table  # noqa: PLC0415 - not for --help

    try:
        traces = _read(files, format_, time_unit)
    except tk.LoadError as error:
        if as_json:
            typer.echo(as_document(None, UNREADABLE, error))
        raise
    code = _verdict(traces)
    if as_json:
        typer.echo(as_document(traces, code))
    else:
        typer.echo(repr(traces))
        show(sources_table(traces.sources))
        show(issues_table(traces.issues, traces.sources))
    raise typer.Exit(code)


@app.command()
def convert(
    files: Files,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder, by custom *.parquet.")],
    format_: Format = None,
    time_unit: TimeUnit = None,
    strict: Strict = False,
) -> None:
    """Write the traces as a store of Parquet files, piece by piece: every command and tk.read read it back."""
    _known(format_, time_unit)
    lost: Counter[str] = Counter()
    store = tk.convert(
        files,
        output,
        format=format_,
        time_unit=time_unit,
        strict=strict,
        on_issue=lambda issue: lost.update({issue.action: issue.issue_count}),
    )
    byte_count = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    typer.echo(f"{store}: {byte_count / 1e6:,.1f} MB, {lost['quarantined']:,} records quarantined")


@app.command()
def samples() -> None:
    """List the recordings that come with tracekit."""
    from tracekit.cli_tables import samples_table, show  # noqa: PLC0415 - not for --help

    show(samples_table(tk.list_samples()))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    folder: Annotated[Path, typer.Option(help="Where the copy goes.")] = Path("notebooks"),
) -> None:
    """Open JupyterLab on a copy of the notebooks in the current folder; other options go to JupyterLab.

    Notebooks that are in the folder already are left as they are.
    """
    if find_spec("jupyterlab") is None:
        raise tk.TracekitError(
            f"expected JupyterLab, found no module jupyterlab beside {sys.executable};"
            " pip install 'tracekit-notebook[lab]'"
        )
    home = next((place for place in NOTEBOOKS if place.is_dir()), None)
    if home is None:
        raise tk.TracekitError(f"expected the notebooks in {NOTEBOOKS[0]}, found none; install tracekit-notebook again")
    folder.mkdir(parents=True, exist_ok=True)
    for notebook in sorted(home.glob("*.ipynb")):
        target = folder / notebook.name
        if target.exists():
            typer.echo(f"{target}: left as it is")
        else:
            shutil.copyfile(notebook, target)
            typer.echo(f"{target}: copied")
    ran = subprocess.run([sys.executable, "-m", "jupyterlab", str(folder), *context.args], check=False)  # noqa: S603 - this very Python, and the user's own words
    raise typer.Exit(ran.returncode)


def _read(files: list[str], format_: str | None, time_unit: str | None, *, strict: bool = False) -> tk.TraceSet:
    """Read the files of a command."""
    _known(format_, time_unit)
    return tk.read(files, format=format_, time_unit=time_unit, strict=strict)


def _known(format_: str | None, time_unit: str | None) -> None:
    """Refuse words that ``read`` does not know as a usage error, before anything is opened."""
    from tracekit.loading import LOADERS  # noqa: PLC0415 - not for --help
    from tracekit.loading.time_units import TIME_UNITS  # noqa: PLC0415 - not for --help

    formats = sorted({loader.name for loader in LOADERS})
    if format_ is not None and format_ not in formats:
        raise typer.BadParameter(f"expected {', '.join(formats)}, found {format_!r}", param_hint="--format")
    if time_unit is not None and time_unit not in TIME_UNITS:
        raise typer.BadParameter(f"expected {', '.join(TIME_UNITS)}, found {time_unit!r}", param_hint="--time-unit")


def _publish(traces: tk.TraceSet, output: Path, title: str | None, baseline: tk.TraceSet | None = None) -> None:
    """Write the report of the traces and print its first sentences."""
    from tracekit.cli_tables import findings_table, show  # noqa: PLC0415 - not for --help
    from tracekit.report.page import write  # noqa: PLC0415 - not for --help
    from tracekit.report.standard import Standard  # noqa: PLC0415 - not for --help

    answers = Standard.of(traces, baseline)
    written = write(answers, output, title=title)
    typer.echo(repr(traces))
    show(findings_table(answers.findings))
    typer.echo(f"{written}: {written.stat().st_size / 1e6:,.1f} MB; opens in any browser, without a network")


def _verdict(traces: tk.TraceSet) -> int:
    """Return the exit code of ``check``: the gravest thing that happened to any source."""
    if (traces.issues["action"].astype(str) == "aborted").any():
        return UNREADABLE
    return QUARANTINED if int(traces.sources["quarantined_count"].sum()) else DONE


def _complain(message: str) -> None:
    """Say one line on standard error, without anything that could move the cursor."""
    from tracekit.text import clean  # noqa: PLC0415 - not for --help

    typer.echo(f"tracekit: {clean(' '.join(message.split()))}", err=True)
