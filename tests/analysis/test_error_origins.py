"""Origins of errors: by hand, against brute force on random trees, customers, the baseline, steps of time."""

import numpy as np
import pandas as pd
import pytest
from drawn_spans import draw
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tracekit import TraceSet
from tracekit.stats.weighted_rates import clustered_rates

START, SECOND = 1_764_000_000_000_000_000, 1_000_000_000

SHOP = """
a1 1 - shop   SERVER 0 100 error name=pay tenant=red
a1 2 1 ledger SERVER 5 50  error name=charge code=500
b1 1 - shop   SERVER 0 100 name=pay tenant=red
b1 2 1 ledger SERVER 5 60  error name=charge code=429
c1 1 - shop   SERVER 0 100 name=cart tenant=blue
c1 2 1 ledger SERVER 5 70  error name=charge
d1 1 - shop   SERVER 0 100 error name=pay tenant=green code=503
e1 1 - shop   SERVER 0 100 name=pay tenant=grey
"""


def test_the_requests_endpoints_and_customers_of_an_origin():
    found = tk.errors(draw(SHOP), customer="app.tenant").origins
    ledger, shop = found.to_dict("records")
    assert (ledger["operation"], shop["operation"]) == ("charge", "pay")
    assert (ledger["error_count"], ledger["request_count"], ledger["failed_request_count"]) == (3, 3, 1)
    assert (ledger["endpoint_count"], ledger["customer_count"], ledger["customer_ratio"]) == (2, 2, 0.5)
    assert (ledger["request_ratio"], shop["request_ratio"]) == (0.6, 0.2)
    assert (shop["error_count"], shop["customer_count"]) == (1, 1)


def test_classes_of_errors_are_kept_apart():
    ledger = tk.errors(draw(SHOP)).origins.iloc[0]
    names = ["fault_count", "client_count", "throttle_count", "unspecified_count"]
    assert ledger[names].tolist() == [1, 0, 1, 1]


def read_segment(marks):
    """An X-Ray segment with some marks."""
    segment = f"""{{"trace_id": "1-68f0a1b2-0123456789abcdef01234567", "id": "0123456789abcdef", "name": "shop",
        "start_time": 1760600000.0, "end_time": 1760600001.0, {", ".join(f'"{mark}": true' for mark in marks)}}}"""
    return tk.read(segment.encode(), format="xray")


@pytest.mark.parametrize(
    ("marks", "kind"),
    [
        (["fault"], "fault_count"),
        (["error", "throttle"], "throttle_count"),
        (["fault", "throttle"], "throttle_count"),
    ],
)
def test_the_marks_of_x_ray_are_kept_apart(marks, kind):
    found = tk.errors(read_segment(marks)).origins.iloc[0]
    names = ["fault_count", "client_count", "throttle_count", "unspecified_count"]
    assert {name: found[name] for name in names} == {name: float(name == kind) for name in names}


def test_a_client_error_of_a_server_is_no_origin():
    found = tk.errors(read_segment(["error"]))
    assert (len(found.origins), found.operations["client_count"].tolist()) == (0, [1])


def test_new_origins_come_first():
    traces = draw(SHOP)
    found = tk.errors(traces, baseline=traces.where("service_name == 'ledger'")).origins
    assert found[["service_name", "is_new", "baseline_request_count"]].to_numpy().tolist() == [
        ["shop", True, 0.0],
        ["ledger", False, 3.0],
    ]


def test_an_unknown_customer_is_refused():
    with pytest.raises(ValueError, match=r"expected .* found 'request\.app\.tenand'"):
        tk.errors(draw(SHOP), customer="app.tenand")


def test_traces_without_errors_have_no_origin():
    found = tk.errors(draw("a1 1 - shop SERVER 0 9"), customer="service_name")
    assert len(found.origins) == len(found.over_time) == 0
    assert "customer_count" in found.origins


@st.composite
def forests(draw_from):
    """Traces of random trees, some of whose spans failed, one start a second."""
    rows = []
    for k in range(draw_from(st.integers(1, 6))):
        size = draw_from(st.integers(1, 7))
        for at in range(size):
            parent = draw_from(st.integers(0, at - 1)) if at else None
            failed = draw_from(st.booleans())
            begin = START + k * SECOND
            name = draw_from(st.sampled_from("xyz"))
            rows.append((f"{k + 1:032x}", k * 10 + at, parent, name, begin, begin + 100 - at, failed))
    names = ["trace_id", "id", "parent", "name", "start_ns", "end_ns", "failed"]
    frame = pd.DataFrame(rows, columns=names)
    up = frame["parent"] + frame["id"] // 10 * 10
    return frame.assign(
        span_id=[f"{one + 1:016x}" for one in frame["id"]],
        parent_span_id=[None if np.isnan(one) else f"{int(one) + 1:016x}" for one in up.astype(float)],
        status_code=np.where(frame["failed"], "ERROR", "UNSET"),
        service_name="shop",
        kind="INTERNAL",
        up=up,
    )


def brute_force(frame, weights):
    """Affected requests by origin, over all traces and by trace."""
    failed_below = set(frame.loc[frame["failed"], "up"].dropna())
    is_origin = frame["failed"] & ~frame["id"].isin(failed_below)
    pairs = {(row.name, row.trace_id) for row in frame[is_origin].set_index("name", drop=False).itertuples(index=False)}
    found = {}
    for name, trace in pairs:
        found.setdefault(name, set()).add(trace)
    return {name: (sum(weights[trace] for trace in traces), traces) for name, traces in found.items()}


@settings(max_examples=60)
@given(forests(), st.integers(0, 1000))
def test_origins_equal_brute_force(frame, seed):
    ids = sorted(frame["trace_id"].unique())
    weights = dict(zip(ids, np.random.default_rng(seed).choice([1.0, 4.0], len(ids)).tolist(), strict=True))
    traces = TraceSet.from_spans(frame.drop(columns=["id", "parent", "up", "failed"])).with_weights(weights)
    expected = brute_force(frame, weights)
    result = tk.errors(traces)
    counts = result.origins.set_index("operation")["request_count"].to_dict()
    assert counts == {name: count for name, (count, _) in expected.items()}
    assert result.over_time.groupby("operation")["request_count"].sum().to_dict() == counts
    for row in result.origins.to_dict("records"):
        event = np.array([one in expected[row["operation"]][1] for one in ids])
        ratio = clustered_rates(
            np.zeros(len(ids), int), np.arange(len(ids)), event, np.array(list(weights.values())), 1
        )
        wanted = (ratio.ratio[0], ratio.low[0], ratio.high[0])
        names = ("request_ratio", "request_ratio_low", "request_ratio_high")
        assert [row[name] for name in names] == pytest.approx(wanted, nan_ok=True)
