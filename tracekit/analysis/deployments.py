"""Deployments: versions that appeared in the traces, or times that the user gives; changes that coincide with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.schema import Quality
from tracekit.stats.grouping import dense_codes

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

COLUMNS = ("service_name", "service_version", "previous_version", "first_ns", "first_time")
_VERSION = ["service_name", "service_version"]
_TIMES = ("first_ns", "first_time", "time")
_STARTS, _LEVEL = 512, 0.01
_BEFORE = 2  # steps of the timeline before the onset interval in which a deployment still coincides


def deployments_of(traces: TraceSet) -> pd.DataFrame:
    """Return the versions that appeared after another version of their service."""
    return deployments_in(first_versions(traces))


def first_versions(traces: TraceSet) -> pd.DataFrame:
    """Return the versions of each service: first and last start, number of traces, when the first and last began."""
    service, version = traces.codes("service_name"), traces.codes("service_version")
    spans, forest = traces.columns.spans, traces.forest
    dated = ((spans.quality & Quality.NO_START) == 0) & ~traces.is_inferred
    rows = np.flatnonzero(dated & (version.codes >= 0) & (service.codes >= 0))
    count = max(len(version.labels), 1)
    own = service.codes.astype(np.int64) * count + version.codes
    group, pair = dense_codes(own[rows], count * len(service.labels))
    first = np.full(len(pair), np.iinfo(np.int64).max)
    last = np.full(len(pair), np.iinfo(np.int64).min)
    np.minimum.at(first, group, spans.start_ns[rows])
    np.maximum.at(last, group, spans.start_ns[rows])
    _, seen = dense_codes(group * len(traces) + forest.trace[rows], len(pair) * len(traces))
    version_of, trace = seen // len(traces), seen % len(traces)
    root, elsewhere = _request_starts(traces, service.codes, dated)
    is_own_root = service.codes[forest.root_row][trace] == pair[version_of] // count
    begun_ns = np.where(is_own_root, elsewhere[trace], root[trace])
    begun = np.split(begun_ns, np.searchsorted(version_of, np.arange(1, len(pair))))[: len(pair)]
    return pd.DataFrame(
        {
            "service_name": np.array(service.labels, object)[pair // count],
            "service_version": np.array(version.labels, object)[pair % count],
            "first_ns": first,
            "last_ns": last,
            "trace_count": np.array([len(each) for each in begun], np.int64),
            "starts": pd.Series([np.sort(each)[:_STARTS] for each in begun], dtype=object),
            "latest": pd.Series([np.sort(each)[-_STARTS:] for each in begun], dtype=object),
        }
    )


def _request_starts(traces: TraceSet, service: Array, dated: Array) -> tuple[Array, Array]:
    """Return the start of each trace by its root span, and by its first span of another service than the root's.

    Versions are put in order by a clock that is not their own: hosts of one version with a fast clock are no
    deployment.  A trace of one service has no other clock.
    """
    spans, forest = traces.columns.spans, traces.forest
    none = np.iinfo(np.int64).max
    start = np.where(dated, spans.start_ns, none)
    first = np.minimum.reduceat(start, forest.starts[:-1])
    root = np.where(dated[forest.root_row], spans.start_ns[forest.root_row], first)
    is_elsewhere = service != service[forest.root_row][forest.trace]
    elsewhere = np.minimum.reduceat(np.where(is_elsewhere, start, none), forest.starts[:-1])
    return root, np.where(elsewhere < none, elsewhere, root)


def earliest(versions: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the versions of all frames, which have no traces in common."""
    groups = pd.concat(versions).groupby(_VERSION)
    found: pd.DataFrame = groups.agg(
        first_ns=("first_ns", "min"),
        last_ns=("last_ns", "max"),
        trace_count=("trace_count", "sum"),
        starts=("starts", _first),
        latest=("latest", _last),
    ).reset_index()
    return found


def _first(starts: pd.Series) -> Array:
    """Return the first starts of several parts."""
    return np.sort(np.concatenate(starts.tolist()))[:_STARTS]


def _last(starts: pd.Series) -> Array:
    """Return the last starts of several parts."""
    return np.sort(np.concatenate(starts.tolist()))[-_STARTS:]


def deployments_in(versions: pd.DataFrame) -> pd.DataFrame:
    """Return the versions that appeared after others of their service, which is beyond chance or followed by none.

    Versions that serve side by side all the time have a first trace each, one after the other.  A version appeared
    later if none of the others has a trace since, or if, with all traces of the service in random order, so many
    without it would come first in one of 100 recordings at most (Bonferroni over the versions).  The first and the
    last 512 traces of each version are looked at, so a version on less than 1% of the traffic may be missed.  Traces
    are in order by the clock of another service (the root span's), where they have one.
    """
    begun = versions.assign(begun_ns=[each[0] for each in versions["starts"]])
    first = begun.sort_values(["begun_ns", *_VERSION], ignore_index=True)
    first.insert(2, "previous_version", first.groupby("service_name")["service_version"].shift())
    later = first["previous_version"].notna()
    chance = [_chance(first, at) if is_later else 1.0 for at, is_later in enumerate(later)]
    is_new = np.array(chance) * max(int(later.sum()), 1) < _LEVEL
    new = first.loc[is_new, list(COLUMNS[:4])].sort_values(["first_ns", *_VERSION], ignore_index=True)
    new["first_time"] = pd.to_datetime(new["first_ns"].astype("int64"), utc=True)
    return new


def _earlier(version: Any, time_ns: int) -> int:
    """Return how many traces of a version are earlier than a time, or at least as many as are looked at."""
    since = int((version.latest >= time_ns).sum())
    if since < len(version.latest):
        return int(version.trace_count) - since
    return int((version.starts < time_ns).sum())


def _chance(versions: pd.DataFrame, at: int) -> float:
    """Return how likely a version of ``versions``, in order of time, is first seen so late by chance; 0 if it is alone.

    The probability that of the traces of this version and of those before it, in random order, the first ones are all
    of the others: ``prod (others - i) / (all - i)``.
    """
    one, before = versions.iloc[at], versions.iloc[:at]
    others = before[before["service_name"] == one["service_name"]]
    if all(latest[-1] < one["begun_ns"] for latest in others["latest"]):
        return 0.0
    count = int(others["trace_count"].sum())
    gone = np.arange(sum(_earlier(other, int(one["begun_ns"])) for other in others.itertuples()))
    return float(np.exp(np.log((count - gone) / (count + int(one["trace_count"]) - gone)).sum()))


def given_deployments(given: pd.DataFrame | Mapping[str, Any]) -> pd.DataFrame:
    """Return the deployments of a frame, or of a mapping from name to time, in the columns of ``deployments_of``."""
    if isinstance(given, Mapping):
        given = pd.DataFrame({"service_name": list(given), "time": list(given.values())}, dtype=object)
    if not isinstance(given, pd.DataFrame):
        message = f"expected deployments as a frame or as a mapping from name to time, found {type(given).__name__}"
        raise TypeError(f"{message}; for example {{'ledger 1.5.0': '2026-11-21T05:00'}}")
    name = next((column for column in _TIMES if column in given), None)
    if name is None or "service_name" not in given:
        message = (
            f"expected deployments with the columns service_name and first_time, found {', '.join(map(str, given))}"
        )
        raise ValueError(message)
    labels = given["service_name"].tolist()
    times = [_time_ns(label, time) for label, time in zip(labels, given[name].tolist(), strict=True)]
    columns = {column: given[column].tolist() if column in given else None for column in COLUMNS[1:3]}
    found = pd.DataFrame({"service_name": labels, **columns, "first_ns": np.array(times, np.int64)}, dtype=object)
    found["first_ns"] = found["first_ns"].astype("int64")
    found["first_time"] = pd.to_datetime(found["first_ns"], utc=True)
    return found.sort_values("first_ns", kind="stable", ignore_index=True)


def renamed(
    given: pd.DataFrame | Mapping[str, Any] | None, texts: Callable[[Sequence[str]], list[str]]
) -> pd.DataFrame | None:
    """Return deployments with other names and versions, in the columns of ``deployments_of``; None for none."""
    if given is None:
        return None
    found = given_deployments(given)
    for name in COLUMNS[:3]:
        is_text = found[name].map(lambda value: isinstance(value, str)).to_numpy(bool)
        found.loc[is_text, name] = texts(found.loc[is_text, name].tolist())
    return found


def _time_ns(name: object, time: Any) -> int:
    """Return a time in ns since the epoch; UTC without a time zone."""
    try:
        at = pd.Timestamp(time)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected a time for deployment {name!r}, found {time!r}") from error
    if pd.isna(at):
        raise ValueError(f"expected a time for deployment {name!r}, found {time!r}")
    at = at.tz_localize("UTC") if at.tzinfo is None else at.tz_convert("UTC")
    return int(at.as_unit("ns").value)


def labels_of(deployments: pd.DataFrame) -> list[str]:
    """Return the name of each deployment: service and version."""
    rows = zip(deployments["service_name"], deployments["service_version"], strict=True)
    return [" ".join(str(part) for part in row if not pd.isna(part)) for row in rows]


def coinciding(changes: pd.DataFrame, deployments: pd.DataFrame, step_ns: int) -> list[str]:
    """Return the deployments within each interval of ``changes``, or at most two steps before it, as text."""
    names, first = labels_of(deployments), deployments["first_ns"].to_numpy(np.int64)
    out = []
    for low, high in zip(changes["low_ns"], changes["high_ns"], strict=True):
        near = np.flatnonzero((first >= low - _BEFORE * step_ns) & (first <= high))
        out.append(", ".join(names[at] for at in near))
    return out
