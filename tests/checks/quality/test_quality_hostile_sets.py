"""Sets that no loader would make on a good day: every analysis answers, and none says that all is well without data."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from checks.quality.worlds import EPOCH_NS, spans, status
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tracekit import TraceSet

LATEST, EARLIEST = 2**63 - 1, -(2**63) + 1


def pairs(n=40, **columns):
    """A server span and a client span below it in every trace."""
    below = spans(n, span_id="2", parent_span_id="1", service_name="db", kind="CLIENT")
    both = pd.concat([spans(n).assign(parent_span_id=None), below], ignore_index=True)
    return both.assign(**{key: plain(value, len(both)) for key, value in columns.items()})


def plain(value, n):
    """A column of Python's own texts, which may hold what Arrow's may not."""
    return pd.Series([value] * n, dtype=object) if isinstance(value, str) else value


def one_trace(n, *, deep):
    at = np.arange(n)
    above = at - 1 if deep else (at - 1) // 2
    return pd.DataFrame(
        {
            "trace_id": "a" * 32,
            "span_id": [f"{i + 1:016x}" for i in at],
            "parent_span_id": [None, *(f"{i + 1:016x}" for i in above[1:])],
            "service_name": np.array(["a", "b", "c"])[at % 3],
            "name": "x",
            "kind": np.array(["SERVER", "CLIENT"])[at % 2],
            "start_ns": EPOCH_NS + at,
            "end_ns": EPOCH_NS + 10**6 - at // 2,
        }
    )


def beside_the_sample():
    """Traces whose weights are all 0: exported although the sampler had not chosen them."""
    flags = {"attributes.SampleRate": [10] * 80, "attributes.aws.trace.flag.sampled": [False] * 20 + [None] * 60}
    traces = TraceSet.from_spans(pairs(**flags)).with_weights("auto")
    beside = [name for name, weight in zip(traces.trace_ids, traces.weights.value, strict=True) if weight == 0]
    assert len(beside) == 20
    return traces.where(lambda frame: frame["trace_id"].isin(beside))


def weighted(weights):
    traces = TraceSet.from_spans(pairs())
    return traces.with_weights(pd.Series(weights, index=traces.trace_ids))


def of(**columns):
    return lambda: TraceSet.from_spans(pairs(**columns))


AT = np.arange(80)
SETS = {
    "empty": lambda: TraceSet.from_spans(pairs()).where("duration_ns < 0"),
    "one span": lambda: TraceSet.from_spans(spans(1)),
    "weights of 0": beside_the_sample,
    "huge weights": lambda: weighted(np.where(np.arange(40) < 20, 2.0**63, 1.0)),
    "no durations": of(end_ns=pd.array([pd.NA] * 80, dtype="Int64")),
    "equal times": of(start_ns=EPOCH_NS, end_ns=EPOCH_NS),
    "times of 0": of(start_ns=0, end_ns=0),
    "latest times": of(start_ns=LATEST - 1000 + AT % 7, end_ns=LATEST - AT % 5),
    "earliest times": of(start_ns=EARLIEST + AT, end_ns=EARLIEST + 1000),
    "longest durations": of(start_ns=np.where(AT % 2, 0, LATEST - 10), end_ns=LATEST),
    "beyond all durations": of(start_ns=EARLIEST, end_ns=LATEST),
    "torn characters": of(service_name="\ud800x", name="GET \udfff", **{"attributes.user.id": "u\ud83d"}),
    "zero characters": of(service_name="\0", name="GET\0/x\0", **{"attributes.user.id": "a\0b"}),
    "empty names": of(service_name="", name=""),
    "no service": lambda: TraceSet.from_spans(pairs().drop(columns="service_name")),
    "all errors": of(status_code="ERROR"),
    "all orphans": of(parent_span_id="99"),
    "own parents": lambda: TraceSet.from_spans(pairs().assign(parent_span_id=lambda frame: frame["span_id"])),
    "wide trace": lambda: TraceSet.from_spans(one_trace(100_000, deep=False)),
    "deep trace": lambda: TraceSet.from_spans(one_trace(100_000, deep=True)),
}
COUNTS = pd.DataFrame({"time": pd.date_range("2026-11-18", periods=60, freq="1min", tz="UTC"), "count": range(60)})
NOTHING = pd.DataFrame({"count": [0]})
PRICES = {"recorded": 5.0, "budget": 1.0, "incident": 3}
STAGES = {"stages": {"instrumented": 0, "sampled": 0}}


def received(traces):
    return pd.Series(EPOCH_NS + 10**9, index=traces.trace_ids)


def path(traces):
    found = tk.critical_path(traces)
    return found.by("service_name"), repr(found)


CALLS = {
    "quality": tk.quality,
    "quality of counts": lambda t: tk.quality(t, requests=COUNTS, prices=PRICES, received=received(t)),
    "quality of no requests": lambda t: tk.quality(t, requests=NOTHING),
    "sampling": tk.sampling,
    "sampling of counts": lambda t: tk.sampling(t, requests=COUNTS, rules=0.05),
    "sampling of no requests": lambda t: tk.sampling(t, requests=NOTHING),
    "coverage": lambda t: tk.coverage(t)._repr_html_(),
    "coverage of counts": lambda t: tk.coverage(
        t, requests=COUNTS, rules=0.05, expected=STAGES, prices=PRICES, received=received(t)
    )._repr_html_(),
    "latency": lambda t: tk.latency(t)._repr_html_(),
    "service graph": lambda t: tk.service_graph(t)._repr_html_(),
    "errors": lambda t: tk.errors(t)._repr_html_(),
    "critical path": path,
}
TOLD_WITHOUT_TRACES = {"bias.reservoir", "evidence.loss"}  # of the rules alone


@pytest.fixture(scope="module", params=SETS)
def named(request):
    return request.param, SETS[request.param]()


def test_every_analysis_answers(named):
    name, traces = named
    for what, call in CALLS.items():
        answer = call(traces)
        if "quality" not in what and "sampling" not in what:
            continue
        for finding in answer:
            assert not re.search(r"\b(nan|NaN|inf|None%)\b", finding.headline), (what, finding.headline)
            if name == "empty" and finding.check not in TOLD_WITHOUT_TRACES:
                assert finding.severity == "notice", (what, finding.headline)
                assert "not assessable" in finding.headline, (what, finding.headline)


WEIGHTED = ("complete.spans", "complete.rpc", "partial", "time.order")


def test_shares_of_traces_of_weight_zero_are_not_reported():
    found = tk.quality(beside_the_sample())
    for check in WEIGHTED:
        assert status(found, check) == "not_assessable", check
    seen = tk.coverage(beside_the_sample()).metrics.set_index("metric")
    assert set(seen.loc[["M2a", "M3", "M4", "M9", "M10"], "verdict"]) == {"not_assessable"}


def test_impossible_times_are_never_ok():
    for name in ("times of 0", "latest times", "earliest times", "longest durations"):
        found = tk.quality(SETS[name](), checks=["time.order"])
        assert found.worst in {"warning", "critical"}, name


def test_one_span_is_too_few_to_assess():
    found = tk.quality(TraceSet.from_spans(spans(1)))
    for check in ("complete.spans", "propagation.break", "gap.silence", "cardinality", "clock.offset"):
        assert status(found, check) == "not_assessable", check


def test_equal_times_cannot_distinguish_continuations_from_chance():
    below = spans(30, span_id="2", parent_span_id="1", kind="CLIENT", **{"attributes.server.address": "db"})
    roots = spans(30, trace_id=[f"{at + 1:032x}" for at in range(30)], service_name="db")
    frame = pd.concat([spans(30), below, roots]).assign(start_ns=EPOCH_NS, end_ns=EPOCH_NS)
    found = tk.quality(TraceSet.from_spans(frame), checks=["propagation.break"])
    assert status(found, "propagation.break") == "inconclusive"
    assert "may be continuations" in found[0].headline


moments = st.integers(EPOCH_NS, EPOCH_NS + 10**10) | st.sampled_from([0, 1, LATEST, EARLIEST, 10**12])
texts = st.sampled_from(["web", "db", "", "\0", "jo@example.org", "x" * 300, "ä\ufffd"])
rows = st.fixed_dictionaries(
    {
        "trace_id": st.sampled_from(["a1", "b2", "c3"]),
        "span_id": st.sampled_from(["1", "2", "3", "4"]),
        "parent_span_id": st.sampled_from([None, "1", "2", "3", "9"]),
        "service_name": texts,
        "name": texts,
        "kind": st.sampled_from(["SERVER", "CLIENT", "INTERNAL", "PRODUCER"]),
        "status_code": st.sampled_from(["OK", "ERROR", "UNSET"]),
        "start_ns": moments,
        "end_ns": moments,
        "attributes.user.id": texts,
    }
)


@settings(max_examples=25)
@given(st.lists(rows, min_size=1, max_size=12), st.sampled_from([None, 1.0, 7.5, 2.0**63]))
def test_any_few_spans_are_answered(made, weight):
    traces = TraceSet.from_spans(pd.DataFrame(made))
    traces = traces if weight is None else traces.with_weights(weight)
    for what in ("quality", "sampling", "coverage", "latency", "service graph", "errors", "critical path"):
        answer = CALLS[what](traces)
        if what in {"quality", "sampling"}:
            for finding in answer:
                estimate = finding.estimate
                assert estimate is None or not math.isnan(estimate.value), finding
