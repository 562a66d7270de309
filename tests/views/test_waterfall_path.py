"""What lies over the bars: the critical path, and what corrected clocks move."""

import numpy as np
import pandas as pd
import pytest
from hand_drawn import spans

import tracekit as tk
from tracekit import TraceSet
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.skew import clock_skew
from tracekit.views.embedded import embedded
from tracekit.views.tkw1 import decode
from tracekit.views.waterfall.drawing import draw
from tracekit.views.waterfall.path import path_columns
from tracekit.views.waterfall.payload import trace_payload
from tracekit.views.waterfall.rows import trace_rows

PAY = [
    ("1", None, "shop", "POST /pay", "SERVER", 100, 200, "UNSET"),
    ("2", "1", "cart", "price", "CLIENT", 110, 130, "UNSET"),
    ("3", "1", "ledger", "charge", "CLIENT", 120, 180, "UNSET"),
]
OTHER = [("9", None, "shop", "GET /", "SERVER", 5, 25, "UNSET")]


@pytest.fixture
def shop():
    return TraceSet.from_spans(pd.concat([spans(OTHER, "01"), spans(PAY, "a1")], ignore_index=True))


def stretches(columns):
    return list(zip(columns["critRow"].tolist(), columns["critS"].tolist(), columns["critE"].tolist(), strict=True))


def test_the_stretches_follow_each_other_over_the_whole_request(shop):
    columns = trace_payload(shop, f"{0xA1:032x}", path=critical_path(shop)).columns
    assert stretches(columns) == [(0, 0, 20), (2, 20, 80), (0, 80, 100)]


def test_the_path_of_a_larger_set_serves_one_trace_of_it(shop):
    alone, path = shop.trace(f"{0xA1:032x}"), critical_path(shop)
    assert stretches(path_columns(path, alone, trace_rows(alone, "0000"))) == [(0, 0, 20), (2, 20, 80), (0, 80, 100)]


def test_time_without_a_span_has_no_row():
    gap = [*PAY[:1], ("2", "1", "cart", "price", "CLIENT", 110, 130, "UNSET")]
    rows = [*gap, ("5", "77", "ledger", "charge", "SERVER", 140, 190, "UNSET")]
    whole = TraceSet.from_spans(spans([*rows, ("6", None, "mailer", "send", "CLIENT", 250, 300, "UNSET")]))
    columns = trace_payload(whole, "0000", path=critical_path(whole, scope="trace")).columns
    assert (-1, 100, 150) in stretches(columns)
    assert sum(end - start for _, start, end in stretches(columns)) == 200


def test_the_path_of_other_traces_is_refused(shop):
    others = TraceSet.from_spans(spans(OTHER, "02"))
    with pytest.raises(
        ValueError, match=f"expected the critical path of these traces, .* trace {0xA1:032x} is missing or"
    ):
        trace_payload(shop, f"{0xA1:032x}", path=critical_path(others))
    changed = TraceSet.from_spans(spans([(f"4{row[0]}", *row[1:]) for row in PAY]).assign(trace_id="a1"))
    with pytest.raises(ValueError, match=r"pass critical_path\(traces\)"):
        trace_payload(shop, f"{0xA1:032x}", path=critical_path(changed))
    with pytest.raises(ValueError, match=r"expected the clock skew of .*pass clock_skew\(traces\)"):
        trace_payload(shop, f"{0xA1:032x}", skew=clock_skew(others))


def skewed(calls=30, ahead=5_000_000):
    """Calls of 2 ms within 4 ms; the clock of the callee's host is 5 ms ahead."""
    frames = []
    for k in range(calls):
        begin = 1_747_231_200_000_000_000 + k * 10**9
        rows = [("1", None, "shop", "call", "CLIENT", begin, begin + 4_000_000, "UNSET")]
        inside = begin + 900_000 + k * 1_000 + ahead
        rows.append(("2", "1", "ledger", "serve", "SERVER", inside, inside + 2_000_000, "UNSET"))
        frames.append(spans(rows, f"{k + 1:x}").assign(**{"resource.host.name": ["left", "right"]}))
    return TraceSet.from_spans(pd.concat(frames, ignore_index=True))


def test_corrected_clocks_bring_the_callee_into_its_call():
    traces = skewed()
    skew = clock_skew(traces)
    columns = trace_payload(traces, f"{1:032x}", skew=skew).columns
    assert columns["start"].tolist() == [0, 5_900_000]
    assert columns["shift"][0] == 0
    assert columns["shift"][1] == pytest.approx(-5_000_000, abs=1_000_001)
    corrected = columns["start"] + columns["shift"]
    assert 0 <= corrected[1] <= corrected[1] + columns["dur"][1] <= 4_000_000
    assert columns["doubt"][0] == 0
    assert abs(columns["shift"][1] + 5_000_000) <= columns["doubt"][1]


def test_the_path_is_drawn_on_recorded_times_and_moves_with_its_spans():
    traces = skewed()
    path = critical_path(traces)
    columns = trace_payload(traces, f"{1:032x}", path=path).columns
    rows, start = columns["critRow"], columns["critS"]
    assert rows.tolist() == [0, 1, 0]
    assert start[1] == columns["start"][1]
    assert np.all(columns["shift"] == trace_payload(traces, f"{1:032x}", skew=clock_skew(traces)).columns["shift"])


def test_clocks_without_skew_are_reported(shop):
    payload = trace_payload(shop, f"{0xA1:032x}", skew=clock_skew(shop))
    assert payload.meta["note"] == "no clock skew to correct"
    assert not payload.columns["shift"].any()


def many(longest, count=60):
    """A root with calls one after the other; call ``longest`` takes most time."""
    took = [9 if k == longest else 1 for k in range(count)]
    rows = [("1", None, "shop", "POST /pay", "SERVER", 0, sum(took), "UNSET")]
    rows += [
        (f"{k + 2:x}", "1", "ledger", f"step {k}", "CLIENT", sum(took[:k]), sum(took[: k + 1]), "UNSET")
        for k in range(count)
    ]
    return TraceSet.from_spans(spans(rows, "a1"))


def test_the_longest_stretch_is_known_with_and_without_a_path():
    traces, before = many(50), many(20)
    name = traces.trace_ids[0]
    assert draw(traces, name).payload.meta["focus"] == 51
    assert draw(traces, name, path=critical_path(traces)).payload.meta["focus"] == 51
    for path in (None, critical_path(traces)):
        compared = draw(traces, name, compare=(before, before.trace_ids[0]), path=path)
        assert compared.span_id(compared.payload.meta["focus"]) == f"{52:016x}"
    assert decode(embedded(tk.waterfall(traces, name)).data).meta["focus"] == 51


def test_a_trace_without_times_has_no_longest_stretch():
    nothing = many(3).spans.assign(start_ns=None, end_ns=None)
    assert draw(TraceSet.from_spans(nothing), "0000").payload.meta["focus"] == -1
