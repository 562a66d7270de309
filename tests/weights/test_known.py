"""What weighted figures are about is said by every answer that has them."""

import html

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tracekit.attributes import Codes
from tracekit.views.bundle import bundle
from tracekit.views.plot import view_of
from tracekit.weights.known import BEYOND, NOT_SAMPLED, UNKNOWN, Weights

FRAME = pd.DataFrame({"trace_id": ["a1", "b2", "c3", "d4"], "span_id": ["1", "2", "3", "4"], "name": "GET /"})
SHOP = tk.TraceSet.from_spans(FRAME.assign(service_name="shop", kind="SERVER", start_ns=[0, 1, 2, 3], end_ns=9))
ANSWERS = (
    tk.latency,
    tk.errors,
    tk.service_graph,
    tk.critical_path,
    tk.self_time,
    tk.timeline,
    lambda traces: tk.critical_path(traces).bands("service_name"),
    lambda traces: tk.critical_path(traces).flame(),
    lambda traces: tk.critical_path(traces).support(),
    lambda traces: tk.critical_path(traces).what_if({"service_name == 'shop'": 0.5}),
    lambda traces: tk.critical_path(traces).what_if_curve("service_name == 'shop'"),
)


CASES = [
    (SHOP, "sampling weights unknown: figures describe the recorded traces only, not all traffic"),
    (SHOP.with_weights([4, 4, 4, 1]), "weights from given: figures describe all traffic (effective sample size 3)"),
    (SHOP.with_weights(1), "weights from given: all are 1, every request has a trace, and figures describe all"),
    (
        tk.TraceSet.from_spans(FRAME.assign(start_ns=0, end_ns=5, trace_state=["ot=th:8", None, None, None])),
        "sampling weights unknown for 3 of 4 traces, which count as 1: figures describe neither",
    ),
    (
        tk.TraceSet.from_spans(
            FRAME.assign(
                start_ns=0,
                end_ns=5,
                trace_state=["ot=th:8", None, None, None],
                **{"attributes.SampleRate": [None, 4, 4, 4]},
            )
        ).with_weights("auto"),
        "weights from 2 sources (3 from SampleRate, 1 from tracestate ot=th): figures describe all traffic",
    ),
]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize(("traces", "text"), CASES)
def test_every_weighted_result_has_a_sampling_statement(answer, traces, text):
    found = answer(traces)
    assert found.statement.startswith(text)
    assert text.replace("'", "&#x27;") in found._repr_html_()
    assert found.statement == traces.weights.statement
    assert repr(found).endswith(f"; {found.statement.partition(':')[0]})")
    if view_of(found):
        view = tk.plot(found)
        is_widget = hasattr(view, "about")
        shown = view.about if is_widget else view.layout.title.subtitle.text or ""
        assert (not is_widget and not view.data) or shown[:80].replace("&#x27;", "'").startswith(text[:60])
        assert html.escape(text[:60]) in bundle(found)["text/html"]


def weights(values, labels):
    distinct = list(dict.fromkeys(labels))
    return Weights(np.array(values, float), Codes(np.array([distinct.index(x) for x in labels], np.int32), distinct))


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (weights([], []), "no traces"),
        (
            weights([20, 0, 0], ["rule, fixed rate", BEYOND, NOT_SAMPLED]),
            "weights from rule, fixed rate; 2 traces outside the probability sample count as 0: figures describe",
        ),
        (
            weights([0, 0], [NOT_SAMPLED] * 2),
            "all 2 traces are outside the probability sample and count as 0: figures describe",
        ),
        (weights([1, 1, 0], ["log", "log", BEYOND]), "weights from log; 1 trace outside the probability sample count"),
        (
            weights([9, 2], ["calibration"] * 2),
            "weights from calibration: figures describe all traffic, assuming equal sampling within each stratum",
        ),
        (weights([9, 1], ["log", UNKNOWN]), "sampling weights unknown for 1 of 2 traces, which count as 1"),
    ],
)
def test_traces_of_weight_zero_are_distinguished(found, text):
    assert found.statement.startswith(text)


def test_a_block_has_no_sampling_statement_unless_given():
    from tracekit.analysis.latency import summarise, tabulate  # noqa: PLC0415 - the two steps of one block

    by = ["service_name"]
    assert summarise([tabulate(SHOP, by)], by).statement == ""
    assert summarise([tabulate(SHOP, by)], by)._repr_html_().startswith("<p>Latency(1 groups, 4 spans)</p>")


@pytest.mark.parametrize(("traces", "text"), CASES)
def test_a_frame_of_the_path_has_a_sampling_statement(traces, text):
    path = tk.critical_path(traces)
    frame = path.by("service_name")
    assert frame.attrs["statement"] == path.statement
    assert frame[frame["path_time_ns"] > 0].head(1).attrs["statement"].startswith(text), "it stays with what is kept"
    bands = path.bands("service_name")
    assert bands.statement == path.statement
    assert text.replace("'", "&#x27;") in bands._repr_html_()


def test_other_weights_give_another_statement():
    both = tk.critical_path(SHOP).by("service_name"), tk.critical_path(SHOP.with_weights(3)).by("service_name")
    assert both[0].attrs["statement"] != both[1].attrs["statement"]
    assert list(both[0].columns) == list(both[1].columns), "no column of its own"
