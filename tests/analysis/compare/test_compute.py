"""What changed between two sides: known worlds, an oracle in plain pandas, and bad input."""

import numpy as np
import pandas as pd
import pytest
from analysis.compare.worlds import shop
from checks.first_screen import changes_of

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit import TraceSet
from tracekit.loading.store.read_write import writing


@pytest.fixture(scope="module")
def healthy():
    return shop(np.random.default_rng(1), 300)


def other(**change):
    return shop(np.random.default_rng(2), 300, prefix=2, start_s=1000, **change)


def row(table, operation, service=None):
    found = table[table["operation"] == operation]
    found = found if service is None else found[found["service_name"] == service]
    assert len(found) == 1
    return found.iloc[0]


def edge(changes, caller, callee):
    found = changes.edges
    callers = found["caller_service"].isna() if caller is None else found["caller_service"] == caller
    found = found[callers & (found["callee_service"] == callee)]
    assert len(found) == 1
    return found.iloc[0]


def test_two_samples_of_the_same_traffic_have_no_significant_change(healthy):
    changes = tk.compare(healthy, other())
    assert not changes.effects["is_significant"].any()
    assert set(changes.table["verdict"]) == {"no significant change"}


def test_a_slow_database_is_the_first_row_and_its_callers_contribute_nothing(healthy):
    changes = tk.compare(healthy, other(slow_ms=5))
    assert changes.table["operation"].iloc[0] == "INSERT"
    slow = changes.table.iloc[0]
    assert slow["verdict"] == "slower"
    assert slow["contribution_ns"] == pytest.approx(5e6, rel=0.2)
    caller = row(changes.table, "POST /book")
    assert (caller["verdict"], abs(caller["contribution_ns"]) < 0.5e6) == ("slower", True)
    assert edge(changes, "ledger", "postgresql")["verdict"] == "slower"
    assert changes.edges["callee_service"].iloc[0] == "postgresql"
    assert changes.endpoints["verdict"].tolist() == ["slower"]


def test_the_contributions_of_every_table_sum_to_the_change_of_the_mean_latency(healthy):
    for current in (other(slow_ms=5), other(extra=3), other(refunds=0.5)):
        changes = tk.compare(healthy, current)
        means = [side.summary["root_duration_ns"].mean() for side in (healthy, current)]
        assert changes.path.change.value == pytest.approx(means[1] - means[0], abs=1)
        for table in (changes.table, changes.edges, changes.endpoints, changes.requests):
            assert table["contribution_ns"].sum() == changes.path.change.value


def test_more_calls_per_request_are_more_and_not_slower(healthy):
    changes = tk.compare(healthy, other(extra=3))
    calls = edge(changes, "shop", "ledger")
    assert (calls["verdict"], calls["baseline_calls_per_request"], calls["current_calls_per_request"]) == ("more", 1, 4)
    assert row(changes.table, "INSERT")["verdict"] == "more"
    assert tk.compare(other(extra=3), healthy).edges["verdict"].value_counts()["fewer"] == 2


def test_calls_that_fail_more_often_have_more_errors(healthy):
    changes = tk.compare(healthy, other(failing=0.2))
    assert edge(changes, "shop", "ledger")["verdict"] == "more errors"
    assert edge(changes, "ledger", "postgresql")["verdict"] == "no significant change"
    assert edge(tk.compare(other(failing=0.2), healthy), "shop", "ledger")["verdict"] == "fewer errors"


def test_one_operation_of_two_thousand_that_always_fails_has_more_errors():
    rng, n, several = np.random.default_rng(8), 200, 2000
    names = np.array(["".join("abcdefghij"[int(digit)] for digit in f"{at:04d}") for at in range(several)], object)
    sides = []
    for prefix, failing in ((1, 0.0), (2, 1.0)):
        trace, operation = np.repeat(np.arange(n), several // 10), rng.permuted(np.tile(np.arange(several), n // 10))
        span = np.arange(len(trace)) + n
        calls = pd.DataFrame({"trace": trace, "span": span, "name": names[operation]})
        calls["status_code"] = np.where((operation == 7) & (rng.random(len(span)) < failing), "ERROR", "UNSET")
        roots = pd.DataFrame({"trace": range(n), "span": range(n), "name": "GET /", "status_code": "UNSET"})
        frame = pd.concat([roots, calls], ignore_index=True)
        frame["parent_span_id"] = np.where(frame.index < n, None, [f"{at + 1:x}" for at in frame["trace"]])
        frame["start_ns"], frame["end_ns"] = 0, rng.integers(1_000_000, 2_000_000, len(frame))
        frame["trace_id"] = [f"{prefix * 10**6 + at:032x}" for at in frame["trace"]]
        frame["span_id"] = [f"{at + 1:x}" for at in frame["span"]]
        sides.append(TraceSet.from_spans(frame.drop(columns=["trace", "span"]).assign(service_name="shop")))
    table = tk.compare(*sides, min_traces=10).table
    assert dict(zip(table["operation"], table["verdict"], strict=True))[names[7]] == "more errors"
    assert (table["verdict"] == "more errors").sum() == 1


def test_operations_of_one_side_are_new_and_gone_only_with_enough_traces(healthy):
    changes = tk.compare(healthy, other(refunds=0.2))
    assert row(changes.table, "refund")["verdict"] == "new"
    assert row(tk.compare(other(refunds=0.2), healthy).table, "refund")["verdict"] == "gone"
    rare = row(tk.compare(healthy, other(refunds=0.01)).table, "refund")
    assert rare["verdict"] == "too few"
    assert rare["reason"] == f"0 and {rare['current_trace_count']} traces, 20 needed"


def plain_figures(traces, operation):
    """Calls per request, error rate, mean and median of one operation of the ledger or shop, by pandas."""
    spans = traces.spans
    mine = spans[spans["operation"].astype(str) == operation]
    took = mine["duration_ns"].astype(float)
    return len(mine) / spans["trace_id"].nunique(), mine["is_error"].mean(), took.mean(), took.median()


def test_the_figures_are_those_of_plain_pandas(healthy):
    current = other(slow_ms=2, failing=0.1)
    changes = tk.compare(healthy, current)
    for operation in ("POST /book", "INSERT", "POST /checkout"):
        found = row(changes.table, operation)
        for name, side in (("baseline", healthy), ("current", current)):
            calls, errors, mean, median = plain_figures(side, operation)
            assert found[f"{name}_calls_per_request"] == pytest.approx(calls)
            assert found[f"{name}_error_ratio"] == pytest.approx(errors)
            assert found[f"{name}_mean_ns"] == pytest.approx(mean)
            assert found[f"{name}_p50_ns"] == pytest.approx(median, rel=0.03)


def test_the_percentiles_and_error_rates_are_those_of_latency_and_of_the_service_graph(healthy):
    current = other(slow_ms=2, failing=0.1)
    changes = tk.compare(healthy, current)
    alone = tk.latency(current).table.astype({"service_name": str, "operation": str})
    both = changes.table.merge(alone, on=["service_name", "operation"])
    assert len(both) == len(changes.table)
    for name in ("p50_ns", "p90_ns", "p95_ns", "p99_ns", "error_ratio", "mean_ns"):
        np.testing.assert_allclose(both[f"current_{name}"], both[name])
    calls = tk.service_graph(current).calls.astype({"caller_service": str, "callee_service": str})
    both = changes.edges.merge(calls, on=["caller_service", "callee_service", "call_type"])
    assert len(both) == len(calls)
    for name in ("p50_ns", "p95_ns", "p99_ns", "error_ratio"):
        np.testing.assert_allclose(both[f"current_{name}"], both[name])


def test_an_interval_of_a_change_contains_the_planted_change_and_excludes_zero(healthy):
    effects = tk.compare(healthy, other(slow_ms=5)).effects
    mean = effects[(effects["name"] == "ledger INSERT") & (effects["metric"] == "mean_ns")].iloc[0]
    assert 0 < mean["change_low"] < 5e6 < mean["change_high"]
    assert mean["is_significant"]
    assert ((effects["change_low"] > 0) | (effects["change_high"] < 0))[effects["is_significant"]].all()


def test_the_answer_does_not_depend_on_the_order_of_rows_and_the_input_is_unchanged(healthy):
    current = other(slow_ms=1, failing=0.05)
    shuffled = TraceSet.from_spans(current.spans.sample(frac=1, random_state=3))
    spans = current.spans.copy()
    first, second = tk.compare(healthy, current), tk.compare(healthy, shuffled)
    for name in ("table", "edges", "endpoints", "effects"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))
    pd.testing.assert_frame_equal(spans, current.spans)


def test_the_same_file_twice_has_no_change_and_says_that_traces_are_on_both_sides(healthy):
    changes = tk.compare(healthy, healthy)
    assert changes.shared_trace_count == 300
    assert "300 traces on both sides" in repr(changes)
    assert not changes.effects["is_significant"].any()
    assert (changes.table["contribution_ns"] == 0).all()


@pytest.mark.parametrize("analysis", [tk.compare, lambda before, now: tk.what_differs(now, before), tk.paths])
def test_windows_that_overlap_and_the_same_traces_twice_are_said(healthy, analysis):
    rank = healthy.summary["start_ns"].rank().to_numpy()[healthy.forest.trace]
    early, late = healthy.where(rank <= 200), healthy.where(rank > 100)
    assert ", 100 traces on both sides" in repr(analysis(early, late))
    assert ", the same 300 traces on both sides" in repr(analysis(healthy, healthy))
    assert "on both sides" not in repr(analysis(healthy, other()))


def test_sides_sampled_differently_are_not_compared_and_every_row_says_why(healthy):
    changes = tk.compare(healthy.with_weights(10), other(slow_ms=5))
    for table in (changes.table, changes.edges, changes.endpoints, changes.requests):
        assert set(table["verdict"]) == {"not comparable"}
        assert table["reason"].str.contains("weights are known for the baseline traces only").all()
    assert changes.effects[["change_low", "p_value", "q_value"]].isna().all(axis=None)
    assert not changes.effects["is_significant"].any()


def test_known_weights_on_both_sides_count_requests_and_change_no_verdict(healthy):
    current = other(slow_ms=5)
    plain, weighted = tk.compare(healthy, current), tk.compare(healthy.with_weights(4), current.with_weights(20))
    assert weighted.comparability.basis == "all traffic"
    pd.testing.assert_series_equal(plain.table["verdict"], weighted.table["verdict"])
    np.testing.assert_allclose(weighted.table["current_calls_per_s"], 20 * plain.table["current_calls_per_s"])
    np.testing.assert_allclose(weighted.table["current_mean_ns"], plain.table["current_mean_ns"])


def test_a_side_without_traces_is_not_comparable(healthy):
    nothing = healthy.where("service_name == 'nobody'")
    changes = tk.compare(healthy, nothing)
    assert set(changes.table["reason"]) == {"not comparable: no traces in current"}
    assert changes.path is None
    assert repr(changes).startswith("Comparison(baseline 300 traces, current 0 traces, 0") is False
    both = tk.compare(nothing, nothing)
    assert both.table.empty
    assert both.statement == "not comparable: no traces in baseline and current"


def test_one_trace_is_too_few(healthy):
    one = healthy.trace(healthy.trace_ids[0])
    changes = tk.compare(healthy, one)
    assert set(changes.table["verdict"]) == {"too few"}
    assert "300 and 1 traces, 20 needed" in set(changes.table["reason"])
    assert np.isnan(changes.table["current_calls_per_s"]).all()


def test_services_that_only_one_side_has_are_gone_and_new(healthy):
    renamed = other()
    spans = renamed.spans.assign(service_name=renamed.spans["service_name"].astype(str) + "-v2")
    changes = tk.compare(healthy, TraceSet.from_spans(spans))
    assert set(changes.table["verdict"]) == {"new", "gone"}
    assert changes.table["contribution_ns"].sum() == changes.path.change.value


def test_groups_by_an_attribute_and_the_names_of_the_sides(healthy):
    changes = tk.compare(healthy, other(slow_ms=5), by="service_name", names=("1.4.0", "1.5.0"))
    assert changes.table["service_name"].tolist()[0] == "ledger"
    assert repr(changes).startswith("Comparison(1.4.0 300 traces, 1.5.0 300 traces, mean latency ")
    assert "ledger" in changes._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": ()}, "at least one name to group by, found none"),
        ({"by": "service_nam"}, "found 'service_nam'; did you mean service_name"),
        ({"names": ("a", "a")}, "two different names of the sides"),
        ({"names": ("a", "")}, "two different names of the sides"),
        ({"fdr": 1.5}, "false discovery rate between 0 and 1"),
        ({"confidence": 2}, "between 0 and 1"),
    ],
)
def test_arguments_that_cannot_be_are_refused(healthy, arguments, message):
    with pytest.raises(ValueError, match=message):
        tk.compare(healthy, healthy, **arguments)


def test_a_frame_in_place_of_traces_is_refused_with_the_line_that_works(healthy):
    with pytest.raises(TypeError, match="from_spans"):
        tk.compare(healthy, healthy.spans)


def test_an_operation_of_rarely_sampled_requests_is_not_gone_by_chance():
    """The other side may have kept one in a hundred refunds, as it did of some endpoint."""
    every = other(refunds=0.2)
    refunded = every.spans.groupby("trace_id")["operation"].agg(lambda names: (names == "refund").any())
    others = every.where(~refunded.reindex(every.trace_ids).to_numpy()[every.forest.trace])
    weight = np.ones(len(others))
    for lowest_rate, verdict in ((1.0, "gone"), (0.01, "too few")):
        weight[0] = 1 / lowest_rate
        sides = every.with_weights(np.ones(len(every))), others.with_weights(weight)
        found = row(tk.compare(*sides).table, "refund")
        findings = {finding.check for finding in changes_of(*sides)}
        assert (found["verdict"], "operations" in findings) == (verdict, verdict == "gone")


TABLES = ("table", "edges", "endpoints", "requests", "effects")


def same_changes(found, expected):
    """Two comparisons: whole numbers, verdicts and reasons equal, floats to 1e-9."""
    for name in TABLES:
        same(getattr(found, name), getattr(expected, name))
    same(found.path.table, expected.path.table)
    for name in ("trace_counts", "comparability", "shared_trace_count", "names"):
        assert getattr(found, name) == getattr(expected, name)
    assert repr(found) == repr(expected)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("weights", [None, "mixed"])
def test_stores_are_compared_as_the_whole(tmp_path, count, weights):
    before, during = tk.load_sample("checkout-regression")
    if weights:
        rng = np.random.default_rng(1)
        before, during = (side.with_weights(rng.choice([1.0, 10.0, 100.0], len(side))) for side in (before, during))
    store, baseline = split(during, tmp_path / "a.parquet", count), split(before, tmp_path / "b.parquet", 3)
    for by in (("service_name", "operation"), "request.operation"):
        expected = tk.compare(before, during, by=by)
        same_changes(tk.compare(baseline, store, by=by), expected)
    same_changes(tk.compare(before, store, by=by), expected)
    same_changes(tk.compare(baseline, during, by=by), expected)


def test_weights_of_any_value_and_an_empty_part(tmp_path):
    before, during = (side.head(200) for side in tk.load_sample("checkout-regression"))
    rng = np.random.default_rng(3)
    before, during = (side.with_weights(rng.uniform(1, 50, len(side))) for side in (before, during))
    is_first = rng.random(len(during)) < 0.1
    with writing(tmp_path / "a.parquet") as new:
        new.part(during.where("service_name == 'nobody'"))
        for chosen in (is_first, ~is_first):
            new.part(during.where(chosen[during.forest.trace]))
        new.finish(during.columns.sources, during.columns.issues)
    same_changes(tk.compare(before, tk.open(tmp_path / "a.parquet")), tk.compare(before, during))


def test_a_store_and_traces_that_it_has(tmp_path):
    _, during = tk.load_sample("checkout-regression")
    found = tk.compare(split(during, tmp_path / "a.parquet", 4), during)
    assert found.shared_trace_count == len(during)
    assert not found.effects["is_significant"].any()
    assert (found.effects["change"].abs() < 1e-6 * found.effects["current_value"].abs().clip(lower=1)).all()


def test_stores_without_traces_are_not_comparable(tmp_path):
    before, during = tk.load_sample("checkout-regression")
    store = split(during, tmp_path / "a.parquet", 3)
    nobody = store.where("service_name == 'nobody'")
    found, expected = tk.compare(before, nobody), tk.compare(before, during.where("service_name == 'nobody'"))
    for name in TABLES:
        same(getattr(found, name), getattr(expected, name))
    assert found.statement == "not comparable: no traces in current"
    with pytest.raises(ValueError, match="expected names to group a store by, found a Series"):
        tk.compare(before, store, by=pd.Series([1]))
    with pytest.raises(ValueError, match=r"expected a column of spans, .* found 'nothing'"):
        tk.compare(store, store, by="nothing")
