import re
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pytest
from drawn_spans import draw
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.flame import Flame, escaped
from tracekit.traces import TraceSet

SHOP = """
a1 1 - shop   SERVER    0 100 name=pay
a1 2 1 cart   INTERNAL 10  40 name=lock
a1 3 1 ledger INTERNAL 30  90 name=charge
a1 4 3 ledger INTERNAL 50  60 name=write
b2 5 - shop   SERVER    0  40 name=pay
b2 6 5 ledger INTERNAL  5  20 name=charge
b2 7 5 ledger INTERNAL 20  30 name=charge
"""


@st.composite
def forests(draw_):
    """A few traces of spans whose parents come before them, or are not there, inside or outside their time."""
    spans = []
    for trace in range(draw_(st.integers(1, 4))):
        for number in range(draw_(st.integers(1, 8))):
            start, length = draw_(st.integers(0, 60)), draw_(st.integers(0, 60))
            parent = None if number == 0 else draw_(st.integers(1, number + (draw_(st.integers(0, 9)) == 0) * 50))
            service, kind = draw_(st.sampled_from(["a", "b", "c;"])), draw_(st.sampled_from(["SERVER", "CONSUMER"]))
            spans.append((f"{trace + 1:x}", number + 1, parent, service, kind, start, start + length))
    columns = ["trace_id", "span_id", "parent_span_id", "service_name", "kind", "start_ns", "end_ns"]
    frame = pd.DataFrame(spans, columns=columns).assign(name="x")
    for name in ("span_id", "parent_span_id"):
        frame[name] = [None if pd.isna(value) else f"{int(value):x}" for value in frame[name]]
    return frame


def stacks(path):
    """Times, spans and requests by call path, span by span: the oracle."""
    tree, spans = path.tree, path.spans
    time, count, requests = Counter(), Counter(), defaultdict(set)
    for node in range(len(tree)):
        way, at = [], node
        while at >= 0:
            way.append((spans["service_name"].iloc[at], spans["operation"].iloc[at]))
            last, at = at, int(tree.parent[at])
        if last not in tree.root:
            continue
        key = tuple(reversed(way))
        time[key] += int(path.own_ns[node])
        count[key] += node < tree.span_count
        requests[key].add(last)
    return time, count, {key: len(roots) for key, roots in requests.items()}


def ways(table):
    """The call path of every row, by its parents."""
    found = []
    for parent, *name in table[["parent", "service_name", "operation"]].itertuples(index=False):
        found.append((*(found[parent] if parent >= 0 else ()), tuple(name)))
    return found


@settings(deadline=None, max_examples=60)
@given(forests(), st.sampled_from(["root", "roots", "trace"]))
def test_a_flame_equals_a_walk_over_every_span(frame, scope):
    path = critical_path(TraceSet.from_spans(frame), scope=scope)
    result = path.flame()
    time, count, requests = stacks(path)
    table = result.table
    found = ways(table)
    assert len(set(found)) == len(found)
    assert dict(zip(found, table["path_time_ns"].tolist(), strict=True)) == dict(time)
    assert dict(zip(found, table["span_count"].tolist(), strict=True)) == dict(count)
    assert dict(zip(found, table["trace_count"].tolist(), strict=True)) == requests
    # conservation, exactly
    assert table["path_time_ns"].sum() == path.latency_ns.sum()
    below = table["path_time_ns"].to_numpy().copy()
    for at in reversed(range(len(table))):
        if table["parent"][at] >= 0:
            assert table["parent"][at] < at
            below[table["parent"][at]] += below[at]
    assert below.tolist() == table["path_total_ns"].tolist()
    assert (table["depth"] == [len(way) - 1 for way in found]).all()
    assert sum(int(line.rsplit(" ", 1)[1]) for line in result.folded().splitlines()) == path.latency_ns.sum()


def test_call_paths_in_order_with_everything_that_is_known_of_them():
    traces = draw(SHOP)
    result = critical_path(traces.with_weights(np.array([3.0, 1.0]))).flame()
    assert repr(result) == "Flame(4 call paths, 2 requests, 140 ns on the path; weights from given)"
    table = result.table
    assert table["operation"].tolist() == ["pay", "charge", "write", "lock"]
    assert table[["id", "parent", "depth"]].to_numpy().tolist() == [[0, -1, 0], [1, 0, 1], [2, 1, 2], [3, 0, 1]]
    assert table["path_time_ns"].tolist() == [55, 75, 10, 0]
    assert table["path_total_ns"].tolist() == [140, 85, 10, 0]
    assert table["duration_ns"].tolist() == [140, 85, 10, 30]
    assert table["span_count"].tolist() == [2, 3, 1, 1]
    assert table["trace_count"].tolist() == [2, 2, 1, 1]
    assert table["presence_ratio"].tolist() == [1.0, 1.0, 0.75, 0.0]
    assert table["mean_ns"].tolist() == [33.75, 43.75, 7.5, 0.0]
    assert "<p>Flame(4 call paths" in result._repr_html_()


def test_what_is_not_a_requests_is_not_in_its_flame():
    lines = "a1 1 - s SERVER 0 100\na1 2 - t SERVER 10 20\na1 3 1 u INTERNAL 5 50 inferred\na1 4 1 s INTERNAL 5 900"
    table = critical_path(draw(lines), overflow="exclude").flame().table
    assert table["service_name"].tolist() == ["s", "s"]
    assert table["path_time_ns"].tolist() == [100, 0]


def test_placeholders_of_missing_spans_have_time_and_no_span():
    table = critical_path(draw("a1 1 9 s SERVER 0 10\na1 2 9 s SERVER 30 40"), scope="roots").flame().table
    assert table[["service_name", "path_time_ns", "span_count"]].to_numpy().tolist() == [
        ["(missing)", 20, 0],
        ["s", 20, 2],
    ]


def test_a_chain_of_many_calls_needs_no_recursion():
    count = 20_000
    frame = pd.DataFrame({"start_ns": range(count), "end_ns": range(3 * count, 2 * count, -1)})
    frame = frame.assign(trace_id="a1", name="x", span_id=[f"{at + 1:x}" for at in range(count)])
    frame["parent_span_id"] = frame["span_id"].shift()
    result = critical_path(TraceSet.from_spans(frame)).flame()
    assert result.table["depth"].iloc[-1] == count - 1
    with pytest.raises(ValueError, match=r"found some [\d,]+ calls deep; use flame"):
        Flame(result.table.assign(service_name="x" * 300), 1).folded()


def test_no_requests_at_all():
    columns = {"trace_id": [], "span_id": [], "name": [], "start_ns": [], "end_ns": []}
    path = critical_path(TraceSet.from_spans(pd.DataFrame(columns)))
    assert path.flame().table.empty
    assert path.folded() == ""
    assert path.flame().compare(path.flame()).empty


# ------------------------------------------------------------------ folded stacks


def test_folded_stacks():
    assert critical_path(draw(SHOP)).folded().splitlines() == [
        "[shop] pay 55",
        "[shop] pay;[ledger] charge 75",
        "[shop] pay;[ledger] charge;[ledger] write 10",
    ]


def unfolded(line):
    """What another tool reads, with names as they were."""
    stack, _, time = line.rpartition(" ")
    frames = [re.fullmatch(r"\[([^\]]*)\] (.*)", frame) for frame in stack.split(";")]
    return [tuple(plain(name) for name in frame.groups()) for frame in frames], int(time)


def plain(name):
    if name == "\\-":
        return None
    return re.sub(r"\\x(..)|\\u(....)", lambda found: chr(int(found[1] or found[2], 16)), name)


names = st.none() | st.text(st.characters() | st.sampled_from(';\\[] \n\r\t\x00\x85\u2028\ud800"-0'), max_size=8)


@given(st.lists(st.tuples(names, names), min_size=1, max_size=5), st.integers(1, 10**12))
def test_no_name_is_lost_or_breaks_a_line(way, time):
    table = pd.DataFrame({"depth": range(len(way)), "path_time_ns": [0] * (len(way) - 1) + [time]})
    for at, name in enumerate(("service_name", "operation")):
        table[name] = pd.Series([step[at] for step in way], dtype=object)
    text = Flame(table, 1).folded()
    text.encode()
    assert len(text.splitlines()) == 1
    assert unfolded(text.removesuffix("\n")) == (way, time)


def test_hostile_names():
    assert escaped("a;b\n[c]\\x3b") == "a\\x3bb\\x0a[c\\x5d\\x5cx3b"
    assert escaped("\ud800\u2028") == "\\ud800\\u2028"
    frame = pd.DataFrame({"trace_id": "a1", "span_id": ["1"], "name": "x; 99\nevil 1", "start_ns": 5, "end_ns": 25})
    text = critical_path(TraceSet.from_spans(frame.assign(service_name="s]; t"))).folded()
    assert text == "[s\\x5d\\x3b t] x\\x3b 99\\x0aevil 1 20\n"


# ------------------------------------------------------------------ differences


def test_a_difference_has_the_call_paths_of_both():
    quick = critical_path(draw(SHOP)).flame()
    slow = critical_path(
        draw(SHOP.replace("90 name=charge", "80 name=charge").replace("name=lock", "name=hold"))
    ).flame()
    table = quick.compare(slow)
    assert dict(zip(table["operation"], table["change_ns"], strict=True)) == {
        "pay": 5,
        "charge": -5,
        "write": 0,
        "lock": 0,
        "hold": 0,
    }
    assert table[["operation", "parent", "depth", "total_change_ns"]].iloc[1].tolist() == ["charge", 0, 1, -5]
    assert table["total_change_ns"].iloc[0] == 0


@settings(deadline=None, max_examples=40)
@given(forests(), forests())
def test_changes_add_up_and_turn_round(one, two):
    paths = [critical_path(TraceSet.from_spans(frame)) for frame in (one, two)]
    first, second = (path.flame() for path in paths)
    there, back = first.compare(second), second.compare(first)
    means = [path.latency_ns.mean() for path in paths]
    assert abs(there["change_ns"].sum() - (means[1] - means[0])) <= 0.5 + 1e-6
    assert there.loc[there["parent"] < 0, "total_change_ns"].sum() == there["change_ns"].sum()
    assert set(ways(there)) == set(ways(back)) == set(ways(first.table)) | set(ways(second.table))
    change = dict(zip(ways(there), there["change_ns"], strict=True))
    assert all(abs(change[way] + other) <= 1 for way, other in zip(ways(back), back["change_ns"], strict=True))
