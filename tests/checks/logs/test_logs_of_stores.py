"""``tk.logs`` of a store: the result of the traces in memory, however they are split and in whatever order."""

import pickle
from functools import cache, reduce
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit.analysis.logs.match import matched
from tracekit.analysis.logs.nearby import Known, Spot
from tracekit.analysis.logs.open_requests import OpenAt, OpenRequests
from tracekit.analysis.logs.silent_errors import JoinedLines, added, error_spans
from tracekit.attributes import Codes
from tracekit.checks.logs import named
from tracekit.loading.logs.read import read_lines
from tracekit.loading.store.read_write import writing

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
    starts = [one.traces.columns.spans.start_ns[one.lines["span_row"]] for one in (found, expected)]
    assert starts[0][found.lines["span_row"] >= 0].tolist() == starts[1][expected.lines["span_row"] >= 0].tolist()


@pytest.mark.parametrize("count", COUNTS)
def test_a_store_has_the_result_of_its_traces(count, tmp_path):
    _, now = sides()
    lines = lines_of(now, "cart")
    expected, store = tk.logs(now, lines), split(now, tmp_path / "a.parquet", count, seed=count)
    assert {"span_id", "trace_id", "other_trace", "none"} <= set(expected.matches["match"])
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


@cache
def crowd():
    """Requests of which some overlap, on hosts of which some have no name, with two spans of one id."""
    rng = np.random.default_rng(8)
    rows = []
    for trace in range(1, 121):
        begin, host = int(rng.integers(0, 4_000)), rng.choice(["a", "b", ""])
        spans = [
            (None, "shop", begin, 60),
            (1, "cart", begin + 5, 20),
            (1, "cart", begin + 20, 25),
            (2, "db", begin + 6, 5),
        ]
        for number, (parent, service, start, took) in enumerate(spans, 1):
            again = number == 4 and trace % 5 == 0  # the id of its parent, as Zipkin has them
            rows.append(
                {
                    "trace_id": f"{trace * 2**70:032x}",
                    "span_id": f"{trace * 8 + (2 if again else number):016x}",
                    "parent_span_id": None if parent is None else f"{trace * 8 + parent:016x}",
                    "service_name": service,
                    "name": service,
                    "kind": "SERVER",
                    "start_ns": BEGUN + start * 10**6,
                    "end_ns": BEGUN + (start + took) * 10**6,
                    "resource.host.name": None if service == "db" or not host else host,
                }
            )
    traces = tk.TraceSet.from_spans(pd.DataFrame(rows))
    return traces.with_weights(rng.choice([1.0, 1.5, 2.7], len(traces)))


BEGUN = 1_790_000_000 * 10**9


def crowd_lines():
    """Lines at any time of the crowd, with service, host, both or neither; every twentieth has ids."""
    rng, traces = np.random.default_rng(9), crowd()
    frame = pd.DataFrame({"time": BEGUN + rng.integers(0, 4_100_000_000, 600), "level": "INFO", "message": "x"})
    frame["service"] = rng.choice(["shop", "cart", "db", "nobody", None], 600)
    frame["host"] = rng.choice(["a", "b", "nowhere", None], 600, p=[0.2, 0.2, 0.1, 0.5])
    spans = traces.spans.take(np.arange(0, 400, 20))
    for name in ("trace_id", "span_id"):
        frame[name] = None
        frame.loc[frame.index[:20], name] = spans[name].astype(str).to_numpy(object)
    late = rng.integers(0, 12_000_000, 20)
    frame.loc[frame.index[:20], "time"] = spans["end_ns"].to_numpy() + late
    frame.loc[frame.index[:20], "service"] = spans["service_name"].astype(str).to_numpy(object)
    return frame


@pytest.mark.parametrize("count", COUNTS)
def test_lines_without_an_id_are_joined_by_time_as_in_memory(count, tmp_path):
    traces, lines = crowd(), crowd_lines()
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    found, expected = tk.logs(store, lines, on=1), tk.logs(traces, lines)
    agree(found, expected)
    assert set(expected.matches["match"]) == {"span_id", "time", "ambiguous", "none"}
    by_time = expected.lines[expected.lines["match"] == "time"]
    assert len(by_time) > 50
    assert by_time["span_id"].isna().any()
    assert expected.lines["candidate_count"].max() > 3
    twice = traces.spans["span_id"].astype(str).to_numpy(object)
    owner = traces.forest.trace[by_time["span_row"]]
    assert (twice[by_time["span_row"] - 1][owner % 5 == 4] == by_time["span_id"][owner % 5 == 4]).any()
    assert tk.logs(store, lines.assign(host=None), min_score=1.0, on=1).matches.equals(
        tk.logs(traces, lines.assign(host=None), min_score=1.0).matches
    )


def test_a_line_of_two_parts_is_ambiguous_and_one_without_a_host_there_is_not(tmp_path):
    """What another part has decides: the second request, and whether any part has the host or hosts of the service."""
    rows = [(1, "cart", "a", 0), (2, "cart", "b", 0), (3, "pay", None, 0), (4, "pay", "c", 500), (5, "web", None, 0)]
    frame = pd.DataFrame(
        {
            "trace_id": [f"{row[0]:032x}" for row in rows],
            "span_id": [f"{row[0]:016x}" for row in rows],
            "parent_span_id": None,
            "service_name": [row[1] for row in rows],
            "name": "x",
            "kind": "SERVER",
            "start_ns": [BEGUN + row[3] * 10**6 for row in rows],
            "end_ns": [BEGUN + (row[3] + 100) * 10**6 for row in rows],
            "resource.host.name": [row[2] for row in rows],
        }
    )
    traces, names = tk.TraceSet.from_spans(frame), ["cart", "cart", "pay", "web", "pay"]
    lines = pd.DataFrame(
        {"time": BEGUN + 50_000_001, "message": "x", "service": names, "host": [None, "a", "z", "z", None]}
    )
    with writing(tmp_path / "a.parquet") as store:
        for number in range(len(traces)):
            store.part(traces.where(traces.forest.trace == number))
        store.finish(traces.columns.sources, traces.columns.issues, traces.columns.notes)
    for one in (traces, tk.open(tmp_path / "a.parquet")):
        found = tk.logs(one, lines).lines
        assert found["match"].tolist() == ["ambiguous", "time", "none", "time", "time"]
        assert found["candidate_count"].tolist() == [2, 1, 0, 1, 1]
        assert found["trace_id"].astype(object).tolist()[1::2] == [frame["trace_id"][0], frame["trace_id"][4]]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_open_requests_do_not_depend_on_the_split_or_the_order(seed, order):
    traces, rng = crowd(), np.random.default_rng(seed)
    spots = (Spot("cart", None, 10**7), Spot(None, "a", 0), Spot("db", "b", 10**6))
    times = BEGUN + rng.integers(0, 4_100_000_000, 300)
    asked = OpenAt(spots, rng.integers(0, 3, 300).astype(np.int32), times, Known(frozenset("ab"), frozenset({"shop"})))
    part = rng.integers(0, 5, len(traces))[traces.forest.trace]
    states = [asked(traces.where(part == one)) for one in range(5)]
    order.shuffle(states)
    found, expected = reduce(OpenRequests.plus, states), asked(traces)
    for one, other in zip([*found[:3], *found.only], [*expected[:3], *expected.only], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


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


def test_other_ids_with_the_same_hash_change_nothing(tmp_path, monkeypatch):
    _, now = sides()
    store, lines = split(now, tmp_path / "a.parquet", 3), lines_of(now, "cart")
    expected = tk.logs(store, lines, on=1)
    monkeypatch.setattr(named, "_hash", lambda *ids: (ids[-1] % np.uint64(5)).astype(np.uint32))
    chosen = named.NamedSpans.by(read_lines(lines))
    assert len(store.chosen(chosen.sketch).spans) > 2 * len(store.chosen(chosen).spans)
    found = tk.logs(store, lines, on=1)
    agree(found, expected)
    assert found.traces.spans.astype(object).equals(expected.traces.spans.astype(object))


def test_what_parts_are_asked_for_is_small():
    """A million lines of as many traces and spans are 8 MB; of lines joined to spans, those of errors are sent once."""
    _, now = sides()
    ids = np.random.default_rng(1).integers(1, 2**63, (10_000, 3)).astype(np.uint64)
    lines = pd.DataFrame(ids, columns=["trace_hi", "trace_lo", "span_id"])
    assert len(pickle.dumps(named.NamedSpans.by(SimpleNamespace(frame=lines)).sketch)) < 8.1 * len(lines)
    found = tk.logs(now, pd.concat([lines_of(now, "cart")] * 3))
    own = found.lines["service_name"].cat
    match = matched(now, read_lines(pd.concat([lines_of(now, "cart")] * 3)).frame)
    joined = JoinedLines.of(now, match, Codes(own.codes.to_numpy(np.int32), list(own.categories)))
    failed = match.span[(match.span >= 0) & now.is_error[match.span]]
    alone = found.lines[(match.trace >= 0) & (match.span < 0)].dropna(subset="service_name")
    pairs = alone[["trace_id", "service_name"]].drop_duplicates()
    assert 0 < len(joined.trace_hi) == len(set(failed)) + len(pairs) < len(found.lines) / 3


@pytest.mark.parametrize("seed", [1, 2])
def test_silent_errors_equal_a_search_through_all_error_spans(seed):
    _, now = sides()
    found = tk.logs(now, lines_of(now, "cart", seed))
    lines = found.lines[found.lines["trace_id"].notna()].astype(dict.fromkeys(["trace_id", "span_id"], object))
    of_spans = set(zip(lines["trace_id"], lines["span_id"], strict=True))
    of_traces = set(lines.loc[lines["span_id"].isna(), ["trace_id", "service_name"]].itertuples(index=False, name=None))
    errors = now.spans[now.is_error].astype({"trace_id": str, "span_id": str, "service_name": str})
    silent = [
        (trace, span) not in of_spans and (trace, service) not in of_traces
        for trace, span, service in zip(errors["trace_id"], errors["span_id"], errors["service_name"], strict=True)
    ]
    assert found.silent_errors["without_log_count"].sum() == sum(silent)
    assert 0 < sum(silent) < len(errors) == found.silent_errors["error_span_count"].sum()


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_counts_of_silent_errors_do_not_depend_on_the_split_or_the_order(seed, order):
    _, now = sides()
    rows = np.random.default_rng(seed).choice(len(now.spans), 200, replace=False)
    spans = now.columns.spans
    names = now.codes("service_name")
    span_id = np.where(rows % 3 == 0, 0, spans.span_id[rows]).astype(np.uint64)
    lines = JoinedLines(spans.trace_hi[rows], spans.trace_lo[rows], span_id, names.take(rows))
    part = np.random.default_rng(seed).integers(0, 4, len(now))[now.forest.trace]
    states = [error_spans(now.where(part == one), lines) for one in range(4)]
    order.shuffle(states)
    same(reduce(added, states), error_spans(now, lines))
