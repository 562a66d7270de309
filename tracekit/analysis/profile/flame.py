"""The flame graph of the critical path, continued below the spans by the functions that ran."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.analysis.critical_path.flame import FlameSums, flame_of, flame_sums, in_order, totals
from tracekit.analysis.critical_path.keys import call_tree
from tracekit.analysis.critical_path.stored import of_each_part
from tracekit.analysis.profile.functions import FUNCTION
from tracekit.analysis.profile.match import fitting
from tracekit.analysis.profile.split import split_of
from tracekit.on_demand import pd

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.flame import Flame
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.profile.result import Profile
    from tracekit.columns import Array
    from tracekit.profile_samples import ProfileSamples

_MARK: Final = "\0"  # ends the name of a function, which is distinguished from a call only when all parts are known


def flame(profile: Profile) -> Flame:
    """Return the flame graph; frames of functions are call paths of the service, named by the function."""
    parts = of_each_part(profile.paths, _SumsOf(profile.matched))
    found = flame_of(parts, profile.statement, profile.paths.recorded_services)
    return replace(found, table=found.table.assign(operation=_names(found.table)))


def _names(table: pd.DataFrame) -> pd.Series:
    """Return the names of calls and functions; that of a function that a call beside it has says that it is one."""
    rows = list(zip(*(table[name].tolist() for name in ("parent", "service_name", "operation")), strict=True))
    calls, names = set(rows), []
    for parent, service, name in rows:
        bare = name.removesuffix(_MARK) if isinstance(name, str) else name
        is_taken = bare != name and (parent, service, bare) in calls
        names.append(f"{bare}{FUNCTION}" if is_taken else bare)
    return pd.Series(names, table.index, dtype=table["operation"].dtype)


@dataclass(frozen=True, eq=False)
class _SumsOf:
    """Returns the call paths of a part with the functions of samples that each fit one span, in sums."""

    samples: ProfileSamples

    def __call__(self, path: CriticalPath) -> FlameSums:
        """Return those of some paths."""
        row, _ = fitting(path.source.columns.spans, self.samples)
        split = split_of(path, self.samples, np.where(self.samples.span_id != 0, row, -1))
        spans = flame_sums(path)
        used = np.flatnonzero(split.stack >= 0)
        node, time = split.node[used], split.time_ns[used]
        call, request = _ids(path, spans)[node], path.request[node]
        frames, placed, entry = _frames(self.samples, spans.table, call, split.stack[used])
        weighted = time * path.weight[request]
        first, size = len(spans.table), len(frames)
        own = spans.table["path_time_ns"].to_numpy(np.int64).copy()
        rest = spans.table["time"].to_numpy(np.float64).copy()
        np.subtract.at(own, call, time)
        np.subtract.at(rest, call, weighted)
        below, below_time = np.zeros(size, np.int64), np.zeros(size)
        np.add.at(below, placed - first, time)
        np.add.at(below_time, placed - first, weighted)
        facts = _facts(entry, placed - first, request, node, path.weight, size)
        added = frames.assign(path_time_ns=below, time=below_time, duration_ns=0, path_total_ns=0, **facts)
        kept = spans.table.assign(path_time_ns=own, time=np.maximum(rest, 0.0))
        table = pd.concat([kept.drop(columns=["id", "depth"]), added], ignore_index=True)
        parent = table.pop("parent").to_numpy(np.int64)
        table["path_total_ns"] = totals(parent, table["path_time_ns"].to_numpy(np.int64))
        table["duration_ns"] = np.where(np.arange(len(table)) < first, table["duration_ns"], table["path_total_ns"])
        return spans._replace(table=in_order(table, parent, np.zeros(len(table))))


def _ids(path: CriticalPath, spans: FlameSums) -> Array:
    """Return the row of the flame graph of every node, -1 for those that are not in it."""
    calls = call_tree(path.source, path.tree)
    both = (calls.service, calls.operation)
    names = [np.array([*column.labels, None], object)[column.codes[calls.first]] for column in both]
    columns = (spans.table[name] for name in ("parent", "service_name", "operation"))
    rows = {key: at for at, key in enumerate(zip(*columns, strict=True))}
    found: dict[int, int] = {-1: -1}
    parents = calls.parent.tolist()
    for code in range(len(parents)):
        waiting = [code]
        while waiting:
            at = waiting[-1]
            if parents[at] not in found:
                waiting.append(parents[at])
                continue
            above = found[parents[at]]
            is_cut = parents[at] >= 0 > above
            found[at] = -2 if is_cut else rows.get((above, names[0][at], names[1][at]), -2)
            waiting.pop()
    return np.array([found[code] for code in range(len(parents))], np.int64)[calls.code]


def _frames(
    samples: ProfileSamples, spans: pd.DataFrame, call: Array, stack: Array
) -> tuple[pd.DataFrame, Array, list[int]]:
    """Return the frames below the spans, the innermost one of each entry, and the parent of each frame."""
    services, count = spans["service_name"].tolist(), len(spans)
    known: dict[tuple[int, str], int] = {}
    rows: list[tuple[int, object, str]] = []
    pairs, at = np.unique(call * max(len(samples.stacks), 1) + stack, return_inverse=True)
    ends = []
    for pair in pairs.tolist():
        top, number = divmod(pair, max(len(samples.stacks), 1))
        place = top
        for name in samples.stacks[number]:
            key = place, name
            if key not in known:
                known[key] = count + len(rows)
                rows.append((place, services[top], f"{name}{_MARK}"))
            place = known[key]
        ends.append(place)
    table = pd.DataFrame(rows, columns=["parent", "service_name", "operation"])
    entry = [parent - count for parent, *_ in rows]
    return table, np.array(ends, np.int64)[at], entry


def _facts(entry: list[int], placed: Array, request: Array, node: Array, weight: Array, size: int) -> dict[str, Array]:
    """Return how many spans and requests have each frame, or one below it, and the weight of the requests."""
    spans: list[set[int]] = [set() for _ in range(size)]
    requests: list[set[int]] = [set() for _ in range(size)]
    for at, one, span in zip(placed.tolist(), request.tolist(), node.tolist(), strict=True):
        requests[at].add(one)
        spans[at].add(span)
    for at in range(size - 1, -1, -1):  # frames are numbered after their callers
        if entry[at] >= 0:
            requests[entry[at]] |= requests[at]
            spans[entry[at]] |= spans[at]
    return {
        "span_count": np.array([len(found) for found in spans], np.int64),
        "trace_count": np.array([len(found) for found in requests], np.int64),
        "presence": np.array([weight[sorted(found)].sum() for found in requests], np.float64),
    }
