"""Deployments: versions that appeared in the traces, or times that the user gives; changes that coincide with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.schema import Quality

if TYPE_CHECKING:
    from tracekit.traces import TraceSet

COLUMNS = ("service_name", "service_version", "previous_version", "first_ns", "first_time")
_VERSION = ["service_name", "service_version"]
_TIMES = ("first_ns", "first_time", "time")
_BEFORE = 2  # steps of the timeline before the onset interval in which a deployment still coincides


def deployments_of(traces: TraceSet) -> pd.DataFrame:
    """Return the versions that appeared after another version of their service."""
    return deployments_in(first_versions(traces))


def first_versions(traces: TraceSet) -> pd.DataFrame:
    """Return the first time of each version of each service."""
    service, version = traces.codes("service_name"), traces.codes("service_version")
    spans = traces.columns.spans
    dated = ((spans.quality & Quality.NO_START) == 0) & ~traces.is_inferred
    rows = np.flatnonzero(dated & (version.codes >= 0) & (service.codes >= 0))
    pairs = service.codes[rows].astype(np.int64) * len(version.labels) + version.codes[rows]
    pair, group = np.unique(pairs, return_inverse=True)
    first = np.full(len(pair), np.iinfo(np.int64).max)
    np.minimum.at(first, group, spans.start_ns[rows])
    seen = pd.DataFrame(
        {
            "service_name": np.array(service.labels, object)[pair // max(len(version.labels), 1)],
            "service_version": np.array(version.labels, object)[pair % max(len(version.labels), 1)],
            "first_ns": first,
        }
    )
    return earliest([seen])


def earliest(versions: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the first time of each version in any of the frames."""
    found: pd.DataFrame = pd.concat(versions).groupby(_VERSION)["first_ns"].min().reset_index()
    return found


def deployments_in(versions: pd.DataFrame) -> pd.DataFrame:
    """Return the versions that appeared after another one of their service, from the first time of each."""
    first = versions.sort_values(["first_ns", *_VERSION], ignore_index=True)
    first.insert(2, "previous_version", first.groupby("service_name")["service_version"].shift())
    new = first.loc[first["previous_version"].notna()].reset_index(drop=True)
    new["first_time"] = pd.to_datetime(new["first_ns"].astype("int64"), utc=True)
    return new


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
