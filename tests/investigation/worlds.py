"""A shop with one planted incident, in one tier of customers or in all, from a release on or without one; and none."""

import numpy as np
import pandas as pd
from analysis.suspects.planted import EPOCH, MS, Shop

from tracekit import TraceSet

TIERS = {"free": 0.4, "pro": 0.35, "enterprise": 0.25}
HOUR = 3_600_000 * MS
FAULTS = {  # fault, service, by how much its delays are multiplied
    "slow service": ("own", "ledger", 2),
    "slow calls": ("way in", "stock", 2),
    "N+1 calls": ("more calls", "cart", 1),
    "failures": ("failing", "pricing", 1),
}
AFTER = (0.0, 0.6)  # of the current requests: the incident begins after a share between them


class Tiered(Shop):
    """Requests with a customer tier and service versions; the fault begins with one request, in one tier or in all."""

    def __init__(self, rng, fault="", service="", *, tier=None, release=False, first=0, **options):
        super().__init__(rng, fault, service, **options)
        self.tier, self.release, self.first = tier, release, first

    def at(self, name, *faults):
        return self.number_of_request >= self.first and self.mine in {self.tier, None} and super().at(name, *faults)

    def traces(self, n, *, begin=EPOCH, every_ms=1000):
        for k in range(n):
            self.trace_id, self.number, self.number_of_request = self.rng.bytes(16).hex(), 0, k
            if k % 20 == 0:
                self.load = float(np.exp(self.rng.normal(0, self.bursts)))
            self.now = str(self.rng.choice(list(TIERS), p=list(TIERS.values())))
            self.mine = self.now if self.tier is not None else None
            self.is_hit = True
            self.pods = {name: f"{name}-{self.rng.integers(0, 3)}" for name in ("front", "cart", "stock", "ledger")}
            self.component(TREE, None, begin + k * every_ms * MS)
        return TraceSet.from_spans(pd.DataFrame(self.rows))

    def append(self, name, *rest):
        super().append(name, *rest)
        is_new = self.release and name == self.service and self.number_of_request >= self.first
        root = self.rows[-1]["parent_span_id"] is None
        self.rows[-1]["service_version"] = "1.1.0" if is_new else "1.0.0"
        self.rows[-1]["attributes.app.customer.tier"] = self.now if root else None


TREE = (
    "front",
    "GET /",
    5,
    (
        ("cart", "GET /cart", 4, (("ledger", "GET /entries", 6, ()), ("pricing", "POST /quotes", 2, ()))),
        ("stock", "GET /stock", 3, (("ledger", "GET /entries", 6, ()), ("mail", "POST /mail", 2, ()))),
    ),
)


def incident(rng, kind, *, n=400, baseline=400, tier=None, release=True):
    """A healthy baseline, the current traces, and the time at which the fault begins."""
    fault, service, size = FAULTS[kind]
    first = int(n * rng.uniform(*AFTER))
    before = Tiered(rng, bursts=0.1).traces(baseline)
    now = Tiered(rng, fault, service, size=size, tier=tier, release=release, first=first, bursts=0.1)
    begin = EPOCH + HOUR
    return before.with_weights(1), now.traces(n, begin=begin).with_weights(1), begin + first * 1000 * MS


def quiet(rng, *, n=400, bursts=0.2, offsets=None, release=False):
    """Two healthy recordings of one shop: load that varies, clocks that differ, a release that changes nothing."""
    before = Tiered(rng, bursts=bursts, offsets=offsets).traces(n)
    now = Tiered(rng, "", "ledger", bursts=bursts, offsets=offsets, release=release).traces(n, begin=EPOCH + HOUR)
    return before.with_weights(1), now.with_weights(1)


class Waves(Tiered):
    """Load that rises and falls by 30% every 100 requests, the first of which is anywhere in a wave."""

    def traces(self, n, **options):
        self.phase = self.rng.integers(0, 100)
        return super().traces(n, **options)

    def took(self, mean, factor=1.0):
        wave = 1 + 0.3 * np.sin(2 * np.pi * (self.number_of_request + self.phase) / 100)
        return super().took(mean, factor * wave)


def twice_the_traffic(rng):
    """Two healthy recordings of which the second has twice as many requests in the same time, none of them slower."""
    before = Tiered(rng, bursts=0.2).traces(200, every_ms=2000)
    return before.with_weights(1), Tiered(rng, bursts=0.2).traces(400, begin=EPOCH + HOUR).with_weights(1)


def waves(rng):
    """Two healthy recordings of four waves of load each."""
    before, now = Waves(rng, bursts=0.1).traces(400), Waves(rng, bursts=0.1).traces(400, begin=EPOCH + HOUR)
    return before.with_weights(1), now.with_weights(1)
