"""``TraceSet.from_spans`` column by column gives what it gives row by row."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_sets import assert_same_content

import tracekit as tk
from tracekit import TraceSet
from tracekit.errors import SchemaError
from tracekit.loading.frame_batch import FrameBatch
from tracekit.schema import ERROR_CLASSES, KINDS, RECORD_KINDS, STATUS_CODES, Quality

BASE = 1_750_000_000_000_000_000
IDS = st.integers(1, 40).map("{:x}".format)
VALUES = st.sampled_from(["a", "", "\ud800", "é", 1, True, 1.0, -0.0, 0.0, 2**70, (1, 2), {"k": 1}, b"x", None])
COLUMNS = {
    "parent_span_id": IDS | st.sampled_from([None, "", "0", "xyz", "0x1", "1" * 16, "1" * 17, 5]),
    "kind": st.sampled_from([None, *KINDS]),
    "status_code": st.sampled_from([None, *STATUS_CODES]),
    "record_kind": st.sampled_from([None, *RECORD_KINDS]),
    "error_class": st.sampled_from([None, *ERROR_CLASSES]),
    "status_message": st.sampled_from([None, "", "no", "\udfff"]),
    "trace_state": st.sampled_from([None, "", "ot=th:8"]),
    "trace_flags": st.sampled_from([None, 0, 1, 255]),
    "time_resolution_ns": st.sampled_from([None, 1, 1000]),
    "dropped_attributes_count": st.sampled_from([None, 0, 3]),
    "quality": st.sampled_from([0, int(Quality.SHARED), int(Quality.NO_END | Quality.TIME_FUTURE), 2**31]),
    "in_progress": st.sampled_from([None, True, False]),
    "parent_is_remote": st.sampled_from([None, True, False]),
    "is_error": st.sampled_from([None, True, False]),
    "http_response_status_code": st.sampled_from([None, 200, 503]),
    "operation": st.sampled_from([None, "GET /", "pay"]),
    "operation_source": st.sampled_from([None, "name", "aws.local.operation", "aws.operation"]),
    "service_name": st.sampled_from([None, "shop", "cart"]),
    "service_version": st.sampled_from([None, "1", "2"]),
    "peer_address": st.sampled_from([None, "10.0.0.1"]),
    "peer_port": st.sampled_from([None, 80, 443]),
    "attributes.aws.xray.fault": st.sampled_from([None, True, False]),
    "attributes.client.address": st.sampled_from([None, "10.0.0.9"]),
    "attributes.any": VALUES,
    "resource.any": VALUES,
    "unused": VALUES,
}
TIMES = st.integers(BASE, BASE + 50) | st.sampled_from([None, 0, -5, 2**63 - 1, -(2**63)])


@st.composite
def frames(draw):
    count = draw(st.integers(0, 8))

    def cells(values):
        return draw(st.lists(values, min_size=count, max_size=count))

    columns = {
        "trace_id": cells(IDS | st.sampled_from(["f" * 32, "1-" + "2" * 8 + "-" + "3" * 24, "none", "0", None, 7])),
        "span_id": cells(IDS | st.sampled_from(["f" * 16, "AQIDBAUGBwg=", "-1", ""])),
        "name": cells(st.sampled_from(["GET /", "", "\ud800 torn", None, "<b>", 5])),
        "start_ns": cells(TIMES),
        "end_ns": cells(TIMES),
    }
    columns |= {name: cells(COLUMNS[name]) for name in draw(st.sets(st.sampled_from(sorted(COLUMNS))))}
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    for name in draw(st.sets(st.sampled_from(["start_ns", "end_ns"]))):
        frame[name] = pd.array(columns[name], "Int64")
    for name in draw(st.sets(st.sampled_from(sorted(frame)))):
        if not any(isinstance(cell, str) and "\ud800" <= max(cell, default="") <= "\udfff" for cell in columns[name]):
            frame[name] = frame[name].infer_objects()
    frame.index = draw(st.permutations(range(count)))
    for name in draw(st.sets(st.sampled_from(["kind", "service_name", "name", "error_class"]))):
        if name in frame and isinstance(frame[name].dtype, pd.StringDtype):
            frame[name] = frame[name].astype("category")
    return frame


def by_row(frame, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(FrameBatch, "load", lambda rows: np.arange(len(rows.frame)))
        return TraceSet.from_spans(frame)


@settings(max_examples=150)
@given(frames())
def test_columns_give_what_rows_give(frame):
    with pytest.MonkeyPatch.context() as patch:
        try:
            expected = by_row(frame, patch)
        except (SchemaError, OverflowError) as refused:
            expected = refused
    if isinstance(expected, Exception):
        with pytest.raises(type(expected), match=re.escape(str(expected))):
            TraceSet.from_spans(frame)
    else:
        assert_same_content(TraceSet.from_spans(frame), expected)


@pytest.mark.parametrize("name", ["checkout-xray", "checkout-regression"])
def test_samples_give_what_their_rows_give(name, monkeypatch):
    sample = tk.load_sample(name)
    traces = sample if isinstance(sample, TraceSet) else sample[0]
    frame = traces.spans.head(500)
    assert_same_content(TraceSet.from_spans(frame), by_row(frame, monkeypatch))


def usual(**columns):
    rows = {
        "trace_id": ["a", "b"],
        "span_id": ["1", "2"],
        "name": "n",
        "start_ns": [BASE, BASE],
        "end_ns": [BASE, BASE],
    }
    return pd.DataFrame(rows | columns)


def loaded_by_column(frame, monkeypatch):
    """How many rows were added at once."""
    found, load = [], FrameBatch.load

    def counted(rows):
        odd = load(rows)
        found.append(len(rows.frame) - len(odd))
        return odd

    monkeypatch.setattr(FrameBatch, "load", counted)
    TraceSet.from_spans(frame)
    return max(found)


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ({}, 2),
        ({"start_ns": [1.0, None]}, 2),
        ({"attributes.a": [[1], {"b": 2}]}, 2),
        ({"trace_id": ["a", "no"]}, 1),
        ({"name": pd.Series(["\ud800", "n"], dtype=object)}, 1),
        ({"end_ns": [2.0**60, 5.0]}, 1),
        ({"span_id": [1, 2]}, 0),
    ],
)
def test_only_unusual_rows_are_read_one_by_one(columns, wanted, monkeypatch):
    assert loaded_by_column(usual(**columns), monkeypatch) == wanted
