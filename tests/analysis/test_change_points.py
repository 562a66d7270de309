"""Onset, peak and recovery: planted steps are found in their intervals, and nothing is claimed without one."""

import pickle

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tracekit import TraceSet

EPOCH, SECOND = 1_700_000_000_000_000_000, 1_000_000_000
BEGAN, ENDED, LENGTH = 500, 740, 1200  # s


def recorded(rng, *, factor=1.0, failing=0.02, surge=1, n=1000, until=ENDED):
    """Requests of one service; latency, errors or the request rate change from BEGAN to ``until``."""
    at = np.sort(rng.uniform(0, LENGTH, n * surge))
    during = (at >= BEGAN) & (at < until)
    kept = during | (rng.random(len(at)) < 1 / surge)
    at, during = at[kept], during[kept]
    took = rng.lognormal(17, 0.5, len(at)) * np.where(during, factor, 1)
    start = EPOCH + (at * SECOND).astype(np.int64)
    frame = pd.DataFrame(
        {
            "trace_id": [f"{k + 1:032x}" for k in range(len(at))],
            "span_id": [f"{k + 1:016x}" for k in range(len(at))],
            "parent_span_id": "",
            "name": "GET /",
            "service_name": "web",
            "start_ns": start,
            "end_ns": start + took.astype(np.int64),
            "status_code": np.where(rng.random(len(at)) < np.where(during, failing, 0.02), "ERROR", "OK"),
        }
    )
    return TraceSet.from_spans(frame)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize(
    ("metric", "planted", "before", "during"),
    [
        ("latency", {"factor": 2}, 2.74e7, 5.5e7),  # mean of a log-normal: exp(17 + 0.5^2 / 2)
        ("critical_path_time", {"factor": 2}, 2.74e7, 5.5e7),
        ("error_rate", {"failing": 0.3}, 0.02, 0.3),
        ("request_rate", {"surge": 3}, 0.833, 2.5),
    ],
)
def test_a_planted_change_is_in_its_interval_with_its_means(rng, metric, planted, before, during):
    found = tk.timeline(recorded(rng, **planted)).changes
    rows = found[found["metric"] == metric].set_index("kind")
    for kind, second in {"onset": BEGAN, "recovery": ENDED}.items():
        assert rows.loc[kind, "low_ns"] <= EPOCH + second * SECOND <= rows.loc[kind, "high_ns"]
    assert rows.loc["onset", ["before_value", "after_value"]].tolist() == pytest.approx([before, during], rel=0.2)
    assert rows.loc["recovery", ["before_value", "after_value"]].tolist() == pytest.approx([during, before], rel=0.3)
    assert rows.loc["onset", "time_ns"] <= rows.loc["peak", "low_ns"] <= rows.loc["peak", "time_ns"]
    assert rows.loc["peak", "time_ns"] <= rows.loc["peak", "high_ns"] <= rows.loc["recovery", "time_ns"]
    assert rows.loc["peak", "after_value"] >= rows.loc["onset", "after_value"]
    assert set(found["metric"]) <= {metric, "latency", "critical_path_time"}


def test_a_change_that_lasts_to_the_end_has_no_recovery(rng):
    seen = tk.timeline(recorded(rng, factor=2, until=LENGTH))
    assert set(seen.changes["kind"]) == {"onset", "peak"}
    before, during, after = seen.cohorts()
    assert (len(before) + len(during), len(after)) == (1000, 0)


def test_cohorts_contain_every_trace_once_in_the_order_of_time(rng):
    traces = recorded(rng, factor=2)
    cohorts = tk.timeline(traces).cohorts()
    assert [trace for cohort in cohorts for trace in cohort.trace_ids] == traces.trace_ids
    during = cohorts.during.summary["start_ns"]
    assert during.min() == pytest.approx(EPOCH + BEGAN * SECOND, abs=20 * SECOND)
    assert during.max() == pytest.approx(EPOCH + ENDED * SECOND, abs=20 * SECOND)


@pytest.mark.parametrize("n", [1, 50, 1000])
def test_nothing_is_claimed_without_a_change(n):
    seen = tk.timeline(recorded(np.random.default_rng(3), n=n))
    assert seen.changes.empty
    assert seen.affected.empty
    with pytest.raises(ValueError, match=f"expected a change, found none in {n:,} requests; choose the periods"):
        seen.cohorts()


def calling(rng, onsets, *, n=1200):
    """Requests of web that call each service in turn; a service takes four times as long from its onset (s) on."""
    at = np.sort(rng.uniform(0, LENGTH, n))
    start = EPOCH + (at * SECOND).astype(np.int64)
    took = {name: rng.lognormal(16, 0.3, n) * np.where(at >= onset, 4, 1) for name, onset in onsets.items()}
    begin = start + 1_000_000
    rows = []
    for k, (name, own) in enumerate(took.items()):
        rows.append((f"{k + 2:x}", "1", name, begin, begin + own.astype(np.int64)))
        begin = rows[-1][-1]
    names = ["span_id", "parent_span_id", "service_name", "start_ns", "end_ns"]
    rows.append(("1", "", "web", start, begin + rng.integers(1_000_000, 2_000_000, n)))
    ids = [f"{k + 1:032x}" for k in range(n)]
    frames = [pd.DataFrame(dict(zip(names, row, strict=True))).assign(trace_id=ids, name="GET") for row in rows]
    return TraceSet.from_spans(pd.concat(frames))


def test_services_are_in_the_order_of_their_onsets_only_if_the_intervals_say_so(rng):
    traces = calling(rng, {"search": 800, "db": 400, "cache": 400, "mail": 9999})
    found = tk.timeline(traces).affected.set_index("service_name")
    assert set(found.index) == {"search", "db", "cache"}
    for name, onset in {"search": 800, "db": 400, "cache": 400}.items():
        assert found.loc[name, "low_ns"] <= EPOCH + onset * SECOND <= found.loc[name, "high_ns"]
    assert found.loc["search", ["first_position", "last_position"]].tolist() == [3, 3]
    assert found.loc["search", "overlaps"] == ()
    for name, other in (("db", "cache"), ("cache", "db")):
        assert found.loc[name, ["first_position", "last_position"]].tolist() == [1, 2]
        assert found.loc[name, "overlaps"] == (other,)


def test_every_metric_says_whether_it_changed_or_could_not_be_tested(rng):
    tested = tk.timeline(recorded(rng, factor=4, n=300, failing=0.001)).tested.set_index("metric")
    assert tested["status"].to_dict() == {
        "request_rate": "no significant change",
        "error_rate": "not estimable: too few requests",
        "latency": "changed",
        "critical_path_time": "changed",
    }
    assert tested["p_value"].isna().tolist() == [False, True, False, False]


def test_a_change_below_the_minimum_effect_is_not_reported(rng):
    at = np.arange(3000)
    took = 10**8 + (at >= 1500) * 5 * 10**6 + rng.integers(0, 10**6, 3000)  # 5%, far above the noise
    frame = pd.DataFrame({"trace_id": [f"{k + 1:x}" for k in at], "span_id": "1", "name": "GET", "service_name": "web"})
    start = EPOCH + at * SECOND
    seen = tk.timeline(TraceSet.from_spans(frame.assign(start_ns=start, end_ns=start + took)))
    assert seen.changes.empty
    status = seen.tested.set_index("metric")["status"]
    assert status[["latency", "critical_path_time"]].tolist() == ["change below the minimum effect"] * 2


def test_the_order_of_spans_is_irrelevant(rng):
    traces = recorded(rng, factor=2)
    shuffled = TraceSet.from_spans(traces.spans.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(tk.timeline(traces).changes, tk.timeline(shuffled).changes)


def test_weights_enter_the_means(rng):
    traces = recorded(rng, factor=2)
    slow = traces.summary["root_duration_ns"].to_numpy(float) > 3e7
    rows = tk.timeline(traces.with_weights(np.where(slow, 1.0, 3.0))).changes
    onset = rows[(rows["metric"] == "latency") & (rows["kind"] == "onset")].iloc[0]
    start, took = (traces.summary[name].to_numpy(float) for name in ("start_ns", "root_duration_ns"))
    before = start < onset["time_ns"]
    expected = np.average(took[before], weights=np.where(slow, 1.0, 3.0)[before])
    assert onset["before_value"] == pytest.approx(expected)


def test_traces_outside_the_probability_sample_are_left_out(rng):
    traces = recorded(rng, factor=2)
    seen = tk.timeline(traces.with_weights("auto"))
    assert len(seen.changes)
    assert seen.tested["request_count"].max() == 1000


@pytest.mark.parametrize("given", ["frame", "mapping"])
def test_a_given_deployment_that_coincides_with_an_onset_is_named(rng, given):
    times = {"web 2.0": BEGAN - 20, "early": 100, "late": 1000}
    first = {name: pd.Timestamp(EPOCH + at * SECOND) for name, at in times.items()}
    frame = pd.DataFrame({"service_name": ["web", "early", "late"], "service_version": ["2.0", None, None]})
    deployments = first if given == "mapping" else frame.assign(first_time=list(first.values()))
    seen = tk.timeline(recorded(rng, factor=2), deployments=deployments)
    assert seen.deployment_names == ["early", "web 2.0", "late"]
    assert seen.deployments["first_ns"].tolist() == sorted(EPOCH + at * SECOND for at in times.values())
    rows = seen.changes[seen.changes["metric"] == "latency"].set_index("kind")
    assert rows["deployment"].to_dict() == {"onset": "web 2.0", "peak": "", "recovery": ""}


def test_deployments_that_cannot_be_read_are_refused(shop):
    with pytest.raises(ValueError, match="expected a time for deployment 'v2', found 'soon'"):
        tk.timeline(shop, deployments={"v2": "soon"})
    with pytest.raises(ValueError, match="expected a time for deployment 'v2', found None"):
        tk.timeline(shop, deployments={"v2": None})
    with pytest.raises(ValueError, match="columns service_name and first_time, found version"):
        tk.timeline(shop, deployments=pd.DataFrame({"version": ["2"]}))
    with pytest.raises(
        TypeError, match="expected deployments as a frame or as a mapping from name to time, found list"
    ):
        tk.timeline(shop, deployments=["v2"])


def test_the_release_of_the_sample_is_named_at_the_onset_of_its_service():
    before, during = tk.load_sample("checkout-regression")
    seen = tk.timeline(before + during)
    (row,) = seen.affected.to_dict("records")
    assert row["service_name"] == "ledger"
    assert row["low_ns"] <= during.summary["start_ns"].min() <= row["high_ns"]
    onset = seen.changes[seen.changes["kind"] == "onset"].iloc[0]
    assert onset["deployment"] == "ledger 1.5.0"
    for one in (before, during):
        assert tk.timeline(one).changes.empty


def test_a_pickled_timeline_has_its_changes_but_not_the_traces(rng):
    seen = tk.timeline(recorded(rng, factor=2))
    stored = pickle.dumps(seen)
    assert len(stored) < 100_000
    bare = pickle.loads(stored)
    for name in ("changes", "tested", "affected"):
        pd.testing.assert_frame_equal(getattr(bare, name), getattr(seen, name))
    assert len(tk.plot(bare).layout.shapes) == 5
    with pytest.raises(ValueError, match=r"found one without \(pickled\); call tk.timeline\(traces\)"):
        bare.cohorts()


def damaged(name, spans):
    """The same spans with something wrong with all or many of them."""
    rows = np.arange(len(spans))
    missing = pd.array([pd.NA] * len(spans), dtype="Int64")
    columns = {
        "no start": {"start_ns": spans["start_ns"].astype("Int64").where(rows % 3 > 0)},
        "no end": {"end_ns": missing},
        "unfinished": {"end_ns": spans["end_ns"].astype("Int64").where(rows % 3 > 0)},
        "no duration": {"end_ns": spans["start_ns"]},
        "negative durations": {"end_ns": spans["start_ns"] - 5},
        "years": {"end_ns": spans["start_ns"] + 9 * 10**17},
        "all failed": {"status_code": "ERROR"},
        "no service": {"service_name": None},
        "all at once": {"start_ns": EPOCH, "end_ns": EPOCH + 5},
        "one late": {"start_ns": EPOCH + np.where(rows == 7, 10**17, 0), "end_ns": EPOCH + 10**17 + rows},
        "pairs at once": {"start_ns": EPOCH + rows // 2 * SECOND, "end_ns": EPOCH + 10**12},
        "one huge": {"end_ns": spans["start_ns"] + np.where(rows == 7, 9 * 10**17, 10**6)},
    }
    return TraceSet.from_spans(spans.assign(**columns[name]))


DAMAGES = (
    "no start", "no end", "unfinished", "no duration", "negative durations", "years", "all failed", "no service",
    "all at once", "one late", "pairs at once", "one huge",
)  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("weights", [None, "one has most"])
def test_damaged_recordings_have_an_answer(rng, name, weights):
    columns = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "start_ns", "end_ns", "status_code"]
    traces = damaged(name, recorded(rng).spans[columns])
    if weights is not None:
        traces = traces.with_weights(np.where(np.arange(len(traces)) == 5, 1e9, 1.0))
    seen = tk.timeline(traces)
    changes = seen.changes
    assert (changes["low_ns"] <= changes["time_ns"]).all()
    assert (changes["time_ns"] <= changes["high_ns"]).all()
    assert changes[["before_value", "after_value", "p_value"]].notna().all().all()
    assert set(changes["metric"]) <= (
        {"request_rate"} if weights is None else {"request_rate", "latency", "error_rate"}
    )
    assert seen.tested["status"].notna().all()
    tk.plot(seen)
