"""The critical paths of many requests, and what can be asked of them."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.path_frames import requests_of, segments_of, slack_of, spans_of
from tracekit.analysis.path_issues import issues_of
from tracekit.analysis.path_shares import BANDS, Bands, bands, shares
from tracekit.analysis.what_if import Rerun, WhatIf, opportunities, what_if

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from tracekit.analysis.path_tree import PathTree
    from tracekit.analysis.what_if import Change, Selector
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


@dataclass(frozen=True, repr=False, eq=False)
class CriticalPath:
    """The critical path of every request.

    Parameters
    ----------
    source
        The traces that it was walked on.
    tree
        Their spans and what was put in for those that are missing; see ``path_tree.PathTree``.
    own_ns
        int64, one a node: own time on the path, 0 off it.
    total_ns
        int64, one a node: time on the path of the node and all below it, 0 off it.
    on_path
        bool, one a node.
    is_touching
        Whether a sibling that ends at the very instant another begins was waited for.

    Examples
    --------
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
    >>> from tracekit.analysis.critical_path import critical_path
    >>> critical_path(shop)
    CriticalPath(1 requests, 100 ns, 2 of 3 spans on the path)
    """

    source: TraceSet
    tree: PathTree
    own_ns: Array
    total_ns: Array
    on_path: Array
    is_touching: bool = True

    @cached_property
    def spans(self) -> pd.DataFrame:
        """One row a span, in the rows of ``traces.spans``, then the nodes put in for missing ones.

        ``trace_id``, ``span_id``, ``service_name``, ``operation``, ``path_time_ns`` (own time; sums to the latency),
        ``path_total_ns`` (with all below it), ``on_path``, ``waiting`` (why nobody waits for it: see ``Waiting``).
        """
        return spans_of(self)

    @cached_property
    def segments(self) -> pd.DataFrame:
        """One row a stretch of own time, by (request, start): ``request``, ``span_row``, ``start_ns``, ``end_ns``.

        The stretches of a request follow each other without a gap from its start to its end.
        """
        return segments_of(self)

    @cached_property
    def request(self) -> Array:
        """int64, one a node: the row in ``traces`` of the request whose tree it is in, -1 outside all of them."""
        root, trace = self.tree.root, self.tree.trace
        if np.array_equal(trace[root], np.arange(len(self.source))):  # one a trace
            return np.where(self.on_path, trace, -1)
        found = np.full(len(self.tree), -1, np.int64)
        found[root] = np.arange(len(root))
        up = self.tree.parent.astype(np.int64)
        rows = np.flatnonzero(self.on_path & (up >= 0))
        while len(rows):
            above = up[rows]
            there, beyond = found[above], up[above]
            found[rows] = there
            up[rows] = beyond
            rows = rows[(there < 0) & (beyond >= 0)]
        return np.where(self.on_path, found, -1)

    @property
    def latency_ns(self) -> Array:
        """int64, one a request: how long its root took."""
        return np.asarray(self.tree.end[self.tree.root] - self.tree.start[self.tree.root])

    @property
    def weight(self) -> Array:
        """float64, one a request: the weight of its trace."""
        return np.asarray(self.source.weights.value[self.tree.trace[self.tree.root]])

    @property
    def is_partial(self) -> Array:
        """bool, one a request: spans of its trace name parents that are not there, or nobody recorded its root."""
        root, trace = self.tree.root, self.tree.trace[self.tree.root]
        return np.asarray(
            (self.tree.orphan_count[trace] > 0) | (self.tree.root_count[trace] == 0) | (root >= self.tree.span_count)
        )

    @cached_property
    def traces(self) -> pd.DataFrame:
        """One row a request, by (trace, start): one a trace unless the scope says otherwise.

        ``trace_id``, ``root_row`` (of ``spans``), ``root_service_name``, ``root_operation``, ``start_ns``,
        ``latency_ns``, ``is_partial``, ``orphan_count``, ``root_count`` (of its trace), ``weight``.
        """
        return requests_of(self)

    @cached_property
    def issues(self) -> pd.DataFrame:
        """One row a kind of thing that could mislead; see ``path_issues.issues_of``."""
        return issues_of(self.source, self.tree)

    def by(self, keys: str | Sequence[str] = "service_name", *, level: float = 0.95) -> pd.DataFrame:
        """Return the own time on the path by service, operation, call path or any attribute.

        Parameters
        ----------
        keys
            One or several of the category columns of ``spans`` (``service_name``, ``operation``, ``host_name``,
            ``service_version``, ...), attribute keys, ``trace_id``, ``caller_service`` or ``call_path``.
        level
            Confidence level of the limits.

        Returns
        -------
        pandas.DataFrame
            The keys; ``path_time_ns``, the sum in hand, an integer: the column adds up to the sum of the latencies;
            with weights: ``share_ratio`` of all latency, ``presence_ratio`` of requests that wait for it, ``mean_ns``
            over all requests with ``mean_low_ns`` and ``mean_high_ns``; ``trace_count`` of requests with it on their
            path, ``partial_count`` of those whose traces are partial; ``typical_trace_id``, closest to the mean, and
            ``largest_trace_id``.  Largest first.

        Raises
        ------
        ValueError
            A key that no span has.

        Notes
        -----
        Limits are for the mean of a request of the process that these are a sample of: traces are drawn again, never
        spans.  Spans that have no such thing are a group of their own, without a label.

        Examples
        --------
        >>> import pandas as pd
        >>> from tracekit import TraceSet
        >>> from tracekit.analysis.critical_path import critical_path
        >>> shop = TraceSet.from_spans(
        ...     pd.DataFrame(
        ...         {
        ...             "trace_id": "a1",
        ...             "span_id": ["1", "2"],
        ...             "parent_span_id": [None, "1"],
        ...             "service_name": ["shop", "ledger"],
        ...             "name": ["POST /pay", "charge"],
        ...             "start_ns": [0, 30],
        ...             "end_ns": [100, 90],
        ...         }
        ...     )
        ... )
        >>> critical_path(shop).by("service_name")[["service_name", "path_time_ns"]].to_numpy().tolist()
        [['ledger', 60], ['shop', 40]]
        """
        return shares(self, keys, level=level)

    def bands(
        self,
        keys: str | Sequence[str] = "service_name",
        quantiles: Sequence[tuple[float, float]] = BANDS,
        *,
        least: int = 20,
        level: float = 0.95,
    ) -> Bands:
        """Return the own time on the path among median requests and among slow ones: what makes slow requests slow.

        Parameters
        ----------
        keys
            As in ``by``.
        quantiles
            Bands of latency; excesses are over the first.
        least
            Bands with fewer requests are widened on both sides, and say so.
        level
            Confidence level of the limits.

        Returns
        -------
        Bands
            ``.table`` and ``.bands``.

        Raises
        ------
        ValueError
            Quantiles that are none, or a key that no span has.

        Notes
        -----
        Requests are ranked by latency, with their weights; equal ones in the order of ``traces``.  Means over the
        requests of one band add up to its mean latency, which quantiles of single services never do.

        Examples
        --------
        Nine requests wait 10 ns for the ledger, one waits 900:

        >>> import pandas as pd
        >>> from tracekit import TraceSet
        >>> from tracekit.analysis.critical_path import critical_path
        >>> shop = TraceSet.from_spans(
        ...     pd.DataFrame(
        ...         {
        ...             "trace_id": [f"a{i}" for i in range(10)],
        ...             "span_id": "1",
        ...             "service_name": "ledger",
        ...             "name": "charge",
        ...             "start_ns": 0,
        ...             "end_ns": [10] * 9 + [900],
        ...         }
        ...     )
        ... )
        >>> slow = critical_path(shop).bands("service_name", [(0.4, 0.6), (0.9, 1.0)], least=1)
        >>> slow, slow.table["excess_ns"].tolist()
        (Bands(p40 to p60: 2, p90 to p100: 1), [0.0, 890.0])
        """
        return bands(self, keys, quantiles, least=least, level=level)

    @cached_property
    def rerun(self) -> Rerun:
        """The requests, ready to be run again with other own times."""
        return Rerun(self)

    def what_if(self, changes: Mapping[Selector, Change], *, level: float = 0.95) -> WhatIf:
        """Return the requests as they would have been with other own times.

        Parameters
        ----------
        changes
            By condition over columns of ``spans`` (or a callable that takes ``spans``): a factor (0 = free, 0.5 = twice
            as fast, 2 = twice as slow), a ``Cap`` or a ``Like``.  For spans in several, factors multiply.
        level
            Confidence level of the limits.

        Returns
        -------
        WhatIf
            ``.traces`` and ``.table``.

        Raises
        ------
        ValueError
            A change that is none.
        FilterError
            A condition that does not parse.

        Notes
        -----
        Order and gaps stay as they were seen: no queue gets shorter, no call that waits for something else starts
        earlier.  ``naive_saved_ns``, the share on the path, is never less than what a speed-up really saves, because
        another branch may take over.

        Examples
        --------
        Without the ledger (30 to 90) the shop would wait for its cart (10 to 40) instead:

        >>> import pandas as pd
        >>> from tracekit import TraceSet
        >>> from tracekit.analysis.critical_path import critical_path
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
        >>> critical_path(shop).what_if({"service_name == 'ledger'": 0.0})
        WhatIf(mean 100 -> 50 ns, 1 spans changed, 1 of 1 requests taken over by another branch)
        """
        return what_if(self, changes, level=level)

    def slack(self) -> pd.Series:
        """Return how much later every span may end before its request does.

        Returns
        -------
        pandas.Series
            ``slack_ns``, Int64, in the rows of ``spans``: 0 on the path, missing for spans nobody waits for.

        Notes
        -----
        Everything else keeps its order and gaps, as in ``what_if``.  Of two spans with slack in one request, each may
        use its own, not both.

        Examples
        --------
        The cart may take 50 ns longer before the shop waits for it instead of the ledger:

        >>> import pandas as pd
        >>> from tracekit import TraceSet
        >>> from tracekit.analysis.critical_path import critical_path
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
        >>> critical_path(shop).slack().tolist()
        [0, 50, 0]
        """
        return slack_of(self)

    def opportunities(
        self, keys: str | Sequence[str] = ("service_name", "operation"), *, top: int = 20, factor: float = 0.0
    ) -> pd.DataFrame:
        """Return what would help most: every operation made faster by itself, all requests run again.

        Parameters
        ----------
        keys
            As in ``by``.
        top
            So many.
        factor
            What is left of the own time.

        Returns
        -------
        pandas.DataFrame
            The keys, ``naive_saved_mean_ns`` (its share on the path), ``saved_mean_ns`` and ``saved_p95_ns`` (a request
            really saves), ``taken_over_count`` of requests that another branch then holds up.  Most first.

        Raises
        ------
        ValueError
            A factor that is no speed-up, or a key that no span has.

        Examples
        --------
        >>> import pandas as pd
        >>> from tracekit import TraceSet
        >>> from tracekit.analysis.critical_path import critical_path
        >>> frame = pd.DataFrame({"trace_id": "a1", "span_id": ["1"], "name": "x", "start_ns": [5], "end_ns": [25]})
        >>> critical_path(TraceSet.from_spans(frame)).opportunities("name")["saved_mean_ns"].tolist()
        [20.0]
        """
        return opportunities(self, keys, top=top, factor=factor)

    def __repr__(self) -> str:
        count = f"{int(self.on_path[: self.tree.span_count].sum()):,} of {self.tree.span_count:,} spans on the path"
        partial = int(self.is_partial.sum())
        total = f"{int(self.latency_ns.sum()):,} ns"
        note = f", {partial:,} partial" * bool(partial)
        return f"CriticalPath({len(self.tree.root):,} requests, {total}, {count}{note})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.issues.to_html(index=False, border=0)}"
