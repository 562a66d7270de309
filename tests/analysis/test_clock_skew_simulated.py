"""Healthy recordings whose asynchronous calls and messages look like clocks that are wrong, and clocks that are."""

import json

import numpy as np
import pandas as pd
import pytest
from checks.quality.worlds import EPOCH_NS, MS, SECOND, chain, status, trace_ids

import tracekit as tk
from tracekit import TraceSet
from tracekit.analysis.clock_skew.neighbours import needed

CLOCKS = ["clock.offset", "clock.drift", "clock.cycle"]


def moved(traces):
    """Whether the critical path corrects a clock; the skew and quality must say the same."""
    path, skew = tk.critical_path(traces), tk.clock_skew(traces)
    concerned = skew.traces.loc[skew.traces["moved_clock_count"] > 0, "trace_id"]
    assert set(path.offsets["trace_id"]) == set(concerned)
    found = tk.quality(traces, checks=CLOCKS)
    assert ("warning" in [status(found, name) for name in CLOCKS]) == bool(len(concerned))
    return len(concerned)


WORLDS = [
    {"delay": "constant"},
    {"delay": "random", "host": False},
    {"delay": "constant", "apart_s": 40},
    {"delay": "short", "pods": 2},
    {"delay": "constant", "shape": "xray"},
    {"delay": "constant", "shape": "xray", "marks": True, "host": False},
]


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_asynchronous_calls_move_no_clock(world):
    for seed, share in enumerate((0.04, 0.2, 0.5)):
        traces = chain(np.random.default_rng(seed), 120, share=share, **world).traces
        assert moved(traces) == 0
        off, auto = (tk.critical_path(traces, skew=skew).own_ns for skew in ("off", "auto"))
        assert off.tolist() == auto.tolist()


@pytest.mark.parametrize("delay", ["constant", "random"])
@pytest.mark.parametrize("shape", ["otlp", "xray"])
def test_messages_are_no_evidence_even_where_nothing_else_is_recorded(shape, delay):
    world = chain(np.random.default_rng(1), 60, share=1.0, delay=delay, shape=shape, marks=True)
    assert moved(world.traces) == 0
    pairs = tk.clock_skew(world.traces).pairs
    assert pairs[["host", "peer_host"]].drop_duplicates().to_numpy().tolist() == [["store-0", "worker-0"]]
    calls = tk.service_graph(world.traces).calls.set_index(["caller_service", "callee_service"])["call_type"]
    assert calls.to_dict() == {("api", "worker"): "message", ("worker", "store"): "call"}
    assert "worker" not in set(tk.critical_path(world.traces).by("service_name")["service_name"])


@pytest.mark.parametrize("name", ["SQS", "SNS", "Kinesis", "EventBridge"])
def test_x_ray_documents_of_a_queue(name):
    """A send is a subsegment of the namespace aws; its handler is a segment below it."""
    lines = []
    for at in range(30):
        begun = 1_795_000_000 + at
        trace = f"1-{begun:08x}-{at + 1:024x}"
        send = {"id": f"{at + 500:016x}", "name": name, "namespace": "aws", "aws": {"operation": "Send"}}
        send |= {"start_time": begun + 0.01, "end_time": begun + 0.09}
        api = {"id": f"{at + 100:016x}", "name": "api", "subsegments": [send]}
        worker = {"id": f"{at + 900:016x}", "name": "worker", "parent_id": send["id"]}
        lines.append({**api, "trace_id": trace, "start_time": begun, "end_time": begun + 0.12})
        lines.append({**worker, "trace_id": trace, "start_time": begun + 0.5, "end_time": begun + 0.56})
    traces = tk.read("\n".join(map(json.dumps, lines)).encode())
    assert traces.spans["kind"].astype(str).value_counts().to_dict() == {"SERVER": 60, "CLIENT": 30}
    assert moved(traces) == 0
    assert tk.critical_path(traces).by("service_name")["service_name"].tolist() == ["api"]
    edge = tk.service_graph(traces).calls.set_index("callee_service")["call_type"]
    assert edge["worker"] == "message"


def message_kinds(**attributes):
    keys = {f"attributes.{key.replace('__', '.')}": value for key, value in attributes.items()}
    frame = pd.DataFrame(
        {"trace_id": "a1", "span_id": ["1"], "name": "x", "kind": "CLIENT", "start_ns": 0, "end_ns": 9}
    )
    return TraceSet.from_spans(frame.assign(**keys)).lookup.is_message.tolist()


@pytest.mark.parametrize(
    ("attributes", "is_message"),
    [
        ({"messaging__system": "kafka"}, True),
        ({"rpc__system": "aws-api", "rpc__service": "SQS"}, True),
        ({"rpc__system": "aws-api", "rpc__method": "SNS/Publish"}, True),
        ({"rpc__system": "aws-api", "rpc__service": "AmazonSQS"}, True),
        ({"rpc__system": "aws-api", "rpc__service": "DynamoDB"}, False),
        ({"rpc__system": "grpc", "rpc__service": "events"}, False),
        ({"aws__xray__namespace": "aws", "peer__service": "Kinesis"}, True),
        ({"aws__xray__namespace": "remote", "peer__service": "events"}, False),
        ({"aws__xray__namespace": "aws", "aws__operation": "StartExecution"}, True),
        ({"aws__xray__namespace": "aws", "aws__invocation_type": "Event"}, True),
        ({"aws__invocation_type": "RequestResponse"}, False),
    ],
)
def test_what_sends_a_message(attributes, is_message):
    assert message_kinds(**attributes) == [is_message]


@pytest.mark.parametrize(
    "ahead",
    [
        lambda _: (0, 20 * MS, -7 * MS),
        lambda _: (10 * MS, 0, 0),
        lambda _: (0, -3 * MS, -3 * MS),
        lambda second: (0, 50e-6 * second * SECOND + 5 * MS, 0),
        lambda second: (0, 20 * MS * (second > second.mean()), 0),
    ],
    ids=["two clocks", "the root's", "behind", "drift", "step"],
)
def test_clocks_that_are_wrong_are_found_among_asynchronous_calls(ahead):
    for share, host in ((0.0, True), (0.1, False)):
        world = chain(np.random.default_rng(3), 200, share=share, delay="constant", ahead=ahead, host=host)
        is_wrong = (world.ahead_ns.groupby("trace_id")["ahead"].agg(lambda one: one.abs().max()) > 2 * MS).sum()
        assert moved(world.traces) >= 0.95 * is_wrong


def test_callees_that_begin_before_their_callers_need_no_majority():
    """Four traces are enough where work begins before it is asked for; 15 are not where it ends after its caller."""
    behind, ahead = lambda _: (0, -50 * MS, 0), lambda _: (0, 50 * MS, 0)
    early = lambda n: moved(chain(np.random.default_rng(4), n, ahead=behind).traces)  # noqa: E731 - short
    late = lambda n: moved(chain(np.random.default_rng(4), n, ahead=ahead).traces)  # noqa: E731 - short
    assert [early(3), early(4)] == [0, 4]
    assert late(16) == 16


def late_only(n):
    """Calls whose callees begin within their callers and end after them, all alike."""
    at = np.arange(n)
    frame = pd.DataFrame({"trace_id": trace_ids(n), "span_id": "1", "service_name": "a", "name": "x", "kind": "CLIENT"})
    frame = frame.assign(start_ns=EPOCH_NS + at * SECOND, end_ns=EPOCH_NS + at * SECOND + 40 * MS)
    below = frame.assign(span_id="2", parent_span_id="1", service_name="b", kind="SERVER")
    below["start_ns"] += 30 * MS
    below["end_ns"] += 20 * MS
    return TraceSet.from_spans(pd.concat([frame, below]))


def test_fewer_traces_than_the_least_number_prove_nothing():
    assert [moved(late_only(n)) for n in (1, 15, 16)] == [0, 0, 16]


def test_one_trace_with_many_asynchronous_calls_has_one_vote():
    """Sixty calls of one trace do not overrule thirty traces with a call each."""
    sound = chain(np.random.default_rng(5), 30).traces.spans
    root = sound[(sound["trace_id"] == sound["trace_id"].iloc[0]) & (sound["parent_span_id"].isna())].iloc[0]
    rows = []
    for at in range(60):
        sent = int(root["start_ns"]) + at * MS
        call = {"trace_id": root["trace_id"], "name": "notify", "start_ns": sent, "end_ns": sent + MS // 2}
        ids = f"{at + 1000:016x}", f"{at + 2000:016x}"
        rows.append({**call, "span_id": ids[0], "parent_span_id": root["span_id"], "kind": "CLIENT", "of": "api"})
        call |= {"start_ns": sent + 9 * SECOND, "end_ns": sent + 9 * SECOND + MS // 4}
        rows.append({**call, "span_id": ids[1], "parent_span_id": ids[0], "kind": "SERVER", "of": "worker"})
    extra = pd.DataFrame(rows)
    extra["service_name"], extra["host_name"] = extra["of"], extra["of"] + "-0"
    columns = [*extra.columns.drop("of")]
    assert moved(TraceSet.from_spans(pd.concat([sound[columns], extra[columns]]))) == 0


def test_the_needed_number_equals_a_plain_sum():
    from math import comb  # noqa: PLC0415 - for this oracle alone

    for n in (1, 5, 12, 40, 150):
        for share in (0.05, 0.5):
            tail = [sum(comb(n, j) * share**j * (1 - share) ** (n - j) for j in range(k, n + 1)) for k in range(n + 2)]
            plain = next(k for k, chance in enumerate(tail) if chance <= 0.5**12 * (1 + 1e-9))
            assert needed(np.array([n]), 12, share).tolist() == [plain]
