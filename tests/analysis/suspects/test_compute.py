"""Planted faults: the culprit is the first suspect, for the right reason; and nothing is named without one."""

import numpy as np
import pandas as pd
import pytest
from analysis.suspects.planted import FAULTS, MS, Shop, sides

from tracekit import TraceSet
from tracekit.analysis.suspects.compute import compute

KIND = {
    "early return": "shape",
    "unanswered": "shape",
    "unanswered failing": "failing",
}
VERDICT = {"early return": "possible", "unanswered": "possible", "more calls": "possible"}
LEAVES = {"way out", "early return", "more calls"}  # ledger calls nobody
PLANTED = [
    (fault, service)
    for fault in FAULTS
    for service in ("cart", "stock", "ledger")
    if not (service == "ledger" and fault in LEAVES)
]


def first(found):
    return found.table.loc[0, ["service_name", "kind", "verdict"]].tolist()


@pytest.mark.parametrize(("fault", "service"), PLANTED)
def test_the_culprit_is_the_first_suspect(fault, service):
    found = compute(*sides(fault, service))
    assert first(found) == [service, KIND.get(fault, fault), VERDICT.get(fault, "likely")]
    assert not found.is_no_change


@pytest.mark.parametrize(("fault", "service"), PLANTED)
def test_a_fault_in_a_third_of_the_requests_is_found(fault, service):
    found = compute(*sides(fault, service, share=0.34, current=120, size=4))
    assert found.table.loc[0, "service_name"] == service
    assert found.table.loc[0, "verdict"] == VERDICT.get(fault, "likely")
    assert found.table.loc[0, "affected_count"] == pytest.approx(0.34 * 120, rel=0.6)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_named_without_a_fault(seed):
    found = compute(*sides(seed=seed))
    assert found.is_no_change
    assert found.tested_count > 10
    assert set(found.table["verdict"]) <= {"not significant"}


def test_a_service_that_became_faster_is_no_suspect():
    baseline, current = sides("own", "cart")
    assert compute(current, baseline).is_no_change


@pytest.mark.parametrize("service", ["front", "ledger"])
def test_clocks_that_are_apart_on_one_side_are_no_change(service):
    assert compute(*sides(offsets={service: 40 * MS})).is_no_change


def test_clocks_that_are_apart_do_not_hide_a_fault():
    assert first(compute(*sides("way in", "stock", offsets={"stock": -70 * MS}))) == ["stock", "way in", "likely"]


def test_the_same_traces_twice_are_no_change():
    baseline, _ = sides()
    found = compute(baseline, baseline)
    assert found.is_no_change
    assert found.shared_trace_count == len(baseline)


def test_overlapping_windows_hide_but_do_not_invent():
    baseline, current = sides("own", "cart")
    half = current.where(np.arange(len(current))[current.forest.trace] % 2 == 0)
    both = TraceSet.from_spans(pd.concat([baseline.spans, half.spans], ignore_index=True))
    found = compute(both, current)
    assert found.shared_trace_count == len(half)
    assert set(found.table["service_name"]) <= {"cart"}
    assert compute(both, baseline).is_no_change


def test_the_order_of_rows_is_no_matter():
    baseline, current = sides("starved", "stock")
    shuffled = (TraceSet.from_spans(side.spans.sample(frac=1, random_state=2)) for side in (baseline, current))
    one, other = compute(baseline, current), compute(*shuffled)
    for name in ("table", "evidence", "path", "breakdown"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


def test_nothing_is_changed():
    baseline, current = sides("own", "cart", baseline=30, current=20)
    before = [side.spans.copy() for side in (baseline, current)]
    compute(baseline, current)
    for side, spans in zip((baseline, current), before, strict=True):
        pd.testing.assert_frame_equal(side.spans, spans)


def test_sides_that_are_not_comparable_are_not_ranked():
    baseline, current = sides("own", "cart")
    found = compute(baseline.with_weights(2), current)
    assert found.table.empty
    assert found.evidence.empty
    assert not found.is_assessable
    assert not found.is_no_change
    assert found.statement.startswith("not comparable: sampling weights are known for the baseline traces only")


def test_weighted_sides_of_one_rate_have_the_same_answer():
    baseline, current = sides("way in", "ledger")
    plain, weighted = compute(baseline, current), compute(baseline.with_weights(10), current.with_weights(10))
    pd.testing.assert_frame_equal(plain.table, weighted.table)


@pytest.mark.parametrize("empty", [0, 1])
def test_a_side_without_traces_is_not_assessable(empty):
    both = list(sides("own", "cart"))
    both[empty] = both[empty].where("service_name == 'nobody'")
    found = compute(*both)
    assert not found.is_assessable
    assert not found.is_no_change
    assert found.table.empty


def test_one_trace_is_not_assessable():
    baseline, current = sides("own", "cart")
    found = compute(baseline, current.trace(current.trace_ids[0]))
    assert not found.is_assessable
    assert found.table.empty


def test_services_that_no_other_side_has_are_not_assessable():
    baseline, current = sides()
    renamed = TraceSet.from_spans(current.spans.assign(service_name=current.spans["service_name"].astype(str) + "-2"))
    assert not compute(baseline, renamed).is_assessable


def spoiled(traces, rng, damage):
    """The traces with lost spans, times, names or parents."""
    spans = traces.spans
    hit = rng.random(len(spans)) < 0.1
    if damage == "lost spans":
        return TraceSet.from_spans(spans[~hit])
    if damage == "wrong parents":
        spans.loc[hit, "parent_span_id"] = rng.permutation(spans.loc[hit, "span_id"].to_numpy())
    elif damage == "no names":
        spans["service_name"], spans["name"] = None, ""
    elif damage == "no duration":
        spans["end_ns"] = spans["start_ns"]
    else:
        spans[damage] = spans[damage].where(~hit)
    return TraceSet.from_spans(spans)


@pytest.mark.parametrize("damage", ["start_ns", "end_ns", "lost spans", "wrong parents", "no names", "no duration"])
def test_damaged_traces_have_an_answer_that_adds_up(damage):
    rng = np.random.default_rng(6)
    both = [spoiled(side, rng, damage) for side in sides("starved", "stock")]
    found = compute(*both, with_recovery=True)
    for _, path in found.path.groupby("rank"):
        assert path["excess_ns"].sum() == path["current_ns"].sum() - path["baseline_ns"].sum()
    named = found.table.loc[found.table["verdict"] == "likely", "service_name"].tolist()
    assert named in ([], ["unknown_service" if damage == "no names" else "stock"])


def test_exceptions_count_as_failures():
    rng = np.random.default_rng(4)
    from drawn_spans import draw  # noqa: PLC0415 - of this test only

    def side(share, first):
        lines = []
        for k in range(first, first + 60):
            extra = "exception=KeyError:x" if rng.random() < share else ""
            lines += [f"{k:x} 1 - web SERVER {k * 100} {k * 100 + 50} name=GET"]
            lines += [f"{k:x} 2 1 ledger SERVER {k * 100 + 10} {k * 100 + 40} name=read {extra}"]
        return draw("\n".join(lines))

    assert first(compute(side(0, 1), side(0.5, 100))) == ["ledger", "failing", "likely"]


def test_elements_that_did_not_change_are_evidence_too():
    found = compute(*sides("way in", "stock"))
    mine = found.evidence[found.evidence["rank"] == 1]
    gaps = mine[mine["element"] == "gap of calls"].set_index(["caller_service", "callee_service"])
    assert gaps["is_changed"].to_dict() == {
        ("front", "stock"): True,
        ("stock", "ledger"): False,
        ("stock", "mail"): False,
    }
    changed = gaps.loc[("front", "stock")]
    assert changed["way_back_excess_ns"] > 5 * max(changed["way_there_excess_ns"], 1)
    assert changed["excess_ns"] == pytest.approx(10 * MS, rel=0.3)


def test_one_caller_and_one_callee_cannot_be_separated():
    """front calls only cart, and nobody else calls it: the gap accuses both."""

    def side(rng, slower, n, begin):
        rows = []
        for k in range(n):
            start = begin + k * 1000 * MS
            there, own, back = (int(rng.lognormal(0, 0.3) * MS) for _ in range(3))
            there += slower
            ends = [start + there + own + back, start + there + own + back, start + there + own]
            for number, (service, kind, low) in enumerate(
                [("front", "SERVER", start), ("front", "CLIENT", start), ("cart", "SERVER", start + there)]
            ):
                rows.append(
                    {
                        "trace_id": f"{begin + k:032x}", "span_id": f"{number + 1:x}",
                        "parent_span_id": f"{number:x}" if number else None, "service_name": service, "kind": kind,
                        "name": kind, "start_ns": low, "end_ns": ends[number],
                    }
                )  # fmt: skip
        return TraceSet.from_spans(pd.DataFrame(rows))

    rng = np.random.default_rng(1)
    found = compute(side(rng, 0, 100, 10**18), side(rng, 9 * MS, 50, 2 * 10**18))
    assert set(found.table["service_name"].head(2)) == {"front", "cart"}
    assert found.table.loc[0, "not_separable_from"] == found.table.loc[1, "service_name"]


def test_constants_do_not_depend_on_the_day():
    rng = np.random.default_rng(9)
    baseline = Shop(rng).traces(100)
    late = Shop(rng, "own", "ledger").traces(50, begin=10**18)
    assert first(compute(baseline, late)) == ["ledger", "own", "likely"]
