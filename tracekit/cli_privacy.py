"""``tracekit privacy``, and the options of commands that redact what they write."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import tracekit as tk
from tracekit.cli_reading import Dask, read_recording, read_side
from tracekit.redaction import STANDARD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.report.redaction import Outgoing

Redact = Annotated[
    str | None,
    typer.Option("--redact", help="Redaction policy: default, or a TOML file.", metavar="POLICY"),
]
NoRedact = Annotated[bool, typer.Option("--no-redact", help="Keep personal data and secrets in what is written.")]
EmbedSpans = Annotated[
    bool, typer.Option("--embed-spans", help="Also write the redacted inputs into the HTML files, for tracekit verify.")
]


def privacy(
    files: Annotated[
        list[str],
        typer.Argument(help="Files, folders, globs, archives, Parquet stores, or - for stdin.", show_default=False),
    ],
    *,
    policy: Annotated[
        str, typer.Option("--redact", help="Policy of the column action: default, or a TOML file.", metavar="POLICY")
    ] = STANDARD,
    format_: Annotated[str | None, typer.Option("--format", help="Input format (default: detected).")] = None,
    dask: Dask = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List personal data and secrets in traces: kind, place, key, count, and a masked example."""
    from tracekit.cli_tables import privacy_table, show  # noqa: PLC0415 - not for --help

    given = usable(policy, no_redact=False)
    try:
        read = read_side if dask is None else read_recording
        traces = read(files, by_parts=True, dask=dask, weights=None, sample_spans=None, format=format_)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    found = tk.privacy(traces, policy=given)
    if as_json:
        typer.echo(found.table.to_json(orient="records"))
        return
    typer.echo(repr(found))
    show(privacy_table(found.table))


def usable(redact: str | None, *, no_redact: bool, otherwise: str = STANDARD) -> tk.Policy | str | None:
    """Return the argument ``redact`` of the options; a usage error before any file is opened."""
    if redact is not None and no_redact:
        raise typer.BadParameter("expected one of --redact and --no-redact, found both", param_hint="--redact")
    if no_redact:
        return None
    if redact is None:
        return otherwise
    from tracekit.redaction.policy import policy_of  # noqa: PLC0415 - not for --help

    try:
        return policy_of(redact if redact == STANDARD else Path(redact))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--redact") from error


def outgoing_of(redact: tk.Policy | str | None) -> Outgoing | None:
    """Return what redacts a report."""
    from tracekit.report.redaction import Outgoing  # noqa: PLC0415 - not for --help

    return Outgoing.of(redact)


@contextmanager
def removals_printed() -> Iterator[None]:
    """Print what writers say that they removed, in place of warnings."""
    with warnings.catch_warnings(record=True) as said:
        warnings.filterwarnings("always", message="removed from ")
        yield
    for one in said:
        message = str(one.message).replace("redact=None keeps everything", "--no-redact keeps everything")
        typer.echo(message, err=True)
