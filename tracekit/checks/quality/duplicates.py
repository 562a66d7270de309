"""S27: duplicate spans: repeated exports, reused span IDs, and double-counts of proxy and application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.shares import Events, events_of, shares_of
from tracekit.checks.verdicts import status_of_low_share, without_weighted_traces, worst_status
from tracekit.findings import Estimate, Finding, Status, finding, not_assessable
from tracekit.schema import Kind, Quality
from tracekit.stats.intervals import wilson
from tracekit.text import count, factor, factor_range, plural, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array

CHECK = "duplicates"
_MOST, _OVERLAP = 0.02, 0.95
_PROXIES = ("envoy", "istio", "linkerd", "nginx", "proxy", "mesh", "kong", "traefik")


def duplicates(case: Case) -> list[Finding]:
    """Return the duplicate spans of three kinds.

    (a) Copies: one span exported again; reading merges them, so counts are correct, but the share indicates export
    retries.  (b) One ID, different content: client and server of one call that share an ID (Zipkin's B3) are not
    duplicates; others come from a process that copied the random state of another.  (c) Proxy duplicates: a parent and
    its only child, both SERVER or both CLIENT, of one service or one of them a proxy, of different instrumentation
    scopes, one covering 95% of the other, and not of different routes or methods.  Shares are clustered by trace and
    weighted; requests counted from spans are too high by the factor ``1 / (1 - share)``.  Above 1.02: warning.  Assumes
    that the work of a proxy takes less than 5% of the request.

    Source: B3 propagation.
    """
    if not case.result(SPANS):
        return [not_assessable(CHECK, "Duplicate spans", "spans")]
    return [_copies(case), _reused_ids(case), _proxy_duplicates(case)]


def _copies(case: Case) -> Finding:
    """Return the finding on copies that reading merged."""
    sources = case.source.sources
    merged, seen = int(sources["merged_count"].sum()), int(sources["span_count"].sum())
    low, high = (float(limit) for limit in wilson(merged / max(seen, 1), seen, confidence=case.confidence))
    share = merged / max(seen, 1)
    text = (
        f"Duplicate spans: {ratio(share)} ({case.ci} {ratio_range(low, high)}) of {plural(seen, 'span')} read were "
        f"copies and were merged; counts are correct."
        if merged
        else f"Duplicate spans: none among {plural(seen, 'span')} read."
    )
    status: Status = "warning" if low > _MOST else "ok"
    text += " Exporters resend more than 2% of the spans." if status == "warning" else ""
    estimate = Estimate(share, "ratio", low, high, seen)
    remedy = "Look for timeouts between exporters and collectors." if status == "warning" else ""
    return finding(
        f"{CHECK}.copies",
        status,
        text,
        sources[["uri", "span_count", "merged_count"]],
        estimate=estimate,
        remedy=remedy,
    )


class _Reused(NamedTuple):
    """Spans that share an ID with a different span, by service, and how many share one as client and server."""

    events: Events
    shared_count: int

    def plus(self, other: _Reused) -> _Reused:
        """Return those of two parts."""
        return _Reused(self.events.plus(other.events), self.shared_count + other.shared_count)


def _span_count(case: Case) -> int:
    """Return the number of spans of a part."""
    return len(case.traces.columns.spans)


def _reused(case: Case) -> _Reused:
    """Return the spans of a part that share an ID."""
    spans, trace = case.traces.columns.spans, case.traces.forest.trace
    is_double, is_shared = ((spans.quality & flag) != 0 for flag in (Quality.DUPLICATE, Quality.SHARED))
    rows = np.flatnonzero(is_double)
    forked = rows[~_of_one_call(case, rows)]
    is_forked = np.zeros(len(spans), bool)
    is_forked[forked] = True
    server = np.flatnonzero(is_shared & ~is_double)  # says itself that its ID is that of its client
    client = case.traces.forest.parent_row[server]
    with_client = (client >= 0) & (spans.span_id[client] == spans.span_id[server]) & ~is_double[client]
    shared_count = len(rows) - len(forked) + len(server) + int(with_client.sum())
    return _Reused(events_of(case, trace, is_forked, {"service_name": case.service}), shared_count)


SPANS: Final[Merged[int]] = Merged(_span_count, int.__add__)
REUSED: Final[Merged[_Reused]] = Merged(_reused, _Reused.plus)


def _reused_ids(case: Case) -> Finding:
    """Return the finding on spans that share an ID."""
    seen, shared = case.result(REUSED)
    total, forked = seen.trial_count, seen.event_count
    found = shares_of(case, seen.whole).ratio
    value, low, high = (float(column[0]) for column in (found.ratio, found.low, found.high))
    by_service = seen.by_group.by(["service_name"])
    evidence = pd.DataFrame(by_service.keys).assign(span_count=by_service.sums["event_count"])
    evidence = evidence[(evidence["span_count"] > 0) & evidence["service_name"].notna()]
    order = ["span_count", "service_name"]
    evidence = evidence.sort_values(order, ascending=[False, True], ignore_index=True)
    also = (
        f" {plural(shared, 'span shares its ID', 'spans share IDs')} as client and server of one call (Zipkin B3), "
        f"which is normal."
        if shared
        else ""
    )
    share = "" if np.isnan(value) else f" ({ratio(value)}, {case.ci} {ratio_range(low, high)})"
    if not forked:
        text = f"Reused span IDs: none among {count(total)} spans.{also}"
    else:
        text = (
            f"Reused span IDs: {plural(forked, 'span')}{share} of {count(total)} share an ID with a "
            f"different span, most of them in `{evidence['service_name'].iloc[0]}`. The parent of their children is "
            f"ambiguous.{also}"
        )
    status: Status = "warning" if forked else "ok"
    estimate = Estimate(value, "ratio", low, high, total, float(found.n_effective[0]))
    remedy = "Seed the id generator of these processes after they fork." if forked else ""
    return finding(
        f"{CHECK}.ids",
        status,
        text,
        evidence,
        estimate=estimate,
        remedy=remedy,
        exemplars=seen.examples,
    )


def _of_one_call(case: Case, rows: Array) -> Array:
    """Return which of these spans share their ID with exactly one other, as client and server of one call."""
    spans, trace = case.traces.columns.spans, case.traces.forest.trace
    key = pd.MultiIndex.from_arrays([trace[rows], spans.span_id[rows]])
    group, _ = pd.factorize(key)
    size = np.bincount(group)
    kind = spans.kind[rows]
    has = [np.bincount(group[np.isin(kind, pair)], minlength=len(size)) == 1 for pair in _CALL]
    return np.asarray(((size == 2) & has[0] & has[1])[group]) if len(rows) else np.zeros(0, bool)  # noqa: PLR2004 - a pair


_CALL = ((Kind.CLIENT, Kind.PRODUCER), (Kind.SERVER, Kind.CONSUMER))


def _sides(case: Case) -> Events:
    """Return the client and server spans of a part, and those that duplicate the span of a proxy, by service."""
    traces, spans = case.traces, case.traces.columns.spans
    rows = np.flatnonzero(_are_sides(case))
    columns = {
        "service_name": case.service.take(rows),
        "kind": ((spans.kind[rows] == Kind.SERVER).astype(np.int64), ["CLIENT", "SERVER"]),
    }
    return events_of(case, traces.forest.trace[rows], _is_proxy_duplicate(case)[rows], columns)


SIDES: Final[Merged[Events]] = Merged(_sides, Events.plus)


def _proxy_duplicates(case: Case) -> Finding:
    """Return the finding on requests that both a proxy and the application recorded."""
    seen = case.result(SIDES)
    if not seen.trial_count:
        return not_assessable(f"{CHECK}.proxy", _PROXY_SUBJECT, "spans of kind SERVER or CLIENT")
    found = shares_of(case, seen.by_group, ["service_name", "kind"])
    at = np.flatnonzero(found.event_count)
    limits = (each[at] for each in (found.ratio.ratio, found.ratio.low, found.ratio.high))
    times = 1 / (1 - np.minimum(np.stack(list(limits)), 0.999))
    evidence = pd.DataFrame(
        {
            **{name: labels[at] for name, labels in found.keys.items()},
            "duplicate_count": found.event_count[at],
            "span_count": found.trial_count[at],
            "factor": times[0],
            "low": times[1],
            "high": times[2],
        }
    )
    pairs = zip(evidence["low"], evidence["high"], strict=True)
    evidence["status"] = [status_of_low_share(*pair, warn=1 + _MOST) for pair in pairs]
    order = ["factor", "service_name", "kind"]
    evidence = evidence.sort_values(order, ascending=[False, True, True], ignore_index=True)
    status = worst_status(evidence["status"].tolist())
    if status == "not_assessable":
        return without_weighted_traces(f"{CHECK}.proxy", _PROXY_SUBJECT)
    if status == "ok":
        text = f"{_PROXY_SUBJECT}: none among {count(seen.trial_count)} client and server spans."
        return finding(f"{CHECK}.proxy", "ok", text, evidence, assumptions=_ASSUMED)
    alike = evidence[evidence["status"] == status]
    row = alike.iloc[0]
    more = f" {len(alike) - 1} more services and kinds are affected." if len(alike) > 1 else ""
    more += f" Too few spans to decide whether this exceeds {factor(1 + _MOST)}." * (status != "warning")
    text = (
        f"{_PROXY_SUBJECT}: {count(row['duplicate_count'])} of {count(row['span_count'])} {row['kind'].lower()} "
        f"spans of `{row['service_name']}` duplicate the span of a proxy. Requests counted from spans are too high by "
        f"{factor(row['factor'])} ({case.ci} {factor_range(row['low'], row['high'])}); these are not "
        f"repeated calls.{more}"
    )
    estimate = Estimate(float(row["factor"]), "times", float(row["low"]), float(row["high"]), int(row["span_count"]))
    remedy = "Count spans of one instrumentation scope only, or only the outer span." if status == "warning" else ""
    return finding(
        f"{CHECK}.proxy",
        status,
        text,
        evidence,
        estimate=estimate,
        assumptions=_ASSUMED,
        remedy=remedy,
        exemplars=seen.examples,
    )


_PROXY_SUBJECT = "Proxy/app double-count"
_ASSUMED = ("the work of a proxy takes less than 5% of the request",)


def _are_sides(case: Case) -> Array:
    """Return which spans are client or server spans that were recorded."""
    kind = case.traces.columns.spans.kind
    return np.asarray(((kind == Kind.SERVER) | (kind == Kind.CLIENT)) & ~case.traces.is_inferred)


def _is_proxy_duplicate(case: Case) -> Array:
    """Return which spans duplicate their parent: one was recorded by a proxy, the other by the application."""
    traces, spans = case.traces, case.traces.columns.spans
    parent = traces.forest.parent_row
    child = np.flatnonzero((parent >= 0) & _are_sides(case))
    child = child[spans.kind[child] == spans.kind[parent[child]]]
    above, scope = parent[child], np.append(traces.columns.scopes.name, -1)  # the name of each scope, -1 without
    same = scope[spans.scope[child]] != scope[spans.scope[above]]
    same &= np.diff(traces.forest.child_offsets)[above] == 1
    same &= traces.has_duration[child] & traces.has_duration[above]
    child, above = child[same], above[same]
    inner = np.minimum(spans.end_ns[child], spans.end_ns[above]) - np.maximum(
        spans.start_ns[child], spans.start_ns[above]
    )
    outer = np.maximum(traces.duration_ns[child], traces.duration_ns[above])
    alike = inner >= _OVERLAP * outer
    service = case.service.codes
    alike &= (service[child] == service[above]) | _by_proxy(case, child) | _by_proxy(case, above)
    for column in ("http_route", "http_request_method"):
        codes = traces.codes(column).codes
        alike &= (codes[child] == codes[above]) | (codes[child] < 0) | (codes[above] < 0)
    duplicate = np.zeros(len(spans), bool)
    duplicate[child[alike]] = True
    return duplicate


def _by_proxy(case: Case, row: Array) -> Array:
    """Return which of these spans come from a proxy, by the name of their scope or service."""
    columns, service = case.traces.columns, case.service

    def named(labels: list[str]) -> Array:
        return np.array([any(word in label.lower() for word in _PROXIES) for label in labels] + [False])

    scopes = named([columns.texts[name] if name >= 0 else "" for name in columns.scopes.name.tolist()])
    return np.asarray(scopes[columns.spans.scope[row]] | named(service.labels)[service.codes[row]])
