"""``tracekit investigate``: what is wrong, since when, for whom, the likely cause and what to do, in the terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

import tracekit as tk
from tracekit.checks.postmortem.result import Length  # noqa: TC001 - typer reads the annotations
from tracekit.cli_privacy import EmbedSpans, NoRedact, Redact, outgoing_of, usable
from tracekit.cli_reading import ByParts, Dask, SampleSpans, read_recording, read_side

if TYPE_CHECKING:
    from tracekit.investigation.result import Investigation
    from tracekit.report.redaction import Outgoing

HURT: Final = 1


def investigate(
    files: Annotated[
        list[str],
        typer.Argument(help="Files, folders, globs, archives, Parquet stores, or - for stdin.", show_default=False),
    ],
    *,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="Earlier traces of the same system; without, one is found in FILES. Repeatable."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the report to this file.")] = None,
    postmortem: Annotated[
        Path | None, typer.Option(help="Also write a postmortem to this file, .html or .md (with pictures).")
    ] = None,
    length: Annotated[
        Length | None,
        typer.Option(help="Of the postmortem: executive (one page), on-call or full.", show_default="full"),
    ] = None,
    template: Annotated[
        Path | None, typer.Option(help="Jinja2 template of the postmortem, for .md: headings of your own.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Sampling weights: 1 if every request was recorded, auto, or a file of sampling rules."),
    ] = None,
    rules: Annotated[str | None, typer.Option(help="File of sampling rules, to check how FILES were sampled.")] = None,
    requests: Annotated[
        list[str] | None, typer.Option(help="Request counts of FILES: access logs or metrics. Repeatable.")
    ] = None,
    deployment: Annotated[
        list[str] | None,
        typer.Option(help="NAME=TIME of a deployment (UTC); default: changes of service.version. Repeatable."),
    ] = None,
    logs: Annotated[
        list[str] | None, typer.Option(help="Log lines of the traces: file, folder or glob. Repeatable.")
    ] = None,
    redact: Redact = None,
    no_redact: NoRedact = False,
    embed_spans: EmbedSpans = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    fail: Annotated[bool, typer.Option("--fail", help="Exit with 1 if users are hurt when the data end.")] = False,
    sample_spans: SampleSpans = None,
    by_parts: ByParts = False,
    dask: Dask = None,
    input_format: Annotated[
        str | None, typer.Option("--format", help="Input format: otlp, xray, jaeger or zipkin (default: detected).")
    ] = None,
) -> None:
    """Print what is wrong, since when, for whom, what changed, the likely cause and what to do.

    With --redact, personal data and secrets are removed from what is printed too; without, only from the report.

    Exit code 0; 1 with --fail, if users are hurt when the data end (critical); 2: a file or argument error.
    """
    policy = usable(redact, no_redact=no_redact)
    _check_postmortem(postmortem, template, length)
    is_page = postmortem is not None and postmortem.suffix == ".html"
    if embed_spans and output is None and not is_page:
        message = "spans are embedded in HTML: give --output, or --postmortem with a .html file"
        raise typer.BadParameter(message, param_hint="--embed-spans")
    deployments = deployments_of(deployment)
    options: dict[str, Any] = {"format": input_format, "weights": weights, "sample_spans": sample_spans}
    options |= {"by_parts": by_parts, "dask": dask}
    before = read_side(baseline, **options) if baseline else None
    traces = read_recording(files, **options)
    counts = tk.read_requests(requests).counts if requests else None
    try:
        found = tk.investigate(
            traces, before, rules=rules, requests=counts, deployments=deployments, logs=logs, on_step=_show_step
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    finally:
        _show_step("", -1, 0)
    outgoing = None if redact is None else outgoing_of(policy)
    shown = found if outgoing is None else found.redacted(outgoing)
    if as_json:
        typer.echo(_document(shown, outgoing))
    else:
        show_screen(shown)
    if output is not None:
        written = found.report(output, redact=policy, embed=embed_spans)
        typer.echo(f"{written}: {written.stat().st_size / 1e6:,.1f} MB, self-contained", err=as_json)
    if postmortem is not None:
        chosen = length or "full"
        more: dict[str, Any] = {"template": template, "redact": policy, "embed": embed_spans and is_page}
        written = found.postmortem(postmortem, length=chosen, **more)
        typer.echo(f"{written}: postmortem, {chosen}", err=as_json)
    raise typer.Exit(HURT if fail and found.severity == "critical" else 0)


_WIDTH: Final = 40  # characters of a line of progress


def show_screen(found: Investigation) -> None:
    """Print the first screen."""
    from tracekit.cli_tables import screen_table, show  # noqa: PLC0415 - not for --help

    show(screen_table(found.first_screen))


def _check_postmortem(postmortem: Path | None, template: Path | None, length: Length | None) -> None:
    """Raise a usage error for a postmortem that cannot be written, before any file is opened."""
    if length is not None and postmortem is None:
        raise typer.BadParameter("a length needs --postmortem", param_hint="--length")
    if template is not None and (postmortem is None or postmortem.suffix != ".md"):
        raise typer.BadParameter("a template needs --postmortem with a .md file", param_hint="--template")
    if postmortem is not None and postmortem.suffix not in {".html", ".md"}:
        message = f"expected a file name with suffix .html or .md, found {postmortem.name!r}"
        raise typer.BadParameter(message, param_hint="--postmortem")


def _show_step(title: str, at: int, of: int) -> None:
    """Show which step runs, over the line before, where standard error is a terminal; no title clears the line."""
    if sys.stderr.isatty():
        words = f"{min(at + 1, of)}/{of} {title}" if title else ""
        typer.echo(f"\r{words:<{_WIDTH}}\r", err=True, nl=False)


def deployments_of(given: list[str] | None) -> dict[str, str] | None:
    """Return deployments by name; a usage error before any file is opened."""
    pairs = [one.rpartition("=") for one in given or []]
    if wrong := [one for one, (name, _, when) in zip(given or [], pairs, strict=True) if not name or not when]:
        message = f"expected NAME=TIME, such as 'ledger 1.5.0=2026-11-21T04:59', found {wrong[0]!r}"
        raise typer.BadParameter(message, param_hint="--deployment")
    return {name: when for name, _, when in pairs} or None


def _document(found: Investigation, outgoing: Outgoing | None) -> str:
    """Return the first screen and all findings as JSON, as they may leave."""
    lines: list[dict[str, Any]] = [
        {
            "line": line.check.removeprefix("screen."),
            "severity": line.severity,
            "text": line.headline,
            "values": dict(line.values),
            "code": line.code,
        }
        for line in found.first_screen
    ]
    findings = found.findings.frame().to_dict("records")
    document = {"severity": found.severity, "first_screen": lines, "findings": findings}
    plain = _plain(document)
    return json.dumps(
        plain if outgoing is None else outgoing.members(plain), ensure_ascii=False, allow_nan=False, indent=2
    )


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: numbers of numpy as numbers, what is not finite as null."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
