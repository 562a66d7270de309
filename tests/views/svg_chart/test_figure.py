"""Still pictures against what plotly would draw: bars, lines, bands, intervals and cells stand where the values say."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from tracekit.views.charts import chart
from tracekit.views.scales import Scale
from tracekit.views.svg_chart.figure import still_picture

NS = "{http://www.w3.org/2000/svg}"


def drawn(figure):
    return ET.fromstring(str(still_picture(figure)))


def of(root, name):
    return list(root.iter(f"{NS}{name}"))


def words(root):
    return ["".join(node.itertext()) for node in of(root, "text")]


def places(path):
    return [tuple(map(float, point.split(","))) for point in path.get("d").strip("MZ").split("L")]


def tick(root, label, side="x"):
    (node,) = [node for node in of(root, "text") if "".join(node.itertext()) == label]
    return float(node.get(side)) - (4 if side == "y" else 0)


def test_a_line_goes_through_its_values():
    root = drawn(chart("T").add_scatter(x=[0, 5, 10], y=[0, 20, 10], mode="lines", line={"color": "#123456"}))
    (line,) = [path for path in of(root, "path") if path.get("stroke") == "#123456"]
    (x0, y0), (x1, y1), (x2, y2) = places(line)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y2 == pytest.approx((y0 - y1) / 2, abs=0.2)
    assert x0 == pytest.approx(tick(root, "0", "x") if words(root).count("0") == 1 else x0, abs=0.2)
    assert y1 == pytest.approx(tick(root, "20", "y"), abs=0.2)


def test_a_logarithmic_axis_has_equal_decades():
    root = drawn(
        chart("T", xaxis={"type": "log", "tickformat": "~s"}).add_scatter(
            x=[0.001, 0.01, 1.0, 0, -1], y=[1, 2, 3, 4, 5]
        )
    )
    (line,) = [path for path in of(root, "path") if path.get("fill") == "none"]
    x = [place[0] for place in places(line)]
    assert len(x) == 3  # what has no place on a logarithmic axis is not drawn
    assert x[2] - x[1] == pytest.approx(2 * (x[1] - x[0]), abs=0.3)
    assert tick(root, "10 ms") == pytest.approx(x[1], abs=0.2)


def test_a_gap_is_a_gap():
    root = drawn(chart("T").add_scatter(x=[1, 2, 3, 4], y=[1, 2, None, 3], mode="lines"))
    assert [len(places(path)) for path in of(root, "path") if path.get("fill") == "none"] == [2, 1]


def test_steps_keep_their_height():
    root = drawn(chart("T").add_scatter(x=[1, 2, 3], y=[1, 5, 2], mode="lines", line={"shape": "hv"}))
    (line,) = [path for path in of(root, "path") if path.get("fill") == "none"]
    p = places(line)
    assert len(p) == 5
    assert p[0][1] == p[1][1]
    assert p[1][0] == p[2][0]


def test_a_band_fills_what_lies_between_two_lines():
    figure = chart("T").add_scatter(x=[1, 2], y=[1, 1], mode="lines", line={"color": "#111111"})
    figure.add_scatter(x=[1, 2], y=[3, 4], mode="lines", fill="tonexty", fillcolor="rgba(1,2,3,0.5)", line={"width": 0})
    root = drawn(figure)
    (band,) = [path for path in of(root, "path") if path.get("fill") == "#010203"]
    assert band.get("fill-opacity") == "0.5"
    (line,) = [path for path in of(root, "path") if path.get("stroke") == "#111111"]
    assert places(band)[2:] == places(line)[::-1]


def test_whiskers_reach_the_limits():
    root = drawn(
        chart("T").add_scatter(
            x=[2, 6],
            y=["a", "b"],
            mode="markers",
            error_x={"type": "data", "symmetric": False, "array": [2, 1], "arrayminus": [1, 0], "color": "#abcdef"},
            text=["one", "two"],
        )
    )
    dots = {dot.find(f"{NS}title").text: dot for dot in of(root, "circle")}
    lines = [line for line in of(root, "line") if line.get("stroke") == "#abcdef"]
    scale = (float(dots["two"].get("cx")) - float(dots["one"].get("cx"))) / 4
    for dot, line, (up, down) in zip((dots["one"], dots["two"]), lines, [(2, 1), (1, 0)], strict=True):
        centre = float(dot.get("cx"))
        assert float(line.get("x1")) == pytest.approx(centre - down * scale, abs=0.05)
        assert float(line.get("x2")) == pytest.approx(centre + up * scale, abs=0.05)
        assert line.get("y1") == dot.get("cy")


@pytest.mark.parametrize("flat", [False, True])
def test_bars_are_as_long_as_their_values_and_begin_at_zero(flat):
    values, names = [3.0, 6.0], ["a", "b"]
    sides = {"x": values, "y": names, "orientation": "h"} if flat else {"x": names, "y": values}
    root = drawn(chart("T").add_bar(**sides, marker={"color": "#123456"}, text=["three", "six"]))
    bars = [bar for bar in of(root, "rect") if bar.get("fill") == "#123456"]
    long = [float(bar.get("width" if flat else "height")) for bar in bars]
    assert long[1] == pytest.approx(2 * long[0], rel=0.01)
    assert ("three" in words(root)) is flat
    if flat:
        assert bars[0].get("x") == bars[1].get("x")


def test_stacked_bars_do_not_overlap_and_negative_ones_hang():
    figure = chart("T", barmode="relative")
    figure.add_bar(x=["a", "b"], y=[2.0, -1.0], name="one", marker={"color": ["#111111", "#222222"]})
    figure.add_bar(x=["a", "b"], y=[3.0, -2.0], name="two", marker={"color": ["#333333", "#444444"]})
    root = drawn(figure)
    box = {bar.get("fill"): bar for bar in of(root, "rect")}
    top = float(box["#111111"].get("y"))
    assert float(box["#333333"].get("y")) + float(box["#333333"].get("height")) == pytest.approx(top, abs=0.05)
    assert float(box["#444444"].get("y")) == pytest.approx(
        float(box["#222222"].get("y")) + float(box["#222222"].get("height")), abs=0.05
    )
    assert float(box["#222222"].get("y")) == pytest.approx(top + float(box["#111111"].get("height")), abs=0.05)


def test_bars_with_a_base_float():
    root = drawn(
        chart("T").add_bar(x=["a", "b"], y=[2.0, 3.0], base=[1.0, 3.0], marker={"color": ["#111111", "#222222"]})
    )
    box = {bar.get("fill"): bar for bar in of(root, "rect")}
    scale = float(box["#111111"].get("height")) / 2
    assert float(box["#222222"].get("height")) == pytest.approx(3 * scale, rel=0.01)
    assert float(box["#111111"].get("y")) == pytest.approx(
        float(box["#222222"].get("y")) + float(box["#222222"].get("height")), abs=0.05
    )


def test_cells_are_painted_by_their_share_of_the_most():
    scale = [[0, "#000001"], [0.5, "#000002"], [1, "#000003"]]
    bar = {"title": {"text": "requests"}}
    root = drawn(chart("T").add_heatmap(x=[1, 2], y=[1, 2], z=[[1, 2], [None, 4]], colorscale=scale, colorbar=bar))
    painted = [cell for cell in of(root, "rect") if cell.get("fill", "").startswith("#00000")]
    assert [cell.get("fill") for cell in painted[3:]] == ["#000001", "#000002", "#000003"], "what the colours mean"
    assert "up to 4 requests" in words(root)
    cells = {cell.get("fill"): cell for cell in painted[:3]}
    assert set(cells) == {"#000001", "#000002", "#000003"}
    assert float(cells["#000003"].get("y")) < float(cells["#000001"].get("y"))
    assert float(cells["#000001"].get("x")) < float(cells["#000002"].get("x"))
    alone = drawn(chart("T").add_heatmap(x=[1], y=[1], z=[[1]], colorscale=scale))
    assert [cell.get("fill") for cell in of(alone, "rect")][1] == "#000003"


def test_times_are_written_in_utc():
    figure = chart("T").add_scatter(x=["2026-01-01T10:00:00", "2026-01-01T10:10:00"], y=[1, 2])
    assert {"10:00", "10:02", "10:10"} <= set(words(drawn(figure)))
    stamps = np.array(["2026-01-01T10:00", "2026-01-01T10:10"], "datetime64[ms]")
    assert "10:02" in words(drawn(chart("T").add_scatter(x=stamps, y=np.array([1, 2]))))


def test_marks_notes_and_titles_are_drawn():
    figure = chart("What &lt;b&gt; means", yaxis={"title": {"text": "left"}}, xaxis={"title": {"text": "below"}})
    figure.add_scatter(x=[0, 10], y=[0, 1], name="one").add_scatter(x=[0, 10], y=[1, 0], name="two &amp; more")
    figure.add_vline(x=5, line={"color": "#abcdef", "dash": "dot"})
    figure.add_annotation(x=5, y=0.5, text="here", showarrow=False, xanchor="left")
    root = drawn(figure)
    assert {"What <b> means", "left", "below", "one", "two & more", "here"} <= set(words(root))
    (mark,) = [line for line in of(root, "line") if line.get("stroke") == "#abcdef"]
    assert float(mark.get("x1")) == pytest.approx(tick(root, "5"), abs=0.1) if "5" in words(root) else True
    assert root.get("aria-label") == "What <b> means"


def test_one_curve_needs_no_legend_and_many_take_rows():
    alone = drawn(chart("T").add_scatter(x=[1, 2], y=[1, 2], name="alone"))
    assert "alone" not in words(alone)
    many = chart("T")
    for k in range(12):
        many.add_scatter(x=[1, 2], y=[1, 2], name=f"a curve with a long name {k}", mode="markers" if k % 2 else "lines")
    rows = {node.get("y") for node in of(drawn(many), "text") if "long name" in "".join(node.itertext())}
    assert len(rows) >= 3
    assert "a curve" not in str(still_picture(many.update_layout(showlegend=False)))


def test_two_axes_share_the_height():
    figure = chart("T", yaxis={"domain": [0.5, 1]}, yaxis2={"domain": [0, 0.4]})
    figure.add_scatter(x=[0, 1], y=[0, 1], line={"color": "#111111"}).add_scatter(
        x=[0, 1], y=[100, 200], yaxis="y2", line={"color": "#222222"}
    )
    lines = {path.get("stroke"): places(path) for path in of(drawn(figure), "path")}
    assert max(y for _, y in lines["#111111"]) < min(y for _, y in lines["#222222"])


def test_equal_values_and_no_values_have_an_axis_too():
    for values in ([], [5], [0], [None]):
        for kind in ("linear", "log"):
            assert (
                drawn(chart("T", xaxis={"type": kind}).add_scatter(x=values, y=values, mode="lines+markers"))
                is not None
            )


def test_bars_of_all_series_have_equal_width():
    figure = chart("T", barmode="stack").add_bar(x=[1, 2, 3, 4], y=[5, 5, 5, 5]).add_bar(x=[1, 4], y=[1, 1])
    widths = {
        rect.get("width") for rect in ET.fromstring(str(still_picture(figure))).iter() if rect.get("fill") != "#ffffff"
    }
    assert len({width for width in widths if width}) == 2, "the picture itself, and the bars"


def test_labels_on_a_curve_have_a_background():
    figure = chart("T").add_scatter(x=[1, 2], y=[1, 2])
    figure.add_annotation(text="here", x=1, y=1, bgcolor="#ffffff")
    assert 'paint-order="stroke"' in str(still_picture(figure))


def test_a_figure_without_a_static_image_is_reported():
    with pytest.raises(ValueError, match="expected scatter, bar, heatmap traces, found pie, which has no static image"):
        still_picture(chart("T").add_pie(values=[1]))


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        ("~s", 0.25, "250 ms"),
        ("~s", 0, "0"),
        (".1~%", 0.125, "12.5%"),
        (".0%", 1.0, "100%"),
        ("", 12_000, "12k"),
        ("", 0.3, "0.3"),
    ],
)
def test_values_are_written_as_people_read_them(form, value, text):
    assert Scale("linear", 0, 1, 0, 1, form=form).words(value) == text
