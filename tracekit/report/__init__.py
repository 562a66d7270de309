"""One offline HTML file: what a set of traces shows, readable when the traces have expired.

``page`` fills and writes the file; ``overview`` holds the results, ``headlines`` and ``changes`` the first sentences,
``changed``, ``waiting``, ``reading``, ``services``, ``failures`` and ``slowest`` the sections, ``tables`` their cells,
``code`` the calls that give them again, ``policy`` what keeps the file safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from datetime import datetime
    from pathlib import Path

    from tracekit.traces import TraceSet

__all__ = ["report"]


def report(
    traces: TraceSet,
    path: str | os.PathLike[str],
    *,
    baseline: TraceSet | None = None,
    title: str | None = None,
    generated: datetime | None = None,
) -> Path:
    """Write what a set of traces shows into one HTML file that needs no network.

    Parameters
    ----------
    traces
        Any set, also an empty one; unchanged.
    path
        Where the file goes; an older one is replaced once the new one is whole.
    baseline
        Earlier traces of the same system: the first screen then says what changed, by how much, and which trace shows
        it.
    title
        Of the page; the names of the sources unless given.
    generated
        Printed at the end if given.  Without it the file holds no clock: the same traces and options give the same
        bytes.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    RenderError
        If the folder does not exist, or the path is a folder.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "GET /", "start_ns": 0, "end_ns": 5000})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = report(TraceSet.from_spans(frame), f"{folder}/shop.html", title="Shop").read_text()
    >>> "<title>Shop</title>" in page
    True
    """
    from tracekit.report.page import write  # noqa: PLC0415 - jinja2 and the views: not until a report is asked for

    return write(traces, path, baseline=baseline, title=title, generated=generated)
