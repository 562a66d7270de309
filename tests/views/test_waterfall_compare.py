"""Two traces in one waterfall: hand-drawn pairs with known answers, and laws for any two trees."""

import pandas as pd
import pytest
from hand_drawn import spans
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit import TraceSet
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.skew import clock_skew
from tracekit.views.tkw1 import decode
from tracekit.views.waterfall import waterfall
from tracekit.views.waterfall.compare import State, compared_payload, other_trace
from tracekit.views.waterfall.drawing import draw
from tracekit.views.waterfall.payload import encoded, trace_payload

#  before   shop POST /pay |----------| 0..100        now   |--------------------| 0..300
#           cart price       |-|        10..30              |-|                    10..31   (a little longer)
#           ledger charge       |---|   40..80                  |-----------|       40..240  slower
#           mailer send             |   90..95              gone
#           ledger audit            -                               |---|           100..150 added, below charge
BEFORE = [
    ("1", None, "shop", "POST /pay", "SERVER", 0, 100, "UNSET"),
    ("2", "1", "cart", "price", "CLIENT", 10, 30, "UNSET"),
    ("3", "1", "ledger", "charge", "CLIENT", 40, 80, "UNSET"),
    ("4", "1", "mailer", "send", "CLIENT", 90, 95, "UNSET"),
]
NOW = [
    ("11", None, "shop", "POST /pay", "SERVER", 1000, 1300, "UNSET"),
    ("12", "11", "cart", "price", "CLIENT", 1010, 1031, "UNSET"),
    ("13", "11", "ledger", "charge", "CLIENT", 1040, 1240, "ERROR"),
    ("15", "13", "ledger", "audit", "CLIENT", 1100, 1150, "UNSET"),
]
NOW_ID, BEFORE_ID = f"{0xB2:032x}", f"{0xA1:032x}"


def pair(*, tenant=True):
    now, before = spans(NOW, "b2"), spans(BEFORE, "a1")
    if tenant:
        now["attributes.tenant"], before["attributes.tenant"] = "blue", "green"
    return TraceSet.from_spans(now), TraceSet.from_spans(before)


@pytest.fixture
def drawn():
    now, before = pair()
    return compared_payload(now, NOW_ID, before, BEFORE_ID, path=critical_path(now))


def names(payload):
    return [payload.strings[code] for code in payload.columns["name"]]


def test_rows_of_both_traces_are_in_call_order(drawn):
    payload, rows = drawn
    columns = payload.columns
    assert names(payload) == ["POST /pay", "price", "charge", "audit", "send"]
    assert [State(code).name for code in columns["state"]] == ["SLOWER", "MATCHED", "SLOWER", "ADDED", "MISSING"]
    assert columns["start"].tolist() == [0, 10, 40, 100, 90]
    assert columns["dur"].tolist() == [300, 21, 200, 50, 0]
    assert columns["start2"].tolist() == [0, 10, 40, 0, 90]
    assert columns["dur2"].tolist() == [100, 20, 40, 0, 5]
    assert columns["parent"].tolist() == [-1, 0, 0, 2, 0]
    assert columns["depth"].tolist() == [0, 1, 1, 2, 1]
    assert columns["subEnd"].tolist() == [5, 2, 4, 4, 5]
    assert [payload.meta["services"][code] for code in columns["svc"]] == ["shop", "cart", "ledger", "ledger", "mailer"]
    assert rows.tolist() == [[0, 1, 2, 3, -1], [0, 1, 2, -1, 3]]
    assert payload.meta["note"] == (
        f"baseline trace {BEFORE_ID}: 100 → 300 ns, 1 span added, 1 span missing, 2 spans slower"
    )


def test_details_are_those_of_the_span_that_is_there(drawn):
    payload, _ = drawn
    columns = payload.columns
    tenant = [payload.strings[columns["attrV"][k]] for k in columns["det"]]
    assert tenant == ["blue", "blue", "blue", "blue", "green"]
    assert [f"{columns['spanLo'][k]:x}" for k in columns["det"]] == ["11", "12", "13", "15", "4"]
    assert payload.meta["sources"][columns["src"][columns["det"][4]]] == "frame"
    resources = [int(columns["res"][k]) for k in columns["det"]]
    assert len(columns["resN"]) == len(set(resources))


def test_the_path_keeps_its_spans(drawn):
    payload, _ = drawn
    columns = payload.columns
    held = {}
    for row, start, end in zip(columns["critRow"], columns["critS"], columns["critE"], strict=True):
        held[names(payload)[row]] = held.get(names(payload)[row], 0) + end - start
    assert held == {"POST /pay": 300 - 21 - 200, "price": 21, "charge": 150, "audit": 50}


def test_faster_is_distinguished_from_slower_and_little_from_much():
    now, before = pair()
    payload, _ = compared_payload(before, BEFORE_ID, now, NOW_ID, with_details=False)
    states = dict(zip(names(payload), (State(code).name for code in payload.columns["state"]), strict=True))
    assert states == {
        "POST /pay": "FASTER",
        "price": "MATCHED",
        "charge": "FASTER",
        "audit": "MISSING",
        "send": "ADDED",
    }
    assert "attrN" not in payload.columns
    encoded(payload)


def test_a_trace_compared_with_itself_has_no_difference():
    now, _ = pair()
    payload, rows = compared_payload(now, NOW_ID, now, NOW_ID)
    assert set(payload.columns["state"]) == {State.MATCHED}
    assert (rows[0] == rows[1]).all()
    assert payload.meta["note"].endswith(", no differences")


def test_what_it_is_compared_with_can_be_named_in_three_ways():
    now, before = pair()
    both = TraceSet.from_spans(pd.concat([spans(NOW, "b2"), spans(BEFORE, "a1")], ignore_index=True))
    assert other_trace(both, NOW_ID, BEFORE_ID) == (both, BEFORE_ID)
    assert other_trace(now, NOW_ID, (before, BEFORE_ID)) == (before, BEFORE_ID)
    assert other_trace(now, NOW_ID, before) == (before, BEFORE_ID)
    with pytest.raises(
        ValueError, match=r"expected a trace with root shop POST /pay to compare with, found none in 1 trace"
    ):
        other_trace(now, NOW_ID, TraceSet.from_spans(spans(BEFORE[1:2], "a1")))


def test_of_a_set_the_median_of_the_same_kind_is_taken():
    durations = {"c1": 50, "c2": 900, "c3": 70, "c4": 10, "c5": 80}
    frames = [spans([("1", None, "shop", "POST /pay", "SERVER", 0, took, "UNSET")], k) for k, took in durations.items()]
    frames.append(spans([("1", None, "shop", "GET /", "SERVER", 0, 71, "UNSET")], "c9"))
    now, _ = pair()
    assert other_trace(now, NOW_ID, TraceSet.from_spans(pd.concat(frames, ignore_index=True)))[1][-2:] == "c3"


def test_a_trace_is_compared_with_one_of_the_same_operation_by_latency():
    rows = [("GET /orders/7", 70, 0), ("GET /orders/8231", 90, 0), ("GET /orders/9", 10, 900), ("GET /carts/1", 80, 0)]
    frames = []
    for number, (name, took, late) in enumerate(rows, 1):
        trace = [("1", None, "shop", name, "SERVER", 0, took, "UNSET")]
        trace += [("2", "1", "ledger", "charge", "CLIENT", 5, late, "UNSET")] * bool(late)
        frames.append(spans(trace, f"d{number}"))
    there = TraceSet.from_spans(pd.concat(frames, ignore_index=True))
    mine = TraceSet.from_spans(spans([("1", None, "shop", "GET /orders/5", "SERVER", 0, 60, "UNSET")], "e1"))
    assert other_trace(mine, f"{0xE1:032x}", there)[1][-2:] == "d1"  # of 10, 70 and 90


def test_a_drawing_has_the_origin_of_its_rows():
    now, before = pair()
    drawing = draw(now, NOW_ID, compare=before)
    assert [drawing.span_id(k) for k in range(5)] == [f"{k:016x}" for k in (0x11, 0x12, 0x13, 0x15, 4)]
    assert drawing.row_of(f"{4:016x}") == 4
    assert drawing.row_of(f"{3:016x}") == 2  # the same row, by its span before
    assert drawing.row_of("no id") == drawing.row_of("f" * 17) == drawing.row_of("ff") == -1
    assert drawing.source(4) == (before, 3, 0)
    assert drawing.source(0) == (now, 0, 1000)
    assert drawing.search("GREEN").tolist() == [0, 1, 2, 4]
    assert drawing.search("tenant").tolist() == [0, 1, 2, 3, 4]


def skewed(trace_id, ahead, *, calls=30, gone=False):
    """Calls of 2 ms within 4 ms, the callee's host so many ns ahead; if wanted, with a note that is gone now."""
    frames = []
    for k in range(calls):
        begin = 1_747_231_200_000_000_000 + k * 10**9
        inside = begin + 900_000 + k * 1_000 + ahead
        rows = [("1", None, "shop", "call", "CLIENT", begin, begin + 4_000_000, "UNSET")]
        rows.append(("2", "1", "ledger", "serve", "SERVER", inside, inside + 2_000_000, "UNSET"))
        rows += [("3", "1", "ledger", "note", "SERVER", inside + 50, inside + 90, "UNSET")] * gone
        hosts = ["left", "right", "right"][: len(rows)]
        frames.append(spans(rows, f"{trace_id + k:x}").assign(**{"resource.host.name": hosts}))
    return TraceSet.from_spans(pd.concat(frames, ignore_index=True))


@pytest.fixture(scope="module")
def two_clocks():
    """Now the clock is 5 ms ahead, before it was 7 ms behind."""
    return skewed(0x100, 5_000_000), skewed(0x200, -7_000_000, gone=True)


def test_both_sides_have_clocks_to_be_corrected(two_clocks):
    now, before = two_clocks
    skews = clock_skew(now), clock_skew(before)
    payload = draw(now, f"{0x100:032x}", compare=(before, f"{0x200:032x}"), skew=skews).payload
    columns = payload.columns
    assert names(payload) == ["call", "note", "serve"]
    assert [State(code).name for code in columns["state"]] == ["MATCHED", "MISSING", "MATCHED"]
    assert columns["start"].tolist() == [0, 50, 5_900_000]
    assert columns["start2"].tolist() == [6_100_000, 50, 0]
    assert columns["shift"][0] == columns["shift2"][0] == 0
    assert columns["shift"][2] == pytest.approx(-5_000_000, abs=1_000_001)
    assert columns["shift2"][2] == pytest.approx(7_000_000, abs=1_000_001)
    assert columns["shift"][1] == columns["shift2"][1] == columns["shift2"][2]  # the only span of that row
    for suffix in ("", "2"):
        corrected = columns[f"start{suffix}"] + columns[f"shift{suffix}"]
        assert corrected[0] <= corrected[2] <= corrected[2] + 2_000_000 <= corrected[0] + 4_000_000
        assert (columns[f"doubt{suffix}"][1:] > 0).all()
    widget = waterfall(now, f"{0x100:032x}", compare=(before, f"{0x200:032x}"), skew=skews)
    sent = decode(widget.data).columns
    assert sent["shift2"].tolist() == columns["shift2"].tolist()


def test_one_skew_serves_two_traces_of_one_set(two_clocks):
    now, _ = two_clocks
    payload = draw(now, f"{0x100:032x}", compare=f"{0x101:032x}", skew=clock_skew(now)).payload
    assert payload.columns["shift"].tolist() == payload.columns["shift2"].tolist()
    same = draw(now, f"{0x100:032x}", compare=f"{0x101:032x}", path=critical_path(now)).payload
    assert same.columns["shift"].tolist() == payload.columns["shift"].tolist()


def test_clocks_of_one_side_alone_are_not_drawn_and_reported(two_clocks):
    now, before = two_clocks
    other = (before, f"{0x200:032x}")
    payload = draw(now, f"{0x100:032x}", compare=other, path=critical_path(now)).payload
    assert "shift" not in payload.columns
    assert payload.meta["note"].endswith(
        "; 1 span with clock skew not corrected: the skew of the other trace is unknown"
    )
    with pytest.raises(
        ValueError, match=rf"clock skew of both traces, found none of trace {0x200:032x}: pass both, skew="
    ):
        draw(now, f"{0x100:032x}", compare=other, skew=clock_skew(now))
    with pytest.raises(ValueError, match=r"expected the clock skew of these traces, found that of others"):
        draw(now, f"{0x100:032x}", compare=other, skew=clock_skew(before))
    with pytest.raises(ValueError, match="expected one clock skew without a comparison, found a pair"):
        draw(now, f"{0x100:032x}", skew=(clock_skew(now), clock_skew(before)))


def test_clocks_without_skew_are_reported():
    now, before = pair()
    payload = draw(now, NOW_ID, compare=(before, BEFORE_ID), skew=(clock_skew(now), clock_skew(before))).payload
    assert payload.meta["note"].endswith("; no clock skew to correct")
    assert (
        "corrected" not in draw(now, NOW_ID, compare=(before, BEFORE_ID), path=critical_path(now)).payload.meta["note"]
    )


@st.composite
def trees(draw):
    n = draw(st.integers(1, 12))
    parents = [None] + [str(draw(st.integers(1, k))) for k in range(1, n)]
    calls = [draw(st.sampled_from(["a", "b"])) for _ in range(n)]
    return [
        (str(k + 1), parents[k], "s", calls[k], "SERVER", k, k + draw(st.integers(1, 40)), "UNSET") for k in range(n)
    ]


@given(trees(), trees())
@settings(max_examples=25, deadline=None)
def test_every_span_of_both_has_one_row_and_equal_places_share_theirs(first, second):
    a, b = (TraceSet.from_spans(spans(rows, "a1")) for rows in (first, second))
    payload, rows = compared_payload(a, "0000", b, "0000")
    columns = payload.columns
    for side, traces in zip(rows, (a, b), strict=True):
        assert sorted(side[side >= 0]) == list(range(len(traces.spans)))
    for row, state in enumerate(columns["state"]):
        assert (rows[0][row] >= 0, rows[1][row] >= 0) == (state != State.MISSING, state != State.ADDED)
        above = columns["parent"][row]
        for side, traces in zip(rows, (a, b), strict=True):
            if side[row] >= 0:
                parent = traces.forest.parent_row[side[row]]
                assert parent == (side[above] if above >= 0 else -1)
                assert traces.spans["name"].iloc[side[row]] == payload.strings[columns["name"][row]]
    alone = trace_payload(a, "0000").columns["start"]
    mine = rows[0] >= 0
    assert sorted(columns["start"][mine]) == sorted(alone)


def test_the_names_of_the_sides_are_shown():
    now, before = pair()
    view = waterfall(now, NOW_ID, compare=before, names=("1.4.0 <b>", "1.5.0"))
    assert view._drawing.payload.meta["note"].startswith(f"1.4.0 <b> trace {BEFORE_ID}: 100 → 300 ns")
    assert "missing, 1.4.0 &lt;b&gt; 5 ns" in view._picture
    with pytest.raises(ValueError, match=r"expected two different names of the sides, .* found 'ab'"):
        waterfall(now, NOW_ID, compare=before, names="ab")
