"""The critical path: who did the user wait for, to the nanosecond.

A request waits for whatever ends last, and that in turn for what ended last before it could begin.  Following this
backwards from the end of a request to its start gives every nanosecond of it to exactly one span: its own time on the
path.  Own time is work or waiting that was not traced further.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.clock_skew.alignment import moved_by, offsets_for, without_overlaps
from tracekit.analysis.critical_path.build_tree import build_tree
from tracekit.analysis.critical_path.result import CriticalPath
from tracekit.analysis.critical_path.support import without_contradicted
from tracekit.analysis.critical_path.tree import in_a_row, walks

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.analysis.critical_path.tree import PathTree, Scope
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


def critical_path(
    traces: TraceSet,
    *,
    scope: Scope = "root",
    overflow: str = "auto",
    skew: str | ClockSkew = "auto",
    tolerance: float | None = None,
    follows_from: str = "async",
    touching: bool = True,
    causal: str | None = None,
) -> CriticalPath:
    """Return what every request waited for, from its end back to its start.

    Parameters
    ----------
    traces
        Any traces; unchanged.
    scope
        What a request is: ``"root"``, the span that ``traces.summary["root_row"]`` names (the earliest root span, in a
        trace without one the earliest orphan span); ``"roots"``, every root by itself; ``"trace"``, the whole trace
        from the first start to the last end of its roots, time without any as ``(no span)``; or a condition over
        columns of ``spans``, a mask or a callable: every outermost matching span.
    overflow
        Children that end after their parent.  ``"auto"``: in the same process, and by more than 2 us and 1 % of the
        parent, nobody waited for them; elsewhere they are clipped.  Processes differ by service, instance, pod,
        container or host; a SERVER span under a CLIENT span is of another one.  ``"clip"``: always clipped.
        ``"exclude"``: nobody waited for them.
    skew
        ``"auto"``: clocks that the calls of neighbouring traces prove to be apart are corrected for this answer, see
        ``clock_skew``; ``.offsets`` and ``.issues`` report by how much.  ``"off"``: times are used as recorded.  Or
        what ``clock_skew`` returned.
    tolerance
        By what share of their parent siblings on different clocks may overlap and still follow each other; the earlier
        is cut.  None: by 1 %, and by no more than their clocks may still be off after they were put right; none where
        no clock was moved.
    follows_from
        ``"async"``: nobody waits for a FOLLOWS_FROM child; ``"blocking"``: as for any child.
    touching
        Whether a sibling that ends at the very instant another begins was waited for.
    causal
        ``"strict"``: a sibling is taken to have waited for another only if no trace contradicts it; see ``support``.
        What is not explained then is the parent's own time, and ``unexplained_ns``.  None: order is taken for cause.

    Returns
    -------
    CriticalPath
        ``.spans``, ``.segments``, ``.traces``, ``.issues``, all in exact integer nanoseconds.

    Raises
    ------
    ValueError
        An option that is none, a mask of the wrong length, or the clock skew of other traces.
    FilterError
        A condition that does not parse.

    Notes
    -----
    A span counts as far as it lies within all its ancestors.  Nobody waits for a CONSUMER under a PRODUCER, nor for a
    SERVER under a CLIENT that sends a message, as X-Ray records it (see ``messages.message_spans``).  Spans that name a
    parent nobody sent hang under a ``(missing)`` node as long as they are, below the trace's only root.  Rows that a
    backend inferred are left out: that wait is the caller's own.  Whether two calls that did not overlap depend on each
    other cannot be told from one trace: they are taken to.

    Requests that are not finished have no latency: those whose root is in progress, has no start or no end, or ends
    before it starts (``scope="trace"``: any of its roots).  They are left out; ``.unfinished_count`` and ``.issues``
    count them.  The latency of the others is ``traces.summary["root_duration_ns"]``.  A span without an end inside a
    finished request counts as far as it is known to have run: up to the end of the last span below it that was waited
    for, and what its caller waits beyond that is the caller's self time.  Such requests are ``is_partial``, by the same
    rule as ``traces.summary["partial"]``.  A span below the root that ends before it starts counts as an instant.

    The rules are those of jaeger-ui (Apache-2.0) and of CRISP (Zhang et al., USENIX ATC 2022), and differ from theirs,
    from Kibana's and from the coralogix processor's of the OpenTelemetry collector in these points, on purpose:

    =========================  ============================================  ===========================================
    where                      others                                        here, and what does otherwise
    =========================  ============================================  ===========================================
    siblings that touch        jaeger-ui, coralogix: the earlier is lost     one follows the other; touching=False
    siblings that overlap      CRISP: both, up to 1 %, counted twice         between clocks only, cut; tolerance=0.01
    child outlives its parent  all but Kibana: clipped; Kibana: left out     left out in one process, else clipped
    child covers its parent    CRISP: dropped with all below                 clipped
    equal ends                 CRISP: last listed; coralogix: shortest       the longest, then the first row
    instants                   jaeger-ui, CRISP: split what they touch       get no time and break nothing
    FOLLOWS_FROM               jaeger-ui: as any child; CRISP: cut off       nobody waits; follows_from="blocking"
    consumer below producer    CRISP, coralogix: on the path                 nobody waits, as in jaeger-ui
    parent not there           jaeger-ui: empty path; CRISP: rejected        a (missing) node; see is_partial
    several roots              jaeger-ui: each; CRISP, Kibana: one           the earliest; scope="roots", scope="trace"
    cycles                     jaeger-ui: absent; CRISP: never returns       cut at the earliest span, and told
    clocks apart               jaeger-ui: as they are; CRISP: lengths        put right, and told; skew="off"
    sum of own times           CRISP, Kibana: not the latency                the latency, exactly
    =========================  ============================================  ===========================================

    ``CriticalPath.marks`` compares span by span with what such a processor wrote.

    Examples
    --------
    The ledger ends last, so the cart, which overlaps it, is not what the shop waited for:

    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> shop = TraceSet.from_spans(
    ...     pd.DataFrame(
    ...         {
    ...             "trace_id": "a1",
    ...             "span_id": ["1", "2", "3"],
    ...             "parent_span_id": [None, "1", "1"],
    ...             "service_name": ["shop", "cart", "ledger"],
    ...             "name": ["POST /pay", "lock", "charge"],
    ...             "start_ns": [0, 10, 30],
    ...             "end_ns": [100, 40, 90],
    ...         }
    ...     )
    ... )
    >>> critical_path(shop).spans["path_time_ns"].tolist()
    [40, 0, 60]
    """
    if tolerance is not None and not 0 <= tolerance < 1:
        raise ValueError(f"expected a tolerance from 0 to less than 1, a share of the parent, found {tolerance}")
    if tolerance and not touching:
        raise ValueError(f"expected touching=True with a tolerance, found touching=False and tolerance={tolerance}")
    if causal not in (None, "strict"):
        raise ValueError(f"expected causal to be 'strict' or None, found {causal!r}")
    offsets = offsets_for(traces, skew)
    moved = moved_by(traces, offsets)
    tree = build_tree(traces, scope=scope, overflow=overflow, follows_from=follows_from, offset_ns=moved)
    tree, cut = without_overlaps(traces, tree, offsets, tolerance if touching else 0.0)
    path = CriticalPath(traces, tree, *_walked(traces, tree, touching=touching), touching, offsets, cut)
    if causal is None:
        return path
    tree = without_contradicted(path)
    return CriticalPath(traces, tree, *_walked(traces, tree, touching=touching), touching, offsets, cut)


def _walked(traces: TraceSet, tree: PathTree, *, touching: bool) -> tuple[Array, Array, Array]:
    """Return own time, total time and presence on the path of every node."""
    own, total, on_path = np.zeros(len(tree), np.int64), np.zeros(len(tree), np.int64), np.zeros(len(tree), bool)
    for nodes, rows in walks(traces, tree, touching=touching):
        at = in_a_row(nodes)
        own[at], on_path[at] = rows.own_ns, rows.on_path
        total[at] = np.where(rows.on_path, rows.windows.end - rows.windows.start, 0)
    return own, total, on_path
