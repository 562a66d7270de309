"""Onset, recovery and the period between them in the chart and in its table."""

import json
import re

import numpy as np
import pytest
from analysis.test_change_points import calling
from hand_drawn import spans

import tracekit as tk
from tracekit import TraceSet
from tracekit.analysis.timeline.compute import timeline
from tracekit.views import plot
from tracekit.views.charts import utc_texts
from tracekit.views.themes import repainted_picture


def changed(n=600):
    """Requests of one second of a service, which take three times as long from second 300 to second 450."""
    at = np.arange(n)
    slow = (at >= 300) & (at < 450)
    took = (np.random.default_rng(1).lognormal(17, 0.3, n) * np.where(slow, 3, 1)).astype(np.int64)
    rows = [(str(k + 1), None, "<b>a", "x", "SERVER", k * 10**9, k * 10**9 + took[k], "OK") for k in at]
    return TraceSet.from_spans(spans(rows).assign(trace_id=[f"{k + 1:x}" for k in at]))


@pytest.fixture(scope="module")
def recovered():
    return timeline(changed(), step_s=10, deployments={"<i>a 2": "1970-01-01T00:04:55"})


def test_onset_and_recovery_are_drawn_with_bands_for_their_intervals(recovered):
    figure = plot(recovered)
    rows = recovered.changes[recovered.changes["metric"] == "latency"].set_index("kind")
    lines = [shape.x0 for shape in figure.layout.shapes if shape.type == "line"]
    bands = [(shape.x0, shape.x1) for shape in figure.layout.shapes if shape.type == "rect"]
    steps = [rows.loc[kind] for kind in ("onset", "recovery")]
    assert lines == [*utc_texts(np.array([step["time_ns"] for step in steps])), "1970-01-01T00:04:55.000"]
    expected = [recovered.during_ns, *((step["low_ns"], step["high_ns"]) for step in steps)]
    assert bands == [tuple(utc_texts(np.array(period))) for period in expected]
    notes = [note.text for note in figure.layout.annotations]
    assert notes == ["latency: onset", "latency: recovery", "&lt;i&gt;a 2"]


@pytest.mark.parametrize("is_agreed", [True, False])
def test_an_onset_known_otherwise_is_drawn_and_another_one_only_where_it_agrees(recovered, is_agreed):
    rows = recovered.changes[recovered.changes["metric"] == "latency"].set_index("kind")
    time = int(rows.loc["onset", "time_ns"])
    onset = (time - 10**10, time + 10**10) if is_agreed else (time - 3 * 10**10, time - 10**10)
    figure = plot(recovered, onset=onset)
    bands = [(shape.x0, shape.x1) for shape in figure.layout.shapes if shape.type == "rect"]
    assert bands[0] == tuple(utc_texts(np.array(onset)))
    assert len(bands) == (4 if is_agreed else 1)
    notes = [note.text for note in figure.layout.annotations]
    assert notes == ["onset", *["latency: onset", "latency: recovery"] * is_agreed, "&lt;i&gt;a 2"]
    assert figure.layout.annotations[0].x == bands[0][1]


def test_onset_and_recovery_are_marked_in_the_heat_map(recovered):
    page = json.loads(plot(recovered, kind="heat").payload)
    assert [mark["name"] for mark in page["marks"]] == ["<i>a 2", "latency: onset", "latency: recovery"]
    first = recovered.table["start_ns"].iloc[0]
    onset = recovered.changes.loc[recovered.changes["kind"] == "onset", "time_ns"].iloc[0]
    assert page["marks"][1]["at"] == pytest.approx((onset - first) / recovered.step_ns)


@pytest.mark.parametrize("theme", ["page", "light", "dark"])
def test_changes_are_in_the_static_image_of_every_theme(recovered, theme):
    picture = str(repainted_picture(plot(recovered).picture(), theme))
    assert picture.count("<rect") > str(plot(timeline(changed(100), step_s=10)).picture()).count("<rect")
    assert "latency: onset" in picture
    assert "&lt;i&gt;a 2" in picture
    assert "<i>" not in picture


def test_a_change_of_services_alone_is_drawn_with_their_names():
    before, during = tk.load_sample("checkout-regression")
    seen = timeline(before + during)
    figure = plot(seen)
    assert [note.text for note in figure.layout.annotations] == ["ledger: onset", "ledger 1.5.0"]
    picture = str(figure.picture())
    during, interval = re.findall(r'<rect x="([\d.]+)" width="([\d.]+)" y="[\d.]+" height="[\d.]+" fill="#', picture)
    onset = float(re.findall(r'<line x1="([\d.]+)"[^>]*stroke-dasharray="6 4"', picture)[0])
    assert float(during[0]) == pytest.approx(onset)
    assert float(during[0]) + float(during[1]) == pytest.approx(840)  # the end of the chart
    assert float(interval[0]) < onset < float(interval[0]) + float(interval[1])


def test_changes_are_text_in_the_table_with_names_escaped(recovered):
    words = str(plot(recovered)._table)
    assert "critical-path time of &lt;b&gt;a" in words
    assert "<b>" not in words
    assert words.count('<td style="text-align:left">onset</td>') == 2
    assert "&lt;i&gt;a 2" in words


def test_services_whose_order_is_not_known_are_listed():
    traces = calling(np.random.default_rng(1), {"search": 800, "<u>db": 400, "cache": 400, "mail": 9999})
    words = re.sub(r"<[^>]+>", "|", str(plot(timeline(traces))._table))
    assert re.search(r"\|cache\|+[^|]+\|+1 to 2\|+&lt;u&gt;db\|", words)
    assert re.search(r"\|search\|+[^|]+\|+3\|", words)


def test_a_change_that_lasts_is_shaded_to_the_end():
    traces = changed(450)
    seen = timeline(traces, step_s=10)
    assert seen.during_ns[1] == 450 * 10**9
    assert [note.text for note in plot(seen).layout.annotations] == ["latency: onset"]
