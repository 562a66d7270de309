"""The traces of a command: files with their sampling weights, or a random sample of a store."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

import tracekit as tk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Files = Annotated[
    list[str],
    typer.Argument(help="Files, folders, globs, archives, Parquet stores, or - for stdin.", show_default=False),
]
Format = Annotated[
    str | None,
    typer.Option("--format", help="Input format: otlp, xray, jaeger or zipkin (default: detected)."),
]
TimeUnit = Annotated[
    str | None, typer.Option(help="Timestamp unit, if not the default of the format: ns, us, ms or s.")
]
ByParts = Annotated[bool, typer.Option("--by-parts", help="Read a store part by part, also one that fits into memory.")]
_Recording = TypeVar("_Recording", "tk.TraceSet", "tk.TraceStore")
SampleSpans = Annotated[
    int | None,
    typer.Option(
        min=1, help="For a store larger than memory: only parts chosen at random, with about so many spans together."
    ),
]
Dask = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="For a store: read its parts on this Dask cluster (tcp://HOST:PORT)."),
]


def check_options(format_: str | None, time_unit: str | None) -> None:
    """Raise a usage error for a format or time unit that does not exist, before any file is opened."""
    from tracekit.loading.building.time_units import TIME_UNITS  # noqa: PLC0415 - not for --help
    from tracekit.loading.formats import format_names  # noqa: PLC0415 - not for --help

    formats = format_names()
    if format_ is not None and format_ not in formats:
        raise typer.BadParameter(f"unknown format {format_!r}; use {', '.join(formats)}", param_hint="--format")
    if time_unit is not None and time_unit not in TIME_UNITS:
        message = f"unknown time unit {time_unit!r}; use {', '.join(TIME_UNITS)}"
        raise typer.BadParameter(message, param_hint="--time-unit")


@contextmanager
def imported_beside(*modules: str) -> Iterator[None]:
    """Import modules while files are read: threads that scan them leave the interpreter to it for most of the time."""
    thread = threading.Thread(target=_import, args=(modules,), name="tracekit-import", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _import(modules: Sequence[str]) -> None:
    """Import modules; one that is missing is missed by what needs it."""
    for module in modules:
        with suppress(ImportError):
            import_module(module)


def read_traces(
    files: Sequence[str], *, weights: str | None = None, sample_spans: int | None = None, **options: Any
) -> tk.TraceSet:
    """Return the traces of files with the sampling weights of the option; options are those of ``tk.read``."""
    try:
        if sample_spans is None:
            return _weighted(tk.read(files, **options), weights)
        if len(files) != 1 or any(options.values()):
            found = f"{len(files)} files" if len(files) != 1 else "options of other formats"
            raise typer.BadParameter(f"expected one store, found {found}", param_hint="--sample-spans")
        return _weighted(tk.open(files[0]), weights).sample(spans=sample_spans).load()
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(str(error), param_hint="--weights") from error


def read_recording(
    files: Sequence[str],
    *,
    by_parts: bool,
    dask: str | None,
    weights: str | None,
    sample_spans: int | None,
    **options: Any,
) -> tk.TraceSet | tk.TraceStore:
    """Return the traces of files as ``read_traces``; or a store, if it is asked for or larger than memory."""
    if not by_parts and dask is None:
        try:
            return read_traces(files, weights=weights, sample_spans=sample_spans, **options)
        except tk.LoadError as error:
            if error.code != "STORE_TOO_LARGE" or len(files) != 1:
                raise
            typer.echo(f"{files[0]} is larger than the free memory: it is read part by part", err=True)
    elif len(files) != 1 or any(options.values()) or sample_spans is not None:
        found = f"{len(files)} files" if len(files) != 1 else "options of other formats, or --sample-spans"
        raise typer.BadParameter(
            f"expected one store, found {found}", param_hint="--by-parts" if dask is None else "--dask"
        )
    try:
        return _weighted(tk.open(files[0], on=dask), weights)
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(str(error), param_hint="--weights") from error


def read_side(files: Sequence[str], *, by_parts: bool, dask: str | None, **options: Any) -> tk.TraceSet | tk.TraceStore:
    """Return the traces of a baseline: a store is read part by part where this is asked for, other files at once."""
    if (by_parts or dask is not None) and not (len(files) == 1 and _is_store(files[0])):
        by_parts, dask = False, None
    return read_recording(files, by_parts=by_parts, dask=dask, **options)


def _is_store(path: str) -> bool:
    """Return whether a path is that of a store."""
    try:
        tk.open(path)
    except tk.LoadError:
        return False
    return True


def _weighted(traces: _Recording, weights: str | None) -> _Recording:
    """Return traces or a store with the sampling weights of the option."""
    if weights is None:
        return traces
    found: _Recording = traces.with_weights(float(weights) if weights.replace(".", "", 1).isdigit() else weights)
    return found
