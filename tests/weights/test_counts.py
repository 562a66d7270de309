"""Counts that people have: read, refused by row, and put beside the traces."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import EPOCH_NS, traces_of

from tracekit import TraceSet
from tracekit.weights.counts import counts_of_log, log_columns, read_counts
from tracekit.weights.tally import HoldsTraces, entry_rows, stratum_codes, tally

MINUTE = 60 * 10**9


def tallied(traces, counts):
    """Requests compared with traces."""
    return tally(HoldsTraces(counts)(traces), counts)


def test_names_of_columns_and_forms_of_status():
    frame = pd.DataFrame(
        {
            "window_start": ["2026-11-21T14:00:00+01:00", "2026-11-21T14:01:00+01:00"],
            "service": ["cart", None],
            "method": ["GET", "GET"],
            "status_code": [503, 200.0],
            "requests": ["12", 7],
        }
    )
    counts = read_counts(frame)
    assert counts.dimensions == ("service_name", "http_request_method", "status_class")
    assert counts.frame["status_class"].tolist() == ["5xx", "2xx"]
    assert counts.frame["service_name"].tolist() == ["cart", None]
    assert counts.frame["start_ns"].iloc[0] == pd.Timestamp("2026-11-21T13:00Z").value
    assert (counts.window_s, counts.total, counts.notes) == (60.0, 19.0, ())


def test_windows_are_as_long_as_the_longest():
    ends = ["2026-11-21T13:01Z", "2026-11-21T14:01Z"]
    frame = pd.DataFrame({"start": ["2026-11-21T13:00Z", "2026-11-21T13:01Z"], "end": ends, "count": 5})
    assert read_counts(frame).window_s == 3600.0


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("HTTPCode_Target_5XX_Count", "5xx"),
        ("4XX", "4xx"),
        (301, "3xx"),
        ("200.0", "2xx"),
        ("odd", "odd"),
        (None, None),
    ],
)
def test_status_becomes_a_class(status, wanted):
    frame = pd.DataFrame({"status": pd.Series([status], dtype=object), "count": [1]})
    assert read_counts(frame).frame["status_class"].tolist() == [wanted]


def test_times_without_a_zone_are_utc_and_reported():
    counts = read_counts(pd.DataFrame({"time": ["2026-11-21 14:00"], "count": [3]}))
    assert counts.frame["start_ns"].tolist() == [pd.Timestamp("2026-11-21T14:00Z").value]
    assert counts.notes == (
        "times without a time zone were read as UTC",
        "a single window without an end was assumed to last one minute",
    )


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ({"service": ["a"]}, "expected rows with a column 'count', found 1 rows with columns service"),
        ({"count": []}, "found 0 rows"),
        ({"count": [3, -1]}, "expected a count of 0 or more in row 1, found -1, and 0 more such rows"),
        ({"count": [3, "many"]}, "in row 1, found 'many'"),
        ({"count": [np.nan]}, "in row 0, found nan"),
        (
            {"count": [1, 2]},
            "expected one row per stratum, found a second one in row 1; sum them, or add their times",
        ),
        ({"count": [1, 2], "route": ["/a", "/a"]}, "found a second one in row 1"),
        (
            {"count": [1, 2], "time": ["2026-11-21 14:00", "yesterday?"]},
            r"expected a time in row 1, found 'yesterday\?'",
        ),
        (
            {"count": [1, 2], "time": ["2026-11-21 14:00Z", "2026-11-21 14:01"]},
            "expected times that all have a time zone, found '2026-11-21 14:01' in row 1 without one",
        ),
        (
            {"count": [1, 2], "time": ["2026-11-21 14:00Z", "2026-11-21 14:00Z"]},
            "expected windows that do not overlap, found overlapping rows 0 and 1 of one stratum",
        ),
        (
            {
                "count": [1, 2],
                "time": ["2026-11-21 14:00Z", "2026-11-21 14:01Z"],
                "end": ["2026-11-21 14:02Z", "2026-11-21 14:03Z"],
            },
            "found overlapping rows 0 and 1 of one stratum",
        ),
        (
            {"count": [1], "time": ["2026-11-21 14:00Z"], "end": ["2026-11-21 13:00Z"]},
            "expected windows that end after they begin, found an empty one in row 0",
        ),
    ],
)
def test_counts_that_cannot_be_name_the_row(frame, text):
    with pytest.raises(ValueError, match=text):
        read_counts(pd.DataFrame(frame))


def test_windows_of_two_strata_that_overlap_in_part_are_refused():
    frame = pd.DataFrame(
        {
            "time": ["2026-11-21 14:00Z", "2026-11-21 14:30Z"],
            "end": ["2026-11-21 15:00Z", "2026-11-21 15:30Z"],
            "route": ["/a", "/b"],
            "count": [1, 2],
        },
        index=["first", "second"],
    )
    text = "expected the same windows for all strata, found rows 'first' and 'second' that overlap in part"
    with pytest.raises(ValueError, match=text):
        read_counts(frame)
    assert read_counts(frame.assign(end=["2026-11-21 14:30Z", "2026-11-21 15:30Z"])).total == 3


@pytest.mark.parametrize(
    ("status", "wanted"), [("HTTPCode_ELB_5XX_Count", 4), ("elb 5xx", 4), ("elb_5XX", 4), ("HTTPCode_ELB_4XX_Count", 0)]
)
def test_what_the_load_balancer_answered_by_itself_is_set_aside(status, wanted):
    counts = read_counts(pd.DataFrame({"status": ["5xx", status], "count": [6, 4]}))
    assert (counts.total, counts.balancer_errors, len(counts.by_balancer)) == (6, wanted, 1)
    assert counts.notes == ("4 requests answered by the load balancer itself are excluded",)
    with pytest.raises(
        ValueError, match="expected requests that reached a service, found only 1 rows of the load balancer"
    ):
        read_counts(pd.DataFrame({"status": [status], "count": [4]}))


def test_a_log_distinguishes_load_balancer_and_target_responses():
    log = pd.DataFrame({"status": [200, 502, 500], "target_status": [200, None, 500], "trace_id": list("abc")})
    assert log_columns(log)["status_class"].tolist() == ["2xx", "elb 5xx", "5xx"]
    counts = counts_of_log(log)
    assert (counts.total, counts.balancer_errors) == (2, 1)
    with pytest.raises(ValueError, match="expected one row per request in the log, found none"):
        counts_of_log(log[:0])
    assert log_columns(log.drop(columns="target_status"))["status_class"].tolist() == ["2xx", "5xx", "5xx"]


def test_windows_of_different_strata_may_be_the_same():
    frame = pd.DataFrame({"time": ["2026-11-21 14:00Z"] * 2, "route": ["/a", "/b"], "count": [1, 2]})
    assert read_counts(frame).total == 3


def test_a_log_is_counted_by_the_strata_it_distinguishes():
    log = pd.DataFrame({"trace_id": list("abc"), "route": ["/a", "/a", "/b"], "status": [200, 500, 200]})
    assert counts_of_log(log).frame.to_dict("list") == {
        "http_route": ["/a", "/a", "/b"],
        "status_class": ["2xx", "5xx", "2xx"],
        "count": [1.0, 1.0, 1.0],
    }
    assert counts_of_log(log[["trace_id"]]).total == 3
    assert log_columns(log[["trace_id"]]).shape == (3, 0)


def _shop():
    """Two traces of web, each calling cart twice; a third of web alone fails; all a minute apart."""
    rows = []
    for n, calls in ((0, 2), (1, 2), (2, 0)):
        start = EPOCH_NS + n * MINUTE
        rows.append((f"a{n}", "1", None, "web", "GET /", start, start + 50, "ERROR" if n == 2 else "OK"))
        rows += [(f"a{n}", f"{k + 2}", "1", "cart", "price", start + 5 + k, start + 20, "OK") for k in range(calls)]
    names = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "start_ns", "end_ns", "status_code"]
    return TraceSet.from_spans(pd.DataFrame(rows, columns=names))


def test_a_trace_counts_once_for_each_service_it_reaches():
    shop = _shop()
    assert entry_rows(shop, by_service=False).tolist() == [0, 3, 6]
    assert entry_rows(shop, by_service=True).tolist() == [0, 1, 3, 4, 6]
    both = tallied(shop, read_counts(pd.DataFrame({"service": ["web", "cart", "mail"], "count": [60, 40, 9]})))
    assert both.frame.set_index("service_name")["traces"].to_dict() == {"cart": 2, "mail": 0, "web": 3}
    assert both.outside_count == 0


def test_traces_outside_the_windows_and_of_other_strata_are_counted_and_left_out():
    shop = _shop()
    first = pd.Timestamp(EPOCH_NS, unit="ns", tz="UTC")
    frame = pd.DataFrame({"time": [first, first + pd.Timedelta("1min")], "service": "web", "count": [30, 30]})
    both = tallied(shop, read_counts(frame))
    assert both.outside_count == 1
    assert both.frame["traces"].tolist() == [2]
    assert both.bins["traces"].tolist() == [1, 1]
    assert both.unmatched.to_dict("list") == {"service_name": ["cart"], "traces": [2]}
    assert (both.uncounted_services, both.unmatched_count) == (["cart"], 0)


def test_uncounted_services_are_distinguished_from_missing_strata():
    shop = _shop()
    forgotten = tallied(shop, read_counts(pd.DataFrame({"service": ["web"], "status": [500], "count": [30]})))
    assert forgotten.frame["traces"].tolist() == [1]
    assert forgotten.uncounted_services == ["cart"]
    assert forgotten.unmatched_count == 2
    strangers = tallied(shop, read_counts(pd.DataFrame({"service": ["ledger"], "count": [30]})))
    assert (strangers.uncounted_services, strangers.unmatched_count) == ([], 5)


def test_a_counted_stratum_without_a_row_for_a_window_had_no_requests():
    shop = _shop()
    first = pd.Timestamp(EPOCH_NS, unit="ns", tz="UTC")
    times = [first, first + pd.Timedelta("1min"), first + pd.Timedelta("2min")]
    frame = pd.DataFrame({"time": times, "status": [200, 200, 200], "count": [30, 30, 30]})
    frame = pd.concat([frame, pd.DataFrame({"time": times[:1], "status": [500], "count": [4]})])
    both = tallied(shop, read_counts(frame.reset_index(drop=True)))
    assert both.frame.set_index("status_class")[["requests", "traces"]].to_dict("index") == {
        "2xx": {"requests": 90.0, "traces": 2},
        "5xx": {"requests": 4.0, "traces": 1},
    }
    assert len(both.unmatched) == 0


def test_a_route_that_is_missing_is_the_operation_and_a_code_beats_the_error():
    traces = traces_of(np.random.default_rng(1), 3, http_route=["/a", None, "/b"])
    assert set(stratum_codes(traces, "http_route").series()) == {"/a", "GET /", "/b"}
    codes = traces_of(np.random.default_rng(1), 2, failed=True, **{"attributes.http.response.status_code": [404, None]})
    assert set(stratum_codes(codes, "status_class").series()) == {"4xx", "5xx"}


@pytest.mark.parametrize("take", [read_counts, counts_of_log])
def test_what_is_no_frame_is_refused_with_the_part_that_is(take):
    part = {read_counts: "counts", counts_of_log: "log"}[take]
    requests = SimpleNamespace(counts=pd.DataFrame(), log=pd.DataFrame())
    with pytest.raises(TypeError, match=f"expected a DataFrame of requests, found SimpleNamespace; pass its .{part}"):
        take(requests)
    with pytest.raises(TypeError, match=r"found str; tracekit\.read_requests reads files"):
        take("access.log")
