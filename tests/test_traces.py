"""TraceSet: other sets of the same traces, the way in from a frame and back, and how it shows."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from tracekit import FilterError, SchemaError, TraceSet
from tracekit.attributes import Codes
from tracekit.schema import Quality
from tracekit.weights import Weights

BASE = 1_750_000_000_000_000_000


def frame_of(**columns):
    """Four traces of two spans: a1 cart -> ledger, b2 cart -> ledger, c3 search, d4 search, one second apart."""
    rows = {
        "trace_id": ["a1", "a1", "b2", "b2", "c3", "c3", "d4", "d4"],
        "span_id": [f"{n}" for n in range(1, 9)],
        "parent_span_id": [None, "1", None, "3", None, "5", None, "7"],
        "name": ["POST /pay", "charge"] * 2 + ["GET /find", "query"] * 2,
        "kind": ["SERVER", "CLIENT"] * 4,
        "service_name": ["cart", "ledger"] * 2 + ["search", "index"] * 2,
        "start_ns": [BASE + n // 2 * 10**9 + n % 2 for n in range(8)],
        "end_ns": [BASE + n // 2 * 10**9 + 100 for n in range(8)],
        "attributes.tenant": ["blue", None, "red", None, None, None, "blue", None],
        "resource.tier": ["web", "db"] * 4,
    }
    return pd.DataFrame(rows | columns)


SHOP = TraceSet.from_spans(frame_of())


def short(traces):
    return [trace_id[-2:] for trace_id in traces.trace_ids]


# ------------------------------------------------------------------ where


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("service_name == 'ledger'", ["a1", "b2"]),
        ("service_name == 'nobody'", []),
        ("duration_ns > 5 and kind == 'SERVER'", ["a1", "b2", "c3", "d4"]),
        ("name in ['charge', 'query'] and start_ns >= 1750000002000000000", ["c3", "d4"]),
        ("parent_span_id.isna() and name.str.startswith('GET')", ["c3", "d4"]),
        ("not is_error & (depth == 1)", ["a1", "b2", "c3", "d4"]),
        ("http_response_status_code > 499", []),
        (lambda spans: spans["name"] == "charge", ["a1", "b2"]),
        (lambda spans: (spans["name"] == "charge").to_numpy(), ["a1", "b2"]),
        ([True] + [False] * 7, ["a1"]),
        (np.array([0, 0, 0, 0, 0, 1, 0, 0]), ["c3"]),
        (pd.Series([None, True] + [None] * 6, dtype="boolean"), ["a1"]),
        (pd.Series([None, True] + [None] * 6, dtype=object), ["a1"]),
    ],
)
def test_where_gives_whole_traces(condition, wanted):
    found = SHOP.where(condition)
    assert short(found) == wanted
    assert len(found.columns.spans) == 2 * len(wanted)
    assert found.sources["accepted_count"].sum() == 8, "what was read stays as it was"


def test_a_mask_of_traces_is_taken_by_their_ids():
    slow = SHOP.summary["start_ns"] > BASE + 10**9
    assert short(SHOP.where(slow)) == ["c3", "d4"]
    assert short(SHOP.where(slow[::-1])) == ["c3", "d4"]
    assert short(SHOP.where(slow[slow])) == ["c3", "d4"], "traces that are not there are not wanted"


def test_a_mask_in_another_order_means_the_same_spans():
    mask = SHOP.spans["name"] == "charge"
    shuffled = mask.sample(frac=1, random_state=3)
    assert shuffled.index.tolist() != mask.index.tolist()
    assert short(SHOP.where(shuffled)) == short(SHOP.where(mask)) == ["a1", "b2"]


def test_a_mask_of_some_spans_only_is_refused():
    some = SHOP.spans.loc[SHOP.spans["kind"] == "SERVER", "name"] == "GET /find"
    with pytest.raises(ValueError, match="expected a mask of 8 spans or a Series indexed by trace id, found a mask"):
        SHOP.where(some)
    twice = pd.Series([True] * 8, index=pd.Index([0, 0, 1, 2, 3, 4, 5, 6], name="span_row"))
    with pytest.raises(ValueError, match="found a mask of 8"):
        SHOP.where(twice)


@pytest.mark.parametrize(
    ("condition", "error", "text", "position"),
    [
        (
            "servce_name == 'x'",
            FilterError,
            "or request.<key>, found 'servce_name' at 0 of",
            0,
        ),
        ("depth > 0 and colour == 1", FilterError, "found 'colour' at 14", 14),
        ("depth >", FilterError, r"expected a condition over columns of spans, found 'depth >'", 7),
        ("depth > 0 depth", FilterError, "expected a condition over columns of spans", None),
        ("depth = 1", FilterError, "expected a condition over columns of spans", 6),
        ("", FilterError, "expected a condition", 0),
        ("depth", FilterError, "which is not a condition", 0),
        ("depth + 1", FilterError, "which is not a condition", 0),
        ("service_name > 'a'", FilterError, "expected a condition over columns of spans", 0),
        ("depth > \0", FilterError, "expected a condition", None),
        ([True], ValueError, "expected a mask of 8 spans or a Series indexed by trace id, found a mask of 1", None),
        (["yes"] * 8, TypeError, "expected a boolean mask, found", None),
        (np.arange(8), TypeError, "expected a boolean mask, found int64", None),
    ],
)
def test_conditions_that_are_none_are_refused(condition, error, text, position):
    with pytest.raises(error, match=text) as caught:
        SHOP.where(condition)
    if error is FilterError:
        assert caught.value.expression == condition
        assert position is None or caught.value.position == position


def test_filtering_in_steps_is_filtering_at_once():
    once = SHOP.where("service_name == 'index' and start_ns > 1750000002500000000")
    steps = SHOP.where("service_name == 'index'").where("start_ns > 1750000002500000000")
    pd.testing.assert_frame_equal(once.spans, steps.spans)
    assert once.where("depth == 0").forest.root_row.tolist() == [0]


# ------------------------------------------------------------------ trace, between


def test_one_trace_by_its_id_or_the_beginning_of_it():
    whole = f"{'b2':0>32}"
    assert short(SHOP.trace(whole)) == short(SHOP.trace(whole.upper())) == ["b2"]
    assert short(SHOP.trace(f"1-{whole[:8]}-{whole[8:]}")) == ["b2"]
    assert short(SHOP.trace("0" * 30 + "b")) == ["b2"]
    assert SHOP.find(whole) == 1


@pytest.mark.parametrize(
    ("wanted", "near"),
    [("0" * 30 + "b3", "b2, 0+c3"), ("", "nearest: 0+a1"), ("0", "nearest: 0+a1, 0+b2"), ("f", "nearest: 0+d4")],
)
def test_an_id_of_none_or_several_names_the_nearest(wanted, near):
    with pytest.raises(ValueError, match=f"expected the id of one of 4 traces, found '{wanted}'.*{near}"):
        SHOP.trace(wanted)


def test_no_traces_have_no_nearest():
    with pytest.raises(ValueError, match="none: the set is empty"):
        SHOP.where([False] * 8).trace("a1")


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        (BASE, BASE + 2 * 10**9, ["a1", "b2"]),
        (BASE + 1, BASE + 3 * 10**9 + 1, ["b2", "c3", "d4"]),
        ("2025-06-15 15:06:41", "2025-06-15T15:06:42Z", ["b2"]),
        ("2025-06-15 17:06:41+02:00", "2025-06-15 15:06:42.5", ["b2", "c3"]),
        (pd.Timestamp("2025-06-15", tz="Europe/Berlin"), pd.Timestamp("2025-06-16"), ["a1", "b2", "c3", "d4"]),
    ],
)
def test_between_selects_by_root_start_in_a_half_open_interval(start, end, wanted):
    assert short(SHOP.between(start, end)) == wanted


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        ("15:06:41", "15:06:42", ["b2"]),
        ("17:06:41+02:00", dt.time(15, 6, 43), ["b2", "c3"]),
        (None, "15:06:41", ["a1"]),
        ("15:06:42", None, ["c3", "d4"]),
        ("15:00", "15:06:41", ["a1"]),
        ("2025-06-15 15:06:40.5", "15:06:42", ["b2"]),
    ],
)
def test_a_time_of_day_is_on_the_date_of_the_recording(start, end, wanted):
    assert short(SHOP.between(start, end)) == wanted


def test_a_time_of_day_after_midnight_is_on_the_second_date():
    midnight = 1_750_032_000 * 10**9
    night = TraceSet.from_spans(frame_of(start_ns=[midnight + (k // 2 - 2) * 300 * 10**9 for k in range(8)]))
    assert night.summary["start_ns"].tolist()[2] == midnight
    assert short(night.between("23:55", "00:05")) == ["b2", "c3"]


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [
        ("16:24", "16:40", "within 2025-06-15 15:06:40 to 15:06:43 UTC, the period recorded, found 16:24 to 16:40"),
        ("2024-01-01", None, None),
        (None, "15:06:39", "the period recorded, found the start to 15:06:39"),
        (BASE + 10, BASE + 5, "expected an end after the start, found 1750000000000000010 to 1750000000000000005"),
        ("15:06:43", "15:06:41", "expected an end after the start, found 15:06:43 to 15:06:41"),
    ],
)
def test_a_window_that_contains_nothing_of_the_recording_says_its_period(start, end, told):
    if told is None:
        assert len(SHOP.between(start, end)) == 4
        return
    with pytest.raises(ValueError, match=told):
        SHOP.between(start, end)


def test_a_time_of_day_of_a_recording_of_days_needs_its_date():
    days = TraceSet.from_spans(frame_of(start_ns=[BASE + k // 2 * 86_400 * 10**9 for k in range(8)]))
    with pytest.raises(ValueError, match="expected a date with the time 16:00, which occurs 3 times in 2025-06-15"):
        days.between("16:00", "17:00")


@pytest.mark.parametrize("edge", ["never", pd.NaT])
def test_an_edge_that_is_no_time_is_refused(edge):
    with pytest.raises(ValueError, match=r"never|expected a time"):
        SHOP.between(edge, BASE)


def test_a_trace_without_a_start_is_in_no_period():
    traces = TraceSet.from_spans(frame_of(start_ns=pd.array([None] * 2 + [BASE] * 6, dtype="Int64")))
    assert short(traces.between("1900-01-01", "2200-01-01")) == ["b2", "c3", "d4"]


# ------------------------------------------------------------------ attributes


def test_an_attribute_is_the_spans_or_else_the_resources():
    assert SHOP.attribute("tenant").astype(object).fillna("").tolist() == ["blue", "", "red", "", "", "", "blue", ""]
    assert SHOP.attribute("tier").tolist() == ["web", "db"] * 4
    both = TraceSet.from_spans(frame_of(**{"attributes.tier": ["own"] + [None] * 7}))
    assert both.attribute("tier").tolist() == ["own", "db", *["web", "db"] * 3]
    assert both.attribute("tier").index.equals(both.spans.index)
    assert both.attribute("tier").name == "tier"


def test_an_unknown_attribute_names_the_nearest():
    with pytest.raises(
        ValueError, match=r"expected a column of spans, an attribute key, .*, found 'tennant'; did you mean tenant"
    ):
        SHOP.attribute("tennant")
    with pytest.raises(ValueError, match=r"traces.attributes\['key'\].unique\(\) lists the keys"):
        SHOP.attribute("zzz")
    without = SHOP.trace(f"{'c3':0>32}")  # a subset has the names of its recording
    assert without.attribute("tenant").isna().all()


# ------------------------------------------------------------------ from a frame and back

KEPT = [
    column
    for column in SHOP.spans
    if column
    not in {"operation_source", "source_id", "record_number", "byte_offset", "resource_id", "scope_id", "quality"}
]


def plain(traces):
    """The spans with categories as text: which numbers stand for them does not matter."""
    spans = traces.spans[KEPT]
    return spans.astype(dict.fromkeys(spans.columns[spans.dtypes == "category"], object))


def test_a_frame_of_spans_is_restored_unchanged():
    given = frame_of(
        status_code=["ERROR"] + ["UNSET"] * 7,
        status_message=["broke"] + [None] * 7,
        http_request_method="GET",
        http_route="/x",
        http_response_status_code=pd.array([503] + [200] * 7, dtype="Int16"),
        db_system_name="postgresql",
        rpc_method="a.B/C",
        peer_service_name="bank",
        peer_address="10.0.0.1",
        peer_port=pd.array([443] * 8, dtype="Int32"),
        faas_coldstart=pd.array([True, None] * 4, dtype="boolean"),
        error_type="timeout",
        host_name="h",
        deployment_environment_name="prod",
        trace_state=["ot=th:8", None] * 4,
        trace_flags=1,
        in_progress=[False, True] * 4,
        inferred=[True, False] * 4,
        kind_inferred=[True, False] * 4,
        parent_is_remote=pd.array([None, True, None, False] * 2, dtype="boolean"),
        record_kind="segment",
        time_resolution_ns=240,
        dropped_attributes_count=3,
    )
    once = TraceSet.from_spans(given)
    for column in given.columns.intersection(once.spans.columns):
        wanted, found = given[column], once.spans[column]
        if column in {"trace_id", "span_id", "parent_span_id"}:
            width = 16 + 16 * (column == "trace_id")
            wanted = wanted.map(lambda text, width=width: f"{text:0>{width}}", na_action="ignore")
        assert wanted.astype(object).fillna("-").tolist() == found.astype(object).fillna("-").tolist(), column
    again = TraceSet.from_spans(once.spans)
    pd.testing.assert_frame_equal(plain(again), plain(once))
    pd.testing.assert_frame_equal(again.summary, once.summary)
    assert again.spans["quality"].tolist() == once.spans["quality"].tolist()


def test_rows_in_any_order_give_the_same_set():
    shuffled = TraceSet.from_spans(frame_of().sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(plain(shuffled), plain(SHOP))


def test_the_frame_given_is_not_touched():
    given = frame_of()
    before = given.copy(deep=True)
    TraceSet.from_spans(given)
    pd.testing.assert_frame_equal(given, before)


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_hand_drawn_times_are_nanoseconds_whatever_they_look_like(unit):
    traces = TraceSet.from_spans(frame_of(start_ns=1_750_000_000 * unit, end_ns=1_750_000_000 * unit + 5))
    assert set(traces.spans["duration_ns"]) == {5}
    assert "TIME_UNIT" not in set(traces.issues["code"])


@pytest.mark.parametrize("root", [None, "", "0", "0" * 16, float("nan"), pd.NA])
def test_a_root_is_a_span_without_a_parent_in_every_spelling(root):
    traces = TraceSet.from_spans(frame_of(parent_span_id=[root, "1", root, "3", root, "5", root, "7"]))
    assert traces.spans["parent_state"].tolist() == ["root", "resolved"] * 4


def test_an_invalid_parent_id_is_reported_and_the_span_is_an_orphan():
    traces = TraceSet.from_spans(frame_of(parent_span_id=["no id", "1", None, "3", None, "5", None, "7"]))
    assert traces.spans["parent_state"].iloc[0] == "missing"
    [issue] = traces.issues[traces.issues["code"] == "ID_NOT_HEX"].itertuples()
    assert (issue.severity, issue.record_number, issue.field) == ("warn", 1, "parent_span_id")
    again = TraceSet.from_spans(traces.spans)
    assert again.spans["parent_state"].iloc[0] == "missing", "also when it has been through a frame"


def test_a_row_without_an_id_is_left_out_and_counted():
    traces = TraceSet.from_spans(frame_of(span_id=["1", None, "", "x y", "5", "6", "7", "0"]))
    assert traces.sources[["span_count", "accepted_count", "quarantined_count"]].iloc[0].tolist() == [8, 4, 4]
    quarantined = traces.issues[traces.issues["action"] == "quarantined"]
    assert quarantined["record_number"].tolist() == [2, 3, 4, 8]
    assert quarantined["code"].tolist() == ["ID_BAD_LENGTH", "ID_BAD_LENGTH", "ID_NOT_HEX", "ID_ZERO"]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"start_ns": ["soon"] * 8}, "expected whole nanoseconds in column 'start_ns', found 'soon' in row 1"),
        ({"end_ns": [1.5] * 8}, "expected whole nanoseconds in column 'end_ns', found 1.5 in row 1"),
        ({"end_ns": [float("inf")] * 8}, "found inf in row 1"),
        ({"start_ns": pd.date_range("2025-01-01", periods=8)}, "found Timestamp.*converted by .astype"),
        (
            {"kind": ["server"] * 8},
            "expected one of UNSPECIFIED, INTERNAL, .* in column 'kind', found 'server' in row 1",
        ),
        ({"status_code": [2] * 8}, "expected one of UNSET, OK, ERROR in column 'status_code', found 2"),
    ],
)
def test_cells_that_mean_nothing_are_refused(columns, text):
    with pytest.raises(SchemaError, match=text):
        TraceSet.from_spans(frame_of(**columns))


def test_missing_columns_are_named():
    with pytest.raises(SchemaError, match=r"missing: span_id, start_ns; found: trace_id, parent_span_id") as caught:
        TraceSet.from_spans(frame_of().drop(columns=["span_id", "start_ns"]))
    assert caught.value.missing == ("span_id", "start_ns")
    assert "name" in caught.value.found
    with pytest.raises(SchemaError, match="found: no columns"):
        TraceSet.from_spans(pd.DataFrame())


def test_floats_that_have_lost_digits_are_reported():
    exact = TraceSet.from_spans(frame_of(start_ns=[1.0] * 8, end_ns=[5.0, np.nan] * 4))
    assert exact.spans["end_ns"].iloc[:2].tolist() == [5, pd.NA]
    assert "TIME_PRECISION_LOST" not in set(exact.issues["code"])
    rounded = TraceSet.from_spans(frame_of(start_ns=[float(BASE)] * 8))
    [issue] = rounded.issues[rounded.issues["code"] == "TIME_PRECISION_LOST"].itertuples()
    assert issue.issue_count == 8


def test_a_promoted_column_gives_way_to_the_attribute_of_its_name():
    both = frame_of(http_route="/promoted", **{"attributes.http.route": "/raw"})
    traces = TraceSet.from_spans(both)
    assert set(traces.spans["http_route"]) == {"/raw"}
    assert (traces.attributes["key"] == "http.route").sum() == 8


# ------------------------------------------------------------------ how it shows


def test_it_shows_the_main_facts_first():
    assert repr(SHOP) == "TraceSet(4 traces, 8 spans, 4 services, 2025-06-15 15:06:40 to 15:06:43 UTC)"
    one = TraceSet.from_spans(frame_of()[:1])
    assert repr(one) == "TraceSet(1 trace, 1 span, 1 service, 2025-06-15 15:06:40 to 15:06:40 UTC)"
    long = TraceSet.from_spans(frame_of(start_ns=[BASE, BASE + 86_400 * 10**9] * 4, end_ns=BASE + 10**15))
    assert "2025-06-15 15:06:40 to 2025-06-16 15:06:40 UTC" in repr(long)
    assert repr(TraceSet.from_spans(frame_of()[:0])) == "TraceSet(0 traces, 0 spans, 0 services, no times)"
    timeless = TraceSet.from_spans(frame_of(start_ns=None))
    assert "no times" in repr(timeless)


def test_it_reports_what_was_left_out():
    traces = TraceSet.from_spans(frame_of(trace_id=["a1", "", "b2", "b2", "c3", "c3", "d4", "x"]))
    assert repr(traces).endswith(", 2 records quarantined)")
    one = TraceSet.from_spans(frame_of(trace_id=["a1", "", "b2", "b2", "c3", "c3", "d4", "d4"]))
    assert repr(one).endswith(", 1 record quarantined)")


def test_a_page_shows_names_as_text():
    page = TraceSet.from_spans(frame_of(service_name="<script>"))._repr_html_()
    assert page.startswith("<table>")
    assert "<script>" not in page
    assert "unknown: every trace counts once" in page


def test_a_page_shows_how_many_weights_are_known():
    traces = TraceSet.from_spans(frame_of(trace_id=["a1", "b2"] * 4))
    assert "<td>known</td>" in traces.with_weights(3)._repr_html_()
    partly = TraceSet(
        traces.columns, weights=Weights(np.array([3.0, 1.0]), Codes(np.array([0, 1]), ["given", "unknown"]))
    )
    assert "unknown for 1 of 2 traces, which count once" in partly._repr_html_()
    assert not repr(partly).endswith("weighted)")


def test_inferred_spans_are_no_error_of_a_service():
    """An inferred row tells the client's failure a second time."""
    bits = [0, int(Quality.INFERRED)] * 4
    traces = TraceSet.from_spans(frame_of(quality=bits, status_code="ERROR"))
    assert set(traces.summary["error_count"]) == {1}
    assert set(traces.summary["service_count"]) == {1}


def test_an_empty_set_answers_everything():
    empty = SHOP.where([False] * 8)
    assert len(empty) == 0
    for name in ("spans", "events", "links", "summary"):
        assert len(getattr(empty, name)) == 0
    assert empty.forest.root_row.tolist() == []
    assert empty.where("depth > 0").between(0, 1).with_weights(2).trace_ids == []


def test_halves_of_surrogate_pairs_are_replaced_and_reported():
    told = {"name": "GET \udfff", "service_name": "\ud83d\ude00 shop", "attributes.note": "\ud800"}
    told["status_message"] = "é"
    row = {"trace_id": "a1", "span_id": "1", "start_ns": 0, "end_ns": 5, **told}
    shop = TraceSet.from_spans(pd.DataFrame([row], dtype=object))
    (span,) = shop.spans.to_dict("records")
    assert (span["name"], span["service_name"], span["status_message"]) == ("GET \ufffd", "\U0001f600 shop", "é")
    assert shop.attribute("note").tolist() == ["\ufffd"]
    (issue,) = shop.issues.to_dict("records")
    assert (issue["code"], issue["action"]) == ("ENC_SURROGATE", "repaired")
    assert "found unpaired ones in name, service_name, attributes.note; replaced by U+FFFD" in issue["message"]


@pytest.mark.parametrize("edge", ["99:99", "24:61"])
def test_an_impossible_time_of_day_is_refused_as_written(edge):
    with pytest.raises(ValueError, match=f"expected a time such as 16:24 or 2026-11-21T16:24, found '{edge}'"):
        SHOP.between(edge)


# ------------------------------------------------------------------ iteration, sample, head


def test_iteration_yields_each_trace_as_trace_returns_it():
    weighted = SHOP.with_weights(np.array([1.0, 2.0, 3.0, 4.0]))
    assert [one.trace_ids for one in weighted] == [[trace_id] for trace_id in weighted.trace_ids]
    for one in weighted:
        expected = weighted.trace(one.trace_ids[0])
        for frame in ("spans", "attributes", "summary", "events", "links", "issues"):
            pd.testing.assert_frame_equal(getattr(one, frame), getattr(expected, frame))
        assert one.steps == expected.steps
    assert list(SHOP.where("service_name == 'nobody'")) == []


def test_iteration_reads_the_columns_of_one_trace_only(monkeypatch):
    def whole(*_):
        raise AssertionError("the whole set was searched for one trace")

    traces = iter(SHOP)
    first = next(traces)
    monkeypatch.setattr(type(SHOP.columns), "take", whole)
    assert [len(one.columns.spans) for one in (first, *traces)] == [2, 2, 2, 2]
    assert np.shares_memory(first.columns.spans.start_ns, SHOP.columns.spans.start_ns)


def test_ten_thousand_traces_are_iterated():
    rows = np.arange(10_000)
    frame = pd.DataFrame({"trace_id": [f"{n + 1:x}" for n in rows], "span_id": "1", "name": "x"})
    traces = TraceSet.from_spans(frame.assign(start_ns=BASE + rows, end_ns=BASE + rows + 1))
    starts = [one.columns.spans.start_ns[0] for one in traces]
    assert starts == (BASE + rows).tolist()


def test_a_sample_is_of_whole_traces_and_repeatable():
    sample = SHOP.sample(2, seed=3)
    assert len(sample) == 2
    assert len(sample.columns.spans) == 4
    assert sample.trace_ids == SHOP.sample(2, seed=3).trace_ids
    assert {tuple(SHOP.sample(2, seed=seed).trace_ids) for seed in range(60)} == {
        (a, b) for k, a in enumerate(SHOP.trace_ids) for b in SHOP.trace_ids[k + 1 :]
    }
    assert SHOP.sample(4).trace_ids == SHOP.trace_ids
    assert sample.steps == (".sample(2, seed=3)",)


def test_a_sample_has_the_weights_that_keep_totals():
    weights = Weights(
        np.array([10.0, 1.0, 20.0, 0.0]), Codes(np.array([0, 1, 0, 2]), ["given", "unknown", "not sampled"])
    )
    traces = TraceSet(SHOP.columns, weights=weights)
    everyone = pd.concat([traces.sample(3, seed=seed).summary for seed in range(40)])
    one = everyone.groupby(level=0)["weight"].agg(["min", "max"])
    assert one["min"].tolist() == one["max"].tolist() == pytest.approx([40 / 3, 1, 80 / 3, 0])
    known = SHOP.with_weights(np.array([1.0, 2.0, 3.0, 4.0]))
    totals = [known.sample(2, seed=seed).weights.value.sum() for seed in range(2000)]
    assert np.mean(totals) == pytest.approx(10, abs=0.3)  # 4.6 standard errors
    assert not SHOP.sample(2).weights.known.any()


@pytest.mark.parametrize("n", [0, -1, 5])
def test_a_sample_of_more_traces_than_there_are_is_refused(n):
    with pytest.raises(ValueError, match=f"expected n from 1 to the number of traces, 4, found {n}"):
        SHOP.sample(n)


def test_head_is_the_first_traces():
    assert short(SHOP.head(3)) == ["a1", "b2", "c3"]
    assert short(SHOP.head()) == ["a1", "b2", "c3", "d4"]
    assert len(SHOP.head(0)) == 0
    assert SHOP.head(2).steps == (".head(2)",)
    assert SHOP.with_weights(7).head(1).summary["weight"].tolist() == [7]
    with pytest.raises(ValueError, match="expected n of 0 or more traces, found -1"):
        SHOP.head(-1)


# ------------------------------------------------------------------ union


def test_parts_of_a_recording_are_added_once():
    first, second = SHOP.head(3), SHOP.where("service_name == 'search'")
    both = first + second
    assert short(both) == ["a1", "b2", "c3", "d4"]
    pd.testing.assert_frame_equal(both.spans.drop(columns="resource_id"), SHOP.spans.drop(columns="resource_id"))
    assert both.sources.equals(SHOP.sources)
    assert short(second + first) == short(both)
    assert repr(SHOP + SHOP) == repr(SHOP)


def test_sets_keep_their_weights_when_added():
    known, other = SHOP.head(2).with_weights(5), SHOP.where("service_name == 'search'")
    assert (known + other).summary["weight"].tolist() == [5, 5, 1, 1]
    assert (other + known).summary["weight_source"].tolist() == ["given", "given", "unknown", "unknown"]
    for both in (known + SHOP, SHOP + known):
        assert both.summary["weight"].tolist() == [5, 5, 1, 1], "known in one of the sets"
    assert (known + SHOP.with_weights(5)).summary["weight"].tolist() == [5, 5, 5, 5]


@pytest.mark.parametrize("other", [SHOP, TraceSet.from_spans(frame_of())])
def test_weights_that_differ_are_unknown(other):
    both = SHOP.head(1).with_weights(5) + other.with_weights(3)
    assert both.summary["weight"].tolist() == [1, 3, 3, 3]
    assert both.summary["weight_source"].tolist() == ["unknown", "given", "given", "given"]
    assert "the added sets have different weights for the same trace" in both.weights.statement


def test_only_sets_are_added():
    with pytest.raises(TypeError, match="unsupported operand"):
        SHOP + [SHOP]  # noqa: RUF005 - the question is what it raises


def test_a_condition_that_all_traces_meet_copies_nothing():
    traces = TraceSet.from_spans(frame_of())
    found = traces.with_weights(2).where("depth == 0")
    assert found.columns is traces.columns
    assert found.lookup is traces.lookup
    assert found.weights.value.tolist() == [2.0] * 4
    assert (found.trace_ids, found.steps[-1]) == (traces.trace_ids, ".where('depth == 0')")
