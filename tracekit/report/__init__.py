"""One offline HTML file: what a set of traces shows, readable when the traces have expired.

``page`` fills and writes the file.  What an author puts into it: ``outline`` has the order, ``chapters`` and ``parts``
what becomes of each part, ``prose`` and ``frame_table`` text and tables.  The standard sections of a set of traces:
``overview`` holds the results, ``headlines`` and ``changes`` the first sentences, ``standard`` the sections, which are
``changed``, ``waiting``, ``reading``, ``services``, ``failures`` and ``slowest``; ``tables`` their cells, ``code`` the
calls that give them again.  ``policy`` is what keeps the file safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.report.outline import section

if TYPE_CHECKING:
    import os
    from datetime import datetime
    from pathlib import Path

    from tracekit.traces import TraceSet

__all__ = ["report", "section"]


def report(
    sections: Any,
    path: str | os.PathLike[str],
    *,
    baseline: TraceSet | None = None,
    title: str | None = None,
    generated: datetime | None = None,
) -> Path:
    """Write what traces show into one HTML file that needs no network.

    Parameters
    ----------
    sections
        A TraceSet, also an empty one: the standard report.  Or a list of what the page holds, in this order:

        * ``tk.section(title, *parts, code=...)``: parts under a heading, with the calls behind them at a click;
        * text: plain paragraphs, ``- `` begins an item of a list, backticks hold code, the id of a trace whose
          waterfall is in the page leads there; text before the first section is the introduction;
        * a DataFrame or Series: a table that can be sorted, searched and downloaded, its first 2,000 rows;
        * a result of an analysis: its view, and its table; findings: sentence, remedy and call of each;
        * what ``plot`` and ``waterfall`` return, and any plotly figure: live, and a still picture on paper;
        * one TraceSet: the standard sections in its place, their findings after the introduction.

        Nothing is changed.
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
    TypeError
        If a part is nothing that a page can show; the message says which, and what can be shown.
    ValueError
        If there are two TraceSets, a baseline and none, or a figure that is drawn from the network.

    Notes
    -----
    A page with plotly figures is 2 MB larger: plotly.js is in it once, packed, and is unpacked when a chart comes near.

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
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parts = ["It was slow.", section("Who waited", frame)]
    ...     page = report(parts, f"{folder}/postmortem.html", title="Postmortem").read_text()
    >>> '<a href="#who-waited">Who waited</a>' in page
    True
    """
    from tracekit.report.page import write  # noqa: PLC0415 - jinja2 and the views: not until a report is asked for

    return write(sections, path, baseline=baseline, title=title, generated=generated)
