"""S26: impossible timestamps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.clock_skew.calls import clocks
from tracekit.attributes import join, pick
from tracekit.checks.quality.clocks.host_pairs import host_pairs
from tracekit.checks.verdicts import status_of_low_share, without_weighted_traces
from tracekit.findings import Estimate, Status, finding, not_assessable
from tracekit.redaction.scan import labels_shown
from tracekit.schema import Quality
from tracekit.stats.grouping import group_rows
from tracekit.text import count, plural, ratio, ratio_range

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "time.order", "Invalid timestamps"
_MOST = 0.001
_YEAR_2000_NS = 946_684_800 * 10**9
_UNITS = (("seconds", 10**10), ("milliseconds", 10**13), ("microseconds", 10**16))
_SDK = ("telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version")
_NAMES = ["sign", "service_name", "sdk", "host", "span_count", "all_count", "ratio", "low", "high"]


def impossible_times(case: Case) -> list[Finding]:
    """Return the spans with impossible times.

    Negative and implausibly long durations (an end at the epoch or in another unit); children that start before their
    parents by more than the possible clock skew (``clock.offset``; 0 on one clock); times after ``now`` (default: a day
    after reading); starts in seconds, milliseconds or microseconds instead of nanoseconds, including those quarantined
    when reading; other starts before the year 2000; missing starts.  The evidence has one row per sign, service, SDK
    and host (``time_origins``).  Shares are weighted and clustered by trace.  A wrong unit fails; the rest warns above
    0.1%.  Assumes that a child starts after its parent.
    """
    spans = case.traces.columns.spans
    if not len(spans):
        return [not_assessable(CHECK, _SUBJECT, "spans")]
    signs = {**_units(case), **_signs(case)}
    evidence = time_origins(case, signs)
    trace = case.traces.forest.trace
    impossible = np.any(list(signs.values()), axis=0)
    whole = case.ratio(trace, impossible)
    value, low, high = (float(column[0]) for column in (whole.ratio, whole.low, whole.high))
    if np.isnan(value):
        return [without_weighted_traces(CHECK, _SUBJECT)]
    issues = case.traces.columns.issues
    aside = int(issues.loc[issues["code"] == "TIME_UNIT", "issue_count"].sum())
    wrong_unit = bool(aside) or any(signs[name].any() for name in signs if name.startswith("in "))
    status: Status = (
        "failed" if wrong_unit else status_of_low_share(low, high, warn=_MOST) if impossible.any() else "ok"
    )
    total = plural(len(spans), "span")
    many = f"{ratio(value)} ({case.ci} {ratio_range(low, high)}) of {total}" if impossible.any() else f"none in {total}"
    text = f"{_SUBJECT}: {many}"
    if len(evidence):
        text += f", most of them {describe_origin(evidence)}"
    text += f"; {plural(aside, 'span')} in another unit were quarantined" * bool(aside)
    meaning = {
        "ok": "",
        "inconclusive": "Too few spans to decide whether more than 0.1% are affected.",
    }
    text = (
        f"{text}. {meaning.get(status, 'Durations, order and critical paths of these spans are not usable.')}".rstrip()
    )
    return [
        finding(
            CHECK,
            status,
            text,
            evidence,
            estimate=Estimate(value, "ratio", low, high, len(spans), float(whole.n_effective[0])),
            assumptions=("a child starts after its parent",),
            remedy=""
            if status in {"ok", "inconclusive"}
            else "Fix the time unit in these SDKs and the clocks of these hosts; see traces.issues.",
            exemplars=case.exemplars(trace[impossible]),
        )
    ]


def _units(case: Case) -> dict[str, Array]:
    """Return which spans start at a time in another unit than nanoseconds."""
    spans = case.traces.columns.spans
    start, known = spans.start_ns, (spans.quality & Quality.NO_START) == 0
    found = {}
    for (name, high), floor in zip(_UNITS, (10**9, 10**6, 10**3), strict=True):
        low = _YEAR_2000_NS // floor
        found[f"in {name} instead of nanoseconds"] = known & (start >= low) & (start < high)
    other_unit = np.any(list(found.values()), axis=0)
    return {**found, "before the year 2000 (a clock that was not set)": known & (start < _YEAR_2000_NS) & ~other_unit}


def _signs(case: Case) -> dict[str, Array]:
    """Return which spans show each of the other signs."""
    spans = case.traces.columns.spans
    start, quality = spans.start_ns, spans.quality
    no_start = (quality & Quality.NO_START) != 0
    later = (quality & Quality.TIME_FUTURE) != 0
    if case.now_ns is not None:
        later = ~no_start & (start > case.now_ns)
    return {
        "with a negative duration": (quality & Quality.DURATION_NEGATIVE) != 0,
        "implausibly long (one end at the epoch, or in another unit)": (quality & Quality.DURATION_ABSURD) != 0,
        "started before their parents": _before_parent(case),
        "in the future": later,
        "without a start": no_start,
    }


def _before_parent(case: Case) -> Array:
    """Return which spans start before their parents by more than the possible clock skew."""
    traces, spans = case.traces, case.traces.columns.spans
    early = np.zeros(len(spans), bool)
    parent = traces.forest.parent_row
    child = np.flatnonzero(parent >= 0)
    above = parent[child]
    timed = ((spans.quality[child] | spans.quality[above]) & Quality.NO_START) == 0
    grain = np.maximum(spans.resolution_ns[child], spans.resolution_ns[above]).astype(np.int64)
    by = spans.start_ns[above] - spans.start_ns[child]
    suspect = timed & (by > grain)
    child, above, by = child[suspect], above[suspect], by[suspect]
    early[child] = by > _behind(case, child, above)
    return early


def _behind(case: Case, child: Array, parent: Array) -> Array:
    """Return the most by which the child's clock may be behind its parent's (ns): 0 on one clock."""
    clock, pairs = clocks(case.traces).codes, case.result(host_pairs)
    child_clock, parent_clock = clock[child].astype(np.int64), clock[parent].astype(np.int64)
    size = len(pairs.names)
    known = pairs.host * size + pairs.peer
    key = np.minimum(child_clock, parent_clock) * size + np.maximum(child_clock, parent_clock)
    most = np.full(len(child), np.iinfo(np.int64).max)
    if len(known):
        at = np.minimum(np.searchsorted(known, key), len(known) - 1)
        ahead = np.where(parent_clock < child_clock, -pairs.agreement.low[at], pairs.agreement.high[at])
        most = np.where(known[at] == key, np.maximum(ahead, 0), most)
    return np.where(child_clock == parent_clock, 0, most)


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
    text = f"{most['sign']} ({count(most['span_count'])} spans of `{most['service_name']}`"
    if rows["sdk"].notna().all():
        sdks = rows["sdk"].unique()
        text += f", all written by `{sdks[0]}`" if len(sdks) == 1 else f", written by {len(sdks)} SDKs"
    if rows["host"].notna().all():
        hosts = rows["host"].unique()
        text += f", all on `{hosts[0]}`" if len(hosts) == 1 else f", on {count(len(hosts))} hosts"
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
