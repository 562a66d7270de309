"""The view of bounds: a bar per source of doubt, open at the edge, and words where there are none."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from all_views import is_finite
from analysis.bounds.worlds import ADVERSARIES, complete

import tracekit as tk


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(3)
    return ADVERSARIES["all of it"](rng, complete(rng, 300, only_5xx=False), 0.5)


def test_a_bar_per_source_of_doubt_and_one_of_all(world):
    found = tk.bounds(world.traces(), "p90 < 1 s", requests=world.counts("time"), longest_ms=2000)
    bars, recorded = tk.plot(found).data
    assert bars.y == (*found.sources["source"], "all together")
    assert bars.base == pytest.approx([*found.sources["low"] / 1e9, found.low / 1e9])
    assert np.add(bars.x, bars.base) == pytest.approx([*found.sources["high"] / 1e9, 2])
    assert recorded.x == pytest.approx((found.value / 1e9,))
    assert set(bars.text) == {""}


def test_the_claim_is_a_line_and_the_subtitle_says_what_the_bounds_rest_on(world):
    figure = tk.plot(tk.bounds(world.traces(), "p90 < 1 s", requests=world.counts("time")))
    (line,) = figure.layout.shapes
    assert (line.x0, line.x1) == (1, 1)
    assert figure.layout.title.subtitle.text.startswith("&lt; 1 s: undecided; 300 requests counted in 6 windows")
    assert not tk.plot(tk.bounds(world.traces(), "p90", requests=world.counts("time"))).layout.shapes


def test_a_bar_without_an_upper_bound_ends_at_the_edge(world):
    figure = tk.plot(tk.bounds(world.traces(), "mean", requests=world.counts("time")))
    assert is_finite(list(figure.data[0].x))
    assert set(figure.data[0].text) == {"no upper bound"}
    assert "≥ " in figure.data[0].customdata[-1]


def test_the_interval_is_that_of_known_weights(world):
    found = tk.bounds(world.traces().with_weights(2), "error rate", requests=world.counts())
    bars, recorded = tk.plot(found).data
    assert recorded.error_x.array == pytest.approx([found.estimate.high - found.estimate.value])
    assert "95% CI" in recorded.customdata[0]
    assert bars.customdata[-1] == f"{found.range_words()}, {found.low_masses.size.sum():.0f} requests"


def test_words_where_nothing_is_bounded(world):
    figure = tk.plot(tk.bounds(world.traces(), "error rate"))
    assert not figure.data
    assert figure.layout.annotations[0].text == "Bounds not estimable."
    assert "the number of requests is unknown" in figure.layout.title.subtitle.text


def test_exact_bounds_and_no_errors_are_drawn():
    shop = tk.load_sample("small-shop")[0].with_weights(1)
    figure = tk.plot(tk.bounds(shop, "error rate"))
    assert figure.data[0].y == ("all together",)
    assert figure.data[0].customdata[0] == "exactly 0%, 0 requests"


def test_names_are_inert_and_the_notebook_shows_the_view(world):
    evil = "<a href='http://evil'>x</a>\u202e"
    spans = world.traces().spans.assign(name=evil)
    traces = tk.TraceSet.from_spans(spans.drop(columns=["http_route", "http_request_method"]))
    found = tk.bounds(traces, f"p50 of {evil}", requests=pd.DataFrame({"count": [400]}))
    figure = tk.plot(found)
    assert "<a" not in figure.layout.title.text + figure.layout.xaxis.title.text
    shown = found._repr_mimebundle_()
    data = shown[0] if isinstance(shown, tuple) else shown
    assert "<a href='http://evil'>" not in data["text/html"]
    assert "\u202e" not in str(data)
    picture = ET.fromstring(re.sub(r"^<\?xml[^>]*>", "", str(figure.picture())))
    assert picture.tag.endswith("svg")
