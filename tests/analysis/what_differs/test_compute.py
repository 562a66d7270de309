"""Which values set traces apart: planted causes, an oracle by hand, and nothing where nothing differs."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import tracekit as tk
from tracekit import TraceSet
from tracekit.analysis.what_differs.membership import Owned, distinct_pairs


def recording(rng, n=400, *, slow=None, version="1.4.0", prefix=1, **columns):
    """Requests with a root and a child that has the attributes; ``slow`` says which are slow, given the columns."""
    values = {
        "tier": rng.choice(["free", "pro", "enterprise"], n, p=[0.5, 0.3, 0.2]),
        "region": rng.choice(["eu", "us", "asia"], n),
        "rows": rng.integers(0, 1000, n),
        **columns,
    }
    frame = pd.DataFrame(values)
    is_slow = np.zeros(n, bool) if slow is None else slow(frame)
    took = (rng.lognormal(2, 0.3, n) * 1e6 + is_slow * 200e6).astype(np.int64)
    start = np.sort(rng.integers(0, 600, n)) * 10**9
    ids = [f"{prefix * 10**9 + at + 1:032x}" for at in range(n)]
    root = pd.DataFrame(
        {"trace_id": ids, "span_id": [f"{2 * at + 1:016x}" for at in range(n)], "parent_span_id": None,
         "service_name": "shop", "name": "POST /checkout", "kind": "SERVER", "start_ns": start, "end_ns": start + took}
    )  # fmt: skip
    child = root.assign(
        span_id=[f"{2 * at + 2:016x}" for at in range(n)], parent_span_id=root["span_id"], service_name="ledger",
        name="book", kind="INTERNAL",
    )  # fmt: skip
    for name in frame:
        child[f"attributes.{name}"] = frame[name].to_numpy()
    child["attributes.tier_name"] = ["tier " + tier for tier in frame["tier"]]
    child["attributes.request_id"] = [f"r{at:05d}" for at in range(n)]
    child["attributes.sequence"] = np.arange(n) * 7 + 3
    child["resource.service.version"] = version
    return TraceSet.from_spans(pd.concat([root, child], ignore_index=True))


def enterprise(frame):
    return frame["tier"] == "enterprise"


def both(frame):
    return (frame["tier"] == "enterprise") & (frame["region"] == "eu")


def fact(table, key, value):
    found = table[(table["key"] == key) & (table["value"] == value)]
    assert len(found) == 1
    return found.iloc[0]


@pytest.fixture(scope="module")
def slow_tier():
    return recording(np.random.default_rng(1), slow=enterprise)


def test_the_planted_tier_is_the_first_fact_and_its_other_name_is_the_same_fact(slow_tier):
    first = tk.what_differs(slow_tier, "slowest 20% of POST /checkout").table.iloc[0]
    names = {f"{first['key']}={first['value']}", *first["also"].split("; ")}
    assert names == {"tier=enterprise", "tier_name=tier enterprise"}
    assert first["is_significant"]
    assert first["difference_low_ratio"] > 0.7


def test_counts_shares_and_limits_are_those_of_a_count_by_hand(slow_tier):
    found = tk.what_differs(slow_tier, "duration_ns > 1e8")
    tier = slow_tier.attribute("request.tier").groupby(slow_tier.spans["trace_id"], observed=True).first().astype(str)
    is_slow = (slow_tier.summary["root_duration_ns"] > 1e8).reindex(tier.index)
    row = fact(found.table, "tier", "free")
    inside = int((tier[is_slow] == "free").sum()), int((tier[~is_slow] == "free").sum())
    assert (row["selection_count"], row["baseline_count"]) == inside
    assert row["selection_ratio"] == pytest.approx(inside[0] / is_slow.sum())
    assert row["baseline_ratio"] == pytest.approx(inside[1] / (~is_slow).sum())
    assert row["difference_ratio"] == pytest.approx(row["selection_ratio"] - row["baseline_ratio"])
    assert row["selected_ratio"] == pytest.approx(inside[0] / sum(inside))
    exact = [
        stats.binomtest(k, int(n)).proportion_ci(0.95, "exact")
        for k, n in zip(inside, (is_slow.sum(), (~is_slow).sum()), strict=True)
    ]
    low = row["difference_ratio"] - np.hypot(
        row["selection_ratio"] - exact[0].low, exact[1].high - row["baseline_ratio"]
    )
    assert row["difference_low_ratio"] == pytest.approx(low, abs=1e-3)


def test_a_pair_is_listed_only_where_both_values_matter():
    rng = np.random.default_rng(2)
    found = tk.what_differs(recording(rng, 1500, slow=both), "duration_ns > 1e8").pairs
    first = found.iloc[0]
    assert {(first["key"], first["value"]), (first["other_key"], first["other_value"])} == {
        ("tier", "enterprise"), ("region", "eu"),
    }  # fmt: skip
    assert (first["selection_ratio"], first["baseline_ratio"]) == (1, 0)
    alone = tk.what_differs(recording(rng, 1500, slow=enterprise), "duration_ns > 1e8").pairs
    assert alone.empty


def test_a_threshold_of_a_number_is_found_and_its_values_are_not_facts():
    traces = recording(np.random.default_rng(3), 1000, slow=lambda frame: frame["rows"] > 800)
    found = tk.what_differs(traces, "slowest 15%")
    row = found.thresholds.iloc[0]
    assert (row["key"], row["operator"]) == ("rows", ">")
    assert 780 <= row["threshold"] <= 850
    assert row["is_significant"]
    assert "rows" not in set(found.table["key"])


def test_identifiers_and_numbers_in_the_order_of_time_are_skipped_and_listed(slow_tier):
    found = tk.what_differs(slow_tier, "slowest 20%")
    assert found.skipped.set_index("key")["reason"].to_dict() == {
        "request_id": "identifier", "sequence": "in the order of time",
    }  # fmt: skip
    assert not {"request_id", "sequence"} & {*found.table["key"], *found.thresholds["key"]}


def test_two_sets_of_traces_differ_in_the_version_that_only_one_has():
    rng = np.random.default_rng(4)
    before, after = recording(rng), recording(rng, version="1.5.0", prefix=2)
    found = tk.what_differs(after, before)
    new = fact(found.table, "service.version", "1.5.0")
    assert (new["selection_ratio"], new["baseline_ratio"], new["lift"]) == (1, 0, np.inf)
    assert (new["also"], new["also_count"]) == ("not service.version=1.4.0", 1)
    assert (new["selection_count"], new["baseline_count"]) == (400, 0)
    assert set(found.table.loc[found.table["is_significant"], "key"]) == {"service.version"}
    assert found.table["selected_ratio"].isna().all()
    with pytest.raises(ValueError, match="a selection within one set of traces, found two sets"):
        found.values("tier")


def test_nothing_differs_between_random_halves():
    """The share of recordings with any significant row, over facts, thresholds and pairs."""
    rng, any_found = np.random.default_rng(5), 0
    for _ in range(40):
        traces = recording(rng, 200)
        half = pd.Series(rng.random(200) < 0.5, index=pd.Index(traces.trace_ids, name="trace_id"))
        found = tk.what_differs(traces, half)
        any_found += any(table["is_significant"].any() for table in (found.table, found.thresholds, found.pairs))
    assert any_found <= 4  # 5% of 40 are 2; 4 or fewer with a probability of 95%


def test_who_is_affected_has_a_bound_for_those_without_a_selected_trace(slow_tier):
    values = tk.what_differs(slow_tier, "duration_ns > 1e8").values("tier").set_index("value")
    assert values.loc["enterprise", "selected_ratio"] == 1
    unaffected = values.loc["free"]
    assert unaffected["selection_count"] == 0
    assert unaffected["selected_high_ratio"] == pytest.approx(1 - 0.025 ** (1 / unaffected["trace_count"]))
    with pytest.raises(ValueError, match="an attribute key, found 'nothing'"):
        tk.what_differs(slow_tier, "slowest 20%").values("nothing")


def test_weights_change_the_shares_and_leave_the_counts(slow_tier):
    weights = dict(zip(slow_tier.trace_ids, np.where(np.arange(400) % 2, 1.0, 10.0), strict=True))
    plain, weighted = (tk.what_differs(each, "slowest 20%") for each in (slow_tier, slow_tier.with_weights(weights)))
    row, other = (fact(found.table, "region", "eu") for found in (plain, weighted))
    assert row["selection_ratio"] != other["selection_ratio"]
    alike = tk.what_differs(slow_tier.with_weights(10), "slowest 20%")
    pd.testing.assert_frame_equal(plain.table, alike.table)
    assert "weights from given" in alike.statement


def test_sets_sampled_differently_are_shown_without_q_values(slow_tier):
    found = tk.what_differs(recording(np.random.default_rng(6), version="2", prefix=2), slow_tier.with_weights(10))
    assert found.statement.startswith("not comparable")
    assert found.table["q_value"].isna().all()
    assert not found.table["is_significant"].any()


def test_the_answer_does_not_depend_on_the_order_of_rows(slow_tier):
    shuffled = slow_tier.spans.sample(frac=1, random_state=1)
    names = ("tier", "region", "rows", "tier_name", "request_id", "sequence")
    attributes = {
        f"attributes.{name}": slow_tier.attribute(name).reindex(shuffled.index).to_numpy(object) for name in names
    }
    again = TraceSet.from_spans(shuffled.assign(**attributes))
    first, second = (tk.what_differs(each, "slowest 20%").table for each in (slow_tier, again))
    columns = ["key", "value", "selection_count", "baseline_count", "q_value"]
    kept = ~first["key"].isin(["service.version", "otel.scope.name"])
    pd.testing.assert_frame_equal(
        first.loc[kept, columns].reset_index(drop=True), second[columns].iloc[: kept.sum()], check_dtype=False
    )


def test_masks_callables_and_conditions_select_the_same_traces(slow_tier):
    mask = slow_tier.spans["duration_ns"] > 1e8
    tables = [
        tk.what_differs(slow_tier, selection).table
        for selection in ("duration_ns > 1e8", mask, lambda spans: spans["duration_ns"] > 1e8)
    ]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], table)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("failed", "traces on both sides, found none for 'failed' and .*; select a larger part, or read more traces"),
        ("slowest 0%", "a share between 0 and 100%"),
        ("slowest 5% of GET /nothing", "an endpoint, found 'GET /nothing'; 1 endpoint: shop POST /checkout"),
        ("duration_ns > 0", "traces on both sides, found none for 'the rest' and .*; select a smaller part, or"),
    ],
)
def test_selections_that_cannot_be_are_refused(slow_tier, selection, message):
    with pytest.raises(ValueError, match=message):
        tk.what_differs(slow_tier, selection)


def test_hostile_values_are_escaped_in_the_notebook():
    tier = np.array(["<img src=x onerror=alert(1)>", "b"])[np.arange(400) % 2]
    traces = recording(np.random.default_rng(7), tier=tier, slow=lambda frame: frame["tier"] != "b")
    assert "<img" not in tk.what_differs(traces, "duration_ns > 1e8")._repr_html_()


def test_one_trace_is_too_few_for_anything():
    traces = recording(np.random.default_rng(8), 2, slow=lambda frame: frame.index == 0)
    found = tk.what_differs(traces, "slowest 50%")
    assert not found.table["is_significant"].any()
    assert repr(found).startswith("Differences(1 trace 'slowest 50%' and 1 trace 'the rest', no significant difference")


@pytest.mark.parametrize(
    ("older", "current", "value"),
    [("http.method", "http.request.method", "GET"), ("db.system", "db.system.name", "mysql")],
)
def test_names_of_older_conventions_are_the_same_key(older, current, value):
    old = recording(np.random.default_rng(1), prefix=1, **{older: value})
    new = recording(np.random.default_rng(2), prefix=2, **{current: value})
    assert not tk.what_differs(new, old).table["key"].isin([older, current]).any()
    together = tk.what_differs(new + old, "slowest 5%")
    for name in (older, current):
        assert together.values(name)[["value", "trace_count"]].to_numpy().tolist() == [[value, 800]]


def test_values_of_a_column_are_those_of_its_attribute():
    differs = tk.what_differs(tk.load_sample("small-shop")[1], "failed")
    for column, key in (("service_name", "service.name"), ("http_route", "http.route")):
        pd.testing.assert_frame_equal(differs.values(column), differs.values(key))


@pytest.mark.parametrize("pairs", [1, 300])
def test_shares_of_values_are_the_same_in_blocks(slow_tier, monkeypatch, pairs):
    differs = tk.what_differs(slow_tier, "slowest 20%")
    whole = {key: differs.values(key) for key in ("tier", "operation")}
    assert len(whole["tier"]) > 1
    monkeypatch.setattr("tracekit.analysis.what_differs.values._PAIRS", pairs)
    for key, table in whole.items():
        pd.testing.assert_frame_equal(differs.values(key), table)


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_pairs_of_value_and_trace_are_found_in_steps(block, monkeypatch):
    monkeypatch.setattr("tracekit.analysis.what_differs.membership._BLOCK", block)
    monkeypatch.setattr("tracekit.analysis.what_differs.membership._STEP", 3)
    rng = np.random.default_rng(block)
    parts = [
        (rng.integers(-1, 6, 20), Owned(rng.integers(0, 20, size), rng.integers(0, 9, size))) for size in (31, 0, 8)
    ]
    codes = [(place[each.code], each.trace) for place, each in parts]
    pairs = {(int(v), int(t)) for value, trace in codes for v, t in zip(value, trace, strict=True) if v >= 0}
    value, trace = distinct_pairs(parts, 6, 9)
    assert list(zip(value.tolist(), trace.tolist(), strict=True)) == sorted(pairs)
