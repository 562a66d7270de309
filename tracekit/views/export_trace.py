"""A trace as text for an incident document: Markdown, and a Mermaid chart.

Names are formatted as code, so that renderers do not turn them into links, mentions or markup.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.arguments import check_traces
from tracekit.redaction import STANDARD
from tracekit.redaction.policy import policy_of
from tracekit.text import clean, duration, moment, plural
from tracekit.views.waterfall.labels import end_of, names_of, time_words
from tracekit.views.waterfall.payload import Flag, trace_payload
from tracekit.views.waterfall.rows import in_hand

if TYPE_CHECKING:
    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.traces import TraceSet
    from tracekit.views.tkw1 import Payload

ROWS: Final = 40
_BAR: Final = 40
_NAME: Final = 60
_FINE: Final = 10_000_000  # ns
_PLAIN: Final = re.compile(r"[^\w ./(){}\[\]*,+=-]")  # other characters may be Mermaid syntax


def mermaid(traces: TraceSet | TraceStore, trace_id: str, *, redact: Any = STANDARD) -> str:
    """Return one trace as a Mermaid gantt chart.

    Parameters
    ----------
    traces, trace_id
        See ``waterfall``.
    redact
        What becomes of personal data and secrets, as for ``TraceSet.redact``; None keeps everything.  Of a store, what
        is personal is found in this trace alone.

    Returns
    -------
    str
        At most 40 spans: upper levels first, then by duration; the title has the total.  The axis is in milliseconds
        from the start of the trace, in microseconds below 10 ms; error spans are marked as critical.

    Raises
    ------
    ValueError
        If the id matches no trace or several; the message lists the nearest ids.  A policy that cannot be used.

    Examples
    --------
    >>> print(tk.mermaid(shop, "a1"), end="")
    gantt
        title Trace a1c0de00000000000000000000000000 in ms, 3 spans
        dateFormat x
        axisFormat %s
        section shop
        40.0 ms GET /cart :s0, 0, 40000
        30.0 ms GET :s1, 5000, 35000
        section cart
        20.0 ms GET /items :s2, 10000, 30000
    """
    check_traces(traces, "mermaid")
    traces = _leaving(in_hand(traces, trace_id), redact)
    payload = trace_payload(traces, trace_id, with_details=False)
    rows, total = _rows(payload), len(payload.columns["start"])
    shown = f"{len(rows)} of {plural(total, 'span')}" if len(rows) < total else plural(total, "span")
    unit, tick = (
        ("ms", 1e3) if end_of(payload) >= _FINE else ("µs", 1.0)
    )  # Mermaid counts milliseconds, shown as seconds
    lines = [
        "gantt",
        f"    title Trace {payload.meta['id']} in {unit}, {shown}",
        "    dateFormat x",
        "    axisFormat %s",
    ]
    section = None
    for row in rows:
        service, name = _names(payload, row)
        if service != section:
            lines.append(f"    section {_escaped(service) or '-'}")
            section = service
        start = round(float(payload.columns["start"][row]) / tick)
        end = start + max(1, round(max(0.0, float(payload.columns["dur"][row])) / tick))
        mark = "crit, " if _is_error(payload, row) else ""
        lines.append(f"    {time_words(payload, row)} {_escaped(name)} :{mark}s{row}, {start}, {end}")
    return "\n".join(lines) + "\n"


def markdown(traces: TraceSet | TraceStore, trace_id: str, *, redact: Any = STANDARD) -> str:
    """Return one trace as Markdown.

    Parameters
    ----------
    traces, trace_id
        See ``waterfall``.
    redact
        What becomes of personal data and secrets, as for ``TraceSet.redact``; None keeps everything.

    Returns
    -------
    str
        A summary, a waterfall in text (at most 40 spans: upper levels first, then by duration), and the errors.

    Raises
    ------
    ValueError
        If the id matches no trace or several; the message lists the nearest ids.  A policy that cannot be used.

    Examples
    --------
    >>> print(tk.markdown(shop, "a1"), end="")
    ## Trace `a1c0de00000000000000000000000000`
    <BLANKLINE>
    | | |
    |---|---|
    | root | `shop` `GET /cart` |
    | start | 2026-01-01 12:00:00.000 UTC |
    | duration | 40.0 ms |
    | spans | 3 spans in 2 services |
    | errors | 0 error spans |
    <BLANKLINE>
    ```text
    shop GET /cart        40.0 ms  |████████████████████████████████████████|
      shop GET            30.0 ms  |     ██████████████████████████████     |
        cart GET /items   20.0 ms  |          ████████████████████          |
    ```
    """
    check_traces(traces, "markdown")
    traces = _leaving(in_hand(traces, trace_id), redact)
    payload = trace_payload(traces, trace_id, with_details=False)
    one = traces.trace(payload.meta["id"])
    facts = one.summary.iloc[0]
    start = "unknown" if pd.isna(facts["start_ns"]) else f"{moment(int(facts['start_ns']), decimals=3)} UTC"
    head = [
        f"## Trace {_code(payload.meta['id'])}",
        "",
        "| | |",
        "|---|---|",
        f"| root | {' '.join(_code(clean(facts[name], limit=_NAME)) for name in ('root_service_name', 'root_name'))} |",
        f"| start | {start} |",
        f"| duration | {duration(end_of(payload))} |",
        f"| spans | {plural(int(facts['span_count']), 'span')} in {plural(int(facts['service_count']), 'service')} |",
        f"| errors | {plural(int(facts['error_count']), 'error span')} |",
        "",
    ]
    return "\n".join([*head, *_text_waterfall(payload), *_errors(one)]) + "\n"


def _leaving(traces: TraceSet, redact: Any) -> TraceSet:
    """Return traces as they may leave: values that one trace tells are personal are so in the others, too."""
    policy = policy_of(redact)
    return traces if policy is None else traces.redact(policy)


def _rows(payload: Payload) -> list[int]:
    """Return the shown rows in order."""
    columns = payload.columns
    order = np.lexsort((-columns["dur"], columns["depth"]))[:ROWS]
    return [int(row) for row in np.sort(order)]


def _names(payload: Payload, row: int) -> tuple[str, str]:
    """Return the truncated service and operation of a row."""
    service, name = (clean(text, limit=_NAME) for text in names_of(payload, row))
    return service, name


def _is_error(payload: Payload, row: int) -> bool:
    """Return whether a row is an error span."""
    return Flag.ERROR in Flag(int(payload.columns["flags"][row]))


def _escaped(text: str) -> str:
    """Return a text with possible Mermaid syntax replaced by entities."""
    return _PLAIN.sub(lambda found: f"#{ord(found[0])};", text)


def _text_waterfall(payload: Payload) -> list[str]:
    """Return the rows as lines of a code block: names, duration, and a bar of up to 40 characters."""
    rows, end = _rows(payload), end_of(payload)
    labels = [_label(payload, row) for row in rows]
    wide = max(map(len, labels), default=0)
    lines = []
    for row, label in zip(rows, labels, strict=True):
        start = min(_BAR - 1, int(float(payload.columns["start"][row]) / end * _BAR))
        length = max(1, round(max(0.0, float(payload.columns["dur"][row])) / end * _BAR))
        bar = (" " * start + "█" * min(length, _BAR - start)).ljust(_BAR)
        lines.append(f"{label.ljust(wide)}  {time_words(payload, row):>8}  |{bar}|")
    total = len(payload.columns["start"])
    if len(rows) < total:
        lines.append(f"{len(rows)} of {total} spans: upper levels first, then by duration")
    fence = "`" * max(3, 1 + _longest_run("\n".join(lines)))
    return [f"{fence}text", *lines, fence]


def _label(payload: Payload, row: int) -> str:
    """Return service and operation of a row, indented by depth, with a mark for errors."""
    service, name = _names(payload, row)
    indent = "  " * min(int(payload.columns["depth"][row]), 12)
    return f"{indent}{'! ' if _is_error(payload, row) else ''}{service} {name}"


def _errors(one: TraceSet) -> list[str]:
    """Return the error spans as a list, deepest first, where errors usually originate."""
    spans = one.spans
    failed = spans[spans["is_error"]].sort_values("depth", ascending=False, kind="stable").head(10)
    lines = []
    for row in failed.to_dict("records"):
        message = next(
            (str(row[c]) for c in ("exception_message", "status_message", "error_type") if _is_text(row[c])), ""
        )
        words = f": {_code(clean(message, limit=200))}" if message else ""
        names = " ".join(_code(clean(row[column], limit=_NAME)) for column in ("service_name", "name"))
        lines.append(f"- {names}{words}")
    return ["", "### Errors", "", *lines] if lines else []


def _is_text(value: Any) -> bool:
    """Return whether a value is a non-empty string."""
    return isinstance(value, str) and bool(value)


def _code(text: str) -> str:
    """Return a text as inline code, fenced by more backticks than it contains, with escaped table bars."""
    fence = "`" * (1 + _longest_run(text))
    room = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{room}{text}{room}{fence}".replace("|", "\\|")


def _longest_run(text: str) -> int:
    """Return the length of the longest run of backticks."""
    return max(map(len, re.findall("`+", text)), default=0)
