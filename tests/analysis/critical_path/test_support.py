"""Whether siblings depend on each other: what many traces say that one cannot."""

import numpy as np
import pandas as pd
import pytest
from drawn_spans import draw
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.hops import Siblings, hops_of, occasions, resting_ns
from tracekit.analysis.critical_path.support import Support
from tracekit.stats.weighted_rates import weighted_rate
from tracekit.traces import TraceSet

#  lock    |-------|                10..40     in the second trace the charge begins before the lock is there
#  charge             |-----------| 50..90
TWO = """
a1 1 - shop INTERNAL 0 100  name=pay
a1 2 1 shop INTERNAL 10 40  name=lock
a1 3 1 shop INTERNAL 50 90  name=charge
b2 4 - shop INTERNAL 0 100  name=pay
b2 5 4 shop INTERNAL 10 40  name=lock
b2 6 4 shop INTERNAL 20 90  name=charge
"""


def test_a_pair_is_tested_in_every_trace():
    found = critical_path(draw(TWO)).support()
    (pair,) = found.pairs.to_dict("records")
    assert (pair["parent_call_path"], pair["earlier_operation"], pair["operation"]) == ("shop pay", "lock", "charge")
    assert (pair["trace_count"], pair["before_count"], pair["contradicted_count"]) == (2, 1, 1)
    assert pair["path_time_ns"] == 30
    _, low, high, *_ = weighted_rate(np.ones(2), np.array([1, 0]), target="process")
    assert [pair["support_ratio"], pair["support_low"], pair["support_high"]] == pytest.approx([0.5, low, high])
    assert found.traces["ambiguous_ns"].tolist() == [30, 0]
    assert found.traces["confidence_ratio"].tolist() == [pytest.approx(0.7 + 0.3 * low), 1.0]
    assert repr(found) == (
        "Support(1 pairs of siblings, 1 contradicted; mean confidence per request "
        f"{(1.7 + 0.3 * low) / 2:.2f}; sampling weights unknown)"
    )
    assert "<p>Support(" in found._repr_html_()


def test_ambiguous_time_is_reported_for_every_request():
    assert critical_path(draw(TWO)).traces["ambiguous_ns"].tolist() == [30, 0]


def several(before):
    """Traces in which the charge begins after the lock is there, or before."""
    begin = np.where(before, 50, 20)
    return "\n".join(
        f"{at + 1:x} 1 - shop INTERNAL 0 100 name=pay\n"
        f"{at + 1:x} 2 1 shop INTERNAL 10 40 name=lock\n"
        f"{at + 1:x} 3 1 shop INTERNAL {start} 90 name=charge"
        for at, start in enumerate(begin)
    )


def test_limits_of_weighted_traces_are_those_of_a_weighted_rate():
    before, weights = np.arange(60) % 5 > 0, np.repeat([1.0, 3.0, 20.0], 20)
    (pair,) = critical_path(draw(several(before)).with_weights(weights)).support().pairs.to_dict("records")
    wanted = weighted_rate(1 / weights, before, target="process")
    assert [pair["support_ratio"], pair["support_low"], pair["support_high"]] == pytest.approx(
        [wanted.value, wanted.low, wanted.high]
    )
    assert (pair["trace_count"], pair["before_count"]) == (60, 48)


def test_support_by_one_heavy_trace_is_not_estimable():
    before, weights = np.arange(40) > 0, np.repeat([1000.0, 1.0], [1, 39])
    found = critical_path(draw(several(before)).with_weights(weights)).support()
    assert found.pairs["support_ratio"].tolist() == [pytest.approx(39 / 1039)]
    assert found.pairs[["support_low", "support_high"]].isna().to_numpy().all()
    assert found.traces["confidence_ratio"].tolist() == [1.0, *[pytest.approx(np.nan, nan_ok=True)] * 39]
    assert "mean confidence per request 1.00; confidence not estimable for 39 of 40 requests" in repr(found)
    missing = Support(found.pairs, found.traces.iloc[1:])
    assert repr(missing) == (
        "Support(1 pairs of siblings, 1 contradicted; confidence not estimable for 39 of 39 requests)"
    )


def test_strict_leaves_out_what_a_trace_contradicts():
    path, strict = critical_path(draw(TWO)), critical_path(draw(TWO), causal="strict")
    assert path.own_ns.tolist() == [30, 30, 40, 30, 0, 70]
    assert strict.own_ns.tolist() == [60, 0, 40, 30, 0, 70]
    assert strict.spans["unexplained_ns"].tolist() == [50, 0, 0, 0, 0, 0]
    assert path.spans["unexplained_ns"].tolist() == [0] * 6
    assert strict.own_ns.sum() == strict.latency_ns.sum()
    assert strict.segments[["span_row", "start_ns", "end_ns"]].to_numpy().tolist() == [
        [0, 0, 50],
        [2, 50, 90],
        [0, 90, 100],
        [3, 0, 20],
        [5, 20, 90],
        [3, 90, 100],
    ]
    assert strict.issues["code"].tolist() == ["ORDER_CONTRADICTED"]
    assert strict.support().pairs.empty
    assert strict.slack().tolist()[1] == 50  # the lock may last until the end of the charge


def test_strict_changes_nothing_where_no_trace_contradicts():
    traces = draw("\n".join(TWO.split("\n")[:4]))
    assert (
        critical_path(traces, causal="strict").own_ns.tolist() == critical_path(traces).own_ns.tolist() == [30, 30, 40]
    )


def test_causal_is_strict_or_none():
    with pytest.raises(ValueError, match="expected causal to be 'strict' or None, found 'loose'"):
        critical_path(draw(TWO), causal="loose")


@pytest.mark.parametrize(("charge", "against"), [(39, 0), (38, 1)])
def test_an_overlap_of_one_percent_of_the_parent_is_no_contradiction(charge, against):
    text = TWO.replace("b2 6 4 shop INTERNAL 20 90", f"b2 6 4 shop INTERNAL {charge} 90")
    pairs = critical_path(draw(text)).support().pairs
    assert pairs[["before_count", "contradicted_count"]].to_numpy().tolist() == [[1, against]]


def test_the_other_way_round_is_a_contradiction():
    text = TWO.replace("b2 5 4 shop INTERNAL 10 40", "b2 5 4 shop INTERNAL 92 95")
    pairs = critical_path(draw(text)).support().pairs.set_index("earlier_operation")
    assert pairs.loc["lock", ["trace_count", "before_count", "contradicted_count"]].tolist() == [2, 1, 1]
    assert pairs.loc["charge", ["trace_count", "before_count", "contradicted_count"]].tolist() == [2, 1, 1]


def test_a_loop_agrees_with_itself():
    """ask, answer, ask, answer: each follows the other, and the first ask follows none."""
    path = critical_path(
        draw(
            """
            a1 1 - shop INTERNAL 0 100  name=pay
            a1 2 1 shop INTERNAL 10 20  name=ask
            a1 3 1 shop INTERNAL 20 30  name=answer
            a1 4 1 shop INTERNAL 40 50  name=ask
            a1 5 1 shop INTERNAL 60 70  name=answer
            """
        )
    )
    pairs = path.support().pairs.set_index(["earlier_operation", "operation"])
    assert pairs[["trace_count", "before_count", "contradicted_count"]].to_numpy().tolist() == [[1, 1, 0]] * 2
    assert pairs["path_time_ns"].to_dict() == {("ask", "answer"): 20, ("answer", "ask"): 10}


def test_calls_one_after_another_are_a_pair_of_their_own():
    path = critical_path(
        draw(
            """
            a1 1 - shop INTERNAL 0 100  name=pay
            a1 2 1 shop INTERNAL 10 20  name=query
            a1 3 1 shop INTERNAL 20 30  name=query
            b2 4 - shop INTERNAL 0 100  name=pay
            b2 5 4 shop INTERNAL 10 20  name=query
            c3 6 - shop INTERNAL 0 100  name=pay
            c3 7 6 shop INTERNAL 10 50  name=query
            c3 8 6 shop INTERNAL 10 70  name=query
            """
        )
    )
    (pair,) = path.support().pairs.to_dict("records")
    assert (pair["earlier_operation"], pair["operation"]) == ("query", "query")
    assert (pair["trace_count"], pair["before_count"], pair["contradicted_count"]) == (2, 1, 1)


def test_what_is_below_a_hop_rests_on_it():
    path = critical_path(
        draw(
            """
            a1 1 - shop INTERNAL 0 100  name=pay
            a1 2 1 shop INTERNAL 10 40  name=lock
            a1 3 2 shop INTERNAL 15 35  name=read
            a1 4 3 shop INTERNAL 15 20  name=open
            a1 5 3 shop INTERNAL 20 30  name=fetch
            a1 6 1 shop INTERNAL 50 90  name=charge
            """
        )
    )
    assert path.traces["ambiguous_ns"].tolist() == [30]
    found = path.support()
    low = binomtest(1, 1).proportion_ci().low
    assert found.traces["confidence_ratio"].tolist() == [pytest.approx(0.7 + 0.3 * low)]


def test_requests_without_siblings_and_without_anything():
    alone = critical_path(draw("a1 1 - shop INTERNAL 0 100")).support()
    assert alone.pairs.empty
    assert alone.traces[["ambiguous_ns", "confidence_ratio"]].to_numpy().tolist() == [[0, 1]]
    frame = pd.DataFrame({"trace_id": [], "span_id": [], "name": [], "start_ns": [], "end_ns": []})
    path = critical_path(TraceSet.from_spans(frame))
    assert repr(path.support()) == "Support(0 pairs of siblings, 0 contradicted; no traces)"
    assert critical_path(TraceSet.from_spans(frame), causal="strict").own_ns.tolist() == []
    instant = critical_path(draw("a1 1 - shop INTERNAL 5 5")).support()
    assert instant.traces["confidence_ratio"].tolist() == [1]


@pytest.mark.parametrize("depends", [True, False])
def test_dependence_is_distinguished_from_chance(depends):
    """foo2 follows foo1 because it needs it, or by chance half of the time."""
    rng = np.random.default_rng(4)
    lines = []
    for trace in range(1, 201):
        ready = int(rng.integers(1000, 5000))
        begun = ready + int(rng.integers(0, 500)) if depends else int(rng.integers(1000, 5000))
        lines += [f"{trace:x} 1 - shop INTERNAL 0 20000 name=all", f"{trace:x} 2 1 shop INTERNAL 0 {ready} name=foo1"]
        lines += [f"{trace:x} 3 1 shop INTERNAL {begun} {begun + 6000} name=foo2"]
    traces = draw("\n".join(lines))
    found = critical_path(traces).support()
    (pair,) = found.pairs.to_dict("records")
    assert pair["trace_count"] == 200
    strict = critical_path(traces, causal="strict").by("operation").set_index("operation")["path_time_ns"]
    if depends:
        assert pair["support_low"] > 0.98
        assert found.traces["confidence_ratio"].min() > 0.98
        assert strict["foo1"] > 0
    else:
        assert pair["support_low"] < 0.55 < pair["support_high"] + 0.1
        assert strict.get("foo1", 0) == 0


# ------------------------------------------------------------------ as a slow and plain count would have it


@st.composite
def families(draw):
    """Children of a few parents in a few traces, of three call paths."""
    rows = []
    for parent in range(draw(st.integers(1, 5))):
        trace = draw(st.integers(0, 2))
        for _ in range(draw(st.integers(0, 5))):
            start = draw(st.integers(0, 12))
            rows.append((parent, draw(st.integers(0, 2)), trace, start, start + draw(st.integers(1, 8)), 2))
    return rows


def plainly(rows, earlier, later):
    """Return {trace: (always before, ever contradicted)}."""
    said = {}
    for parent in {row[0] for row in rows}:
        mine = [row for row in rows if row[0] == parent]
        first, second = ([row for row in mine if row[1] == code] for code in (earlier, later))
        if not first or not second or (earlier == later and len(first) < 2):
            continue
        over = [max((a[4] for a in first if a[3] < b[3]), default=None) for b in second]
        over = [(end - b[3]) for end, b in zip(over, second, strict=True) if end is not None] or [99]
        before, against = all(gap <= 0 for gap in over), any(gap > 2 for gap in over)
        sofar = said.get(mine[0][2], (True, False))
        said[mine[0][2]] = (sofar[0] and before, sofar[1] or against)
    return said


@given(families())
def test_occasions_are_those_of_a_plain_count(rows):
    siblings = Siblings(*(np.array([row[at] for row in rows], np.int64) for at in range(6)))
    pairs = [(a, b) for a in range(3) for b in range(3)]
    table = occasions(siblings, *(np.array(column) for column in zip(*pairs, strict=True)))
    for at, (earlier, later) in enumerate(pairs):
        found = table[table["pair"] == at].set_index("trace")[["is_before", "is_contradicted"]]
        assert {trace: tuple(row) for trace, row in found.T.to_dict("list").items()} == plainly(rows, earlier, later)


def test_hops_are_between_siblings_that_follow_each_other():
    path = critical_path(draw(TWO))
    hops = hops_of(path)
    assert hops.earlier.tolist() == [1]
    assert hops.later.tolist() == [2]
    assert resting_ns(path, hops).tolist() == [30, 0]
