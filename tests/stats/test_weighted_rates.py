import numpy as np
import pytest

from tracekit.stats.proportions import jeffreys
from tracekit.stats.thinned import thinned_count
from tracekit.stats.weighted_rates import (
    check_probabilities,
    weight_classes,
    weight_effect,
    weighted_rate,
    weighted_total,
)


def test_one_class_of_plain_trials_is_jeffreys_interval():
    failed = np.repeat([1, 0], [7, 93])
    rate = weighted_rate(np.full(100, 0.05), failed, target="process")
    assert rate.value == 0.07
    low, high = map(float, jeffreys(7 * 0.99, 99))  # the clustered variance divides by n - 1
    assert (rate.low, rate.high) == pytest.approx((low, high), abs=2e-4)
    assert (rate.n, rate.n_events, rate.n_effective, rate.design_effect) == (
        100,
        7,
        pytest.approx(100),
        pytest.approx(1),
    )


def test_the_window_is_narrower_by_the_share_that_is_in_hand():
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


def test_where_all_events_are_in_hand_the_limits_are_those_of_the_number_of_traces():
    """Twelve certain traces, two of them events, and six kept at one in twenty: 12 + 59 to 12 + 253 traces, exactly."""
    rate = weighted_rate(np.repeat([1.0, 0.05], [12, 6]), np.repeat([1, 0], [2, 16]), events_certain=True)
    assert rate.value == pytest.approx(2 / 132)
    fewest, most = thinned_count(6, 0.05)
    assert (rate.low, rate.high) == pytest.approx((2 / (12 + most), 2 / (12 + fewest)))


def test_few_thinned_traces_do_not_make_a_sure_rate_surer():
    """Three events among 43 requests, 12 of them kept for certain and of the rest one in twenty: one tenant of many."""
    rng, covered = np.random.default_rng(8), []
    for kept in rng.binomial(31, 0.05, 2000):
        pi = np.repeat([1.0, 0.05], [12, kept])
        rate = weighted_rate(pi, np.repeat([1, 0], [3, 9 + kept]), events_certain=True)
        covered.append(rate.low <= 3 / 43 <= rate.high or not kept)
    assert np.mean(covered) > 0.95


def test_a_false_declaration_is_refused():
    with pytest.raises(ValueError, match="expected every event to be kept for certain, found 2 in traces that were"):
        weighted_rate(np.array([1, 0.1, 0.1]), np.array([1, 1, 1]), events_certain=True)


def test_classes_are_half_powers_of_two_or_the_samplers_own():
    assert weight_classes(1 / np.array([1, 2, 2.1, 4, 1.4])).tolist() == [0, 2, 2, 3, 1]
    pi, failed = np.array([0.1, 0.1, 0.1, 0.1] * 10), np.array([0, 1, 0, 0] * 10)
    own = weighted_rate(pi, failed, classes=np.array(["a", "b"] * 20))
    assert own.value == weighted_rate(pi, failed).value


def test_nobody_has_no_rate():
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


def test_totals_cover_the_truth_and_never_fall_below_what_is_in_hand():
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


def test_the_weight_effect_keeps_quiet_without_one_and_finds_a_kept_error():
    rng = np.random.default_rng(8)
    pi = 2.0 ** -rng.integers(0, 7, (400, 500))
    none = [weight_effect(p, rng.random(500) < 0.1).p < 0.05 for p in pi]
    assert np.mean(none) < 0.08
    assert weight_effect(np.repeat([1.0, 0.1], 50), np.repeat([1, 0], 50)).z < -5
    assert weight_effect(np.full(9, 0.1), np.ones(9)).p == 1
    assert np.isnan(weight_effect(np.ones(2), np.zeros(2), np.zeros(2)).unweighted)
