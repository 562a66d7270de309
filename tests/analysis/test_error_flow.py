"""How errors travel: hand-drawn traces, and a brute-force oracle on random trees."""

from collections import Counter

import pytest
from drawn_spans import draw
from hypothesis import given
from hypothesis import strategies as st

from tracekit import errors
from tracekit.analysis.error_flow import FATES, error_chains, error_edges

#  shop calls ledger three times: the first fails and is repeated, the second fails too, the third succeeds; then the
#  call to quota fails, and shop goes on; the call to bank fails, and so does shop's own work around it
DRAWN = """
a1 1 - shop   SERVER 0   200 name=pay
a1 2 1 shop   CLIENT 5   20  error name=charge
a1 3 2 ledger SERVER 6   19  error name=charge
a1 4 1 shop   CLIENT 25  40  error name=charge
a1 5 4 ledger SERVER 26  39  error name=charge
a1 6 1 shop   CLIENT 45  60  name=charge
a1 7 6 ledger SERVER 46  59  name=charge
a1 8 1 shop   CLIENT 65  70  error name=ask
a1 9 8 quota  SERVER 66  90  name=ask
b1 1 - shop   SERVER 0   100 error name=pay
b1 2 1 shop   CLIENT 10  90  error name=send
b1 3 2 bank   SERVER 20  80  error name=send
b1 4 3 bank   CLIENT 30  70  error name=SELECT peer=mysql
"""


def edge(traces, callee):
    return error_edges(traces).set_index("callee_service").loc[callee]


def fates(row):
    return {name: row[f"{name}_count"] for name in FATES if row[f"{name}_count"]}


def test_failed_calls_are_retried_swallowed_and_propagated():
    traces = draw(DRAWN)
    assert fates(edge(traces, "ledger")) == {"retried": 2}
    assert fates(edge(traces, "quota")) == {"swallowed": 1}
    assert fates(edge(traces, "bank")) == {"propagated": 1}


def test_an_error_originates_where_nothing_below_failed():
    traces = draw(DRAWN)
    assert edge(traces, "ledger")["originated_count"] == 2
    assert edge(traces, "bank")["originated_count"] == 0


def test_a_call_that_failed_while_the_callee_went_on_timed_out():
    traces = draw(DRAWN)
    assert [edge(traces, name)["timed_out_count"] for name in ("quota", "ledger", "bank")] == [1, 0, 0]


def test_chains_go_from_the_highest_failed_span_to_the_origin():
    chains = error_chains(draw(DRAWN)).set_index("chain")
    assert chains["error_count"].to_dict() == {
        "shop charge > ledger charge": 2,
        "shop ask": 1,
        "shop pay > shop send > bank send > bank SELECT": 1,
    }
    assert chains["reaches_root"].tolist() == [False, False, True]
    assert chains["span_count"].tolist() == [2, 1, 4]


def test_counts_are_weighted():
    traces = draw(DRAWN).with_weights(10)
    assert edge(traces, "ledger")["error_count"] == 20
    assert edge(traces, "ledger")["trace_count"] == 1
    assert error_chains(traces)["error_count"].max() == 20


def test_no_errors_are_empty_tables_with_the_same_columns():
    traces = draw("a1 1 - shop SERVER 0 100 name=pay")
    assert error_edges(traces).columns.tolist() == error_edges(draw(DRAWN)).columns.tolist()
    assert error_chains(traces).columns.tolist() == error_chains(draw(DRAWN)).columns.tolist()
    assert not len(error_edges(traces))


def test_new_exceptions_come_first():
    old = "a1 1 - shop SERVER 0 100 error name=pay exception=Declined:no\na2 1 - shop SERVER 0 99 exception=Declined:no"
    new = f"{old}\na3 1 - shop SERVER 0 100 error name=pay exception=Timeout:late"
    found = errors(draw(new), baseline=draw(old)).exceptions
    assert found["exception_type"].tolist() == ["Timeout", "Declined"]
    assert found["is_new"].tolist() == [True, False]
    assert found["baseline_event_count"].tolist() == [0, 2]
    assert found["path_time_ns"].tolist() == [100, 99.5]


@st.composite
def trees(draw_from):
    """Random traces: service, whether it failed, and the parent of each span."""
    spans = []
    for k in range(draw_from(st.integers(1, 12))):
        parent = draw_from(st.integers(0, k - 1)) if k else None
        spans.append((k, parent, draw_from(st.sampled_from("abc")), draw_from(st.booleans())))
    return spans


@given(trees())
def test_chains_equal_a_brute_force_walk(spans):
    lines = [
        f"a1 {k + 1} {'-' if parent is None else parent + 1} {name} SERVER {k} 100 {'error ' * failed}name=x"
        for k, parent, name, failed in spans
    ]
    is_failed = {k: failed for k, _, _, failed in spans}
    parents = {k: parent for k, parent, _, _ in spans}
    expected = Counter()
    for k, _, _, failed in spans:
        if failed and not any(parents[j] == k and is_failed[j] for j in parents):
            chain, at = [], k
            while at is not None and is_failed[at]:
                chain.append(spans[at][2])
                at = parents[at]
            expected[" > ".join(f"{name} x" for name in reversed(chain)), at is None] += 1
    found = error_chains(draw("\n".join(lines)))
    assert (
        dict(zip(zip(found["chain"], found["reaches_root"], strict=True), found["error_count"], strict=True))
        == expected
    )


@given(trees())
def test_edges_equal_a_brute_force_walk(spans):
    lines = [
        f"a1 {k + 1} {'-' if parent is None else parent + 1} {name} INTERNAL 0 {100 - k} {'error ' * failed}name=x"
        for k, parent, name, failed in spans
    ]
    expected = Counter()
    for k, parent, name, failed in spans:
        if parent is None or spans[parent][2] == name or not (failed or spans[parent][3]):
            continue
        edge = spans[parent][2], name
        expected[edge, "error"] += 1
        expected[edge, "propagated" if spans[parent][3] else "swallowed"] += 1
        expected[edge, "originated"] += not any(up == k and bad for _, up, _, bad in spans)
    found = error_edges(draw("\n".join(lines))).set_index(["caller_service", "callee_service"])
    for (edge, name), count in expected.items():
        assert found.loc[edge, f"{name}_count"] == count
    assert found["error_count"].sum() == sum(n for (_, name), n in expected.items() if name == "error")
    assert found[[f"{name}_count" for name in FATES]].sum(axis=1).tolist() == pytest.approx(
        found["error_count"].tolist()
    )
