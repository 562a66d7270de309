"""``tk.logs`` of a store: the result of the traces in memory, however they are split and in whatever order."""

from functools import cache, reduce

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit.analysis.logs.silent_errors import JoinedLines, added, error_spans

TABLES = ("matches", "templates", "new", "silent_errors", "clocks", "sources", "issues")


@cache
def sides():
    """A baseline and a recording with weights of two kinds."""
    found = (side.head(160) for side in tk.load_sample("checkout-regression"))
    return [side.with_weights(np.random.default_rng(4).choice([1.0, 4.0], len(side))) for side in found]


def lines_of(traces, text, seed=1):
    """Lines with all kinds of ids: of spans, of traces, of 64 bits, of a span alone, of no trace here, and none."""
    rng = np.random.default_rng(seed)
    spans = traces.spans.take(np.sort(rng.choice(len(traces.spans), 500, replace=False)))
    kind, failed = np.arange(len(spans)) % 10, spans["status_code"].to_numpy() == "ERROR"
    trace_id, span_id = (spans[name].astype(str).to_numpy(object) for name in ("trace_id", "span_id"))
    late = np.where(kind == 1, 7_000_000, 0)
    frame = pd.DataFrame({"time": spans["end_ns"].to_numpy() + late, "level": np.where(failed, "ERROR", "INFO")})
    frame["message"] = [f"{'declined' if bad else text} {number}" for number, bad in enumerate(failed)]
    frame["trace_id"], frame["span_id"] = trace_id, span_id
    frame["service_name"] = spans["service_name"].astype(str).to_numpy(object)
    frame.loc[kind == 2, "span_id"] = None
    frame.loc[kind == 3, "trace_id"] = [one[16:] for one in trace_id[kind == 3]]
    frame.loc[kind == 4, "trace_id"] = None
    frame.loc[kind == 5, "trace_id"] = "77"
    frame.loc[kind == 6, ["trace_id", "span_id", "time"]] = None
    frame.loc[kind == 7, "service_name"] = None
    return frame.astype({"time": "Int64"})


def events_of(traces):
    """Trace, span, name and time of every event."""
    row = traces.events["span_row"]
    ids = [traces.spans[name].astype(str).iloc[row] for name in ("trace_id", "span_id")]
    return [*zip(*ids, traces.events["name"].astype(str), traces.events["time_ns"], strict=True)]


def agree(found, expected):
    """Equal tables, and equal lines but for the rows of their spans."""
    for name in TABLES:
        table, other = getattr(found, name), getattr(expected, name)
        assert len(table) == len(other)
        same(table, other)
    rows = [one.lines.drop(columns="span_row") for one in (found, expected)]
    categories = list(rows[0].select_dtypes("category"))
    same(*(one.astype(dict.fromkeys(categories, object)) for one in rows))
    assert found.statement == expected.statement
    assert repr(found) == repr(expected)
    spans = found.traces.spans
    joined = found.lines[found.lines["span_row"] >= 0]
    assert joined["span_id"].tolist() == spans["span_id"].astype(str).iloc[joined["span_row"]].tolist()


@pytest.mark.parametrize("count", COUNTS)
def test_a_store_has_the_result_of_its_traces(count, tmp_path):
    _, now = sides()
    lines = lines_of(now, "cart")
    expected, store = tk.logs(now, lines), split(now, tmp_path / "a.parquet", count, seed=count)
    assert expected.matches["match"].tolist() == ["span_id", "trace_id", "other_trace", "none"]
    assert expected.silent_errors["without_log_count"].between(1, 1_000).any()
    found = tk.logs(store, lines, on=1)
    agree(found, expected)
    assert len(found.traces.spans) < len(now.spans)
    for trace_id in expected.lines["trace_id"].dropna().unique()[:3]:
        for name in ("of", "critical_path"):
            one, other = (getattr(result, name)(trace_id) for result in (found, expected))
            drop = {"span_row", *other.select_dtypes("category")} & {*other}
            same(one.drop(columns=drop), other.drop(columns=drop))
    silent = sorted(set(now.trace_ids) - set(expected.lines["trace_id"].dropna()))
    assert all(found.of(trace_id).empty for trace_id in silent[:1])
    with pytest.raises(ValueError, match="found '7777'"):
        found.of("7777")
    events, others = (events_of(one.as_events()) for one in (found, expected))
    assert events == [one for one in others if one[0] in set(found.traces.trace_ids)]
    assert tk.plot(found).to_json() == tk.plot(expected).to_json()


@pytest.mark.parametrize("kinds", ["store, store", "store, memory", "memory, store"])
def test_a_baseline_in_the_same_log(kinds, tmp_path):
    before, now = sides()
    lines = pd.concat([lines_of(before, "cart"), lines_of(now, "payment")], ignore_index=True)
    expected = tk.logs(now, lines, baseline=before)
    assert expected.new["trace_count"].gt(0).any()
    given = [
        split(side, tmp_path / f"{at}.parquet", 4) if kind == "store" else side
        for at, (kind, side) in enumerate(zip(kinds.split(", "), (now, before), strict=True))
    ]
    agree(tk.logs(given[0], lines, baseline=given[1]), expected)
    apart = tk.logs(given[0], lines, baseline=tk.logs(given[1], lines_of(before, "cart")))
    agree(apart, tk.logs(now, lines, baseline=tk.logs(before, lines_of(before, "cart"))))


def test_lines_without_an_id_are_not_joined_with_a_store(tmp_path):
    _, now = sides()
    lines = lines_of(now, "cart").dropna(subset="time").assign(trace_id=None, span_id=None)
    store = split(now, tmp_path / "a.parquet", 2)
    assert tk.logs(now, lines).lines["match"].ne("none").any()
    assert tk.logs(store, lines, on=1).matches.to_numpy().tolist() == [["none", len(lines), 1.0]]


def test_a_span_id_of_two_parts_names_neither(tmp_path):
    _, now = sides()
    frame = now.spans.drop(columns=["duration_ns", "start_time"])
    first = np.flatnonzero(~frame["trace_id"].duplicated())[:2]
    frame["span_id"] = frame["span_id"].astype(object)
    frame.loc[frame.index[first], "span_id"] = "abcdabcdabcdabcd"
    traces = tk.TraceSet.from_spans(frame)
    lines = pd.DataFrame({"message": ["x", "y"], "span_id": ["abcdabcdabcdabcd", str(now.spans["span_id"].iloc[-1])]})
    for one in (traces, split(traces, tmp_path / "a.parquet", 7)):
        assert tk.logs(one, lines).lines["match"].tolist() == ["none", "span_id"]


@pytest.mark.parametrize("count", [1, 7])
def test_messages_of_a_store_are_searched_for_personal_data(count, tmp_path):
    _, now = sides()
    store, lines = split(now, tmp_path / "a.parquet", count), lines_of(now, "cart")
    lines.loc[::3, "message"] = [f"to jo{row}@example.org" for row in lines.index[::3]]
    given = [(one, tk.logs(one, lines)) for one in (store, now)]
    found, expected = ([*tk.quality(one, logs=joined, checks=["pii"])] for one, joined in given)
    assert [one.headline for one in found] == [one.headline for one in expected]
    assert "log message" in expected[0].headline
    same(found[0].evidence, expected[0].evidence)
    with pytest.raises(ValueError, match=r"expected logs= to be the result of tk\.logs of the same traces"):
        tk.quality(store, logs=given[1][1])


def test_no_lines_and_no_traces_have_an_answer(tmp_path):
    _, now = sides()
    store = split(now, tmp_path / "a.parquet", 2)
    nothing = lines_of(now, "cart").head(0)
    agree(tk.logs(store, nothing, on=1), tk.logs(now, nothing))
    none = store.where("service_name == 'nobody'")
    found, expected = tk.logs(none, lines_of(now, "cart"), on=1), tk.logs(none.load(), lines_of(now, "cart"))
    assert found.matches.to_dict("list") == expected.matches.to_dict("list")
    assert found.silent_errors.empty
    with pytest.raises(ValueError, match="expected a TraceStore with on="):
        tk.logs(now, nothing, on=2)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_counts_of_silent_errors_do_not_depend_on_the_split_or_the_order(seed, order):
    _, now = sides()
    rows = np.random.default_rng(seed).choice(len(now.spans), 200, replace=False)
    spans = now.columns.spans
    service = now.spans["service_name"].astype(object).to_numpy()[rows]
    span_id = np.where(rows % 3 == 0, 0, spans.span_id[rows]).astype(np.uint64)
    lines = JoinedLines(spans.trace_hi[rows], spans.trace_lo[rows], span_id, service)
    part = np.random.default_rng(seed).integers(0, 4, len(now))[now.forest.trace]
    states = [error_spans(now.where(part == one), lines) for one in range(4)]
    order.shuffle(states)
    same(reduce(added, states), error_spans(now, lines))
