"""``tracekit listen``: receive the traces of an application until Ctrl-C, and write them to a file."""

from __future__ import annotations

import signal
from contextlib import contextmanager, suppress
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from threading import Event
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

import tracekit as tk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracekit.receiver.counts import Counts


def listen(
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="File of OTLP JSON Lines to write: NAME.jsonl, .jsonl.zst or .jsonl.gz."),
    ],
    port: Annotated[int, typer.Option(help="Port of 127.0.0.1; 0 for any free one.", min=0, max=65535)] = 4318,
) -> None:
    """Receive OTLP/HTTP traces of your own application until Ctrl-C, then write them to a file.

    Listens on this machine only, for protobuf and JSON. Exit code 0: the file was written; 2: the port is in use, no
    spans were received, or the file cannot be written.
    """
    from tracekit.loading.otlp.write import place_for  # noqa: PLC0415 - not for --help

    try:
        place_for(output)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--output") from error
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _status() as show, tk.listen(port, progress=show) as run:
            _wait(run.endpoint, output)
        written = run.save(output)
    finally:
        signal.signal(signal.SIGTERM, before)
    typer.echo(f"{written}: {written.stat().st_size / 1e6:,.1f} MB, {run.counts}")


def _wait(endpoint: str, output: Path) -> None:
    """Say where to send traces, and wait for Ctrl-C."""
    variables = f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoint} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
    with suppress(KeyboardInterrupt):
        typer.echo(f"listening for OTLP/HTTP on {endpoint}; Ctrl-C writes {output}", err=True)
        typer.echo(f"start your application with {variables}", err=True)
        Event().wait()


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    """End as with Ctrl-C."""
    raise KeyboardInterrupt


@contextmanager
def _status() -> Iterator[Callable[[Counts], object]]:
    """Show counts as one line in a terminal; nothing elsewhere."""
    from rich.console import Console  # noqa: PLC0415 - not for --help

    with Console(stderr=True).status("0 spans") as status:
        yield lambda counts: status.update(str(counts))
