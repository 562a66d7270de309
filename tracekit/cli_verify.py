"""``tracekit verify``: recompute every claim of a report from its sources."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated, Any

import typer

import tracekit as tk
from tracekit.cli_goals import LatencyMs, Objective, Prices, objective_of, prices_of
from tracekit.cli_investigate import deployments_of
from tracekit.cli_privacy import Redact, usable
from tracekit.cli_reading import ByParts, Dask, SampleSpans, read_recording, read_side

DIFFERENT = 1


def verify(
    report: Annotated[
        Path, typer.Argument(help="HTML report of tracekit, or postmortem as HTML or Markdown.", show_default=False)
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, globs, archives, or Parquet stores it was made from; without, the spans in it.",
            show_default=False,
        ),
    ] = None,
    *,
    baseline: Annotated[list[str] | None, typer.Option(help="Baseline that it was made with. Repeatable.")] = None,
    logs: Annotated[list[str] | None, typer.Option(help="Log lines that it was made with. Repeatable.")] = None,
    weights: Annotated[str | None, typer.Option(help="Sampling weights that it was made with.")] = None,
    rules: Annotated[str | None, typer.Option(help="File of sampling rules that it was made with.")] = None,
    requests: Annotated[
        list[str] | None, typer.Option(help="Request counts that it was made with. Repeatable.")
    ] = None,
    deployment: Annotated[
        list[str] | None, typer.Option(help="NAME=TIME of a deployment that it was made with. Repeatable.")
    ] = None,
    slo: Objective = None,
    slo_latency_ms: LatencyMs = None,
    prices: Prices = None,
    redact: Redact = None,
    template: Annotated[
        Path | None, typer.Option(help="Template of a postmortem in Markdown, if it was written with one.")
    ] = None,
    sample_spans: SampleSpans = None,
    by_parts: ByParts = False,
    dask: Dask = None,
    input_format: Annotated[
        str | None, typer.Option("--format", help="Input format: otlp, xray, jaeger or zipkin (default: detected).")
    ] = None,
) -> None:
    """Recompute every claim of a report from the files it was made from, or from itself; compare its whole text.

    A report with its spans (--embed-spans) also contains the log lines, rules, counts, deployments and goals that it
    was made with; an option here is used instead.

    Stores are read part by part if the report was made so.

    Exit code 0: verified; 1: something differs, or the text could not be compared; 2: a file or argument error.
    """
    from tracekit.cli_tables import show, verification_table  # noqa: PLC0415 - not for --help
    from tracekit.report.ledger import made_by_parts  # noqa: PLC0415 - likewise

    options: dict[str, Any] = {"format": input_format, "weights": weights, "sample_spans": sample_spans}
    goals: dict[str, Any] = {"slo": objective_of(slo, slo_latency_ms), "prices": prices_of(prices)}
    given: dict[str, Any] = {"logs": logs, "rules": rules, "deployments": deployments_of(deployment)}
    given["requests"] = tk.read_requests(requests).counts if requests else None
    policy = usable(redact, no_redact=False)
    if baseline and not files:
        raise typer.BadParameter("a baseline needs the FILES of the report", param_hint="--baseline")
    parts = made_by_parts(report)
    options["dask"] = dask
    before = read_side(baseline, by_parts=by_parts or "baseline" in parts, **options) if baseline else None
    traces = read_recording(files, by_parts=by_parts or "traces" in parts, **options) if files else None
    try:
        found = tk.verify(report, traces, baseline=before, redact=policy, template=template, **given, **goals)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if not found.is_verified:
        show(verification_table(found.differences))
    typer.echo(repr(found))
    raise typer.Exit(0 if found.is_verified else DIFFERENT)
