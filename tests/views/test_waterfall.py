import json

import numpy as np
import pandas as pd
import pytest
from hand_drawn import PAY, PAY_ID, pay_traces, spans
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit import TraceSet
from tracekit.loading import read
from tracekit.text import REPLACEMENT
from tracekit.views.details import NO_TIME
from tracekit.views.tkw1 import decode, encode
from tracekit.views.waterfall.payload import Flag, encoded, span_details, trace_payload
from tracekit.views.waterfall.rows import trace_rows


@pytest.fixture
def pay():
    return pay_traces()


def names(payload):
    return [payload.strings[code] for code in payload.columns["name"]]


def pairs(payload, row, counts="attrN", keys="attrK", values="attrV"):
    high = int(payload.columns[counts][: row + 1].sum())
    low = high - int(payload.columns[counts][row])
    return {
        payload.strings[payload.columns[keys][k]]: payload.strings[payload.columns[values][k]] for k in range(low, high)
    }


def test_the_rows_of_a_hand_drawn_trace(pay):
    payload = trace_payload(pay, PAY_ID)
    columns = payload.columns
    assert names(payload) == ["POST /pay", "lock", "charge", "SELECT", "send"]
    assert columns["start"].tolist() == [0, 50, 200, 250, 850]
    assert columns["dur"].tolist() == [1000, 100, 600, 250, 50]
    assert columns["depth"].tolist() == [0, 1, 1, 2, 0]
    assert columns["parent"].tolist() == [-1, 0, 0, 2, -1]
    assert columns["subEnd"].tolist() == [4, 2, 4, 4, 5]
    assert columns["flags"].tolist() == [0, 0, Flag.ERROR, 0, Flag.ORPHAN]
    assert [payload.meta["services"][code] for code in columns["svc"]] == ["shop", "cart", "ledger", "ledger", "mailer"]
    assert payload.meta["note"] == "1 span with a missing parent (orphan)"


def test_the_order_of_the_input_does_not_matter():
    rows = [PAY[k] for k in (4, 2, 0, 3, 1)]
    assert names(trace_payload(TraceSet.from_spans(spans(rows)), "0000")) == [
        "POST /pay",
        "lock",
        "charge",
        "SELECT",
        "send",
    ]


def test_a_unique_beginning_is_enough_and_an_unknown_id_names_the_nearest(pay):
    assert trace_payload(pay, "0000").meta["id"] == PAY_ID
    with pytest.raises(ValueError, match=f"expected the id of one of 1 traces, found 'beef'.*{PAY_ID}"):
        trace_payload(pay, "beef")


def test_missing_ends_and_starts_are_drawn_open_and_labelled():
    rows = [
        ("1", None, "a", "root", "SERVER", 100, None, "UNSET"),
        ("2", "1", "a", "whole", "SERVER", 150, 400, "UNSET"),
        ("3", "1", "a", "no start", "SERVER", None, 300, "UNSET"),
        ("4", "1", "a", "backwards", "SERVER", 250, 200, "UNSET"),
    ]
    payload = trace_payload(TraceSet.from_spans(spans(rows)), "0000")
    by_name = dict(zip(names(payload), range(4), strict=True))
    root, backwards, lost = by_name["root"], by_name["backwards"], by_name["no start"]
    columns = payload.columns
    assert (columns["start"][root], columns["dur"][root], columns["flags"][root]) == (0, 300, Flag.NO_END)
    assert (columns["start"][lost], columns["dur"][lost], columns["flags"][lost]) == (0, 200, Flag.NO_START)
    assert (columns["start"][backwards], columns["dur"][backwards]) == (150, -50)
    assert payload.meta["note"] == (
        "1 span without an end, drawn to the end of the trace; 1 span without a start, drawn from its beginning; "
        "1 span with a negative duration"
    )


def test_a_trace_without_any_time_still_has_rows():
    payload = trace_payload(TraceSet.from_spans(spans([("1", None, "a", "x", "SERVER", None, None, "UNSET")])), "0000")
    assert payload.columns["start"].tolist() == [0]
    assert payload.columns["dur"].tolist() == [0]
    encode(payload)


def test_details_are_those_of_the_frames(pay):
    payload = trace_payload(pay, PAY_ID)
    assert pairs(payload, 0) == {"tenant": "blue"}
    assert pairs(payload, 1) == {}
    assert pairs(payload, 4) == {"tenant": f"a{REPLACEMENT}b"}
    resource = payload.columns["res"][2]
    assert pairs(payload, resource, "resN", "resK", "resV") == {"service.name": "ledger"}
    assert payload.columns["spanLo"].tolist() == [1, 2, 3, 4, 5]
    assert [payload.strings[code] for code in payload.columns["parId"]] == ["", "", "", "", f"{0x99:016x}"]
    assert payload.meta["sources"] == ["frame"]


def test_one_span_requested_alone_has_the_same_details(pay):
    whole, shown = trace_payload(pay, PAY_ID), trace_rows(pay, PAY_ID)
    for row in range(5):
        alone = span_details(pay, int(shown.rows[row]), shown.base_ns)
        parent = alone.strings[alone.columns["parId"][0]]
        assert parent == ("", f"{1:016x}", f"{1:016x}", f"{3:016x}", f"{0x99:016x}")[row]
        assert pairs(alone, 0) == pairs(whole, row)
        assert alone.columns["spanLo"][0] == whole.columns["spanLo"][row]
        assert alone.columns["rec"][0] == whole.columns["rec"][row]


def test_without_details_there_are_none(pay):
    payload = trace_payload(pay, PAY_ID, with_details=False)
    rows = {"start", "dur", "depth", "parent", "subEnd", "svc", "name", "kind", "flags"}
    assert set(payload.columns) == rows | {"evN", "evAt", "evName"}
    sent = decode(encoded(payload)).columns
    assert set(sent) == set(payload.columns) - {"parent", "subEnd"}
    assert all((sent[name] == payload.columns[name]).all() for name in sent)


def test_a_resource_is_sent_once_per_service_if_equal(pay):
    payload = trace_payload(pay, PAY_ID)
    sent = decode(encoded(payload)).columns
    assert "res" not in sent
    assert (sent["resOf"][sent["svc"]] == payload.columns["res"]).all()
    frame = spans(PAY).assign(**{"resource.host.name": ["h1", "h1", "h1", "h2", "h1"]})  # ledger runs on two hosts
    sent = decode(encoded(trace_payload(TraceSet.from_spans(frame), "0000"))).columns
    assert sent["res"].tolist() != sent["svc"].tolist()
    assert "resOf" not in sent
    assert "res" in decode(encoded(span_details(pay, 0, 0))).columns


def test_hostile_names_are_cleaned_before_the_page_sees_them():
    rows = [("1", None, "\u202ecart\x00", "gpj\u202e.exe\ud83d", "SERVER", 1, 2, "UNSET")]
    payload = trace_payload(TraceSet.from_spans(spans(rows, dtype=object)), "0000")
    assert names(payload) == [f"gpj{REPLACEMENT}.exe{REPLACEMENT}"]
    assert payload.meta["services"] == [f"{REPLACEMENT}cart{REPLACEMENT}"]


@st.composite
def traces(draw):
    n = draw(st.integers(1, 25))
    parents = [None] + [draw(st.sampled_from([None, "ff", *map(str, range(1, k + 1))])) for k in range(1, n)]
    starts = [draw(st.integers(1, 10**6)) for _ in range(n)]
    return [
        (str(k + 1), parents[k], f"s{k % 4}", f"n{k}", "SERVER", starts[k], starts[k] + k, "UNSET") for k in range(n)
    ]


@given(traces())
@settings(max_examples=50, deadline=None)
def test_preorder_laws(rows):
    columns = trace_payload(TraceSet.from_spans(spans(rows)), "0000").columns
    n, parent, end, depth = len(rows), columns["parent"], columns["subEnd"], columns["depth"]
    assert columns["start"].min() == 0
    for i in range(n):
        inside = [j for j in range(n) if _ancestors(parent, j) & {i}]
        assert inside == list(range(i + 1, end[i]))  # a subtree is what follows, up to its end
        assert depth[i] == len(_ancestors(parent, i))
    told = {(f"n{k}", row[1] if row[1] != "ff" else None) for k, row in enumerate(rows)}
    spelled = [f"n{int(code)}" for code in _numbers(rows, columns)]
    found = {(spelled[i], None if parent[i] < 0 else str(int(spelled[parent[i]][1:]) + 1)) for i in range(n)}
    assert found == told


def _ancestors(parent, i):
    out = set()
    while (i := parent[i]) >= 0:
        out.add(i)
    return out


def _numbers(rows, columns):
    """Which input row each drawn row is: ids are 1 to n."""
    return columns["spanLo"].astype(np.int64) - 1 if len(rows) < 10 else [int(f"{x:x}") - 1 for x in columns["spanLo"]]


def otlp(*spans_):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans_)}]}]}).encode()


def otlp_span(number, **more):
    times = {"startTimeUnixNano": str(1_000 + number), "endTimeUnixNano": "5000"}
    return {"traceId": f"{0xA1:032x}", "spanId": f"{number:016x}", "name": f"n{number}", **times, **more}


def test_events_and_links_are_shown_with_their_span():
    refused = [{"key": "exception.type", "value": {"stringValue": "Refused"}}]
    events = [
        {"name": "retry", "timeUnixNano": "2000"},
        {"name": "exception", "timeUnixNano": "3000", "attributes": refused},
    ]
    links = [{"traceId": f"{0xB2:032x}", "spanId": f"{7:016x}"}]
    traces = read(
        otlp(otlp_span(1), otlp_span(2, events=events), otlp_span(3, links=links), otlp_span(4, events=events[:1]))
    )
    payload = trace_payload(traces, "0000")
    columns, strings = payload.columns, payload.strings
    assert names(payload) == ["n1", "n2", "n3", "n4"]
    assert columns["evN"].tolist() == [0, 2, 0, 1]
    assert [strings[code] for code in columns["evName"]] == ["retry", "exception", "retry"]
    assert columns["evAt"].tolist() == [999, 1999, 999]
    assert pairs(payload, 1, "evAttrN", "evAttrK", "evAttrV") == {"exception.type": "Refused"}
    assert columns["lnN"].tolist() == [0, 0, 1, 0]
    assert columns["flags"].tolist() == [0, 0, Flag.LINKED, 0]
    assert [strings[code] for code in columns["lnText"]] == [f"trace {0xB2:032x} span {7:016x}"]
    shown = trace_rows(traces, "0000")
    assert span_details(traces, int(shown.rows[1]), shown.base_ns).columns["evAt"].tolist() == [999, 1999]


def test_an_event_without_a_time_is_marked_and_a_namespace_precedes_its_key():
    cause = {"working_directory": "/", "exceptions": [{"id": "0123456789abcdef", "message": "no", "type": "Refused"}]}
    segment = {
        "id": "0000000000000001",
        "trace_id": "1-5f84c7a1-000000000000000000000001",
        "name": "cart",
        "fault": True,
    }
    segment |= {"start_time": 1602537377.5, "end_time": 1602537378.5, "cause": cause, "metadata": {"shop": {"size": 7}}}
    payload = trace_payload(read(json.dumps(segment).encode()), "5f84")
    assert payload.columns["evAt"].tolist() == [NO_TIME]
    assert pairs(payload, 0)["shop: size"] == "7"


def test_a_chain_of_100_000_spans_is_no_special_case():
    n = 100_000
    ids = [f"{k + 1:016x}" for k in range(n)]
    frame = pd.DataFrame(
        {
            "trace_id": "a1",
            "span_id": ids,
            "parent_span_id": [None, *ids[:-1]],
            "name": "x",
            "start_ns": np.arange(n),
            "end_ns": 2 * n - np.arange(n),
        }
    )
    columns = trace_payload(TraceSet.from_spans(frame), "0000", with_details=False).columns
    assert columns["depth"].max() == n - 1
    assert (columns["subEnd"] == n).all()
