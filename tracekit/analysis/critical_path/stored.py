"""The critical paths of the requests of a store, worked out part by part when a table of them is asked for."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from functools import cached_property, partial, reduce
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from tracekit.analysis.clock_skew.parts import OffsetsById, offsets_by_id, part_calls, seem_skewed
from tracekit.analysis.critical_path import compare as path_compare
from tracekit.analysis.critical_path import shares as path_shares
from tracekit.analysis.critical_path.counts import PathCounts, counts_of
from tracekit.analysis.critical_path.flame import Flame, FlameSums, flame_of, flame_sums
from tracekit.analysis.critical_path.issues import Assumption, assumptions_of, issues_frame, joined
from tracekit.analysis.critical_path.tables import PathTable, compact, in_order, tabulated, union, widened
from tracekit.analysis.critical_path.what_if import (
    CapSelfTime,
    MatchDistribution,
    Replayed,
    WhatIf,
    replayed,
    what_if_of,
)
from tracekit.analysis.partials import Part, check_names, over_parts
from tracekit.findings import Shown
from tracekit.grouping import named
from tracekit.parts import Prepared
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from tracekit.analysis.critical_path.cells import Requests
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.what_if import Change, Selector
    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

State = TypeVar("State")
_IN_MEMORY = ("spans", "segments", "traces", "marks", "slack", "drag", "support", "opportunities", "what_if_curve")


@dataclass(frozen=True, repr=False, eq=False)
class StoredPaths(Weighted, Shown):
    """The critical paths of the requests of a store: what ``critical_path(store)`` returns.

    ``by``, ``bands``, ``compare``, ``flame``, ``folded``, ``what_if``, ``counts`` and ``issues`` give the same as for a
    TraceSet.  Each reads the parts once; the first one also reads them for clock skew (twice if calls seem skewed).
    Between the parts it keeps about 35 bytes for every request, and 10 for every group on its path.

    Parameters
    ----------
    source
        The store.
    options
        Options of ``critical_path``.
    on
        Where parts are read; see ``TraceStore.reduce``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = tk.critical_path(tk.open(shop.save(f"{folder}/shop.parquet")))
    ...     path.by("service_name")[["service_name", "path_time_ns"]].to_numpy().tolist()
    [['ledger', 470000000], ['shop', 270000000], ['cart', 20000000]]
    """

    source: Parts
    options: Mapping[str, Any] = field(default_factory=dict)
    on: On = None

    @cached_property
    def _whole(self) -> Part[bool]:
        """What the weights describe, the services, and whether any call seems skewed."""
        return over_parts(self.source, seem_skewed, operator.or_, on=self.on)

    @property
    def statement(self) -> str:  # type: ignore[override]  # computed
        """What the weighted figures describe: the source of the weights, or that they are unknown."""
        return self._whole.weights.statement

    @property
    def recorded_services(self) -> tuple[str, ...]:
        """All services of the recording, which views give their colours."""
        return self._whole.services

    @cached_property
    def offsets(self) -> OffsetsById | None:
        """Offsets of the clocks that adjacent traces, in any part, prove to be skewed; None without any."""
        if self.options.get("skew", "auto") != "auto" or not self._whole.state:
            return None
        return offsets_by_id(self.source.reduce(part_calls, operator.add, on=self.on))

    def over(self, state: Callable[[CriticalPath], State], *, is_kept: bool = False) -> list[State]:
        """Return a state of the paths of each part; other processes must be able to import what returns it.

        ``is_kept``: who asks for it keeps what is made of it, so that no other needs it.
        """
        options = {**self.options, "skew": self.offsets or "off"}
        of_part: Callable[[TraceSet], list[State]] = partial(_of_part, options=options, state=state)
        found: list[State] = self.source.reduce(
            Prepared(_as_is, of_part) if is_kept else of_part, operator.add, on=self.on
        )
        return found

    @property
    def counts(self) -> PathCounts:
        """Counts of requests and spans; the parts are read for them."""
        return reduce(PathCounts.plus, self.over(counts_of))

    @property
    def issues(self) -> pd.DataFrame:
        """One row per assumption made on the paths, as for a TraceSet; the parts are read for it."""
        return issues_frame(self.assumptions)

    @property
    def assumptions(self) -> list[Assumption]:
        """The rows of ``issues``; the parts are read for them."""
        return joined(self.over(assumptions_of))

    def tabulated(self, by: By, *, may_lack: bool = False) -> PathTable:
        """Return the paths as a table; see ``tables.tabulated``."""
        check_names(self.source, by)
        found: list[PathTable] = self.over(partial(_compact, by=by, may_lack=may_lack))
        return union(found)

    def read(self, bys: Sequence[By]) -> ReadPaths:
        """Return the tables by several names, all read in one pass, for comparisons by each; names may be lacking."""
        for by in bys:
            check_names(self.source, by)
        found: list[list[PathTable]] = self.over(partial(_several, bys=list(bys)), is_kept=True)
        each = (compact(union(list(parts))) for parts in zip(*found, strict=True))
        return ReadPaths(self, dict(zip((tuple(named(by)) for by in bys), each, strict=True)))

    by = path_shares.shares
    bands = path_shares.bands
    compare = path_compare.compare

    def flame(self) -> Flame:
        """Return the aggregated flame graph; see ``flame.flame``."""
        found: list[FlameSums] = self.over(flame_sums)
        return flame_of(found, self.statement, self.recorded_services)

    def folded(self) -> str:
        """Return critical-path time as folded stacks; see ``Flame.folded``."""
        return self.flame().folded()

    def what_if(self, changes: Mapping[Selector, Change], *, confidence: float = 0.95) -> WhatIf:
        """Return the predicted latency if the self times of some spans change; see ``what_if.what_if``.

        A cap at a quantile and ``MatchDistribution`` need all self times at once: they are a ValueError.
        """
        for change in changes.values():
            if isinstance(change, MatchDistribution) or (isinstance(change, CapSelfTime) and change.ns is None):
                raise ValueError(f"expected a factor or CapSelfTime(ns=) for a store, found {change}; use a TraceSet")
        found: list[tuple[Requests, Replayed]] = self.over(partial(_replayed, changes=dict(changes)))
        requests, order = in_order([one for one, _ in found])
        new = np.concatenate([each.new_ns for _, each in found])[order]
        naive = np.concatenate([each.naive_saved_ns for _, each in found])[order]
        changed = sum(each.changed_count for _, each in found)
        return what_if_of(requests, Replayed(new, naive, changed), self.statement, confidence)

    def __getattr__(self, name: str) -> NoReturn:
        if name in _IN_MEMORY:
            advice = "load the traces in question: tk.critical_path(store.where(...).load())"
            raise AttributeError(f"expected an analysis that works part by part, found .{name} of a store; {advice}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _line(self) -> str:
        """Return the store in one line."""
        return f"StoredPaths({self.source!r})"

    def _repr_html_(self) -> str:
        return self.heading()


@dataclass(frozen=True, eq=False)
class ReadPaths:
    """The critical paths of a store as tables by some names, which are read.

    Parameters
    ----------
    paths
        The paths.
    tables
        By the names, with integers as small as they can be.
    """

    paths: StoredPaths
    tables: Mapping[tuple[str, ...], PathTable]

    @property
    def statement(self) -> str:
        """What the weighted figures describe."""
        return self.paths.statement

    @property
    def source(self) -> Parts:
        """The store."""
        return self.paths.source

    @property
    def recorded_services(self) -> tuple[str, ...]:
        """All services of the recording."""
        return self.paths.recorded_services

    @property
    def requests(self) -> Requests:
        """The requests without their spans."""
        return widened(next(iter(self.tables.values()))).requests

    @property
    def corrected_count(self) -> int:
        """Number of corrected clocks."""
        return next(iter(self.tables.values())).corrected_count

    @property
    def weight(self) -> Array:
        """float64, one per request: the sampling weight of its trace."""
        return next(iter(self.tables.values())).requests.weight

    def tabulated(self, by: By, *, may_lack: bool = False) -> PathTable:
        """Return the paths as a table; see ``tables.tabulated``."""
        found = self.tables[tuple(named(by))]
        return widened(found) if may_lack or not found.lacking else self.paths.tabulated(by)


def of_each_part(paths: CriticalPath | StoredPaths, state: Callable[[CriticalPath], State]) -> list[State]:
    """Return a state of the paths of each part; paths in memory are the special case of one part."""
    return paths.over(state) if isinstance(paths, StoredPaths) else [state(paths)]


def _several(path: CriticalPath, bys: Sequence[By]) -> list[PathTable]:
    """Return the paths of a part as tables by several names."""
    return [_compact(path, by, may_lack=True) for by in bys]


def _compact(path: CriticalPath, by: By, *, may_lack: bool) -> PathTable:
    """Return the paths of a part as a table that is kept until those of all parts are joined."""
    return compact(tabulated(path, by, may_lack=may_lack))


def _as_is(traces: TraceSet) -> TraceSet:
    """Return the traces of a part."""
    return traces


def _of_part(traces: TraceSet, options: Mapping[str, Any], state: Callable[[CriticalPath], Any]) -> list[Any]:
    """Return a state of the paths of a part."""
    from tracekit.analysis.critical_path.compute import critical_path  # noqa: PLC0415 - it returns stored paths, too

    return [state(critical_path(traces, **options))]


def _replayed(path: CriticalPath, changes: Mapping[Selector, Change]) -> tuple[Requests, Replayed]:
    """Return the requests of a part, as recorded and with other self times."""
    return path.requests, replayed(path, changes)
