"""Origin of impossible times: service, SDK and host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.attributes import join, pick
from tracekit.checks.quality.pii.scan import labels_shown
from tracekit.checks.words import number
from tracekit.stats.grouping import group_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.columns import Array

_SDK = ("telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version")
_NAMES = ["sign", "service_name", "sdk", "host", "span_count", "all_count", "ratio", "low", "high"]


def time_origins(case: Case, signs: Mapping[str, Array]) -> pd.DataFrame:
    """Return the services, SDKs and hosts with each sign, the most spans first.

    A faulty SDK affects all its hosts, a faulty clock all SDKs of one host.  Assumes that the resource describes the
    process that took the times; proxies that rewrite it hide the host.
    Source: resource semantic conventions of OpenTelemetry (``telemetry.sdk.*``, ``host.name``).
    """
    seen = {sign: mask for sign, mask in signs.items() if mask.any()}
    if not seen:
        return pd.DataFrame(columns=_NAMES)
    columns = {"service_name": case.service, "sdk": _sdk(case), "host": _host(case)}
    group, table = group_rows({name: (one.codes, one.labels) for name, one in columns.items()}, len(case.service.codes))
    table["all_count"] = np.bincount(group, minlength=len(table))
    parts = [_of_sign(case, sign, mask, group, table) for sign, mask in seen.items()]
    found = pd.concat(parts, ignore_index=True)[_NAMES]
    for name in ("sdk", "host"):
        found[name] = _shown(found[name])
    return found.sort_values("span_count", ascending=False, ignore_index=True, kind="stable")


def describe_origin(origins: pd.DataFrame) -> str:
    """Return the sign and service with the most spans as text, with their SDK and host if known."""
    by_service = origins.groupby(["sign", "service_name"], sort=False)["span_count"].sum().reset_index()
    most = by_service.iloc[int(by_service["span_count"].argmax())]
    rows = origins[(origins["sign"] == most["sign"]) & (origins["service_name"] == most["service_name"])]
    text = f"{most['sign']} ({number(most['span_count'])} spans of `{most['service_name']}`"
    if rows["sdk"].notna().all():
        sdks = rows["sdk"].unique()
        text += f", all written by `{sdks[0]}`" if len(sdks) == 1 else f", written by {len(sdks)} SDKs"
    if rows["host"].notna().all():
        hosts = rows["host"].unique()
        text += f", all on `{hosts[0]}`" if len(hosts) == 1 else f", on {number(len(hosts))} hosts"
    return text + ")"


def _sdk(case: Case) -> Codes:
    """Return name, language and version of the SDK of each span."""
    traces = case.traces
    resources = traces.lookup.resources_by_key
    return join([resources.codes_of((key,)) for key in _SDK]).take(traces.columns.spans.resource)


def _host(case: Case) -> Codes:
    """Return the host of each span, or its instance if the host is unknown."""
    return pick([case.traces.codes("host_name"), case.traces.codes("service_instance_id")])[0]


def _of_sign(case: Case, sign: str, mask: Array, group: Array, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one sign: the affected groups with their share of spans."""
    count = np.bincount(group[mask], minlength=len(table))
    shown = count > 0
    rows = np.flatnonzero(shown[group])
    found = case.ratio(case.traces.forest.trace[rows], mask[rows], group[rows], len(table))
    return table.assign(sign=sign, span_count=count, ratio=found.ratio, low=found.low, high=found.high)[shown]


def _shown(labels: pd.Series) -> pd.Series:
    """Return labels with PII masked; missing ones stay missing."""
    known = labels.dropna().unique().tolist()
    return labels.map(dict(zip(known, labels_shown(known), strict=True)), na_action="ignore")
