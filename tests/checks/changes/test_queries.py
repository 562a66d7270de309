"""New statements: found where they are planted, and nowhere else."""

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from investigation.worlds import quiet

import tracekit as tk
from tests.checks.findings_alike import close
from tests.loading.store.split_stores import COUNTS, split
from tracekit.analysis.query_texts import query_texts
from tracekit.checks.case import Case
from tracekit.checks.changes.queries import per_request, queries
from tracekit.checks.changes.statements import STATEMENTS, calls_by_trace
from tracekit.name_templates import statement_template

MS = 1_000_000
OLD = "SELECT centre, SUM(cents) FROM entries WHERE customer = '{n}' GROUP BY centre"
NEW = "SELECT SUM(cents) FROM entries WHERE centre = '{n}'"


def shop(rng, n, statements, *, begin=0, recorded=1.0):
    """Requests to one service, each with the statements that ``statements(rng)`` returns; values differ."""
    rows = []
    for k in range(n):
        trace_id, at = rng.bytes(16).hex(), begin + k * 1000 * MS
        common = {"trace_id": trace_id, "service_name": "ledger", "status_code": "UNSET"}
        texts = statements(rng)
        root = rng.bytes(8).hex()
        rows.append({**common, "span_id": root, "parent_span_id": None, "name": "POST /pay", "kind": "SERVER",
                     "start_ns": at, "end_ns": at + (len(texts) + 1) * 2 * MS})  # fmt: skip
        for place, text in enumerate(texts):
            start = at + place * 2 * MS
            said = text.format(n=rng.integers(10**9)) if rng.random() < recorded else None
            rows.append({**common, "span_id": rng.bytes(8).hex(), "parent_span_id": root, "name": "SELECT entries",
                         "kind": "CLIENT", "start_ns": start, "end_ns": start + MS,
                         "attributes.db.system.name": "postgresql", "attributes.db.query.text": said})  # fmt: skip
    return tk.TraceSet.from_spans(pd.DataFrame(rows))


def found(before, now):
    return queries(Case(now, baseline=Case(before)))


def plain(_):
    return [OLD]


def planted(rng):
    return [NEW] * 20 if rng.random() < 0.3 else [OLD]


def test_a_new_statement_is_found_with_its_calls_per_request():
    rng = np.random.default_rng(1)
    before, now = shop(rng, 100, plain), shop(rng, 100, planted, begin=10**15)
    (one,) = found(before, now)
    with_it = int((query_texts(now).calls["call_count"] == 20).sum())
    assert one.headline.startswith(
        "New query of ledger: `SELECT SUM(cents) FROM entries WHERE centre = ?`, 20.0 per request in "
        f"{with_it} of 100 recorded requests; not in the baseline (n = 100; p "
    )
    said = dict(one.values)
    assert (said["trace_count"], said["call_count"], said["is_new"]) == (with_it, 20 * with_it, True)
    n = np.arange(with_it)
    exact = np.prod((100 - n) / (200 - n))  # all of them among the 100 of 200 that are current
    assert said["p_value"] == pytest.approx(2 * exact)  # Holm: two statements


def test_a_statement_that_runs_more_often_is_found():
    rng = np.random.default_rng(2)
    before = shop(rng, 100, lambda rng: [OLD] * int(rng.integers(1, 4)))
    now = shop(rng, 100, lambda rng: [OLD] * (12 if rng.random() < 0.4 else 1), begin=10**15)
    (one,) = found(before, now)
    assert one.headline.startswith("More of a query of ledger: `SELECT centre, SUM(cents) FROM entries WHERE")
    assert "12.0 per request" in one.headline
    assert "at most 3 in a request of the baseline (n = 100; p < 1e-" in one.headline
    said = dict(one.values)
    assert (said["baseline_most"], said["is_new"]) == (3, False)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (plain, lambda rng: [NEW] if rng.random() < 0.02 else [OLD]),  # too few requests
        (lambda _: [OLD, "GET user:{n}"], lambda _: [OLD, "SET user:{n} x"]),  # no SQL
        (lambda _: [NEW], lambda _: [NEW.replace("'{n}'", "$1")]),  # a placeholder instead of a value
        (lambda _: [NEW], lambda _: [f"/* trace {{n}} */ {NEW}"]),  # comments
        (lambda _: [f"{NEW} AND note = 'a long one' ORDER BY centre"], lambda _: [f"{NEW} AND note = 'a long one' OR"]),
        (lambda _: ["SELECT a FROM t WHERE id IN ({n}, {n})"], lambda _: ["SELECT a FROM t WHERE id IN ({n})"]),
        (lambda _: ["SELECT a FROM t_{n}9999"], lambda _: ["SELECT a FROM t_{n}8888"]),  # a table for each day
    ],
)
def test_what_is_no_new_statement(before, now):
    rng = np.random.default_rng(3)
    assert found(shop(rng, 60, before), shop(rng, 60, now, begin=10**15)) == []


def test_a_statement_that_is_cut_off_is_not_new():
    rng = np.random.default_rng(4)
    assert found(shop(rng, 60, lambda _: [OLD]), shop(rng, 60, lambda _: [OLD[:48]], begin=10**15)) == []


def test_texts_that_the_baseline_does_not_record_are_not_new():
    rng = np.random.default_rng(5)
    for recorded in (0.0, 0.5):
        assert found(shop(rng, 60, plain, recorded=recorded), shop(rng, 60, planted, begin=10**15)) == []


def test_one_trace_and_none():
    rng = np.random.default_rng(6)
    one, many = shop(rng, 1, lambda _: [NEW] * 20, begin=10**15), shop(rng, 60, plain)
    assert found(many, one) == []
    assert found(shop(rng, 1, plain), one) == []
    assert found(many, many.head(0)) == []


def test_a_sample_that_favours_slow_requests_is_no_evidence_by_its_number_alone():
    """All current requests with the statement were kept, and a twentieth of the baseline."""
    rng = np.random.default_rng(7)
    before = shop(rng, 12, plain).with_weights(20)
    texts = [NEW, *[OLD] * 19]
    now = shop(rng, 20, lambda _: [texts.pop()], begin=10**15).with_weights(1)
    assert found(before, now) == []


def test_equal_pairs_have_no_new_statement():
    """Each pair has thirty statements, each in a share of the requests and as often as chance says."""
    hits = []
    for seed in range(40):
        rng = np.random.default_rng(100 + seed)
        share = rng.uniform(0, 0.3, 30)

        def some(rng, share=share):
            often = rng.geometric(0.5, 30) * (rng.random(30) < share)
            return [f"SELECT a{at} FROM t WHERE b = {{n}}" for at in np.repeat(np.arange(30), often)]

        hits.append(bool(found(shop(rng, 60, some), shop(rng, 60, some, begin=10**15))))
    assert sum(hits) <= 2  # at a level of 1%


def test_quiet_worlds_have_no_new_statement():
    rng = np.random.default_rng(8)
    for options in ({}, {"bursts": 0.3}, {"release": True}):
        assert found(*quiet(rng, n=100, **options)) == []


@pytest.mark.parametrize("name", ["checkout-regression", "retry-storm", "cold-start", "cascading-failure"])
def test_halves_of_healthy_recordings_have_no_new_statement(name):
    before = tk.load_sample(name)[0]
    half = np.arange(len(before)) < len(before) // 2
    sides = [before.where(chosen[before.forest.trace]) for chosen in (half, ~half)]
    assert found(*sides) == []


def test_what_leaves_has_the_same_statements():
    rng = np.random.default_rng(9)
    before, now = shop(rng, 60, plain), shop(rng, 60, planted, begin=10**15)
    plain_text = found(before, now)[0].headline
    for policy in ("default", {"default": "mask", "kinds": {"SQL literal": "mask"}}):
        assert found(before.redact(policy), now.redact(policy))[0].headline == plain_text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("select a from t where b = \"x y\" and c = 'it''s' -- now", "select a from t where b = ? and c = ?"),
        ("INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y')", "INSERT INTO t (a, b) VALUES (?)"),
        ("DELETE FROM t WHERE b = $x$ it's $x$ AND c = :c OR d = %s", "DELETE FROM t WHERE b = ? AND c = ? OR d = ?"),
        ('SELECT "a" FROM "t" WHERE "t"."b" = 5::int', 'SELECT "a" FROM "t" WHERE "t"."b" = ?::int'),
        ("SELECT a1 FROM t2 WHERE b = -1.5e3", "SELECT a1 FROM t2 WHERE b = ?"),
        ("SELECT a FROM t WHERE b = 'cut off", "SELECT a FROM t WHERE b = ?"),
        ("GET user:17", ""),
        ("", ""),
        ('{"find": "users", "filter": {"name": "Jo"}}', ""),
    ],
)  # fmt: skip
def test_templates_of_statements(text, said):
    assert statement_template(text) == said


@pytest.mark.parametrize("count", COUNTS)
def test_statements_of_parts_are_compared_as_in_memory(count, tmp_path):
    """Half of each side has ten times the weight; a second service has no new statement."""
    rng = np.random.default_rng(9)
    sides = [
        shop(rng, 120, lambda rng: [OLD] * int(rng.integers(1, 4))),
        shop(rng, 120, lambda rng: [NEW] * 20 if rng.random() < 0.5 else [OLD] * 5, begin=10**15),
    ]
    before, now = (side.with_weights(np.where(np.arange(120) % 2, 1.0, 10.0)) for side in sides)
    expected = found(before, now)
    assert [one.headline[:4] for one in expected] == ["New ", "More"]
    parts = [split(side, tmp_path / f"{at}.parquet", count, seed=at) for at, side in enumerate((before, now))]
    close(found(*parts), expected)
    cases = [Case(each) for each in (now, parts[1])]
    row = dict(expected[0].values)
    assert calls_by_trace(cases[1], row) == calls_by_trace(cases[0], row)
    ids = set(now.trace_ids[:30])
    often = query_texts(now).calls.query("call_count == 20 and trace < 30")["call_count"].sum() / 30
    assert [per_request(case, row, ids) for case in cases] == [often] * 2
    assert np.isnan(per_request(cases[0], row, set()))


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(6)))
def test_statements_add_up_in_any_order(order):
    rng = np.random.default_rng(10)
    traces = shop(rng, 30, planted, recorded=0.7).with_weights(np.arange(30) % 3 + 1.0)
    states = [STATEMENTS.state(Case(traces.where(traces.forest.trace % 6 == at))) for at in range(6)]
    merged = functools.reduce(STATEMENTS.merge, [states[at] for at in order])
    for one, other in zip(pickle.loads(pickle.dumps(merged)), STATEMENTS.state(Case(traces)), strict=True):
        if isinstance(other, float):
            assert one == other
        else:
            pd.testing.assert_frame_equal(one, other)
