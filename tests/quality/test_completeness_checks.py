"""Spans that never arrived, calls that left no span, context that got lost."""

import numpy as np
import pandas as pd
import pytest
from quality.worlds import EPOCH_NS, MS, SECOND, forest_of, gateway, only, otlp, rpc, said, spans, status, trace_ids

import tracekit as tk
from tracekit import TraceSet
from tracekit.analysis.quality.call_pairs import all_calls
from tracekit.analysis.quality.stitching import stitch


def test_whole_trees_miss_nothing():
    found = tk.quality(forest_of(), checks=["complete.spans"])
    assert status(found, "complete.spans") == "ok"
    assert found[0].estimate.value == 0
    assert "never arrived; self times, call counts and paths are close to whole" in found[0].headline


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
    assert status(found, "complete.spans") == "fail"
    assert found.worst == "critical"
    assert "most of them above SERVER spans of `ledger` (the caller's span is missing" in found[0].headline
    row = found[0].evidence.iloc[0]
    assert row["service_name"] == "ledger"
    assert row["low"] < 0.3 < row["high"]


def test_callers_outside_the_data_are_no_loss():
    frame = spans(50, parent_span_id="9")
    assert status(tk.quality(TraceSet.from_spans(frame), checks=["complete.spans"]), "complete.spans") == "fail"
    (finding,) = tk.quality(TraceSet.from_spans(frame), external=["web"], checks=["complete.spans"])
    assert finding.headline.endswith("not assessable: needs spans that name a parent.")


def test_few_references_are_not_enough_to_tell():
    frame = pd.concat([spans(5), spans(5, span_id="2", parent_span_id="1")])
    found = tk.quality(TraceSet.from_spans(frame), checks=["complete.spans"])
    assert status(found, "complete.spans") == "inconclusive"
    assert "would settle whether 98 % arrive" in found[0].headline
    assert found[0].remedy == ""


def test_more_references_are_asked_for_where_some_are_there():
    frame = pd.concat([spans(150), spans(150, span_id="2", parent_span_id="1")])
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["complete.spans"])
    assert finding.evidence["status"].tolist() == ["inconclusive"]
    wanted = int(finding.headline.split("about ")[1].split(" would")[0].replace(",", ""))
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
    assert status(found, "complete.rpc") == "warn"
    row = found[0].evidence.iloc[0]
    assert row["server_low"] < 0.9 < row["server_high"]
    assert row["client_ratio"] == 1
    assert "of the server spans of calls to `ledger` arrived" in found[0].headline


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
    assert "of the client spans of calls to `ledger` arrived" in found[0].headline


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


@pytest.mark.parametrize("peer", ["orders", "10.0.0.7", "orders.shop.svc.cluster.local"])
def test_lost_context_is_found_counted_and_placed(peer):
    traces, world = gateway_traces(0.3, peer=peer)
    found = tk.quality(traces, checks=["propagation.break"])
    assert status(found, "propagation.break") == "fail"
    estimate = found[0].estimate
    assert estimate.low <= world.broken <= estimate.high
    assert "the context is lost between them" in found[0].headline
    assert "`gateway` to `orders`" in found[0].remedy
    assert found[0].evidence[["caller_service", "callee_service"]].to_numpy().tolist()[0] == ["gateway", "orders"]


def test_unanswered_calls_and_roots_that_have_nothing_to_do_with_each_other():
    traces, _ = gateway_traces(0.0)
    found = tk.quality(traces, checks=["propagation.break"])
    assert status(found, "propagation.break") == "ok"
    assert "no more roots than chance explains" in said(found, "propagation.break")


def test_without_unanswered_calls_or_without_roots():
    found = tk.quality(rpc(100), checks=["propagation.break"])
    assert "Every call was answered in its own trace" in found[0].headline
    (finding,) = tk.quality(TraceSet.from_spans(spans(3, kind="INTERNAL")), checks=["propagation.break"])
    assert "not assessable: needs root spans of kind SERVER" in finding.headline


def test_unknown_peers_are_tried_with_every_service():
    rows = []
    for at in range(60):
        t = at * 7 * SECOND
        rows.append(("gw", "a", 2 * at + 1, 1, 0, f"call {at}", "CLIENT", t, t + 50 * MS))
        rows.append(("orders", "b", 2 * at + 2, 1, 0, "GET", "SERVER", t + 5 * MS, t + 40 * MS))
    found = tk.quality(otlp(rows), checks=["propagation.break"])
    assert status(found, "propagation.break") == "fail"
    assert found[0].estimate.value > 50


def test_slack_lets_roots_begin_before_their_calls():
    begin = np.arange(50, dtype=np.int64) * 60 * SECOND
    early = (begin, begin + 50 * MS, begin - 2 * MS, begin + 40 * MS)
    assert stitch(*early).covered == 0
    assert stitch(*early, slack_ns=3 * MS).covered == 50


def test_context_cannot_be_told_without_clients_and_with_few_calls():
    found = tk.quality(TraceSet.from_spans(spans(60)), checks=["propagation.break"])
    assert "not assessable: needs spans of kind CLIENT" in found[0].headline
    below = spans(4, span_id="2", parent_span_id="1", kind="CLIENT")
    found = tk.quality(TraceSet.from_spans(pd.concat([spans(4), below])), checks=["propagation.break"])
    assert "needs 5 unanswered calls and 5 roots of two services (found 4 and 4)" in found[0].headline
