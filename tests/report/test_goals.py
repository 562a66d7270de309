"""Sections on an objective and on costs: where there is something to show, and what is refused."""

import pandas as pd
import pytest
from shop_traces import no_traces, shop_traces
from test_report import HOSTILE, Page
from test_report_sections import headings

import tracekit as tk
from tracekit import text
from tracekit.checks.figures.goals import WORDS
from tracekit.report.inputs import Inputs
from tracekit.report.page import render
from tracekit.report.sides import sides_of
from tracekit.report.standard import Standard

PRICES = [tk.Price("requests", "kind == 'SERVER'", usd_per_million=2)]


def sections(traces, slo=None, prices=None):
    return render(traces, inputs=Inputs.of(slo=slo, prices=prices))


def test_goals_have_sections_of_their_own_where_given():
    traces = shop_traces().with_weights(1)
    both = {"Service level objective", "Cost"}
    assert not both & set(headings(sections(traces)))
    assert both <= set(headings(sections(traces, 0.999, PRICES)))


def test_the_section_of_an_objective_says_what_the_result_does():
    traces = shop_traces().with_weights(1)
    goal = tk.slo(traces, objective=0.9, latency_ms=50)
    words = Page(sections(traces, {"objective": 0.9, "latency_ms": 50})).text("p")
    assert f"objective 90.0%: {WORDS[goal.verdict]}. Burn rate {text.factor(goal.burn_rate)}" in words


def test_without_weights_the_section_says_what_would_make_the_indicator_known():
    words = Page(sections(shop_traces(), 0.999)).text("p")
    assert "not assessable; " in words
    assert tk.slo(shop_traces()).statement in words


def test_costs_of_nothing_have_no_section():
    assert "Cost" not in headings(sections(shop_traces(), None, [PRICES[0]._replace(where="kind == 'none'")]))
    assert not {"Service level objective", "Cost"} & set(headings(sections(no_traces(), 0.9, PRICES)))


def test_the_code_of_the_sections_gives_their_figures():
    traces = shop_traces().with_weights(1)
    inputs = Inputs.of(slo={"objective": 0.99, "latency_ms": 50}, prices=PRICES)
    for name, goal in Standard.between(sides_of(traces), inputs).goals_shown.items():
        scope = {"tk": tk, "traces": traces}
        exec(goal.code, scope)
        assert set(scope) & {"goal", "spent"} == {{"slo": "goal", "cost": "spent"}[name]}
        found = scope.get("spent", scope.get("goal"))
        figure = text.ratio(found.sli.value) if name == "slo" else text.usd(found.per_request.value)
        assert figure in goal.figure.headline


def test_hostile_prices_are_text():
    source = sections(shop_traces(), None, [PRICES[0]._replace(name=HOSTILE)])
    assert not Page(source).all("img")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slo": {"goal": 0.9}}, r"expected slo= as an objective or arguments of tk\.slo \(objective, .* found 'goal'"),
        ({"slo": 2}, "expected an objective between 0 and 1"),
        ({"prices": []}, "expected a list of prices"),
    ],
)
def test_unusable_goals_are_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        tk.report(shop_traces(), tmp_path / "page.html", **arguments)


def test_goals_need_traces(tmp_path):
    with pytest.raises(ValueError, match="expected a TraceSet among the sections for slo= to refer to, found none"):
        tk.report([tk.section("Table", pd.DataFrame({"a": [1]}))], tmp_path / "page.html", slo=0.9)
