"""Times of receipt in every shape, and what they leave out of counts, logs and traces."""

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import EPOCH_NS, traces_of

from tracekit.stats.second_reservoir import SECOND_NS
from tracekit.weights.counts import read_counts
from tracekit.weights.ingestion_horizon import (
    BegunBy,
    IngestionHorizon,
    counts_before_horizon,
    ingestion_horizon,
    log_before_horizon,
    usable_receipts,
)
from tracekit.weights.receipts import NEVER, ArrivedOf, moment_ns, read_received
from tracekit.weights.trace_times import TraceTimes

START = EPOCH_NS + np.arange(300) * SECOND_NS
EDGE = IngestionHorizon(
    EPOCH_NS + 240 * SECOND_NS, EPOCH_NS + 300 * SECOND_NS, START > EPOCH_NS + 240 * SECOND_NS, 0.3, 0, 1
)


def in_order(n):
    """Ids in the order of the traces, which is that of their ids."""
    return np.arange(1, n + 1, dtype=np.uint64), np.zeros(n, np.uint64)


def read_receipts(traces, received, now=None):
    """The arrival time of every trace, of traces in memory."""
    given = read_received(received, now)
    return given.receipts(ArrivedOf(given.key)(traces))


def shop():
    return traces_of(np.random.default_rng(1), ids=in_order(300), start_ns=START)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_times_of_any_unit_and_zone_are_the_same_moments(unit, zone):
    traces = shop()
    times = pd.to_datetime(START, unit="ns", utc=True).tz_convert(zone).as_unit(unit)
    times = times.tz_localize(None) if zone is None else times
    assert read_receipts(traces, pd.Series(times, index=traces.trace_ids)).by_ns.tolist() == START.tolist()
    texts = pd.Series(times.astype(str), index=traces.trace_ids)
    assert read_receipts(traces, texts).by_ns.tolist() == START.tolist()


def test_polls_are_recognised_by_their_frame():
    traces = shop()
    by = EPOCH_NS + (np.arange(300) // 60 + 1) * 60 * SECOND_NS
    found = read_receipts(traces, pd.DataFrame({"by": by}, index=traces.trace_ids))
    assert found.is_polled
    assert (found.after_ns[:60] == NEVER).all()
    assert (found.after_ns[60:] == by[60:] - 60 * SECOND_NS).all()
    assert (found.now_ns, found.before_ns) == (by[-1], by[-1] - 60 * SECOND_NS)
    told = pd.DataFrame({"by": by, "after": by - 30 * SECOND_NS}, index=traces.trace_ids)
    told["after"] = told["after"].astype("Int64").mask(np.arange(300) < 5)
    half = read_receipts(traces, told.iloc[:200])
    assert (half.after_ns[:5] == NEVER).all()
    assert (half.after_ns[5:200] == by[5:200] - 30 * SECOND_NS).all()
    assert not half.by_ns[200:].any()
    assert not half.after_ns[200:].any()


@pytest.mark.parametrize(
    ("received", "message"),
    [
        (pd.DataFrame({"poll": [1]}, index=["a"]), "expected a column 'by', the poll that found a trace, found"),
        (pd.DataFrame({"by": [1, 2]}, index=["a", "a"]), "found several for trace 'a'"),
        (
            pd.DataFrame({"by": [9], "after": [9]}, index=["a"]),
            "expected 'after' before 'by', found it later in row 'a'",
        ),
        (pd.Series(["mail jo@example.org"], index=["a"]), r"found 'ma...rg \(19 characters\)' in row 'a'"),
    ],
)
def test_receipts_that_cannot_be_are_refused(received, message):
    with pytest.raises(ValueError, match=message):
        read_receipts(shop(), received)


def test_now_is_a_time():
    assert moment_ns(pd.Timestamp(5, unit="ns", tz="Europe/Berlin")) == 5
    with pytest.raises(ValueError, match="expected a time such as 2026-11-21T14:00Z as now, found 'NaT'"):
        moment_ns("NaT")


def test_the_edge_is_counted_from_the_start_and_holds_what_is_missing():
    """Every trace takes 10 s and can be found 5 s later: of the last 15 s none are there."""
    start = START[START <= EPOCH_NS + 285 * SECOND_NS]
    traces = traces_of(np.random.default_rng(2), ids=in_order(len(start)), start_ns=start, took_ms=10_000.0)
    received = pd.Series(start + 15 * SECOND_NS, index=traces.trace_ids)
    edge = ingestion_horizon(read_receipts(traces, received, pd.Timestamp(EPOCH_NS + 300 * SECOND_NS, unit="ns")))
    assert edge.age_ns == 15 * SECOND_NS
    assert (edge.missing, edge.low, edge.high) == (1.0, 1.0, 1.0)
    assert not edge.is_beyond_horizon.any()


def test_too_few_receipts_show_no_edge():
    traces = shop()
    assert ingestion_horizon(read_receipts(traces, pd.Series(START[:19] + 9, traces.trace_ids[:19]))) is None
    assert ingestion_horizon(read_receipts(traces, pd.Series(START[:20] + 9, traces.trace_ids[:20]))) is not None
    assert not usable_receipts(read_receipts(traces, pd.Series(START - 9, traces.trace_ids)), START).any()


def test_weights_stay_with_the_traces_that_are_left():
    traces = shop().with_weights(np.arange(300) + 1.0)
    assert BegunBy(EDGE.begin_ns)(traces).weights.value.tolist() == (np.arange(241) + 1.0).tolist()


def minutes(length_s=60, many=5):
    times = pd.to_datetime(EPOCH_NS + np.arange(many) * length_s * SECOND_NS, utc=True)
    return pd.DataFrame({"time": times, "end": times + pd.Timedelta(length_s, "s"), "count": 100, "status": 200})


def test_windows_that_reach_beyond_the_edge_are_left_out():
    assert counts_before_horizon(read_counts(minutes()), EDGE).total == 400
    late = EDGE._replace(begin_ns=EPOCH_NS + 10**4 * SECOND_NS)
    counts = read_counts(minutes())
    assert counts_before_horizon(counts, late) is counts
    alone = pd.concat([minutes(), minutes().assign(status="elb 5xx", count=7)], ignore_index=True)
    found = counts_before_horizon(read_counts(alone), EDGE)
    assert (found.total, found.balancer_errors) == (400, 28)


def test_a_single_long_window_is_counted_by_its_share():
    found = counts_before_horizon(read_counts(minutes(300, 1)), EDGE)
    assert found.total == 80
    assert found.frame["end_ns"].tolist() == [EDGE.begin_ns]
    assert "counted by its share of time before" in found.notes[-1]


def test_counts_without_times_are_reported():
    found = counts_before_horizon(read_counts(pd.DataFrame({"count": [300]})), EDGE)
    assert found.total == 300
    assert "counts have no times" in found.notes[-1]


def test_a_log_excludes_late_traces_and_later_rows():
    traces, times = shop(), TraceTimes.of(shop())
    ids = [*traces.trace_ids, *[f"{n:032x}" for n in range(1, 301)]]
    log = pd.DataFrame({"trace_id": ids, "time": pd.to_datetime(np.tile(START, 2), unit="ns", utc=True)})
    assert len(log_before_horizon(times, log, EDGE)) == 2 * 241
    late = log.assign(time=log["time"] + pd.Timedelta("1h"))
    assert len(log_before_horizon(times, late, EDGE)) == 241, "what left a trace is told by its trace"
    assert len(log_before_horizon(times, log.drop(columns="time"), EDGE)) == 241 + 300
    assert len(log_before_horizon(times, log.assign(time=log["time"].mask(np.arange(600) >= 300)), EDGE)) == 241 + 300
    assert len(log_before_horizon(times, log[["time"]], EDGE)) == 2 * 241


def test_one_start_by_a_wrong_clock_does_not_make_all_traces_late():
    """All can be found 5 s after they began, but the first is said to have begun an hour before."""
    start = START[START <= EPOCH_NS + 295 * SECOND_NS].copy()
    received = start + 5 * SECOND_NS
    start[0] -= 3600 * SECOND_NS
    traces = traces_of(np.random.default_rng(3), ids=in_order(len(start)), start_ns=start)
    now = pd.Timestamp(EPOCH_NS + 300 * SECOND_NS, unit="ns")
    edge = ingestion_horizon(read_receipts(traces, pd.Series(received, index=traces.trace_ids), now))
    assert edge.age_ns == 5 * SECOND_NS
    assert not edge.is_beyond_horizon.any()


@pytest.mark.parametrize("mean_s", [2, 10, 60])
def test_what_is_missing_at_the_last_poll_is_not_what_waits_for_the_next(mean_s):
    """Polled every minute: of the last ``age`` seconds as much is missing as its lags say, whenever polls came."""
    rng, held, minute = np.random.default_rng(7), 0, 60 * SECOND_NS
    for _ in range(40):
        begun = np.sort(rng.integers(0, 30 * minute, 1500))
        by = -(-(begun + (rng.exponential(mean_s, 1500) * SECOND_NS).astype(np.int64)) // minute) * minute
        there = by <= 30 * minute
        start, by = EPOCH_NS + begun[there], EPOCH_NS + by[there]
        traces = traces_of(rng, ids=in_order(len(start)), start_ns=start)
        edge = ingestion_horizon(read_receipts(traces, pd.DataFrame({"by": by}, index=traces.trace_ids)))
        age_s = edge.age_ns / SECOND_NS
        truth = mean_s / age_s * -np.expm1(-age_s / mean_s)
        held += edge.low <= truth <= edge.high
        assert edge.missing == pytest.approx(truth, abs=0.04)
    assert held >= 32
