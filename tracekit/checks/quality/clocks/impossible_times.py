"""S26: impossible timestamps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.clock_skew.calls import clocks
from tracekit.attributes import join, pick
from tracekit.checks.merged import Merged, known_to
from tracekit.checks.quality.clocks.host_pairs import clock_limits
from tracekit.checks.shares import Events, added, events_of, share_sums, shares_of
from tracekit.checks.verdicts import status_of_low_share, without_weighted_traces
from tracekit.findings import Estimate, Status, finding, not_assessable
from tracekit.redaction.scan import labels_shown
from tracekit.schema import Quality
from tracekit.text import count, plural, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.columns import Array, SpanColumns
    from tracekit.findings import Finding
    from tracekit.stats.aggregates import Aggregate

CHECK, _SUBJECT = "time.order", "Invalid timestamps"
_MOST = 0.001
_YEAR_2000_NS = 946_684_800 * 10**9
_MILLISECOND_NS = 1_000_000
_UNITS = (("seconds", 10**10), ("milliseconds", 10**13), ("microseconds", 10**16))
_SDK = ("telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version")
_KEYS: Final = ["service_name", "sdk", "host"]
_NAMES = ["sign", "service_name", "sdk", "host", "span_count", "all_count", "ratio", "low", "high"]


def impossible_times(case: Case) -> list[Finding]:
    """Return the spans with impossible times.

    Negative and implausibly long durations (an end at the epoch or in another unit); children that start before their
    parents by more than the possible clock skew (``clock.offset``; 0 on one clock) and the resolution of their times (a
    millisecond where only one of both starts at a whole one, as spans of the SDK of JavaScript do); times after ``now``
    (default: a day after reading); starts in seconds, milliseconds or microseconds instead of nanoseconds, including
    those quarantined when reading; other starts before the year 2000; missing starts.  The evidence has one row per
    sign, service, SDK and host (``time_origins``).  Shares are weighted and clustered by trace.  A wrong unit fails;
    the rest warns above 0.1%.  Assumes that a child starts after its parent.
    """
    seen = case.result(SEEN)
    if not seen.whole.trial_count:
        return [not_assessable(CHECK, _SUBJECT, "spans")]
    evidence = time_origins(case)
    total, impossible = seen.whole.trial_count, seen.whole.event_count
    whole = shares_of(case, seen.whole.whole).ratio
    value, low, high = (float(column[0]) for column in (whole.ratio, whole.low, whole.high))
    if np.isnan(value):
        return [without_weighted_traces(CHECK, _SUBJECT)]
    issues = case.source.issues
    aside = int(issues.loc[issues["code"] == "TIME_UNIT", "issue_count"].sum())
    wrong_unit = bool(aside) or any(sign.startswith("in ") and "instead of" in sign for sign in seen.signs)
    status: Status = "failed" if wrong_unit else status_of_low_share(low, high, warn=_MOST) if impossible else "ok"
    of = plural(total, "span")
    many = f"{ratio(value)} ({case.ci} {ratio_range(low, high)}) of {of}" if impossible else f"none in {of}"
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
            estimate=Estimate(value, "ratio", low, high, total, float(whole.n_effective[0])),
            assumptions=("a child starts after its parent",),
            remedy=""
            if status in {"ok", "inconclusive"}
            else "Fix the time unit in these SDKs and the clocks of these hosts; see traces.issues.",
            exemplars=seen.whole.examples,
        )
    ]


class _Seen(NamedTuple):
    """Spans and those with any sign of an impossible time, and the signs that occur."""

    whole: Events
    signs: frozenset[str]

    def plus(self, other: _Seen) -> _Seen:
        """Return those of two parts."""
        return _Seen(self.whole.plus(other.whole), self.signs | other.signs)


def _all_signs(case: Case) -> dict[str, Array]:
    """Return which spans show each sign."""
    return {**_units(case), **_signs(case)}


def _seen(case: Case) -> _Seen:
    """Return the spans of a part with a sign."""
    signs = case.result(_all_signs)
    impossible = np.any(list(signs.values()), axis=0)
    found = events_of(case, case.traces.forest.trace, impossible, {})
    return _Seen(found, frozenset(sign for sign, mask in signs.items() if mask.any()))


SEEN: Final[Merged[_Seen]] = Merged(_seen, _Seen.plus, needs=(clock_limits,))


def signs_seen(case: Case) -> frozenset[str]:
    """Return the signs that occur in any part."""
    found: frozenset[str] = case.result(SEEN).signs if case.known is None else known_to(case, signs_seen)
    return found


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
    by = spans.start_ns[above] - spans.start_ns[child]
    grain = np.maximum(spans.resolution_ns[child], spans.resolution_ns[above]).astype(np.int64)
    grain[_is_whole(spans, child) != _is_whole(spans, above)] = _MILLISECOND_NS  # SDKs of JavaScript start spans so
    suspect = timed & (by > grain)
    child, above, by = child[suspect], above[suspect], by[suspect]
    early[child] = by > _behind(case, child, above)
    return early


def _is_whole(spans: SpanColumns, rows: Array) -> Array:
    """Return whether these spans start at a whole millisecond, as far as the resolution of their times says."""
    beyond = spans.start_ns[rows] % _MILLISECOND_NS
    return np.asarray(np.minimum(beyond, _MILLISECOND_NS - beyond) < spans.resolution_ns[rows])


def _behind(case: Case, child: Array, parent: Array) -> Array:
    """Return the most by which the child's clock may be behind its parent's (ns): 0 on one clock."""
    clock, pairs = clocks(case.traces), case.result(clock_limits)
    child_clock, parent_clock = clock.codes[child].astype(np.int64), clock.codes[parent].astype(np.int64)
    most = np.full(len(child), np.iinfo(np.int64).max)
    number = {name: code for code, name in enumerate(clock.labels)}
    first, second = (np.array([number.get(one, -1) for one in side], np.int64) for side in (pairs.host, pairs.peer))
    here = np.flatnonzero((first >= 0) & (second >= 0))
    if len(here):
        size = len(clock.labels)
        known = first[here] * size + second[here]
        order = np.argsort(known)
        known, here = known[order], here[order]
        key = np.minimum(child_clock, parent_clock) * size + np.maximum(child_clock, parent_clock)
        at = np.minimum(np.searchsorted(known, key), len(known) - 1)
        ahead = np.where(parent_clock < child_clock, -pairs.low[here][at], pairs.high[here][at])
        most = np.where(known[at] == key, np.maximum(ahead, 0), most)
    return np.where(child_clock == parent_clock, 0, most)


def _origins(case: Case) -> dict[str, Aggregate]:
    """Return the spans of a part by service, SDK and host, and those with each sign that occurs in any part."""
    columns = {"service_name": case.service, "sdk": _sdk(case), "host": _host(case)}
    signs, trace = case.result(_all_signs), case.traces.forest.trace
    coded = {name: (one.codes, one.labels) for name, one in columns.items()}
    return {sign: share_sums(case, trace, signs[sign], coded) for sign in sorted(case.result(signs_seen))}


def _added_origins(first: dict[str, Aggregate], second: dict[str, Aggregate]) -> dict[str, Aggregate]:
    """Return those of two parts."""
    return {sign: added(first[sign], second[sign]) for sign in first}


ORIGINS: Final[Merged[dict[str, Aggregate]]] = Merged(_origins, _added_origins, needs=(clock_limits, signs_seen))


def time_origins(case: Case) -> pd.DataFrame:
    """Return the services, SDKs and hosts with each sign, the most spans first.

    A faulty SDK affects all its hosts, a faulty clock all SDKs of one host.  Assumes that the resource describes the
    process that took the times; proxies that rewrite it hide the host.
    Source: resource semantic conventions of OpenTelemetry (``telemetry.sdk.*``, ``host.name``).
    """
    if not case.result(signs_seen):
        return pd.DataFrame(columns=_NAMES)
    parts = [_of_sign(case, sign, sums) for sign, sums in case.result(ORIGINS).items()]
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


def _of_sign(case: Case, sign: str, sums: Aggregate) -> pd.DataFrame:
    """Return the rows of one sign: the affected groups with their share of spans."""
    found = shares_of(case, sums, _KEYS)
    at = np.flatnonzero(found.event_count)
    limits = {"ratio": found.ratio.ratio[at], "low": found.ratio.low[at], "high": found.ratio.high[at]}
    counts = {"span_count": found.event_count[at], "all_count": found.trial_count[at]}
    return pd.DataFrame({**{name: found.keys[name][at] for name in _KEYS}, **counts, **limits}).assign(sign=sign)


def _shown(labels: pd.Series) -> pd.Series:
    """Return labels with PII masked; missing ones stay missing."""
    known = labels.dropna().unique().tolist()
    return labels.map(dict(zip(known, labels_shown(known), strict=True)), na_action="ignore")
