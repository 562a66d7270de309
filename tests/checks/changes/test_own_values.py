"""What a finding is about, by request: found where latency as a whole does not show it, and only there."""

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tracekit.checks.case import Case
from tracekit.checks.changes.own_values import own_values
from tracekit.checks.changes.variation import p_of_own_values
from tracekit.checks.comparison import Changes
from tracekit.checks.overview import Overview
from tracekit.checks.screen.own_band import own_band
from tracekit.findings import Finding
from tracekit.investigation.investigate import investigate

MS = 1_000_000
ABOUT_CART = Finding("suspects", "warning", "", values={"service_name": "cart", "kind": "own"})


def shop(rng, n, *, slow_ms=0, failing=0.0, begin=0):
    """Requests of very different latency; cart takes 5 ms, for enterprise customers more, and fails sometimes."""
    rows = []
    for k in range(n):
        tier = "enterprise" if rng.random() < 0.2 else "free"
        cart = int((5 * rng.lognormal(0, 0.1) + slow_ms * (tier == "enterprise")) * MS)
        own = int(60 * rng.lognormal(0, 1.0) * MS)
        trace_id, root, call = rng.bytes(16).hex(), rng.bytes(8).hex(), rng.bytes(8).hex()
        at, state = begin + k * 1000 * MS, "ERROR" if rng.random() < failing else "UNSET"
        rows += [
            {"span_id": root, "parent_span_id": None, "name": "GET /", "kind": "SERVER", "service_name": "front",
             "start_ns": at, "end_ns": at + own + cart + MS, "status_code": "UNSET",
             "attributes.app.customer.tier": tier, "trace_id": trace_id},
            {"span_id": call, "parent_span_id": root, "name": "GET /cart", "kind": "CLIENT", "service_name": "front",
             "start_ns": at + own, "end_ns": at + own + cart, "status_code": state, "trace_id": trace_id},
            {"span_id": rng.bytes(8).hex(), "parent_span_id": call, "name": "GET /cart", "kind": "SERVER",
             "service_name": "cart", "start_ns": at + own, "end_ns": at + own + cart, "status_code": state,
             "trace_id": trace_id},
        ]  # fmt: skip
    return tk.TraceSet.from_spans(pd.DataFrame(rows)).with_weights(1)


def test_the_time_of_a_service_is_that_of_its_spans():
    traces = shop(np.random.default_rng(1), 40)
    own = own_values(Overview(traces), ABOUT_CART)
    spans = traces.spans
    cart = spans[spans["service_name"] == "cart"].set_index("trace_id")["duration_ns"]
    assert own.has_value.all()
    assert own.value.tolist() == cart.loc[traces.trace_ids].tolist()


def test_calls_that_failed_are_those_of_the_edge():
    traces = shop(np.random.default_rng(2), 60, failing=0.3)
    spans = traces.spans
    failed = spans[spans["is_error"]]["trace_id"].astype(str).unique()
    for callee, wanted in (("cart", len(failed)), ("stock", 0)):
        values = {"caller_service": "front", "callee_service": callee}
        own = own_values(Overview(traces), Finding("calls", "warning", "", values=values))
        assert own.value.sum() == wanted
        assert own.has_value.sum() == (60 if callee == "cart" else 0)
    failing = Finding("suspects", "warning", "", values={"service_name": "cart", "kind": "failing"})
    assert own_values(Overview(traces), failing).value.sum() == len(failed)
    assert own_values(Overview(traces), Finding("change", "warning", "")) is None


def test_a_service_is_slower_beyond_its_own_variation_where_latency_is_not():
    rng = np.random.default_rng(3)
    before, now = shop(rng, 300), shop(rng, 300, slow_ms=40, begin=10**15)
    assert p_of_own_values(Changes(Overview(before), Overview(now)), ABOUT_CART) < 0.001
    found = investigate(now, before)
    assert found.first_screen["headline"].headline.startswith("cart GET /cart regressed although the mean latency")
    assert found.first_screen["affected"].headline.startswith(
        "requests that reach cart GET /cart with app.customer.tier enterprise: "
    )
    assert "in cart GET /cart, the p95 of the baseline" in found.first_screen["affected"].headline
    assert found.severity == "warning"  # users as a whole are not hurt


def test_equal_sides_are_as_seldom_worse_as_the_level_says():
    """One-sided at 5%: as often as that, within what chance explains."""
    hits = 0
    for seed in range(60):
        rng = np.random.default_rng(400 + seed)
        sides = (Overview(shop(rng, 100, begin=begin)) for begin in (0, 10**15))
        hits += p_of_own_values(Changes(*sides), ABOUT_CART) < 0.05
    assert hits <= 9  # P(more of 60 at 5%) < 0.002


@pytest.mark.parametrize("n", [0, 1])
def test_without_requests_nobody_is_affected(n):
    rng = np.random.default_rng(5)
    before, now = shop(rng, 50), shop(rng, 50, begin=10**15).head(n)

    class Seen:
        changes = Changes(Overview(before), Overview(now))
        case = Case(now, baseline=Case(before))

    band = own_band(Seen, ABOUT_CART)
    assert band is None or len(band.now) == n
