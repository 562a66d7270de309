"""Data quality and sampling of a store: the same findings as in memory, however the traces are split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit.checks.case import Case, build_case
from tracekit.checks.merged import Merged
from tracekit.checks.registry import CHECKS, readings, run_check
from tracekit.checks.sampling.unseen_paths import path_numbers
from tracekit.checks.sampling.weights_used import WEIGHTS_USED
from tracekit.checks.together import read_by
from tracekit.loading.store.rounds import Rounds
from tracekit.loading.store.trace_store import TraceStore

MADE = {check.name: check for check in CHECKS if check.topic in {"quality", "sampling"}}


def damaged(seed=5):
    """Requests without some spans, with reused ids, spans recorded by a proxy, and weights of two kinds."""
    frame = tk.load_sample("checkout-regression")[1].head(400).spans
    rng = np.random.default_rng(seed)
    is_root = frame["parent_span_id"].isna()
    frame = frame[is_root | (rng.random(len(frame)) > 0.12)].copy()
    again = frame[(frame["kind"] == "CLIENT").to_numpy() & (rng.random(len(frame)) < 0.01)].copy()
    again["name"] = "another operation"
    doubled = frame[frame["kind"] == "SERVER"].head(300).copy()
    doubled["parent_span_id"] = doubled["span_id"]
    doubled["span_id"] = [f"{at + 1:016x}" for at in range(len(doubled))]
    found = tk.TraceSet.from_spans(pd.concat([frame, again, doubled], ignore_index=True))
    return found.with_weights(rng.choice([1.0, 2.5, 10.0], len(found)))


@pytest.fixture(scope="module")
def traces():
    return damaged()


def agree(found, expected):
    """Findings: equal words, counts and rows, floats to 1e-9."""
    assert [one.headline for one in found] == [one.headline for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.check, one.status, one.severity, one.exemplars, one.remedy) == (
            other.check,
            other.status,
            other.severity,
            other.exemplars,
            other.remedy,
        )
        if other.evidence is not None:
            same(one.evidence, other.evidence)
        if other.estimate is not None:
            for name in ("value", "low", "high", "n", "n_effective"):
                number = getattr(other.estimate, name)
                assert getattr(one.estimate, name) == (
                    number if number is None else pytest.approx(number, rel=1e-9, nan_ok=True)
                )


@pytest.mark.parametrize("count", [1, 5, 64])
def test_findings_of_parts_are_those_of_the_whole(traces, count, tmp_path):
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    quality, sampling = (analysis(store, on=1) for analysis in (tk.quality, tk.sampling))
    agree(quality, tk.quality(traces))
    agree(sampling, tk.sampling(traces))
    failing = {one.check for one in quality if one.status in {"failed", "warning"}}
    assert {"complete.spans", "duplicates.ids"} <= failing


@pytest.fixture(scope="module")
def few(traces):
    """Some traces, and what each check finds in them in memory."""
    some = traces.head(60)
    return some, [run_check(check, Case(some)) for check in MADE.values()]


@settings(max_examples=6, deadline=None)
@given(count=st.integers(1, 6), seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_the_order_of_parts_does_not_matter(few, tmp_path_factory, count, seed, order):
    traces, expected = few
    store = split(traces, tmp_path_factory.mktemp("any") / "a.parquet", count, seed)
    numbers = list(range(store.part_count))
    order.shuffle(numbers)
    shuffled = TraceStore(store.path, store._marker, tuple(numbers), on=1)
    rounds = Rounds()
    case = read_by(rounds, Case(shuffled))
    rounds.run(readings(case, MADE.values()))
    for check, each in zip(MADE.values(), expected, strict=True):
        agree(run_check(check, case), each)


@pytest.mark.parametrize("kind", ["random", "serial", "one instant", "short"])
@pytest.mark.parametrize("count", COUNTS)
def test_ids_of_parts_are_tested_in_the_order_of_time(kind, count, tmp_path):
    rng = np.random.default_rng(count)
    low = rng.integers(1, 2**63, 1500)
    low = np.sort(low % 2**48) if kind == "serial" else low
    start = np.full(1500, 10**18) if kind == "one instant" else 10**18 + np.arange(1500) * 10**6
    high = np.zeros(1500, np.int64) if kind == "short" else rng.integers(1, 2**63, 1500)
    ids = [f"{a:016x}{b:016x}" for a, b in zip(high, low, strict=True)]
    frame = {"trace_id": ids, "span_id": [f"{n + 1:016x}" for n in range(1500)], "service_name": "a", "name": "b"}
    traces = tk.TraceSet.from_spans(pd.DataFrame(frame | {"start_ns": start, "end_ns": start + 1000}))
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    (check,) = (check for check in CHECKS if check.name == "id.random")
    found, expected = (run_check(check, Case(each)) for each in (store, traces))
    agree(found, expected)
    assert found[0].status == ("measured" if kind == "serial" else "ok")
    assert ("each ID resembles the previous one" in found[0].headline) == (kind == "serial")
    assert ("64-bit IDs" in found[0].headline) == (kind == "short")


@pytest.mark.parametrize("counted", ["by status", "all", "nothing"])
@pytest.mark.parametrize("weight", ["equal", "unequal", "without failures"])
@pytest.mark.parametrize("count", [1, 5])
def test_failing_traces_of_parts_are_compared_with_failing_requests(traces, counted, weight, count, tmp_path):
    some = traces.with_weights(4.0) if weight == "equal" else traces
    if weight == "without failures":
        well = np.array(traces.trace_ids)[~Case(traces).failed]
        some = tk.TraceSet.from_spans(traces.spans[traces.spans["trace_id"].isin(well)]).with_weights(4.0)
    begin = traces.spans["start_time"].min().floor("min")
    rows = pd.DataFrame({"time": [begin] * 2, "end": begin + pd.Timedelta("1h"), "status": ["200", "500"]})
    by_status = rows.assign(count=[4000, 900])
    requests = {"by status": by_status, "all": by_status.drop(columns="status").iloc[:1], "nothing": None}[counted]
    store = split(some, tmp_path / "a.parquet", count, seed=count)
    (check,) = (check for check in CHECKS if check.name == "capture.errors")
    found, expected = (run_check(check, build_case(each, requests=requests)) for each in (store, some))
    agree(found, expected)
    assert found[0].status != "not_assessable"
    assert bool(found[0].exemplars) == (weight != "without failures")


@pytest.mark.parametrize("count", [1, 5])
def test_thresholds_of_parts(traces, count, tmp_path):
    frame = traces.spans
    rng = np.random.default_rng(2)
    by_trace = {name: rng.choice(["ot=th:8", "ot=th:c", None]) for name in traces.trace_ids}
    frame["trace_state"] = frame["trace_id"].map(by_trace)
    sampled = tk.TraceSet.from_spans(frame).with_weights(4)
    expected = [one for one in tk.sampling(sampled) if one.check == "weights.sanity"]
    found = [
        one for one in tk.sampling(split(sampled, tmp_path / "a.parquet", count), on=1) if one.check == "weights.sanity"
    ]
    assert "threshold" in expected[0].headline
    agree(found, expected)


@pytest.mark.parametrize("analysis", [tk.quality, tk.sampling])
def test_every_check_is_made(traces, analysis, tmp_path):
    store = split(traces, tmp_path / "a.parquet", 3)
    made = {one.check for one in analysis(store, on=1)}
    for check in CHECKS:
        assert check.topic != analysis.__name__ or any(name.startswith(check.name) for name in made), check.name


def requests_of(traces, by="service"):
    """Counts of requests by service and minute, or by route, of one service or route too few, and one unseen."""
    rng = np.random.default_rng(6)
    root = traces.spans[traces.spans["parent_span_id"].isna()]
    if by == "route":
        route = traces.attribute("http_route")[root.index].astype(object).fillna(root["operation"].astype(object))
        names = [*sorted(route.unique())[1:], "GET /unseen"]
        return pd.DataFrame({"route": names, "count": rng.integers(400, 4000, len(names))})
    names = sorted(traces.spans.loc[traces.spans["kind"] == "SERVER", "service_name"].astype(str).unique())
    begin = pd.date_range(root["start_time"].min().floor("min"), periods=3, freq="min")
    rows = [
        {"service": name, "time": time, "count": int(rng.integers(40, 4000)) if name != "cart" else 1}
        for name in [*names[1:], "billing"]
        for time in begin
    ]
    return pd.DataFrame(rows)


JOINED = ("rate.observed", "coverage.funnel", "mix.head", "weights.sanity", "counts.join")


@pytest.mark.parametrize("by", ["service", "route"])
@pytest.mark.parametrize("count", COUNTS)
def test_request_counts_are_compared_with_the_traces_of_all_parts(traces, count, by, tmp_path):
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    requests = requests_of(traces, by)
    checks = 0
    for analysis in (tk.sampling, tk.quality):
        found, expected = (
            [one for one in analysis(each, requests=requests) if one.check in {*JOINED, "absence"}]
            for each in (store, traces)
        )
        agree(found, expected)
        assert [one.assumptions for one in found] == [one.assumptions for one in expected]
        checks += len({one.check for one in found if one.status != "not_assessable"} - {"absence"})
    assert checks == len(JOINED)
    mixes = [tk.sample_mix(each, requests=requests) for each in (store, traces)]
    same(mixes[0].table, mixes[1].table)
    assert mixes[0].headlines == mixes[1].headlines


@settings(max_examples=5, deadline=None)
@given(count=st.integers(1, 6), seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_counted_traces_add_up_in_any_order(traces, tmp_path_factory, count, seed, order):
    traces = traces.head(80)
    store = split(traces, tmp_path_factory.mktemp("any") / "a.parquet", count, seed)
    numbers = list(range(store.part_count))
    order.shuffle(numbers)
    shuffled = TraceStore(store.path, store._marker, tuple(numbers), on=1)
    requests = requests_of(traces)
    found, expected = (build_case(each, requests=requests).tally for each in (shuffled, traces))
    for name in ("frame", "bins", "unmatched"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(expected, name))
    assert found.outside_count == expected.outside_count
    assert len(expected.unmatched)


def test_counts_of_another_period_are_named(traces, tmp_path):
    store = split(traces, tmp_path / "a.parquet", 3)
    requests = pd.DataFrame({"time": ["2020-01-01 00:00"], "end": ["2020-01-01 01:00"], "count": [100]})
    said = [
        next(one.headline for one in tk.sampling(each, requests=requests) if one.check == "rate.observed")
        for each in (store, traces)
    ]
    assert said[0] == said[1]
    assert "they cover 2020-01-01 00:00 to 2020-01-01 01:00 UTC" in said[0]


def test_logs_of_other_traces_are_refused(traces, tmp_path):
    store = split(traces, tmp_path / "a.parquet", 2)
    with pytest.raises(ValueError, match=r"expected logs= to be the result of tk\.logs of the same traces"):
        tk.quality(store, logs=pd.DataFrame({"trace_id": ["1" * 32]}))
    with pytest.raises(ValueError, match="expected a TraceStore with on="):
        tk.quality(traces, on=2)


def test_a_state_that_no_pass_has_worked_out_is_an_error(traces, tmp_path):
    store = split(traces, tmp_path / "a.parquet", 2)
    with pytest.raises(LookupError, match="name it in needs="):
        Case(store).result(Merged(_asks, max))


def _asks(case):
    return case.result(WEIGHTS_USED).base_count


def test_paths_have_the_same_number_in_every_set(traces):
    few = traces.head(30)
    assert np.isin(path_numbers(few), path_numbers(traces)).all()
