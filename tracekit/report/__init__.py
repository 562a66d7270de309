"""Reports: one self-contained HTML file, readable offline and after the traces have expired.

``page`` renders and writes the file.  Custom sections: ``sections`` (order), ``chapters`` and ``parts`` (content),
``prose``, ``markdown``, ``frame_table``, ``html_table`` and ``pictures`` (text, tables and images).  Standard
sections of a set of traces: ``standard``, ``contents`` (for the template), ``shown_traces``, ``printed_code``,
``traffic`` and ``stores`` (what is read together), made by ``latency_change``, ``critical_path``, ``input_data``,
``services``, ``failures``, ``goals``, ``logs`` and ``slowest``; ``tables`` (cells); ``sides``: the periods compared.
``policy``: security.  ``postmortem``, ``postmortem_markdown``: postmortems as pages and as Markdown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from tracekit.analysis.cost.prices import Price
    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.redaction.policy import Policy
    from tracekit.traces import TraceSet


def report(
    sections: Any,
    path: str | os.PathLike[str],
    *,
    baseline: TraceSet | TraceStore | None = None,
    split: Any = None,
    period: tuple[Any, Any] | None = None,
    baseline_period: tuple[Any, Any] | None = None,
    logs: Any = None,
    slo: float | Mapping[str, Any] | None = None,
    prices: Sequence[Price | str] | None = None,
    title: str | None = None,
    generated: datetime | None = None,
    redact: Policy | str | Path | Mapping[str, Any] | None = "default",
    embed: bool = False,
) -> Path:
    """Write a report into one self-contained HTML file.

    Parameters
    ----------
    sections
        A TraceSet (may be empty): the standard report.  A TraceStore: the same made from its parts.  Or a list with the
        content of the page, in order:

        * ``tk.section(title, *parts, code=...)``: parts under a heading, with the code that reproduces them;
        * text: plain paragraphs, ``- `` starts a list item, backticks enclose code, a trace id links to its waterfall
          if the page has one; text before the first section is the introduction;
        * ``tk.md(...)``: text in Markdown;
        * a DataFrame or Series: a table that can be sorted, filtered and downloaded, limited to 2,000 rows;
        * a pandas Styler, and any object that a notebook shows as an HTML table: its cells as text, with colours;
        * a matplotlib figure, an image (``IPython.display.Image`` or ``SVG``, PIL), or the ``pathlib.Path`` of one;
        * a result of an analysis: its view and its table; findings: headline, remedy and code of each;
        * what ``plot`` and ``waterfall`` return, and any plotly figure: interactive, and as a static image in print;
        * one TraceSet: the standard sections in its place, their findings after the introduction;
          for a single trace, its waterfall comes before the findings.

        Inputs are not modified.
    path
        Path of the file; an existing file is replaced atomically.
    baseline
        Earlier traces of the same system, or a store of them: the first screen then lists what changed, by how much and
        for whom, with an exemplar trace, and a section shows the suspects, what sets affected requests apart, and
        changed shapes.  Where either side is a store, suspects and changed shapes are tables.
    split
        For one recording with good and bad minutes: a time, as ``TraceSet.between`` takes it; the traces before it are
        the baseline of those from it on.
    period, baseline_period
        (start, end) of the traces that the report is about, and of the baseline (of ``baseline``, else of the same
        traces); None as a start or end is no limit.
    logs
        Log lines of the traces and of the baseline, any source of ``tk.logs``: a finding on new lines in failing
        requests, and a section with the templates of failing requests, if there are any.  PII and secrets in them are
        masked.
    slo
        Objective, such as 0.999, or arguments of ``tk.slo``, such as ``{"objective": 0.999, "latency_ms": 300}``: adds
        a section on the error budget.
    prices
        Price table of ``tk.cost``: adds a section on what requests cost, unless they cost nothing.
    title
        Title of the page (default: the names of the sources).
    generated
        Time shown in the footer.  Without it, the same traces and options produce the same bytes; if other datasets
        were drawn before in the same session, services may have other colours.

    redact
        What becomes of personal data and secrets (``TraceSet.redact``), in the traces, the baseline, log messages and
        all parts; the footer says what was removed.  None writes everything, and the footer says so.  Of a store, the
        traces that are shown are redacted as those of a TraceSet, and the texts of tables and findings by pattern.
    embed
        Whether the page contains the spans, and the other inputs of its claims, as they may leave: ``tk.verify(path)``
        then needs nothing else.  The page names an objective or prices that have a mask or a function, which cannot be.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    RenderError
        If the folder does not exist, or the path is a folder; more than 25 MB of spans to embed.  If the finished page
        contains a value that was removed, such as in an image; nothing is written then.
    TypeError
        If a part cannot be shown; the message names it and lists what can be shown.
    ValueError
        If there are two TraceSets, a baseline or a goal without a TraceSet, a period without traces or outside the
        recording, arguments that ``tk.slo`` or ``tk.cost`` refuse, a policy that cannot be used, or a figure that loads
        data from the network.

    Notes
    -----
    A page with plotly figures is 2 MB larger, because it contains plotly.js (compressed).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = tk.report(shop, f"{folder}/shop.html", title="Shop").read_text()
    >>> page.count("<title>Shop</title>")
    1
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parts = ["It was slow.", tk.section("Affected requests", shop.summary)]
    ...     page = tk.report(parts, f"{folder}/postmortem.html", title="Postmortem").read_text()
    >>> page.count('<a href="#affected-requests">Affected requests</a>')
    1

    One recording, compared with its own first seconds:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = tk.report(shop, f"{folder}/split.html", split="12:00:02").read_text()
    >>> page.count("compared with before")
    3

    Of a store, which is read part by part:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = tk.open(shop.save(f"{folder}/shop.parquet"))
    ...     page = tk.report(store, f"{folder}/store.html").read_text()
    >>> page.count("root spans of 5 traces")
    1
    """
    from tracekit.report.inputs import Inputs  # noqa: PLC0415 - the analyses load slowly
    from tracekit.report.page import write  # noqa: PLC0415 - jinja2 and the views load slowly
    from tracekit.report.redaction import Outgoing  # noqa: PLC0415 - likewise

    given = {"split": split, "period": period, "baseline_period": baseline_period}
    outgoing = Outgoing.of(redact)
    inputs = Inputs.of(logs=logs, slo=slo, prices=prices)
    more: dict[str, Any] = {"inputs": inputs, "title": title, "generated": generated, "outgoing": outgoing}
    more["embed"] = embed
    return write(sections, path, baseline=baseline, periods=given, **more)
