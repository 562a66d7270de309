"""Bounds are attained: every way to lose requests in tiny worlds; linear programs equal closed forms."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from analysis.bounds.worlds import ENDPOINTS, MS, World

import tracekit as tk

CLAIMS = ("p50{}", "p90{}", "mean{}", "slower than 200 ms{}", "error rate{}")
PLACES = ("", " of POST /checkout", " of GET /items")
ONE_FRAME = ([()], [("time",)], [("route",)], [("route", "method")], [("time", "route")], [("route", "status")])
TWO_FRAMES = (
    [("time", "route"), ("time", "status")],
    [("route", "method"), ("status",)],
    [("time", "route"), ("time", "method")],
)
THREE_FRAMES = [("time", "route"), ("time", "status"), ("route", "status")]
LONGEST_MS = 500
KEPT = {"always_recorded": ["failed", "slower than 0 ms"]}


def tiny(rng, lost, *, rootless=0):
    """A few requests in two windows, of which the last ones are lost and the first ones have no root span."""
    n = int(rng.integers(3, 6)) + lost + rootless
    took = rng.choice([50, 150, 250, 450], n) * MS
    failed = rng.random(n) < 0.3
    is_5xx = failed & (rng.random(n) < 0.5)
    at, no = np.arange(n), np.zeros(n, bool)
    return World(rng.integers(0, 3, n), rng.integers(0, 2, n), took, failed, is_5xx, at < n - lost, at < rootless, no)


def every_world(world, given, said):
    """Every world with the same counts and the same usable traces: lost requests of any kind and value."""
    seen = world.is_kept & ~world.is_rootless
    outcomes = [(False, False), (False, True), (True, True)]
    kinds = [
        (endpoint, window, failed, is_5xx, took)
        for endpoint, window in itertools.product(range(len(ENDPOINTS)), range(2))
        for is_5xx, failed in outcomes
        for took in (0, LONGEST_MS * MS)
    ]
    busy = set(world.window[world.is_kept].tolist())
    lost = np.flatnonzero(~seen)
    counted = [sorted(key(by, world.endpoint[k], world.window[k], world.is_5xx[k]) for k in lost) for by in given]
    for chosen in itertools.combinations_with_replacement(kinds, len(lost)):
        theirs = [sorted(key(by, one[0], one[1], one[3]) for one in chosen) for by in given]
        beyond = sum((one[2] or one[4] > 0) and one[1] in busy for one in chosen)
        if theirs == counted and (not said.get("always_recorded") or beyond <= world.is_rootless.sum()):
            names = ("endpoint", "window", "failed", "is_5xx", "took_ns")
            columns = {
                name: np.concatenate([getattr(world, name)[seen], np.array(column)])
                for name, column in zip(names, zip(*chosen, strict=True), strict=True)
            }
            yield replace(world, **columns)


def key(by, endpoint, window, is_5xx):
    """What a request is counted by."""
    service, method, route = ENDPOINTS[endpoint]
    words = {"service": service, "method": method, "route": route, "time": str(window), "status": str(bool(is_5xx))}
    return tuple(words[name] for name in by)


def extremes(world, given, said, claims):
    """The lowest and highest value of each claim."""
    values = [[other.truth(claim) for claim in claims] for other in every_world(world, given, said)]
    return np.nanmin(values, axis=0), np.nanmax(values, axis=0)


def compared(rng, given, said, *, lost=2, rootless=0):
    """Bounds, and the extremes that they should be, of every claim that there are bounds for."""
    world = tiny(rng, lost, rootless=rootless)
    traces = world.traces()
    texts = [claim.format(place) for claim in CLAIMS for place in PLACES]
    found = []
    for text in texts:
        try:
            one = tk.bounds(traces, text, requests=[world.counts(*by) for by in given], **said)
        except ValueError as error:
            assert "expected an endpoint" in str(error)  # noqa: PT017 - other errors are wrong
            continue
        if one.is_estimable:
            found.append(one)
    low, high = extremes(world, given, said, [one.claim for one in found])
    return [(repr(one), (one.low, one.high), ends) for one, *ends in zip(found, low, high, strict=True)]


@pytest.mark.parametrize("given", ONE_FRAME + TWO_FRAMES, ids=str)
@pytest.mark.parametrize("seed", range(2))
def test_bounds_are_the_extremes_of_every_way_to_lose_requests(given, seed):
    rng = np.random.default_rng(seed)
    for words, bounds, ends in compared(rng, given, {"longest_ms": LONGEST_MS}):
        assert bounds == pytest.approx(ends, rel=1e-9), (words, given)


@pytest.mark.parametrize("given", ONE_FRAME[3:5], ids=str)
@pytest.mark.parametrize("seed", range(2))
def test_what_the_sampler_keeps_is_lost_with_its_root_span_only(given, seed):
    rng = np.random.default_rng(seed)
    said = {"longest_ms": LONGEST_MS, **KEPT}
    for words, bounds, ends in compared(rng, given, said, lost=2, rootless=1):
        assert bounds == pytest.approx(ends, rel=1e-9), words


@pytest.mark.parametrize(
    ("given", "said", "rootless"),
    [(THREE_FRAMES, {}, 0), (ONE_FRAME[5], KEPT, 1), (TWO_FRAMES[0], KEPT, 1), (TWO_FRAMES[2], KEPT, 1)],
    ids=str,
)
@pytest.mark.parametrize("seed", range(2))
def test_bounds_hold_where_they_need_not_be_attained(given, said, rootless, seed):
    """Three overlapping frames; what the sampler keeps, with counts by status or several frames."""
    rng = np.random.default_rng(seed)
    for words, (low, high), (least, most) in compared(
        rng, given, {"longest_ms": LONGEST_MS, **said}, rootless=rootless
    ):
        assert low <= least * (1 + 1e-9), words
        assert high >= most * (1 - 1e-9), words


@pytest.mark.parametrize("by", [(), ("time",), ("route",), ("time", "route", "method"), ("route", "status")], ids=str)
@pytest.mark.parametrize("said", [{}, {"longest_ms": LONGEST_MS}, {"always_recorded": "failed"}], ids=str)
def test_the_linear_program_equals_the_closed_form(by, said):
    """The same counts twice are two margins of one table."""
    rng = np.random.default_rng(5)
    world = tiny(rng, 4, rootless=1)
    traces, counts = world.traces(), world.counts(*by)
    for text in (claim.format(place) for claim in CLAIMS for place in PLACES[:2]):
        if "POST" in text and not (world.is_kept & ~world.is_rootless & (world.endpoint == 0)).any():
            continue
        one, two = (tk.bounds(traces, text, requests=frames, **said) for frames in (counts, [counts, counts]))
        assert (one.low, one.high) == pytest.approx((two.low, two.high), rel=1e-9), text


def test_minutes_couple_endpoints_and_failures():
    """Per minute, no more requests of an endpoint failed than it lost; without the minutes, they could have."""
    n = 40
    endpoint = np.repeat([0, 2], n // 2)
    window, failed = np.tile([0, 1], n // 2), np.zeros(n, bool)
    failed[(endpoint == 2) & (window == 1)] = True  # 10 failures, all in the second minute
    no = np.zeros(n, bool)
    is_kept = ~((endpoint == 0) & (window == 0)) & ~failed  # all of these are lost, and the first minute's checkouts
    world = World(endpoint, window, np.full(n, MS), failed, failed, is_kept, no, no)
    said = {"claim": "error rate of POST /checkout", "only_5xx_failed": True}
    apart = tk.bounds(world.traces(), requests=[world.counts("route", "method"), world.counts("status")], **said)
    minutes = [world.counts("time", "route", "method"), world.counts("time", "status")]
    coupled = tk.bounds(world.traces(), requests=minutes, **said)
    assert (apart.low, apart.high) == (0, 0.5)
    assert (coupled.low, coupled.high) == (0, 0)


def test_labels_of_the_worlds_are_those_of_the_traces():
    world = tiny(np.random.default_rng(1), 0)
    routes = world.traces().spans.query("depth == 0")["http_route"].tolist()
    assert sorted(routes) == sorted(np.array(ENDPOINTS, object)[world.endpoint][:, 2])
    assert world.counts("time", "route")["count"].sum() == len(world)
    assert isinstance(world.counts(), pd.DataFrame)
