import numpy as np
import pandas as pd
import pytest
from drawn_spans import draw
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.analysis.critical_path.cells import Cells, Labels, Population, Sample
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.attributes import Codes
from tracekit.stats.influences import Denominator
from tracekit.traces import TraceSet
from tracekit.weights import Weights

SHOP = """
a1 1 - shop   SERVER    0 100 name=pay
a1 2 1 cart   INTERNAL 10  40 name=lock
a1 3 1 ledger INTERNAL 30  90 name=charge
a1 4 3 ledger INTERNAL 50  60 name=write
b2 5 - shop   SERVER    0  40 name=pay
"""


def requests(latencies, slow):
    """One request a latency: web waits 10 ns itself, ledger the rest where ``slow`` says so, else cart."""
    rows = []
    for at, (latency, is_slow) in enumerate(zip(latencies, slow, strict=True)):
        rows.append((f"a{at:x}", "1", None, "web", 0, latency))
        rows.append((f"a{at:x}", "2", "1", "ledger" if is_slow else "cart", 10, latency))
    columns = ["trace_id", "span_id", "parent_span_id", "service_name", "start_ns", "end_ns"]
    return critical_path(TraceSet.from_spans(pd.DataFrame(rows, columns=columns).assign(name="x")))


def test_sums_shares_presence_and_exemplars():
    traces = draw(SHOP)
    table = critical_path(traces).by("service_name").set_index("service_name")
    assert table["path_time_ns"].to_dict() == {"shop": 80, "ledger": 60}
    assert table["share_ratio"].tolist() == pytest.approx([80 / 140, 60 / 140])
    assert table["presence_ratio"].tolist() == [1.0, 0.5]
    assert table["mean_ns"].tolist() == [40.0, 30.0]
    assert table["trace_count"].tolist() == [2, 1]
    assert table["partial_count"].tolist() == [0, 0]
    assert table["typical_trace_id"].tolist() == [traces.trace_ids[0]] * 2
    assert table["largest_trace_id"].tolist() == [traces.trace_ids[0]] * 2


def test_requests_of_no_weight_have_no_mean():
    traces = draw("a1 1 - s SERVER 0 9\nb1 1 - s SERVER 0 30")
    kept_beside_the_sample = Weights(np.zeros(2), Codes(np.zeros(2, np.int32), ["tail"]))
    none = critical_path(TraceSet(traces.columns, weights=kept_beside_the_sample)).bands("service_name")
    assert none.bands["mean_latency_ns"].isna().all()


def test_weights_go_into_means_and_not_into_sums():
    traces = draw(SHOP)
    weighted = critical_path(traces.with_weights(np.array([3.0, 1.0]))).by("service_name").set_index("service_name")
    assert weighted["path_time_ns"].to_dict() == {"shop": 80, "ledger": 60}
    assert weighted["mean_ns"].to_dict() == {"shop": 40.0, "ledger": 45.0}
    assert weighted.loc["ledger", "presence_ratio"] == 0.75
    assert weighted.loc["ledger", "share_ratio"] == pytest.approx(180 / 340)


@pytest.mark.parametrize(
    ("key", "sums"),
    [
        ("operation", {"pay": 80, "charge": 50, "write": 10}),
        ("trace_id", {"0" * 30 + "a1": 100, "0" * 30 + "b2": 40}),
        ("caller_service", {None: 80, "shop": 60}),
        ("kind", {"SERVER": 80, "INTERNAL": 60}),
        (
            "call_path",
            {"shop pay": 80, "shop pay > ledger charge": 50, "shop pay > ledger charge > ledger write": 10},
        ),
    ],
)
def test_keys(key, sums):
    table = critical_path(draw(SHOP)).by(key)
    assert dict(zip(table[key], table["path_time_ns"].tolist(), strict=True)) == sums


def test_attributes_and_several_keys():
    frame = pd.DataFrame(
        {
            "trace_id": "a1",
            "span_id": ["1", "2", "3"],
            "parent_span_id": [None, "1", "9"],
            "name": "x",
            "service_name": ["web", "db", "db"],
            "attributes.tenant": [None, "blue", "green"],
            "start_ns": [0, 10, 60],
            "end_ns": [100, 50, 90],
        }
    )
    path = critical_path(TraceSet.from_spans(frame))
    table = path.by(["service_name", "tenant"])
    assert table[["service_name", "tenant", "path_time_ns"]].to_numpy().tolist() == [
        ["db", "blue", 40],
        ["db", "green", 30],
        ["web", None, 30],
        ["(missing)", "(missing)", 0],
    ]
    assert table["partial_count"].tolist() == [1, 1, 1, 1]
    with pytest.raises(ValueError, match="found 'tenat'; did you mean tenant"):
        path.by("tenat")


def test_time_without_a_span_and_missing_spans_have_names():
    lines = "a1 1 - s SERVER 0 10\na1 2 - s SERVER 30 40\nb2 3 9 s SERVER 0 5\nb2 4 9 s SERVER 7 9"
    table = critical_path(draw(lines), scope="trace").by("service_name")
    assert dict(zip(table["service_name"], table["path_time_ns"].tolist(), strict=True)) == {
        "s": 27,
        "(no span)": 20,
        "(missing)": 2,
    }


def test_the_caller_is_the_nearest_other_service():
    lines = "a1 1 - a SERVER 0 100\na1 2 1 b SERVER 10 90\na1 3 2 b INTERNAL 20 80\na1 4 3 b INTERNAL 30 70"
    table = critical_path(draw(lines + "\na1 5 4 c SERVER 40 60")).by(["caller_service", "service_name"])
    assert table[["caller_service", "service_name", "path_time_ns"]].to_numpy().tolist() == [
        ["a", "b", 60],
        [None, "a", 20],
        ["b", "c", 20],
    ]


def test_the_callee_is_the_one_other_service_right_below_else_the_peer_that_is_named():
    lines = """
        a1 1 - a SERVER 0 100
        a1 2 1 a CLIENT 10 40
        a1 3 2 b SERVER 20 30
        a1 4 1 a CLIENT 40 60 peer=c
        a1 5 1 a INTERNAL 60 90
        a1 6 5 b SERVER 62 70
        a1 7 5 d SERVER 72 80
        a1 8 1 a CLIENT 90 100
        a1 9 8 e SERVER 95 99 inferred
    """
    table = critical_path(draw(lines)).by(["service_name", "callee_service"])
    assert table[["service_name", "callee_service", "path_time_ns"]].to_numpy().tolist() == [
        ["a", None, 24],
        ["a", "b", 20],
        ["a", "c", 20],
        ["b", None, 18],
        ["a", "e", 10],
        ["d", None, 8],
    ]


def test_what_is_missing_was_called_and_called():
    table = critical_path(draw("a1 1 - a SERVER 0 100\na1 2 9 b SERVER 10 90")).by(["service_name", "callee_service"])
    assert table[["service_name", "callee_service", "path_time_ns"]].to_numpy().tolist() == [
        ["b", None, 80],
        ["a", None, 20],
        ["(missing)", "b", 0],
    ]


def test_long_call_paths_are_distinguished_and_labelled_by_their_ends():
    count = 200
    frame = pd.DataFrame({"start_ns": range(count), "end_ns": range(2 * count, count, -1)})
    frame = frame.assign(trace_id="a1", name="x", span_id=[f"{at + 1:x}" for at in range(count)])
    frame["parent_span_id"] = frame["span_id"].shift()
    table = critical_path(TraceSet.from_spans(frame)).by("call_path")
    assert len(table) == count
    assert table["path_time_ns"].sum() == 2 * count
    assert table["call_path"].str.startswith("... > ").sum() == count - 24


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(10, 500), st.booleans()), min_size=1, max_size=30), st.integers(1, 30))
def test_means_of_a_band_add_up_to_its_latency_and_excesses_too(rows, min_traces):  # I13
    path = requests(*zip(*rows, strict=True))
    table = path.by("service_name")
    assert table["path_time_ns"].sum() == path.latency_ns.sum()
    assert table["mean_ns"].sum() == pytest.approx(path.latency_ns.mean(), abs=0.5)
    result = path.bands("service_name", min_traces=min_traces)
    summed = result.table.groupby("band", sort=False)[["mean_ns", "excess_ns"]].sum()
    wanted = result.bands.set_index("band")
    for band, row in summed.iterrows():
        if wanted.loc[band, "trace_count"] and wanted["trace_count"].iloc[0]:
            assert row["mean_ns"] == pytest.approx(wanted.loc[band, "mean_latency_ns"], abs=1e-6)
            assert row["excess_ns"] == pytest.approx(wanted.loc[band, "excess_ns"], abs=1e-6)


def test_bands_show_what_makes_slow_requests_slow():
    latencies = [*range(100, 195), *[1000] * 5]
    path = requests(latencies, [False] * 95 + [True] * 5)
    result = path.bands("service_name", [(0.45, 0.55), (0.95, 1.0)], min_traces=5)
    assert repr(result) == "Bands(p45 to p55: 10, p95 to p100: 5; sampling weights unknown)"
    slow = result.table[result.table["band"] == "p95 to p100"].set_index("service_name")
    assert slow.loc["ledger", ["mean_ns", "share_ratio", "presence_ratio"]].tolist() == [990.0, 0.99, 1.0]
    median = np.mean(latencies[45:55])
    assert slow["excess_ns"].to_dict() == {"ledger": 990.0, "cart": -(median - 10), "web": 0.0}
    assert not result.bands["is_widened"].any()
    assert "p95 to p100" in result._repr_html_()


def test_a_band_with_too_few_requests_is_widened_and_reported():
    path = requests(range(101, 201), [False] * 100)
    bands = path.bands("service_name", [(0.45, 0.55), (0.99, 1.0)]).bands
    assert bands["trace_count"].tolist() == [20, 20]
    assert bands["is_widened"].tolist() == [True, True]
    assert bands[["low_latency_ns", "high_latency_ns"]].to_numpy().tolist() == [[141, 160], [181, 200]]
    assert bands["low_quantile"].tolist() == pytest.approx([0.405, 0.805])
    assert bands["high_quantile"].tolist() == pytest.approx([0.595, 1.0])


def test_excesses_have_limits_of_the_same_traces():
    rng = np.random.default_rng(2)
    latencies = np.concatenate((rng.integers(100, 200, 300), rng.integers(900, 1100, 30)))
    path = requests(latencies.tolist(), [False] * 300 + [True] * 30)
    result = path.bands("service_name", [(0.2, 0.6), (0.93, 1.0)], min_traces=5).table.set_index(
        ["band", "service_name"]
    )
    own = result.loc["p20 to p60"]
    assert own[["excess_ns", "excess_low_ns", "excess_high_ns"]].to_numpy().ravel().tolist() == [0] * 3 * len(own)
    ledger = result.loc[("p93 to p100", "ledger")]
    assert 900 < ledger["excess_low_ns"] < ledger["excess_ns"] < ledger["excess_high_ns"] < 1120
    cart = result.loc[("p93 to p100", "cart")]
    assert cart["excess_low_ns"] < cart["excess_ns"] < cart["excess_high_ns"] < 0


def heavy_and_slow(heavy):
    """300 requests of weight 1, and some of weight 8 that wait for the ledger, ten times as long."""
    rng = np.random.default_rng(3)
    latencies = np.concatenate((rng.integers(20, 60, 300), rng.integers(300, 500, heavy)))
    path = requests(latencies.tolist(), np.repeat([False, True], [300, heavy]))
    return critical_path(path.source.with_weights(np.repeat([1.0, 8.0], [300, heavy])))


@pytest.mark.parametrize(("heavy", "is_known"), [(15, False), (30, True)])
def test_means_that_rest_on_few_heavy_traces_have_no_limits(heavy, is_known):
    """So has no group: what heavier requests wait for, which may be missing, is unknown."""
    path = heavy_and_slow(heavy)
    by = path.by("service_name").set_index("service_name")
    assert by[["mean_low_ns", "mean_high_ns"]].notna().all(axis=1).tolist() == [is_known] * 3
    whole = path.what_if({"service_name == 'cart'": 0.5}).table.loc["mean", ["new_low_ns", "new_high_ns"]]
    assert whole.notna().tolist() == [is_known] * 2
    change = requests([30, 40] * 100, [False] * 200).compare(path, by="service_name")
    assert np.isnan(change.change.low)  # weights are known on one side only
    sides = critical_path(requests([30, 40] * 100, [False] * 200).source.with_weights(np.ones(200))), path
    change = sides[0].compare(sides[1], by="service_name").table.set_index("service_name")
    assert change["change_low_ns"].notna().tolist() == [is_known] * 3
    assert bool(change.loc["ledger", "is_significant"]) == is_known


def test_bands_rank_by_weight():
    rows = requests([10, 20, 30], [False] * 3).source
    path = critical_path(rows.with_weights(np.array([8.0, 1.0, 1.0])))
    assert path.bands("service_name", [(0.0, 0.8), (0.8, 1.0)], min_traces=1).bands["trace_count"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("quantiles", "message"),
    [
        ([(0.5, 0.4)], r"expected quantiles from 0 to 1 with low < high, such as \(0.95, 1.0\), found \(0.5, 0.4\)"),
        ([], "expected at least one band of quantiles, found none"),
    ],
)
def test_bands_that_are_none(quantiles, message):
    with pytest.raises(ValueError, match=message):
        requests([20], [False]).bands("service_name", quantiles)


def test_nothing_to_attribute():
    path = critical_path(draw("a1 1 - s SERVER 5 5"))
    assert path.by("service_name").empty
    assert path.bands("service_name").bands["trace_count"].tolist() == [1] * 4


@given(st.dictionaries(st.tuples(st.integers(0, 2), st.integers(0, 4)), st.sampled_from([0.0, 1.0, 2.0, np.nan])))
def test_the_nearest_request_of_a_group_is_the_first_of_equal_ones_and_one_without_a_distance_the_last(distances):
    pairs = sorted(distances)
    group, request = (np.array([pair[at] for pair in pairs], np.int64) for at in range(2))
    chosen = np.array([True, True, False, True, True])
    cells = Cells(Labels({}, 3), group, request, np.ones(len(pairs), np.int64), request)
    population = Population(chosen, chosen.astype(float), 1.0, (), {})
    found = Sample(cells, population, Denominator.of(np.ones(5)), np.arange(5)).first(
        np.array([distances[pair] for pair in pairs])
    )
    wanted = [
        min(
            ((np.isnan(distances[pair]), distances[pair], pair[1]) for pair in pairs if pair[0] == at and pair[1] != 2),
            key=lambda one: (one[0], 0.0 if one[0] else one[1], one[2]),
            default=(False, 0.0, -1),
        )[2]
        for at in range(3)
    ]
    assert found.tolist() == wanted
