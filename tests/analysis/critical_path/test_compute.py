import numpy as np
import pandas as pd
import pytest
from drawn_spans import draw
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.errors import FilterError
from tracekit.loading.building.builder import Builder, Link
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.schema import Relation
from tracekit.traces import TraceSet

SHOP = """
a1 1 - shop   SERVER    0 100
a1 2 1 cart   INTERNAL 10  40
a1 3 1 ledger INTERNAL 30  90
a1 4 3 ledger INTERNAL 50  60
"""


def own(path):
    return path.own_ns.tolist()


def codes(path):
    return dict(zip(path.issues["code"], path.issues["span_count"].tolist(), strict=True))


def test_what_a_request_waited_for():
    path = critical_path(draw(SHOP))
    spans = path.spans
    assert spans["path_time_ns"].tolist() == [40, 0, 50, 10]
    assert spans["path_total_ns"].tolist() == [100, 0, 60, 10]
    assert spans["on_path"].tolist() == [True, False, True, True]
    assert spans["service_name"].tolist() == ["shop", "cart", "ledger", "ledger"]
    assert path.segments[["span_row", "start_ns", "end_ns"]].to_numpy().tolist() == [
        [0, 0, 30],
        [2, 30, 50],
        [3, 50, 60],
        [2, 60, 90],
        [0, 90, 100],
    ]
    assert path.traces[["root_row", "latency_ns", "root_count", "orphan_count"]].to_numpy().tolist() == [[0, 100, 1, 0]]
    assert path.traces["root_service_name"].tolist() == ["shop"]
    assert path.issues.empty
    assert (
        repr(path) == "CriticalPath(1 request, mean latency 100 ns, 3 of 4 spans on the path; sampling weights unknown)"
    )
    assert "<p>CriticalPath(1 request," in path._repr_html_()


def test_paths_that_are_in_use_are_not_walked_again_and_have_frames_of_their_own():
    traces = draw(SHOP)
    path, again, without = critical_path(traces), critical_path(traces), critical_path(traces, skew="off")
    assert again.own_ns is path.own_ns
    assert without.own_ns is not path.own_ns
    path.spans["path_time_ns"] = 0
    assert again.spans["path_time_ns"].tolist() == [40, 0, 50, 10]


def test_a_missing_parent_is_placed_under_the_only_root():
    path = critical_path(draw("a1 1 - s SERVER 0 100\na1 2 9 s INTERNAL 20 40\na1 3 9 s INTERNAL 50 80"))
    assert own(path) == [40, 20, 30, 10]
    assert path.spans["service_name"].tolist()[-1] == "(missing)"
    assert path.spans["span_id"].tolist()[-1] == f"{9:016x}"
    assert path.traces[["is_partial", "orphan_count"]].to_numpy().tolist() == [[True, 2]]
    assert codes(path) == {"PARENT_MISSING": 2}
    assert repr(path).endswith("1 partial; sampling weights unknown)")


def test_a_trace_without_a_root_begins_with_its_earliest_orphan_as_in_the_summary():
    traces = draw("a1 1 9 web SERVER 0 40\na1 2 9 s SERVER 50 80\na1 3 8 s SERVER 10 20\na1 4 1 db CLIENT 5 30")
    path = critical_path(traces)
    assert own(path) == [15, 25, 0, 0, 0, 0]
    assert path.latency_ns.tolist() == traces.summary["root_duration_ns"].tolist() == [40]
    assert path.traces["root_service_name"].tolist() == ["web"]
    assert path.is_partial.tolist() == [True]
    hulls = critical_path(traces, scope="roots")
    assert hulls.latency_ns.tolist() == [80, 10]
    assert hulls.traces["root_service_name"].tolist() == ["(missing)", "(missing)"]


TWO_ROOTS = "a1 1 - s SERVER 0 50\na1 2 - s SERVER 10 90\na1 3 2 s SERVER 20 30\na1 4 - s SERVER 120 130"


@pytest.mark.parametrize(
    ("scope", "latency", "times"),
    [
        ("root", [50], [50, 0, 0, 0]),
        ("roots", [50, 80, 10], [50, 70, 10, 10]),
        ("trace", [130], [0, 70, 10, 10, 40]),
        ("depth == 1", [10], [0, 0, 10, 0]),
    ],
)
def test_scopes(scope, latency, times):
    path = critical_path(draw(TWO_ROOTS), scope=scope)
    assert path.latency_ns.tolist() == latency
    assert own(path) == times
    assert path.segments.groupby("request").apply(lambda s: (s["end_ns"] - s["start_ns"]).sum()).tolist() == latency


@pytest.mark.parametrize("scope", ["root", "roots", "trace"])
def test_segments_of_each_trace_are_those_of_all(scope):
    traces = draw(TWO_ROOTS + "\nb2 5 - s SERVER 7 8\nb2 6 3 s SERVER 7 9\nc3 7 - s SERVER 1 4")
    path = critical_path(traces, scope=scope)
    parts = [path.segments_of(trace) for trace in range(3)]
    assert all(map(len, parts))
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), path.segments)


def test_the_whole_trace_shows_where_there_was_no_span():
    path = critical_path(draw(TWO_ROOTS + "\nb2 5 - s SERVER 7 7\nb2 6 3 s SERVER 7 9"), scope="trace")
    assert path.spans["service_name"].tolist()[-3:] == ["(no span)", "(missing)", "(no span)"]
    assert path.spans["span_id"].tolist()[-3:] == ["", f"{3:016x}", ""]
    assert path.latency_ns.tolist() == [130, 0]


def test_every_outermost_match_is_a_request():
    traces = draw(
        "a1 1 - web SERVER 0 100\na1 2 1 cart SERVER 10 30\na1 3 2 cart SERVER 15 20\na1 4 1 cart SERVER 40 300"
        "\nb2 5 - cart SERVER 0 9\nc3 6 - web SERVER 0 9"
    )
    mask = traces.spans["service_name"] == "cart"
    for scope in ("service_name == 'cart'", mask, mask.to_numpy(), lambda spans: spans["service_name"] == "cart"):
        path = critical_path(traces, scope=scope)
        assert path.traces["root_row"].tolist() == [1, 3, 4]
        assert path.latency_ns.tolist() == [20, 260, 9]
        assert own(path) == [0, 15, 5, 260, 9, 0]
        assert path.request.tolist() == [-1, 0, 0, 1, 2, -1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overflow": "drop"}, "expected overflow to be one of auto, clip, exclude, found 'drop'"),
        ({"follows_from": "no"}, "expected follows_from to be one of async, blocking, found 'no'"),
        ({"skew": "edge"}, "expected skew to be 'auto', 'off' or a ClockSkew, found 'edge'"),
        ({"scope": np.ones(3, bool)}, "expected a mask with one entry for each of 4 spans, found 3"),
    ],
)
def test_options_that_are_none(options, message):
    with pytest.raises(ValueError, match=message):
        critical_path(draw(SHOP), **options)


def test_a_scope_that_does_not_parse():
    with pytest.raises(
        FilterError,
        match=r"or request\.<key>, found 'service'",
    ):
        critical_path(draw(SHOP), scope="service == 'cart'")


def clocks(service, host, end=200_000):
    return TraceSet.from_spans(
        pd.DataFrame(
            {
                "trace_id": "a1",
                "span_id": ["1", "2", "3"],
                "parent_span_id": [None, "1", "2"],
                "name": "x",
                "service_name": ["web", service, service],
                "resource.host.name": ["h1", host, host],
                "start_ns": [0, 20_000, 30_000],
                "end_ns": [100_000, end, 50_000],
            }
        )
    )


@pytest.mark.parametrize(
    ("traces", "overflow", "times"),
    [
        (clocks("web", "h1"), "auto", [100_000, 0, 0]),
        (clocks("web", "h1"), "clip", [20_000, 60_000, 20_000]),
        (clocks("web", "h2"), "auto", [20_000, 60_000, 20_000]),
        (clocks("db", "h1"), "auto", [20_000, 60_000, 20_000]),
        (clocks("db", "h2"), "exclude", [100_000, 0, 0]),
        (clocks("web", "h1", 102_000), "auto", [20_000, 60_000, 20_000]),
        (clocks("web", "h1", 102_001), "auto", [100_000, 0, 0]),
        (clocks("web", "h1", 100_001), "exclude", [100_000, 0, 0]),
    ],
)
def test_a_child_that_outlives_its_parent(traces, overflow, times):
    path = critical_path(traces, overflow=overflow)
    assert own(path) == times
    assert path.issues["code"].tolist() == ["OVERFLOW" if times[1] == 0 else "OUTSIDE_PARENT"]


def test_a_missing_parent_outlives_the_root_as_any_child_does():
    late = draw("a1 1 - s SERVER 0 100\na1 2 9 s INTERNAL 40 120")
    assert own(critical_path(late)) == [40, 60, 0]
    excluded = critical_path(late, overflow="exclude")
    assert own(excluded) == [100, 0, 0]
    assert codes(excluded) == {"PARENT_MISSING": 1, "OVERFLOW": 1}


def follows(trace, span):
    builder = Builder()
    builder.open_source("drawn")
    resource = builder.resource([builder.kv("service.name", "s")])
    for at, (number, parent, start, end) in enumerate([(1, 0, 0, 100), (2, 1, 20, 60)]):
        links = [Link(trace, span, Relation.FOLLOWS_FROM)] if number == 2 else []
        builder.span(
            at=Position(at, 0), trace_id=0xA1, span_id=number, parent_id=parent, name="x",
            start_ns=start, end_ns=end, resource=resource, links=links,
        )  # fmt: skip
    return to_trace_set(builder)


def test_a_span_that_follows_from_its_parent_is_not_awaited():
    assert own(critical_path(follows(0xA1, 1))) == [100, 0]
    assert codes(critical_path(follows(0xA1, 1))) == {"FOLLOWS_FROM": 1}
    assert own(critical_path(follows(0xA1, 1), follows_from="blocking")) == [60, 40]
    assert own(critical_path(follows(0xA1, 7))) == [60, 40]  # follows from another span, yet a child of this one
    assert own(critical_path(follows(0xB2, 1))) == [60, 40]


def test_a_consumer_is_not_awaited():
    lines = "a1 1 - s SERVER 0 100\na1 2 1 s PRODUCER 10 30\na1 3 2 t CONSUMER 15 25\na1 4 3 t INTERNAL 16 20"
    path = critical_path(draw(lines))
    assert own(path) == [80, 20, 0, 0]
    assert path.spans["waiting"].tolist() == ["awaited", "awaited", "consumer", "awaited"]
    assert codes(path) == {"CONSUMER": 1}


@pytest.mark.parametrize(
    ("lines", "times", "code"),
    [
        ("a1 2 1 s INTERNAL 60 20\na1 3 2 s INTERNAL 30 40", [100, 0, 0], "NEGATIVE_DURATION"),
        ("a1 2 1 s INTERNAL 20 20\na1 3 2 s INTERNAL 20 40", [100, 0, 0], "ZERO_DURATION"),
        ("a1 2 1 s INTERNAL 20 -\na1 3 2 s INTERNAL 30 40", [80, 10, 10], "OPEN_SPAN"),
        ("a1 2 1 s INTERNAL 20 -\na1 3 2 s INTERNAL 30 -\na1 4 3 s INTERNAL 35 50", [70, 10, 5, 15], "OPEN_SPAN"),
        ("a1 2 1 s INTERNAL - 50\na1 3 2 s INTERNAL 30 40", [80, 10, 10], "OPEN_SPAN"),
        ("a1 2 1 s INTERNAL - -\na1 3 2 s INTERNAL 30 40", [90, 0, 10], "OPEN_SPAN"),
        ("a1 2 1 s INTERNAL 20 -", [100, 0], "OPEN_SPAN"),
        ("a1 2 3 s INTERNAL 20 30\na1 3 2 s INTERNAL 22 28", [100, 0, 0], "CYCLE_CUT"),
        ("a1 2 2 s INTERNAL 20 30", [100, 0], "CYCLE_CUT"),
        ("a1 2 1 s SERVER 20 30 inferred\na1 3 2 s SERVER 22 28", [94, 0, 6], "INFERRED"),
    ],
)
def test_spans_that_are_broken_are_reported(lines, times, code):
    traces = draw("a1 1 - s SERVER 0 100\n" + lines)
    path = critical_path(traces)
    by_id = path.spans.sort_values("span_id")["path_time_ns"].tolist()
    assert by_id == times
    assert code in codes(path)
    assert path.issues.set_index("code").loc[code, "exemplar_trace_id"] == traces.trace_ids[0]


def test_a_request_that_took_no_time():
    path = critical_path(draw("a1 1 - s SERVER 5 5\na1 2 1 s INTERNAL 5 90"))
    assert own(path) == [0, 0]
    assert path.segments.empty
    assert codes(path) == {"ZERO_DURATION": 1, "OUTSIDE_PARENT": 1, "EMPTY_REQUEST": 1}


def test_no_traces_at_all():
    columns = {"trace_id": [], "span_id": [], "name": [], "start_ns": [], "end_ns": []}
    for scope in ("root", "trace", "depth == 0"):
        path = critical_path(TraceSet.from_spans(pd.DataFrame(columns)), scope=scope)
        assert len(path.spans) == len(path.segments) == len(path.traces) == len(path.issues) == 0


@st.composite
def frames(draw):
    rows = []
    for trace in range(draw(st.integers(1, 3))):
        for span in range(draw(st.integers(1, 7))):
            parent = draw(st.sampled_from([None, *range(1, 10)]))
            start = draw(st.integers(0, 30))
            rows.append((f"a{trace}", f"{span + 1}", parent, start, start + draw(st.integers(-3, 30))))
    frame = pd.DataFrame(rows, columns=["trace_id", "span_id", "parent_span_id", "start_ns", "end_ns"])
    frame["parent_span_id"] = [None if pd.isna(parent) else str(int(parent)) for parent in frame["parent_span_id"]]
    services = st.lists(st.sampled_from(["web", "db"]), min_size=len(frame), max_size=len(frame))
    return frame.assign(name="x", service_name=draw(services))


@settings(deadline=None, max_examples=40)
@given(
    frames(),
    st.sampled_from(["root", "roots", "trace", "service_name == 'db'"]),
    st.sampled_from(["auto", "clip", "exclude"]),
)
def test_any_built_set_adds_up(frame, scope, overflow):  # I1, I2 with orphans, cycles, many roots
    path = critical_path(TraceSet.from_spans(frame), scope=scope, overflow=overflow)
    per_request = np.bincount(path.request[path.on_path], path.own_ns[path.on_path], len(path.tree.root))
    assert per_request.tolist() == path.latency_ns.tolist()
    assert path.own_ns.sum() == path.latency_ns.sum()
    for request, pieces in path.segments.groupby("request"):
        root = path.tree.root[request]
        assert pieces["start_ns"].iloc[0] == path.tree.start[root]
        assert pieces["end_ns"].iloc[-1] == path.tree.end[root]
        assert pieces["start_ns"].tolist()[1:] == pieces["end_ns"].tolist()[:-1]
    if not frame.duplicated(["trace_id", "start_ns"]).any():  # else the order of arrival decides who is first
        again = critical_path(TraceSet.from_spans(frame.sample(frac=1, random_state=1)), scope=scope, overflow=overflow)
        assert again.own_ns.tolist() == path.own_ns.tolist()


# ------------------------------------------------------------------ replicas of one service

REPLICA = {
    "service.instance.id": ("i-0", "i-1"),
    "k8s.pod.name": ("shard-0", "shard-1"),
    "k8s.pod.uid": ("u0", "u1"),
    "container.id": ("c0", "c1"),
    "host.id": ("i-0a", "i-0b"),
    "host.name": ("h0", "h1"),
}


def replicas(kinds, key=None, values=("", "")):
    """Return the path of a call within one service whose callee ends 3 ms after its caller."""
    frame = pd.DataFrame({"trace_id": "a1", "span_id": ["1", "2", "3"], "parent_span_id": [None, "1", "2"]})
    frame = frame.assign(service_name="shard", name=["GET", "GET peer", "serve"], kind=["SERVER", *kinds])
    frame["start_ns"], frame["end_ns"] = [0, 5_000_000, 10_000_000], [100_000_000, 95_000_000, 98_000_000]
    if key is not None:
        frame[f"resource.{key}"] = [values[0], values[0], values[1]]
    return critical_path(TraceSet.from_spans(frame)).own_ns.tolist()


AWAITED, OUTLIVED = [10_000_000, 5_000_000, 85_000_000], [10_000_000, 90_000_000, 0]


@pytest.mark.parametrize("key", REPLICA)
def test_replicas_of_one_service_are_other_processes(key):
    assert replicas(["INTERNAL", "INTERNAL"], key, REPLICA[key]) == AWAITED
    assert replicas(["INTERNAL", "INTERNAL"], key, REPLICA[key][:1] * 2) == OUTLIVED


def test_a_server_under_a_client_is_another_process_even_where_no_instance_is_recorded():
    assert replicas(["CLIENT", "SERVER"]) == AWAITED
    assert replicas(["CLIENT", "INTERNAL"]) == OUTLIVED
    assert replicas(["INTERNAL", "INTERNAL"]) == OUTLIVED


def test_an_unknown_scope_is_refused_with_the_known_ones():
    _, shop = tk.load_sample("small-shop")
    with pytest.raises(FilterError, match=r"expected root, roots, trace or a condition .* as scope, found 'rooot'$"):
        tk.critical_path(shop, scope="rooot")
    assert len(tk.critical_path(shop, scope="is_error").latency_ns) > 0
