"""Copies of the bundled notebooks, with the paths of a user's own data set in them.

A cell tagged ``parameters`` declares what can be set, and a cell tagged ``injected-parameters`` after it sets it: the
convention of papermill.  Cells tagged ``sample`` are about the bundled sample; copies for other data have none.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekit.bundled import NOTEBOOKS
from tracekit.errors import TracekitError

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = str | list[str]


def copy_notebooks(folder: Path, parameters: Mapping[str, Value]) -> dict[Path, bool]:
    """Copy the bundled notebooks into a folder, and set parameters in the copies.

    Parameters
    ----------
    folder
        Made if it does not exist.
    parameters
        Values by name; if there are any, only notebooks that declare one of them are copied.

    Returns
    -------
    dict of pathlib.Path to bool
        For each notebook in the folder whether it was copied now; an existing one is never overwritten.

    Raises
    ------
    TracekitError
        The folder cannot be created, or a notebook in it has other parameters; then nothing was copied.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = copy_notebooks(Path(folder), {"traces_path": "/data/my.jsonl"})
    ...     [path.name for path in made][:2]
    ['01-first-look.ipynb', '02-critical-path.ipynb']
    """
    texts = {folder / source.name: text for source in _sources() if (text := _text(source, parameters)) is not None}
    for path, text in texts.items():
        if parameters and path.exists() and _settings(path.read_text(encoding="utf-8")) != _settings(text):
            raise TracekitError(
                f"{path}: expected a notebook with {_settings(text)!r}, found other parameters; "
                f"it was not overwritten. Choose another folder with --folder, "
                f"or open it as it is: tracekit lab --folder {folder}"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot create folder {folder}: {error.strerror}; choose another with --folder"
        raise TracekitError(message) from error
    made = {}
    for path, text in texts.items():
        made[path] = not path.exists()
        if made[path]:
            path.write_text(text, encoding="utf-8")
    return made


def folder_for(path: str) -> Path:
    """Return the default folder of notebooks about a file, folder or glob.

    Examples
    --------
    >>> print(folder_for("incident/checkout.jsonl.zst"), folder_for("incident/*.jsonl"))
    notebooks-checkout notebooks-incident
    """
    words = (
        re.sub(r"[^\w-]+", "-", part.partition(".")[0]).strip("-") for part in reversed(Path(path).absolute().parts)
    )
    return Path(f"notebooks-{next(filter(None, words), 'traces')}")


def _sources() -> list[Path]:
    """Return the bundled notebooks."""
    home = next((path for path in NOTEBOOKS if path.is_dir()), None)
    if home is None:
        raise TracekitError(f"no notebooks in {NOTEBOOKS[0]}; reinstall tracekit-notebook")
    return sorted(home.glob("*.ipynb"))


def _text(source: Path, parameters: Mapping[str, Value]) -> str | None:
    """Return the text of a copy; None if the notebook declares none of the parameters."""
    text = source.read_text(encoding="utf-8")
    if not parameters:
        return text
    notebook = json.loads(text)
    notebook["cells"] = [cell for cell in notebook["cells"] if "sample" not in _tags(cell)]
    declared = declared_parameters(notebook)
    known = {name: value for name, value in parameters.items() if name in declared}
    if not known:
        return None
    set_parameters(notebook, known)
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def declared_parameters(notebook: Mapping[str, Any]) -> set[str]:
    """Return the names that the cell tagged ``parameters`` of a notebook assigns; none without such a cell.

    Parameters
    ----------
    notebook
        A notebook as JSON has it.
    """
    place = _place_of("parameters", notebook)
    return set() if place is None else _assigned(_code_of(notebook["cells"][place]))


def set_parameters(notebook: dict[str, Any], parameters: Mapping[str, Any]) -> None:
    """Set parameters of a notebook, in a cell after the one tagged ``parameters``; those set before are kept.

    Parameters
    ----------
    notebook
        A notebook as JSON has it, with such a cell; it is changed.
    parameters
        Values by name.
    """
    cells, place = notebook["cells"], _place_of("parameters", notebook)
    assert place is not None
    before = _place_of("injected-parameters", notebook)
    lines = [] if before is None else [_code_of(cells.pop(before))]
    lines += [f"{name} = {value!r}" for name, value in parameters.items()]
    injected = {
        "cell_type": "code",
        "execution_count": None,
        "id": "injected-parameters",
        "metadata": {"tags": ["injected-parameters"]},
        "outputs": [],
        "source": "\n".join(lines).splitlines(keepends=True),
    }
    cells.insert(place + 1, injected)


def new_notebook(path: Path, parameters: Mapping[str, Value], *, template: str = "postmortem") -> None:
    """Write a bundled notebook as a file of its own, with parameters set.

    Parameters
    ----------
    path
        File to write; never overwritten.
    parameters
        Values by name; with any, cells about the bundled sample are left out.
    template
        Name of a bundled notebook, with or without its number: ``postmortem``, ``02-critical-path``.

    Raises
    ------
    TracekitError
        The file exists or cannot be written; no such template, or one without such parameters.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     new_notebook(Path(folder) / "checkout.ipynb", {"traces_path": "/data/my.jsonl"})
    ...     (Path(folder) / "checkout.ipynb").read_text().count("/data/my.jsonl")
    1
    """
    names = {source.stem: source for source in _sources()}
    found = next((names[name] for name in names if template in {name, name.partition("-")[2]}), None)
    if found is None:
        raise TracekitError(f"expected a template among {', '.join(names)}, found {template!r}")
    text = _text(found, parameters)
    if text is None:
        raise TracekitError(
            f"expected a template with the parameters {', '.join(parameters)}, found {found.name} without"
        )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise TracekitError(f"{path} exists; it was not overwritten. Choose another name") from error
    except OSError as error:
        raise TracekitError(f"cannot write {path}: {error.strerror}; choose a file in an existing folder") from error


def _settings(text: str) -> str | None:
    """Return the code that sets the parameters of a copy; None if nothing does."""
    try:
        cells = json.loads(text)["cells"]
    except (ValueError, KeyError, TypeError):  # not a notebook any more
        return None
    return next(("".join(cell["source"]) for cell in cells if "injected-parameters" in _tags(cell)), None)


def _place_of(tag: str, notebook: Mapping[str, Any]) -> int | None:
    """Return the place of the first cell with a tag; None without one."""
    return next((k for k, cell in enumerate(notebook["cells"]) if tag in _tags(cell)), None)


def _code_of(cell: Mapping[str, Any]) -> str:
    """Return the source of a cell, which may be a list of lines."""
    return "".join(cell["source"])


def _tags(cell: Mapping[str, Any]) -> list[str]:
    """Return the tags of a cell."""
    return list(cell["metadata"].get("tags", []))


def _assigned(code: str) -> set[str]:
    """Return the names that code assigns."""
    targets = (target for node in ast.parse(code).body if isinstance(node, ast.Assign) for target in node.targets)
    return {target.id for target in targets if isinstance(target, ast.Name)}
