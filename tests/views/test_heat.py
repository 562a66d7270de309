"""The heat map: its cells are the requests, and a drawn rectangle selects exactly those it counts."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import traitlets
from hand_drawn import pay_traces, spans
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tracekit import TraceSet
from tracekit.analysis.timeline.compute import timeline
from tracekit.views import plot
from tracekit.views.colours import DARK, LIGHT
from tracekit.views.heat import heat_chart
from tracekit.views.themes import HEAT, repainted
from tracekit.views.widgets import MODULE


@pytest.fixture(scope="module")
def during():
    return tk.load_sample("checkout-regression")[1]


@pytest.fixture(scope="module")
def heat(during):
    return plot(timeline(during), kind="heat")


def cells(widget):
    page = json.loads(widget.payload)
    return page, pd.DataFrame({name: page[name] for name in ("col", "row", "weight", "traces")})


def test_the_cells_hold_every_request(heat, during):
    page, held = cells(heat)
    assert held["traces"].sum() == len(during)
    assert held["col"].max() < page["cols"]
    assert held["row"].max() < page["rows"]
    assert len(page["times"]) == page["cols"] + 1
    assert len(page["edges"]) == page["rows"] + 1
    assert page["edges"] == sorted(page["edges"])


@given(st.data())
@settings(max_examples=25)
def test_the_rectangle_as_code_selects_the_traces_that_it_counts(heat, during, data):
    page, held = cells(heat)
    c0 = data.draw(st.integers(0, page["cols"] - 1))
    c1 = data.draw(st.integers(c0 + 1, page["cols"]))
    r0 = data.draw(st.integers(0, page["rows"] - 1))
    r1 = data.draw(st.integers(r0 + 1, page["rows"]))
    heat.brush = [c0, c1, r0, r1]
    chosen = eval(heat.selection, {"traces": during})
    inside = held["col"].between(c0, c1, inclusive="left") & held["row"].between(r0, r1, inclusive="left")
    assert len(chosen) == held["traces"][inside].sum()
    assert heat.select(during).trace_ids == chosen.trace_ids
    # and they are those: asked of the spans themselves
    roots = during.spans.iloc[during.summary["root_row"]]
    first = int(page["first_ns"])
    step = timeline(during).step_ns
    began = roots["start_ns"].between(first + c0 * step, first + c1 * step, inclusive="left")
    took = roots["duration_ns"].between(page["edges"][r0], page["edges"][r1], inclusive="left")
    assert set(chosen.trace_ids) == set(roots["trace_id"][began & took])


def test_the_rectangle_as_a_condition_is_what_analyses_compare(during):
    heat = plot(timeline(during), kind="heat")
    page, held = cells(heat)
    slow = int(held["row"].quantile(0.9))
    heat.brush = [0, page["cols"], slow, page["rows"]]
    condition = eval(heat.condition, {"traces": during})
    selected, rest = during.where(condition), during.where(~condition)
    assert selected.trace_ids == heat.select(during).trace_ids
    assert len(selected) + len(rest) == len(during)
    differences = tk.what_differs(during, condition)
    assert differences.sides["trace_count"].tolist() == [len(selected), len(rest)]
    assert "enterprise" in differences.table["value"].head(10).tolist()
    compared = tk.compare(rest, eval(heat.selection, {"traces": during}))
    assert compared.path.change.value > 0


def test_without_a_rectangle_the_condition_is_true_of_everything(heat, during):
    heat.brush = []
    condition = eval(heat.condition, {"traces": during})
    assert condition.all()
    assert condition.index.tolist() == during.trace_ids


def test_without_a_rectangle_everything_is_chosen(heat, during):
    heat.brush = []
    assert heat.selection == "traces"
    assert heat.select(during) is during


def test_the_selection_is_a_line_that_a_person_can_read(during):
    widget = plot(timeline(during), kind="heat")
    page, _ = cells(widget)
    widget.brush = [0, 2, 1, page["rows"]]
    low, high = page["edges"][1], page["edges"][-1]
    assert widget.selection == (
        'traces.between("2026-11-21 04:59:02Z", "2026-11-21 04:59:06Z")'
        f'.where(traces.summary["root_duration_ns"].between({low}, {high}, inclusive="left"))'
    )


@pytest.mark.parametrize(
    "brush", [[0, 1, 0], [1, 1, 0, 1], [0, 1, 2, 1], [-1, 1, 0, 1], [0, 10**6, 0, 1], [0, 1, 0, 10**6]]
)
def test_rectangles_that_are_none_are_refused(heat, brush):
    with pytest.raises(traitlets.TraitError, match=r"expected \[from column, to column, from row, to row\] within"):
        heat.brush = brush


def test_a_zero_duration_has_a_cell_and_can_be_chosen():
    rows = [(str(k + 1), None, "a", "x", "SERVER", 5, 5 + k * 100, "UNSET") for k in range(3)]
    traces = TraceSet.from_spans(spans(rows).assign(trace_id=["a1", "b2", "c3"]))
    widget = plot(timeline(traces), kind="heat")
    widget.brush = [0, 1, 0, 1]
    (chosen,) = widget.select(traces).summary["root_duration_ns"]
    assert chosen == 0


def test_an_empty_result_shows_a_message():
    widget = plot(timeline(pay_traces().where("service_name == 'nobody'")), kind="heat")
    page, held = cells(widget)
    assert held.empty
    assert page["title"] == "No requests with a start and a duration."
    assert repr(widget) == "HeatMap(0 requests)"
    assert "No requests with a start and a duration." in widget._repr_mimebundle_()[0]["image/svg+xml"]


def test_weights_are_drawn_and_traces_are_counted():
    traces = pay_traces().with_weights(20)
    _, held = cells(plot(timeline(traces), kind="heat"))
    assert held["weight"].tolist() == [20.0]
    assert held["traces"].tolist() == [1]


def test_deployments_are_drawn_at_their_times(during):
    widget = plot(timeline(during), kind="heat", deployments={"v2": "2026-11-21T04:59:12Z", "long ago": "2020-01-01"})
    page, _ = cells(widget)
    assert page["marks"] == [{"at": 5.0, "name": "v2"}]


def test_the_figure_for_reports_has_the_same_cells(heat, during):
    z = np.array(heat_chart(timeline(during)).data[0].z, dtype=float)
    _, held = cells(heat)
    assert np.nansum(z) == len(during)
    for cell in held.itertuples():
        assert z[cell.row, cell.col] == cell.weight


def test_the_page_paints_in_the_same_colours_as_python():
    module = MODULE.read_text(encoding="utf-8")
    found = re.findall(r"#[0-9a-f]{6}", module.partition("const CSS")[0])
    heat = [*HEAT, *(repainted(colour, "dark") for colour in HEAT)]
    assert found == [*LIGHT, *DARK, *heat]
    assert "</script" not in module
    assert not re.search(r"^\s*import\b|\bimport\(|\brequire\(", module, re.MULTILINE)
