"""The flame view: widths are times, the picture and the page say the same, differences add up."""

import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import traitlets
from hand_drawn import pay_traces
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.views import plot
from tracekit.views.flame.layout import icicle


@pytest.fixture(scope="module")
def flames():
    return [critical_path(traces).flame() for traces in tk.load_sample("checkout-regression")]


def page(widget):
    return json.loads(widget.payload)


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 100)), min_size=1, max_size=40), st.booleans())
@settings(max_examples=80)
def test_callees_are_drawn_within_their_caller_without_overlap(rows, crowded):
    depth, value = [0], [rows[0][1] + 1]
    for back, size in rows[1:]:
        depth.append(max(0, depth[-1] + 1 - back % 4))
        value.append(size)
    parent = []
    for k, confidence in enumerate(depth):
        parent.append(next((j for j in range(k - 1, -1, -1) if depth[j] == confidence - 1), -1) if confidence else -1)
    depth, parent, value = np.array(depth), np.array(parent), np.array(value)
    if not crowded:  # as inclusive times are: a caller is at least as wide as its callees
        for k in range(len(value) - 1, -1, -1):
            value[k] = max(value[k], value[parent == k].sum())
    start, end = icicle(parent, depth, value)
    assert start.min() >= 0
    assert end.max() <= 1 + 1e-9
    for k in range(len(value)):
        if parent[k] >= 0:
            assert start[parent[k]] - 1e-9 <= start[k] <= end[k] <= end[parent[k]] + 1e-9
        siblings = np.flatnonzero(parent == parent[k])
        assert (end[siblings[:-1]] <= start[siblings[1:]] + 1e-9).all()
    if not crowded:
        assert end - start == pytest.approx(value / value[parent < 0].sum())


def test_widths_are_shares_of_the_mean_latency(flames):
    _, during = flames
    drawn, table = page(plot(during)), during.table
    assert drawn["whole"] == pytest.approx(table["mean_ns"].sum())
    assert np.array(drawn["value"]) == pytest.approx(table["path_total_ns"] / during.request_count, abs=0.1)
    wide = np.array(drawn["x1"]) - np.array(drawn["x0"])
    assert wide == pytest.approx(np.array(drawn["value"]) / drawn["whole"], abs=1e-6)
    names = [drawn["names"][k] for k in drawn["name"]]
    assert names == [f"{s} {o}" for s, o in zip(table["service_name"], table["operation"], strict=True)]


def test_durations_fit_into_their_callers(flames):
    drawn = page(plot(flames[1], value="duration"))
    for k, up in enumerate(drawn["parent"]):
        if up >= 0:
            assert drawn["x0"][up] - 1e-6 <= drawn["x0"][k] <= drawn["x1"][k] <= drawn["x1"][up] + 1e-6
    assert drawn["value"][0] == pytest.approx(flames[1].table["duration_ns"].iloc[0] / 1000, abs=0.1)


def test_the_difference_adds_up_and_its_largest_part_is_the_cause(flames):
    before, during = flames
    drawn = page(plot(during, against=before))
    gained = during.table["mean_ns"].sum() - before.table["mean_ns"].sum()
    assert sum(drawn["change"]) == pytest.approx(gained, abs=1)
    assert drawn["value"][0] - drawn["baseline"][0] == pytest.approx(sum(_below(drawn, 0)), abs=1)
    worst = int(np.argmax(drawn["change"]))
    assert drawn["names"][drawn["name"][worst]] == "ledger SELECT entries"
    assert drawn["tint"][worst] == 1
    assert min(drawn["tint"]) >= -1
    back = page(plot(before, against=during))
    assert sum(back["change"]) == pytest.approx(-gained, abs=1)


def _below(drawn, k):
    inside = {k}
    for j, up in enumerate(drawn["parent"]):
        if up in inside:
            inside.add(j)
    return [drawn["change"][j] for j in inside]


def test_paths_that_are_gone_are_counted(flames):
    before, during = flames
    empty = critical_path(pay_traces().where("service_name == 'nobody'")).flame()
    drawn = page(plot(empty, against=during))
    assert drawn["gone"] == f"{(during.table['path_total_ns'] > 0).sum()} call paths only in baseline."
    assert page(plot(before, against=before))["gone"] == ""


def test_a_comparison_has_the_names_of_its_sides(flames):
    before, during = flames
    drawn = page(plot(during, against=before, names=("1.4.0", "<b>1.5.0</b>")))
    assert drawn["title"].startswith("Change in critical-path time, 1.4.0 to <b>1.5.0</b>: +17.8 ms")
    assert "more self time in <b>1.5.0</b> than in 1.4.0" in drawn["note"]
    assert drawn["side"] == "1.4.0"
    assert "<b>" not in str(plot(during, against=before, names=("1.4.0", "<b>1.5.0</b>"))._picture)
    with pytest.raises(ValueError, match="expected two different names of the sides"):
        plot(during, against=before, names=("a", "a"))


def test_the_picture_shows_the_frames_of_the_page(flames):
    widget = plot(flames[1])
    drawn = page(widget)
    root = ET.fromstring(str(widget._picture))
    frames = [node for node in root.iter("{http://www.w3.org/2000/svg}rect") if node.find("{*}title") is not None]
    wide = [k for k in range(len(drawn["name"])) if (drawn["x1"][k] - drawn["x0"][k]) * 960 >= 0.5]
    assert len(frames) == len(wide)
    titles = [frame.find("{*}title").text for frame in frames]
    assert titles[0].startswith("storefront POST /checkout: ")
    assert float(frames[0].get("width")) == pytest.approx((drawn["x1"][0] - drawn["x0"][0]) * 960, abs=1.1)


def test_the_chosen_path_is_a_row_of_the_table(flames):
    widget = plot(flames[1])
    assert widget.path is None
    widget.selected = 3
    assert widget.path["operation"] == flames[1].table["operation"].iloc[3]
    with pytest.raises(traitlets.TraitError, match="expected the row of one of 59 call paths, or -1; found 59"):
        widget.selected = 59


def test_wrong_wishes_are_refused(flames):
    with pytest.raises(ValueError, match="expected a value of path or duration, found 'cpu'"):
        plot(flames[0], value="cpu")
    with pytest.raises(ValueError, match="expected value='path' for a comparison, found 'duration'"):
        plot(flames[0], against=flames[1], value="duration")


def test_an_empty_result_shows_a_message():
    widget = plot(critical_path(pay_traces().where("service_name == 'nobody'")).flame(), search="x")
    assert page(widget)["note"] == "No call paths in these traces."
    assert "No call paths in these traces." in str(widget._picture)
    assert widget.search == "x"


def test_a_deep_tree_is_no_special_case():
    n = 3_000
    start, end = icicle(np.arange(n) - 1, np.arange(n), np.full(n, 5.0))
    assert start.max() == 0
    assert end.min() == pytest.approx(1)
