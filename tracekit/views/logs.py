"""Log lines: the most frequent templates, and how many of their traces failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.redaction.texts import redacted
from tracekit.text import count, plural
from tracekit.views.charts import bar_rows, chart, empty_state, safe
from tracekit.views.markup import table
from tracekit.views.svg import ERROR, MUTE

if TYPE_CHECKING:
    from tracekit.checks.logs.result import Logs
    from tracekit.views.figures import Chart

_SEVERE: Final = frozenset({"ERROR", "FATAL"})
_AXIS: Final[dict[str, Any]] = {"title": {"text": "log lines"}, "rangemode": "tozero"}


def plot_logs(result: Logs, *, bars: int = 15) -> Chart:
    """Draw the number of lines of the most frequent log templates; with a baseline the new ones first.

    Parameters
    ----------
    result
        Result of ``logs``.
    bars
        Number of templates.

    Returns
    -------
    Chart
        A plotly figure: one bar per service, level and template, errors in red, PII and secrets masked; a note if there
        are no lines.

    Examples
    --------
    >>> frame = pd.DataFrame({"time": shop.spans["start_ns"].head(3), "level": "error", "message": "card 5 declined"})
    >>> drawn = tk.plot(tk.logs(shop, frame, service="shop")).data[0]
    >>> drawn.y, drawn.x
    (('shop ERROR card &lt;n&gt; declined',), (3,))
    """
    shown = result.templates.head(bars)
    if shown.empty:
        return empty_state(chart("Log templates"), "No log lines.")
    texts = redacted([str(text) for text in shown["template"]])
    rows = list(zip(shown.to_dict("records"), texts, strict=True))
    names = [_name(row, text) for row, text in rows]
    labels = _distinct([safe(name) for name in names])
    failed = [f"{count(row['failed_count'])} of {plural(row['trace_count'], 'trace')} failed" for row, _ in rows]
    facts = [(name, count(row["line_count"]), words) for name, (row, _), words in zip(names, rows, failed, strict=True)]
    of = f" (top {len(shown)} of {len(result.templates):,})" if len(result.templates) > len(shown) else ""
    figure = chart(f"Log templates{of}", table=table(("template", "lines", "traces"), facts), **bar_rows(labels, _AXIS))
    figure.add_bar(
        x=shown["line_count"].tolist(),
        y=labels,
        orientation="h",
        marker={"color": [ERROR if row["level"] in _SEVERE else MUTE for row, _ in rows]},
        text=failed,
        textposition="auto",
        hovertemplate="%{y}: %{x:,} lines, %{text}<extra></extra>",
    )
    return figure


def _name(row: dict[Any, Any], text: str) -> str:
    """Return service, level and template, and whether the template is new."""
    parts = [row["service_name"], row["level"], text]
    return "new: " * bool(row.get("is_new")) + " ".join(part for part in parts if isinstance(part, str))


def _distinct(labels: list[str]) -> list[str]:
    """Return labels with a number after those that are repeated: equal ones would share a bar."""
    seen: dict[str, int] = {}
    found = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found
