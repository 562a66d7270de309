"""The checksum of traces: the same for the same content, another one for any change."""

from dataclasses import fields, replace

import numpy as np
import otlp_made as made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tracekit.errors import LoadError
from tracekit.loading.checksum import checksum, sums_of


@pytest.fixture(scope="module")
def during():
    return tk.load_sample("checkout-regression")[1]


def test_it_is_the_same_however_the_traces_are_stored(during, tmp_path):
    expected = checksum(during)
    assert checksum(tk.read(during.save(tmp_path / "a.parquet"))) == expected
    assert (
        checksum(tk.read(tk.convert(tmp_path / "a.parquet", tmp_path / "b.parquet", spans_at_once=2_000))) == expected
    )
    during.to_otlp(tmp_path / "a.jsonl", redact=None)
    lines = (tmp_path / "a.jsonl").read_bytes().splitlines(keepends=True)
    assert checksum(tk.read(b"".join(reversed(lines)))) == expected
    halves = [during.head(300), during.where(~during.spans["trace_id"].isin(during.head(300).trace_ids).to_numpy())]
    assert checksum(halves[1] + halves[0]) == expected
    assert checksum(during.with_weights(3)) == expected, "weights are not recorded content"


def test_a_part_of_a_store_has_the_sum_of_its_traces(during, tmp_path):
    store = tk.open(during.save(tmp_path / "a.parquet"))
    np.testing.assert_array_equal(sums_of(store.part(0)), sums_of(during))  # more names of spans than other texts


def test_subsets_and_other_recordings_differ(during):
    found = {
        checksum(one) for one in (during, during.head(999), during.head(0), tk.load_sample("checkout-regression")[0])
    }
    assert len(found) == 4


LINE = made.lines(
    made.request(
        made.span(
            traceId="5b8efff798038103d269b633813fc60c",
            spanId="eee19b7ec3c1b174",
            name="GET /cart",
            startTimeUnixNano="1700000000123456789",
            endTimeUnixNano="1700000000987654321",
            attributes=[made.text("user.tier", "gold7"), made.attribute("n", {"intValue": 41})],
            events=[
                {"name": "retry3", "timeUnixNano": "1700000000223456789", "attributes": [made.text("why", "slow5")]}
            ],
            links=[{"traceId": "4b8efff798038103d269b633813fc60c", "spanId": "aee19b7ec3c1b174"}],
        ),
        resource=made.resource("shop2"),
        scope={"name": "tracer9", "version": "1.4"},
    )
)
DIGITS = [at for at, byte in enumerate(LINE) if chr(byte).isdigit()]


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(DIGITS), st.integers(1, 9))
def test_one_digit_of_the_source_changes_it(at, more):
    changed = bytearray(LINE)
    changed[at] = ord("0") + (changed[at] - ord("0") + more) % 10
    try:
        found = tk.read(bytes(changed))
    except LoadError:  # a number that begins with 0 is not JSON: noticed as well
        return
    if len(found.spans) == 1 and not len(found.issues):  # else it is another record, or none
        assert checksum(found) != checksum(tk.read(LINE))


def test_every_recorded_column_counts(during):
    small = during.head(20)
    spans, expected = small.columns.spans, checksum(small)
    left_out = {"source", "record_number", "byte_offset", "quality"}
    for field in fields(spans):
        values = getattr(spans, field.name).copy()
        if field.name in {"name", "resource", "scope", "status_message", "trace_state"}:
            values[3] = values[np.flatnonzero(values != values[3])[0]] if (values != values[3]).any() else values[3]
            changes = bool((values != getattr(spans, field.name)).any())
        else:
            values[3] += 1
            changes = True
        moved = tk.TraceSet(replace(small.columns, spans=replace(spans, **{field.name: values})), forest=small.forest)
        assert (checksum(moved) != expected) == (changes and field.name not in left_out), field.name
