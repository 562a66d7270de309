"""Maps from ids to shares against the samplers' own arithmetic, done with Python's integers."""

import numpy as np
import pytest
from checks.sampling.simulators import random_ids, thinned_ids, traces_of, xray_ids

from tracekit.weights.forensics import forensic_weights
from tracekit.weights.id_edges import FEWEST, families
from tracekit.weights.id_maps import ID_MAPS, begins_with_time


def _fnv(data, bits):
    value, prime = (0xCBF29CE484222325, 0x100000001B3) if bits == 64 else (0x811C9DC5, 0x01000193)
    for byte in data:
        value = ((value ^ byte) * prime) % 2**bits
    return value


def _signed(number):
    return number - 2**64 if number >= 2**63 else number


KEEPS = {
    "OpenTelemetry consistent sampling": lambda _, lo, p: lo % 2**56 >= round((1 - p) * 2**56),
    "Python TraceIdRatio": lambda _, lo, p: lo < round(p * 2**64),
    "Java TraceIdRatio": lambda _, lo, p: abs(_signed(lo)) < p * 2**63,
    ".NET TraceIdRatio": lambda h, _, p: abs(_signed(h)) < p * 2**63,
    "Go TraceIdRatio": lambda _, lo, p: lo >> 1 < p * 2**63,
    "older Go TraceIdRatio": lambda h, _, p: h >> 1 < p * 2**63,
    "JavaScript TraceIdRatio": lambda h, lo, p: (h >> 32) ^ (h % 2**32) ^ (lo >> 32) ^ (lo % 2**32) < p * 2**32,
    "collector tail_sampling": lambda h, lo, p: _fnv(b"default-hash-seed" + _id(h, lo), 64) <= p * 2**64,
    "collector hash_seed": lambda h, lo, p: _fnv(bytes(4) + _id(h, lo), 32) % 2**14 < round(p * 2**14),
}


def _id(high, low):
    return high.to_bytes(8, "big") + low.to_bytes(8, "big")


@pytest.mark.parametrize("family", ID_MAPS)
@pytest.mark.parametrize("p", [0.125, 0.5])
def test_a_map_keeps_what_the_sampler_keeps(family, p):
    high, low = random_ids(np.random.default_rng(4), 3000)
    share = ID_MAPS[family](high, low)
    kept = share <= p if family.startswith("collector") else share < p
    wanted = [KEEPS[family](h, lo, p) for h, lo in zip(high.tolist(), low.tolist(), strict=True)]
    if family == "OpenTelemetry consistent sampling":
        kept = share <= p
    assert kept.tolist() == wanted
    assert 0 <= share.min() <= share.max() <= 1


def test_ids_that_begin_with_the_time_are_known():
    rng = np.random.default_rng(5)
    start = np.full(50, 1_795_040_000 * 10**9)
    assert begins_with_time(xray_ids(rng, 50)[0], start)
    assert not begins_with_time(random_ids(rng, 50)[0], start)
    assert not begins_with_time(np.zeros(0, np.uint64), np.zeros(0, np.int64))


def test_maps_of_the_first_bytes_are_left_out_where_those_are_time():
    rng = np.random.default_rng(6)
    ids = xray_ids(rng, 500)
    assert families(*ids, begin_with_time=False)[0].name in {".NET TraceIdRatio", "older Go TraceIdRatio"}, "the trap"
    assert families(*ids, begin_with_time=True)[0].q > 0.05


def test_weights_come_from_the_edge_and_exceptions_have_none():
    rng = np.random.default_rng(7)
    ids = thinned_ids(rng, 600, "Java TraceIdRatio", 0.1, 0.2)
    traces = traces_of(rng, ids=ids)
    found = traces.with_weights("auto")
    assert set(found.weights.sources) == {"trace IDs (Java TraceIdRatio)", "outside the probability sample"}
    inside = found.weights.value > 0
    assert found.weights.value[inside] == pytest.approx(10, rel=0.02)
    assert inside.mean() == pytest.approx(0.8 + 0.2 * 0.1, abs=0.04)
    assert np.isnan(found.weights.probability[~inside]).all()


def test_an_edge_that_leaves_nearly_everything_gives_no_weights():
    rng = np.random.default_rng(9)
    nearly_all = traces_of(rng, ids=thinned_ids(rng, 2_000, "Java TraceIdRatio", 0.85, 0.1))
    assert forensic_weights(nearly_all) is None
    assert forensic_weights(traces_of(rng, ids=thinned_ids(rng, 2_000, "Java TraceIdRatio", 0.7, 0.1))) is not None


def test_random_ids_and_few_ids_give_no_weights():
    rng = np.random.default_rng(8)
    assert forensic_weights(traces_of(rng, 500)) is None
    few = traces_of(rng, ids=thinned_ids(rng, FEWEST - 1, "Java TraceIdRatio", 0.01))
    assert forensic_weights(few) is None
    assert not few.with_weights("auto").weights.known.any(), "unknown, and not 1"
