"""Laws of every public analysis and of its view, found in the facade: a new one is tested without being listed."""

import dataclasses
import inspect
import json

import numpy as np
import pandas as pd
import pytest
from all_views import HOSTILE

import tracekit as tk
from tracekit.findings import Shown
from tracekit.views.plot import VIEWS, view_of


def is_analysis(function):
    """Whether traces alone are enough to call it, and it answers with a result."""
    if not inspect.isfunction(function):
        return False
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.default is each.empty] == ["traces"]


ANALYSES = [name for name in tk.__all__ if is_analysis(getattr(tk, name))]


def spans(names=("GET /", "GET", "SELECT"), services=("front", "front", "ledger"), traces=24):
    rng, rows = np.random.default_rng(1), []
    for k in range(traces):
        begin, took = 1_747_231_200_000_000_000 + k * 10**9, int(rng.integers(40, 90)) * 10**6
        rows += [
            {
                "trace_id": f"{k + 1:032x}",
                "span_id": f"{k + 1:08x}{depth + 1:08x}",
                "parent_span_id": f"{k + 1:08x}{depth:08x}" if depth else None,
                "service_name": services[depth],
                "name": names[depth],
                "kind": ("SERVER", "CLIENT", "SERVER")[depth],
                "start_ns": begin + depth * 10**6,
                "end_ns": begin + took - depth * 10**6,
                "status_code": "ERROR" if k % 5 == 0 else "UNSET",
            }
            for depth in range(3)
        ]
    return pd.DataFrame(rows)


def frames(answer):
    """Every DataFrame of an answer."""
    if isinstance(answer, tk.Findings):
        return [answer.frame().sort_values(["check", "headline"], ignore_index=True)]
    if dataclasses.is_dataclass(answer):
        members = [getattr(answer, field.name, None) for field in dataclasses.fields(answer)]
        return [member for member in members if isinstance(member, pd.DataFrame)]
    return [answer] if isinstance(answer, pd.DataFrame) else []


def test_the_facade_has_the_analyses():
    assert {"latency", "errors", "service_graph", "critical_path", "quality", "sampling"} <= set(ANALYSES)


@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_changes_nothing_and_is_repeatable(name):
    traces = tk.TraceSet.from_spans(spans())
    before, weights = traces.spans.copy(), traces.weights.value.copy()
    first, again = (getattr(tk, name)(traces) for _ in range(2))
    pd.testing.assert_frame_equal(traces.spans, before)
    assert traces.weights.value.tolist() == weights.tolist()
    assert repr(first) == repr(again)
    for one, other in zip(frames(first), frames(again), strict=True):
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("name", ANALYSES)
def test_the_order_of_the_rows_is_no_matter(name):
    frame = spans()
    shuffled = frame.sample(frac=1, random_state=3)
    one, other = (getattr(tk, name)(tk.TraceSet.from_spans(each)) for each in (frame, shuffled))
    assert repr(one) == repr(other)
    for first, second in zip(frames(one), frames(other), strict=True):
        same = [column for column in first if column not in {"record_number", "byte_offset"}]
        pd.testing.assert_frame_equal(first[same], second[same], check_categorical=False)


@pytest.mark.parametrize("name", ANALYSES)
def test_no_traces_and_one_trace_have_an_answer(name):
    traces = tk.TraceSet.from_spans(spans())
    for few in (traces.where("service_name == 'nobody'"), traces.trace(traces.trace_ids[0])):
        answer = getattr(tk, name)(few)
        assert repr(answer)
        if view_of(answer):
            assert tk.plot(answer) is not None


@pytest.mark.parametrize("name", ANALYSES)
def test_hostile_names_are_inert_in_every_representation(name):
    evil = [HOSTILE[k % len(HOSTILE)] for k in range(3)]
    answer = getattr(tk, name)(tk.TraceSet.from_spans(spans(names=evil, services=evil)))
    if not isinstance(answer, Shown):
        return
    shown = answer._repr_mimebundle_()
    data = shown[0] if isinstance(shown, tuple) else shown
    page = data.get("text/html", "")
    assert "<b>bold</b>" not in page
    assert "<a href='http://evil'>" not in page
    assert "\u202e" not in json.dumps(data, default=str, ensure_ascii=False)


def test_every_result_with_a_view_has_a_home_in_the_facade():
    """A view is for what an analysis returns, or for what a method of its result returns."""
    words = " ".join(
        str(inspect.signature(member).return_annotation)
        for name in tk.__all__
        for thing in [getattr(tk, name)]
        for member in ([thing] if inspect.isfunction(thing) else [m for _, m in inspect.getmembers(thing, callable)])
        if inspect.isfunction(member)
    )
    names = {key.rpartition(".")[2] for key in VIEWS}
    assert {name for name in names if name not in words} <= {"TraceSet", "Finding"}
