"""S18: loss of client and server spans per callee, estimated by capture and recapture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.quality.propagation.breaks import continuations
from tracekit.checks.quality.propagation.call_targets import call_targets
from tracekit.checks.verdicts import status_of_high_share, without_weighted_traces, worst_status
from tracekit.findings import Estimate, Status, finding, not_assessable
from tracekit.schema import Kind, ParentState
from tracekit.stats.intervals import normal_quantile
from tracekit.text import plural, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "complete.rpc", "Loss of client and server spans"
_ENOUGH = 0.98
_LARGEST = 700.0  # the exponential of more is no float


class Total(NamedTuple):
    """An estimated number with its interval."""

    value: float
    low: float
    high: float


def all_calls(clients: int, servers: int, matched: int, *, confidence: float = 0.95) -> Total:
    """Return the estimated number of calls from the counts of client spans, server spans and matched pairs.

    Chapman's ``(n1 + 1)(n2 + 1) / (m + 1) - 1`` with Sadinle's transformed-logit interval.  Assumes that the two ends
    lose spans independently; processes that lose both ends bias the estimate down, so it is a lower bound.

    Source: Chapman 1951; Sadinle 2009.  Without an unmatched span among many calls, the upper limit is infinite.
    """
    value = (clients + 1) * (servers + 1) / (matched + 1) - 1
    only_client, only_server, both = clients - matched + 0.5, servers - matched + 0.5, matched + 0.5
    spread = math.sqrt(1 / both + 1 / only_client + 1 / only_server + both / (only_client * only_server))
    z, neither = normal_quantile(confidence), only_client * only_server / both
    seen = clients + servers - matched - 0.5
    most = math.exp(z * spread) if z * spread < _LARGEST else math.inf
    return Total(value, seen + neither * math.exp(-z * spread), seen + neither * most)


def call_pairs(case: Case) -> list[Finding]:
    """Return which side of the calls between instrumented services loses spans, and how many calls left none.

    With n1 client spans, n2 server spans with a caller, and m matched pairs per callee: the share of client spans that
    arrived is ``m / n2``, of server spans ``m / n1`` (without calls that failed at the client: they may never have
    reached the callee), the number of calls is estimated by ``all_calls``.  Shares are clustered by trace and weighted.
    The callee of a client span without a server span is inferred from similar answered calls;
    callees that never emit a server span are excluded.  Assumes that the two ends lose spans independently.  Below 98%
    of a side: warning.  A server span that starts a new trace during the call lost its context and was not lost itself;
    ``propagation.break`` distinguishes the two.

    Source: Chapman 1951; Sadinle 2009.
    """
    client, target, server, matched_server = _ends(case)
    if not len(server) or not matched_server.any():
        return [not_assessable(CHECK, _SUBJECT, "calls with a client span above a server span")]
    evidence = _table(case, client, target, server, matched_server)
    status = worst_status(evidence["status"].tolist())
    lost = evidence[evidence["status"] == "warning"]
    unseen = float(evidence["unseen_count"].sum())
    row = (lost if len(lost) else evidence).iloc[0]
    ratios = row[["client_ratio", "server_ratio"]].astype(float)
    if ratios.isna().all():
        return [without_weighted_traces(CHECK, _SUBJECT)]
    side = "client" if ratios.idxmin() == "client_ratio" else "server"
    cause = _cause(case, row) if side == "server" else "export"
    unrecorded = f" At least {plural(unseen, 'call')} left no span at either end." if unseen >= 1 else ""
    lowest = f" (lowest of {len(evidence)} callees)" * (len(evidence) > 1)
    arrived = "received" if cause == "export" else "are in the trace of the call"
    text = (
        f"{side.capitalize()} spans of calls to `{row['service_name']}`{lowest}: {ratio(row[f'{side}_ratio'])} "
        f"{arrived} ({case.ci} {ratio_range(row[f'{side}_low'], row[f'{side}_high'])}; "
        f"n = {plural(row['pair_count'], 'matched pair')}).{unrecorded}"
    )
    lost_meaning, remedy = _CAUSES[cause]
    meaning = {"warning": lost_meaning, "ok": "Calls can be counted from client or server spans."}
    return [
        finding(
            CHECK,
            status,
            f"{text} {meaning.get(status, 'Too few calls to decide whether at least 98% are received.')}",
            evidence,
            estimate=Estimate(
                float(row[f"{side}_ratio"]),
                "ratio",
                float(row[f"{side}_low"]),
                float(row[f"{side}_high"]),
                int(row["pair_count"]),
            ),
            assumptions=("client and server lose spans independently; a process that lost both ends is not detected",),
            remedy=remedy if status == "warning" else "",
            method="Capture-recapture of client and server spans.",
        )
    ]


_FORWARD = "Forward `traceparent` (or `X-Amzn-Trace-Id`) to the callee"
_TOO_LOW = "call counts and error rates of these services are too low."
_CAUSES = {
    "export": (_TOO_LOW.capitalize(), "Check the exporter queues of the services that lose spans."),
    "context": (
        "Most of the other server spans start new traces: context propagation is broken, the spans are not lost.",
        f"{_FORWARD}; check proxies in between.",
    ),
    "both": (
        f"Some of the other server spans start new traces, others were not received; {_TOO_LOW}",
        f"{_FORWARD}, and check the exporter queues of the services that lose spans.",
    ),
}
_MOST = 0.8


def _cause(case: Case, row: pd.Series) -> Literal["export", "context", "both"]:
    """Return why calls have no server span: broken context, failed export, or both.

    ``context`` if the interval of the number of continuations is above 80% of the calls without a server span,
    ``export`` if it is below 20%, else ``both``.
    """
    found = case.result(continuations)
    mine = found[(found["callee_service"] == row["service_name"]) & (found["status"] != "ok")]
    open_ones = max(int(row["client_count"] - row["pair_count"]), 1)
    if mine["low"].sum() >= _MOST * open_ones:
        return "context"
    return "export" if mine["high"].sum() <= (1 - _MOST) * open_ones else "both"


def _ends(case: Case) -> tuple[Array, Array, Array, Array]:
    """Return rows of client spans, their callees, rows of server spans with a caller, whether that arrived."""
    traces, spans = case.traces, case.traces.columns.spans
    forest = traces.forest
    client, target = case.result(call_targets)
    called = spans.kind == Kind.SERVER
    parent_kind = spans.kind[np.maximum(forest.parent_row, 0)]
    resolved = (forest.parent_row >= 0) & (parent_kind == Kind.CLIENT)
    server = np.flatnonzero(called & (resolved | (forest.state == ParentState.MISSING)) & ~traces.is_inferred)
    outside = np.array([label in case.external for label in case.service.labels] + [False])
    server = server[resolved[server] | ~outside[case.service.codes[server]]]
    return client, target, server, resolved[server]


def _table(case: Case, client: Array, target: Array, server: Array, has_client: Array) -> pd.DataFrame:
    """Return one row per callee, the least complete first."""
    traces, labels = case.traces, case.service.labels
    forest, trace = traces.forest, traces.forest.trace
    answered = np.zeros(len(trace), bool)
    answered[forest.parent_row[server[has_client]]] = True
    fine = ~traces.is_error[client]
    called = case.service.codes[server]
    size = len(labels)
    of_servers = case.ratio(trace[client[fine]], answered[client[fine]], target[fine], size)
    of_clients = case.ratio(trace[server], has_client, called, size)
    n1, n2 = np.bincount(target, minlength=size), np.bincount(called, minlength=size)
    both = np.bincount(called[has_client], minlength=size)
    known = np.flatnonzero(both > 0)
    totals = [all_calls(max(n1[at], both[at]), n2[at], both[at], confidence=case.confidence) for at in known]
    table = pd.DataFrame(
        {
            "service_name": np.array(labels, object)[known],
            "client_count": n1[known],
            "server_count": n2[known],
            "pair_count": both[known],
            "client_ratio": of_clients.ratio[known],
            "client_low": of_clients.low[known],
            "client_high": of_clients.high[known],
            "server_ratio": of_servers.ratio[known],
            "server_low": of_servers.low[known],
            "server_high": of_servers.high[known],
            "call_count": [total.value for total in totals],
            "call_low": [total.low for total in totals],
            "call_high": [total.high for total in totals],
        }
    )
    seen = table["client_count"].clip(lower=table["pair_count"]) + table["server_count"] - table["pair_count"]
    table["unseen_count"] = (table["call_count"] - seen).clip(lower=0)
    table["status"] = [_status(row) for _, row in table.iterrows()]
    least = table[["client_ratio", "server_ratio"]].min(axis=1)
    return table.iloc[np.argsort(least.to_numpy(), kind="stable")].reset_index(drop=True)


def _status(row: pd.Series) -> Status:
    """Return the status of the worse side."""
    sides = [(row[f"{side}_low"], row[f"{side}_high"]) for side in ("client", "server")]
    return worst_status([status_of_high_share(low, high, warn=_ENOUGH) for low, high in sides])
