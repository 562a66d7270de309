"""Unattended runs of notebooks: every cell in order, then a page or a notebook with the outputs."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.errors import TracekitError
from tracekit.notebooks import declared_parameters, set_parameters
from tracekit.report.page import put, target_of
from tracekit.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nbformat import NotebookNode

_NEEDED: Final = ("nbformat", "nbclient", "nbconvert", "ipykernel")
_KINDS: Final = (".html", ".ipynb")
_LINE: Final = 300  # characters of an error


class Run(NamedTuple):
    """What a run wrote, and the error of the cell that failed; empty where all ran."""

    path: Path
    error: str


def run_notebook(source: Path, output: Path, parameters: Mapping[str, Any]) -> Run:
    """Run all cells of a notebook in a kernel of its own, and write it with its outputs.

    Parameters
    ----------
    source
        The notebook; it is not changed.  Its folder is the current folder of its code.
    output
        ``.html`` or ``.ipynb``.  If a cell fails, a notebook with the error is written: beside an HTML file, as
        ``NAME-failed.ipynb``.  An existing file is replaced when the run has ended.
    parameters
        Values by name, set in a cell after the one tagged ``parameters``.

    Raises
    ------
    TracekitError
        The extra is not installed; not a notebook; a parameter that it does not declare; another suffix; the source as
        output.
    RenderError
        If the folder of the output does not exist.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise TracekitError(
            f"{missing[0]} is not installed for {sys.executable}; run pip install 'tracekit-notebook[lab]'"
        )
    if output.suffix not in _KINDS:
        raise TracekitError(f"expected an output with suffix {' or '.join(_KINDS)}, found {output.name!r}")
    if output.absolute() == source.absolute():
        raise TracekitError(f"expected an output other than the notebook itself, found {output}; choose another name")
    target_of(output)
    notebook = _read(source)
    _set(notebook, source, parameters)
    ran, error = _executed(notebook, source)
    if error and output.suffix == ".html":
        output = output.with_name(f"{output.stem}-failed.ipynb")
    put(output, _text(ran, output))
    return Run(output, error)


def _read(source: Path) -> dict[str, Any]:
    """Return a notebook as JSON has it."""
    try:
        found = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TracekitError(f"expected a notebook to read, found {source}: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("cells"), list) or found.get("nbformat") != 4:  # noqa: PLR2004 - the format
        raise TracekitError(f"expected a notebook of format 4, found another JSON file: {source}")
    return found


def _set(notebook: dict[str, Any], source: Path, parameters: Mapping[str, Any]) -> None:
    """Set the parameters of a notebook."""
    declared = declared_parameters(notebook)
    if unknown := [name for name in parameters if name not in declared]:
        names = ", ".join(sorted(declared)) or "none (no cell is tagged parameters)"
        raise TracekitError(f"{source}: expected parameters among {names}, found {unknown[0]}")
    if parameters:
        set_parameters(notebook, parameters)


def _executed(notebook: dict[str, Any], source: Path) -> tuple[NotebookNode, str]:
    """Return the notebook with its outputs, and the error of the cell that failed; KeyboardInterrupt for Ctrl-C."""
    import nbformat  # noqa: PLC0415 - of an extra
    from jupyter_client.kernelspec import NoSuchKernel  # noqa: PLC0415 - likewise
    from nbclient import NotebookClient  # noqa: PLC0415 - likewise
    from nbclient.exceptions import CellExecutionError, DeadKernelError  # noqa: PLC0415 - likewise

    node = nbformat.reads(json.dumps(notebook), as_version=4)  # type: ignore[no-untyped-call]  # ships no types
    stopped = _Stopped()
    folder = {"metadata": {"path": str(source.absolute().parent)}}
    client = NotebookClient(node, timeout=None, resources=folder, on_notebook_start=stopped.listen)
    try:
        client.execute()
    except CellExecutionError as error:
        return node, _said(node, error)
    except NoSuchKernel as error:
        raise TracekitError(f"{source}: expected an installed kernel, found no {error.name!r}") from error
    except (DeadKernelError, asyncio.CancelledError) as error:
        if stopped.is_stopped:
            raise KeyboardInterrupt from error
        return node, "the kernel ended (out of memory?)"
    return node, ""


class _Stopped:
    """Whether the user has stopped a run."""

    def __init__(self) -> None:
        self.is_stopped = False

    async def listen(self, **_: Any) -> None:
        """From now on, Ctrl-C cancels the run, which shuts the kernel down."""
        task = asyncio.current_task()

        def stop() -> None:
            """Cancel the run."""
            self.is_stopped = True
            assert task is not None
            task.cancel()

        with suppress(NotImplementedError, RuntimeError):  # Windows; a thread: Ctrl-C is not for it
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop)


def _said(node: NotebookNode, error: Any) -> str:
    """Return which cell failed, and how, in one line."""
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    at = next(
        (k for k, cell in enumerate(code, 1) if any(out.output_type == "error" for out in cell.get("outputs", []))), 0
    )
    return f"code cell {at} failed: {clean(f'{error.ename}: {error.evalue}', limit=_LINE)}"


def _text(node: NotebookNode, output: Path) -> str:
    """Return a notebook with outputs as a page or as JSON."""
    if output.suffix == ".ipynb":
        return json.dumps(node, ensure_ascii=False, indent=1) + "\n"
    from nbconvert import HTMLExporter  # noqa: PLC0415 - of an extra

    text, _ = HTMLExporter().from_notebook_node(node, resources={"metadata": {"name": output.stem}})  # type: ignore[no-untyped-call]  # ships no types
    return str(text)
