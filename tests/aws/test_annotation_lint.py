"""Annotations and metadata against the documented limits, each limit from both sides."""

import functools
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, split
from tracekit.aws import annotation_use
from tracekit.aws.annotation_lint import annotation_lint

S = 1_760_000_000


def segments(count, make):
    """As many traces of one segment with one subsegment each."""
    documents = []
    for at in range(count):
        inner = {"id": f"{at + 2**40:016x}", "name": "work", "start_time": S + 0.1, "end_time": S + 0.2}
        outer = {
            "id": f"{at + 1:016x}",
            "trace_id": f"1-{S:08x}-{at + 1:024x}",
            "name": "cart",
            "start_time": float(S),
            "end_time": S + 1.0,
            "subsegments": [inner],
        }
        own, below = make(at)
        documents.append(json.dumps(outer | own | {"subsegments": [inner | below]}))
    return tk.read("\n".join(documents).encode())


def lint(count, make):
    return {finding.check: finding for finding in annotation_lint(segments(count, make))}


def annotated(**keys):
    return lambda _: ({"annotations": keys}, {})


def test_nothing_is_found_where_nothing_is_wrong():
    assert lint(3, annotated(tenant="blue")) == {}
    assert len(annotation_lint(tk.load_sample("checkout-xray").where("duration > 1000"))) == 0


def test_spans_of_other_formats_are_not_looked_at(shop):
    assert len(annotation_lint(shop)) == 0


@pytest.mark.parametrize(("more", "is_found"), [(25, False), (26, True)])
def test_fifty_annotations_a_trace(more, is_found):
    own = {f"a{at}": at for at in range(25)}
    below = {f"b{at}": at for at in range(more)}
    found = lint(2, lambda at: ({"annotations": own}, {"annotations": below if at else own}))
    assert ("annotations.count" in found) is is_found
    if is_found:
        headline = "1 trace of 2 has more than 50 annotations, up to 51: X-Ray indexes 50 per trace."
        assert found["annotations.count"].headline == headline
        assert found["annotations.count"].exemplars == (f"{S:08x}{2:024x}",)
        assert found["annotations.count"].severity == "warning"


@pytest.mark.parametrize(
    ("key", "check"),
    [
        ("cart_size.2", None),
        ("cart size", "annotations.key"),
        ("cart-size", "annotations.key"),
        ("größe", "annotations.key"),
        ("k" * 500, None),
        ("k" * 501, "annotations.key_length"),
    ],
)
def test_keys(key, check):
    found = lint(2, annotated(**{key: 1}))
    assert set(found) == ({check} if check else set())
    if check:
        assert "X-Ray does not index 1 annotation key for its" in found[check].headline
        assert found[check].evidence["key"].tolist() == [key]


def test_only_five_keys_are_listed():
    found = lint(1, annotated(**{f"key {at}": 1 for at in range(7)}))
    assert found["annotations.key"].headline.endswith("'key 0', 'key 1', 'key 2', 'key 3', 'key 4' and 2 more.")


@pytest.mark.parametrize(("value", "is_found"), [("é" * 1000, False), ("x" * 1001, True), ("é" * 1001, True)])
def test_values_are_counted_in_characters(value, is_found):
    found = lint(2, annotated(note=value))
    assert ("annotations.value" in found) is is_found
    if is_found:
        assert "longer than 1,000 characters, up to 1,001: 'note'" in found["annotations.value"].headline


@pytest.mark.parametrize(("size", "is_found"), [(51_000, False), (52_000, True)])
def test_segments_near_the_limit(size, is_found):
    def make(at):
        text = "x" * (size // 2) if at else ""
        return {"metadata": {"debug": {"dump": text}}}, {"metadata": {"debug": {"dump2": text}}}

    found = lint(3, make)
    assert ("segment.size" in found) is is_found
    if is_found:
        assert found["segment.size"].headline.startswith("2 segments of 3 have at least 80% of X-Ray's 64 KB limit")
        evidence = found["segment.size"].evidence
        assert evidence["service_name"].tolist() == ["cart", "cart"]
        assert evidence["span_id"].tolist() == [f"{at + 1:016x}" for at in (1, 2)]
        assert evidence["trace_id"].tolist() == [f"{S:08x}{at + 1:024x}" for at in (1, 2)]


@pytest.mark.parametrize(("size", "is_found"), [(39_000, False), (41_000, True)])
def test_traces_near_the_limit(size, is_found):
    documents = [
        {
            "id": f"{at + 1:016x}",
            "trace_id": f"1-{S:08x}-{1:024x}",
            "name": "cart",
            "start_time": float(S),
            "end_time": S + 1.0,
            "metadata": {"debug": {"dump": f"{at}" + "x" * size}},
        }
        for at in range(10)
    ]
    found = annotation_lint(tk.read("\n".join(map(json.dumps, documents)).encode()))
    assert [finding.check for finding in found] == ["trace.size"] * is_found


def test_traces_that_were_cut():
    document = {
        "id": "1" * 16,
        "name": "cart",
        "start_time": float(S),
        "end_time": S + 1.0,
        "trace_id": f"1-{S:08x}-{1:024x}",
    }
    trace = {
        "Id": document["trace_id"],
        "LimitExceeded": True,
        "Segments": [{"Id": "1" * 16, "Document": json.dumps(document)}],
    }
    (finding,) = annotation_lint(tk.read(json.dumps({"Traces": [trace], "UnprocessedTraceIds": []}).encode()))
    assert str(finding).startswith("critical: 1 of 1 trace was truncated by X-Ray, which stopped adding segments.")
    assert finding.exemplars == (f"{S:08x}{1:024x}",)


@pytest.mark.parametrize(("values", "is_found"), [(50, False), (51, True)])
def test_annotations_with_a_value_a_trace(values, is_found):
    found = lint(100, lambda at: ({"annotations": {"request": at % values}}, {}))
    assert ("annotations.unbounded" in found) is is_found
    few = lint(49, lambda at: ({"annotations": {"request": at}}, {}))
    assert few == {}, "too few traces to say so"


def test_annotations_that_never_differ():
    found = lint(50, annotated(tenant="blue"))
    assert found["annotations.constant"].headline == "1 annotation key never differs: 'tenant'."
    assert lint(50, lambda at: ({"annotations": {"tenant": "red" if at else "blue"}}, {})) == {}
    assert lint(51, lambda at: ({"annotations": {"tenant": "blue"} if at else {}}, {})) == {}, (
        "its absence tells something"
    )


@pytest.mark.parametrize(
    ("value", "is_found"),
    [
        (lambda at: at % 20, True),
        (lambda at: at % 21, False),
        (lambda at: f"tenant {at % 2}", True),
        (lambda _: "the same", False),
        (lambda at: "x" * 101 + str(at % 2), False),
        (lambda at: [at % 2], False),
        (lambda at: at % 2 == 0, True),
    ],
)
def test_metadata_that_one_would_search_by(value, is_found):
    found = lint(60, lambda at: ({"metadata": {"shop": {"tenant": value(at)}}}, {}))
    assert ("metadata.searchable" in found) is is_found
    if is_found:
        headline = "1 metadata key groups the traces into few values but cannot be searched: 'tenant'."
        assert found["metadata.searchable"].headline == headline
    half = lint(120, lambda at: ({"metadata": {"shop": {"tenant": value(at)} if at % 2 else {}}}, {}))
    assert "metadata.searchable" not in half


def everything(at):
    """Annotations and metadata with each problem, in some of the traces."""
    own = {"request": at, "tenant": "blue", "bad key": at % 3, "k" * 501: True, "size": [1, "1", 1.5][at % 3]}
    many = {f"b{one}": one for one in range(at % 60)}
    notes = {"shop": {"plan": f"plan {at % 7}"}, "debug": {"plan": "x" * (60_000 if at % 9 == 0 else 1)}}
    return {"annotations": own | many, "metadata": notes}, {"annotations": {"note": "é" * (1_000 + at % 2)}}


def truncated(traces):
    """The same traces, of which X-Ray truncated some."""
    documents = [
        {"id": f"{at + 1:016x}", "trace_id": f"1-{S + 1:08x}-{at + 1:024x}", "name": "cart", "start_time": float(S)}
        | {
            "end_time": S + 1.0,
            "annotations": {"tenant": "blue"},
            "metadata": {"debug": {f"dump{one}": "x" * 30_000 for one in range(15)}},
        }
        for at in range(6)
    ]
    cut = [
        {"Id": one["trace_id"], "LimitExceeded": at < 3, "Segments": [{"Id": one["id"], "Document": json.dumps(one)}]}
        for at, one in enumerate(documents)
    ]
    return traces + tk.read(json.dumps({"Traces": cut, "UnprocessedTraceIds": []}).encode())


@functools.cache
def recording():
    return truncated(segments(120, everything))


def agree(found, expected):
    assert [(one.check, one.headline, one.exemplars, one.estimate, one.assumptions) for one in found] == [
        (one.check, one.headline, one.exemplars, one.estimate, one.assumptions) for one in expected
    ]
    for one, other in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(one.evidence, other.evidence)


@pytest.mark.parametrize("count", COUNTS)
def test_a_store_has_the_findings_of_its_traces(count, tmp_path):
    expected = annotation_lint(recording())
    assert {one.check for one in expected} == {
        "annotations.count", "annotations.key", "annotations.key_length", "annotations.value", "segment.size",
        "trace.cut", "trace.size", "annotations.unbounded", "annotations.constant", "metadata.searchable",
    }  # fmt: skip
    agree(tk.annotation_lint(split(recording(), tmp_path / "a.parquet", count, seed=count), on=1), expected)


@settings(max_examples=5, deadline=None)
@given(chosen=st.lists(st.integers(0, 2), min_size=126, max_size=126), order=st.randoms(use_true_random=False))
def test_the_split_and_the_order_of_merging_do_not_matter(chosen, order):
    traces = recording()
    named = pd.Series(chosen, traces.trace_ids)[traces.spans["trace_id"]].to_numpy()
    states = [annotation_use.used_in_part(traces.where(named == one)) for one in range(3)]
    order.shuffle(states)
    found, expected = functools.reduce(annotation_use.Used.plus, states), annotation_use.used_in(traces)
    assert (found.trace_count, found.segment_count) == (expected.trace_count, expected.segment_count)
    for name in ("crowded", "segments", "large", "cut"):
        (count, rows), (other, wanted) = (getattr(one, name) for one in (found, expected))
        assert count == other > 0
        pd.testing.assert_frame_equal(rows, wanted)
    for origin in (annotation_use.Origin.ANNOTATION, annotation_use.Origin.METADATA):
        pd.testing.assert_frame_equal(found.by_key(origin), expected.by_key(origin))


def test_states_are_limited_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(annotation_use, "MOST_ROWS", 2)
    store = split(recording(), tmp_path / "a.parquet", 3)
    found = {one.check: one for one in tk.annotation_lint(store, on=1)}
    for one in annotation_lint(recording()):
        assert found[one.check].headline == one.headline
        if "trace_id" in one.evidence:
            pd.testing.assert_frame_equal(found[one.check].evidence, one.evidence.head(2))
            assert found[one.check].estimate.value == len(one.evidence) > 2
            assert "evidence: the 2 largest" in found[one.check].assumptions
    with pytest.raises(ValueError, match="expected a TraceStore with on="):
        tk.annotation_lint(recording(), on=2)


def test_many_values_are_estimated_with_a_stated_error(tmp_path):
    traces = segments(6_000, lambda at: ({"annotations": {"request": at}}, {}))
    (found,) = tk.annotation_lint(split(traces, tmp_path / "a.parquet", 2), on=1)
    assert found.check == "annotations.unbounded"
    count, error = found.evidence[["value_count", "value_error_ratio"]].to_numpy()[0]
    assert 0.015 < error < 0.025
    assert abs(count / 6_000 - 1) < 4 * error
