"""The bundled datasets: traffic of a small shop, recorded or drawn by hand, with the known facts about it.

``datasets/index.json`` lists each dataset with its files, their SHA-256, how it was made, and its ``truth``: what an
analysis of it should find.  ``datasets/record/`` contains the shop.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from typing import TYPE_CHECKING, Any, overload

import pandas as pd

from tracekit.bundled import DATASETS
from tracekit.errors import LoadError

if TYPE_CHECKING:
    from pathlib import Path

    from tracekit.traces import TraceSet


def list_samples() -> pd.DataFrame:
    """Return the bundled datasets.

    Returns
    -------
    pandas.DataFrame
        One row per dataset: ``name``, ``title``, ``span_count``, ``trace_count`` and ``byte_count`` (compressed) over
        all its files, ``licence``, and ``truth``, a sentence about what an analysis should find.

    Raises
    ------
    LoadError
        The index of the datasets is missing.

    Examples
    --------
    >>> list_samples().set_index("name").loc[["checkout-regression", "checkout-xray"], "trace_count"].to_dict()
    {'checkout-regression': 2000, 'checkout-xray': 200}
    """
    rows = [
        {
            "name": entry["name"],
            "title": entry["title"],
            "span_count": sum(file.get("span_count", 0) for file in entry["files"]),
            "trace_count": sum(file.get("trace_count", 0) for file in entry["files"]),
            "byte_count": sum(file["bytes"] for file in entry["files"]),
            "licence": entry["licence"],
            "truth": entry["truth"]["summary"],
        }
        for entry in _entries().values()
    ]
    return pd.DataFrame(rows)


def sample_paths(name: str, *parts: str) -> tuple[Path, ...]:
    """Return the files of a dataset, each checked against the SHA-256 in the index."""
    return tuple(_verified(_home() / file["path"], file["sha256"]) for file in _files(name, parts))


@overload
def load_sample(name: str) -> TraceSet | tuple[TraceSet, ...]: ...
@overload
def load_sample(name: str, part: str, /, *parts: str) -> TraceSet | Path | tuple[TraceSet | Path, ...]: ...
def load_sample(name: str, *parts: str) -> TraceSet | Path | tuple[Any, ...]:
    """Read a bundled dataset.

    Parameters
    ----------
    name
        A name of :func:`list_samples`.
    parts
        The parts to read, in this order; default: all parts with traces, in the order of :func:`sample_paths`.

    Returns
    -------
    TraceSet, pathlib.Path or tuple of them
        One object for a single part, otherwise a tuple.  A part without traces (an access log, a sampling
        configuration) is returned as a path.

    Raises
    ------
    ValueError
        There is no such dataset or part.
    LoadError
        A file is missing, damaged or unreadable.

    Examples
    --------
    ``small-shop`` is hand-made; the examples in docstrings use it under these two names:

    >>> baseline, shop = tk.load_sample("small-shop")
    >>> (shop.summary["duration_ns"] / 1e6).tolist()
    [40.0, 100.0, 400.0, 160.0, 60.0]

    A part without traces is a path:

    >>> log, rules = tk.load_sample("tail-sampled", "access-log", "xray-rules")
    >>> log.name, rules.name
    ('access-log.log.zst', 'xray-rules.json')
    """
    if not isinstance(name, str):
        raise TypeError(f"expected the name of a sample, found {type(name).__name__}; tk.list_samples() lists them")
    files = [file for file in _files(name, parts) if parts or "trace_count" in file]
    paths = sample_paths(name, *(file["role"] for file in files))
    found = tuple(
        _traces(path, name, file["role"]) if "trace_count" in file else path
        for path, file in zip(paths, files, strict=True)
    )
    return found[0] if len(found) == 1 else found


def _traces(path: Path, name: str, role: str) -> TraceSet:
    """Return the traces of a part, with the code that loads them as the first step."""
    from tracekit.loading import read  # noqa: PLC0415 - listing the samples should not import the loaders
    from tracekit.traces import TraceSet  # noqa: PLC0415 - likewise

    found = read(path)
    made = f"tk.load_sample({name!r}, {role!r})"
    return TraceSet(found.columns, forest=found.forest, steps=(made,))


def _home() -> Path:
    """Return the folder with the index: in the wheel, or next to the package in a source tree."""
    for home in DATASETS:
        if (home / "index.json").is_file():
            return home
    raise LoadError(
        f"expected the index of the datasets, found no index.json in {' or '.join(map(str, DATASETS))}; "
        "reinstall tracekit-notebook",
        source=str(DATASETS[0] / "index.json"),
        code="SAMPLE_MISSING",
    )


def _entries() -> dict[str, dict[str, Any]]:
    """Return the entries of the index by name."""
    index = json.loads((_home() / "index.json").read_text(encoding="utf-8"))
    return {entry["name"]: entry for entry in index["datasets"]}


def _files(name: str, parts: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the index entries of the parts of a dataset."""
    roles = {file["role"]: file for file in _one_of(_entries(), name, "dataset")["files"]}
    return [_one_of(roles, part, "part", f" in {name}") for part in parts or roles]


def _one_of(known: dict[str, dict[str, Any]], name: str, what: str, where: str = "") -> dict[str, Any]:
    """Return the entry of a name; ValueError suggests the closest one."""
    if name in known:
        return known[name]
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"no {what} {name!r}{where}. Available: {', '.join(known)}.{hint}")


def _verified(path: Path, expected: str) -> Path:
    """Return the path if its content has the expected SHA-256, otherwise raise LoadError."""
    if not path.is_file():
        raise LoadError(
            f"expected a dataset, found no file {path}; reinstall tracekit-notebook, or check the file out again",
            source=str(path),
            code="SAMPLE_MISSING",
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise LoadError(
            f"expected SHA-256 {expected}, found {found} in {path}: the dataset was changed or truncated; "
            "reinstall tracekit-notebook, or check the file out again",
            source=str(path),
            code="SAMPLE_DAMAGED",
        )
    return path
