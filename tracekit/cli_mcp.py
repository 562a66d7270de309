"""``tracekit mcp``: an evidence server for assistants, over standard input and output."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

import tracekit as tk
from tracekit.cli_privacy import NoRedact, Redact, outgoing_of, usable
from tracekit.cli_reading import ByParts, Dask, SampleSpans, read_recording, read_side

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess

_STOPPED: Final = 130


def mcp(
    files: Annotated[
        list[str], typer.Argument(help="Files, folders, globs, archives, or Parquet stores.", show_default=False)
    ],
    *,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="Earlier traces of the same system; without, one is found in FILES. Repeatable."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Sampling weights: 1 if every request was recorded, auto, or a file of sampling rules."),
    ] = None,
    redact: Redact = None,
    no_redact: NoRedact = False,
    sample_spans: SampleSpans = None,
    by_parts: ByParts = False,
    dask: Dask = None,
    input_format: Annotated[
        str | None, typer.Option("--format", help="Input format: otlp, xray, jaeger or zipkin (default: detected).")
    ] = None,
) -> None:
    """Answer the questions of an assistant with findings, over the Model Context Protocol (standard input and output).

    Tools: overview, investigate, compare, critical_path, attributes, show_trace, verify_claim. Answers have at most
    2,000 tokens; personal data and secrets are removed. A store larger than memory is read part by part. Ends when its
    input is closed, or with Ctrl-C.
    """
    from multiprocessing import active_children  # noqa: PLC0415 - not for --help

    from tracekit.evidence.server import check_installed, server_of  # noqa: PLC0415 - not for --help
    from tracekit.evidence.tools import Evidence, to_stderr  # noqa: PLC0415 - not for --help

    if "-" in files:
        raise typer.BadParameter("expected files, found - (standard input), which the protocol needs")
    options: dict[str, Any] = {"format": input_format, "weights": weights, "sample_spans": sample_spans}
    options |= {"by_parts": by_parts, "dask": dask}
    outgoing = outgoing_of(usable(redact, no_redact=no_redact))
    check_installed()
    before = read_side(baseline, **options) if baseline else None
    traces = read_recording(files, **options)
    evidence = Evidence(traces, before, outgoing=outgoing, on_step=to_stderr)
    server = server_of(evidence, tk.__version__)
    signal.signal(signal.SIGINT, partial(_stop, active_children))
    server.run("stdio")


def _stop(active_children: Callable[[], list[BaseProcess]], _signal: int, _frame: object) -> NoReturn:
    """End at once: a thread waits for the next line of standard input, and nothing is being written."""
    for process in active_children():  # those that read parts of a store
        process.kill()
    typer.echo("tracekit: stopped", err=True)
    os._exit(_STOPPED)
