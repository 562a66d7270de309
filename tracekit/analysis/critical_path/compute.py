"""The critical path of each request: the spans that determined its latency, in exact nanoseconds.

A span waits for the child that ends last, and that child for the sibling that ended last before it began. Walking
backwards from the end of a request to its start attributes every nanosecond to exactly one span: its self time on the
critical path.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack, overload
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np

from tracekit.analysis.critical_path.alignment import moved_by, offsets_for, without_overlaps
from tracekit.analysis.critical_path.result import CriticalPath
from tracekit.analysis.critical_path.stored import StoredPaths
from tracekit.analysis.critical_path.support import without_contradicted
from tracekit.analysis.critical_path.tree import build_tree, in_a_row, walks
from tracekit.analysis.partials import check_on
from tracekit.arguments import check_traces
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.parts import OffsetsById
    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.analysis.critical_path.tree import PathTree, Scope
    from tracekit.columns import Array
    from tracekit.parts import On, Parts

_IN_USE: Final[WeakKeyDictionary[TraceSet, WeakValueDictionary[Any, CriticalPath]]] = WeakKeyDictionary()
"""Critical paths of each set that somebody still has, by settings: several analyses of one set need the same."""


class Options(TypedDict, total=False):
    """The options of ``critical_path``."""

    scope: Scope
    overflow: str
    skew: str | ClockSkew | OffsetsById
    tolerance: float | None
    follows_from: str
    touching: bool
    causal: str | None
    on: On


@overload
def critical_path(traces: TraceSet, **options: Unpack[Options]) -> CriticalPath: ...
@overload
def critical_path(traces: Parts, **options: Unpack[Options]) -> StoredPaths: ...
def critical_path(
    traces: TraceSet | Parts,
    *,
    scope: Scope = "root",
    overflow: str = "auto",
    skew: str | ClockSkew | OffsetsById = "auto",
    tolerance: float | None = None,
    follows_from: str = "async",
    touching: bool = True,
    causal: str | None = None,
    on: On = None,
) -> CriticalPath | StoredPaths:
    """Return the critical path of every request.

    Parameters
    ----------
    traces
        The traces; not modified.  The paths of a store are worked out part by part when a table of them is asked for.
    scope
        What counts as a request: ``"root"``, the span of ``traces.summary["root_row"]`` (the earliest root span, else
        the earliest orphan span); ``"roots"``, every root separately; ``"trace"``, the whole trace from the first start
        to the last end of its roots, with time outside all roots as ``(no span)``; or a condition over columns of
        ``spans``, a mask or a callable: every outermost matching span.
    overflow
        How to treat children that end after their parent. ``"auto"``: asynchronous (excluded) if they run in the same
        process and outlive the parent by more than 2 µs and 1% of its duration, otherwise clipped. Processes differ by
        service, instance, pod, container or host; a SERVER span under a CLIENT span is in another process. ``"clip"``:
        always clipped. ``"exclude"``: always excluded.
    skew
        ``"auto"``: corrects clock skew that the calls of adjacent traces prove (see ``clock_skew``); ``.offsets`` and
        ``.issues`` report the corrections. ``"off"``: timestamps as recorded. Or a result of ``clock_skew``.
    tolerance
        Siblings on different clocks may overlap by this fraction of their parent and still count as sequential; the
        earlier one is shortened. None: 1%, but at most the remaining uncertainty of the corrected clocks; 0 where
        no clock was corrected.
    follows_from
        ``"async"``: FOLLOWS_FROM children are excluded; ``"blocking"``: they are treated as any child.
    touching
        Whether siblings that touch (one ends when the other starts) are treated as sequential.
    causal
        ``"strict"``: a sibling is assumed to wait for another only if no trace contradicts it; see ``support``. Time
        without an explanation is then self time of the parent, also in ``unexplained_ns``. None: consecutive siblings
        are assumed to depend on each other.  Not with a store.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    CriticalPath or StoredPaths
        ``.spans``, ``.segments``, ``.traces``, ``.issues``, in exact integer nanoseconds.  Of a store: ``.by(...)``,
        ``.bands(...)``, ``.compare(...)``, ``.flame()``, ``.what_if(...)``.

    Raises
    ------
    ValueError
        An option is unknown, a mask has the wrong length, ``skew`` is the clock skew of other traces, or ``on`` without
        a store.
    FilterError
        The condition does not parse.

    Notes
    -----
    Spans are clipped to the intervals of all their ancestors. Asynchronous spans are excluded: a CONSUMER under a
    PRODUCER, and a SERVER under a CLIENT that sends a message, as X-Ray records it (see ``messages.message_spans``).
    Orphan spans are placed under a ``(missing)`` node of the same extent, below the trace's root if it has exactly one.
    Spans inferred by a backend are excluded: that wait is self time of the caller. Consecutive calls are assumed to
    depend on each other; a single trace cannot show whether they do.

    Unfinished requests have no latency: the root is in progress, has no start or end, or ends before it starts
    (``scope="trace"``: any of the roots). They are excluded and counted in ``.unfinished_count`` and ``.issues``. The
    latency of the others is ``traces.summary["root_duration_ns"]``. A span without an end in a finished request is
    taken to end with the last of its synchronous descendants; the rest is self time of its caller. Such requests are
    ``is_partial``, by the same rule as ``traces.summary["partial"]``. A span below the root that ends before it starts
    has no duration.

    The rules are those of jaeger-ui (Apache-2.0) and of CRISP (Zhang et al., USENIX ATC 2022), and differ from these,
    from Kibana and from the coralogix processor of the OpenTelemetry collector in the following points:

    =========================  ============================================  ===========================================
    where                      others                                        here, and the option for the other behavior
    =========================  ============================================  ===========================================
    siblings that touch        jaeger-ui, coralogix: the earlier is lost     one follows the other; touching=False
    siblings that overlap      CRISP: both, up to 1%, counted twice          between clocks only, cut; tolerance=0.01
    child outlives its parent  all but Kibana: clipped; Kibana: excluded     excluded in one process, else clipped
    child covers its parent    CRISP: dropped with all below                 clipped
    equal ends                 CRISP: last listed; coralogix: shortest       the longest, then the first row
    zero-duration spans        jaeger-ui, CRISP: split what they touch       no time, no effect on others
    FOLLOWS_FROM               jaeger-ui: as any child; CRISP: cut off       excluded; follows_from="blocking"
    consumer below producer    CRISP, coralogix: on the path                 excluded, as in jaeger-ui
    missing parent             jaeger-ui: empty path; CRISP: rejected        a (missing) node; see is_partial
    several roots              jaeger-ui: each; CRISP, Kibana: one           the earliest; scope="roots", scope="trace"
    cycles                     jaeger-ui: absent; CRISP: never returns       cut at the earliest span, see issues
    clock skew                 jaeger-ui: ignored; CRISP: lengths            corrected, see offsets; skew="off"
    sum of self times          CRISP, Kibana: not the latency                the latency, exactly
    =========================  ============================================  ===========================================

    ``CriticalPath.marks`` compares the path with the attributes that such a processor wrote, span by span.

    Examples
    --------
    >>> path = tk.critical_path(shop)
    >>> path.by("service_name")[["service_name", "path_time_ns"]].to_numpy().tolist()
    [['ledger', 470000000], ['shop', 270000000], ['cart', 20000000]]

    The parts add up to the latency:

    >>> int(path.spans["path_time_ns"].sum()), int(shop.summary["duration_ns"].sum())
    (760000000, 760000000)
    """
    check_traces(traces, "critical_path")
    check_on(on, traces)
    if tolerance is not None and not 0 <= tolerance < 1:
        raise ValueError(f"expected a tolerance of at least 0 and below 1, a fraction of the parent, found {tolerance}")
    if tolerance and not touching:
        raise ValueError(f"expected touching=True with a tolerance, found touching=False and tolerance={tolerance}")
    if causal not in (None, "strict"):
        raise ValueError(f"expected causal to be 'strict' or None, found {causal!r}")
    if not isinstance(traces, TraceSet):
        options = {"scope": scope, "overflow": overflow, "tolerance": tolerance, "follows_from": follows_from}
        return _stored(traces, {**options, "touching": touching}, skew, causal, on)
    settings = (scope, overflow, skew, tolerance, follows_from, touching, causal)
    if not all(isinstance(one, str) for one in (scope, overflow, skew, follows_from)):
        return _path(traces, *settings)
    in_use = _IN_USE.setdefault(traces, WeakValueDictionary())
    found = in_use.get(settings)
    if found is not None:
        return replace(found)  # its frames are those of the caller who has it
    in_use[settings] = path = _path(traces, *settings)
    return path


def _path(
    traces: TraceSet,
    scope: Scope,
    overflow: str,
    skew: str | ClockSkew | OffsetsById,
    tolerance: float | None,
    follows_from: str,
    touching: bool,
    causal: str | None,
) -> CriticalPath:
    """Return the critical paths of a set."""
    offsets = offsets_for(traces, skew)
    moved = moved_by(traces, offsets)
    tree = build_tree(traces, scope=scope, overflow=overflow, follows_from=follows_from, offset_ns=moved)
    tree, cut = without_overlaps(traces, tree, offsets, tolerance if touching else 0.0)
    path = CriticalPath(traces, tree, *_walked(traces, tree, touching=touching), touching, offsets, cut)
    if causal is None:
        return path
    tree = without_contradicted(path)
    return CriticalPath(traces, tree, *_walked(traces, tree, touching=touching), touching, offsets, cut)


def _stored(traces: Parts, options: dict[str, Any], skew: Any, causal: str | None, on: On) -> StoredPaths:
    """Return the paths of a store, which refuse what needs all spans at once."""
    if skew not in {"auto", "off"}:
        raise ValueError(f"expected skew to be 'auto' or 'off' for a store, found {type(skew).__name__}")
    if causal is not None:
        raise ValueError(f"expected causal=None for a store, found {causal!r}; load the traces in question first")
    if not isinstance(options["scope"], str) and not callable(options["scope"]):
        found = type(options["scope"]).__name__
        raise TypeError(f"expected a name, an expression or a callable as the scope for a store, found {found}")
    return StoredPaths(traces, {**options, "skew": skew}, on)


def _walked(traces: TraceSet, tree: PathTree, *, touching: bool) -> tuple[Array, Array, Array]:
    """Return self time and total time on the path, in ns, and whether it is on the path, for every node."""
    own, total, on_path = np.zeros(len(tree), np.int64), np.zeros(len(tree), np.int64), np.zeros(len(tree), bool)
    for nodes, rows in walks(traces, tree, touching=touching):
        at = in_a_row(nodes)
        own[at], on_path[at] = rows.own_ns, rows.on_path
        total[at] = np.where(rows.on_path, rows.windows.end - rows.windows.start, 0)
    return own, total, on_path
