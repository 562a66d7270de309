"""The first sentences against a baseline, on shops where it is known what changed."""

import re
import shutil
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from checks.first_screen import changes_of
from shop_traces import MS, START, no_traces, shop_frame, shop_traces

import tracekit as tk
from tracekit import TraceSet, load_sample
from tracekit.checks.comparison import Changes
from tracekit.checks.names import name_of
from tracekit.checks.overview import Overview
from tracekit.report.contents import section_codes
from tracekit.report.critical_path import waits_table
from tracekit.report.latency_change import entries_table
from tracekit.report.page import render
from tracekit.report.printed_code import reading
from tracekit.report.standard import Standard
from tracekit.samples import sample_paths
from tracekit.views.colours import Colours


def shop(each, calls, *, trace_count=60, failed=0, extra=None, seed=1):
    """Requests of 20 ms of self time, and `calls` calls of `each` ms, one after another; times vary by 1%."""
    random = np.random.default_rng(seed)
    rows = []
    for k in range(trace_count):
        begin, at = START + k * 1000 * MS, 10 * MS
        spans = []
        for j in range(calls):
            took = int(each * MS * random.uniform(0.99, 1.01))
            spans.append((f"{k:x}{j + 2:03x}", f"{k:x}001", "ledger", "SELECT", begin + at, begin + at + took, "UNSET"))
            at += took
        if extra:
            spans.append((f"{k:x}ffe", f"{k:x}001", "audit", extra, begin + MS, begin + 2 * MS, "UNSET"))
        end = begin + at + 10 * MS
        rows.append((f"{k:x}001", None, "shop", "POST /pay", begin, end, "ERROR" if k < failed else "UNSET", k))
        rows += [(*span, k) for span in spans]
    names = ["span_id", "parent_span_id", "service_name", "name", "start_ns", "end_ns", "status_code", "trace_id"]
    frame = pd.DataFrame(rows, columns=names)
    return TraceSet.from_spans(frame.assign(trace_id=[f"{k + 1:032x}" for k in frame["trace_id"]]))


def changes(before, now):
    return Changes(Overview(before), Overview(now))


def said(before, now):
    return {finding.check: finding for finding in changes_of(before, now)}


def test_more_calls_and_longer_ones_are_distinguished():
    finding = said(shop(5, 1), shop(10, 6))["change"]
    assert finding.severity == "warning"
    assert finding.headline.startswith("Mean latency of recorded requests regressed 25.0 → 80.0 ms (+55.0 ms; 95% ")
    assert finding.headline.endswith(
        " (+55.0 ms) is in ledger SELECT: calls per request 1.0 → 6.0, time per call 5.00 → 10.0 ms."
    )
    assert finding.estimate.low < 55e6 < finding.estimate.high
    assert finding.estimate.value == pytest.approx(55e6, rel=0.01)


def test_the_trace_and_the_call_that_show_it_are_offered():
    now = shop(10, 6)
    trace_id, span_id = said(shop(5, 1), now)["change"].exemplars
    assert trace_id in now.trace_ids
    spans = now.spans[(now.spans["trace_id"] == trace_id) & (now.spans["name"] == "SELECT")]
    assert span_id == spans.loc[spans["duration_ns"].astype("int64").idxmax(), "span_id"]


def test_only_longer_calls_are_not_reported_as_more():
    headline = said(shop(5, 2), shop(8, 2))["change"].headline
    assert "calls per request" not in headline
    assert headline.endswith("time per call 5.00 → 8.00 ms.")


def test_shorter_is_no_warning():
    finding = said(shop(10, 6), shop(5, 1))["change"]
    assert finding.severity == "notice"
    assert finding.headline.startswith("Mean latency of recorded requests improved 80.0 → 25.0 ms (-55.0 ms; ")


def test_no_significant_change_is_reported():
    found = said(shop(5, 2, seed=1), shop(5, 2, seed=2))
    assert found["change"].severity == "info"
    assert re.fullmatch(
        r"Mean latency of recorded requests 30\.0 → 30\.0 ms: no significant change "
        r"\(95% CI -[\d.]+ to \+[\d.]+ µs\)\.",
        found["change"].headline,
    )
    assert "regressed" not in found
    assert "slower" not in found
    assert "operations" not in found
    assert found["failing"].headline == (
        "Error rate of recorded requests 0% → 0%: no significant change (n = 60 → 60 requests)."
    )


def test_the_kind_of_request_that_became_slower_is_named():
    finding = said(shop(5, 1, trace_count=200), shop(10, 6, trace_count=200))["slower"]
    assert finding.headline.startswith("shop POST /pay p95 regressed 25.")
    assert " (3.21\N{MULTIPLICATION SIGN}; 95% CI 25." in finding.headline
    assert finding.headline.endswith("). p50 25.0 → 80.0 ms (n = 200 → 200).")


def test_failures_are_compared_with_their_limits():
    worse = said(shop(5, 1), shop(5, 1, failed=20))["failing"]
    assert worse.severity == "warning"
    assert worse.headline.startswith("Error rate of recorded requests rose 0% → 33.3% (95% CI of the change +")
    better = said(shop(5, 1, failed=20), shop(5, 1))["failing"]
    assert better.headline.startswith("Error rate of recorded requests fell 33.3% → 0% (")
    assert said(shop(5, 1), shop(5, 1, failed=1))["failing"].severity == "info"


def test_error_rates_without_limits_are_not_compared():
    weights = np.ones(60)
    weights[0] = 1e6
    dominated = shop(5, 1, failed=20).with_weights(weights[: len(shop(5, 1))])
    assert "failing" not in said(shop(5, 1), dominated)


def test_operations_that_only_one_side_has_are_named():
    assert (
        said(shop(5, 1), shop(5, 1, extra="note"))["operations"].headline
        == "1 new operation: audit note (60 of 60 traces)."
    )
    assert (
        said(shop(5, 1, extra="note"), shop(5, 1))["operations"].headline
        == "1 gone operation: audit note (60 of 60 traces)."
    )


def test_an_empty_side_has_nothing_to_compare():
    for before, now in ((no_traces(), shop_traces()), (shop_traces(), no_traces())):
        seen = changes(before, now)
        assert seen.comparison is None
        assert [finding.headline for finding in changes_of(seen.before.traces, seen.now.traces)] == [
            "Latency cannot be compared: one side has no request with a start, an end and a sampling weight above 0."
        ]
        assert waits_table(seen, Colours(), set()).rows == ()
        assert entries_table(seen, Colours()).rows


def test_the_changes_of_the_table_add_up():
    seen = changes(shop_traces(), TraceSet.from_spans(shop_frame(40)))
    rows = waits_table(seen, Colours(), set()).rows
    assert sum(row[5].value for row in rows) == seen.comparison.change.value
    now, before = (sum(row[k].value for row in rows) for k in (4, 3))
    assert now - before == pytest.approx(seen.comparison.change.value, abs=1)


def test_the_endpoints_are_compared():
    rows = entries_table(changes(shop(5, 1, trace_count=200), shop(10, 6)), Colours()).rows
    assert [cell.text for cell in rows[0][:4]] == ["shop", "POST /pay", "200", "60"]
    assert rows[0][8].kind == "bad"
    assert rows[0][8].value == pytest.approx(55e6, rel=0.03)


def test_the_recorded_incident_is_the_first_sentence():
    finding = changes_of(*load_sample("checkout-regression"))[0]
    assert finding.headline.startswith(
        "storefront POST /checkout p95 regressed 100 → 256 ms (2.55\N{MULTIPLICATION SIGN}; 95% CI 90.7–110 → "
        "248–268 ms). p50 62.8 → 69.1 ms"
    )
    change = changes_of(*load_sample("checkout-regression"))[2]
    assert (
        "(+17.5 ms) is in ledger SELECT entries (calling sqlite/ledger): calls per request 1.0 → 8.2" in change.headline
    )


def calling(before_ms, now_ms):
    """Requests that call two services by spans of the same name; the wait for one of them changes."""

    def traces(wait):
        rows = []
        for k in range(40):
            begin = START + k * 1000 * MS
            waits = {"cart": 5 + k % 3, "stock": wait + k % 5}
            at = begin + MS
            for number, (callee, long) in enumerate(waits.items()):
                client, server = f"{2 * number + 2}", f"{2 * number + 3}"
                rows.append((k, client, "1", "shop", "HTTP GET", "CLIENT", at, at + (long + 2) * MS))
                rows.append((k, server, client, callee, "GET /item", "SERVER", at + long * MS, at + (long + 1) * MS))
                at += (long + 2) * MS
            rows.append((k, "1", None, "shop", "GET /", "SERVER", begin, at + MS))
        names = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "kind", "start_ns", "end_ns"]
        frame = pd.DataFrame(rows, columns=names)
        return TraceSet.from_spans(frame.assign(trace_id=[f"{k + 1:032x}" for k in frame["trace_id"]]))

    return traces(before_ms), traces(now_ms)


def test_a_call_without_a_callee_is_distinguished_from_others_of_its_name():
    before, now = calling(6, 30)
    seen = changes(before, now)
    finding = next(found for found in changes_of(seen.before.traces, seen.now.traces) if found.check == "change")
    assert ") is in shop HTTP GET (calling stock)" in finding.headline
    assert "cart" not in finding.headline
    trace_id, span_id = finding.exemplars
    spans = now.spans.set_index(["trace_id", "span_id"])
    children = now.spans[(now.spans["trace_id"] == trace_id) & (now.spans["parent_span_id"] == span_id)]
    assert spans.loc[(trace_id, span_id), "name"] == "HTTP GET"
    assert children["service_name"].tolist() == ["stock"]
    who = [[cell.text for cell in row[:3]] for row in waits_table(seen, Colours(), set()).rows]
    assert ["shop", "HTTP GET", "stock"] in who
    assert ["shop", "HTTP GET", "cart"] in who


def test_a_change_without_a_significant_operation_names_the_largest():
    random = np.random.default_rng(5)

    def traces(slow):
        rows = []
        for k in range(60):
            at, begin = START + k * 1000 * MS, START + k * 1000 * MS
            for number in range(40):
                long = int(random.exponential(MS) * (1 + slow * (number == 7)))
                rows.append((k, f"{number + 2}", "1", "shop", f"step {number}", at, at + long))
                at += long
            rows.append((k, "1", None, "shop", "GET /", begin, at))
        names = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "start_ns", "end_ns"]
        frame = pd.DataFrame(rows, columns=names)
        return TraceSet.from_spans(frame.assign(trace_id=[f"{k + 1:032x}" for k in frame["trace_id"]]))

    for _ in range(50):
        seen = changes(traces(0), traces(0.6))
        table, whole = seen.comparison.table, seen.comparison.change
        if whole.low > 0 and not table["is_significant"].any():
            break
    found = next(each for each in changes_of(seen.before.traces, seen.now.traces) if each.check == "change")
    first = table[table["change_ns"] > 0].iloc[0]
    assert "No single operation changed significantly; the largest change is " in found.headline
    assert found.headline.endswith(f" in shop {first['operation']}.")
    assert found.exemplars


def test_the_code_names_what_was_read():
    before, now = load_sample("checkout-regression")
    codes = section_codes(Standard.of(now, before))
    code = codes["changes"]
    assert "traces = tk.load_sample('checkout-regression', 'during')\n" in code
    assert "before = tk.load_sample('checkout-regression', 'baseline')\n" in code
    for lines in codes.values():
        compile(lines, "report", "exec")


def remade(traces, **given):
    """What the code of a report makes; ``...`` stands for what is given by name."""
    code = reading(traces)
    return eval(code.splitlines()[-1].removeprefix("traces = ").replace("...", "given"), {"tk": tk, **given})


def test_the_code_makes_the_same_traces_with_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(sample_paths("checkout-regression", "during")[0], "during.jsonl.zst")
    rules = {"default_strategy": {"type": "probabilistic", "param": 0.5}}
    read = tk.read("during.jsonl.zst")
    first, last = (pd.Timestamp(ns, tz="UTC") for ns in np.quantile(read.summary["start_ns"], (0.2, 0.8)))
    for made in (
        read,
        read.with_weights(20),
        read.with_weights(rules),
        read.where("service_name == 'ledger'").with_weights("recorded").between(first, last),
        tk.load_sample("checkout-regression", "baseline").trace(tk.load_sample("checkout-regression")[0].trace_ids[3]),
        tk.load_sample("tail-sampled", "head").with_weights("auto"),
    ):
        again = remade(made)
        assert again.trace_ids == made.trace_ids
        pd.testing.assert_frame_equal(again.summary, made.summary)


def test_an_argument_without_a_literal_is_left_to_the_reader_and_reported():
    weights = pd.Series(3.0, index=shop(5, 1).trace_ids)
    weighted = shop(5, 1).with_weights(weights)
    code = reading(weighted)
    assert code.splitlines()[1] == "# ...: a mask, function or table; insert the one you used"
    assert code.endswith(".with_weights(...)")
    few = shop(5, 1, trace_count=2)
    by_id = dict.fromkeys(few.trace_ids, 3.0)
    assert reading(few.with_weights(by_id)).endswith(f".with_weights({by_id})")


def test_an_operation_above_the_whole_change_is_reported_alone():
    before, now = shop(5, 1), shop(10, 6)
    ends = now.spans["end_ns"].where(now.spans["name"] != "POST /pay", now.spans["end_ns"] - 8 * MS)
    kept = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "start_ns", "status_code"]
    seen = changes(before, TraceSet.from_spans(now.spans[kept].assign(end_ns=ends)))
    first = changes_of(seen.before.traces, seen.now.traces)[0]
    assert " The largest increase (+55.0 ms) is in ledger SELECT: " in first.headline


def test_an_operation_in_more_requests_is_reported():
    many, few = shop(10, 2), shop(10, 2)
    spans = few.spans
    half = spans["trace_id"].isin(few.trace_ids[::2])
    without = half & (spans["name"] == "SELECT")
    ends = spans["end_ns"].where(~half | (spans["name"] != "POST /pay"), spans["start_ns"] + 20 * MS)
    kept = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "start_ns", "status_code"]
    headline = said(TraceSet.from_spans(spans[kept].assign(end_ns=ends)[~without]), many)["change"].headline
    assert "(+10.0 ms) is in ledger SELECT: requests affected 50.0% → 100%." in headline


def test_a_service_that_is_its_own_operation_is_named_once():
    assert name_of({"service_name": "ledger", "operation": "ledger"}) == "ledger"


def test_a_slow_trace_of_a_new_endpoint_is_shown_alone():
    before, now = shop(5, 1), shop(10, 6)
    names = before.spans["name"].astype(str).replace("POST /pay", "PUT /pay")
    renamed = TraceSet.from_spans(before.spans.assign(name=names))
    page = render(now, baseline=renamed)
    assert "open exemplar trace" in page
    assert "against" not in page[page.index('<section id="traces"') :]


def chained(services, slow):
    """Every service calls the next, five operations each: no two share an operation."""
    rows = []
    for t in range(5 * services):
        begin, end = START + t * 1000 * MS, START + t * 1000 * MS + slow * MS
        rows.append((f"{t + 1:x}", "1", None, f"op{t}", f"service{t % services}", begin, end))
        rows.append((f"{t + 1:x}", "2", "1", f"op{t + 1}", f"service{(t + 1) % services}", begin + 5, end - 5))
    names = ["trace_id", "span_id", "parent_span_id", "name", "service_name", "start_ns", "end_ns"]
    return TraceSet.from_spans(pd.DataFrame(rows, columns=names))


def test_the_table_of_waits_needs_memory_in_proportion_to_its_operations():
    peaks = []
    for services in (10, 40):
        seen = changes(chained(services, 1), chained(services, 3))
        seen.comparison  # noqa: B018 - cached: only the table is measured
        tracemalloc.start()
        rows = waits_table(seen, Colours(), set()).rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        keys = ["service_name", "operation", "callee_service", "factor"]
        parts = seen.comparison.parts.fillna({"callee_service": ""}).set_index(keys)["current_value"]
        for row in rows[:20]:
            assert row[11].value == parts[(*(cell.text for cell in row[:3]), "duration")]
    assert peaks[1] < 8 * peaks[0]


def two_endpoints(random, *, reports, slower=0.0, trace_count=400):
    """Short checkouts of two steps, and long reports, which vary so much that they hide any change of checkouts."""
    rows = []
    for k in range(trace_count):
        begin, at = START + k * 1000 * MS, START + k * 1000 * MS
        is_report = k % 4 == 0
        steps = {"render": reports * random.lognormal(0, 1.5)} if is_report else {"price": 3.0 + slower, "pay": 5.0}
        for number, (name, took) in enumerate(steps.items()):
            end = at + int(took * random.lognormal(0, 0.2) * MS)
            rows.append((k, f"{number + 2}", "1", "ledger", name, at, end))
            at = end
        rows.append((k, "1", None, "shop", "GET /report" if is_report else "POST /checkout", begin, at))
    names = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "start_ns", "end_ns"]
    frame = pd.DataFrame(rows, columns=names)
    return TraceSet.from_spans(frame.assign(trace_id=[f"{k + 1:032x}" for k in frame["trace_id"]]))


def test_an_operation_that_regressed_is_named_where_the_mean_hides_it():
    random = np.random.default_rng(3)
    found = said(two_endpoints(random, reports=500), two_endpoints(random, reports=500, slower=40))
    assert found["change"].severity == "info"
    assert "no significant change" in found["change"].headline
    assert found["regressed"].severity == "warning"
    assert found["regressed"].headline.startswith(
        "ledger price regressed although the mean latency did not increase significantly: +"
    )
    assert "time per call 3." in found["regressed"].headline
    assert 25e6 < found["regressed"].estimate.value < 35e6  # of the mean request: three of four are checkouts
    assert found["regressed"].exemplars


def test_a_regression_too_small_to_be_felt_is_no_warning():
    random = np.random.default_rng(3)
    found = said(two_endpoints(random, reports=500), two_endpoints(random, reports=500, slower=1))
    assert found["regressed"].severity == "notice"


def test_one_trace_claims_no_change():
    random = np.random.default_rng(3)
    many = two_endpoints(random, reports=500)
    for k in range(5):
        one = many.trace(many.trace_ids[k])
        for found in (said(one, many), said(many, one)):
            assert found["change"].severity == "info"
            assert found["change"].headline.endswith(": too few traces to compare (95% CI not estimable).")
            assert not {"regressed", "slower", "operations"} & set(found)


def test_an_operation_in_few_traces_is_neither_new_nor_removed():
    frame = shop(5, 1).spans.astype({"name": str})
    first = frame["trace_id"] == frame["trace_id"].iloc[0]
    kept = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "start_ns", "end_ns", "status_code"]
    rare = TraceSet.from_spans(frame[kept].assign(name=frame["name"].where(~first, frame["name"] + " once")))
    assert "operations" not in said(shop(5, 1, seed=2), rare)
    assert "operations" not in said(rare, shop(5, 1, seed=2))


def test_operations_are_not_compared_where_one_side_had_clock_skew():
    def calls(ahead_ms, took_ms):
        rows = []
        for k in range(60):
            begin, end = START + k * 1000 * MS, START + (k * 1000 + took_ms + k % 5) * MS
            rows.append((k, "1", None, "shop", "a", "POST /pay", "SERVER", begin, end))
            rows.append((k, "2", "1", "shop", "a", "POST", "CLIENT", begin + MS, end - MS))
            there = (begin + (2 + ahead_ms) * MS, end + (ahead_ms - 2) * MS)
            rows.append((k, "3", "2", "ledger", "b", "charge", "SERVER", *there))
        names = ["trace_id", "span_id", "parent_span_id", "service_name", "host_name", "name", "kind"]
        frame = pd.DataFrame(rows, columns=[*names, "start_ns", "end_ns"])
        return TraceSet.from_spans(frame.assign(trace_id=[f"{k + 1:032x}" for k in frame["trace_id"]]))

    skewed = said(calls(500, 20), calls(0, 60))["change"].headline
    assert "regressed 22.0 → 62.0 ms" in skewed
    assert skewed.endswith(" clock skew was corrected on one side only, which shifts their times.")
    assert "ledger" not in skewed
    assert "not compared" not in said(calls(500, 20), calls(500, 60))["change"].headline
