"""Conditions on a comparison: met, not met, and not decidable."""

import re

import numpy as np
import pytest
from analysis.compare.worlds import shop
from analysis.comparison_tables import chain

import tracekit as tk
from tracekit.analysis.compare.gates import evaluate


@pytest.fixture(scope="module")
def before():
    return shop(np.random.default_rng(1), 300)


def now(n=300, **change):
    return shop(np.random.default_rng(2), n, prefix=2, **change)


@pytest.fixture(scope="module")
def slower(before):
    return tk.compare(before, now(slow_ms=5, failing=0.2, refunds=0.2))


@pytest.fixture(scope="module")
def same(before):
    return tk.compare(before, now())


@pytest.mark.parametrize(
    "condition",
    [
        "p50_ms rises",
        "p95_ms rises 10%",
        "p50_ms  of INSERT rises by 4 ms",
        "mean_ms of ledger INSERT rises 50 %",
        "error_rate of shop ledger service call rises 10 points",
        "p95_ms of any operation rises",
        "new operation",
    ],
)
def test_a_significant_change_beyond_the_amount_fails(slower, condition):
    gate = evaluate(condition, slower)
    assert (gate.condition, gate.outcome) == (condition, "failed"), gate.sentence


@pytest.mark.parametrize(
    "condition",
    [
        "p50_ms falls",
        "p95_ms falls 1%",
        "p50_ms of INSERT rises 50 ms",
        "error_rate of ledger POST /book rises 60 points",
        "calls_per_request of shop ledger service call rises",
        "new edge",
        "gone endpoint",
    ],
)
def test_a_change_on_this_side_of_the_amount_passes(slower, condition):
    gate = evaluate(condition, slower)
    assert gate.outcome == "passed", gate.sentence


@pytest.mark.parametrize("condition", ["p50_ms falls 30%", "mean_ms of any edge rises", "new endpoint"])
def test_two_samples_of_the_same_traffic_pass(same, condition):
    assert evaluate(condition, same).outcome == "passed"


@pytest.mark.parametrize(
    ("condition", "change"), [("p95_ms rises", "10.0%"), ("error_rate rises", "1.0 percentage points")]
)
def test_without_an_amount_a_change_that_matters_has_to_be_excluded(same, condition, change):
    gate = evaluate(condition, same)
    assert gate.outcome == "inconclusive"
    assert f"no significant change, but the data cannot exclude a rise by more than {change}" in gate.sentence
    assert gate.traces_needed > 300
    sides = (shop(np.random.default_rng(seed), 2 * gate.traces_needed, prefix=seed) for seed in (1, 2))
    more = evaluate(condition, tk.compare(*sides))
    assert more.outcome == "passed"
    assert "does not rise" in more.sentence or f"a rise by more than {change} is excluded" in more.sentence


def test_an_amount_within_the_limits_is_undecided_and_so_many_traces_decide_it(same):
    gate = evaluate("p95_ms rises 5%", same)
    assert gate.outcome == "inconclusive"
    assert f"about {gate.traces_needed:,} traces a side are needed" in gate.sentence
    more = tk.compare(*(shop(np.random.default_rng(seed), 2 * gate.traces_needed, prefix=seed) for seed in (1, 2)))
    assert evaluate("p95_ms rises 10%", more).outcome == "passed"


def test_twenty_operations_that_rise_by_the_amount_itself_do_not_fail_by_chance():
    """One limit in forty would lie beyond the amount by chance, so a fifth of such comparisons."""
    failed = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        changes = tk.compare(chain(rng, 150), chain(rng, 150, more=np.full(20, 0.5), prefix=2))
        gates = [evaluate(f"{metric} of any operation rises 50%", changes) for metric in ("mean_ms", "p50_ms")]
        failed += any(gate.outcome == "failed" for gate in gates)
    assert failed <= 1


def test_places_that_the_data_leave_open_are_counted(same, slower):
    passed = evaluate("mean_ms of any operation rises 90%", same)
    assert (passed.outcome, passed.sentence.endswith("more than 90.0% significantly.")) == ("passed", True)
    unsure = evaluate("p95_ms of any operation rises 1%", same)
    assert unsure.outcome == "inconclusive"
    assert (
        re.search(r"The data cannot exclude it of (\d) of them\.", unsure.sentence)[1]
        == re.search(r"of (\d) operations", unsure.sentence)[1]
    )
    assert evaluate("mean_ms of any operation rises 50%", slower).outcome == "failed"


def test_too_few_traces_are_undecided(before):
    gate = evaluate("p95_ms rises", tk.compare(before, now(10, slow_ms=50)))
    assert gate.outcome == "inconclusive"
    assert "too few traces to tell" in gate.sentence
    assert gate.traces_needed == 72
    rare = evaluate("new operation", tk.compare(before, now(refunds=0.01)))
    assert rare.outcome == "inconclusive"
    assert "in the current traces only, which may be chance: shop refund" in rare.sentence
    nothing = evaluate("p95_ms of any edge rises", tk.compare(before, now(10)))
    assert nothing.sentence == "no edge has enough traces on both sides to tell."


def test_sides_sampled_differently_are_undecided_and_the_reason_is_given(before):
    changes = tk.compare(before.with_weights(10), now(slow_ms=50))
    for condition in ("p95_ms rises 10%", "new edge"):
        gate = evaluate(condition, changes)
        assert (gate.outcome, gate.sentence.startswith("not comparable: ")) == ("inconclusive", True)


def test_the_outcome_is_stable_under_another_sampling_rate_of_one_side(before):
    """A tenth of the current traces with weight 10 leads to the answers of all of them."""
    whole = shop(np.random.default_rng(5), 2000, prefix=2, slow_ms=5)
    kept = np.random.default_rng(6).random(2000) < 0.1
    tenth = whole.where(kept[whole.forest.trace]).with_weights(10)
    for condition, outcome in (
        ("p95_ms rises 10%", "failed"),
        ("error_rate rises 9 points", "passed"),
        ("new edge", "passed"),
    ):
        for current in (whole.with_weights(1), tenth):
            assert evaluate(condition, tk.compare(before.with_weights(1), current)).outcome == outcome


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("p42_ms rises", "expected a condition of the form METRIC"),
        ("p95_ms rises 10", "expected a condition of the form METRIC"),
        ("error_rate rises 10 ms", "an amount in % or points for error_rate, found ms"),
        ("p95_ms rises 1 points", "an amount in % or ms for p95_ms, found points"),
        ("p95_ms of nobody rises", "an endpoint, operation or edge, found 'nobody'; endpoints are shop POST /checkout"),
        ("p95_ms of any host rises", "any endpoint, any operation or any edge, found 'any host'"),
    ],
)
def test_conditions_that_cannot_be_are_refused(same, condition, message):
    with pytest.raises(ValueError, match=message):
        evaluate(condition, same)


def test_a_name_of_several_places_is_refused_with_their_names(before):
    changes = tk.compare(before, before, by=("kind", "service_name"))
    with pytest.raises(ValueError, match=r"one place in .*, found several: (CLIENT|SERVER) ledger, "):
        evaluate("p95_ms of ledger rises", changes)


def test_a_change_the_other_way_is_not_called_no_significant_change(before):
    faster = tk.compare(now(slow_ms=50), before)
    for condition, said in (
        ("p95_ms rises", "does not rise."),
        ("mean_ms rises 10%", "does not rise by more than 10.0%."),
    ):
        gate = evaluate(condition, faster)
        assert (gate.outcome, gate.sentence.rpartition(": ")[2]) == ("passed", said)
    gate = evaluate("mean_ms falls 99%", faster)  # it falls by 78%
    assert (gate.outcome, gate.sentence.rpartition(": ")[2]) == ("passed", "does not fall by more than 99.0%.")


def test_too_few_traces_say_how_many_would_do_and_never_fewer_than_there_are(before):
    gate = evaluate("p95_ms rises", tk.compare(before, now(10)))
    assert "too few traces to tell; at least 72 traces a side are needed." in gate.sentence
    weights = dict.fromkeys(before.trace_ids, 1.0) | {before.trace_ids[0]: 1e6}
    heavy = evaluate("mean_ms rises", tk.compare(before.with_weights(weights), now().with_weights(1)))
    assert heavy.outcome == "inconclusive"
    assert heavy.traces_needed is None
    assert heavy.sentence.endswith("too few traces to tell.")
