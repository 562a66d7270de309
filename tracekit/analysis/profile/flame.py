"""The flame graph of the critical path, continued below the spans by the functions that ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.flame import Flame, in_order, totals
from tracekit.analysis.critical_path.flame import flame as flame_of_spans
from tracekit.analysis.critical_path.keys import call_tree
from tracekit.analysis.profile.functions import FUNCTION

if TYPE_CHECKING:
    from tracekit.analysis.profile.result import Profile
    from tracekit.columns import Array


def flame(profile: Profile) -> Flame:
    """Return the flame graph; frames of functions are call paths of the service, named by the function."""
    spans = flame_of_spans(profile.path)
    split = profile.split
    used = np.flatnonzero(split.stack >= 0)
    call = _ids(profile, spans)[split.node[used]]
    frames, placed, entry = _frames(profile, spans, call, split.stack[used])
    own = spans.table["path_time_ns"].to_numpy(np.int64).copy()
    mean = spans.table["mean_ns"].to_numpy(np.float64).copy()
    weight = profile.path.weight
    request = profile.path.request[split.node[used]]
    whole = float(weight.sum()) or np.nan
    time = split.time_ns[used]
    weighted = time * weight[request] / whole
    np.subtract.at(own, call, time)
    np.subtract.at(mean, call, weighted)
    size = len(frames)
    below, below_mean = np.zeros(size, np.int64), np.zeros(size)
    first = len(spans.table)
    np.add.at(below, placed - first, time)
    np.add.at(below_mean, placed - first, weighted)
    facts = _facts(entry, placed - first, request, split.node[used], weight / whole, size)
    added = frames.assign(path_time_ns=below, mean_ns=below_mean, duration_ns=0, path_total_ns=0, **facts)
    kept = spans.table.assign(path_time_ns=own, mean_ns=np.maximum(mean, 0.0))
    table = pd.concat([kept.drop(columns=["id", "depth"]), added], ignore_index=True)
    parent = table.pop("parent").to_numpy(np.int64)
    table["path_total_ns"] = totals(parent, table["path_time_ns"].to_numpy(np.int64))
    table["duration_ns"] = np.where(np.arange(len(table)) < first, table["duration_ns"], table["path_total_ns"])
    found = in_order(table, parent, -table["path_total_ns"].to_numpy())
    return Flame(found[list(spans.table)], spans.request_count, spans.statement, spans.recorded_services)


def _ids(profile: Profile, spans: Flame) -> Array:
    """Return the row of the flame graph of every node, -1 for those that are not in it."""
    calls = call_tree(profile.path.source, profile.path.tree)
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


def _frames(profile: Profile, spans: Flame, call: Array, stack: Array) -> tuple[pd.DataFrame, Array, list[int]]:
    """Return the frames below the spans, the innermost one of each entry, and the parent of each frame."""
    services, count = spans.table["service_name"].tolist(), len(spans.table)
    columns = (spans.table[name].tolist() for name in ("parent", "service_name", "operation"))
    calls = set(zip(*columns, strict=True))
    known: dict[tuple[int, str], int] = {}
    rows: list[tuple[int, object, str]] = []
    pairs, at = np.unique(call * max(len(profile.samples.stacks), 1) + stack, return_inverse=True)
    ends = []
    for pair in pairs.tolist():
        top, number = divmod(pair, max(len(profile.samples.stacks), 1))
        place = top
        for name in profile.samples.stacks[number]:
            key = place, name
            if key not in known:
                known[key] = count + len(rows)
                is_call = (place, services[top], name) in calls
                rows.append((place, services[top], f"{name}{FUNCTION}" if is_call else name))
            place = known[key]
        ends.append(place)
    table = pd.DataFrame(rows, columns=["parent", "service_name", "operation"])
    entry = [parent - count for parent, *_ in rows]
    return table, np.array(ends, np.int64)[at], entry


def _facts(
    entry: list[int], placed: Array, request: Array, node: Array, share: Array, size: int
) -> dict[str, list[float]]:
    """Return how many spans and requests have each frame, or one below it, and the share of requests."""
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
        "span_count": [len(found) for found in spans],
        "trace_count": [len(found) for found in requests],
        "presence_ratio": [float(share[sorted(found)].sum()) for found in requests],
    }
