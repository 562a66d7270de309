"""Aggregated flame graph: the trees of many requests merged by call path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.critical_path.contrast import whole_numbers
from tracekit.analysis.critical_path.keys import call_tree
from tracekit.analysis.waiting import Waiting
from tracekit.findings import Shown
from tracekit.on_demand import pd
from tracekit.readable_tables import as_html
from tracekit.stats.grouping import dense_codes, sum_by
from tracekit.text import duration
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.tree import PathTree
    from tracekit.attributes import Codes
    from tracekit.columns import Array

_MOST_CHARACTERS = 1 << 30
NAMES = ("service_name", "operation")
_SUMS = ("path_time_ns", "path_total_ns", "duration_ns", "span_count", "trace_count", "presence", "time")
# characters that would end a frame, a line or a service, that cannot be encoded, or that escape
_BREAKS = re.compile("[\\\\;\\]\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NO_NAME = "\\-"


@dataclass(frozen=True, repr=False)
class Flame(Weighted, Shown):
    """Aggregated flame graph of many requests.

    Parameters
    ----------
    table
        One row per call path, parents before children and siblings by critical-path time, the largest first: ``id``
        (the row), ``parent`` (-1 at the top), ``depth``, ``service_name``, ``operation``; ``path_time_ns``, self time
        on the critical path, and ``path_total_ns``, including all descendants, integers; ``duration_ns`` of all its
        spans, on the path or not; ``span_count``; ``trace_count`` of requests that have it; weighted:
        ``presence_ratio``, the share of requests with it on their path, and ``mean_ns``, critical-path time per
        request.
    request_count
        Number of requests.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.
    recorded_services
        All services of the recording, which views give their colours: those of a subset are the same.

    Examples
    --------
    >>> tk.critical_path(shop).flame()
    Flame(8 call paths, 5 requests, 760 ms on the path; sampling weights unknown)
    """

    table: pd.DataFrame
    request_count: int
    statement: str = ""
    recorded_services: tuple[str, ...] = ()

    def folded(self) -> str:
        r"""Return critical-path time as folded stacks, for flamegraph.pl, inferno and speedscope.

        Returns
        -------
        str
            One line per call path with self time: frames ``[service] operation`` from the top down, joined by ``;``, a
            space, whole nanoseconds. They sum to the total latency.

        Raises
        ------
        ValueError
            Call paths so deep that the text would exceed a gigabyte.

        Notes
        -----
        Characters that would end a frame, a line or a service are escaped as in Python, ``;`` as ``\x3b``, a line break
        as ``\x0a``, a backslash as ``\x5c``; a missing name is ``\-``. The escaping is lossless.

        Examples
        --------
        >>> print(tk.critical_path(shop.trace("a1")).flame().folded(), end="")
        [shop] GET /cart 10000000
        [shop] GET /cart;[shop] GET 10000000
        [shop] GET /cart;[shop] GET;[cart] GET /items 20000000
        """
        frames = [f"[{escaped(s)}] {escaped(o)}" for s, o in zip(*(self.table[n] for n in NAMES), strict=True)]
        rows = list(zip(self.table["depth"].tolist(), frames, self.table["path_time_ns"].tolist(), strict=True))
        _check_size(rows)
        stack: list[str] = []
        lines = []
        for depth, frame, time in rows:
            del stack[depth:]
            stack.append(frame)
            if time:
                lines.append(f"{';'.join(stack)} {time}\n")
        return "".join(lines)

    def compare(self, other: Flame) -> pd.DataFrame:
        """Return the differences to another flame graph: ``baseline.compare(current)``.

        Parameters
        ----------
        other
            The flame graph of other requests.

        Returns
        -------
        pandas.DataFrame
            One row per call path of either, parents before children, the largest total change first: ``id``,
            ``parent``, ``depth``, ``service_name``, ``operation``; ``baseline_mean_ns`` and ``current_mean_ns``, self
            time on the critical path per request; ``change_ns``, integers that sum to the change of the mean latency;
            ``total_change_ns``, including all descendants; ``baseline_presence_ratio`` and ``current_presence_ratio``.

        Examples
        --------
        >>> before, now = (tk.critical_path(traces).flame() for traces in (baseline, shop))
        >>> before.compare(now).set_index("operation")["change_ns"].nlargest(2).to_dict()
        {'SELECT entries': 56000000, 'POST /charge': 6000000}
        """
        joint: dict[tuple[int, object, object], int] = {}
        placed = [placed_in(side.table, joint) for side in (self, other)]
        table = pd.DataFrame(list(joint), columns=["parent", *NAMES], dtype=object)
        for prefix, side, place in zip(("baseline_", "current_"), (self, other), placed, strict=True):
            for name in ("mean_ns", "presence_ratio"):
                column = np.zeros(len(table))
                column[place] = side.table[name]
                table[f"{prefix}{name}"] = column
        change = (table["current_mean_ns"] - table["baseline_mean_ns"]).to_numpy()
        table["change_ns"] = whole_numbers(change, int(np.rint(change.sum())))
        parent = table["parent"].to_numpy(np.int64)
        table["total_change_ns"] = totals(parent, table["change_ns"].to_numpy())
        ordered = in_order(table, parent, -table["total_change_ns"].abs().to_numpy())
        order = ["id", "parent", "depth", *NAMES, "baseline_mean_ns", "current_mean_ns", "change_ns", "total_change_ns"]
        return ordered[[*order, "baseline_presence_ratio", "current_presence_ratio"]]

    def _line(self) -> str:
        """Return the counts in one line."""
        total = int(self.table["path_time_ns"].sum())
        return f"Flame({len(self.table):,} call paths, {self.request_count:,} requests, {duration(total)} on the path)"

    def _repr_html_(self) -> str:
        return f"{self.heading()}{as_html(self.table.head(20))}"


class FlameSums(NamedTuple):
    """Call paths of the requests of a part, in sums.

    Parameters
    ----------
    table
        The columns of ``Flame.table`` up to ``trace_count``; ``presence`` and ``time``, weighted sums.
    request_count
        Number of requests.
    weight_sum
        Of their weights.
    """

    table: pd.DataFrame
    request_count: int
    weight_sum: float


def flame(path: CriticalPath) -> Flame:
    """Return the aggregated flame graph of all requests, by call path.

    Spans with the same services and operations from the root down are one call path. Asynchronous spans are included
    with zero critical-path time. Additional root spans and spans inferred by a backend are excluded.
    """
    return flame_of([flame_sums(path)], path.statement, path.recorded_services)


def flame_of(parts: Sequence[FlameSums], statement: str, services: tuple[str, ...]) -> Flame:
    """Return the flame graph of the requests of all parts."""
    joint: dict[tuple[int, object, object], int] = {}
    placed = [placed_in(part.table, joint) for part in parts]
    whole = sum(part.weight_sum for part in parts) or np.nan
    sums = {name: _summed([part.table[name].to_numpy() for part in parts], placed, len(joint)) for name in _SUMS}
    table = pd.DataFrame(list(joint), columns=["parent", *NAMES], dtype=object).assign(**sums)
    table = table.assign(presence_ratio=table.pop("presence") / whole, mean_ns=table.pop("time") / whole)
    parent = table.pop("parent").to_numpy(np.int64)
    found = in_order(table, parent, -table["path_total_ns"].to_numpy())
    found = found[["id", "parent", "depth", *table.columns]]
    return Flame(found, sum(part.request_count for part in parts), statement, services)


def _summed(columns: Sequence[Array], placed: Sequence[Sequence[int]], count: int) -> Array:
    """Return the sums of the values of call paths that are in several parts."""
    total: Array = np.zeros(count, columns[0].dtype)
    for column, place in zip(columns, placed, strict=True):
        total[np.array(place, np.int64)] += column
    return total


def flame_sums(path: CriticalPath) -> FlameSums:
    """Return the call paths of a set of requests, in sums."""
    tree, calls = path.tree, call_tree(path.source, path.tree)
    request = _requests(tree)
    nodes = np.flatnonzero((request >= 0) & (tree.waiting != Waiting.INFERRED))
    code, count = calls.code[nodes], len(calls.first)
    spans, on_path = nodes[nodes < tree.span_count], nodes[path.on_path[nodes]]
    weight = path.weight
    table = pd.DataFrame(
        {
            "service_name": _names(calls.service, calls.first),
            "operation": _names(calls.operation, calls.first),
            "path_time_ns": _sums(calls.code[on_path], path.own_ns[on_path], count),
            "path_total_ns": _sums(calls.code[on_path], path.total_ns[on_path], count),
            "duration_ns": _sums(calls.code[spans], tree.end[spans] - tree.start[spans], count),
            "span_count": np.bincount(calls.code[spans], minlength=count),
            "trace_count": _distinct(code, request[nodes], np.ones(len(weight)), count).astype(np.int64),
            "presence": _distinct(calls.code[on_path], request[on_path], weight, count),
            "time": sum_by(calls.code[on_path], path.own_ns[on_path] * weight[request[on_path]], count),
        }
    )
    kept = np.flatnonzero(totals(calls.parent, np.bincount(code, minlength=count)))
    number = np.full(count + 1, -1, np.int64)  # the last means no parent
    number[kept] = np.arange(len(kept))
    parent = number[calls.parent[kept]]
    found = in_order(table.iloc[kept].reset_index(drop=True), parent, np.zeros(len(kept)))
    return FlameSums(found, len(tree.root), float(weight.sum()))


def folded(path: CriticalPath) -> str:
    r"""Return critical-path time of all requests as folded stacks; see ``Flame.folded``."""
    return flame(path).folded()


def _check_size(rows: list[tuple[int, str, int]]) -> None:
    """Raise ValueError if the text of all stacks would exceed a gigabyte."""
    reach, size = [0], 0
    for depth, frame, time in rows:
        del reach[depth + 1 :]
        reach.append(reach[-1] + len(frame) + 1)
        size += reach[-1] if time else 0
    if size > _MOST_CHARACTERS:
        deepest = max(depth for depth, *_ in rows) + 1
        raise ValueError(
            f"expected call paths of less than a gigabyte of text, found some {deepest:,} calls deep;"
            " use flame().table instead"
        )


def _requests(tree: PathTree) -> Array:
    """Return the request of every node, on the path or not; -1 outside all of them."""
    found = np.full(len(tree), -1, np.int64)
    found[tree.root] = np.arange(len(tree.root))
    up = tree.parent.astype(np.int64)
    rows = np.flatnonzero((up >= 0) & (found < 0))
    while len(rows):
        there, beyond = found[up[rows]], up[up[rows]]
        found[rows] = there
        up[rows] = beyond
        rows = rows[(there < 0) & (beyond >= 0)]
    return found


def _names(column: Codes, nodes: Array) -> Array:
    """Return the texts of some nodes, None for missing ones."""
    return np.array([*column.labels, None], object)[column.codes[nodes]]


def _sums(group: Array, values: Array, groups: int) -> Array:
    """Return sums by group as integers."""
    total = np.zeros(groups, np.int64)
    np.add.at(total, group, values)
    return total


def _distinct(group: Array, request: Array, weight: Array, groups: int) -> Array:
    """Return the total weight of the distinct requests of every group."""
    count = max(len(weight), 1)
    _, pair = dense_codes(group * count + request, groups * count)
    return sum_by(pair // count, weight[pair % count], groups)


def totals(parent: Array, values: Array) -> Array:
    """Return for every node the sum over it and all its descendants."""
    total, order = values.tolist(), _walked(parent, np.zeros(len(parent)))
    above = parent.tolist()
    for at in reversed(order):
        if above[at] >= 0:
            total[above[at]] += total[at]
    return np.array(total, np.int64)


def _walked(parent: Array, rank: Array) -> list[int]:
    """Return the nodes, parents before children, siblings by rank."""
    order = np.lexsort((rank, parent))
    first = np.searchsorted(parent[order], np.arange(-1, len(parent) + 1)).tolist()
    backwards, walked = order.tolist(), []
    waiting = backwards[: first[1]][::-1]
    while waiting:
        at = waiting.pop()
        walked.append(at)
        waiting += backwards[first[at + 1] : first[at + 2]][::-1]
    return walked


def in_order(table: pd.DataFrame, parent: Array, rank: Array) -> pd.DataFrame:
    """Return the rows, parents before children and siblings by rank, then name, with their ids and depths."""
    names = [np.array([name or "" for name in table[column]], object) for column in NAMES]
    by_name = np.lexsort((*reversed(names), rank))
    places = np.empty(len(table), np.int64)
    places[by_name] = np.arange(len(table))
    order = np.array(_walked(parent, places), np.int64)
    number = np.full(len(table) + 1, -1, np.int64)
    number[order] = np.arange(len(order))
    above = number[parent[order]]
    depth: list[int] = []
    for up in above.tolist():
        depth.append(depth[up] + 1 if up >= 0 else 0)
    return table.iloc[order].reset_index(drop=True).assign(id=np.arange(len(order)), parent=above, depth=depth)


def placed_in(table: pd.DataFrame, joint: dict[tuple[int, object, object], int]) -> list[int]:
    """Return the ids of call paths in ``joint``, to which new ones are added."""
    place: list[int] = []
    for parent, service, operation in zip(table["parent"].tolist(), *(table[name] for name in NAMES), strict=True):
        above = place[parent] if parent >= 0 else -1
        place.append(joint.setdefault((above, service, operation), len(joint)))
    return place


def escaped(name: object) -> str:
    r"""Return a name with characters that end a frame escaped; see ``Flame.folded``."""
    return _NO_NAME if name is None else _BREAKS.sub(_spelt, str(name))


def _spelt(found: re.Match[str]) -> str:
    """Return a character as a Python hex escape."""
    return f"\\x{ord(found[0]):02x}" if found[0] <= "\xff" else f"\\u{ord(found[0]):04x}"
