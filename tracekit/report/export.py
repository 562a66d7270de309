"""Export to files: images, tables, and a trace for an incident document."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from tracekit.errors import RenderError
from tracekit.report.page import write
from tracekit.report.redaction import Outgoing
from tracekit.traces import TraceSet
from tracekit.views.bundle import picture_of
from tracekit.views.export_trace import markdown, mermaid

SUFFIXES: Final = (".html", ".svg", ".png", ".csv", ".md", ".mmd")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_SHARP: Final = 2.0


def export(view: Any, path: str | Path, *, redact: Any = "default") -> Path:
    r"""Write a view, a table or a trace to a file, in the format of its suffix.

    Parameters
    ----------
    view
        ``.html``: anything that ``report`` accepts as a part, as a page of its own, interactive and offline;
        ``.svg`` and ``.png``: a return value of ``plot`` or ``waterfall``, or a result with a view; ``.csv``: a
        DataFrame, or a result with a ``table``; ``.md`` and ``.mmd`` (Mermaid): a TraceSet with one trace.
    path
        Path of the file; an existing file is replaced.
    redact
        What becomes of personal data and secrets, as for ``TraceSet.redact``; a warning says what was removed, in a
        page its footer.  None writes everything.  In tables and views, what only the key of an attribute tells is
        removed where their traces are known: pass results of ``traces.redact()`` to be sure.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ValueError
        If the suffix is unknown, there is not exactly one trace, or the policy cannot be used.
    TypeError
        If there is no view, image or table to write.
    RenderError
        If the folder of a page does not exist, or ``resvg-py`` is not installed, for a PNG.  If what would be written
        contains a value that was removed; nothing is written then.

    Notes
    -----
    Images are static and written by Python, without a browser.  PNG requires ``resvg-py``, a wheel without dependencies
    (``pip install 'tracekit-notebook[png]'``), and has twice the size in pixels.  In a CSV, text that a spreadsheet
    would evaluate as a formula is prefixed with an apostrophe; times are in UTC.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> tk.export(pd.DataFrame({"service_name": ["=1+1"], "p95_ns": [5]}), folder / "latency.csv").read_text()
    "service_name,p95_ns\n'=1+1,5\n"
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"expected a file name with suffix {', '.join(SUFFIXES)}, found {target.name!r}")
    outgoing = Outgoing.of(redact)
    if suffix == ".html":
        return write([view], target, outgoing=outgoing)
    if outgoing is not None:
        outgoing.learn(view)
    made = _text(view, suffix, outgoing).encode("utf-8", "replace")
    if outgoing is not None:
        outgoing.check(made, target.name)
        outgoing.say(target)
    target.write_bytes(_png(made.decode("utf-8")) if suffix == ".png" else made)
    return target


def _text(view: Any, suffix: str, outgoing: Outgoing | None) -> str:
    """Return a file as text, of a PNG the picture that it is made of."""
    if suffix in (".md", ".mmd"):
        return _trace_text(view if outgoing is None else outgoing.set_of(view), suffix)
    if suffix == ".csv":
        return _csv(view, outgoing)
    picture = picture_of(view)
    return picture if outgoing is None else outgoing.markup(picture)


def _trace_text(traces: Any, suffix: str) -> str:
    """Return a set of one trace as Markdown or Mermaid."""
    if not isinstance(traces, TraceSet):
        raise TypeError(f"expected a TraceSet for a {suffix} file, found {type(traces).__name__}")
    if len(traces) != 1:
        raise ValueError(f"expected one trace, found {len(traces)}: use traces.trace(trace_id)")
    return (markdown if suffix == ".md" else mermaid)(traces, traces.trace_ids[0], redact=None)  # as it may leave


def _csv(table: Any, outgoing: Outgoing | None) -> str:
    """Return a table as CSV without texts that a spreadsheet would evaluate."""
    frame = table if isinstance(table, pd.DataFrame) else getattr(table, "table", None)
    if not isinstance(frame, pd.DataFrame):
        frames = [name for name, value in getattr(table, "__dict__", {}).items() if isinstance(value, pd.DataFrame)]
        hint = f"; pass one of its frames: {', '.join(frames)}" if frames else ""
        raise TypeError(f"expected a DataFrame or a result with a table, found {type(table).__name__}{hint}")
    frame = frame if outgoing is None else outgoing.frame(frame)
    is_named = any(name is not None for name in frame.index.names)
    named = frame.reset_index(allow_duplicates=True) if is_named or frame.index.nlevels > 1 else frame
    escaped = named.copy()
    for k in range(len(named.columns)):
        escaped.isetitem(k, _escaped(named.iloc[:, k]).array)
    escaped.columns = pd.Index([_escaped_text(str(name)) for name in named.columns])
    return escaped.to_csv(index=False, lineterminator="\n")


def _escaped(column: pd.Series) -> pd.Series:
    """Return a column with escaped formulas."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return column
    return column.astype(object).map(lambda value: _escaped_text(value) if isinstance(value, str) else value)


def _escaped_text(text: str) -> str:
    """Return a text prefixed with an apostrophe if it would be a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _png(picture: str) -> bytes:
    """Return an image as PNG."""
    try:
        import resvg_py  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise RenderError(
            "expected resvg-py to be installed for a .png file, found no module: pip install 'tracekit-notebook[png]',"
            " or write a .svg instead"
        ) from error
    return bytes(resvg_py.svg_to_bytes(svg_string=picture, zoom=_SHARP))
