import numpy as np
import pytest
from scipy.stats import binom

from tracekit.stats.intervals import wilson
from tracekit.stats.proportions import clopper_pearson
from tracekit.stats.thinned import thinned_count
from tracekit.stats.weighted_rates import (
    check_probabilities,
    clustered_rates,
    weight_effect,
    weighted_rate,
    weighted_total,
)


def test_one_class_of_plain_trials_is_the_clopper_pearson_interval():
    failed = np.repeat([1, 0], [7, 93])
    rate = weighted_rate(np.full(100, 0.05), failed, target="process")
    assert rate.value == 0.07
    low, high = map(float, clopper_pearson(7 * 0.99, 99))  # the clustered variance divides by n - 1
    assert (rate.low, rate.high) == pytest.approx((low, high), abs=2e-4)
    assert (rate.n, rate.n_events, rate.n_effective, rate.design_effect) == (
        100,
        7,
        pytest.approx(100),
        pytest.approx(1),
    )


def test_the_interval_is_narrower_by_the_recorded_share():
    failed = np.repeat([1, 0], [30, 70])
    process = weighted_rate(np.full(100, 0.75), failed, target="process")
    window = weighted_rate(np.full(100, 0.75), failed, target="window")
    assert window.value - window.low == pytest.approx((process.value - process.low) / 2, rel=1e-6)


def test_a_complete_record_has_no_doubt_about_its_window_and_some_about_the_process():
    failed = np.repeat([1, 0], [3, 97])
    window = weighted_rate(np.ones(100), failed)
    assert (window.low, window.high) == (window.value, window.value)
    process = weighted_rate(np.ones(100), failed, target="process")
    assert process.low < 0.03 < process.high


def test_the_estimate_undoes_the_sampler():
    pi, failed, spans = np.array([1, 1, 0.1, 0.1]), np.array([2, 0, 1, 0]), np.array([2, 4, 10, 10])
    assert weighted_rate(pi, failed, spans).value == pytest.approx((2 + 10) / (6 + 200))


def test_spans_of_a_trace_are_one_observation():
    """A hundred traces of ten spans that fail together are a hundred observations, not a thousand."""
    failed = np.repeat([10, 0], [20, 80])
    together = weighted_rate(np.full(100, 0.01), failed, np.full(100, 10))
    alone = weighted_rate(np.full(100, 0.01), failed // 10)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))


def test_a_class_without_events_still_raises_the_upper_limit():
    pi = np.repeat([1.0, 0.02], [50, 50])
    rate = weighted_rate(pi, np.repeat([1, 0], [5, 95]))
    assert rate.high > rate.value + 0.03
    declared = weighted_rate(pi, np.repeat([1, 0], [5, 95]), events_certain=True)
    assert declared.high - declared.low < (rate.high - rate.low) / 2


def test_with_all_events_recorded_the_limits_are_those_of_the_trace_count():
    """Twelve certain traces, two of them events, and six kept at one in twenty: 12 + 59 to 12 + 253 traces, exactly."""
    rate = weighted_rate(np.repeat([1.0, 0.05], [12, 6]), np.repeat([1, 0], [2, 16]), events_certain=True)
    assert rate.value == pytest.approx(2 / 132)
    fewest, most = thinned_count(6, 0.05)
    assert (rate.low, rate.high) == pytest.approx((2 / (12 + most), 2 / (12 + fewest)))


def test_few_thinned_traces_keep_the_coverage():
    """Three events among 43 requests, 12 of them kept for certain and of the rest one in twenty: one tenant of many."""
    rng, covered = np.random.default_rng(8), []
    for kept in rng.binomial(31, 0.05, 2000):
        pi = np.repeat([1.0, 0.05], [12, kept])
        rate = weighted_rate(pi, np.repeat([1, 0], [3, 9 + kept]), events_certain=True)
        covered.append(rate.low <= 3 / 43 <= rate.high or not kept)
    assert np.mean(covered) > 0.95


def test_a_false_declaration_is_refused():
    with pytest.raises(ValueError, match="expected every event in traces with probability 1, found 2 in others"):
        weighted_rate(np.array([1, 0.1, 0.1]), np.array([1, 1, 1]), events_certain=True)


def test_classes_may_be_the_samplers_own():
    pi, failed = np.array([0.1, 0.1, 0.1, 0.1] * 10), np.array([0, 1, 0, 0] * 10)
    own = weighted_rate(pi, failed, classes=np.array(["a", "b"] * 20))
    assert own.value == weighted_rate(pi, failed).value


def test_an_empty_group_has_no_rate():
    rate = weighted_rate(np.ones(2), np.zeros(2), np.zeros(2))
    assert np.isnan(rate.value)
    assert rate.n == 0
    assert np.isnan(rate.design_effect)


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.5, np.nan])
def test_unknown_is_not_one(wrong):
    with pytest.raises(
        ValueError, match=r"expected inclusion probabilities above 0 and up to 1, found .* at position 1"
    ):
        check_probabilities(np.array([1.0, wrong]))


def test_totals_cover_the_truth_and_are_never_below_the_recorded_count():
    rng = np.random.default_rng(11)
    size = rng.integers(1, 30, 4000).astype(float)
    pi = np.clip(size / 60, 0.02, 1)
    kept = rng.random((400, 4000)) < pi
    totals = [weighted_total(pi[k], size[k]) for k in kept]
    covered = np.mean([t.low <= size.sum() <= t.high for t in totals])
    assert 0.92 <= covered <= 0.985
    assert np.mean([t.value for t in totals]) == pytest.approx(size.sum(), rel=0.005)
    assert weighted_total(np.array([0.5]), np.array([1])).low == 1
    whole = weighted_total(np.ones(5), np.full(5, 2.0))
    assert whole.low == whole.high == 10, "a complete record leaves no doubt"


def test_the_weight_effect_is_the_permutation_variance():
    rng = np.random.default_rng(3)
    pi, y = 2.0 ** -rng.integers(0, 5, 300), rng.random(300) < 0.2
    found = weight_effect(pi, y)
    w = 1 / pi
    shuffled = [np.corrcoef(rng.permutation(y), w)[0, 1] for _ in range(4000)]
    assert found.z == pytest.approx(np.corrcoef(y, w)[0, 1] / np.std(shuffled), rel=0.05)


def test_the_weight_effect_is_silent_without_bias_and_finds_a_kept_error():
    rng = np.random.default_rng(8)
    pi = 2.0 ** -rng.integers(0, 7, (400, 500))
    none = [weight_effect(p, rng.random(500) < 0.1).p < 0.05 for p in pi]
    assert np.mean(none) < 0.08
    assert weight_effect(np.repeat([1.0, 0.1], 50), np.repeat([1, 0], 50)).z < -5
    assert weight_effect(np.full(9, 0.1), np.ones(9)).p == 1
    assert np.isnan(weight_effect(np.ones(2), np.zeros(2), np.zeros(2)).unweighted)


# -------------------------------------------------------------------- many groups, spans clustered by trace


def one(cluster, event, weights):
    """The only group."""
    return clustered_rates(np.zeros(len(cluster), int), cluster, event, weights, 1)


def test_one_trial_a_cluster_is_the_plain_interval_up_to_one_degree_of_freedom():
    ratio = one(np.arange(200), np.arange(200) < 30, np.ones(200))
    assert ratio.n_effective[0] == pytest.approx(200)
    wanted = [float(limit) for limit in clopper_pearson(0.15 * 199, 199)]
    assert [ratio.low[0], ratio.high[0]] == pytest.approx(wanted)


def test_spans_that_fail_together_count_as_one():
    ratio = one(np.repeat(np.arange(50), 20), np.repeat(np.arange(50) < 10, 20), np.ones(50))
    alone = one(np.arange(50), np.arange(50) < 10, np.ones(50))
    assert np.ravel(ratio) == pytest.approx(np.ravel(alone))


def test_where_nothing_happened_the_traces_count_and_not_the_spans():
    ratio = one(np.repeat(np.arange(10), 100), np.zeros(1000, bool), np.ones(10))
    assert ratio.low[0] == 0
    assert ratio.high[0] == pytest.approx(1 - 0.025**0.1)


def test_a_single_cluster_is_one_observation():
    assert one(np.zeros(9, int), np.arange(9) < 3, np.ones(1)).n_effective[0] == pytest.approx(1)


def test_an_empty_group_has_no_ratio():
    assert np.isnan(np.ravel(one(np.zeros(0, int), np.zeros(0, bool), np.ones(1))[:3])).all()
    beside = one(np.arange(3), np.ones(3, bool), np.zeros(3))
    assert np.isnan(np.ravel(beside[:3])).all(), "traces that stand for nothing"


def test_doubling_all_weights_changes_neither_the_ratio_nor_its_limits():
    rng = np.random.default_rng(3)
    cluster, event, weights = rng.integers(0, 60, 300), rng.random(300) < 0.1, rng.uniform(1, 9, 60)
    once, twice = (one(cluster, event, weights * factor) for factor in (1, 2))
    assert np.ravel(once) == pytest.approx(np.ravel(twice))


def test_a_dominant_trace_makes_a_rate_not_estimable():
    ratio = one(np.arange(100), np.arange(100) < 10, np.repeat([1.0, 10_000.0], [99, 1]))
    assert np.isnan([ratio.low[0], ratio.high[0]]).all()
    assert ratio.ratio[0] == pytest.approx(10 / 10_099)


def test_groups_answer_as_if_alone_and_as_the_rate_of_one_entry_a_trace():
    rng = np.random.default_rng(5)
    cluster = np.sort(rng.integers(0, 300, 2000))
    weights, event, group = 2.0 ** rng.integers(0, 6, 300), rng.random(2000) < 0.1, rng.integers(0, 4, 2000)
    together = clustered_rates(group, cluster, event, weights, 4)
    for at in range(4):
        mine = group == at
        alone = one(cluster[mine], event[mine], weights)
        assert [values[at] for values in together] == pytest.approx(np.ravel(alone))
        sums = np.bincount(cluster[mine], event[mine], 300), np.bincount(cluster[mine], minlength=300)
        single = weighted_rate(1 / weights, *sums, target="process")
        assert (single.value, single.low, single.high) == pytest.approx([values[at] for values in together[:3]])


# -------------------------------------------------------------------- calibration


def covers(rng, weights_of, runs=200, clusters=300):
    """How often the interval holds the true ratio, 0.08; spans of a trace share their luck."""
    hits = 0
    for _ in range(runs):
        size, luck = rng.integers(1, 8, clusters), rng.beta(0.4, 4.6, clusters)
        cluster = np.repeat(np.arange(clusters), size)
        ratio = one(cluster, rng.random(len(cluster)) < luck[cluster], weights_of(rng, clusters))
        hits += ratio.low[0] <= 0.08 <= ratio.high[0]
    return hits


FEWEST = binom.ppf(5e-4, 200, 0.95)


def test_the_95_percent_interval_of_clustered_spans_covers_the_truth():
    assert covers(np.random.default_rng(11), lambda _, n: np.ones(n)) >= FEWEST


def test_it_covers_under_unequal_weights_too():
    assert covers(np.random.default_rng(12), lambda rng, n: rng.choice([1.0, 4.0, 40.0], n)) >= FEWEST


def test_counting_spans_as_independent_would_not_cover():
    rng, hits = np.random.default_rng(13), 0
    for _ in range(200):
        luck = rng.beta(0.4, 4.6, 300)
        event = rng.random((300, 8)) < luck[:, None]
        low, high = wilson(event.mean(), event.size)
        hits += low <= 0.08 <= high
    assert hits < FEWEST
