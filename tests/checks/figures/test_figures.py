"""The sentence of each figure says what its table does, and both what the spans do."""

import re

import numpy as np
import pandas as pd
import pytest
from checks.healthy_worlds import UNKNOWN, WEIGHTED, healthy
from investigation.worlds import quiet

import tracekit as tk
from tracekit import text
from tracekit.report.inputs import Inputs
from tracekit.report.sides import sides_of
from tracekit.report.standard import Standard

SECOND = 10**9


def numbers(figure):
    """The values of a sentence."""
    return figure.values  # noqa: PD011 - not a frame


@pytest.fixture(scope="module")
def incident():
    before, during = tk.load_sample("checkout-regression")
    return Standard.of(during, before)


@pytest.fixture(scope="module")
def summary(incident):
    return incident.seen.traces.summary


def test_traffic_counts_every_trace_once(incident, summary):
    figure = incident.figures["traffic"]
    rows, step = figure.evidence, numbers(figure)["step_ns"]
    own = (summary["start_ns"] // step).value_counts()
    assert rows["trace_count"].sum() == len(summary)
    assert rows["failed_count"].sum() == summary["is_error"].sum() == numbers(figure)["failed_count"]
    assert numbers(figure)["highest_count"] == own.max()
    assert f"at most {own.max()} (" in figure.headline
    assert f"in {len(rows)} steps of {step / SECOND:g} s" in figure.headline


def test_over_time_names_the_extremes_of_steps_with_enough_requests(incident):
    figure, table = incident.figures["over_time"], incident.timeline.table
    enough = table[table["trace_count"] >= 20]
    low, high = enough["p95_ns"].min(), enough["p95_ns"].max()
    assert len(enough) < len(table)
    assert figure.headline.startswith(f"p95 in {len(enough)} usable steps of {len(table)} (5 s each): from ")
    assert f"from {text.duration(low)} (" in figure.headline
    assert f" to {text.duration(high)} (" in figure.headline
    assert f"Highest error rate: {text.ratio(enough['error_ratio'].max())} (" in figure.headline
    assert figure.evidence["trace_count"].sum() == 2000


def test_latency_agrees_with_the_durations(incident, summary):
    figure = incident.figures["latency"]
    took = summary["root_duration_ns"].to_numpy(float)
    assert numbers(figure)["max"] == took.max()
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        assert numbers(figure)[name] == pytest.approx(np.quantile(took, share), rel=0.02)
        assert text.duration(numbers(figure)[name]) in figure.headline
    current = figure.evidence[figure.evidence["side"] == "current"]
    assert current["request_count"].sum() == len(summary)


def test_the_map_names_edges_of_the_graph(incident):
    figure, calls = incident.figures["map"], incident.seen.graph.calls
    most = calls.sort_values("call_count").iloc[-1]
    edge = f"{most['caller_service']} → {most['callee_service']} ({text.count(most['call_count'])})"
    assert edge in figure.headline
    usable = calls[calls["call_count"] >= 20]
    assert numbers(figure)["p95_high_ns"] == usable["p95_ns"].max()
    assert numbers(figure)["error_high_ratio"] == usable["error_ratio"].max()


def test_contributions_add_up_to_the_change_in_mean_latency(incident, summary):
    figure = incident.figures["contributions"]
    was = incident.sides.baseline.summary["root_duration_ns"].mean()
    assert numbers(figure)["change_ns"] == pytest.approx(summary["root_duration_ns"].mean() - was, rel=1e-6)
    assert "ledger SELECT entries" in figure.headline
    assert "1 of 47 operations changed significantly" in figure.headline


def test_a_waterfall_says_what_its_request_waited_for(incident, summary):
    assert set(incident.waits) == set(incident.shown.embedded)
    for trace_id, figure in incident.waits.items():
        rows = figure.evidence
        assert rows["path_time_ns"].sum() == pytest.approx(summary.loc[trace_id, "root_duration_ns"])
        assert rows["share_ratio"].sum() == pytest.approx(1)
        assert rows["path_time_ns"].is_monotonic_decreasing
        assert text.ratio(rows["share_ratio"].iloc[0]) in figure.headline
        assert figure.exemplars == (trace_id,)


def test_the_code_of_a_waterfall_gives_its_table(incident):
    figure = next(iter(incident.waits.values()))
    made, _, shown = figure.code.partition("\n")
    scope = {"tk": tk, "traces": incident.seen.traces}
    exec(made, scope)
    found = eval(shown, scope)
    assert found["path_time_ns"].max() == numbers(figure)["path_time_ns"]


def test_what_changed_is_in_the_figures_of_it(incident):
    assert incident.figures["suspects"].headline.startswith("ledger: ")
    affected = incident.figures["affected"]
    assert "app.customer.tier = enterprise" in affected.headline
    assert numbers(affected)["baseline_ratio"] == 0


def test_shapes_are_counted():
    _, during = tk.load_sample("checkout-regression")
    chatty = during.where("app.customer.tier == 'enterprise'")
    rest = during.where("operation == 'GET /search'")
    figure = Standard.of(chatty, rest + tk.load_sample("checkout-regression")[0].head(200)).figures.get("shapes")
    assert figure is not None
    found = numbers(figure)
    assert sum(found[f"{name}_count"] for name in ("new", "gone", "more", "fewer")) == len(figure.evidence)


def test_every_figure_of_the_page_has_a_sentence_and_its_claim(tmp_path):
    before, during = tk.load_sample("checkout-regression")
    page = tk.report(during.head(300), tmp_path / "page.html", baseline=before.head(300), slo=0.999, prices=PRICES)
    source = page.read_text()
    figures = len(re.findall(r'<div class="chart">|<div class="charts">|<div class="view ', source))
    sentences = len(re.findall(r'class="reading"', source))
    assert figures == sentences + source.count('<p class="lead">$')
    found = tk.verify(page, during.head(300), baseline=before.head(300), slo=0.999, prices=PRICES)
    assert found.is_verified, found.differences
    with pytest.raises(ValueError, match="expected prices= and slo=, which the report was made with, found none"):
        tk.verify(page, during.head(300), baseline=before.head(300))


PRICES = [tk.Price("requests", "kind == 'SERVER'", usd_per_million=2)]


@pytest.mark.parametrize("world", [*WEIGHTED, *UNKNOWN])
def test_sentences_on_healthy_recordings_describe_and_do_not_alarm(world):
    rng = np.random.default_rng(7)
    make = {**UNKNOWN, **WEIGHTED}[world]
    found = Standard.of(make(rng, 200), make(rng, 200))
    assert {"over_time", "traffic", "map", "latency", "contributions"} <= set(found.figures)
    assert not {"affected", "shapes"} & set(found.figures)
    assert found.figures["contributions"].headline.count("None of ") == 1
    assert {figure.severity for figure in found.figures.values()} == {"info"}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_traces_have_no_p95_over_time(count):
    traces, _ = healthy(np.random.default_rng(1), "even", 200)
    standard = Standard.between(sides_of(traces.head(count)), Inputs.of(slo=0.9, prices=PRICES))
    if not count:
        assert not standard.figures
        return
    assert "too few for a p95" in standard.figures["over_time"].headline
    assert "None has a failed request" in standard.figures["traffic"].headline
    assert len(standard.waits) == count


def test_names_with_markup_stay_text():
    frame = pd.DataFrame(
        {
            "trace_id": [f"{k + 1:032x}" for k in range(30)],
            "span_id": [f"{k + 1:016x}" for k in range(30)],
            "service_name": "<img src=x onerror=alert(1)>\x1b[31m",
            "name": "a\nb",
            "kind": "SERVER",
            "start_ns": np.arange(30) * SECOND + 1_747_231_200 * SECOND,
            "end_ns": np.arange(30) * SECOND + 1_747_231_200 * SECOND + 10**6,
        }
    )
    standard = Standard.of(tk.TraceSet.from_spans(frame))
    assert all("\x1b" not in one.headline and "\n" not in one.headline for one in standard.waits.values())


def test_a_waterfall_of_skewed_clocks_agrees_with_the_path_of_the_recording():
    traces, _ = quiet(np.random.default_rng(3), n=120, offsets={"cart": 5_000_000})
    standard = Standard.of(traces)
    assert len(standard.seen.path.offsets)
    by = ["trace_id", "service_name", "operation", "callee_service"]
    whole = standard.seen.path.by(by).groupby("trace_id")["path_time_ns"].max()
    assert standard.waits
    for trace_id, figure in standard.waits.items():
        assert figure.evidence["path_time_ns"].max() == whole[trace_id]
