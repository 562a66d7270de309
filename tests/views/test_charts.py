"""What all charts keep: finite numbers, inert and legible names, empty states in words, two themes, a still picture."""

import json
import re
import subprocess
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from all_views import HOSTILE, charts, is_finite, payload_of, widgets
from framed import outside
from hand_drawn import pay_traces, spans
from plotly import graph_objects as go

import tracekit.views.latency
from tracekit import TraceSet
from tracekit.analysis.compare.compute import compare
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.errors import errors
from tracekit.analysis.latency import latency
from tracekit.analysis.paths.compute import paths
from tracekit.analysis.timeline.compute import timeline
from tracekit.analysis.what_differs.compute import what_differs
from tracekit.views import plot
from tracekit.views.charts import chart, duration_axis, safe
from tracekit.views.colours import DARK, LIGHT
from tracekit.views.figures import Chart
from tracekit.views.svg import ACCENT, ERROR, INK, MUTE
from tracekit.views.themes import HEAT, faded, repainted

#  hostile names, no end, end before start, no start, zero and enormous durations
AWKWARD = [
    ("1", None, HOSTILE[0], HOSTILE[1], "SERVER", 100, 100, "ERROR"),
    ("2", "1", HOSTILE[2], HOSTILE[3], "CLIENT", 150, None, "UNSET"),
    ("3", "1", HOSTILE[4], HOSTILE[5], "SERVER", 900, 300, "ERROR"),
    ("4", "3", HOSTILE[6], HOSTILE[7], "CLIENT", None, 600, "UNSET"),
    ("5", "1", HOSTILE[7], HOSTILE[6], "SERVER", 0, 9 * 10**17, "ERROR"),
]


def awkward():
    one = spans(AWKWARD, dtype=object)
    return TraceSet.from_spans(pd.concat([one, one.assign(trace_id="b2"), one.iloc[[1]].assign(trace_id="c3")]))


SETS = {
    "awkward": awkward,
    "pay": pay_traces,
    "nothing": lambda: pay_traces().where("service_name == 'nobody'"),
    "unmeasured": lambda: TraceSet.from_spans(spans([("1", None, "a", "x", "SERVER", 5, None, "UNSET")])),
}


@pytest.fixture(params=sorted(SETS))
def traces(request):
    return SETS[request.param]()


def test_no_number_that_is_none_reaches_a_figure_or_a_page(traces):
    for name, figure in charts(traces).items():
        assert is_finite(json.loads(figure.to_json())), name
        assert not re.search(r"\b(NaN|Infinity)\b", figure.to_json()), name
    for name, widget in widgets(traces).items():
        assert is_finite(payload_of(widget)), name


def test_every_figure_has_a_well_formed_static_image_of_finite_numbers(traces):
    for name, figure in charts(traces).items():
        picture = str(figure.picture())
        ET.fromstring(picture)
        assert not re.search(r"\b(nan|inf)\b", re.sub(r">[^<]*<", "><", picture)), name
    for widget in widgets(traces).values():
        ET.fromstring(str(widget._picture))


@pytest.mark.parametrize("name", ["nothing", "unmeasured"])
def test_an_empty_result_shows_a_message(name):
    drawn = charts(SETS[name]())
    said = {what: [note.text for note in figure.layout.annotations] for what, figure in drawn.items()}
    assert said["histogram"] == said["ecdf"] == said["limits"] == ["No spans with a duration."]
    assert said["errors"] == ["No error spans."]
    assert said["heat"] == ["No requests with a start and a duration."]
    if name == "nothing":
        assert said["traces"] == ["No traces with a start."]
        assert said["bands"] == ["No traces with a start."]
        assert said["self time"] == ["No spans with a duration."]
    for what in ("histogram", "errors"):
        assert said[what][0] in str(drawn[what].picture())
        assert len(drawn[what].data) == 0


def test_names_are_no_markup_in_any_figure():
    for name, figure in charts(awkward()).items():
        text = figure.to_json()
        assert not re.search(r"<(a|img|/?script|b)\b", text.replace("\\u003c", "<")), name
        assert "\u202e" not in json.loads(f'"{name}"') + text
        assert "A" * 200 not in text, name
        assert len(text) < 40_000, name


def test_names_are_no_markup_in_any_picture_or_fallback():
    for view in (*charts(awkward()).values(), *widgets(awkward()).values()):
        bundle = view._repr_mimebundle_()
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        for kind in ("text/html", "image/svg+xml"):
            text = outside(bundle[kind]) if kind == "text/html" else bundle[kind]
            assert not re.search(r"<(a|b|script|iframe)\b|<img (?!alt)|\u202e|\x00", text), kind
        ET.fromstring(bundle["image/svg+xml"].encode())
        assert "0x" not in bundle["text/plain"]
        assert re.match(r"<style>[^<]*</style><div [^<]*><img alt=", bundle["text/html"])
        assert "<table>" in bundle["text/html"] or "nothing drawn" in bundle["text/plain"]


def test_a_hostile_name_stays_legible():
    figure = plot(latency(awkward(), by="service_name"), groups=9)
    names = {curve.name for curve in figure.data}
    assert "&lt;a href='http://evil'&gt;x&lt;/a&gt;" in names
    assert "gpj.\ufffdexe" in " ".join(names) or "gpj." not in " ".join(names)
    assert "&lt;a href='http://evil'&gt;x&lt;/a&gt;" in str(figure.picture())
    assert safe("&lt;\ud800") == "&amp;lt;\ufffd"


def test_the_dark_theme_changes_every_colour_of_ours_and_nothing_else():
    light = plot(latency(pay_traces(), by="service_name"))
    dark = plot(latency(pay_traces(), by="service_name"), theme="dark")
    for a, b in zip(light.data, dark.data, strict=True):
        assert DARK[LIGHT.index(a.line.color)] == b.line.color
        assert a.y == b.y
    assert dark.layout.template.layout.paper_bgcolor == "#16181d"
    assert dark.themed("light").to_plotly_json() == light.to_plotly_json()


def test_colours_that_let_the_ground_through_change_as_well():
    assert repainted({"fillcolor": faded(LIGHT[1], 0.25), "name": "#123456"}, "dark") == {
        "fillcolor": faded(DARK[1], 0.25),
        "name": "#123456",
    }
    with pytest.raises(ValueError, match="expected a theme of page or light or dark, found 'blue'"):
        repainted({}, "blue")
    with pytest.raises(ValueError, match="expected a theme of page or light or dark, found 'blue'"):
        plot(latency(pay_traces()), theme="blue")


def contrast(one, other):
    def light(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        return np.dot(
            [0.2126, 0.7152, 0.0722], [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        )

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


PAGES = ("#ffffff", "#111111")  # of JupyterLab


def test_a_chart_can_be_read_on_a_light_page_and_on_a_dark_one():
    for colour in (*LIGHT, ERROR, ACCENT, "#c48700"):
        assert min(contrast(repainted(colour, "page"), page) for page in PAGES) >= 3, colour
    for colour in (INK, MUTE):
        assert min(contrast(repainted(colour, "page"), page) for page in PAGES) >= 4.3
    assert len({repainted(colour, "page") for colour in LIGHT}) == len(LIGHT)
    strengths = [float(repainted(colour, "page").rpartition(",")[2].rstrip(")")) for colour in HEAT]
    assert strengths == sorted(set(strengths))  # the fullest cell stands out most on either page
    assert strengths[-1] == 1


def test_a_chart_has_the_background_of_the_page_unless_given_one():
    answer = latency(pay_traces(), by="service_name")
    for figure, ground in (
        (plot(answer), "rgba(0,0,0,0)"),
        (plot(answer, theme="light"), "#ffffff"),
        (plot(answer, theme="dark"), "#16181d"),
        (plot(answer, theme="dark").themed("page"), "rgba(0,0,0,0)"),
    ):
        bundle = figure._repr_mimebundle_()
        look = bundle["application/vnd.plotly.v1+json"]["layout"]["template"]["layout"]
        assert look["paper_bgcolor"] == look["plot_bgcolor"] == ground
        assert f'fill="{ground}" class="tk-paper"' in bundle["image/svg+xml"]
        assert look["hoverlabel"]["bgcolor"] == ("#ffffff" if ground == "#ffffff" else "#16181d")
    assert 'fill="#ffffff" class="tk-paper"' in plot(answer).picture()  # what is exported stands alone


def test_a_plain_figure_of_a_view_gets_the_bundle_as_well(monkeypatch):
    monkeypatch.setattr(tracekit.views.latency, "plot_latency", lambda _: go.Figure(go.Bar(x=[1], y=[2])))
    assert isinstance(plot(latency(pay_traces())), Chart)


def test_a_chart_is_copied_with_all_plotly_properties():
    figure = chart("Waits").add_bar(x=["a"], y=[1])
    assert figure.themed("dark").data[0].y == (1,)
    assert repr(figure) == "Chart('Waits', 1 series)"
    assert figure._repr_mimebundle_(include=["text/plain"]) == {"text/plain": repr(figure)}
    assert "text/html" not in figure._repr_mimebundle_(exclude=["text/html"])


def test_displaying_a_chart_does_not_open_plotlys_renderers():
    code = """
import sys
from IPython.core.interactiveshell import InteractiveShell
from tracekit.views.charts import chart
data, _ = InteractiveShell.instance().display_formatter.format(chart("Waits").add_bar(x=["a"], y=[1]))
print(sorted(data), "plotly.io._renderers" in sys.modules, "nbformat" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    kinds = ["application/vnd.plotly.v1+json", "image/svg+xml", "text/html", "text/plain"]
    assert ran.stdout.strip() == f"{kinds} False False", ran.stderr


def test_an_axis_of_durations_has_round_labels_at_their_places():
    axis = duration_axis([2e-6, 0.3])
    labels = dict(zip(axis["ticktext"], axis["tickvals"], strict=True))
    assert labels["100 µs"] == pytest.approx(1e-4)
    assert labels["1 s"] == 1
    assert "2 ms" not in labels  # more than four decades: powers of ten alone
    assert "2 ms" in duration_axis([1e-3, 0.3])["ticktext"]
    assert duration_axis([])["ticktext"][0] == "1 ns"


# ------------------------------------------------------------------ latency


def test_the_cumulated_curve_is_the_share_at_or_below():
    frame = spans([(str(k), None, "a", "x", "SERVER", 0, 1000 * k, "UNSET") for k in range(1, 11)])
    traces = TraceSet.from_spans(frame.assign(trace_id=[f"{k:x}" for k in range(1, 11)]))
    weights = dict(zip(traces.trace_ids, [30.0] + [1.0] * 9, strict=True))
    figure = plot(
        latency(traces.with_weights(weights)),
        kind="ecdf",
        against={"unweighted": latency(traces.with_weights(1))},
    )
    weighted, plain = figure.data
    assert plain.line.width < weighted.line.width
    assert plain.name == "a x, unweighted"
    for curve, below in ((weighted, 30 / 39), (plain, 1 / 10)):
        x, y = np.array(curve.x), np.array(curve.y)
        assert y[0] == 0
        assert y[-1] == pytest.approx(1)
        assert (np.diff(y) >= 0).all()
        assert np.interp(1.5e-6, x, y) >= below - 1e-9  # the first request took 1,000 ns
        assert y[1] == pytest.approx(below)


def test_the_legend_names_the_others_once():
    result = latency(pay_traces())
    for kind in ("ecdf", "histogram"):
        figure = plot(result, kind=kind, groups=9, against={"unweighted": result})
        listed = [curve.name for curve in figure.data if curve.showlegend]
        assert len(figure.data) == 2 * len(result.table)
        assert len(listed) == len(result.table) + 1
        assert listed.count("unweighted (all groups)") == 1
        assert len({curve.hovertemplate for curve in figure.data}) == len(
            figure.data
        )  # touched, each says its own name


def test_a_title_keeps_its_distance_whatever_the_height():
    title = plot(latency(pay_traces())).layout.template.layout.title
    assert (title.yref, title.yanchor, title.y, title.pad.t) == ("container", "top", 1, 10)


def of_durations(*took):
    frame = spans([(f"{k + 1:x}", None, "shop", "GET /", "SERVER", 0, ns, "UNSET") for k, ns in enumerate(took)])
    return TraceSet.from_spans(frame.assign(trace_id=[f"{k + 1:x}" for k in range(len(took))]))


def test_a_baseline_is_drawn_over_the_histogram_as_its_own_shares():
    before = of_durations(1_000, 1_000, 8_000)
    weighted = before.with_weights(dict(zip(before.trace_ids, (6.0, 2.0, 2.0), strict=True)))
    now, was = latency(of_durations(*[1_000] * 30, *[8_000] * 10)), latency(weighted)
    current, baseline = plot(now, against=was).data
    assert (current.name, baseline.name) == ("shop GET /, current", "shop GET /, baseline")
    heights = [[share for share in np.array(curve.y)[::2] if share] for curve in (current, baseline)]
    assert heights[0] == pytest.approx([0.75, 0.25])
    assert heights[1] == pytest.approx([0.8, 0.2])
    assert baseline.line.width < current.line.width
    assert [curve.name for curve in plot(now, against={"Monday": was}).data] == ["shop GET /", "shop GET /, Monday"]
    picture = plot(now, against=was).picture()
    assert "shop GET /, current" in picture
    assert "shop GET /, baseline" in picture


def test_two_operations_of_one_service_do_not_look_alike():
    figure = plot(latency(pay_traces()), kind="ecdf", groups=9)
    drawn = {curve.name: (curve.line.color, curve.line.dash) for curve in figure.data}
    assert drawn["ledger charge"][0] == drawn["ledger SELECT"][0]
    assert len(set(drawn.values())) == len(drawn)
    crowded = plot(
        latency(pay_traces()), kind="ecdf", groups=9, against={"a rather long name of it": latency(pay_traces())}
    )
    assert crowded.layout.margin.t > figure.layout.margin.t, "the legend must not cover the title"


def test_a_chart_states_its_sampling():
    for ask in (latency, errors, critical_path):
        plain, weighted = plot(ask(pay_traces())), plot(ask(pay_traces().with_weights(20)))
        assert plain.layout.title.subtitle.text.startswith("sampling weights unknown")
        assert weighted.layout.title.subtitle.text == ask(pay_traces().with_weights(20)).statement
        assert "sampling weights unknown" in str(plain.picture())
    bare = latency(pay_traces())
    unsaid = plot(type(bare)(bare.table, bare.histogram))
    assert unsaid.layout.title.subtitle.text is None
    assert unsaid.layout.margin.t < plot(bare).layout.margin.t, "a line more needs room"
    well = TraceSet.from_spans(spans([("1", None, "a", "x", "SERVER", 0, 5, "OK")]))
    assert plot(errors(well)).layout.title.subtitle.text is None, "nothing to describe"


def test_limits_are_drawn_where_there_are_limits():
    figure = plot(latency(pay_traces(), by=()), kind="limits")
    for points in figure.data:
        assert points.error_x.array == (0.0,)
    assert [points.text[0] for points in figure.data] == [
        "95% CI not estimable",
        "95% CI not estimable",
        "upper limit not estimable",
    ]
    many = TraceSet.from_spans(
        pd.concat([spans([("1", None, "a", "x", "SERVER", 0, 1000 + k, "UNSET")], f"{k + 1:x}") for k in range(60)])
    )
    p50 = plot(latency(many, by=()), kind="limits").data[0]
    row = latency(many, by=()).table.iloc[0]
    assert p50.x[0] == pytest.approx(row["p50_ns"] * 1e-9)
    assert p50.x[0] + p50.error_x.array[0] == pytest.approx(row["p50_high_ns"] * 1e-9)
    assert p50.x[0] - p50.error_x.arrayminus[0] == pytest.approx(row["p50_low_ns"] * 1e-9)
    p99 = plot(latency(many, by=()), kind="limits").data[2]
    assert p99.text == ("upper limit not estimable",)


def test_wrong_wishes_for_a_latency_are_refused():
    result = latency(pay_traces())
    with pytest.raises(ValueError, match="expected a kind of histogram, ecdf, limits, found 'violin'"):
        plot(result, kind="violin")
    with pytest.raises(
        ValueError, match=r"expected latencies by \['service_name', 'operation'\] in against, found \[\]"
    ):
        plot(result, against={"other": latency(pay_traces(), by=())})


def test_what_is_left_out_is_reported():
    figure = plot(latency(pay_traces()), groups=2)
    assert figure.layout.title.text == "Latency (top 2 of 5 groups)"
    assert len(figure.data) == 2


# ------------------------------------------------------------------ what differs


def set_apart(values):
    """Sixty requests, of which those with the first value are slow."""
    spans = pd.DataFrame(
        {"trace_id": [f"{k + 1:032x}" for k in range(60)], "span_id": [f"{k + 1:016x}" for k in range(60)],
         "parent_span_id": None, "service_name": "shop", "name": "GET /", "kind": "SERVER",
         "start_ns": np.arange(60) * 10**9, "end_ns": np.arange(60) * 10**9 + np.where(np.arange(60) % 3, 10**6, 10**9),
         "attributes.tier": np.array(values)[(np.arange(60) % 3 > 0).astype(int)]}
    )  # fmt: skip
    return what_differs(TraceSet.from_spans(spans), "duration_ns > 1e8")


def test_each_significant_value_has_a_bar_of_each_side():
    result = set_apart(["enterprise", "free"])
    figure = plot(result)
    assert [bar.name for bar in figure.data] == ["the rest (40 traces)", "duration_ns &gt; 1e8 (20 traces)"]
    assert [list(bar.x) for bar in figure.data] == [[0.0], [1.0]]
    assert figure.data[0].y[0] == "tier = enterprise and 1 more"
    picture = str(figure.picture())
    assert "100%" in picture
    tops = [float(top) for top in re.findall(r'class="tk-series\d"><rect x="[^"]+" y="([^"]+)"', picture)]
    assert tops[0] > tops[1]  # the selection is above the baseline, as in plotly


def test_without_a_significant_value_the_title_says_so():
    traces = set_apart(["a", "b"]).source[0].traces
    first = pd.Series([True] + [False] * 59, index=pd.Index(traces.trace_ids, name="trace_id"))
    figure = plot(what_differs(traces, first))
    assert figure.layout.title.text.endswith(": no significant difference")
    nothing = plot(what_differs(traces, first, min_traces=99))
    assert nothing.layout.annotations[0].text == "No attribute value is on enough traces to be compared."


def test_shapes_have_one_bar_each_and_two_with_a_baseline():
    traces = pay_traces()
    found = paths(traces)
    (bars,) = plot(found, kind="bars").data
    assert list(bars.x) == found.table["frequency_ratio"].tolist()
    before, now = plot(paths(traces, traces), kind="bars").data
    assert (before.name, now.name, before.x) == ("baseline", "current", now.x)
    assert "no significant change" in now.customdata[0] or "too few" in now.customdata[0]
    nothing = plot(paths(traces.where("service_name == 'nobody'")), kind="bars")
    assert nothing.layout.annotations[0].text == "No traces."
    one_sided = plot(paths(traces, traces.where("service_name == 'nobody'")), kind="bars")
    assert one_sided.layout.annotations[0].text == "One side has no traces."
    assert str(one_sided.picture()).startswith("<svg")


def test_a_comparison_has_the_steps_of_its_path_and_the_verdicts_in_its_table():
    traces = pay_traces()
    changes = compare(traces, traces, names=("<1.4.0>", "1.5.0"))
    figure = plot(changes)
    assert figure.layout.title.text == "Mean latency, &lt;1.4.0&gt; to 1.5.0: 0 ns"
    assert "too few" in str(figure._table)
    nothing = compare(traces, traces.where("service_name == 'nobody'"))
    assert plot(nothing).layout.annotations[0].text.startswith("One side has no finished request")


def test_names_of_values_are_escaped():
    text = plot(set_apart(["<a href='http://evil'>x</a>", "b"])).to_json()
    assert "<a href" not in text


# ------------------------------------------------------------------ timeline


def busy(gap=0):
    """Requests in seconds 0, 1 and 2, then, after a gap, one more."""
    rows = [(k, 100 + 50 * k, "ERROR" if k == 1 else "OK") for k in (0, 0, 1, 2)]
    rows += [(3 + gap, 400, "OK")]
    frame = spans([("1", None, "a", "x", "SERVER", s * 10**9, s * 10**9 + d * 10**6, e) for s, d, e in rows])
    return TraceSet.from_spans(frame.assign(trace_id=[f"{k + 1:x}" for k in range(len(rows))]))


def test_bands_are_drawn_at_the_middle_of_their_steps():
    figure = plot(timeline(busy(), step_s=1))
    p50 = figure.data[0]
    assert p50.x == tuple(f"1970-01-01T00:00:0{k}.500" for k in range(4))
    assert p50.y == pytest.approx((0.1, 0.15, 0.2, 0.4))
    errors = figure.data[-1]
    assert errors.y == (0.0, 1.0, 0.0, 0.0)
    assert errors.yaxis == "y2"


def test_no_line_crosses_a_time_without_requests():
    figure = plot(timeline(busy(gap=5), step_s=1))
    runs = [curve for curve in figure.data if curve.legendgroup == "p50"]
    assert [len(curve.x) for curve in runs] == [3, 1]
    assert [curve.showlegend for curve in runs] == [True, False]
    assert runs[1].mode == "lines+markers"


def test_deployments_are_marked_where_they_happened():
    figure = plot(timeline(busy(), step_s=1), deployments={"ledger <2>": "1970-01-01T00:00:02"})
    (line,) = figure.layout.shapes
    assert line.x0 == line.x1 == "1970-01-01T00:00:02.000"
    (note,) = figure.layout.annotations
    assert note.text == "ledger &lt;2&gt;"
    assert "ledger &lt;2&gt;" in str(figure.picture())
    many = {f"v{k}": pd.Timestamp(k * 10**8, tz="Europe/Oslo") for k in range(9)}
    crowded = plot(timeline(busy(), step_s=1), deployments=many)
    assert len(crowded.layout.shapes) == 9
    assert len(crowded.layout.annotations) == 6
    assert crowded.layout.title.text == "Requests over time (9 deployments marked)"
    with pytest.raises(ValueError, match="expected a time for deployment 'v2', found None"):
        plot(timeline(busy()), deployments={"v2": None})
    with pytest.raises(ValueError, match="expected a kind of bands, heat, found 'pie'"):
        plot(timeline(busy()), kind="pie")


def test_deployments_that_the_traces_show_are_marked_by_themselves():
    frame = busy().spans[["trace_id", "span_id", "service_name", "name", "start_ns", "end_ns"]]
    versions = np.where(frame["start_ns"] >= 2 * 10**9, "2", "1")
    traces = TraceSet.from_spans(frame.assign(**{"resource.service.version": versions}))
    figure = plot(timeline(traces, step_s=1))
    assert [note.text for note in figure.layout.annotations] == ["a 2"]
    assert figure.layout.shapes[0].x0 == "1970-01-01T00:00:02.000"


def test_a_traceset_is_drawn_as_its_traffic():
    figure = plot(busy(gap=0))
    good, bad = figure.data
    assert sum(good.y) + sum(bad.y) == 5
    assert sum(bad.y) == 1
    assert bad.marker.color == "#d32f2f"
