"""Waterfalls of one trace, or of two compared: rows, payload, labels, static image and widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.arguments import check_traces, is_store
from tracekit.views.waterfall.rows import in_hand, named_trace
from tracekit.weights.comparability import SIDES

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.traces import TraceSet
    from tracekit.views.waterfall.rows import Named

__all__ = ["waterfall"]


def waterfall(
    traces: TraceSet | TraceStore,
    trace_id: Named,
    *,
    path: CriticalPath | None = None,
    compare: str | TraceSet | tuple[TraceSet | TraceStore, str] | None = None,
    skew: ClockSkew | tuple[ClockSkew, ClockSkew] | None = None,
    names: tuple[str, str] = SIDES,
    height: int = 480,
) -> Any:
    """Draw one trace as an interactive waterfall for a notebook.

    Parameters
    ----------
    traces
        The set of traces that contains it, or a store, of which only this trace is read.
    trace_id
        Trace id, a unique prefix of it, or a row of a result or a finding with a trace id.
    path
        Critical path of these traces, to be drawn over the bars, with the share of each span.
    compare
        Baseline, aligned by call path: another trace of the same set, a trace of another set
        (``(before, trace_id)``), or another set, from which the trace of median duration with the same root is used.
        Of a store the trace has to be named.
    skew
        Clock skew of these traces (default: the one used for ``path``).  A comparison of two sets needs a pair,
        ``(clock_skew(traces), clock_skew(before))``.  Recorded times are drawn; a toggle corrects the skew.
    names
        Names of the two sides of a comparison, such as ``("1.4.0", "1.5.0")``; the first one is that of ``compare``.
    height
        Height of the view in pixels.

    Returns
    -------
    anywidget.AnyWidget
        ``selected`` (traitlet) is the id of the selected span, empty for none, and can be set; ``span`` is its row of
        ``traces.spans``.  ``value`` (traitlet) is the visible time range in ns since the epoch, None for the whole
        trace.  All are known in Python after ``live()``; otherwise the view is displayed in a frame that needs no
        kernel and embeds attributes of up to 20,000 spans.  If not all rows fit, the view opens where the longest
        stretch of the critical path is visible.  An empty set is shown as such.

    Raises
    ------
    ValueError
        If the id matches no trace or several (the message lists the nearest ids), the height is not positive, the
        path or the skew belongs to other traces, there is no trace to compare with, a store is to be compared with
        without an id, or there are not two different names.
    TypeError
        If ``trace_id`` does not identify a trace.

    Examples
    --------
    >>> tk.waterfall(shop, "c3")
    Waterfall(trace c3c0de00000000000000000000000000, 6 spans, 400 ms)
    """
    check_traces(traces, "waterfall")
    if height <= 0:
        raise ValueError(f"expected a height in pixels above 0, found {height}")
    from tracekit.views.waterfall.widget import WaterfallWidget  # noqa: PLC0415 - anywidget loads slowly

    name, _ = named_trace(trace_id)
    if is_store(compare):
        raise ValueError("expected the trace of a store to compare with, as (store, trace_id), found the store")
    if isinstance(compare, tuple):
        compare = in_hand(*compare), compare[1]
    shown = in_hand(traces, name, *([compare] if isinstance(compare, str) else []))
    return WaterfallWidget.of(shown, trace_id, path=path, compare=compare, skew=skew, names=names, height=height)
