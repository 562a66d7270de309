"""Misuse that is one step from right: every public function says what it expects, for every public type."""

import inspect
import re

import pandas as pd
import pytest

import tracekit as tk
from tracekit.arguments import check_traces
from tracekit.weights.rules import HeadRule, Rules

BOTH = tk.load_sample("checkout-regression")
SMALL = BOTH[1].trace(BOTH[1].trace_ids[0])
PATH = tk.critical_path(SMALL)
FINDINGS = tk.quality(SMALL)
CALLS_AWS = {"pull_xray", "pull_dynamodb_tracer", "publish_cloudwatch", "audit_coverage"}
OPENS_A_PORT = {"listen"}
THINGS = {
    "TraceSet": SMALL,
    "several TraceSets": BOTH,
    "list of TraceSets": [SMALL, SMALL],
    "frame": SMALL.spans,
    "series": SMALL.spans["name"],
    "text": "abc",
    "bytes": b"abc",
    "number": 3,
    "nothing": None,
    "mapping": {"a": 1},
    "CriticalPath": PATH,
    "Bands": PATH.bands(),
    "PathComparison": PATH.compare(PATH),
    "Flame": PATH.flame(),
    "WhatIf": PATH.what_if({"depth > 3": 0.5}),
    "WhatIfCurve": PATH.what_if_curve("depth > 3"),
    "CapSelfTime": tk.CapSelfTime(quantile=0.9),
    "Latency": tk.latency(SMALL),
    "ServiceGraph": tk.service_graph(SMALL),
    "SelfTime": tk.self_time(SMALL),
    "Errors": tk.errors(SMALL),
    "Timeline": tk.timeline(SMALL),
    "ClockSkew": tk.clock_skew(SMALL),
    "Findings": FINDINGS,
    "Finding": next(iter(FINDINGS)),
    "Estimate": tk.Estimate(1, "ns", 0, 2, n=3),
    "section": tk.section("A title", "a part"),
    "rules": Rules((HeadRule("all", 0.1),)),
}
OTHERS = {"path": "out.html", "trace_id": SMALL.trace_ids[0], "target": "out.parquet", "expression": "duration > 1"}
FUNCTIONS = [
    name
    for name in tk.__all__
    if inspect.isfunction(getattr(tk, name)) and inspect.signature(getattr(tk, name)).parameters
]


def others(name):
    """The arguments after the first that a function needs."""
    parameters = list(inspect.signature(getattr(tk, name)).parameters.values())[1:]
    needed = [one for one in parameters if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    return [OTHERS.get(one.name, SMALL) for one in needed]


@pytest.mark.parametrize("kind", THINGS)
@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - CALLS_AWS - OPENS_A_PORT))
def test_every_function_answers_or_says_what_it_expects(name, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        getattr(tk, name)(THINGS[kind], *others(name))
    except (tk.TracekitError, ValueError, TypeError) as error:
        told = str(error)
        states = r"expected |no such file|is not JSON|no dataset |no AWS region"  # what is wrong, and what to do next
        assert re.search(states, told), f"{type(error).__name__}: {told}"  # noqa: PT017 - what it says
        assert "object has no attribute" not in told


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - CALLS_AWS))
def test_a_store_in_place_of_the_first_argument(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = SMALL.save(tmp_path / "small.parquet")
    try:
        getattr(tk, name)(store, *others(name))
    except (tk.TracekitError, ValueError, TypeError) as error:
        assert "expected" in str(error)  # noqa: PT017 - what it says


@pytest.mark.parametrize("thing", [SMALL, BOTH, SMALL.spans, "abc", 3])
def test_what_is_no_session_is_not_asked_for_its_region(thing):
    with pytest.raises(TypeError, match=r"expected a boto3 session, found .*; pass boto3.Session\(...\), or region="):
        tk.audit_coverage(thing)


TAKES_TRACES = [name for name in FUNCTIONS if next(iter(inspect.signature(getattr(tk, name)).parameters)) == "traces"]


@pytest.mark.parametrize("name", TAKES_TRACES)
@pytest.mark.parametrize(
    ("thing", "advice"),
    [
        (BOTH, "it contains 2 of them: choose one, as in before, during = ...; tk.{}(during)"),
        ([SMALL] * 3, "it contains 3 of them: choose one, as in part_1, part_2, part_3 = ...; tk.{}(part_3)"),
        (SMALL.spans, "from a frame of spans: tk.{}(tk.TraceSet.from_spans(frame))"),
        ("during.jsonl", "from a file or store: tk.{}(tk.read('during.jsonl'))"),
        (PATH, "pass the traces that it was computed from: tk.{}(result.source)"),
        (THINGS["Latency"], "pass the traces that the result was computed from"),
        (3, "pass what tk.read or tk.load_sample returns"),
    ],
    ids=["pair", "list", "frame", "file", "path", "latency", "number"],
)
def test_every_analysis_says_how_to_come_by_traces(name, thing, advice):
    if name == "profile" and thing is PATH:
        return  # it takes a critical path as well
    told = f"expected a TraceSet for tk.{name}, found {type(thing).__name__}; {advice.format(name)}"
    with pytest.raises(TypeError, match=f"^{re.escape(told)}$"):
        getattr(tk, name)(thing, *others(name))


def test_traces_are_traces():
    check_traces(SMALL, "latency")


@pytest.mark.parametrize(
    ("thing", "advice"),
    [
        (
            SMALL.spans,
            r"found DataFrame; pass the result that the table is from, as in tk.plot\(tk.latency\(traces\)\)",
        ),
        ([THINGS["Latency"]], r"found list; plot them one by one"),
        ("during.jsonl", r"found str; read it first: tk.plot\(tk.service_graph\(tk.read\('during.jsonl'\)\)\)"),
        (3, "found int$"),
    ],
)
def test_plot_says_what_to_plot(thing, advice):
    with pytest.raises(TypeError, match=advice):
        tk.plot(thing)


def test_rules_match_requests_and_not_traces():
    rules = THINGS["rules"]
    told = r"expected a mapping of service_name, .*, found TraceSet; for all .*: traces.with_weights\(rules\)"
    with pytest.raises(TypeError, match=told):
        rules.match(SMALL)
    with pytest.raises(TypeError, match=told):
        rules.head[0].matches(SMALL)


# ------------------------------------------------------------------ ids

PLAIN = SMALL.trace_ids[0]
DASHED = f"{PLAIN[:8]}-{PLAIN[8:12]}-{PLAIN[12:16]}-{PLAIN[16:20]}-{PLAIN[20:]}"
SPELLINGS = [PLAIN, PLAIN.upper(), DASHED, f"1-{PLAIN[:8]}-{PLAIN[8:]}"]


@pytest.mark.parametrize("spelt", SPELLINGS)
def test_an_id_is_taken_as_every_tool_spells_it(spelt):
    whole = BOTH[1]
    assert whole.trace(spelt).trace_ids == [PLAIN]
    assert PLAIN in repr(tk.waterfall(whole, spelt))
    assert tk.markdown(whole, spelt) == tk.markdown(whole, PLAIN)
    assert tk.mermaid(whole, spelt) == tk.mermaid(whole, PLAIN)
    by_id = pd.Series([True], index=pd.Index([spelt], name="trace_id"))
    assert whole.where(by_id).trace_ids == [PLAIN]
    assert SMALL.with_weights({spelt: 7}).weights.value.tolist() == [7.0]
    label = pd.Series(["slow"], index=pd.Index([spelt], name="trace_id"), name="group")
    assert tk.latency(whole, by=label).table["group"].isin(["slow"]).sum() == 1


@pytest.mark.parametrize("wrong", [3, None, SMALL, ["a"]])
def test_what_is_no_id_says_where_ids_are(wrong):
    with pytest.raises(
        TypeError, match=r"expected the id of a trace as text, found .*; traces.trace_ids and the index"
    ):
        SMALL.trace(wrong)
