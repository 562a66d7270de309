"""S18: loss of client and server spans per callee, estimated by capture and recapture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.quality.propagation.breaks import continuations
from tracekit.checks.quality.propagation.call_targets import CALLEES, call_targets
from tracekit.checks.shares import added, share_sums, shares_of
from tracekit.checks.verdicts import status_of_high_share, without_weighted_traces, worst_status
from tracekit.findings import Estimate, Status, finding, not_assessable
from tracekit.schema import Kind, ParentState
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes
from tracekit.stats.histograms import Histogram
from tracekit.stats.intervals import normal_quantile
from tracekit.text import plural, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.shares import Shares
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "complete.rpc", "Loss of client and server spans"
_ENOUGH = 0.98
_KEY: Final = "service_name"
_COLUMNS: Final = [
    _KEY, "client_count", "server_count", "pair_count", "client_ratio", "client_low", "client_high", "server_ratio",
    "server_low", "server_high", "call_count", "call_low", "call_high",
]  # fmt: skip
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
    sides = case.result(CALL_SIDES)
    if not sides.of_clients.sums["event_count"].any():
        return [not_assessable(CHECK, _SUBJECT, "calls with a client span above a server span")]
    evidence = _table(case, sides)
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


class Sides(NamedTuple):
    """Calls by callee, ``service_name``: both sides as trials, those with the other side as events.

    Parameters
    ----------
    of_servers
        Client spans without an error, and those with a server span.
    of_clients
        Server spans with a caller, and those with a client span.
    clients
        ``client_count``: all client spans.
    """

    of_servers: Aggregate
    of_clients: Aggregate
    clients: Aggregate

    def plus(self, other: Sides) -> Sides:
        """Return those of two parts."""
        return Sides(*(added(one, another) for one, another in zip(self, other, strict=True)))


def _sides(case: Case) -> Sides:
    """Return the calls of a part."""
    traces, calls = case.traces, case.result(call_targets)
    trace, server = traces.forest.trace, _servers(case)
    above = traces.forest.parent_row[server]
    has_client = (above >= 0) & (traces.columns.spans.kind[np.maximum(above, 0)] == Kind.CLIENT)
    answered = np.zeros(len(trace), bool)
    answered[above[has_client]] = True
    fine = calls.where(~traces.is_error[calls.client])
    every, names = group_codes({_KEY: calls.callee}, len(calls.client))
    count = {"client_count": np.bincount(every, minlength=int(every.max(initial=-1)) + 1)}
    return Sides(
        share_sums(case, trace[fine.client], answered[fine.client], {_KEY: fine.callee}),
        share_sums(case, trace[server], has_client, {_KEY: case.service.take(server)}),
        Aggregate(names, count, Histogram.empty()).by([_KEY]),
    )


def _servers(case: Case) -> Array:
    """Return rows of server spans with a caller in the data."""
    traces, spans, forest = case.traces, case.traces.columns.spans, case.traces.forest
    resolved = (forest.parent_row >= 0) & (spans.kind[np.maximum(forest.parent_row, 0)] == Kind.CLIENT)
    is_server = (spans.kind == Kind.SERVER) & (resolved | (forest.state == ParentState.MISSING)) & ~traces.is_inferred
    server = np.flatnonzero(is_server)
    outside = np.array([label in case.external for label in case.service.labels] + [False])
    return np.asarray(server[resolved[server] | ~outside[case.service.codes[server]]])


CALL_SIDES: Final[Merged[Sides]] = Merged(_sides, Sides.plus, needs=(CALLEES,))


def _table(case: Case, sides: Sides) -> pd.DataFrame:
    """Return one row per callee, the least complete first."""
    servers = _limits(shares_of(case, sides.of_servers, [_KEY]), "server")
    clients = shares_of(case, sides.of_clients, [_KEY])
    counts = pd.DataFrame({_KEY: sides.clients.keys[_KEY], "client_count": sides.clients.sums["client_count"]})
    table = _limits(clients, "client").assign(server_count=clients.trial_count, pair_count=clients.event_count)
    table = table[(table["pair_count"] > 0) & table[_KEY].notna()]
    table = table.merge(servers, on=_KEY, how="left").merge(counts, on=_KEY, how="left")
    sizes = table[["client_count", "server_count", "pair_count"]].itertuples(index=False, name=None)
    totals = [all_calls(max(n1, both), n2, both, confidence=case.confidence) for n1, n2, both in sizes]
    table = table.assign(**{f"call_{name}": [getattr(total, name) for total in totals] for name in ("low", "high")})
    table = table.assign(call_count=[total.value for total in totals])[_COLUMNS]
    seen = table["client_count"].clip(lower=table["pair_count"]) + table["server_count"] - table["pair_count"]
    table["unseen_count"] = (table["call_count"] - seen).clip(lower=0)
    table["status"] = [_status(row) for _, row in table.iterrows()]
    least = table[["client_ratio", "server_ratio"]].min(axis=1)
    return table.iloc[np.argsort(least.to_numpy(), kind="stable")].reset_index(drop=True)


def _limits(shares: Shares, side: str) -> pd.DataFrame:
    """Return the share of one side that arrived, by callee."""
    found = shares.ratio
    columns = {f"{side}_ratio": found.ratio, f"{side}_low": found.low, f"{side}_high": found.high}
    return pd.DataFrame({_KEY: shares.keys[_KEY], **columns})


def _status(row: pd.Series) -> Status:
    """Return the status of the worse side."""
    sides = [(row[f"{side}_low"], row[f"{side}_high"]) for side in ("client", "server")]
    return worst_status([status_of_high_share(low, high, warn=_ENOUGH) for low, high in sides])
