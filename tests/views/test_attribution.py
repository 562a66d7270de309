"""Pictures of critical paths: lengths are the numbers of the results, and nothing that is no number is drawn."""

import math

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tracekit import TraceSet
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.views import plot
from tracekit.views.charts import legend_room

MS = 1_000_000
HOSTILE = "<a href='http://evil'>x</a>"


def requests(rows):
    """A request a row: what it calls one after another, and for how many ms; web itself takes 1 ms."""
    spans = []
    for at, calls in enumerate(rows):
        now = 0
        for number, (service, length) in enumerate(calls, 2):
            spans.append((f"{at + 1:x}", f"{number:x}", "1", service, now, now + length * MS))
            now += length * MS
        spans.append((f"{at + 1:x}", "1", None, "web", 0, now + MS))
    columns = ["trace_id", "span_id", "parent_span_id", "service_name", "start_ns", "end_ns"]
    return critical_path(TraceSet.from_spans(pd.DataFrame(spans, columns=columns).assign(name="x")))


@pytest.fixture(scope="module")
def recorded():
    return tuple(critical_path(traces) for traces in tk.load_sample("checkout-regression"))


@pytest.fixture(scope="module")
def shop():
    return requests([[("db", 4), ("mq", 2)], [("db", 8)], [("db", 30), ("mq", 9)]])


@pytest.fixture
def nothing():
    frame = pd.DataFrame({"trace_id": "a1", "span_id": ["1"], "name": "x", "start_ns": 5, "end_ns": 5})
    return critical_path(TraceSet.from_spans(frame))


def numbers(figure):
    """Every number that a figure is given."""
    for trace in figure.data:
        arrays = [trace.x, trace.y]
        arrays += [trace.base] if trace.type == "bar" else []
        arrays += [error[side] for error in (trace.error_x, trace.error_y) for side in ("array", "arrayminus")]
        for array in arrays:
            yield from (value for value in (array if array is not None else ()) if not isinstance(value, str))


def all_figures(before, during):
    comparison = before.compare(during)
    curve = during.what_if_curve("service_name == 'ledger'", factors=(0, 1, 2))
    yield from (plot(during), plot(during, by=("service_name", "operation")), plot(during, by="call_path", bars=3))
    yield from (plot(during.bands()), plot(during.bands("operation"), groups=3), plot(during.bands(), excess=True))
    yield from (plot(comparison, kind=kind) for kind in ("steps", "parts", "limits"))
    yield from (plot(during.what_if({"service_name == 'ledger'": 0.0})), plot(curve))


def test_only_numbers_are_drawn_and_every_figure_has_a_still_picture(recorded):
    one = requests([[("db", 4)]])  # without any limits
    for figure in [*all_figures(*recorded), *all_figures(one, one)]:
        values = list(numbers(figure))
        assert values
        assert np.isfinite(np.array(values, float)).all(), figure
        assert str(figure.picture()).startswith("<svg")
        assert figure.themed("dark").layout.template.layout.paper_bgcolor != figure.layout.template.layout.paper_bgcolor


def test_the_bars_of_a_path_add_up_to_the_mean_latency(recorded):
    _, during = recorded
    bars = plot(during, bars=99).data[0]
    assert sum(bars.x) == pytest.approx(during.latency_ns.mean() / 1e9)
    assert bars.y[0] == "ledger"
    row = during.by("service_name").iloc[0]
    assert bars.x[0] - bars.error_x.arrayminus[0] == pytest.approx(row["mean_low_ns"] / 1e9)
    assert bars.x[0] + bars.error_x.array[0] == pytest.approx(row["mean_high_ns"] / 1e9)
    few = plot(during, by="operation", bars=2)
    assert few.layout.title.text == "Critical-path time per request (top 2 of 33 groups)"


def test_the_bars_of_a_band_add_up_to_its_latency(recorded):
    _, during = recorded
    result = during.bands(("service_name", "operation"))
    for options, column in (
        ({}, "mean_latency_ns"),
        ({"excess": True}, "excess_ns"),
        ({"groups": 2}, "mean_latency_ns"),
    ):
        figure = plot(result, **options)
        heights = np.sum([bar.y for bar in figure.data], axis=0)
        assert heights == pytest.approx(result.bands[column].to_numpy(float) / 1e9)
    assert [bar.name for bar in figure.data][-1].endswith(" other groups")
    assert figure.data[0].x[-1] == "p99 to p100 (20)"
    assert len({bar.marker.color for bar in figure.data}) == len(figure.data)


def test_steps_lead_from_one_mean_to_the_other(recorded):
    before, during = recorded
    result = before.compare(during, names=("before", "during"))
    for groups in (1, 3, 99):
        (bars,) = plot(result, groups=groups).data
        means = result.sides["mean_latency_ns"].to_numpy() / 1e9
        assert (bars.x[0], bars.x[-1]) == pytest.approx(tuple(means))
        for at in range(1, len(bars.x) - 1):
            assert bars.base[at] == pytest.approx((bars.base[at - 1] if at > 1 else 0) + bars.x[at - 1], abs=1e-12)
        assert bars.base[-2] + bars.x[-2] == pytest.approx(means[1], abs=2e-9)
    assert bars.y[:2] == ("before", "ledger SELECT entries")
    assert bars.customdata[1] == "+17.5 ms (+13.7 to +21.4 ms)"
    assert plot(result).layout.title.text == "Mean latency, before to during: +17.8 ms"
    limits = plot(result, kind="limits")
    assert limits.layout.xaxis.title.text == "change per request, before to during"
    assert plot(during.compare(before)).layout.title.text == "Mean latency, baseline to current: -17.8 ms"


def test_what_may_be_chance_is_pale(recorded):
    before, during = recorded
    colours = plot(before.compare(during)).data[0].marker.color
    assert colours[1].startswith("#")
    assert all(colour.startswith("rgba") for colour in colours[2:-1])
    assert colours[0] == colours[-1]


def test_parts_are_stacked_and_add_up(shop):
    other = requests([[("db", 4)] * 3, [("db", 8)] * 2, [("cache", 5)]])
    result = shop.compare(other, by="service_name")
    figure = plot(result, kind="parts")
    assert [bar.name for bar in figure.data] == ["more requests affected", "more calls per request", "slower calls"]
    assert np.sum([bar.x for bar in figure.data], axis=0) == pytest.approx(result.table["change_ns"] / 1e9)


def test_limits_of_changes_are_whiskers(recorded):
    before, during = recorded
    result = before.compare(during)
    sure = plot(result, kind="limits").data[0]
    assert sure.name == "significant"
    assert sure.x[0] - sure.error_x.arrayminus[0] == pytest.approx(result.table["change_low_ns"][0] / 1e9)
    assert plot(before.compare(before), kind="limits").data[0].name == "not significant"


def test_a_side_with_the_name_of_a_group_is_distinguished(shop):
    other = requests([[("db", 90)]])
    labels = plot(shop.compare(other, by="service_name", names=("db", "web"))).data[0].y
    assert (labels[0], labels[-1]) == ("db (all)", "web (all)")
    assert plot(shop.compare(other, by="service_name", names=("db", "db (all)"))).data[0].y[-1] == "db (all) (2)"


def test_what_if_is_compared_with_the_measured_latency(shop):
    now, new = plot(shop.what_if({"service_name == 'db'": 0.5})).data
    assert (now.name, new.name) == ("actual", "what if")
    assert (now.x[0], new.x[0]) == pytest.approx((56e-3 / 3, 35e-3 / 3))


def test_a_curve_has_its_limits_and_the_savings_of_the_path_alone(recorded):
    _, during = recorded
    curve = during.what_if_curve("name == 'SELECT entries'", factors=(0, 0.5, 1, 2))
    figure = plot(curve, statistics=("mean", "p95"))
    lines = {trace.name: trace for trace in figure.data if trace.name}
    for name in ("mean", "p95"):
        points = curve.table[curve.table["statistic"] == name]
        assert lines[name].y == pytest.approx(points["new_latency_ns"] / 1e9)
        at = figure.data.index(lines[name])
        assert figure.data[at + 1].y == pytest.approx(points["new_low_ns"] / 1e9)
        assert figure.data[at + 2].y == pytest.approx(points["new_high_ns"] / 1e9)
        assert figure.data[at + 2].fill == "tonexty"
    naive = lines["mean, from critical-path time alone"]
    assert naive.y[2] == lines["mean"].y[2]
    assert naive.y[0] <= lines["mean"].y[0] + 1e-12
    assert figure.layout.shapes[0].x0 == 1


@pytest.mark.parametrize("view", ["path", "bands", "excess", "steps", "parts", "limits"])
def test_an_empty_result_shows_a_message(nothing, view):
    comparison = nothing.compare(nothing)
    figure = {
        "path": lambda: plot(nothing),
        "bands": lambda: plot(nothing.bands()),
        "excess": lambda: plot(nothing.bands(), excess=True),
    }.get(view, lambda: plot(comparison, kind=view))()
    assert not figure.data
    assert figure.layout.annotations[0].text.startswith("All requests have a duration of 0")


def test_no_requests_show_a_message(shop):
    nobody = critical_path(shop.source.where("service_name == 'nobody'"))
    assert plot(nobody).layout.annotations[0].text == "All requests have a duration of 0."
    assert plot(nobody.bands()).layout.annotations[0].text == "All requests have a duration of 0."
    for result in (nobody.what_if({}), nobody.what_if_curve("name == 'x'", factors=[1])):
        assert plot(result).layout.annotations[0].text == "No requests."


def test_names_are_no_markup_and_long_ones_stay_apart():
    calls = [(HOSTILE, 5), ("A" * 200 + "1", 3), ("A" * 200 + "2", 4)]
    path, other = requests([calls]), requests([[*calls, ("db", 3)]])
    curve = path.what_if_curve("name == 'x'", factors=[0, 1])
    for figure in [*all_figures(path, other), plot(curve), plot(path.compare(other, names=(HOSTILE, "b")))]:
        assert "<a href" not in figure.to_json()
        assert "<a href" not in figure._repr_mimebundle_()["text/html"].replace("&lt;", "")
    labels = plot(path).data[0].y
    assert len(set(labels)) == len(labels) == 4


def test_missing_labels_have_a_name():
    frame = pd.DataFrame({"trace_id": "a1", "span_id": ["1", "2"], "parent_span_id": [None, "1"], "name": "x"})
    frame = frame.assign(start_ns=[0, 10], end_ns=[100, 60], **{"attributes.tenant": [None, "blue"]})
    path = critical_path(TraceSet.from_spans(frame))
    assert plot(path, by="tenant").data[0].y == ("(none)", "blue")
    assert [bar.name for bar in plot(path.bands("tenant")).data] == ["(none)", "blue"]


def test_a_kind_that_is_none(shop):
    with pytest.raises(ValueError, match="expected a kind of steps, parts, limits, found 'pie'"):
        plot(shop.compare(shop), kind="pie")


def test_a_statistic_that_is_none(shop):
    with pytest.raises(ValueError, match="expected statistics of mean, p50, p90, p95, p99, found 'p42'"):
        plot(shop.what_if_curve("name == 'x'", factors=[1]), statistics=["p42"])


def test_a_legend_of_long_names_has_enough_space():
    assert legend_room([]) == legend_room(["x"]) == 73
    assert legend_room(["x" * 200] * 3) == 73 + 2 * 19
    assert math.isfinite(legend_room(["x"] * 99))
