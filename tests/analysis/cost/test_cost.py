"""Costs by hand, conservation of the total, the memory of functions, coverage of the limits, refusals."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit import TraceSet

START, HOUR = 1_764_000_000_000_000_000, 3_600_000_000_000
BANK = tk.Price("bank", "name == 'charge'", usd_per_million=1_000_000)


def requests(calls, took_ns=HOUR // 3600, **more):
    """One request per number of calls to the bank, one after the other; requests start a day apart."""
    rows = []
    for k, several in enumerate(calls):
        begin = START + k * 24 * HOUR
        rows.append((k, "01", None, "shop", "POST /pay" if k % 2 else "GET /", begin, begin + 10 * took_ns))
        for j in range(several):
            at = begin + j * took_ns // 100
            rows.append((k, f"{j + 2:02x}", "01", "shop", "charge", at, at + took_ns // 100))
    names = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "start_ns", "end_ns"]
    frame = pd.DataFrame(rows, columns=names).assign(kind="CLIENT", **more)
    frame["span_id"] = [f"{k:08x}{span:0>8}" for k, span in zip(frame["trace_id"], frame["span_id"], strict=True)]
    parents = [p and f"{k:08x}{p:0>8}" for k, p in zip(frame["trace_id"], frame["parent_span_id"], strict=True)]
    return TraceSet.from_spans(frame.assign(parent_span_id=parents, trace_id=[f"{k + 1:032x}" for k in frame.trace_id]))


def test_calls_times_their_price():
    found = tk.cost(requests([1, 2, 3, 0]), [BANK])
    assert found.per_request.value == pytest.approx(6 / 4)
    by_name = found.table.set_index("operation")
    assert by_name["usd"].to_dict() == pytest.approx({"GET /": 4, "POST /pay": 2})
    assert by_name["usd_per_request"].to_dict() == pytest.approx({"GET /": 2, "POST /pay": 1})
    assert found.usd_per_month == pytest.approx(6 * 30 / 3)
    assert found.tracing_usd_per_month == pytest.approx(4 * 5e-6 * 30 / 3)


def test_time_times_its_price():
    hourly = tk.Price("bank", "name == 'charge'", usd_per_hour=360_000)
    assert tk.cost(requests([2]), [hourly]).items["usd"].tolist() == pytest.approx([2 * 0.01 / 3600 * 360_000])


def test_functions_are_billed_by_memory_and_unknown_memory_is_counted():
    known = requests([1], **{"resource.faas.max_memory": 2 * 2**30, "attributes.faas.name": "pay"})
    hourly = tk.Price("function", "name == 'charge'", usd_per_gb_hour=360_000)
    found = tk.cost(known, [hourly]).items.iloc[0]
    assert (found["usd"], found["unpriced_count"]) == (pytest.approx(2.0), 0)
    unknown = tk.cost(requests([3]), [hourly]).items.iloc[0]
    assert (unknown["usd"], unknown["unpriced_count"]) == (0, 3)


def test_weights_count():
    traces = requests([1, 3])
    assert tk.cost(traces.with_weights([3.0, 1.0]), [BANK]).per_request.value == pytest.approx(1.5)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=6), st.floats(1e-6, 100), st.floats(1e-6, 100))
def test_groups_and_items_have_the_same_total(calls, each, hourly):
    prices = [tk.Price("a", "name == 'charge'", each), tk.Price("b", "kind == 'CLIENT'", usd_per_hour=hourly)]
    found = tk.cost(requests(calls), prices)
    assert found.table["usd"].sum() == pytest.approx(found.items["usd"].sum())
    assert (found.repeated["saved_usd"] <= found.repeated["usd"]).all()


def test_calls_in_a_row_could_be_one():
    found = tk.cost(requests([6, 4]), [BANK]).repeated.iloc[0]
    assert (found["operation"], found["call_count"], found["saved_usd"]) == ("charge", 6, pytest.approx(5))


def test_limits_cover_the_mean():
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(40):
        each = tk.cost(requests(rng.geometric(0.4, 60)), [BANK]).per_request
        inside += each.low <= 1 / 0.4 <= each.high
    assert inside >= 34  # of 40: the binomial 1% quantile at 95% is 35


def test_no_traces_cost_nothing():
    none = requests([1]).where("service_name == 'nobody'")
    found = tk.cost(none, [BANK])
    assert not len(found.table)
    assert np.isnan(found.usd_per_month)


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ([], "expected a list of prices, such as"),
        (BANK, "expected a list of prices, such as"),
        (["gcp"], "expected a tk.Price, one of the lists aws-lambda, or a file NAME.toml, found 'gcp'"),
        ([BANK._replace(usd_per_hour=-1)], "expected prices of 0 or more, found"),
        ([BANK, BANK], "expected a name of its own for each price, found 'bank' several times"),
    ],
)
def test_unusable_prices_are_refused(prices, message):
    with pytest.raises(ValueError, match=message):
        tk.cost(requests([1]), prices)


def test_prices_of_a_file(tmp_path):
    file = tmp_path / "prices.toml"
    file.write_text("[[price]]\nname = 'bank'\nwhere = \"name == 'charge'\"\nusd_per_million = 1_000_000\n")
    assert tk.cost(requests([1, 2, 3, 0]), [str(file)]).per_request.value == pytest.approx(6 / 4)
    both = tk.cost(requests([1]), [str(file), BANK._replace(name="other")])
    assert both.items["item"].tolist() == ["bank", "other"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "expected a file of prices, found none at .*prices.toml"),
        ("price = ", r"prices.toml: not TOML: .*expected \[\[price\]\], then name = 'bank'"),
        ("", r"prices.toml: expected prices, found none; write \[\[price\]\]"),
        ("price = 3", "expected prices, found none"),
        ("price = [3]", "price 1: expected texts name and where and numbers usd_per_million.*found 3"),
        ("[[price]]\nname = 'a'", "price 1: expected texts name and where"),
        ("[[price]]\nname = 'a'\nwhere = 'b'\nusd = 1", "price 1: .*found {.*'usd': 1}"),
        ("[[price]]\nname = 'a'\nwhere = 'b'\nusd_per_hour = '1'", "price 1: .*numbers"),
        ("[[price]]\nname = 'a'\nwhere = 'b'\nusd_per_hour = true", "price 1: .*numbers"),
    ],
)
def test_unusable_files_of_prices_are_refused(tmp_path, text, message):
    file = tmp_path / "prices.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValueError, match=message):
        tk.cost(requests([1]), [str(file)])


def reads(*texts, key="db.query.text", step_ns=1_000_000_000, **more):
    """One request a second, each with one call of this text."""
    rows = []
    for k, text in enumerate(texts):
        begin = START + k * step_ns
        rows.append((k, f"{k:08x}00000001", None, "SERVER", "POST /pay", begin, begin + 100, None))
        rows.append((k, f"{k:08x}00000002", f"{k:08x}00000001", "CLIENT", "charge", begin + 10, begin + 60, text))
    names = ["trace_id", "span_id", "parent_span_id", "kind", "name", "start_ns", "end_ns", f"attributes.{key}"]
    frame = pd.DataFrame(rows, columns=names).assign(service_name="shop", **more)
    return TraceSet.from_spans(frame.assign(trace_id=[f"{k + 1:032x}" for k in frame["trace_id"]]))


def test_equal_reads_within_the_time_to_live_could_be_cached():
    one, other = "SELECT * FROM items WHERE id = 7", "SELECT * FROM items WHERE id = 8"
    minute = START // 60_000_000_000 * 60_000_000_000 + 60_000_000_000 - START
    texts = [one, one, other, one, *[one] * 60]
    found = tk.cost(reads(*texts), [BANK]).cacheable.iloc[0]
    later = -(-minute // 1_000_000_000) < len(texts)
    assert (found["operation"], found["call_count"], found["distinct_count"]) == ("charge", 64, 2)
    assert found["saved_usd"] == pytest.approx(64 - 2 - later)
    assert found["hit_ratio"] == pytest.approx((64 - 2 - later) / 64)


def test_nothing_is_saved_if_the_answers_expire():
    assert not len(tk.cost(reads("GET user:1", "GET user:1"), [BANK], cache_ttl_s=0.5).cacheable)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM items WHERE id = ?",
        "SELECT * FROM items WHERE id = $1",
        "SELECT * FROM items WHERE id = :id",
        "SELECT * FROM items WHERE id = %s",
        "UPDATE items SET stock = 1",
        "SELECT * FROM items WHERE id = 7 FOR UPDATE",
        None,
    ],
)
def test_writes_and_texts_without_their_values_are_no_equal_reads(text):
    assert not len(tk.cost(reads(*[text] * 5), [BANK]).cacheable)


@pytest.mark.parametrize(("method", "rows"), [("GET", 1), ("POST", 0)])
def test_equal_urls_could_be_cached(method, rows):
    traces = reads(*["http://bank/rates"] * 5, key="url.full", **{"attributes.http.request.method": method})
    assert len(tk.cost(traces, [BANK]).cacheable) == rows


def test_cached_reads_count_with_their_weight():
    traces = reads("GET user:1", "GET user:1").with_weights(10)
    assert tk.cost(traces, [BANK], cache_ttl_s=3600).cacheable["saved_usd"].tolist() == [pytest.approx(10)]


def test_plans_are_compared_with_what_was_recorded():
    traces = requests([1, 1, 1, 1])
    found = tk.cost(traces, [BANK], plans={"half": 0.5, "all": 1.0})
    plans = found.plans.set_index("plan")
    assert plans["kept_ratio"].to_dict() == {"half": 0.5, "all": 1.0}
    assert plans["saved_usd_per_month"].to_dict() == pytest.approx({"half": found.tracing_usd_per_month / 2, "all": 0})
    assert not len(tk.cost(traces, [BANK]).plans)


def test_a_time_to_live_of_nothing_is_refused():
    with pytest.raises(ValueError, match="expected cache_ttl_s above 0 seconds, found 0"):
        tk.cost(requests([1]), [BANK], cache_ttl_s=0)


def close(found, expected):
    """The same table, its rows in the same order apart from equal amounts."""
    keys = [name for name in expected if expected[name].dtype == object or expected[name].dtype.kind not in "iuf"]
    same(*(each.sort_values(keys, ignore_index=True) for each in (found, expected)))
    last = expected.columns[-1]
    assert found[last].to_numpy() == pytest.approx(expected[last].to_numpy(), rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("weights", [None, "mixed"])
def test_a_store_has_the_costs_of_the_whole(tmp_path, count, weights):
    _, during = tk.load_sample("checkout-regression")
    if weights:
        during = during.with_weights(np.random.default_rng(1).choice([1.0, 10.0, 100.0], len(during)))
    store = split(during, tmp_path / "a.parquet", count)
    prices = [
        tk.Price("ledger", "service_name == 'ledger'", usd_per_million=900),
        tk.Price("servers", "kind == 'SERVER'", usd_per_hour=3.5),
        "aws-lambda",
    ]
    for by in (("service_name", "operation"), "app.customer.tier", ()):
        found, expected = (tk.cost(each, prices, by=by, cache_ttl_s=20) for each in (store, during))
        for name in ("table", "items", "repeated", "cacheable"):
            close(getattr(found, name), getattr(expected, name))
        for name in ("usd_per_month", "tracing_usd_per_month"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9)
        for name in ("value", "low", "high", "n"):
            assert getattr(found.per_request, name) == pytest.approx(getattr(expected.per_request, name), rel=1e-9)
        assert (repr(found), found.statement) == (repr(expected), expected.statement)
    assert len(expected.repeated)
    assert len(expected.cacheable)


@pytest.mark.parametrize("seed", range(3))
def test_the_first_read_of_a_store_is_the_miss_also_with_equal_times(tmp_path, seed):
    texts = ["GET user:1", "GET user:2", "GET user:1", "GET user:1"] * 10
    traces = reads(*texts, step_ns=0).with_weights(np.arange(40.0) + 1)
    found, expected = (
        tk.cost(each, [BANK]).cacheable for each in (split(traces, tmp_path / "a.parquet", 9, seed), traces)
    )
    same(found, expected)
    assert expected["saved_usd"].item() == pytest.approx(820 - 1 - 2)


@pytest.mark.parametrize(("count", "weights"), [(1, None), (7, "mixed"), (64, "mixed")])
def test_a_store_has_the_plans_of_the_whole(tmp_path, count, weights):
    during = tk.load_sample("checkout-regression")[1].head(400)
    if weights:
        during = during.with_weights(np.random.default_rng(1).choice([1.0, 4.0, 20.0], len(during)))
    store = split(during, tmp_path / "a.parquet", count, seed=count)
    plans = {"half": 0.5, "all": 1.0}
    found, expected = (tk.cost(each, [BANK], plans=plans).plans for each in (store, during))
    same(found, expected)
    assert (found["kept_error_ratio"] > 0).all()


def test_a_series_is_refused_for_a_store(tmp_path):
    store = split(requests([1, 2]), tmp_path / "a.parquet", 2)
    with pytest.raises(ValueError, match="expected names to group a store by, found a Series"):
        tk.cost(store, [BANK], by=pd.Series([1]))
    nobody = tk.cost(store.where("service_name == 'nobody'"), [BANK])
    assert (len(nobody.table), nobody.per_request.n, nobody.usd_per_month != nobody.usd_per_month) == (0, 0, True)
