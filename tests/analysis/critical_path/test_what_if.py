from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from analysis.critical_path.test_kernel import arrays, root_of, trees
from critical_path_oracle import rerun
from drawn_spans import draw
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.kernel import walk
from tracekit.analysis.critical_path.replay import Plan, own_times
from tracekit.analysis.critical_path.what_if import CapSelfTime, MatchDistribution
from tracekit.errors import FilterError
from tracekit.samples import load_sample
from tracekit.traces import TraceSet

SHOP = """
a1 1 - shop   SERVER    0 100 name=pay
a1 2 1 cart   INTERNAL 10  40 name=lock
a1 3 1 ledger INTERNAL 30  90 name=charge
a1 4 3 ledger INTERNAL 50  60 name=write
"""


def law(*strategies):
    return lambda test: settings(deadline=None)(given(*strategies)(test))


def factors(count, low=0.0, high=2.0):
    return st.lists(st.floats(low, high), min_size=count, max_size=count).map(np.array)


def planned(spans):
    parent, start, end, awaited = arrays(spans)
    base = start.min()
    rows = walk(parent, start - base, end - base, awaited)
    return parent, rows, Plan.of(parent, rows)


@law(trees())
def test_a_factor_of_one_changes_nothing(spans):  # I12
    _, rows, plan = planned(spans)
    length = np.where(rows.windows.inside, rows.windows.end - rows.windows.start, 0)
    assert plan.run(np.ones(len(spans))).tolist() == length.tolist()


@law(trees(), st.data())
def test_the_plan_answers_as_the_oracle(spans, data):
    factor = data.draw(factors(len(spans)))
    _, _, plan = planned(spans)
    found = plan.run(factor)
    for span, length in rerun(spans, factor.tolist()).items():
        assert found[span] == pytest.approx(length, abs=1e-6)


@law(trees(), st.data())
def test_savings_are_monotone_and_bounded_by_the_time_on_the_path(spans, data):  # I12
    factor = data.draw(factors(len(spans), 0.0, 1.0))
    parent, rows, plan = planned(spans)
    now, fast, slow = (plan.run(scale) for scale in (np.ones(len(spans)), factor, 2 - factor))
    assert (fast <= now + 1e-6).all()
    assert (slow >= now - 1e-6).all()
    assert (plan.run(factor / 2) <= fast + 1e-6).all()
    root = root_of(parent)
    for top in np.flatnonzero((parent < 0) & rows.windows.inside):
        naive = (rows.own_ns * (1 - factor))[root == top].sum()
        assert now[top] - fast[top] <= naive + 1e-6
        assert slow[top] - now[top] >= naive - 1e-6


@law(trees())
def test_own_times_agree_with_the_path(spans):
    parent, rows, _ = planned(spans)
    own = own_times(parent, rows)
    assert own[rows.on_path].tolist() == rows.own_ns[rows.on_path].tolist()
    assert (own >= 0).all()


@law(trees(), st.integers(1, 1000))
def test_slack_is_how_far_a_span_can_stretch_before_its_root_moves(spans, beyond):
    parent, rows, plan = planned(spans)
    slack, root, now = plan.slack(len(spans)), root_of(parent), rerun(spans, [1] * len(spans))
    assert slack[rows.on_path].tolist() == [0] * rows.on_path.sum()
    for leaf in np.flatnonzero(rows.windows.inside & ~np.isin(np.arange(len(spans)), rows.chains.parent)):
        length = int(rows.windows.end[leaf] - rows.windows.start[leaf])
        for longer in (int(slack[leaf]), int(slack[leaf]) + beyond):
            factor = [Fraction(1)] * len(spans)
            factor[leaf] = Fraction(length + longer, length)
            moved = rerun(spans, factor)[root[leaf]] - now[root[leaf]]
            assert moved == longer - slack[leaf]


def test_slack_of_an_unawaited_span_is_missing():
    path = critical_path(draw("a1 1 - s SERVER 0 100\na1 2 1 s INTERNAL 10 40\na1 3 1 s INTERNAL 20 9000"))
    assert path.slack().isna().tolist() == [False, False, True]


def test_another_branch_takes_over():
    result = critical_path(draw(SHOP)).what_if({"service_name == 'ledger'": 0.0})
    row = result.traces.iloc[0]
    assert row[["latency_ns", "new_latency_ns", "saved_ns", "naive_saved_ns"]].tolist() == [100, 50, 50, 60]
    assert row["is_taken_over"]
    assert result.changed_count == 2
    assert result.table.loc["mean", ["latency_ns", "new_latency_ns", "saved_ns", "naive_saved_ns"]].tolist() == [
        100.0,
        50.0,
        50.0,
        60.0,
    ]
    assert "<p>WhatIf(mean latency 100 → 50 ns" in result._repr_html_()


@pytest.mark.parametrize(
    ("changes", "latency"),
    [
        ({"service_name == 'shop'": 0.5}, 80),  # lead 30 to 15, tail 10 to 5
        ({"name == 'charge'": 2.0}, 150),
        ({"name == 'write'": 0.5, "service_name == 'ledger'": 0.5}, 67.5),
        ({"name == 'charge'": CapSelfTime(ns=25)}, 75),
        ({"name == 'charge'": CapSelfTime(ns=80)}, 100),
        ({"service_name == 'ledger'": CapSelfTime(quantile=0.0)}, 60),
        ({"name == 'charge'": MatchDistribution([100])}, 150),
        ({"name == 'nothing'": 0.0}, 100),
        ({lambda spans: spans["name"] == "lock": 0.0}, 100),
    ],
)
def test_changes(changes, latency):
    path = critical_path(draw(SHOP))
    assert path.what_if(changes).table.loc["mean", "new_latency_ns"] == latency


def test_like_keeps_the_order_of_the_spans():
    path = calls([10, 30, 20])
    result = path.what_if({"name == 'x'": MatchDistribution([100, 300, 500])})
    assert result.traces["new_latency_ns"].rank().tolist() == [1, 3, 2]
    assert result.traces["new_latency_ns"].between(100, 500).all()


def calls(latencies):
    frame = pd.DataFrame({"trace_id": [f"a{at:x}" for at in range(len(latencies))], "end_ns": latencies})
    return critical_path(TraceSet.from_spans(frame.assign(span_id="1", name="x", service_name="s", start_ns=0)))


def test_quantiles_have_limits_and_halve_with_their_spans():
    path = calls(range(100, 900))
    table = path.what_if({"service_name == 's'": 0.5}).table
    assert (table["new_latency_ns"] * 2).tolist() == table["latency_ns"].tolist()
    known = table.dropna(subset=["new_low_ns", "new_high_ns"])
    assert known.index.tolist() == ["mean", "p50", "p90", "p95", "p99"]
    assert (known["new_low_ns"] < known["new_latency_ns"]).all()
    assert (known["new_latency_ns"] < known["new_high_ns"]).all()
    assert np.isnan(calls([5, 6]).what_if({}).table.loc["p99", "new_high_ns"])


def test_weights_count():
    rows = calls([100, 200]).source
    table = critical_path(rows.with_weights(np.array([3.0, 1.0]))).what_if({"name == 'x'": 0.5}).table
    assert table.loc["mean", ["latency_ns", "new_latency_ns"]].tolist() == [125.0, 62.5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (-1.0, "expected a factor of 0 or more, a CapSelfTime or a MatchDistribution, found -1.0"),
        (float("nan"), "expected a factor of 0 or more, a CapSelfTime or a MatchDistribution, found nan"),
        (CapSelfTime(), "expected a cap in ns or a quantile, found"),
        (CapSelfTime(ns=1, quantile=0.5), "expected a cap in ns or a quantile, found"),
        (MatchDistribution([]), "expected self times of 0 ns or more, found"),
        (MatchDistribution([-1]), "expected self times of 0 ns or more, found"),
    ],
)
def test_changes_that_are_none(change, message):
    with pytest.raises(ValueError, match=message):
        critical_path(draw(SHOP)).what_if({"name == 'charge'": change})


def test_a_condition_that_does_not_parse():
    with pytest.raises(FilterError, match=r"or request\.<key>, found 'nam'"):
        critical_path(draw(SHOP)).what_if({"nam == 'charge'": 0.5})


def test_opportunities_rank_what_is_really_saved():
    lines = SHOP + "b2 5 - shop SERVER 0 100 name=pay\nb2 6 5 cart INTERNAL 10 60 name=lock\n"
    table = critical_path(draw(lines)).opportunities("service_name")
    assert table["service_name"].tolist() == ["shop", "ledger", "cart"]
    assert table["naive_saved_mean_ns"].tolist() == [45.0, 30.0, 25.0]
    assert table["saved_mean_ns"].tolist() == [45.0, 25.0, 25.0]
    assert table["taken_over_count"].tolist() == [0, 1, 0]
    others = critical_path(draw(lines)).opportunities("service_name", roots=False)
    assert others.equals(table[table["service_name"] != "shop"].reset_index(drop=True)), (
        "but for the requests themselves"
    )


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=8))
def test_opportunities_are_the_best_of_all_what_ifs(rows):
    frame = []
    for at, (first, second, third) in enumerate(rows):
        frame.append((f"a{at}", "1", None, "web", 0, 100))
        for span, (service, start, length) in enumerate(
            [("cart", 5, first), ("ledger", 10, second), ("mail", 50, third)], 2
        ):
            frame.append((f"a{at}", str(span), "1", service, start, start + length))
    columns = ["trace_id", "span_id", "parent_span_id", "service_name", "start_ns", "end_ns"]
    path = critical_path(TraceSet.from_spans(pd.DataFrame(frame, columns=columns).assign(name="x")))
    saved = {
        service: path.what_if({f"service_name == '{service}'": 0.0}).table.loc["mean", "saved_ns"]
        for service in ("web", "cart", "ledger", "mail")
    }
    best = sorted(saved.values(), reverse=True)
    for top in (1, 2, 4):
        found = path.opportunities("service_name", top=top)
        assert found["saved_mean_ns"].tolist() == pytest.approx(best[: len(found)])
        assert all(value == 0 for value in best[len(found) : top])


def test_a_factor_that_is_no_speed_up():
    with pytest.raises(ValueError, match="expected a factor from 0 to less than 1, found 1"):
        critical_path(draw(SHOP)).opportunities("service_name", factor=1)


def test_no_requests_at_all():
    columns = {"trace_id": [], "span_id": [], "name": [], "start_ns": [], "end_ns": []}
    path = critical_path(TraceSet.from_spans(pd.DataFrame(columns)))
    assert path.what_if({"name == 'x'": 0.5}).traces.empty
    assert path.opportunities("name").empty


def test_a_condition_that_matches_no_span_is_reported():
    saved = critical_path(load_sample("small-shop", "current")).what_if({"name == 'nothing'": 0})
    assert repr(saved) == "WhatIf(no span changed: no span matches the conditions; sampling weights unknown)"
