import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from drawn_spans import draw
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tracekit.analysis.critical_path.cells import Sample, cells_of, population_of
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.contrast import Means, slopes, split, whole_numbers
from tracekit.attributes import Codes
from tracekit.stats.influences import Denominator
from tracekit.stats.weighted_means import mean_limits
from tracekit.traces import TraceSet
from tracekit.weights import Weights
from tracekit.weights.known import CERTAIN, UNKNOWN

PARTS = ["presence_change_ns", "frequency_change_ns", "duration_change_ns"]


def requests(rows, *, trace="a"):
    """One request a row: how often each service is called, one call after another, and for how long."""
    spans = []
    for at, calls in enumerate(rows):
        now = 0
        for number, (service, length) in enumerate(calls, 2):
            spans.append((f"{trace}{at:x}", f"{number:x}", "1", service, now, now + length))
            now += length
        spans.append((f"{trace}{at:x}", "1", None, "web", 0, now + 10))
    columns = ["trace_id", "span_id", "parent_span_id", "service_name", "start_ns", "end_ns"]
    return TraceSet.from_spans(pd.DataFrame(spans, columns=columns).assign(name="x"))


def path_of(rows, **options):
    return critical_path(requests(rows, **options))


calls = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 10**6)), max_size=4)
sets = st.lists(calls, min_size=1, max_size=8)


# ------------------------------------------------------------------ it adds up


@settings(deadline=None, max_examples=25)
@given(sets, sets, st.sampled_from([(0.0, 1.0), (0.5, 1.0), (0.2, 0.7)]))
def test_parts_add_up_to_changes_and_changes_to_the_difference_of_the_means(one, two, band):
    this, other = path_of(one), path_of(two)
    result = this.compare(other, by="service_name", band=band, min_traces=1)
    table = result.table
    assert (table[PARTS].sum(axis=1) == table["change_ns"]).all()
    assert table["change_ns"].sum() == result.change.value
    assert result.parts.groupby("service_name", sort=False)["change_ns"].sum().tolist() == table["change_ns"].tolist()
    means = result.sides["mean_latency_ns"]
    assert abs(result.change.value - (means[1] - means[0])) <= 0.5 + 1e-6
    assert ((table["change_ns"] - (table["current_mean_ns"] - table["baseline_mean_ns"])).abs() < 1 + 1e-6).all()
    if band == (0.0, 1.0):
        exact = [Fraction(int(side.latency_ns.sum()), len(side.latency_ns)) for side in (this, other)]
        assert abs(result.change.value - (exact[1] - exact[0])) <= 0.5 + 1e-6


@settings(deadline=None, max_examples=15)
@given(sets, sets)
def test_the_way_back_is_the_way_there_with_the_other_sign(one, two):
    there, back = (path_of(a).compare(path_of(b), by="service_name") for a, b in ((one, two), (two, one)))
    for column in ("change_ns", *PARTS):
        forth = there.table.set_index("service_name")[column]
        assert (forth + back.table.set_index("service_name")[column]).abs().max() <= 1  # rounding


@settings(deadline=None, max_examples=60)
@given(*[st.tuples(*[st.fractions(0, 9)] * 3)] * 2)
def test_parts_are_the_shapley_values_of_the_factors(one, two):
    """Against the definition: the mean, over all orders, of what changing a factor next adds."""
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    expected = [Fraction(0)] * 3
    both = [[max(value, Fraction(1, 100)) for value in side] for side in (one, two)]
    for order in orders:
        now = list(both[0])
        for factor in order:
            before = math.prod(now)
            now[factor] = both[1][factor]
            expected[factor] += Fraction(math.prod(now) - before, 6)
    means = [Means(*(np.array([float(v)]) for v in (p * c * d, p * c, p))) for p, c, d in both]
    assert [float(part[0]) for part in split(*means)] == pytest.approx([float(e) for e in expected], abs=1e-9)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=9))
def test_whole_numbers_add_up_and_are_near(parts):
    total = round(math.fsum(parts))
    found = whole_numbers(np.array(parts), total)
    assert found.sum() == total
    assert (np.abs(found - parts) <= 1 + 1e-6).all()


def test_what_is_rounded_up_was_cut_off_most():
    assert whole_numbers(np.array([0.1, 0.9, -0.5, 0.5]), 1).tolist() == [0, 1, 0, 0]
    assert whole_numbers(np.array([[0.7, 0.3], [1.2, 0.8]]), np.array([1, 2])).tolist() == [[1, 0], [1, 1]]


# ------------------------------------------------------------------ what the parts mean


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ([[("db", 20)]], [[("db", 50)]], [0, 0, 30]),
        ([[("db", 20)]], [[("db", 20)] * 3], [0, 40, 0]),
        ([[]], [[("db", 20)] * 2], [40, 0, 0]),
        ([[("db", 20)] * 2], [[]], [-40, 0, 0]),
        ([[("db", 40)], []], [[("db", 40)]] * 2, [20, 0, 0]),
        ([[("db", 20)]], [[("db", 30)] * 2], [0, 25, 15]),
    ],
)
def test_more_requests_more_calls_or_slower_calls(one, two, expected):
    table = path_of(one).compare(path_of(two), by="service_name").table.set_index("service_name")
    assert table.loc["db", PARTS].tolist() == expected
    assert table.loc["web", "change_ns"] == 0


def test_the_factors_behind_the_parts():
    result = path_of([[("db", 20)], []]).compare(path_of([[("db", 30), ("db", 50)], [("mq", 5)]]), by="service_name")
    parts = result.parts.set_index(["service_name", "factor"])
    assert parts.loc["db", ["baseline_value", "current_value"]].to_numpy().tolist() == [[0.5, 0.5], [1, 2], [20, 40]]
    mail = parts.loc["mq", ["baseline_value", "current_value"]]
    assert mail["baseline_value"].isna().tolist() == [False, True, True]
    assert mail["current_value"].tolist() == [0.5, 1, 5]
    assert parts.index.get_level_values("factor")[:3].tolist() == ["presence", "frequency", "duration"]
    assert result.table["service_name"].tolist() == ["db", "mq", "web"]


def test_weights_count():
    rows = [[("db", 100)], []]
    weighted = critical_path(requests(rows).with_weights(np.array([3.0, 1.0])))
    table = weighted.compare(path_of([[]]), by="service_name").table.set_index("service_name")
    assert table.loc["db", ["baseline_mean_ns", "change_ns"]].tolist() == [75, -75]


def test_a_band_compares_the_slow_with_the_slow():
    one = [[("db", 100 + at)] for at in range(50)]
    two = one[:40] + [[("db", 100 + at), ("mq", 1000)] for at in range(40, 50)]
    result = path_of(one).compare(path_of(two), by="service_name", band=(0.8, 1.0), min_traces=5)
    assert result.sides["trace_count"].tolist() == [10, 10]
    assert result.sides["is_widened"].tolist() == [False, False]
    assert result.table.loc[0, ["service_name", "change_ns"]].tolist() == ["mq", 1000]
    assert path_of(one).compare(path_of(two), band=(0.99, 1.0)).sides["is_widened"].all()


def test_exemplars_are_of_the_slower_side():
    one, two = [[("db", 9)], [("db", 5)]], [[("db", 90)], [("db", 95)]]
    this, other = path_of(one), path_of(two, trace="b")
    for first, second, at in ((this, other, 1), (other, this, 1)):
        table = first.compare(second, by="service_name").table
        assert table.loc[0, "exemplar_trace_id"] == other.source.trace_ids[at]


def test_keys_that_one_side_does_not_have():
    frame = pd.DataFrame({"trace_id": "a1", "span_id": ["1"], "name": "x", "start_ns": 0, "end_ns": 5})
    plain, tenant = (TraceSet.from_spans(each) for each in (frame, frame.assign(**{"attributes.tenant": "blue"})))
    table = critical_path(plain).compare(critical_path(tenant), by="tenant").table
    assert dict(zip(table["tenant"], table["change_ns"], strict=True)) == {"blue": 5, None: -5}
    with pytest.raises(ValueError, match="found 'tenant'"):
        critical_path(plain).compare(critical_path(plain), by="tenant")


def test_call_paths_too_long_to_be_spelt_are_one_group_and_still_add_up():
    count = 60
    frame = pd.DataFrame({"start_ns": range(count), "end_ns": range(3 * count, 2 * count, -1)})
    frame = frame.assign(trace_id="a1", name="x", span_id=[f"{at + 1:x}" for at in range(count)])
    frame["parent_span_id"] = frame["span_id"].shift()
    path = critical_path(TraceSet.from_spans(frame))
    longer = critical_path(TraceSet.from_spans(frame.assign(end_ns=frame["end_ns"] + 40)))
    result = path.compare(longer, by="call_path")
    assert len(result.table) == 25
    assert result.table["change_ns"].sum() == 40


def test_partial_traces_can_be_left_out():
    lines = "a1 1 - s SERVER 0 10\nb2 2 - s SERVER 0 90\nb2 3 9 t SERVER 10 80"
    path = critical_path(draw(lines))
    assert path.by("service_name", include_partial=False)["path_time_ns"].tolist() == [10]
    assert path.by("service_name")["partial_count"].tolist() == [1, 1, 1]
    assert path.bands("service_name", include_partial=False, min_traces=1).bands["high_latency_ns"].tolist() == [10] * 4
    sides = path.compare(path, include_partial=False).sides
    assert sides["trace_count"].tolist() == [1, 1]
    assert path.compare(path).sides["partial_count"].tolist() == [1, 1]


def test_traces_on_both_sides_are_counted():
    path = path_of([[], [("db", 5)]])
    result = path.compare(path)
    assert result.shared_trace_count == 2
    assert repr(result).endswith("0 of 2 groups significant, 2 traces on both sides; sampling weights unknown)")
    assert "<p>PathComparison(baseline to current: mean 12 -&gt; 12 ns, +0, 0 of 2 groups" in result._repr_html_()


def test_the_order_of_the_rows_is_no_matter():
    one, two = ([[("db", 9 + at), ("mq", 5)] for at in range(start, start + 30)] for start in (0, 9))
    frames = [
        requests(rows).spans[["trace_id", "span_id", "parent_span_id", "name", "service_name"]] for rows in (one, two)
    ]
    times = [requests(rows).spans[["start_ns", "end_ns"]] for rows in (one, two)]
    whole = [pd.concat(parts, axis=1) for parts in zip(frames, times, strict=True)]
    mixed = [frame.sample(frac=1, random_state=5) for frame in whole]
    results = [
        critical_path(TraceSet.from_spans(a)).compare(critical_path(TraceSet.from_spans(b))) for a, b in (whole, mixed)
    ]
    for name in ("table", "parts", "sides"):
        pd.testing.assert_frame_equal(*(getattr(result, name) for result in results))
    assert results[0].change == results[1].change


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fdr": 0}, "expected a false discovery rate between 0 and 1, such as 0.05, found 0"),
        (
            {"band": (0.9, 0.5)},
            r"expected quantiles from 0 to 1 with low < high, such as \(0.95, 1.0\), found \(0.9, 0.5\)",
        ),
        ({"by": "tenat"}, "found 'tenat'"),
    ],
)
def test_options_that_are_none(options, message):
    path = path_of([[]])
    with pytest.raises(ValueError, match=message):
        path.compare(path, **options)


@pytest.mark.parametrize(("first", "name"), [(True, "the baseline side"), (False, "the current side")])
def test_nothing_to_compare(first, name):
    path = path_of([[]])
    nobody = critical_path(path.source.where("service_name == 'nobody'"))
    sides = (nobody, path) if first else (path, nobody)
    with pytest.raises(ValueError, match=f"expected requests to compare, found none on {name}; see path.traces"):
        sides[0].compare(sides[1])


def test_a_trace_of_weight_zero_is_left_out_of_a_comparison():
    path = path_of([[("a", 10)], [("a", 90)]])
    beside = Weights(np.array([1.0, 0.0]), Codes(np.zeros(2, np.int32), ["given"]))
    first = critical_path(TraceSet(path.source.columns, weights=beside))
    assert first.compare(path_of([[("a", 30)]])).table["change_ns"].sum() == 20


@pytest.mark.parametrize(("first", "name"), [(True, "the baseline side"), (False, "the current side")])
def test_traces_of_weight_zero_cannot_be_compared(first, name):
    path = path_of([[]])
    beside = Weights(np.zeros(len(path.traces)), Codes(np.zeros(len(path.traces), np.int32), ["not sampled"]))
    nothing = critical_path(TraceSet(path.source.columns, weights=beside))
    sides = (nothing, path) if first else (path, nothing)
    with pytest.raises(ValueError, match=f"expected weights above 0, found only 0 on {name}; see path.traces.weights"):
        sides[0].compare(sides[1])


# ------------------------------------------------------------------ how sure


@pytest.mark.parametrize("count", [1, 2, 5, 19])
def test_few_traces_do_not_represent_others(count):
    few = path_of([[("db", 5 + at)] for at in range(count)])
    many = path_of([[("db", 500 + at)] for at in range(300)], trace="b")
    for result in (few.compare(many), many.compare(few)):
        assert result.table["q_value"].isna().all()
        assert not result.table["is_significant"].any()
        assert not result.is_significant
        assert math.isnan(result.change.low)
        assert math.isnan(result.change.high)
        assert result.parts[["change_low_ns", "change_high_ns"]].isna().all(axis=None)
    one = path_of([[("db", 5)]]).compare(path_of([[("db", 500)]], trace="b"))
    counts = "mean 15 -> 510 ns, +495, 0 of 2 groups significant; sampling weights unknown"
    assert repr(one) == f"PathComparison(baseline to current: {counts})"


def test_one_trace_with_almost_all_the_weight_is_one_trace():
    usual = path_of([[("db", 100 + at % 7)] for at in range(300)])
    weights = np.ones(300)
    weights[0] = 1e6
    odd = critical_path(
        requests([[("db", 9000)], *[[("db", 100 + at % 5)] for at in range(299)]]).with_weights(weights)
    )
    plain = critical_path(usual.source.with_weights(np.ones(300)))
    for result in (plain.compare(odd), odd.compare(plain)):
        assert result.comparability.basis == "all traffic"
        assert result.table["q_value"].isna().all()
        assert not result.table["is_significant"].any()
        assert not result.is_significant


def test_differences_without_any_spread_are_as_rare_as_a_split_that_parts_them():
    result = path_of([[("db", 5)]] * 20).compare(path_of([[("db", 500)]] * 20), by="service_name")
    assert result.table["q_value"].tolist() == pytest.approx([2 * 2 / math.comb(40, 20), 1.0])
    assert result.is_significant
    assert not path_of([[("db", 5)]] * 20).compare(path_of([[("db", 5)]] * 25), by="service_name").is_significant


@pytest.mark.parametrize("rare", [5, 8, 12])
def test_the_p_value_of_a_few_traces_is_that_of_all_on_one_side(rare):
    """Of two halves one has all the calls: that happens 2 times in 2 ** rare, whatever the calls take."""
    usual, call = [[("db", 100 + at % 7)] for at in range(100)], ("mq", 500)
    odd = [[*calls, call] for calls in usual[:rare]] + usual[rare:]
    result = path_of(usual).compare(path_of(odd), by="service_name").table.set_index("service_name")
    p_value = result.loc["mq", "q_value"] / len(result)
    assert 1.4 / 2**rare <= p_value < 1


def test_a_real_difference_is_found_with_correct_limits():
    rng, found, held, repeats = np.random.default_rng(12), 0, 0, 25
    for _ in range(repeats):
        quick, slow = (
            path_of([[("db", int(length)), ("mq", 50)] for length in rng.gamma(4, 25, 100) * scale])
            for scale in (1, 1.5)
        )
        table = quick.compare(slow, by="service_name").table.set_index("service_name")
        found += table.loc["db", "is_significant"] and not table.loc["mq", "is_significant"]
        held += table.loc["db", "change_low_ns"] <= 50 <= table.loc["db", "change_high_ns"]
    assert found >= 23
    assert held / repeats >= 0.8


def test_limits_of_a_band_allow_for_its_ends():
    """Exponential latencies: the mean of the slowest fifth is q80 plus the mean, and so known."""
    rng, held, repeats = np.random.default_rng(13), np.zeros(2), 200
    truth = 1e6 * (math.log(5) + 1)
    for _ in range(repeats):
        frame = pd.DataFrame({"end_ns": (rng.exponential(1e6, 400)).astype(np.int64) + 1})
        frame = frame.assign(trace_id=[f"{at + 1:x}" for at in range(400)], span_id="1", name="x", start_ns=0)
        path = critical_path(TraceSet.from_spans(frame))
        cells, slowest = cells_of(path, "name"), population_of(path.requests, (0.8, 1.0))
        fixed = slowest._replace(edges=())  # as if nobody else could have been in it
        for at, population in enumerate((slowest, fixed)):
            sample = Sample.of(path.requests, cells, population)
            if not population.edges:
                alone = np.where(slowest.chosen, slowest.weight, 0.0)
                sample = replace(sample, denominator=Denominator.of(alone))
            low, high = mean_limits(sample.means(cells.time_ns), sample.influence(cells.time_ns).moments())
            held[at] += low[0] <= truth <= high[0]
    assert 0.90 <= held[0] / repeats <= 0.99
    assert held[1] / repeats < 0.92 < held[0] / repeats


@settings(deadline=None, max_examples=40)
@given(*[st.tuples(*[st.floats(0.1, 9)] * 3)] * 2)
def test_slopes_are_those_of_the_parts(one, two):
    """Along any direction the parts change as their slopes say; parts of nothing do not change."""
    both = [Means(*(np.array([value, 0.0]) for value in side)) for side in (one, two)]
    found = slopes(*both)
    assert found.shape == (3, 2, 3, 2)
    assert (found[..., 1] == 0).all()
    step, direction = 1e-5, np.array([[0.3, -0.2, 0.7], [-0.5, 0.4, 0.1]])
    moved = [
        Means(*(m + step * d for m, d in zip(side, row, strict=True)))
        for side, row in zip(both, direction, strict=True)
    ]
    change = [float(a[0] - b[0]) / step for a, b in zip(split(*moved), split(*both), strict=True)]
    assert change == pytest.approx((found[..., 0] * direction).sum(axis=(1, 2)).tolist(), rel=1e-2, abs=1e-2)


# ------------------------------------------------------------------ what is compared


def weighted(count, weights, label, *, trace="a", length=100):
    """Requests with one spread and given weights, under a label of where these came from."""
    traces = requests([[("db", length + at % 9)] for at in range(count)], trace=trace)
    codes = Codes(np.zeros(count, np.int32), [label])
    return critical_path(TraceSet(traces.columns, weights=Weights(np.full(count, weights), codes)))


@pytest.mark.parametrize(
    ("this", "other", "basis", "statement"),
    [
        (
            (20.0, "given"),
            (1.0, "given"),
            "all traffic",
            "sampling weights known on both sides: this compares all traffic",
        ),
        ((1.0, UNKNOWN), (1.0, UNKNOWN), "recorded traces", "sampling weights unknown: this compares recorded traces"),
        ((1.0, CERTAIN), (1.0, CERTAIN), "requests of one kind", "this compares such requests, not all traffic"),
        (
            (20.0, "given"),
            (1.0, UNKNOWN),
            "not comparable",
            "not comparable: sampling weights are known for the baseline traces only",
        ),
        (
            (1.0, UNKNOWN),
            (20.0, "given"),
            "not comparable",
            "not comparable: sampling weights are known for the current traces only",
        ),
        (
            (1.0, CERTAIN),
            (20.0, "given"),
            "not comparable",
            "all baseline traces were selected by outcome",
        ),
        (
            (20.0, "given"),
            (1.0, CERTAIN),
            "not comparable",
            "all current traces were selected by outcome",
        ),
    ],
)
def test_what_a_comparison_is_about(this, other, basis, statement):
    result = weighted(40, *this).compare(weighted(60, *other, trace="b", length=9000))
    assert result.comparability.basis == basis
    assert statement in result.statement
    assert statement in result._repr_html_()
    is_comparable = basis != "not comparable"
    assert result.comparability.is_comparable == is_comparable
    assert result.is_significant == is_comparable
    assert result.table["is_significant"].any() == is_comparable
    assert result.table["q_value"].notna().all() == is_comparable
    assert result.table["change_low_ns"].notna().all() == is_comparable
    found = result.statement.partition(":")[0]
    assert repr(result).endswith(f"{int(is_comparable)} of 2 groups significant; {found})")
    assert result.table["change_ns"].sum() == result.change.value


@pytest.mark.parametrize(("first", "name"), [(True, "baseline"), (False, "current")])
def test_a_side_with_some_weights_cannot_be_compared(first, name):
    traces = requests([[("db", 100 + at)] for at in range(40)])
    some = Weights(
        np.repeat([20.0, 1.0], [30, 10]), Codes(np.repeat([0, 1], [30, 10]).astype(np.int32), ["given", UNKNOWN])
    )
    mixed, whole = critical_path(TraceSet(traces.columns, weights=some)), weighted(40, 20.0, "given")
    result = mixed.compare(whole) if first else whole.compare(mixed)
    assert result.statement == f"not comparable: the sampling weight of 10 of 40 {name} traces is unknown"


# ------------------------------------------------------------------ the recorded incident


@pytest.fixture(scope="module")
def recorded():
    return tuple(critical_path(traces) for traces in tk.load_sample("checkout-regression"))


@pytest.mark.parametrize(
    ("keys", "culprit"),
    [
        (("service_name", "operation"), ["ledger", "SELECT entries"]),
        (("service_name",), ["ledger"]),
        (("caller_service", "service_name"), ["checkout", "ledger"]),
    ],
)
def test_the_built_in_incident_is_the_top_row(recorded, keys, culprit):
    before, during = recorded
    result = before.compare(during, by=keys)
    top = result.table.iloc[0]
    assert top[list(keys)].tolist() == culprit
    assert top["is_significant"]
    assert 0 < top["change_low_ns"] < top["change_ns"] < top["change_high_ns"]
    assert result.table["is_significant"].sum() == 1
    assert top["change_ns"] == pytest.approx(result.change.value, rel=0.02)
    assert result.change.value == pytest.approx((57.07 - 39.30) * 1e6, rel=0.01)


def test_the_built_in_incident_is_more_calls_and_slower_ones(recorded):
    before, during = recorded
    parts = before.compare(during).parts.iloc[:3].set_index("factor")
    assert parts.loc["presence", "baseline_value"] == parts.loc["presence", "current_value"] == 0.463
    assert parts.loc["frequency", ["baseline_value", "current_value"]].tolist() == pytest.approx([1.0, 3819 / 463])
    assert (parts.loc[["frequency", "duration"], "change_low_ns"] > 4e6).all()
    assert parts.loc["presence", "change_ns"] == 0


def test_undoing_it_predicts_the_baseline(recorded):
    before, during = recorded
    undone = during.what_if({"name == 'SELECT entries'": 0.0}).table.loc["p95"]
    baseline = before.what_if({}).table.loc["p95", "latency_ns"]
    without = before.what_if({"name == 'SELECT entries'": 0.0}).table.loc["p95", "new_latency_ns"]
    assert undone["new_low_ns"] < baseline < undone["new_high_ns"]
    assert undone["new_latency_ns"] / 1e6 == pytest.approx(83.3, abs=0.1)
    assert without / 1e6 == pytest.approx(83.4, abs=0.1)


def test_only_enterprise_customers_are_slower(recorded):
    _, during = recorded
    tier = during.source.attribute("app.customer.tier").astype(object)
    named = {name: tier.eq(name).to_numpy() for name in ("enterprise", "free", "pro")}
    paths = {name: critical_path(during.source.where(mask)) for name, mask in named.items()}
    assert not paths["free"].compare(paths["pro"], by="service_name").table.loc[0, "is_significant"]
    top = paths["free"].compare(paths["enterprise"]).table.iloc[0]
    assert top[["operation", "is_significant"]].tolist() == ["SELECT entries", True]


def test_a_comparison_needs_two_critical_paths():
    shop = tk.load_sample("small-shop", "current")
    with pytest.raises(TypeError, match=r"expected a CriticalPath to compare with, found TraceSet; use tk\.critical"):
        critical_path(shop).compare(shop)


# ------------------------------------------------------------------ names of the sides


def test_the_sides_have_the_names_given():
    one, two = path_of([[("db", 5)]]), path_of([[("db", 500)]], trace="b")
    result = one.compare(two, by="service_name", names=("1.4.0", "v_ms <b>"))
    assert result.sides["side"].tolist() == list(result.names) == ["1.4.0", "v_ms <b>"]
    assert repr(result).startswith("PathComparison(1.4.0 to v_ms <b>: mean 15 -> 510 ns")
    page = result._repr_html_()
    assert "1.4.0 to v_ms &lt;b&gt;" in page
    assert "<th>1.4.0_mean</th>" in page
    assert "<th>v ms &lt;b&gt;_mean</th>" in page
    assert "510 ns" in page, "the unit is that of the column, not of the name"
    assert "baseline" not in page
    assert "<b>" not in page
    plain = one.compare(two, by="service_name")
    assert result.table.equals(plain.table)
    assert plain.named_table.equals(plain.table)


def test_what_is_compared_is_said_with_the_names():
    one, two = path_of([[("db", 5)]]), path_of([[("db", 500)]], trace="b")
    weighted = critical_path(two.source.with_weights(20))
    statement = one.compare(weighted, names=("1.4.0", "1.5.0")).statement
    assert statement.startswith("not comparable: sampling weights are known for the 1.5.0 traces only")
    nobody = critical_path(two.source.where("service_name == 'nobody'"))
    with pytest.raises(ValueError, match=r"found none on the 1\.5\.0 side"):
        one.compare(nobody, names=("1.4.0", "1.5.0"))


@pytest.mark.parametrize("names", ["ab", ["a"], ("x", "x"), ("a", "b", "c")])
def test_names_that_are_no_pair_are_refused(names):
    path = path_of([[("db", 5)]])
    with pytest.raises(ValueError, match="expected two different names of the sides, such as"):
        path.compare(path, names=names)
