"""Offsets between clocks: intervals that hold the truth, silence where there is nothing to say, and what moves."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import tracekit as tk
from tracekit.analysis.clock_skew.calls import clocks
from tracekit.analysis.clock_skew.intervals import agree
from tracekit.analysis.clock_skew.neighbours import MIN_TRACES, needed

MS = 1_000_000
HOSTS = ("web", "cart", "ledger", "db")


def recorded(rng, traces, ahead, *, apart_ns=200 * MS, asynchronous=0.0, way_there=(0.3, 0.5), way_back=(0.6, 0.5)):
    """Traces in which every host calls the next one twice; ``ahead`` tells how far each clock is ahead, by trace."""
    rows = []
    for trace in range(traces):
        begun = 1_700_000_000_000_000_000 + trace * apart_ns
        ids = iter(range(1, 1000))
        off = dict(zip(HOSTS, ahead(trace), strict=True))

        def call(parent, confidence, start, rows=rows, trace=trace, ids=ids, off=off):
            """Serve on one host and call the next; return when it is done."""
            host, span, now = HOSTS[confidence], next(ids), start
            place = len(rows)
            rows.append(None)
            for _ in range(2 if confidence + 1 < len(HOSTS) else 0):
                client, since = next(ids), now + int(rng.integers(10_000, 300_000))
                there, back = (int(1e6 * (low + rng.exponential(more))) for low, more in (way_there, way_back))
                at = len(rows)
                rows.append(None)
                until = call(client, confidence + 1, since + there) + back
                if rng.random() < asynchronous:  # nobody waits for the answer
                    until = since + there + int(rng.integers(50_000, 400_000))
                rows[at] = (trace, client, span, host, "CLIENT", since + off[host], until + off[host])
                now = until
            end = now + int(rng.integers(50_000, 2_000_000))
            rows[place] = (trace, span, parent, host, "SERVER", start + off[host], end + off[host])
            return end

        call(None, 0, begun)
    frame = pd.DataFrame(rows, columns=["trace", "span", "parent", "host_name", "kind", "start_ns", "end_ns"])
    ids = {"trace_id": frame["trace"] + 1, "span_id": frame["span"], "parent_span_id": frame["parent"].astype("Int64")}
    texts = {name: [None if pd.isna(value) else f"{int(value):x}" for value in ids[name]] for name in ids}
    return tk.TraceSet.from_spans(frame.assign(service_name=frame["host_name"], name="call", **texts))


def truth_of(skew, ahead):
    """Return the true offset of every row of ``skew.offsets`` from the root's host."""
    number = {trace_id: at for at, trace_id in enumerate(skew.source.trace_ids)}
    off = np.array([ahead(trace) for trace in range(len(number))])
    trace, host = skew.offsets["trace_id"].map(number).to_numpy(), skew.offsets["host"].map(HOSTS.index).to_numpy()
    return off[trace, host] - off[trace, 0]


def fixed(*offsets):
    return lambda _: offsets


def drifting(ppm, apart_ns=200 * MS):
    """Clocks that run away from the first one, each at its own speed."""
    speed = np.array([0, ppm, -ppm / 2, ppm / 3]) * 1e-6
    return lambda trace: np.rint(5 * MS * np.array([0, 1, -1, 0]) + speed * trace * apart_ns).astype(int)


# ------------------------------------------------------------------ intervals hold the truth


@pytest.mark.parametrize(
    ("ahead", "asynchronous"),
    [
        (fixed(0, 0, 0, 0), 0.0),
        (fixed(0, 400_000, -150_000, 0), 0.0),
        (fixed(7 * MS, 20 * MS, -3 * MS, 0), 0.0),
        (fixed(0, 20 * MS, 0, -90 * MS), 0.01),
        (drifting(20), 0.0),
        (drifting(10), 0.01),
    ],
    ids=["zero", "small", "root is off too", "1 % asynchronous", "20 ppm", "10 ppm, 1 % asynchronous"],
)
def test_intervals_contain_the_truth(ahead, asynchronous):
    skew = tk.clock_skew(recorded(np.random.default_rng(5), 300, ahead, asynchronous=asynchronous))
    truth, low, high = truth_of(skew, ahead), skew.offsets["low_ns"], skew.offsets["high_ns"]
    assert len(skew.offsets) == 300 * len(HOSTS)
    assert ((low <= truth) & (truth <= high)).mean() >= 0.995
    assert (skew.offsets["offset_ns"].between(low, high)).all()


def test_pooling_narrows_the_interval_and_brings_the_offset_closer():
    ahead = fixed(0, 5 * MS, 5 * MS, 5 * MS)
    traces = recorded(np.random.default_rng(6), 200, ahead)
    pooled, alone = tk.clock_skew(traces), tk.clock_skew(traces, pool_s=0.01)
    assert set(pooled.offsets["evidence"]) == {"reference", "pooled"}
    assert set(alone.offsets["evidence"]) == {"reference", "own"}
    width, wide = ((skew.offsets["high_ns"] - skew.offsets["low_ns"]).mean() for skew in (pooled, alone))
    error, large = (np.abs(skew.offsets["offset_ns"] - truth_of(skew, ahead)).mean() for skew in (pooled, alone))
    assert width < 0.9 * wide
    assert error < large


def test_the_offset_is_near_the_truth_where_it_is_large():
    ahead = fixed(0, 50 * MS, -20 * MS, 80 * MS)
    skew = tk.clock_skew(recorded(np.random.default_rng(7), 100, ahead))
    assert np.abs(skew.offsets["offset_ns"] - truth_of(skew, ahead)).max() < MS  # ways differ by 0.3 ms a hop


def test_unlike_ways_stay_inside_the_interval():
    ahead = fixed(0, 30 * MS, 30 * MS, 30 * MS)
    traces = recorded(np.random.default_rng(8), 200, ahead, way_there=(0.05, 0.05), way_back=(6.0, 1.0))
    skew = tk.clock_skew(traces)
    truth = truth_of(skew, ahead)
    assert skew.offsets["low_ns"].le(truth).all()
    assert skew.offsets["high_ns"].ge(truth).all()
    assert (np.abs(skew.offsets["offset_ns"] - truth)[truth != 0] > MS).all()  # the middle is wrong, and cannot know


def test_unawaited_calls_do_not_move_a_clock():
    skew = tk.clock_skew(recorded(np.random.default_rng(9), 300, fixed(0, 0, 0, 0), asynchronous=0.02))
    assert (skew.offsets["offset_ns"] != 0).mean() < 0.005
    assert skew.pairs["agreement_ratio"].min() < 1


# ------------------------------------------------------------------ nothing to say


def drawn(*rows):
    """Return one trace: (span, parent, host, kind, start, end)."""
    frame = pd.DataFrame(rows, columns=["span_id", "parent_span_id", "host_name", "kind", "start_ns", "end_ns"])
    return tk.TraceSet.from_spans(frame.assign(trace_id="a1", name="x", service_name=frame["host_name"].fillna("s")))


def alone(*rows):
    """Return the skew of one trace whose calls are taken for proof: none of them is asynchronous."""
    return tk.clock_skew(drawn(*rows), min_traces=1)


def test_zero_skew_changes_nothing():
    traces = recorded(np.random.default_rng(1), 50, fixed(0, 0, 0, 0))
    skew = tk.clock_skew(traces)
    assert (skew.offsets["offset_ns"] == 0).all()
    assert skew.moved_ratio == 0
    raw, auto = tk.critical_path(traces, skew="off"), tk.critical_path(traces)
    assert auto.clocks is None
    assert auto.own_ns.tolist() == raw.own_ns.tolist()
    assert auto.offsets.empty
    assert auto.issues.equals(raw.issues)


def test_one_host_has_no_skew():
    skew = tk.clock_skew(drawn(("1", None, "h", "SERVER", 0, 100), ("2", "1", "h", "CLIENT", 50, 150)))
    assert skew.offsets.empty
    assert skew.pairs.empty
    assert repr(skew) == "ClockSkew(0 of 0 clocks in 0 of 1 traces corrected, 0% of path time)"
    assert "0 of 0 clocks" in skew._repr_html_()


def test_no_traces_have_no_skew():
    frame = pd.DataFrame({"trace_id": [], "span_id": [], "name": [], "start_ns": [], "end_ns": []})
    skew = tk.clock_skew(tk.TraceSet.from_spans(frame))
    assert skew.offsets.empty
    assert repr(skew) == "ClockSkew(0 of 0 clocks in 0 of 0 traces corrected)"


def test_two_services_on_one_host_share_a_clock_and_unknown_hosts_are_services():
    frame = pd.DataFrame(
        {
            "trace_id": "a1",
            "span_id": ["1", "2", "3", "4"],
            "service_name": ["cart", "shop", "shop", "cart"],
            "host_name": ["h1", "h1", None, None],
            "service_instance_id": [None, "i-7", "i-7", None],
            "name": "x",
            "start_ns": 0,
            "end_ns": 9,
        }
    )
    assert clocks(tk.TraceSet.from_spans(frame)).series().tolist() == ["h1", "h1", "shop i-7", "cart"]


@pytest.mark.parametrize(
    ("parent_kind", "kind"), [("SERVER", "SERVER"), ("INTERNAL", "SERVER"), ("PRODUCER", "CONSUMER")]
)
def test_only_a_server_below_its_client_is_proof(parent_kind, kind):
    """A queue's consumer under the span that sent the message looks exactly like a clock that is ahead."""
    traces = drawn(("1", None, "h1", parent_kind, 0, 100), ("2", "1", "h2", kind, 90, 150))
    assert tk.clock_skew(traces, min_traces=1).offsets.empty
    assert tk.critical_path(traces).clocks is None
    moved = tk.clock_skew(traces, any_kind=True, min_traces=1).offsets["offset_ns"].tolist()
    assert moved == ([] if kind == "CONSUMER" else [0, 70])


def test_a_callee_that_takes_longer_than_its_caller_is_dropped_and_counted():
    skew = tk.clock_skew(drawn(("1", None, "h1", "CLIENT", 0, 100), ("2", "1", "h2", "SERVER", 50, 200)))
    assert skew.offsets["evidence"].tolist() == ["reference", "none"]
    assert skew.offsets["offset_ns"].tolist() == [0, 0]
    assert skew.offsets["low_ns"].isna().tolist() == [False, True]
    assert skew.pairs[["call_count", "dropped_count"]].to_numpy().tolist() == [[0, 1]]


# ------------------------------------------------------------------ what is said, by hand


def test_offsets_add_up_along_calls():
    skew = alone(
        ("1", None, "h1", "CLIENT", 0, 100),
        ("2", "1", "h2", "SERVER", 1010, 1090),
        ("3", "2", "h2", "CLIENT", 1020, 1080),
        ("4", "3", "h3", "SERVER", 330, 370),
    )
    assert skew.offsets["host"].tolist() == ["h1", "h2", "h3"]
    assert skew.offsets["offset_ns"].tolist() == [0, 1000, 300]
    assert skew.offsets["low_ns"].tolist() == [0, 990, 280]  # - 710 to - 690 from h2
    assert skew.offsets["high_ns"].tolist() == [0, 1010, 320]
    assert skew.pairs[["host", "peer_host", "low_ns", "high_ns"]].to_numpy().tolist() == [
        ["h1", "h2", 990, 1010],
        ["h2", "h3", -710, -690],
    ]


def test_a_clock_moves_no_further_than_it_must_seem_to():
    """[3, 97]: ahead by 3 at least; 6 is taken, where the middle would be a leap of 50."""
    skew = alone(("1", None, "h1", "CLIENT", 0, 200), ("2", "1", "h2", "SERVER", 97, 203))
    assert skew.offsets["offset_ns"].tolist() == [0, 6]


def test_calls_back_to_the_root_host_count_as_well():
    """h1 calls h2, which calls h1 back: that call limits the offset from the other side."""
    skew = alone(
        ("1", None, "h1", "CLIENT", 0, 1000),
        ("2", "1", "h2", "SERVER", 400, 1100),  # 100 to 400
        ("3", "2", "h2", "CLIENT", 500, 600),
        ("4", "3", "h1", "SERVER", 210, 290),  # - 310 to - 290 of h1 from h2
    )
    assert skew.offsets[["offset_ns", "low_ns", "high_ns"]].to_numpy().tolist() == [[0, 0, 0], [300, 290, 310]]


def test_calls_that_contradict_each_other_are_disputed():
    traces = drawn(
        ("1", None, "h1", "CLIENT", 0, 100),
        ("2", "1", "h2", "SERVER", 1010, 1090),
        ("3", None, "h1", "CLIENT", 200, 300),
        ("4", "3", "h2", "SERVER", 5210, 5290),
    )
    skew = tk.clock_skew(traces, min_traces=1)
    assert skew.offsets["evidence"].tolist() == ["reference", "disputed"]
    assert skew.offsets[["offset_ns", "low_ns", "high_ns"]].to_numpy().tolist()[1] == [0, 0, 5010]
    assert skew.pairs["agreement_ratio"].tolist() == [0.5]


def test_hosts_that_contradict_each_other_are_disputed():
    """The way over h2 and the way over h3 do not lead to the same offset of h4."""
    skew = alone(
        ("1", None, "h1", "CLIENT", 0, 100),
        ("2", "1", "h2", "SERVER", 10, 90),
        ("3", "2", "h2", "CLIENT", 20, 80),
        ("4", "3", "h4", "SERVER", 530, 570),
        ("5", None, "h1", "CLIENT", 100, 200),
        ("6", "5", "h3", "SERVER", 110, 190),
        ("7", "6", "h3", "CLIENT", 120, 180),
        ("8", "7", "h4", "SERVER", 9130, 9170),
    )
    found = skew.offsets.set_index("host")
    path = tk.critical_path(skew.source, skew=skew)
    assert "CLOCK_DISPUTED" in path.issues["code"].tolist()
    assert found["evidence"].to_dict() == {"h1": "reference", "h2": "own", "h3": "own", "h4": "disputed"}
    assert found.loc["h4", ["low_ns", "high_ns"]].tolist() == [480, 9020]


def test_clocks_with_a_grain_are_given_its_benefit():
    frame = pd.DataFrame(
        {
            "trace_id": "a1",
            "span_id": ["1", "2"],
            "parent_span_id": [None, "1"],
            "host_name": ["h1", "h2"],
            "kind": ["CLIENT", "SERVER"],
            "name": "x",
            "start_ns": [0, 2000],
            "end_ns": [9000, 10_000],
            "time_resolution_ns": 1000,
        }
    )
    assert tk.clock_skew(tk.TraceSet.from_spans(frame)).offsets[["low_ns", "high_ns"]].to_numpy().tolist()[1] == [
        0,
        3000,
    ]


@pytest.mark.parametrize(
    "setting",
    [{"pool_s": 0}, {"drift_ppm": -1}, {"async_ratio": 0.5}, {"async_ratio": -0.1}, {"min_traces": 0}],
)
def test_settings_out_of_range(setting):
    with pytest.raises(ValueError, match=r"expected pool_s > 0, .*0 <= async_ratio < 0\.5 and min_traces >= 1, found"):
        tk.clock_skew(drawn(("1", None, "h1", "CLIENT", 0, 100)), **setting)


def test_the_offsets_of_the_path_equal_those_of_all_spans():
    """The path asks only calls that may move a clock, and comes to the same offsets."""
    rng = np.random.default_rng(11)
    speed = rng.integers(-40 * MS, 40 * MS, (60, 4)) * (rng.random((60, 4)) < 0.1)
    ahead = lambda trace: speed[trace % 60] + [0, 0, 3 * MS, 0]  # noqa: E731 - a function among others
    traces = recorded(rng, 120, ahead, asynchronous=0.01, apart_ns=1000 * MS)
    everything = tk.clock_skew(traces).offsets.set_index(["trace_id", "host"])
    needed = tk.critical_path(traces).offsets.set_index(["trace_id", "host"])
    assert 0 < len(needed) < len(everything)
    assert needed.equals(everything[everything["offset_ns"] != 0])


def test_a_clock_is_moved_though_most_calls_seem_sound():
    """Callees that begin before their callers are no asynchronous calls: a few of them are enough."""
    traces = recorded(np.random.default_rng(13), 100, fixed(0, 400_000, -150_000, 0))
    everything = tk.clock_skew(traces)
    assert 0 < (everything.offsets["offset_ns"] != 0).mean() < 0.5
    needed = tk.critical_path(traces)
    assert needed.offsets["offset_ns"].tolist() == everything.offsets.query("offset_ns != 0")["offset_ns"].tolist()


def test_a_few_unawaited_calls_are_outvoted():
    traces = recorded(np.random.default_rng(12), 100, fixed(0, 0, 0, 0))
    frame = traces.spans
    answer = frame.index[(frame["kind"] == "SERVER") & (frame["host_name"] == "cart")][40]
    frame.loc[answer, ["start_ns", "end_ns"]] += 3 * MS
    outvoted = tk.TraceSet.from_spans(frame)
    assert not tk.critical_path(traces).issues["code"].eq("OUTSIDE_PARENT").any()
    assert tk.critical_path(outvoted).issues["code"].eq("OUTSIDE_PARENT").any()
    assert tk.critical_path(outvoted).clocks is None
    assert (tk.clock_skew(outvoted).offsets["offset_ns"] == 0).all()


def test_agreement_is_that_of_a_plain_count():
    rng = np.random.default_rng(2)
    for _ in range(100):
        n = int(rng.integers(1, 30))
        low = rng.integers(0, 60, n)
        high = low + rng.integers(0, 40, n)
        found = agree(np.zeros(n, int), low, high, async_ratio=0.2)
        votes = {x: int(((low <= x) & (x <= high)).sum()) for x in range(101)}
        need = min(max(votes.values()), int(np.ceil(0.8 * n - 1e-9)))
        allowed = [x for x, count in votes.items() if count >= need]
        assert (found.low[0], found.high[0]) == (allowed[0], allowed[-1])
        assert found.ratio[0] == max(votes.values()) / n


@pytest.mark.parametrize(("min_traces", "share"), [(MIN_TRACES, 0.05), (MIN_TRACES, 0.5), (3, 0.05)])
def test_so_many_impossible_traces_are_needed_that_chance_explains_no_more_than_the_level(min_traces, share):
    traces = np.arange(1, 230)
    for some in (traces[:205], traces):  # few blocks are in the table, others are computed
        found = needed(some, min_traces, share)
        assert (stats.binom.sf(found - 1, some, share) <= 0.5**min_traces).all()
        assert (stats.binom.sf(found - 2, some, share) > 0.5**min_traces).all()
