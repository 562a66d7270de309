"""``tracekit new`` and ``tracekit run``: a notebook from a template, and its unattended run."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from tracekit.notebooks import new_notebook

FAILED: Final = 1
_PARAMETER: Final = ("-p", "--parameter")


def new(
    notebook: Annotated[Path, typer.Argument(help="Notebook to write; never overwritten.", show_default=False)],
    *,
    traces: Annotated[
        list[str] | None, typer.Option(help="Traces that it is about: file, folder or glob. Repeatable.")
    ] = None,
    baseline: Annotated[list[str] | None, typer.Option(help="Baseline of the same system. Repeatable.")] = None,
    template: Annotated[
        str, typer.Option(help="A bundled notebook: postmortem, first-look, critical-path, ...")
    ] = "postmortem",
) -> None:
    """Write a notebook about your traces from a template, a postmortem unless another is chosen.

    Its parameters are those of papermill. Without --traces, it is about the bundled sample.
    """
    if notebook.suffix != ".ipynb":
        raise typer.BadParameter(f"expected a file name with suffix .ipynb, found {notebook.name!r}")
    if baseline and not traces:
        raise typer.BadParameter("a baseline needs --traces to compare with it", param_hint="--baseline")
    given = {"traces_path": traces, "baseline_path": baseline}
    new_notebook(notebook, {name: absolute(paths) for name, paths in given.items() if paths}, template=template)
    typer.echo(f"{notebook}: written; run it with: tracekit run {notebook}, or open it with: jupyter lab {notebook}")


class PairsOfArguments(TyperCommand):
    """A command that takes ``-p NAME VALUE``, as papermill does, as well as ``-p NAME=VALUE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join names and values, then parse the arguments as usual."""
        joined, rest = [], list(args)
        while rest:
            one = rest.pop(0)
            joined.append(one)
            if one in _PARAMETER and len(rest) > 1 and rest[0].isidentifier():
                joined.append(f"{rest.pop(0)}={rest.pop(0)}")
        return super().parse_args(ctx, joined)


def run(
    notebook: Annotated[Path, typer.Argument(help="Notebook to run; it is not changed.", show_default=False)],
    *,
    parameter: Annotated[
        list[str] | None,
        typer.Option(*_PARAMETER, metavar="NAME VALUE", help="Set a parameter of the notebook. Repeatable."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Result, .html or .ipynb (default: NAME.html beside the notebook)."),
    ] = None,
) -> None:
    """Run all cells of a notebook unattended, and write it with its outputs.

    Exit code 0; 1: a cell failed (a notebook that shows the error is written); 2: a file or argument error; 130: Ctrl-C
    (nothing is written).
    """
    from tracekit.notebook_runs import run_notebook  # noqa: PLC0415 - not for --help

    found = run_notebook(notebook, output or notebook.with_suffix(".html"), _parameters(parameter))
    if found.error:
        typer.echo(f"tracekit: {notebook}: {found.error}; saved with the error: {found.path}", err=True)
        raise typer.Exit(FAILED)
    typer.echo(f"{found.path}: {found.path.stat().st_size / 1e6:,.1f} MB")


def _parameters(given: list[str] | None) -> dict[str, Any]:
    """Return parameters by name; a value that is a Python literal is one, any other is text."""
    pairs = [one.partition("=") for one in given or []]
    if wrong := [one for one, (name, mark, _) in zip(given or [], pairs, strict=True) if not mark or not name]:
        raise typer.BadParameter(f"expected NAME VALUE or NAME=VALUE, found {wrong[0]!r}", param_hint="--parameter")
    return {name: _literal(value) for name, _, value in pairs}


def _literal(text: str) -> Any:
    """Return what a text is as a Python literal; the text itself where it is none."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def absolute(paths: list[str]) -> str | list[str]:
    """Return paths that a notebook in any folder can read; a usage error or LoadError if there is nothing to read."""
    from tracekit.loading.opening.sources import expand  # noqa: PLC0415 - not for --help

    if "-" in paths:
        raise typer.BadParameter("expected files, found - (standard input), which a notebook cannot read")
    expand(paths)
    found = [str(Path(path).expanduser().absolute()) for path in paths]
    return found[0] if len(found) == 1 else found
