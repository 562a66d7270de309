"""The tools of the evidence server answer from a store what they answer from its traces in memory."""

import html
import json
import re

import numpy as np
import pytest
from planted import planted, recording

import tracekit as tk
from tests.loading.store.split_stores import split
from tracekit.checks.case import Case
from tracekit.errors import TracekitError
from tracekit.evidence.answer import LIMIT, token_bound
from tracekit.evidence.exemplars import Wanted, nearest_spans
from tracekit.evidence.tools import Evidence
from tracekit.report.redaction import Outgoing

MORE = re.compile(r"start=(\d+)")
CALLS = [
    ("overview", {}),
    ("investigate", {}),
    ("compare", {}),
    ("compare", {"by": "service"}),
    ("compare", {"by": "endpoint"}),
    ("critical_path", {}),
    ("critical_path", {"by": "operation", "side": "baseline"}),
    ("attributes", {}),
    ("attributes", {"selection": "slowest 5% of POST /checkout"}),
    ("attributes", {"selection": "baseline"}),
    ("attributes", {"selection": "depth == 0 and duration_ns > 200_000_000"}),
]
CLAIMS = [
    "ledger explains 99.9% of the change",
    "payments explains 99.9% of the change",
    "p95 of all requests rose",
    "p95 of all requests is 1 ms",
    "storefront POST /checkout p50 rose",
    "storefront POST /checkout requests with app.customer.tier enterprise have an error rate of 50%",
    "ledger is to blame",
]


@pytest.fixture(scope="module")
def sides():
    before, during = tk.load_sample("checkout-regression")
    return during.head(300), before.head(300)


@pytest.fixture(scope="module")
def in_memory(sides):
    return Evidence(*sides)


@pytest.fixture(scope="module", params=[1, 7])
def stored(sides, request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return Evidence(*(split(one, folder / f"{at}.parquet", request.param) for at, one in enumerate(sides)))


def pages(evidence, tool, **arguments):
    """All answers of a tool, as it says how to ask for the rest."""
    found, start = [], 0
    while True:
        text = evidence.checked(getattr(evidence, tool)(start=start, **arguments), "")
        assert token_bound(text) <= LIMIT
        found.append(text)
        more = MORE.search(json.loads(text).get("ask_for_more", ""))
        if more is None or int(more[1]) <= start:
            return found
        start = int(more[1])


def read_code(text):
    """The same answer without the code that reads the traces, which differs."""
    found = json.loads(text)
    code = found["untrusted_data"].get("code", {})
    found["untrusted_data"]["code"] = {name: one for name, one in code.items() if "import tracekit" not in one}
    return found


@pytest.mark.parametrize(("tool", "arguments"), CALLS)
def test_each_tool_answers_as_from_memory(in_memory, stored, tool, arguments):
    expected, found = (pages(one, tool, **arguments) for one in (in_memory, stored))
    assert [read_code(text) for text in found] == [read_code(text) for text in expected]
    if tool == "overview":
        assert any("tk.open(" in text for text in found)


def test_traces_and_spans_are_shown_from_either_side(sides, in_memory, stored):
    for traces in sides:
        trace_id = traces.trace_ids[3]
        assert stored.show_trace(trace_id) == in_memory.show_trace(trace_id)
        assert stored.show_trace(f" {trace_id[:12].upper()}") == in_memory.show_trace(trace_id[:12])
        for span in traces.trace(trace_id).spans["span_id"][:3]:
            assert stored.show_trace(trace_id, span) == in_memory.show_trace(trace_id, span)
    for evidence in (stored, in_memory):
        with pytest.raises(ValueError, match="found 'zz'"):
            evidence.show_trace("zz")
        with pytest.raises(TracekitError, match="expected the id of a span of this trace"):
            evidence.show_trace(sides[0].trace_ids[3], "zz")


def test_claims_are_judged_alike(in_memory, stored):
    quoted = [found.headline for found in list(in_memory.findings.values())[:5]]
    verdicts = set()
    for claim in (*CLAIMS, *quoted):
        found, expected = (one.checked(one.verify_claim(claim), claim) for one in (stored, in_memory))
        assert found == expected
        verdicts.add(json.loads(found)["verdict"])
    assert verdicts == {"true", "false", "not decidable"}


def test_a_store_is_compared_with_a_baseline_in_memory_and_with_none(sides, in_memory, tmp_path):
    store = split(sides[0], tmp_path / "a.parquet", 3)
    mixed = Evidence(store, sides[1])
    assert mixed.compare() == in_memory.compare()
    assert mixed.show_trace(sides[1].trace_ids[0]) == in_memory.show_trace(sides[1].trace_ids[0])
    assert mixed.attributes("baseline") == in_memory.attributes("baseline")


def test_exemplars_are_the_nearest_spans(sides, tmp_path):
    """A search of all spans is the oracle."""
    traces, spans = sides[0], sides[0].spans
    spans = spans[traces.has_duration & ~traces.is_inferred]
    roots = spans.index.isin(traces.forest.root_row)
    wanted, rows = [], []
    for service, operation, is_root in (("ledger", "SELECT entries", False), ("", "", True), ("payments", "", False)):
        mine = spans[roots] if is_root else spans
        mine = mine[mine["service_name"] == service] if service else mine
        mine = mine[mine["operation"] == operation] if operation else mine
        for value in (float(mine["duration_ns"].quantile(0.9)), np.nan):
            took = mine["duration_ns"].astype(float)
            place = took.argmax() if np.isnan(value) else (took - value).abs().argmin()
            wanted.append(Wanted("current", service, operation, is_root, value))
            rows.append(tuple(mine.iloc[place][["trace_id", "span_id"]]))
    wanted.append(Wanted("current", "nobody", "", is_root=False, value_ns=1.0))
    for source in (traces, split(traces, tmp_path / "a.parquet", 4)):
        found = nearest_spans(Case(source), wanted)
        assert [found.get(one, ()) for one in wanted] == [*rows, ()]


def test_no_answer_from_a_store_has_a_planted_secret(tmp_path):
    values = [planted(seed, 60) for seed in (7, 8)]
    stores = []
    for number, (name, some) in enumerate(zip(("now", "before"), values, strict=True)):
        stores.append(split(tk.read([recording(some, seed=number)]), tmp_path / name, 3))
    steps = []
    evidence = Evidence(*stores, outgoing=Outgoing.of("default"), on_step=steps.append)
    texts = []
    for tool, arguments in CALLS:
        try:
            texts += pages(evidence, tool, **arguments)
        except ValueError as error:  # a recording without failed or slow requests
            texts.append(str(error))
    for trace_id in stores[0].load().trace_ids[:12]:
        text = evidence.checked(evidence.show_trace(trace_id), trace_id)
        spans = [span["span_id"] for span in json.loads(text)["untrusted_data"]["spans"][:2]]
        texts += [
            text,
            *(one for span in spans for one in pages(evidence, "show_trace", trace_id=trace_id, span_id=span)),
        ]
    assert len(texts) > 40
    whole = "\n".join(texts)
    for _, value, _ in (*values[0], *values[1]):
        for form in {value, html.escape(value), json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}:
            assert form not in whole, value
    assert "[credentials]" in whole
    assert len(steps) == len(set(steps))
