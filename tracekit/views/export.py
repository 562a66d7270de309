"""Files of what was seen: pictures, tables, and a trace for an incident document."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.errors import RenderError
from tracekit.traces import TraceSet
from tracekit.views.bundle import picture_of
from tracekit.views.export_trace import markdown, mermaid

if TYPE_CHECKING:
    from tracekit.views.markup import Markup

SUFFIXES: Final = (".svg", ".png", ".csv", ".md", ".mmd")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_SHARP: Final = 2.0


def export(thing: Any, path: str | Path) -> Path:
    r"""Write a view, a table or a trace to a file; its ending says as what.

    Parameters
    ----------
    thing
        ``.svg`` and ``.png``: what ``plot`` or ``waterfall`` returned, or any answer that has a view; ``.csv``: a
        DataFrame, or an answer with a ``table``; ``.md`` and ``.mmd`` (Mermaid): a TraceSet that holds one trace.
    path
        Where to; an older file there is replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ValueError
        Another ending, or more than one trace.
    TypeError
        The thing has no picture, or no table.
    RenderError
        A PNG is asked for, and nothing that makes one is installed.

    Notes
    -----
    Pictures are those that stand in for a view where no script runs: written by Python, without a browser.  PNG needs
    ``resvg-py``, a wheel without dependencies (``pip install 'tracekit-notebook[png]'``); it is drawn at twice the
    size.  In a CSV, text that a spreadsheet would run as a formula begins with an apostrophe; times are in UTC.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> export(pd.DataFrame({"service_name": ["=1+1"], "p95_ns": [5]}), folder / "latency.csv").read_text()
    "service_name,p95_ns\n'=1+1,5\n"
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"expected a file that ends in {', '.join(SUFFIXES)}, found {target.name!r}")
    if suffix in (".md", ".mmd"):
        target.write_text(_trace_text(thing, suffix), encoding="utf-8", errors="replace")
    elif suffix == ".csv":
        target.write_text(_csv(thing), encoding="utf-8", errors="replace", newline="")
    elif suffix == ".svg":
        target.write_text(str(picture_of(thing)), encoding="utf-8", errors="replace")
    else:
        target.write_bytes(_png(picture_of(thing)))
    return target


def _trace_text(thing: Any, suffix: str) -> str:
    """Return the only trace of a set as Markdown or Mermaid."""
    if not isinstance(thing, TraceSet):
        raise TypeError(f"expected a TraceSet for a {suffix} file, found {type(thing).__name__}")
    if len(thing) != 1:
        raise ValueError(f"expected one trace, found {len(thing)}: traces.trace(trace_id) gives one")
    return (markdown if suffix == ".md" else mermaid)(thing, thing.trace_ids[0])


def _csv(thing: Any) -> str:
    """Return a table as CSV without anything that a spreadsheet would run."""
    frame = thing if isinstance(thing, pd.DataFrame) else getattr(thing, "table", None)
    if not isinstance(frame, pd.DataFrame):
        frames = [name for name, value in getattr(thing, "__dict__", {}).items() if isinstance(value, pd.DataFrame)]
        hint = f"; give one of its frames: {', '.join(frames)}" if frames else ""
        raise TypeError(f"expected a DataFrame, or an answer with a table, found {type(thing).__name__}{hint}")
    is_named = any(name is not None for name in frame.index.names)
    named = frame.reset_index(allow_duplicates=True) if is_named or frame.index.nlevels > 1 else frame
    inert = named.copy()
    for k in range(len(named.columns)):
        inert.isetitem(k, _inert(named.iloc[:, k]).array)
    inert.columns = pd.Index([_inert_text(str(name)) for name in named.columns])
    return inert.to_csv(index=False, lineterminator="\n")


def _inert(column: pd.Series) -> pd.Series:
    """Return a column whose texts are no formulas."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return column
    return column.astype(object).map(lambda value: _inert_text(value) if isinstance(value, str) else value)


def _inert_text(text: str) -> str:
    """Return a text behind an apostrophe where it would be a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _png(picture: Markup) -> bytes:
    """Return a picture as PNG."""
    try:
        import resvg_py  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise RenderError(
            "expected resvg-py for a .png file, found none installed: pip install 'tracekit-notebook[png]',"
            " or write a .svg, which needs nothing"
        ) from error
    return bytes(resvg_py.svg_to_bytes(svg_string=str(picture), zoom=_SHARP))
