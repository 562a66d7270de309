"""Critical paths on clocks put right: what moves, what is said, and overlaps that are none."""

import numpy as np
import pandas as pd
import pytest
from critical_path_oracle import path as slow_path
from hypothesis import given
from hypothesis import strategies as st

import tracekit as tk
from tracekit.analysis.critical_path.alignment import Clocked, cut_overlaps
from tracekit.analysis.critical_path.kernel import segments, walk

COLUMNS = ["span_id", "parent_span_id", "host_name", "kind", "start_ns", "end_ns"]

#  shop     |--------------------------------------| 0..1000     the ledger's clock is 5,000 ahead
#  client      |------------------------------|      100..900
#  ledger          |----------------------|          200..800    recorded as 5200..5800
#  query               |------|                      300..500    recorded as 5300..5500
SHOP = [
    ("1", None, "h1", "SERVER", 0, 1000),
    ("2", "1", "h1", "CLIENT", 100, 900),
    ("3", "2", "h2", "SERVER", 5200, 5800),
    ("4", "3", "h2", "INTERNAL", 5300, 5500),
]


def drawn(rows):
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return tk.TraceSet.from_spans(frame.assign(trace_id="a1", name="x", service_name=frame["host_name"]))


def certain(traces):
    """Return the skew of traces without asynchronous calls: each of them is proof enough."""
    return tk.clock_skew(traces, min_traces=1)


def test_the_path_goes_through_a_host_whose_clock_is_ahead():
    traces = drawn(SHOP)
    assert tk.critical_path(traces, skew="off").own_ns.tolist() == [200, 800, 0, 0]
    path = tk.critical_path(traces, skew=certain(traces))
    assert path.own_ns.tolist() == [200, 200, 400, 200]
    assert path.offsets[["host", "offset_ns", "low_ns", "high_ns"]].to_numpy().tolist() == [["h2", 5000, 4900, 5100]]
    assert path.traces[["moved_clock_count", "largest_offset_ns"]].to_numpy().tolist() == [[1, 5000]]
    (issue,) = path.issues.to_dict("records")
    assert (issue["code"], issue["span_count"]) == ("CLOCK_MOVED", 2)
    assert path.segments["start_ns"].tolist() == [0, 100, 200, 300, 500, 800, 900]  # on the clock of the root
    assert traces.spans["start_ns"].tolist() == [0, 100, 5200, 5300]  # as recorded


def test_the_share_of_path_time_that_moves():
    skew = certain(drawn(SHOP))
    assert skew.traces[["path_time_ns", "moved_ns", "moved_clock_count"]].to_numpy().tolist() == [[1000, 600, 1]]
    assert skew.moved_ratio == 0.6
    assert repr(skew) == "ClockSkew(1 of 2 clocks in 1 of 1 traces corrected, 60.0% of path time)"


def test_the_share_that_moves_is_weighted():
    rows = [
        (f"{trace}{span}", parent and f"{trace}{parent}", *rest) for trace in (1, 2) for span, parent, *rest in SHOP
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    second = np.arange(8) >= 4
    frame.loc[second & (frame["host_name"] == "h2"), ["start_ns", "end_ns"]] -= 5000
    frame.loc[:, ["start_ns", "end_ns"]] += 10**12 * second[:, None]
    traces = tk.TraceSet.from_spans(frame.assign(trace_id=np.where(second, "b2", "a1"), name="x", service_name="s"))
    assert certain(traces).moved_ratio == 0.3
    assert certain(traces.with_weights([1, 3])).moved_ratio == pytest.approx(0.15)


def test_a_clock_skew_may_be_given():
    traces = drawn(SHOP)
    skew = certain(traces)
    assert tk.critical_path(traces, skew=skew).own_ns.tolist() == [200, 200, 400, 200]
    assert tk.critical_path(traces.with_weights(2), skew=skew).own_ns.tolist() == [200, 200, 400, 200]
    with pytest.raises(ValueError, match=r"expected the clock skew of these traces, found that of others: TraceSet"):
        tk.critical_path(drawn(SHOP), skew=skew)
    with pytest.raises(ValueError, match="expected skew to be 'auto', 'off' or a ClockSkew, found 'edge'"):
        tk.critical_path(traces, skew="edge")


def test_what_if_and_slack_go_by_the_same_times():
    traces = drawn(SHOP)
    path = tk.critical_path(traces, skew=certain(traces))
    assert path.what_if({"host_name == 'h2'": 0.0}).traces["saved_ns"].tolist() == [600]
    assert path.slack().tolist() == [0, 0, 0, 0]


def test_a_request_on_a_moved_host_is_as_long_as_before():
    traces = drawn(SHOP)
    path = tk.critical_path(traces, scope="host_name == 'h2'", skew=certain(traces))
    assert path.latency_ns.tolist() == [600]
    assert path.traces["start_ns"].tolist() == [200]
    assert path.own_ns.tolist() == [0, 0, 400, 200]


# ------------------------------------------------------------------ overlaps that are none

#  shop     |--------------------------------------| 0..10000    two calls one after the other, the first seems to
#  a           |---------------|                     1000..5040  end 40 after the second begins
#  b                          |---------------|      5000..9000
TWO = [
    ("1", None, "h1", "SERVER", 0, 10_000),
    ("2", "1", "h2", "SERVER", 1000, 5040),
    ("3", "1", "h3", "SERVER", 5000, 9000),
]


@pytest.mark.parametrize(
    ("tolerance", "own"),
    [(None, [6000, 0, 4000]), (0.0, [6000, 0, 4000]), (0.003, [6000, 0, 4000]), (0.004, [2000, 4000, 4000])],
)
def test_siblings_on_other_clocks_may_overlap_by_the_tolerance(tolerance, own):
    path = tk.critical_path(drawn(TWO), tolerance=tolerance)
    assert path.own_ns.tolist() == own
    assert path.own_ns.sum() == 10_000
    assert path.cut.tolist() == ([1] if own[1] else [])
    assert ("OVERLAP_CUT" in path.issues["code"].tolist()) == bool(own[1])


def test_siblings_on_one_clock_may_not_overlap():
    rows = [(span, parent, "h2", *rest) for span, parent, _, *rest in TWO]
    assert tk.critical_path(drawn(rows), tolerance=0.1).own_ns.tolist() == [6000, 0, 4000]


def test_by_default_they_may_overlap_by_what_moved_clocks_may_still_be_off():
    """The clock of h2 is put right to within 50; that is why 40 of overlap are none."""
    rows = [
        ("1", None, "h1", "SERVER", 0, 10_000),
        ("2", "1", "h1", "INTERNAL", 0, 10_000),
        ("3", "2", "h2", "SERVER", 100_990, 105_040),
        ("4", "2", "h3", "SERVER", 5000, 9000),
        ("5", "1", "h1", "CLIENT", 9000, 9900),
        ("6", "5", "h2", "SERVER", 109_050, 109_850),
    ]
    traces = drawn(rows)
    path = tk.critical_path(traces, skew=certain(traces))
    assert path.offsets[["offset_ns", "low_ns", "high_ns"]].to_numpy().tolist() == [[100_000, 99_950, 100_050]]
    assert path.spans["span_id"][path.cut].tolist() == [f"{3:016x}"]
    assert tk.critical_path(traces, skew=certain(traces), tolerance=0.0).cut.tolist() == []
    rows[2] = ("3", "2", "h2", "SERVER", 100_990, 105_060)
    traces = drawn(rows)
    assert tk.critical_path(traces, skew=certain(traces)).cut.tolist() == []


def test_descendants_of_a_cut_span_are_cut():
    rows = [*TWO, ("4", "2", "h2", "INTERNAL", 4000, 5030), ("5", "4", "h2", "INTERNAL", 4900, 5020)]
    assert tk.critical_path(drawn(rows), tolerance=0.01).own_ns.tolist() == [2000, 3000, 900, 100, 4000]


@pytest.mark.parametrize("tolerance", [-0.1, 1.0, float("nan")])
def test_a_tolerance_is_a_share(tolerance):
    with pytest.raises(
        ValueError, match="expected a tolerance of at least 0 and below 1, a fraction of the parent, found"
    ):
        tk.critical_path(drawn(TWO), tolerance=tolerance)


def test_a_tolerance_and_the_strict_rule_for_ties_exclude_each_other():
    with pytest.raises(ValueError, match=r"expected touching=True with a tolerance, found .*tolerance=0\.01"):
        tk.critical_path(drawn(TWO), tolerance=0.01, touching=False)


# ------------------------------------------------------------------ as a slow and plain walk would have it


@st.composite
def trees(draw):
    """Spans with clocks and what these may be off; small times, so that overlaps and ties are common."""
    reach = draw(st.sampled_from([12, 60, 1000]))
    spans = []
    for at in range(draw(st.integers(1, 14))):
        start = draw(st.integers(0, reach))
        spans.append(
            {
                "parent": draw(st.integers(max(0, at - 6), at - 1)) if at else None,
                "start": start,
                "end": start + draw(st.integers(0, reach)),
                "awaited": draw(st.integers(0, 9)) > 0,
                "clock": draw(st.integers(-1, 2)),
                "residual": draw(st.sampled_from([0, 0, 3, 50])),
            }
        )
    return spans


def tolerant(spans, share):
    """Return the pieces of the path, from the top down: who ended last, and what had about ended when that began."""
    pieces, stack = [], [(0, spans[0]["start"], spans[0]["end"])] if spans[0]["awaited"] else []
    while stack:
        span, low, high = stack.pop()
        if low >= high:
            continue
        kids = [
            (kid, max(low, facts["start"]), min(high, facts["end"]))
            for kid, facts in enumerate(spans)
            if facts["parent"] == span and facts["awaited"]
        ]
        kids = [kid for kid in kids if kid[1] < kid[2]]
        now, last = high, None
        while True:
            ended = [kid for kid in kids if last is None or follows(spans, kid, last, int((high - low) * share))]
            touching = [kid for kid in ended if kid[2] == now]
            if not ended:
                break
            kid = max(touching or ended, key=lambda kid: (kid[2], -kid[1], -kid[0]))
            pieces.append((span, min(kid[2], now), now))
            stack.append((kid[0], kid[1], min(kid[2], now)))
            now, last = kid[1], kid
        pieces.append((span, low, now))
    return sorted(piece for piece in pieces if piece[1] < piece[2])


def follows(spans, kid, last, limit):
    """Tell whether a sibling had ended when the other began, as far as their clocks can tell."""
    one, other = spans[kid[0]], spans[last[0]]
    if one["clock"] == other["clock"] or min(one["clock"], other["clock"]) < 0:
        limit = 0
    allowed = min(limit, one["residual"] + other["residual"])
    return kid[2] <= last[1] + allowed and kid[1] < last[1] and kid[2] < last[2]


@given(trees(), st.sampled_from([0.0, 0.1, 0.5, 0.9]))
def test_cutting_and_walking_is_a_tolerant_walk(spans, share):
    columns = {name: np.array([span[name] for span in spans]) for name in ("start", "end", "awaited")}
    parent = np.array([-1 if span["parent"] is None else span["parent"] for span in spans])
    clocked = Clocked(*(np.array([span[name] for span in spans]) for name in ("clock", "residual")))
    end = cut_overlaps(parent, **columns, clocked=clocked, share=share)
    rows = walk(parent, columns["start"], end, columns["awaited"])
    found = sorted(zip(*(column.tolist() for column in segments(rows)), strict=True))
    assert found == tolerant(spans, share)
    assert rows.own_ns.sum() == (columns["end"][0] - columns["start"][0]) * columns["awaited"][0]
    if share == 0:
        assert end.tolist() == columns["end"].tolist()
        assert found == sorted(piece for part in slow_path(spans).values() for piece in part)


def test_a_hundred_thousand_siblings_on_two_clocks():
    count = 100_001
    start = np.arange(count) * 10 - 5
    end = start + 11  # each seems to overlap the next by 1
    start[0], end[0] = 0, end[-1] + 10
    clocked = Clocked(np.arange(count) % 2, np.ones(count, np.int64))
    parent = np.minimum(np.arange(count), 1) - 1
    new = cut_overlaps(parent, start, end, np.ones(count, bool), clocked=clocked)
    assert (new[1:-1] == start[2:]).all()
    assert walk(parent, start, new, np.ones(count, bool)).on_path.all()


# ------------------------------------------------------------------ the laws hold, whatever the clocks


@st.composite
def skewed(draw):
    """One trace over three hosts whose clocks are off by anything."""
    reach, off = draw(st.sampled_from([20, 1000])), [0, draw(st.integers(-2000, 2000)), draw(st.integers(-50, 50))]
    rows = [("1", None, "h0", "SERVER", 0, reach)]
    for at in range(2, draw(st.integers(2, 10)) + 1):
        above = draw(st.integers(1, at - 1))
        host, start = draw(st.integers(0, 2)), draw(st.integers(0, reach))
        begun = start + off[host]
        kind = draw(st.sampled_from(["CLIENT", "SERVER"]))
        rows.append((f"{at:x}", f"{above:x}", f"h{host}", kind, begun, begun + draw(st.integers(0, reach))))
    return rows


OPTIONS = [{}, {"tolerance": 0.05}, {"causal": "strict"}, {"overflow": "clip"}, {"scope": "trace"}, {"scope": "roots"}]


@given(skewed(), st.sampled_from(OPTIONS))
def test_paths_add_up_on_any_clocks(rows, options):  # I1, I2, I4, I5, I6
    traces = drawn(rows)
    path = tk.critical_path(traces, skew=certain(traces), **options)
    own = np.zeros(len(path.tree.root), np.int64)
    on = np.flatnonzero(path.on_path)
    np.add.at(own, path.request[on], path.own_ns[on])
    assert own.tolist() == path.latency_ns.tolist()
    assert ((path.own_ns >= 0) & (path.own_ns <= path.total_ns)).all()
    below = np.flatnonzero(path.on_path & (path.tree.parent >= 0))
    assert path.on_path[path.tree.parent[below]].all()
    total = path.own_ns.copy()
    np.add.at(total, path.tree.parent[below], path.total_ns[below])
    assert (total == path.total_ns).all()
    for request, pieces in path.segments.groupby("request"):
        begun = path.traces["start_ns"][request]
        assert [begun, *pieces["end_ns"]] == [*pieces["start_ns"], begun + path.latency_ns[request]]
    assert (path.spans["unexplained_ns"] <= path.spans["path_time_ns"]).all()


def _windows(rows):
    """Return the parent of every span and its interval within all its ancestors."""
    spans = {span_id: (parent, start, end) for span_id, parent, _, _, start, end in rows}

    def inside(span_id):
        parent, start, end = spans[span_id]
        above = inside(parent) if parent in spans else (start, end)
        return max(start, above[0]), min(end, above[1])

    return [(parent, *inside(span_id)) for span_id, (parent, _, _) in spans.items()]


@given(skewed(), st.integers(-(10**6), 10**15), st.randoms())
def test_a_later_start_and_another_order_of_rows_change_nothing(rows, later, random):  # I7
    def answer(these):
        traces = drawn(these)
        path = tk.critical_path(traces, skew=certain(traces), tolerance=None)
        return path.offsets, path.spans.set_index("span_id")["path_time_ns"].to_dict()

    moved = [(*row[:4], row[4] + later, row[5] + later) for row in rows]
    offsets, own = answer(rows)
    offsets_later, own_later = answer(moved)
    assert own == own_later
    assert offsets.equals(offsets_later)
    if len(set(_windows(rows))) == len(rows) and offsets.empty:  # of equal windows the first row is on the path
        random.shuffle(moved)
        assert answer(moved)[1] == own
