"""One large trace: twelve services, six attributes a span, calls nested in time, one in a hundred fails."""

import numpy as np
import pandas as pd

from tracekit import TraceSet

SERVICES = ["frontend", "cart", "checkout", "currency", "payment", "shipping", "email", "catalog", "recommendation"]
SERVICES += ["ads", "inventory", "auth"]
OPERATIONS = ["GET /items", "POST /items", "SELECT items", "UPDATE items", "publish", "render"]
KEYS = ["http.status_code", "db.system", "host.name", "thread.id", "net.peer.ip", "k8s.pod"]
BEGIN = 1_747_231_200_000_000_000


def large_trace(n, seed=0):
    """A trace of n spans, none deeper than about twenty."""
    random = np.random.default_rng(seed)
    parent = np.maximum(0, (np.arange(n) * random.uniform(0.3, 1.0, n)).astype(np.int64) - 1)
    start, took = np.zeros(n), np.full(n, 2e9)
    into, part = random.uniform(0, 0.6, n), random.uniform(0.05, 0.4, n)
    for i in range(1, n):
        start[i] = start[parent[i]] + into[i] * took[parent[i]]
        took[i] = max(800.0 + i % 1000, part[i] * took[parent[i]])
    ids = [f"{number:016x}" for number in random.integers(1, 2**63, n)]
    frame = pd.DataFrame(
        {
            "trace_id": f"{0xA1:032x}",
            "span_id": ids,
            "parent_span_id": [None, *(ids[k] for k in parent[1:])],
            "service_name": np.array(SERVICES)[random.integers(len(SERVICES), size=n)],
            "name": np.array(OPERATIONS)[random.integers(len(OPERATIONS), size=n)],
            "kind": "SERVER",
            "start_ns": BEGIN + start.astype(np.int64),
            "end_ns": BEGIN + (start + took).astype(np.int64),
            "status_code": np.where(random.random(n) < 0.01, "ERROR", "UNSET"),
        }
    )
    values = np.array([f"value-{k}" for k in range(400)])
    attributes = {f"attributes.{key}": values[random.integers(400, size=n)] for key in KEYS}
    return TraceSet.from_spans(frame.assign(**attributes))


def chain(n):
    """Each span the only child of the one before."""
    ids = [f"{k + 1:016x}" for k in range(n)]
    frame = pd.DataFrame({"trace_id": "a1", "span_id": ids, "parent_span_id": [None, *ids[:-1]], "name": "step"})
    return TraceSet.from_spans(frame.assign(service_name="deep", start_ns=np.arange(n), end_ns=2 * n - np.arange(n)))
