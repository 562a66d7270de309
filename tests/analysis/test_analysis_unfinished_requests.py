"""Requests that are still running, traces with several roots or none, spans that end before they start, instants."""

import json

import numpy as np
import pandas as pd
import pytest
from drawn_spans import draw

import tracekit as tk
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.traces import TraceSet

RUNNING = """
a1 1 - shop SERVER 0  -
a1 2 1 db   CLIENT 10 50
a1 3 1 bank CLIENT 60 -
b2 4 - shop SERVER 0  100
b2 5 4 db   CLIENT 10 40
"""


def codes(path):
    return dict(zip(path.issues["code"], path.issues["span_count"].tolist(), strict=True))


# ------------------------------------------------------------------ requests that are still running


def test_a_request_that_is_still_running_has_no_latency_and_is_counted():
    traces = draw(RUNNING)
    path = critical_path(traces)
    assert path.traces["root_service_name"].tolist() == ["shop"]
    assert path.latency_ns.tolist() == [100]
    assert path.is_partial.tolist() == [False]
    assert path.unfinished_count == 1
    assert path.issues["code"].tolist()[0] == "UNFINISHED"
    assert path.spans["waiting"].astype(str).tolist() == ["unfinished", "awaited", "awaited", "awaited", "awaited"]
    assert not path.on_path[:3].any()
    counts = "1 request, mean latency 100 ns, 2 of 5 spans on the path, 1 unfinished excluded"
    assert repr(path) == f"CriticalPath({counts}; sampling weights unknown)"
    summary = traces.summary
    assert summary["partial"].tolist() == [True, False]
    assert summary["root_duration_ns"].fillna(-1).tolist() == [-1, 100]
    assert summary["duration_ns"].tolist() == [60, 100]  # so far: the last call has begun


def test_calls_and_steps_of_time_count_errors_of_what_has_ended():
    traces = draw(RUNNING.replace("0  100", "0  100 error"))
    calls = tk.service_graph(traces).calls.set_index("callee_service")
    assert calls["call_count"].to_dict() == {"db": 2, "bank": 1}
    assert calls["error_ratio"].fillna(-1).to_dict() == {"db": 0, "bank": -1}
    assert calls["unfinished_count"].to_dict() == {"db": 0, "bank": 1}
    shop = tk.service_graph(traces).services.set_index("service_name").loc["shop"]
    assert shop[["request_count", "unfinished_count", "error_count", "error_ratio"]].tolist() == [2, 1, 1, 1]
    step = tk.timeline(traces).table.iloc[0]
    assert step[["trace_count", "error_count", "error_ratio"]].tolist() == [2, 1, 1]


@pytest.mark.parametrize(
    ("scope", "unfinished", "latency"),
    [("root", 1, [100]), ("roots", 1, [100]), ("trace", 1, [100]), ("kind == 'CLIENT'", 1, [40, 30])],
)
def test_every_scope_leaves_out_what_is_not_finished(scope, unfinished, latency):
    path = critical_path(draw(RUNNING), scope=scope)
    assert (path.unfinished_count, path.latency_ns.tolist()) == (unfinished, latency)
    assert path.own_ns.sum() == sum(latency)


def test_where_nothing_is_finished_every_question_has_an_answer():
    path = critical_path(draw("\n".join(RUNNING.splitlines()[:4])))
    assert path.unfinished_count == 1
    assert len(path.traces) == len(path.segments) == len(path.by("service_name")) == 0
    assert path.slack().isna().all()
    assert path.folded() == ""
    assert codes(path) == {"UNFINISHED": 1, "OPEN_SPAN": 2}
    assert len(path.bands("service_name").table) == 0


def test_a_span_without_an_end_in_a_finished_request_counts_as_far_as_it_is_known_to_have_run():
    traces = draw("a1 1 - shop SERVER 0 100\na1 2 1 bank CLIENT 20 -\na1 3 2 bank SERVER 25 60")
    path = critical_path(traces)
    assert path.own_ns.tolist() == [60, 5, 35]
    assert path.is_partial.tolist() == traces.summary["partial"].tolist() == [True]
    assert codes(path) == {"OPEN_SPAN": 1}


def test_an_end_that_was_written_while_a_span_was_in_progress_is_how_far_it_is_known_to_have_run():
    frame = pd.DataFrame(
        {
            "trace_id": "a1",
            "span_id": ["1", "2", "3"],
            "parent_span_id": [None, "1", "1"],
            "name": "x",
            "start_ns": [0, 10, 80],
            "end_ns": [100, 60, 70],
            "in_progress": [False, True, True],
        }
    )
    assert critical_path(TraceSet.from_spans(frame)).own_ns.tolist() == [50, 50, 0]


def segment(number, **facts):
    named = {"name": "web", "id": f"{number:016x}", "trace_id": f"1-6a0ebb13-{number:024x}", "start_time": 1.795e9}
    return json.dumps(named | facts)


def test_segments_of_xray_that_are_in_progress():
    db = {"name": "db", "id": "00000000000000d1", "start_time": 1.795e9 + 0.1, "end_time": 1.795e9 + 0.5}
    bank = {"name": "bank", "id": "00000000000000d2", "start_time": 1.795e9 + 0.6, "in_progress": True}
    lines = [
        segment(1, in_progress=True, subsegments=[db, bank]),
        segment(2, end_time=1.795e9 + 1, subsegments=[bank | {"id": "00000000000000d3"}]),
        segment(3, end_time=1.795e9 + 1),
    ]
    traces = tk.read("\n".join(lines).encode())
    path = tk.critical_path(traces)
    assert traces.summary["partial"].tolist() == [True, True, False]
    assert traces.summary["root_duration_ns"].isna().tolist() == [True, False, False]
    assert (path.unfinished_count, path.is_partial.tolist()) == (1, [True, False])
    assert path.by("service_name")["service_name"].tolist() == ["web"]


# ------------------------------------------------------------------ one root, one duration, one meaning of partial


def test_of_several_roots_the_request_begins_with_the_earliest():
    traces = draw("a1 1 - web SERVER 0 50\na1 2 - jobs CONSUMER 10 900\na1 3 1 db CLIENT 20 30")
    path = critical_path(traces)
    assert path.traces["root_row"].tolist() == traces.summary["root_row"].tolist() == [0]
    assert path.latency_ns.tolist() == traces.summary["root_duration_ns"].tolist() == [50]
    assert path.is_partial.tolist() == traces.summary["partial"].tolist() == [True]


def test_a_root_without_a_start_gives_way_to_one_with_a_start():
    traces = draw("a1 1 - web SERVER - 50\na1 2 - jobs SERVER 10 90")
    assert traces.summary[["root_service_name", "root_duration_ns"]].to_numpy().tolist() == [["jobs", 80]]
    assert critical_path(traces).latency_ns.tolist() == [80]


def test_a_request_never_begins_with_a_row_that_a_backend_inferred():
    traces = draw("a1 1 - queue CONSUMER 0 50 inferred\na1 2 1 web SERVER 10 40\nb2 3 - queue CONSUMER 0 9 inferred")
    assert traces.summary["root_service_name"].tolist() == ["web", "queue"]
    assert traces.summary[["root_count", "orphan_count"]].to_numpy().tolist() == [[1, 0], [0, 0]]
    assert critical_path(traces).traces[["trace_id", "latency_ns"]].to_numpy().tolist() == [[traces.trace_ids[0], 30]]


def test_spans_that_end_before_they_start():
    traces = draw("a1 1 - web SERVER 0 50\na1 2 1 db CLIENT 60 20\nb2 3 - web SERVER 60 20")
    path = critical_path(traces)
    assert path.latency_ns.tolist() == [50]
    assert path.unfinished_count == 1
    assert traces.summary["duration_ns"].fillna(-1).tolist() == [60, -1]
    assert traces.summary["root_duration_ns"].fillna(-1).tolist() == [50, -1]


def test_instants_are_requests_of_no_duration():
    traces = draw("a1 1 - web SERVER 7 7\nb2 2 - web SERVER 9 9")
    path = critical_path(traces)
    assert path.latency_ns.tolist() == traces.summary["root_duration_ns"].tolist() == [0, 0]
    assert path.unfinished_count == 0
    assert codes(path) == {"EMPTY_REQUEST": 2}


def damaged(seed, trace_count=150):
    """Return spans with orphans, cycles, several roots or none, missing edges, edges in wrong order, and instants."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, trace_count)
    n, trace = int(sizes.sum()), np.repeat(np.arange(trace_count), sizes)
    number = np.concatenate([np.arange(size) + 1 for size in sizes])
    start, parent = rng.integers(0, 30, n), np.where(rng.random(n) < 0.3, rng.integers(0, 9, n), number // 2)
    length = np.where(rng.random(n) < 0.1, -3, rng.integers(0, 30, n))
    return pd.DataFrame(
        {
            "trace_id": [f"{at + 1:x}" for at in trace],
            "span_id": [f"{at:x}" for at in number],
            "parent_span_id": [f"{at:x}" if at else None for at in parent],
            "name": "x",
            "service_name": "s",
            "start_ns": pd.array(start, "Int64"),
            "end_ns": pd.array(start + length, "Int64"),
            "in_progress": rng.random(n) < 0.05,
        }
    ).assign(
        start_ns=lambda table: table["start_ns"].mask(rng.random(n) < 0.05),
        end_ns=lambda table: table["end_ns"].mask(rng.random(n) < 0.08),
    )


def expected(spans):
    """Return root row, latency and whether it is partial of one trace of ``spans``, by a plain walk."""
    roots = spans[spans["parent_state"] == "root"]
    loose = spans[spans["parent_row"] < 0]
    tops = roots if len(roots) else loose
    timed = tops[tops["start_ns"].notna()]
    row = timed["start_ns"].astype(int).idxmin() if len(timed) else tops.index[0]
    root = spans.loc[row]
    known = pd.notna(root["start_ns"]) and pd.notna(root["end_ns"]) and not root["in_progress"]
    took = root["end_ns"] - root["start_ns"] if known and root["end_ns"] >= root["start_ns"] else None
    is_open = (spans["in_progress"] | spans["end_ns"].isna()).any()
    return row, took, bool(len(roots) != 1 or len(loose) > len(roots) or is_open)


@pytest.mark.parametrize("seed", [1, 2])
def test_summary_and_path_agree_about_every_trace(seed):
    traces = TraceSet.from_spans(damaged(seed))
    path, summary = critical_path(traces), traces.summary
    columns = ["trace_id", "parent_state", "parent_row", "start_ns", "end_ns", "in_progress"]
    rows = [expected(spans) for _, spans in traces.spans[columns].groupby("trace_id", sort=False)]
    assert summary["root_row"].tolist() == [row for row, _, _ in rows]
    assert [None if pd.isna(took) else took for took in summary["root_duration_ns"]] == [took for _, took, _ in rows]
    assert summary["partial"].tolist() == [partial for _, _, partial in rows]
    finished = summary[summary["root_duration_ns"].notna()]
    assert path.traces["trace_id"].tolist() == finished.index.tolist()
    assert path.traces["root_row"].tolist() == finished["root_row"].tolist()
    assert path.latency_ns.tolist() == finished["root_duration_ns"].tolist()
    assert path.is_partial.tolist() == finished["partial"].tolist()
    for name in ("orphan_count", "root_count"):
        assert path.traces[name].tolist() == finished[name].tolist()
    assert len(path.traces) + path.unfinished_count == len(summary)
    assert (summary["duration_ns"].fillna(0) >= summary["root_duration_ns"].fillna(0)).all()
    assert 0.3 < summary["partial"].mean() < 0.95
    assert path.unfinished_count > 20
    assert (summary["root_count"] > 1).any()
    assert (summary["root_count"] == 0).any()
