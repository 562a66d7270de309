import json

import numpy as np
import pandas as pd
import pytest
from drawn_spans import draw
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit.analysis.errors import errors, summarise, tabulate
from tracekit.analysis.exceptions import message_template

SHOP = """
a1 1 - shop   SERVER 0 100 code=503 name=pay
a1 2 1 ledger SERVER 5 50  error name=charge exception=Declined:order_17_of_'ann'
a1 3 1 quota  SERVER 5 49  code=429 name=ask
b1 1 - shop   SERVER 0 100 code=404 name=pay
b1 2 1 ledger SERVER 5 60  error name=charge exception=Declined:order_4711_of_'bob'
c1 1 - shop   SERVER 0 100 code=200 name=pay
c1 2 1 ledger SERVER 5 70  name=charge exception=Timeout:no_answer
"""
COLUMNS = [
    "service_name", "operation", "span_count", "error_count", "error_ratio", "error_ratio_low", "error_ratio_high",
    "fault_count", "client_count", "throttle_count", "unspecified_count", "weight_sum",
]  # fmt: skip


def row(result, service):
    return result.operations.set_index("service_name").loc[service]


def test_fault_throttle_and_client_mistakes_are_distinguished():
    result = errors(draw(SHOP))
    assert result.operations.columns.tolist() == COLUMNS
    shop, ledger, quota = (row(result, name) for name in ("shop", "ledger", "quota"))
    assert (shop["fault_count"], shop["client_count"], shop["throttle_count"], shop["unspecified_count"]) == (
        1,
        1,
        0,
        0,
    )
    assert (ledger["unspecified_count"], ledger["error_count"]) == (2, 2)
    assert quota["throttle_count"] == 1


def test_a_servers_404_is_the_clients_mistake_and_no_error():
    shop = row(errors(draw(SHOP)), "shop")
    assert shop["error_count"] == 1
    assert shop["error_ratio"] == pytest.approx(1 / 3)


def test_most_errors_first():
    assert errors(draw(SHOP)).operations["service_name"].iloc[0] == "ledger"


def test_counts_are_weighted_and_ratios_do_not_move_with_the_scale():
    traces = draw(SHOP)
    once, thrice = errors(traces).operations, errors(traces.with_weights(3)).operations
    for name in ("error_count", "fault_count", "client_count", "throttle_count", "unspecified_count", "weight_sum"):
        assert thrice[name].tolist() == (once[name] * 3).tolist()
    for name in ("service_name", "span_count", "error_ratio"):
        assert thrice[name].tolist() == once[name].tolist()
    assert thrice["error_ratio_low"].tolist() == pytest.approx(once["error_ratio_low"].tolist())


def test_a_sampled_failure_counts_with_its_weight():
    traces = draw("a1 1 - s SERVER 0 9 error\nb1 1 - s SERVER 0 9").with_weights(
        {"0" * 30 + "a1": 1, "0" * 30 + "b1": 19}
    )
    assert row(errors(traces), "s")["error_ratio"] == pytest.approx(0.05)


def test_unfinished_spans_have_no_outcome_and_inferred_rows_do_not_count():
    lines = "a1 1 - s SERVER 0 -\na1 2 1 t SERVER 0 9 error inferred exception=Boom:x\nb2 3 - s SERVER 0 9 error"
    result = errors(draw(lines))
    assert result.operations[["service_name", "span_count", "error_ratio"]].to_numpy().tolist() == [["s", 1, 1.0]]
    assert len(result.exceptions) == 0


def test_exceptions_group_by_the_template_of_their_message():
    table = errors(draw(SHOP)).exceptions
    assert table.columns.tolist() == [
        "service_name", "exception_type", "exception_message", "event_count", "trace_count", "first_time", "last_time",
        "path_time_ns", "exemplar_trace_id", "exemplar_span_id",
    ]  # fmt: skip
    declined, timeout = table.iloc[0], table.iloc[1]
    assert declined["exception_message"] == "order <n> of <text>"
    assert (declined["event_count"], declined["trace_count"]) == (2, 2)
    assert (declined["first_time"].value, declined["last_time"].value) == (50, 60)
    assert (declined["exemplar_trace_id"], declined["exemplar_span_id"]) == ("0" * 30 + "a1", "0" * 15 + "2")
    assert timeout["exception_message"] == "no answer"


def test_the_exemplar_is_the_first_in_time_not_in_the_file():
    late_first = draw("a1 1 - s SERVER 0 900 exception=Boom:x\nb1 2 - s SERVER 0 100 exception=Boom:x")
    assert errors(late_first).exceptions["exemplar_trace_id"].tolist() == ["0" * 30 + "b1"]


def test_an_exception_without_a_time_has_that_of_its_span():
    table = errors(draw("a1 1 - s SERVER 40 - exception=Boom:x")).exceptions
    assert table["first_time"].iloc[0].value == 40


def test_an_exception_without_any_time_is_still_there():
    table = errors(draw("a1 1 - s SERVER - - exception=Boom:x")).exceptions
    assert table["event_count"].tolist() == [1]
    assert table["first_time"].isna().all()


def test_blocks_add_up_to_the_whole():
    traces = draw(SHOP)
    parts = [traces.trace(f"{0:030x}{name}") for name in ("a1", "b1", "c1")]
    pd.testing.assert_frame_equal(summarise([tabulate(part) for part in parts]), errors(traces).operations)


def test_the_order_of_lines_does_not_matter():
    lines = SHOP.strip().splitlines()
    one, other = errors(draw("\n".join(lines))), errors(draw("\n".join(lines[::-1])))
    pd.testing.assert_frame_equal(one.operations, other.operations)
    pd.testing.assert_frame_equal(one.exceptions, other.exceptions)


def test_nothing_is_two_empty_tables():
    result = errors(draw(""))
    assert result.operations.columns.tolist() == COLUMNS
    assert len(result.operations) == len(result.exceptions) == 0
    assert repr(result) == "Errors(0 errors in 0 operations, 0 exception types; no traces)"


def test_messages_are_escaped_in_a_notebook():
    shown = errors(draw("a1 1 - s SERVER 0 9 error exception=Boom:<img_src=x_onerror=alert(1)>"))._repr_html_()
    assert "<img" not in shown
    assert "&lt;img" in shown


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ("deadline exceeded after 1500 ms", "deadline exceeded after <n> ms"),
        ("took 1,234.5s", "took <n>s"),
        ("dial tcp 10.0.3.17:5432: refused", "dial tcp <n>: refused"),
        ("no row 7d4f1c9e-0b1a-4c3d-9e8f-001122334455", "no row <uuid>"),
        ("object at 0x7fFFc0ffee", "object at <hex>"),
        ("trace 4bf92f3577b34da6 lost", "trace <hex> lost"),
        ("key 'a b' and \"c\" and `d`", "key <text> and <text> and <text>"),
        ("can't open, won't retry", "can't open, won't retry"),
        ("  two\n  lines\t", "two lines"),
        ("deadbeef is a word", "deadbeef is a word"),
        ("", ""),
    ],
)
def test_what_varies_in_a_message_is_replaced(message, template):
    assert message_template(message) == template


def test_a_long_message_is_cut():
    assert len(message_template("x" * 10_000)) == 300


@settings(deadline=None)
@given(st.text(max_size=400))
def test_a_template_of_a_template_is_itself(message):
    once = message_template(message)
    if len(once) < 300:
        assert message_template(once) == once
    assert not any(c.isascii() and c.isdigit() for c in once)


FRAMES = ("operations", "exceptions", "edges", "chains", "origins", "over_time")


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("weights", [None, "mixed"])
def test_a_store_has_the_errors_of_the_whole(tmp_path, count, weights):
    before, during = tk.load_sample("checkout-regression")
    if weights:
        during = during.with_weights(np.random.default_rng(1).choice([1.0, 10.0, 100.0], len(during)))
    store = split(during, tmp_path / "a.parquet", count)
    baseline = split(before, tmp_path / "b.parquet", 3)
    found = tk.errors(store, baseline=baseline, customer="app.customer.tier")
    expected = tk.errors(during, baseline=before, customer="app.customer.tier")
    assert all(len(getattr(expected, name)) for name in FRAMES)
    for name in FRAMES:
        same(getattr(found, name), getattr(expected, name))
    assert (found.statement, repr(found)) == (expected.statement, repr(expected))
    same(
        tk.errors(store, "request.operation", roots=True).operations,
        errors(during, "request.operation", roots=True).operations,
    )
    same(tk.errors(store, baseline=before).origins, errors(during, baseline=before).origins)
    same(tk.errors(during, baseline=baseline).exceptions, errors(during, baseline=before).exceptions)


def test_ties_of_a_store_are_those_of_the_whole(tmp_path):
    """Errors at the same time, in many traces: the exemplar is the one with the lowest trace id."""
    lines = []
    for number in range(40):
        trace = f"{number * 37 % 41 + 1:02x}"
        lines += [
            f"{trace} 1 - shop   SERVER 0 100 error name=pay{number % 3}",
            f"{trace} 2 1 shop   CLIENT 5 60 error name=post",
            f"{trace} 3 2 ledger SERVER 5 50 error name=charge exception=Declined:order_{number}",
            f"{trace} 4 1 quota  SERVER 5 50 error name=ask{number % 5}",
        ]
    traces = draw("\n".join(lines))
    expected = errors(traces)
    assert expected.exceptions["event_count"].tolist() == [40]
    assert expected.exceptions["exemplar_trace_id"].tolist() == [min(traces.trace_ids)]
    assert expected.edges["exemplar_trace_id"].tolist()[0] == min(traces.trace_ids)
    for seed in range(3):
        found = errors(split(traces, tmp_path / f"{seed}.parquet", 9, seed))
        for name in FRAMES:
            same(getattr(found, name), getattr(expected, name))


def test_a_store_without_errors_has_empty_tables(tmp_path):
    traces = draw("a1 1 - shop SERVER 0 100\nb1 1 - shop SERVER 0 100")
    found, expected = errors(split(traces, tmp_path / "a.parquet", 2)), errors(traces)
    for name in FRAMES:
        same(getattr(found, name), getattr(expected, name))
    assert len(found.exceptions) == 0


def skewed(shift_ns):
    """OTLP lines of calls between two hosts, the clock of the second ahead; the callee fails."""
    lines = []
    for number in range(300):
        at, spans = 1_800_000_000_000_000_000 + number * 50_000_000, []
        rows = ((1, 0, "shop", 2, 0, 20_000_000), (2, 1, "shop", 3, 1_000_000, 11_000_000 + number * 1000))
        for span, parent, service, kind, start, end in (*rows, (3, 2, "ledger", 2, 2_000_000, 10_000_000)):
            moved = at + shift_ns * (span == 3)
            spans.append((service, {
                "traceId": f"{number * 7919 % 100_003 + 1:032x}", "spanId": f"{span:016x}", "name": "x", "kind": kind,
                **({"parentSpanId": f"{parent:016x}"} if parent else {}),
                "startTimeUnixNano": str(moved + start), "endTimeUnixNano": str(moved + end),
                "events": [{"name": "exception", "timeUnixNano": str(moved + end)}] if span == 3 else [],
            }))  # fmt: skip
        for service, span in spans:
            resource = {"service.name": service, "host.name": f"of {service}"}
            attributes = [{"key": key, "value": {"stringValue": value}} for key, value in resource.items()]
            one = {"resource": {"attributes": attributes}, "scopeSpans": [{"spans": [span]}]}
            lines.append(json.dumps({"resourceSpans": [one]}))
    return tk.read(["\n".join(lines).encode()])


def test_exceptions_of_a_store_with_skewed_clocks_have_the_corrected_times(tmp_path):
    traces = skewed(40_000_000)
    expected = errors(traces)
    assert expected.exceptions["path_time_ns"].item() == 8_000_000
    store = split(traces, tmp_path / "a.parquet", 30)
    same(errors(store).exceptions, expected.exceptions)
    assert errors(store.part(0)).exceptions["path_time_ns"].item() != 8_000_000  # ten traces cannot prove it alone


def test_a_series_is_refused_for_a_store(tmp_path):
    store = split(draw(SHOP), tmp_path / "a.parquet", 2)
    for arguments in ({"by": pd.Series([1])}, {"customer": pd.Series([1])}):
        with pytest.raises(ValueError, match="expected names to group a store by, found a Series"):
            errors(store, **arguments)
