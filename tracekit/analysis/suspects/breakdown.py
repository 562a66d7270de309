"""Where within a suspect: which operations, versions, hosts, pods and instances have the excess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.calls import OWN
from tracekit.stats.exceedance import Sample, exceeds, larger
from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from tracekit.analysis.suspects.ranking import Ranking
    from tracekit.analysis.suspects.windows import Window
    from tracekit.attributes import Codes
    from tracekit.columns import Array

ATTRIBUTES: Final = ("operation", "service_version", "k8s_pod_name", "host_name", "service_instance_id")
COLUMNS: Final = (
    "rank",
    "service_name",
    "attribute",
    "value",
    "baseline_count",
    "current_count",
    "excess_ns",
    "deviating_count",
    "excess_ratio",
    "p_value",
    "is_confined",
    "is_new",
)
_MOST: Final = 20  # values of an attribute, the most frequent ones
_MOST_EXCESS: Final = 0.9  # share of the excess from which it is confined to a value
_NOT_ALL: Final = 0.75  # share of the traces that such a value may have at most
_MAX_P: Final = 0.01  # of a value compared with the others, charged for the number of values


class Affected(NamedTuple):
    """Calls of the current side that show the evidence against a suspect, and calls that could have shown it.

    Parameters
    ----------
    span
        Row of a span of the suspect.
    component
        Row of the entry of its component.
    excess_ns
        Excess of the call; 0 for deviations.
    is_deviating
        Whether it is deviating.
    relative
        Value that is compared between instances.
    """

    span: Array
    component: Array
    excess_ns: Array
    is_deviating: Array
    relative: Array

    @property
    def exemplar(self) -> int:
        """Row of the span with the most evidence."""
        return int(self.span[np.argmax(np.where(self.is_deviating, np.inf, self.excess_ns))])

    @property
    def shown(self) -> tuple[Array, Array]:
        """Components with evidence, and the excess of each; of deviating ones, 1."""
        if self.is_deviating.any():
            return self.component[self.is_deviating], np.ones(int(self.is_deviating.sum()))
        return self.component, self.excess_ns


def affected(ranking: Ranking, service: int, now: Window) -> Affected:
    """Return the calls that show the evidence against a suspect: slower elements, else deviating spans."""
    found, best = ranking.found, ranking.best
    mine = best.element[(best.service == service) & (found.weight[best.element] > 0)]
    values = found.values  # noqa: PD011 - not a frame
    rows = np.flatnonzero(values.is_current & np.isin(values.element, mine))
    if len(rows) and ranking.latency[service] >= max(ranking.shape[service], ranking.failure[service]):
        element = values.element[rows]
        is_caller = (found.kind[element] != OWN) & (found.service[element] == service)
        span = np.where(is_caller, values.client[rows], values.row[rows])
        excess = (values.time_ns[rows] - found.baseline_ns[element]) * values.call_count[rows]
        relative = values.time_ns[rows] / np.maximum(found.baseline_ns[element], 1.0)
        return Affected(span, now.component[span], excess, np.zeros(len(rows), bool), relative)
    span = np.concatenate([one.row[one.service == service] for one in (ranking.shapes, ranking.failing)])
    component = np.unique(now.component[span])
    others = np.flatnonzero(now.is_entry & (now.service == service) & np.isin(now.operation, now.operation[component]))
    every = np.union1d(component, others)
    deviates = np.isin(every, component)
    return Affected(every, every, np.zeros(len(every)), deviates, deviates.astype(float))


def breakdown(before: Window, now: Window, calls: Affected, service: int) -> pd.DataFrame:
    """Return the values of each attribute at a suspect, with their part of the excess."""
    tables = [_of(name, before, now, calls, service) for name in ATTRIBUTES]
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _of(name: str, before: Window, now: Window, calls: Affected, service: int) -> pd.DataFrame:
    """Return one row per value of an attribute, the largest excess first; none where no span has it."""
    if name == "operation":
        rows = before.is_entry & (before.service == service)
        old = pd.Series(np.array(now.names.operation, object)[before.operation[rows]])
        seen = pd.Series(np.array(now.names.operation, object)[now.operation[calls.component]])
    else:
        rows = before.is_live & (before.service == service)
        old, seen = (_text(window.traces.codes(name), at) for window, at in ((before, rows), (now, calls.span)))
    if not len(seen) or seen.isna().all():
        return pd.DataFrame(columns=list(COLUMNS))
    code, labels = pd.factorize(seen, sort=True)
    kept = np.flatnonzero(code >= 0)
    size = np.bincount(code[kept], minlength=len(labels))
    amount = calls.excess_ns if not calls.is_deviating.any() else calls.is_deviating.astype(float)
    weight = now.weight[now.trace[calls.span]]
    excess = sum_by(code[kept], (amount * weight)[kept], len(labels))
    past = pd.DataFrame({"value": old.to_numpy(), "trace": before.trace[rows]}).dropna().drop_duplicates()
    trace = pd.DataFrame({"code": code[kept], "trace": now.trace[calls.span[kept]]}).drop_duplicates()
    counts = np.bincount(trace["code"], minlength=len(labels))
    was = past.groupby("value").size().reindex(labels).fillna(0).to_numpy(np.int64)
    share = excess / max(np.maximum(excess, 0).sum(), 1e-9)
    p = _against_others(code[kept], calls.relative[kept], weight[kept], size, is_event=bool(calls.is_deviating.any()))
    is_part = counts <= _NOT_ALL * max(len(trace["trace"].unique()), 1)
    table = pd.DataFrame(
        {
            "attribute": name,
            "value": np.asarray(labels, object),
            "baseline_count": was,
            "current_count": counts,
            "excess_ns": sum_by(code[kept], (calls.excess_ns * weight)[kept], len(labels))
            / np.maximum(sum_by(trace["code"].to_numpy(), now.weight[trace["trace"]], len(labels)), 1e-9),
            "deviating_count": np.bincount(code[kept], calls.is_deviating[kept], len(labels)).astype(np.int64),
            "excess_ratio": share,
            "p_value": p,
            "is_confined": (share >= _MOST_EXCESS) & is_part & (p <= _MAX_P),
            "is_new": (was == 0) & (len(past) > 0),
        }
    )
    return table.sort_values(["excess_ratio", "value"], ascending=[False, True], kind="stable").head(_MOST)


def _text(codes: Codes, rows: Array) -> pd.Series:
    """Return an attribute of some spans as text."""
    return pd.Series(np.array([*codes.labels, None], object)[codes.codes[rows]])


def _against_others(code: Array, value: Array, weight: Array, size: Array, *, is_event: bool) -> Array:
    """Return by value of an attribute a p-value for its calls having more excess than those with other values."""
    tried = np.argsort(-size, kind="stable")[:_MOST]
    p = np.ones(len(size))
    if len(tried) > 1:
        n = len(tried)
        group, at = np.repeat(np.arange(n), len(code)), np.tile(np.arange(len(code)), n)
        sample = Sample(group, value[at], code[at] == tried[group], weight[at], np.zeros(len(at), np.int64), n)
        found = exceeds(sample, (value[at] > 0)[:, None]) if is_event else larger(sample)
        p[tried] = np.minimum(1.0, found.p_value * n)
    return p
