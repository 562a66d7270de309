"""Spans that never arrived, calls that left no span, context that got lost."""

import numpy as np
import pandas as pd
import pytest
from checks.quality.worlds import (
    EPOCH_NS,
    MS,
    SECOND,
    forest_of,
    gateway,
    only,
    otlp,
    rpc,
    said,
    spans,
    status,
    trace_ids,
)

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks.quality.completeness.call_pairs import all_calls
from tracekit.checks.quality.propagation.breaks import reference_clock
from tracekit.checks.quality.propagation.continuations import Windows, stitch


def test_whole_trees_miss_nothing():
    found = tk.quality(forest_of(), checks=["complete.spans"])
    assert status(found, "complete.spans") == "ok"
    assert found[0].estimate.value == 0
    assert "Self times, call counts and critical paths are reliable" in found[0].headline


def test_a_missing_parent_is_counted_once_however_many_children_name_it():
    frame = pd.concat([spans(1), spans(1, span_id="3", parent_span_id="9"), spans(1, span_id="4", parent_span_id="9")])
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["complete.spans"])
    assert finding.evidence[["referenced_count", "missing_count"]].to_numpy().tolist() == [[1, 1]]
    assert finding.exemplars == (trace_ids(1)[0],)


def test_the_service_and_kind_below_what_is_missing_are_named():
    whole = rpc(1000)
    is_client = whole.columns.spans.kind == 3
    rng = np.random.default_rng(2)
    found = tk.quality(only(whole, ~is_client | (rng.random(len(is_client)) < 0.7)), checks=["complete.spans"])
    assert status(found, "complete.spans") == "failed"
    assert found.worst == "critical"
    assert "most of them above SERVER spans of `ledger` (the caller's span is missing" in found[0].headline
    row = found[0].evidence.iloc[0]
    assert row["service_name"] == "ledger"
    assert row["low"] < 0.3 < row["high"]


def test_callers_outside_the_data_are_no_loss():
    frame = spans(50, parent_span_id="9")
    assert status(tk.quality(TraceSet.from_spans(frame), checks=["complete.spans"]), "complete.spans") == "failed"
    (finding,) = tk.quality(TraceSet.from_spans(frame), external=["web"], checks=["complete.spans"])
    assert finding.headline.endswith("not assessable: needs spans with a parent ID.")


def test_few_references_are_not_enough_to_decide():
    frame = pd.concat([spans(5), spans(5, span_id="2", parent_span_id="1")])
    found = tk.quality(TraceSet.from_spans(frame), checks=["complete.spans"])
    assert status(found, "complete.spans") == "inconclusive"
    assert "Too few to decide whether less than 2% are missing" in found[0].headline
    assert found[0].remedy == ""


def test_more_references_are_requested_where_some_exist():
    frame = pd.concat([spans(150), spans(150, span_id="2", parent_span_id="1")])
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["complete.spans"])
    assert finding.evidence["status"].tolist() == ["inconclusive"]
    wanted = int(finding.headline.split("missing: ")[1].split(" parent spans")[0].replace(",", ""))
    assert 150 < wanted < 400
    enough = pd.concat([spans(wanted), spans(wanted, span_id="2", parent_span_id="1")])
    assert status(tk.quality(TraceSet.from_spans(enough), checks=["complete.spans"]), "complete.spans") == "ok"


def test_weights_count():
    whole = pd.concat([spans(200), spans(200, span_id="2", parent_span_id="1")])
    lost = whole[~((whole["span_id"] == "1") & whole["trace_id"].isin(trace_ids(100)))]
    traces = TraceSet.from_spans(lost)
    heavy = pd.Series(np.repeat([9.0, 1.0], 100), trace_ids(200))
    plain, weighted = (tk.quality(one, checks=["complete.spans"])[0] for one in (traces, traces.with_weights(heavy)))
    assert plain.estimate.value == pytest.approx(0.5)
    assert weighted.estimate.value == pytest.approx(0.9)


# -------------------------------------------------------------------- calls


def test_the_side_that_loses_is_named_with_its_share():
    whole = rpc(1000)
    rng = np.random.default_rng(4)
    is_server = np.tile([False, False, True], 1000)
    found = tk.quality(only(whole, ~is_server | (rng.random(3000) < 0.9)), checks=["complete.rpc"])
    assert status(found, "complete.rpc") == "warning"
    row = found[0].evidence.iloc[0]
    assert row["server_low"] < 0.9 < row["server_high"]
    assert row["client_ratio"] == 1
    assert "Server spans of calls to `ledger`: " in found[0].headline
    assert found[0].remedy == "Check the exporter queues of the services that lose spans."


def test_whole_calls_are_whole():
    found = tk.quality(rpc(1000), checks=["complete.rpc"])
    assert status(found, "complete.rpc") == "ok"
    assert found[0].evidence["call_count"].tolist() == [1000]


def test_lost_callers_are_the_other_side():
    is_client = np.tile([False, True, False], 1000)
    rng = np.random.default_rng(5)
    found = tk.quality(only(rpc(1000), ~is_client | (rng.random(3000) < 0.8)), checks=["complete.rpc"])
    row = found[0].evidence.iloc[0]
    assert row["client_low"] < 0.8 < row["client_high"]
    assert row["server_ratio"] == 1
    assert "Client spans of calls to `ledger`: " in found[0].headline


def split_calls(n=600, *, lost, roots):
    """Calls of the ledger, of which some lose their server span or begin a trace of their own with it."""
    rng = np.random.default_rng(6)
    start = EPOCH_NS + np.sort(rng.integers(0, 3600 * SECOND, n))
    ids = trace_ids(2 * n)
    frames = []
    for at, (service, kind) in enumerate((("cart", "SERVER"), ("cart", "CLIENT"), ("ledger", "SERVER"))):
        one = spans(n, span_id=str(at + 1), parent_span_id=str(at) if at else None, service_name=service, kind=kind)
        frames.append(one.assign(start_ns=start + at * MS, end_ns=start + (50 - at) * MS))
    begun = frames[2].assign(trace_id=ids[n:], parent_span_id=None)
    kind = np.arange(n) % 10
    gone = kind < lost + roots
    return TraceSet.from_spans(pd.concat([*frames[:2], frames[2][~gone], begun[kind < roots]]))


@pytest.mark.parametrize(
    ("lost", "roots", "sentence", "remedy"),
    [
        (0, 2, "Most of the other server spans start new traces", "Forward `traceparent`"),
        (2, 0, "Call counts and error rates of these services are too low", "Check the exporter queues"),
        (1, 1, "Some of the other server spans start new traces, others were not received", "and check the exporter"),
    ],
)
def test_lost_context_is_not_blamed_on_exporters(lost, roots, sentence, remedy):
    (found,) = tk.quality(split_calls(lost=lost, roots=roots), checks=["complete.rpc"])
    assert found.severity == "warning"
    assert sentence in found.headline
    assert remedy in found.remedy
    assert ("exporter" in found.remedy) == (lost > 0)


def test_calls_that_failed_at_the_client_do_not_count_against_the_callee():
    frame = rpc(400).spans[
        ["trace_id", "span_id", "parent_span_id", "service_name", "name", "kind", "start_ns", "end_ns"]
    ]
    at = np.arange(len(frame))
    refused = (at // 3) % 4 == 0
    frame = frame.assign(status_code=np.where(refused & (at % 3 == 1), "ERROR", "UNSET"))[~(refused & (at % 3 == 2))]
    found = tk.quality(TraceSet.from_spans(frame), checks=["complete.rpc"])
    assert found[0].evidence["server_ratio"].tolist() == [1.0]


def test_calls_of_databases_and_of_peers_that_send_nothing_are_no_loss():
    frame = spans(100, kind="CLIENT", name="SELECT")
    frame["attributes.db.system.name"] = "postgresql"
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["complete.rpc"])
    assert "not assessable: needs calls with a client span above a server span" in finding.headline


def test_a_hundred_thousand_calls_without_a_loss_have_no_upper_limit():
    found = all_calls(100_000, 100_000, 100_000)
    assert (found.value, found.high) == (100_000, float("inf"))
    assert found.low == pytest.approx(99_999.5)


def test_chapman_is_exact_where_nothing_is_lost():
    found = all_calls(100, 100, 100)
    assert found.value == 100
    assert found.low <= 100.5


# -------------------------------------------------------------------- propagation


def gateway_traces(broken, rate=4, seed=3, peer="orders"):
    """Calls by a gateway of orders, of which a share loses its context."""
    rng = np.random.default_rng(seed)
    world = gateway(rng, rate, broken, 1.0)
    n, m = len(world.call_start), len(world.root_start)
    ids = trace_ids(n + m + 400)
    calls = pd.DataFrame(
        {"trace_id": ids[:n], "span_id": "1", "service_name": "gateway", "name": "GET", "kind": "CLIENT"}
    )
    calls = calls.assign(start_ns=world.call_start, end_ns=np.maximum(world.call_end, world.call_start + 1))
    calls["attributes.server.address"] = peer
    roots = pd.DataFrame({"trace_id": ids[n : n + m], "span_id": "1", "service_name": "orders", "name": "GET /orders"})
    roots = roots.assign(
        kind="SERVER", start_ns=world.root_start, end_ns=np.maximum(world.root_end, world.root_start + 1)
    )
    start = EPOCH_NS + np.arange(200) * 3 * SECOND
    top = pd.DataFrame(
        {"trace_id": ids[n + m : n + m + 200], "span_id": "1", "service_name": "gateway", "kind": "CLIENT"}
    )
    top = top.assign(name="GET", start_ns=start, end_ns=start + 20 * MS)
    top["attributes.server.address"] = peer
    below = top.assign(span_id="2", parent_span_id="1", service_name="orders", name="GET /orders", kind="SERVER")
    below = below.assign(start_ns=start + MS, end_ns=start + 19 * MS)
    return TraceSet.from_spans(pd.concat([calls, roots, top, below])), world


@pytest.mark.parametrize("peer", ["orders", "10.0.0.7", "orders.shop.svc.cluster.local", "orders.shop"])
def test_lost_context_is_found_counted_and_placed(peer):
    traces, world = gateway_traces(0.3, peer=peer)
    found = tk.quality(traces, checks=["propagation.break"])
    assert status(found, "propagation.break") == "failed"
    estimate = found[0].estimate
    assert estimate.low <= world.broken <= estimate.high
    assert "continue calls by `gateway`" in found[0].headline
    assert "`gateway` to `orders`" in found[0].remedy
    assert found[0].evidence[["caller_service", "callee_service"]].to_numpy().tolist()[0] == ["gateway", "orders"]


@pytest.mark.parametrize("host", ["far.partner.example", "far.io", "far.com", "far.eu.partner.com", "svc"])
def test_a_partner_on_the_internet_and_a_peer_of_ones_own_name_are_no_instrumented_service(host):
    frame = gateway_and_partner({"gw": 0, "svc": 0, "far": 0}).spans.drop(columns="peer_address")
    frame["attributes.server.address"] = np.where(frame["span_id"].str.endswith("4"), host, None)
    traces = TraceSet.from_spans(frame)
    (whole,) = tk.quality(traces, checks=["complete.rpc"])
    assert (whole.status, whole.evidence["service_name"].tolist()) == ("ok", ["far", "svc"])
    assert "patterns.missing_spans" not in {finding.check for finding in tk.patterns(traces)}


def test_unanswered_calls_and_roots_that_have_nothing_to_do_with_each_other():
    traces, _ = gateway_traces(0.0)
    found = tk.quality(traces, checks=["propagation.break"])
    assert status(found, "propagation.break") == "ok"
    assert "No broken context propagation detected" in said(found, "propagation.break")


def test_without_unanswered_calls_or_without_roots():
    found = tk.quality(rpc(100), checks=["propagation.break"])
    assert "every call was answered in its own trace" in found[0].headline
    (finding,) = tk.quality(TraceSet.from_spans(spans(3, kind="INTERNAL")), checks=["propagation.break"])
    assert "not assessable: needs root spans of kind SERVER" in finding.headline


def test_unknown_peers_are_tried_with_every_service():
    rows = []
    for at in range(60):
        t = at * 7 * SECOND
        rows.append(("gw", "a", 2 * at + 1, 1, 0, f"call {at}", "CLIENT", t, t + 50 * MS))
        rows.append(("orders", "b", 2 * at + 2, 1, 0, "GET", "SERVER", t + 5 * MS, t + 40 * MS))
    found = tk.quality(otlp(rows), checks=["propagation.break"])
    assert status(found, "propagation.break") == "failed"
    assert found[0].estimate.value > 50


def test_slack_lets_roots_begin_before_their_calls():
    begin = np.arange(50, dtype=np.int64) * 60 * SECOND
    early = (begin, begin + 50 * MS, begin - 2 * MS, begin + 40 * MS)
    assert stitch(*early).covered == 0
    assert stitch(*early, slack_ns=3 * MS).covered == 50


def test_propagation_cannot_be_assessed_without_clients_or_with_few_calls():
    found = tk.quality(TraceSet.from_spans(spans(60)), checks=["propagation.break"])
    assert "not assessable: needs spans of kind CLIENT" in found[0].headline
    below = spans(4, span_id="2", parent_span_id="1", kind="CLIENT")
    found = tk.quality(TraceSet.from_spans(pd.concat([spans(4), below])), checks=["propagation.break"])
    assert found[0].headline.endswith(
        "needs two services, one with at least 5 client spans without a server span and one with at least 5 root spans "
        "(no pair has both; over all services: 4 and 4)."
    )


def gateway_and_partner(offset_ns, n=300):
    """A gateway whose callee asks a partner that sends no spans; each on a host with a clock of its own."""
    rng = np.random.default_rng(1)
    begun = EPOCH_NS + rng.integers(0, 3600, n) * SECOND

    def part(span, parent, service, kind, begin, end):
        moved = begun + offset_ns[service]
        frame = spans(
            n, span_id=span, parent_span_id=parent, service_name=service, host_name=f"on {service}", kind=kind
        )
        return frame.assign(start_ns=moved + begin * MS, end_ns=moved + end * MS)

    whole = [part("1", None, "gw", "SERVER", 0, 100), part("2", "1", "gw", "CLIENT", 10, 60)]
    whole += [part("3", "2", "svc", "SERVER", 11, 59), part("4", "3", "svc", "CLIENT", 15, 50)]
    whole += [part("5", "1", "gw", "CLIENT", 62, 95), part("6", "5", "far", "SERVER", 63, 94)]
    whole[3]["attributes.server.address"] = "api.partner.example"
    return TraceSet.from_spans(pd.concat(whole))


@pytest.mark.parametrize("ahead", [0, 30 * MS, -30 * MS])
def test_a_root_is_no_continuation_of_a_call_that_it_caused(ahead):
    """One clock is two seconds ahead: that is no slack for the calls of the others."""
    traces = gateway_and_partner({"gw": 0, "svc": ahead, "far": 2 * SECOND})
    (found,) = tk.quality(traces, checks=["propagation.break"])
    assert found.severity in {"info", "notice"}
    assert found.evidence["covered_count"].tolist() == [0] * len(found.evidence)
    assert len(found.evidence) > 0, "the guard: the pair is looked at"


@pytest.mark.parametrize("ahead", [0, 3 * SECOND, -3 * SECOND])
def test_lost_context_is_found_across_skewed_clocks(ahead):
    traces, world = gateway_traces(0.3)
    frame = traces.spans[["trace_id", "span_id", "parent_span_id", "service_name", "name", "kind"]].copy()
    there = (frame["service_name"] == "orders").to_numpy()
    frame["host_name"] = np.where(there, "h2", "h1")
    frame["attributes.server.address"] = traces.spans["peer_address"]
    for side in ("start_ns", "end_ns"):
        frame[side] = traces.spans[side].to_numpy(np.int64) + ahead * there
    (found,) = tk.quality(TraceSet.from_spans(frame), checks=["propagation.break"])
    assert found.severity == "critical"
    assert found.estimate.low <= world.broken <= found.estimate.high


def test_a_root_counts_inside_the_calls_of_other_traces_only():
    """Against a loop over all pairs."""
    rng = np.random.default_rng(4)
    for _ in range(200):
        begin, took, trace = rng.integers(0, 30, 8), rng.integers(1, 20, 8), rng.integers(0, 3, 8)
        start, lasts, own = rng.integers(0, 30, 20), rng.integers(0, 9, 20), rng.integers(0, 3, 20)
        calls = list(zip(begin, begin + took, trace, strict=True))
        wanted = [
            any(a <= at and b >= at + d and c != t for a, b, c in calls)
            for at, d, t in zip(start, lasts, own, strict=True)
        ]
        assert Windows(begin, begin + took, trace).cover(start, start + lasts, own).tolist() == wanted


def of_spans(traces):
    """The limits of the clock of every span."""
    skew = tk.clock_skew(traces)
    clock = skew.estimate.clock
    found = reference_clock(skew.pairs, clock.labels)
    return type(found)(*(limits[clock.codes] for limits in found))


def test_clocks_add_up_from_one_to_the_next():
    traces = gateway_and_partner({"gw": 0, "svc": 30 * MS, "far": 2 * SECOND})
    clock = of_spans(traces)
    of = dict(zip(traces.spans["service_name"], zip(clock.low, clock.high, strict=True), strict=True))
    for service, ahead in (("svc", 30 * MS), ("far", 2 * SECOND)):
        low, high = (of[service][at] - of["gw"][1 - at] for at in (0, 1))
        assert low <= ahead <= high
        assert high - low <= 4 * MS
    right = of_spans(gateway_and_partner(dict.fromkeys(("gw", "svc", "far"), 0)))
    assert not right.low.any()
    assert not right.high.any()


# -------------------------------------------------------------------- retries


def attempts(n=600, *, failing=60, again=True, seed=9, clients=40, client="client.address"):
    """Requests of an hour by clients, some of which fail; a failed one is tried again 0.2 to 2 s later."""
    rng = np.random.default_rng(seed)
    start = EPOCH_NS + np.sort(rng.integers(0, 3600 * SECOND, n))
    frame = spans(n, start_ns=start, end_ns=start + 50 * MS, status_code="OK", service_name="orders")
    frame[f"attributes.{client}"] = [f"10.0.0.{at}" for at in rng.integers(0, clients, n)]
    lost = rng.permutation(n)[:failing]
    frame.loc[lost, "status_code"] = "ERROR"
    more = frame.loc[lost].assign(status_code="OK", trace_id=trace_ids(n + failing)[n:])
    by = rng.integers(200 * MS, 2 * SECOND, failing)
    more = more.assign(start_ns=more["end_ns"] + by, end_ns=more["end_ns"] + by + 50 * MS)
    return TraceSet.from_spans(pd.concat([frame, more] if again else [frame]))


def test_retries_in_traces_of_their_own_are_counted():
    (finding,) = tk.quality(attempts(), checks=["propagation.retry"])
    assert status([finding], "propagation.retry") == "warning"
    assert finding.estimate.low <= 60 <= finding.estimate.high
    assert finding.estimate.value == pytest.approx(60, abs=3)
    assert "of 660 root spans of `orders GET /`" in finding.headline
    assert "Requests and errors are counted once per attempt" in finding.headline


@pytest.mark.parametrize("seed", range(5))
def test_failures_without_a_second_attempt_are_not_retries(seed):
    found = tk.quality(attempts(again=False, seed=seed), checks=["propagation.retry"])
    assert status(found, "propagation.retry") == "ok"


def test_the_next_request_of_another_client_is_no_retry():
    apart = attempts(6000, failing=600, again=False, clients=4000)
    assert status(tk.quality(apart, checks=["propagation.retry"]), "propagation.retry") == "ok"
    crowd = attempts(6000, failing=600, again=False, client="nobody.known")
    assert status(tk.quality(crowd, checks=["propagation.retry"]), "propagation.retry") != "warning"


def test_retries_of_unrecorded_clients_are_found_where_traffic_is_thin():
    found = tk.quality(attempts(client="nobody.known"), checks=["propagation.retry"])
    assert status(found, "propagation.retry") == "warning"
    assert found[0].estimate.low <= 60 <= found[0].estimate.high


def test_retries_of_rare_failures_count_against_the_failures():
    found = tk.quality(attempts(20_000, failing=60, clients=4000), checks=["propagation.retry"])
    assert status(found, "propagation.retry") == "warning"
    few = tk.quality(attempts(600, failing=6, again=False), checks=["propagation.retry"])
    assert status(few, "propagation.retry") == "inconclusive"
    assert "cannot tell whether 6 failures of `orders GET /` were retried as new traces" in few[0].headline


def test_a_request_before_a_failure_is_no_retry_of_it():
    frame = attempts().spans[["trace_id", "span_id", "service_name", "name", "kind", "start_ns", "end_ns"]].copy()
    frame["status_code"] = attempts().spans["status_code"].astype(str)
    frame["attributes.client.address"] = attempts().attribute("client.address").astype(str)
    late = frame["start_ns"].max() + SECOND
    turned = frame.assign(start_ns=late - frame["end_ns"], end_ns=late - frame["start_ns"])
    turned[["start_ns", "end_ns"]] += EPOCH_NS
    found = tk.quality(TraceSet.from_spans(turned), checks=["propagation.retry"])
    assert status(found, "propagation.retry") != "warning"
    assert found[0].evidence["retry_count"].max() < 6


def test_retries_and_lost_context_are_distinguished():
    both = ["propagation.break", "propagation.retry"]
    lost, world = gateway_traces(0.3)
    frame = lost.spans[
        ["trace_id", "span_id", "parent_span_id", "service_name", "name", "kind", "start_ns", "end_ns", "peer_address"]
    ].rename(columns={"peer_address": "attributes.server.address"})
    is_root = (frame["service_name"] == "orders") & frame["parent_span_id"].isna()
    frame["status_code"] = np.where(is_root & (np.arange(len(frame)) % 9 == 0), "ERROR", "OK")
    found = tk.quality(TraceSet.from_spans(frame), checks=both)
    assert status(found, "propagation.break") == "failed"
    assert status(found, "propagation.retry") != "warning"
    left_out = int(said(found, "propagation.retry").split("Excluded: ")[-1].split(" root spans")[0].replace(",", ""))
    assert left_out >= world.broken

    retried = attempts()
    calls = spans(600, kind="CLIENT", service_name="web", name="call", end_ns=EPOCH_NS + np.arange(600) * SECOND + MS)
    calls["trace_id"] = [f"{at + 1:032x}" for at in range(600)]
    calls["attributes.server.address"] = "orders"
    columns = ["trace_id", "span_id", "service_name", "name", "kind", "start_ns", "end_ns", "status_code"]
    told = retried.spans[columns].assign(
        **{"attributes.client.address": retried.attribute("client.address").to_numpy()}
    )
    found = tk.quality(TraceSet.from_spans(pd.concat([told, calls])), checks=both)
    assert status(found, "propagation.break") == "ok"
    assert status(found, "propagation.retry") == "warning"


def test_without_roots_or_with_few_failures_retries_are_not_assessable():
    found = tk.quality(attempts(failing=3, again=False), checks=["propagation.retry"])
    assert (
        "needs at least 5 failed root spans of one service and operation (found 3 over all operations)"
        in found[0].headline
    )
    none = tk.quality(TraceSet.from_spans(spans(9)), checks=["propagation.retry"])
    assert none[0].headline == "No retries as new traces: none of 9 root spans failed."
    orphans = tk.quality(TraceSet.from_spans(spans(3, parent_span_id="7")), checks=["propagation.retry"])
    assert "not assessable: needs root spans with start and end" in orphans[0].headline
