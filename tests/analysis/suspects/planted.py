"""A simulated shop with one planted fault: the culprit is known.

front calls cart and stock, cart calls ledger and pricing, stock calls ledger and mail: ledger has two callers, cart and
stock have two callees.
"""

import numpy as np
import pandas as pd

from tracekit import TraceSet

MS = 1_000_000
STRETCH = 20  # requests that a burst lasts
EPOCH = 1_747_231_200_000_000_000
LEDGER = ("ledger", "GET /entries", 6, ())
TREE = (
    "front",
    "GET /",
    5,
    (
        ("cart", "GET /cart", 4, (LEDGER, ("pricing", "POST /quotes", 2, ()))),
        ("stock", "GET /stock", 3, (LEDGER, ("mail", "POST /mail", 2, ()))),
    ),
)
FAULTS = (
    "own",
    "way in",
    "way out",
    "starved",
    "early return",
    "unanswered",
    "failing",
    "unanswered failing",
    "more calls",
)


class Shop:
    """Spans of requests, one after another, a share of them with a fault at a service.

    ``size`` multiplies its delays; ``bursts`` is by how much (log) the load of a stretch of requests varies.
    """

    def __init__(self, rng, fault="", service="", *, share=1.0, size=1, instance=None, offsets=None, bursts=0.0):
        self.rng, self.fault, self.service, self.share, self.size = rng, fault, service, share, size
        self.instance, self.offsets, self.bursts = instance, offsets or {}, bursts
        self.rows = []

    def traces(self, n, *, begin=EPOCH):
        """Return the traces of so many requests, one a second."""
        for k in range(n):
            self.trace_id = self.rng.bytes(16).hex()
            self.number = 0
            if k % STRETCH == 0:
                self.load = float(np.exp(self.rng.normal(0, self.bursts)))
            self.is_hit = self.rng.random() < self.share
            self.pods = {name: f"{name}-{self.rng.integers(0, 3)}" for name in ("front", "cart", "stock", "ledger")}
            self.component(TREE, None, begin + k * 1000 * MS)
        return TraceSet.from_spans(pd.DataFrame(self.rows))

    def at(self, name, *faults):
        """Return whether this request has one of these faults at this service."""
        is_there = self.instance is None or self.pods.get(name) == self.instance
        return self.is_hit and is_there and name == self.service and self.fault in faults

    def took(self, mean, factor=1.0):
        return int(mean * factor * self.load * self.rng.lognormal(0, 0.4) * MS)

    def component(self, node, parent, start):
        """Append a service's spans; return its end, and whether it failed."""
        name, operation, mean, children = node
        mine, now = self.span_id(), start + self.took(mean / 2, 1 + 3 * self.size * self.at(name, "own", "starved"))
        failed = self.at(name, "failing")
        if not self.at(name, "early return", "failing"):
            for child in children:
                for _ in range(5 if self.at(name, "more calls") else 1):
                    now, child_failed = self.call(name, child, mine, now)
                    failed |= child_failed
        now += self.took(mean / 2)
        self.append(name, operation, "SERVER", mine, parent, start, now, failed)
        return now, failed

    def call(self, name, child, parent, start):
        """Append a client span and what it calls; return its end, and whether it failed."""
        mine, failed = self.span_id(), False
        callee = child[0]
        there = self.took(0.5) + self.took(10 * self.size) * (
            self.at(name, "way out", "starved") or self.at(callee, "starved")
        )
        if self.at(callee, "unanswered", "unanswered failing"):
            now, failed = start + there + 2 * MS, self.fault == "unanswered failing"
        else:
            now, failed = self.component(child, mine, start + there)
        now += self.took(0.5) + self.took(10 * self.size) * self.at(callee, "way in")
        self.append(name, f"call {callee}", "CLIENT", mine, parent, start, now, failed)
        return now, failed

    def span_id(self):
        self.number += 1
        return f"{self.number:x}"

    def append(self, name, operation, kind, span_id, parent, start, end, failed):
        shift = self.offsets.get(name, 0)
        self.rows.append(
            {
                "trace_id": self.trace_id,
                "span_id": span_id,
                "parent_span_id": parent,
                "service_name": name,
                "name": operation,
                "kind": kind,
                "start_ns": start + shift,
                "end_ns": end + shift,
                "status_code": "ERROR" if failed else "UNSET",
                "k8s_pod_name": self.pods.get(name),
            }
        )


def sides(fault="", service="", *, seed=1, baseline=150, current=60, **options):
    """Return a healthy baseline, and current traces with a fault."""
    rng = np.random.default_rng(seed)
    later = EPOCH + 3_600_000 * MS
    return Shop(rng).traces(baseline), Shop(rng, fault, service, **options).traces(current, begin=later)
