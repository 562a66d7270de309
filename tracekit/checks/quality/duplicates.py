"""S27: duplicate spans: repeated exports, reused span IDs, and double-counts of proxy and application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

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
    if not len(case.traces.columns.spans):
        return [not_assessable(CHECK, "Duplicate spans", "spans")]
    return [_copies(case), _reused_ids(case), _proxy_duplicates(case)]


def _copies(case: Case) -> Finding:
    """Return the finding on copies that reading merged."""
    sources = case.traces.columns.sources
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


def _reused_ids(case: Case) -> Finding:
    """Return the finding on spans that share an ID."""
    spans, trace = case.traces.columns.spans, case.traces.forest.trace
    rows = np.flatnonzero((spans.quality & (Quality.DUPLICATE | Quality.SHARED)) != 0)
    forked = rows[~_of_one_call(case, rows)]
    is_forked = np.zeros(len(spans), bool)
    is_forked[forked] = True
    found = case.ratio(trace, is_forked)
    value, low, high = (float(column[0]) for column in (found.ratio, found.low, found.high))
    service = case.service
    span_count = np.bincount(service.codes[forked], minlength=len(service.labels))
    at = np.flatnonzero(span_count)
    evidence = pd.DataFrame({"service_name": np.array(service.labels, object)[at], "span_count": span_count[at]})
    evidence = evidence.sort_values("span_count", ascending=False, ignore_index=True)
    shared = len(rows) - len(forked)
    also = (
        f" {plural(shared, 'span')} share IDs as client and server of one call (Zipkin B3), which is normal."
        if shared
        else ""
    )
    share = "" if np.isnan(value) else f" ({ratio(value)}, {case.ci} {ratio_range(low, high)})"
    if not len(forked):
        text = f"Reused span IDs: none among {count(len(spans))} spans.{also}"
    else:
        text = (
            f"Reused span IDs: {plural(len(forked), 'span')}{share} of {count(len(spans))} share an ID with a "
            f"different span, most of them in `{evidence['service_name'].iloc[0]}`. The parent of their children is "
            f"ambiguous.{also}"
        )
    status: Status = "warning" if len(forked) else "ok"
    estimate = Estimate(value, "ratio", low, high, len(spans), float(found.n_effective[0]))
    remedy = "Seed the id generator of these processes after they fork." if len(forked) else ""
    return finding(
        f"{CHECK}.ids",
        status,
        text,
        evidence,
        estimate=estimate,
        remedy=remedy,
        exemplars=case.exemplars(trace[forked]),
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


def _proxy_duplicates(case: Case) -> Finding:
    """Return the finding on requests that both a proxy and the application recorded."""
    traces, spans = case.traces, case.traces.columns.spans
    duplicate = _is_proxy_duplicate(case)
    sides = np.flatnonzero(np.isin(spans.kind, (Kind.SERVER, Kind.CLIENT)) & ~traces.is_inferred)
    if not len(sides):
        return not_assessable(f"{CHECK}.proxy", _PROXY_SUBJECT, "spans of kind SERVER or CLIENT")
    service, size = case.service, len(case.service.labels)
    group = service.codes[sides].astype(np.int64) * 2 + (spans.kind[sides] == Kind.SERVER)
    found = case.ratio(traces.forest.trace[sides], duplicate[sides], group, 2 * size)
    many = np.bincount(group[duplicate[sides]], minlength=2 * size)
    at = np.flatnonzero(many)
    times = 1 / (1 - np.minimum(np.stack((found.ratio[at], found.low[at], found.high[at])), 0.999))
    evidence = pd.DataFrame(
        {
            "service_name": np.array(service.labels, object)[at // 2],
            "kind": np.array(["CLIENT", "SERVER"], object)[at % 2],
            "duplicate_count": many[at],
            "span_count": np.bincount(group, minlength=2 * size)[at],
            "factor": times[0],
            "low": times[1],
            "high": times[2],
        }
    )
    limits = zip(evidence["low"], evidence["high"], strict=True)
    evidence["status"] = [status_of_low_share(*pair, warn=1 + _MOST) for pair in limits]
    evidence = evidence.sort_values("factor", ascending=False, ignore_index=True)
    status = worst_status(evidence["status"].tolist())
    if status == "not_assessable":
        return without_weighted_traces(f"{CHECK}.proxy", _PROXY_SUBJECT)
    if status == "ok":
        text = f"{_PROXY_SUBJECT}: none among {count(len(sides))} client and server spans."
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
    seen = case.exemplars(traces.forest.trace[duplicate])
    return finding(
        f"{CHECK}.proxy", status, text, evidence, estimate=estimate, assumptions=_ASSUMED, remedy=remedy, exemplars=seen
    )


_PROXY_SUBJECT = "Proxy/app double-count"
_ASSUMED = ("the work of a proxy takes less than 5% of the request",)


def _is_proxy_duplicate(case: Case) -> Array:
    """Return which spans duplicate their parent: one was recorded by a proxy, the other by the application."""
    traces, spans = case.traces, case.traces.columns.spans
    parent = traces.forest.parent_row
    child = np.flatnonzero((parent >= 0) & np.isin(spans.kind, (Kind.SERVER, Kind.CLIENT)) & ~traces.is_inferred)
    above = parent[child]
    scope = _scope_names(case)
    same = (spans.kind[child] == spans.kind[above]) & (scope[child] != scope[above])
    same &= np.diff(traces.forest.child_offsets)[above] == 1
    same &= traces.has_duration[child] & traces.has_duration[above]
    child, above = child[same], above[same]
    inner = np.minimum(spans.end_ns[child], spans.end_ns[above]) - np.maximum(
        spans.start_ns[child], spans.start_ns[above]
    )
    outer = np.maximum(traces.duration_ns[child], traces.duration_ns[above])
    alike = inner >= _OVERLAP * outer
    proxy = _by_proxy(case, scope)
    service = case.service.codes
    alike &= (service[child] == service[above]) | proxy[child] | proxy[above]
    for column in ("http_route", "http_request_method"):
        codes = traces.codes(column).codes
        alike &= (codes[child] == codes[above]) | (codes[child] < 0) | (codes[above] < 0)
    duplicate = np.zeros(len(spans), bool)
    duplicate[child[alike]] = True
    return duplicate


def _scope_names(case: Case) -> Array:
    """Return a number for the name of every span's scope; -1 without."""
    names = np.append(case.traces.columns.scopes.name, -1)
    return np.asarray(names[case.traces.columns.spans.scope])


def _by_proxy(case: Case, scope: Array) -> Array:
    """Return which spans come from a proxy, by the name of their scope or service."""
    texts = case.traces.columns.texts
    service = case.service

    def named(labels: list[str]) -> Array:
        return np.array([any(word in label.lower() for word in _PROXIES) for label in labels] + [False])

    used = np.unique(scope[scope >= 0])
    of_scope = np.zeros(len(texts) + 1, bool)
    of_scope[used] = named([texts[at] for at in used])[:-1]
    return np.asarray(of_scope[scope] | named(service.labels)[service.codes])
