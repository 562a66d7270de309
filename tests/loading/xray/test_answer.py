"""The quick way into X-Ray's answers: what it takes means the same the tolerant way, the rest is left to that."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.loading import read
from tracekit.loading.formats import LOADERS
from tracekit.loading.xray import answer as xray_answer
from tracekit.loading.xray import loader as xray

TRACE = "1-58406520-a006649127e371903a2de979"
TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('\\"\0\n{}[]'), max_size=6)
DOCUMENTS = st.fixed_dictionaries(
    {"id": st.sampled_from(["a" * 16, "b" * 16, "zz"]), "name": TEXTS, "start_time": st.floats(1e9, 2e9)},
    optional={
        "end_time": st.floats(1e9, 2e9),
        "trace_id": st.sampled_from([TRACE, TRACE[:-1] + "0", "x"]),
        "annotations": st.dictionaries(TEXTS, TEXTS | st.floats(), max_size=2),
        "fault": st.booleans(),
    },
)
ENTRIES = st.fixed_dictionaries({"Id": st.sampled_from(["a" * 16, "b" * 16]), "Document": DOCUMENTS.map(json.dumps)})
TRACES = st.fixed_dictionaries(
    {"Id": st.just(TRACE), "Segments": st.lists(ENTRIES, max_size=3)},
    optional={
        "Duration": st.floats(0, 1e5) | st.none() | st.integers(0, 9),
        "LimitExceeded": st.booleans() | st.none(),
    },
)
ANSWERS = st.fixed_dictionaries(
    {"Traces": st.lists(TRACES, max_size=3)},
    optional={
        "UnprocessedTraceIds": st.lists(st.just(TRACE), max_size=2) | st.none(),
        "NextToken": st.just("more") | st.none(),
        "ResponseMetadata": st.dictionaries(TEXTS, TEXTS, max_size=2),
    },
)
TABLES = ("spans", "attributes", "events", "resources", "sources", "issues")


@settings(max_examples=60)
@given(st.lists(ANSWERS, min_size=1, max_size=3), st.booleans())
def test_both_ways_into_an_answer_mean_the_same(answers, is_ascii):
    data = "".join(json.dumps(answer, ensure_ascii=is_ascii) + "\n" for answer in answers).encode()
    with pytest.MonkeyPatch.context() as patch:
        scanner = read(data, time_unit="ns")
        tolerant = tuple(replace(loader, scanner=None) for loader in LOADERS)
        patch.setattr("tracekit.loading.formats.LOADERS", tolerant)
        slow = read(data, time_unit="ns")
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(scanner, table), getattr(slow, table), check_categorical=False, obj=table)


@pytest.mark.parametrize(
    "line",
    [
        b'{"Traces": [], "Colour": 1}',
        b'{"Traces": [{"Id": 7, "Segments": []}]}',
        b'{"Traces": [{"Id": "x", "Segments": [{"Id": "y", "Document": {}}]}]}',
        b'{"Traces": [{"Id": "x", "Segments": [], "Duration": NaN}]}',
        b'{"Traces": [{"Id": "x", "Segments": [], "Duration": "1"}]}',
        b'{"Traces": [{"Id": "\\ud800", "Segments": []}]}',
        b'{"Traces": []} {}',
        b'{"Traces": [], "ResponseMetadata": {"x": "\\u0000"}}',
        b'{"Traces": ' + b"[" * 5000,
        b"{}",
        b"",
    ],
)
def test_what_is_not_exactly_an_answer_is_left_to_the_tolerant_reader(line):
    with pytest.raises(ValueError, match=r"^expected an answer of BatchGetTraces, found something else"):
        xray_answer.decode(line)


def test_strict_reading_detects_a_field_that_occurs_twice():
    line = b'{"Traces": [], "Traces": [{"Id": "%s", "Segments": []}]}\n' % TRACE.encode()
    assert "JSON_DUP_KEY" in set(read(line, strict=True).issues["code"])
    assert xray.LOADER.scanner is not None
