"""Worlds of requests of which an adversary loses some: traces, request counts, and the truth of every claim."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

import tracekit as tk

START, MINUTE, MS = 1_764_000_000_000_000_000, 60_000_000_000, 1_000_000
ENDPOINTS = (
    ("shop", "POST", "/checkout"),
    ("shop", "GET", "/checkout"),
    ("api", "GET", "/items"),
    ("api", "POST", "/items"),  # without requests: nobody who sees counts of routes only knows
)
NAMES = [(None, f"{method} {route}", f"{service} {method} {route}") for service, method, route in ENDPOINTS]
PLACES = (None, "POST /checkout", "shop POST /checkout", "GET /items")
LONG_MS = 400


@dataclass(frozen=True)
class World:
    """All requests, and what became of their traces."""

    endpoint: np.ndarray
    window: np.ndarray
    took_ns: np.ndarray
    failed: np.ndarray
    is_5xx: np.ndarray
    is_kept: np.ndarray
    is_rootless: np.ndarray
    is_unfinished: np.ndarray

    def __len__(self):
        return len(self.endpoint)

    def labels(self):
        """One row per request: what it is counted by."""
        service, method, route = np.array(ENDPOINTS, object)[self.endpoint].T
        time = pd.to_datetime(START + self.window * MINUTE, utc=True)
        status = np.where(self.is_5xx, "5xx", "2xx")
        return pd.DataFrame({"time": time, "service": service, "route": route, "method": method, "status": status})

    def counts(self, *by):
        """Request counts by some columns."""
        labels = self.labels()
        table = labels.groupby(list(by)).size().rename("count").reset_index() if by else None
        table = pd.DataFrame({"count": [len(self)]}) if table is None else table
        return table.assign(end=table["time"] + pd.Timedelta(minutes=1)) if "time" in by else table

    def traces(self):
        """The traces that are left: a root and a call within it."""
        n = np.arange(len(self))
        labels, start = self.labels(), START + self.window * MINUTE + n * MS
        one = {"trace_id": [f"{k + 1:032x}" for k in n], "start_ns": start}
        root = pd.DataFrame(one).assign(
            span_id=[f"{2 * k + 1:016x}" for k in n], service_name=labels["service"], kind="SERVER",
            name=labels["method"] + " " + labels["route"], end_ns=pd.array(start + self.took_ns, "Int64"),
            status_code=np.where(self.failed, "ERROR", "UNSET"),
        )  # fmt: skip
        root["attributes.http.route"], root["attributes.http.request.method"] = labels["route"], labels["method"]
        root["attributes.http.response.status_code"] = np.where(self.is_5xx, "503", "200")
        root.loc[self.is_unfinished, "end_ns"] = pd.NA
        call = pd.DataFrame(one).assign(
            span_id=[f"{2 * k + 2:016x}" for k in n], parent_span_id=root["span_id"], service_name="ledger",
            name="SELECT", kind="CLIENT", end_ns=pd.array(start + self.took_ns // 2, "Int64"),
        )  # fmt: skip
        return tk.TraceSet.from_spans(pd.concat([root[self.is_kept & ~self.is_rootless], call[self.is_kept]]))

    def truth(self, claim):
        """The figure of all requests."""
        own = np.array([claim.place in names for names in NAMES])[self.endpoint]
        took, failed = np.sort(self.took_ns[own]), self.failed[own]
        if not own.any():
            return np.nan
        if claim.metric == "quantile":
            return float(took[max(int(np.ceil(claim.share * len(took) * (1 - 1e-12))) - 1, 0)])
        slower = took > (claim.limit_ns or 0)
        return {"mean": took, "failed": failed, "slower": slower}[claim.metric].mean()


def complete(rng, n, *, only_5xx):
    """Requests of which no trace is lost; failures have status 5xx, or some of them have not."""
    endpoint, window = rng.choice(3, n, p=[0.3, 0.2, 0.5]), rng.integers(0, 6, n)
    took = (50 * MS * rng.lognormal(0, 1, n) * (1 + 2 * (endpoint == 0))).astype(np.int64)
    failed = rng.random(n) < np.where(endpoint == 0, 0.1, 0.02) * (1 + 3 * (took > LONG_MS * MS))
    is_5xx = failed & (rng.random(n) < (1.0 if only_5xx else 0.5))
    no = np.zeros(n, bool)
    return World(endpoint, window, took, failed, is_5xx, ~no, no, no)


def lose(rng, world, score, share):
    """Lose the requests with the highest score."""
    order = np.argsort(-(score + 1e-9 * rng.random(len(world))), kind="stable")
    return replace(world, is_kept=~np.isin(np.arange(len(world)), order[: int(share * len(world))]))


def tail(rng, world):
    """Keep every failed and every slow request, and one in twenty of the others."""
    keeps = world.failed | (world.took_ns > LONG_MS * MS)
    return replace(world, is_kept=keeps | (rng.random(len(world)) < 0.05))


def broken(rng, world, score, share):
    """Record some requests without a root span or without its end."""
    is_broken = ~lose(rng, world, score, share).is_kept
    half = rng.random(len(world)) < 0.5
    return replace(world, is_rootless=is_broken & half, is_unfinished=is_broken & ~half)


ADVERSARIES = {
    "at random": lambda rng, world, share: lose(rng, world, rng.random(len(world)), share),
    "the slowest": lambda rng, world, share: lose(rng, world, world.took_ns / 1e12, share),
    "the fastest": lambda rng, world, share: lose(rng, world, -world.took_ns / 1e12, share),
    "failed ones": lambda rng, world, share: lose(rng, world, world.failed * 1.0, share),
    "successful ones": lambda rng, world, share: lose(rng, world, ~world.failed * 1.0, share),
    "one endpoint": lambda rng, world, share: lose(rng, world, (world.endpoint == rng.integers(0, 3)) * 1.0, share),
    "two minutes": lambda rng, world, share: lose(rng, world, -np.abs(world.window - rng.integers(0, 5) - 0.5), share),
    "head sampling": lambda rng, world, share: replace(world, is_kept=rng.random(len(world)) > share),
    "tail sampling": lambda rng, world, _: tail(rng, world),
    "tail sampling, then two minutes and root spans": lambda rng, world, share: broken(
        rng, replace(kept := tail(rng, world), is_kept=kept.is_kept & (world.window // 2 != 1)),
        world.failed + world.took_ns / 1e12, share / 4,
    ),
    "root spans, ends": lambda rng, world, share: broken(rng, world, world.took_ns / 1e12, share),
    "all of it": lambda rng, world, share: broken(
        rng, lose(rng, world, world.failed + world.took_ns / 1e12 + (world.window == 2), share / 2),
        rng.random(len(world)), 0.1,
    ),
}  # fmt: skip
KNOWN = (
    [()],
    [("time",)],
    [("route",)],
    [("service", "route", "method")],
    [("time", "route")],
    [("route", "status")],
    [("time", "service", "route", "method", "status")],
    [("time", "route"), ("time", "status")],
    [("route", "method"), ("status",), ("time",)],
    [("time", "route"), ("time", "status"), ("route", "status")],
)


def knowledge(rng, world, name, *, only_5xx):
    """Arguments of ``tk.bounds`` that are true of the world."""
    given = KNOWN[rng.integers(len(KNOWN))]
    said = {"requests": [world.counts(*by) for by in given]}
    if rng.random() < 0.5:
        said["longest_ms"] = float(np.ceil(world.took_ns.max() / MS))
    has_windows = any("time" in by for by in given)  # without them, nothing says that the sampler was not there
    if name.startswith("tail sampling") and (has_windows or name == "tail sampling") and rng.random() < 0.7:
        said["always_recorded"] = ["failed", f"slower than {LONG_MS} ms"]
    if only_5xx and any("status" in by for by in given) and rng.random() < 0.5:
        said["only_5xx_failed"] = True
    if rng.random() < 0.5:
        said["ends_last"] = True
    return said


def claim_text(rng):
    """A figure of all requests, or of an endpoint."""
    place = PLACES[rng.integers(len(PLACES))]
    of = f" of {place}" if place else ""
    return rng.choice([f"p50{of}", f"p90{of}", f"p99{of}", f"mean{of}", f"error rate{of}", f"slower than 200 ms{of}"])
