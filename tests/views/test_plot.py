import subprocess
import sys
from importlib import import_module

import pytest
from hand_drawn import PAY, pay_traces, spans

import tracekit as tk
from tracekit import TraceSet
from tracekit.analysis.errors import errors
from tracekit.analysis.latency import latency
from tracekit.analysis.self_time import self_time
from tracekit.views import plot
from tracekit.views.charts import safe
from tracekit.views.plot import VIEWS


@pytest.fixture
def pay():
    return pay_traces()


def test_importing_the_views_imports_no_chart_or_widget_library():
    heavy = ("plotly", "anywidget", "ipywidgets", "traitlets", "networkx", "nbformat", "jinja2")
    code = f"import sys, tracekit.views; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_every_registered_view_exists():
    for result, view in VIEWS.items():
        module, _, name = result.rpartition(".")
        assert isinstance(getattr(import_module(module), name), type)
        module, _, name = view.partition(":")
        assert callable(getattr(import_module(f"tracekit.views.{module}"), name))


def test_a_subclass_of_a_result_is_drawn_like_it(pay):
    class Mine(type(latency(pay))):
        pass

    result = latency(pay)
    assert type(plot(Mine(result.table, result.histogram))).__name__ == "Chart"


def test_what_is_not_drawn_of_a_store_says_what_is(tmp_path):
    store = tk.open(tk.load_sample("checkout-regression")[1].head(5).save(tmp_path / "a.parquet"))
    for found, advice in (
        (store, r"of a store, plot an analysis, as in tk.plot\(tk.timeline\(store\)\)"),
        (tk.critical_path(store), r"plot what is made of its parts, as in tk.plot\(path.bands\('service_name'\)\)"),
        (tk.self_time(store), r"of a store, plot tk.latency\(store\), or load some of its traces"),
    ):
        with pytest.raises(TypeError, match=advice):
            plot(found)
    path = tk.critical_path(store)
    assert plot(path.bands("service_name"))
    assert plot(path.flame())


def test_what_has_no_view_is_refused():
    with pytest.raises(TypeError, match=r"expected a result with a view \(.*Errors, .*\), found str"):
        plot("latency")


def test_self_time_bars_are_shares_of_all_self_time(pay):
    bars = plot(self_time(pay)).data[0]
    table = self_time(pay).by("service_name")
    assert dict(zip(bars.y, bars.x, strict=True)) == pytest.approx(
        dict(zip(table["service_name"], table["self_time_ratio"], strict=True))
    )


def test_the_outline_of_a_latency_holds_all_of_its_spans(pay):
    figure = plot(latency(pay, by="service_name"))
    for outline in figure.data:
        assert sum(outline.y[::2]) == pytest.approx(1)
        assert list(outline.x) == sorted(outline.x)
    assert {outline.name for outline in figure.data} == {"shop", "cart", "ledger", "mailer"}


def test_failing_operations_have_a_point_with_its_interval(pay):
    result = errors(pay)
    points = plot(result).data[0]
    assert list(points.y) == ["ledger charge"]
    assert list(points.x) == [1.0]
    row = result.operations.iloc[0]
    assert points.x[0] - points.error_x.arrayminus[0] == pytest.approx(row["error_ratio_low"])


def test_names_are_no_markup_in_a_chart():
    rows = [(s, p, "<a href='http://evil'>x</a>", n, k, a, b, "ERROR") for s, p, _, n, k, a, b, _ in PAY]
    traces = TraceSet.from_spans(spans(rows))
    for figure in (plot(latency(traces)), plot(errors(traces)), plot(self_time(traces))):
        assert "<a href" not in figure.to_json()
    assert safe("a\u202eb<") == "a\ufffdb&lt;"
    assert len(safe("A" * 500)) == 60
