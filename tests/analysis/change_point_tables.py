"""How often a change over time is claimed: without one, for smooth and correlated load, and where one was planted."""

from collections import Counter

import numpy as np
import pandas as pd
from calibration import Row, Table, count
from checks.healthy_worlds import WEIGHTED, healthy
from checks.quality.clean_worlds import CASES

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks.case import Case
from tracekit.checks.changes.over_time import over_time

EPOCH, SECOND, LENGTH = 1_700_000_000_000_000_000, 1_000_000_000, 1200  # LENGTH in s
PHASES = np.arange(LENGTH) / LENGTH
WORLDS = [case for case in CASES if case not in {"no trace", "one trace", "two traces", "five traces"}]
SMOOTH = {
    "load doubles slowly": (1 + PHASES, 0),
    "load rises and falls": (0.2 + np.sin(np.pi * PHASES), 0),
    "load of a day": (1 + 0.8 * np.sin(2 * np.pi * PHASES), 0),
    "load of a day, latency follows": (1 + 0.8 * np.sin(2 * np.pi * PHASES), 0.5 * np.sin(2 * np.pi * PHASES)),
    "load of three days": (1 + 0.8 * np.sin(6 * np.pi * PHASES), 0),
}
SLOW = 60  # s, correlation time of a load or latency that wanders


def requests(at, took, failed):
    """Requests of one service."""
    start = EPOCH + (at * SECOND).astype(np.int64)
    frame = pd.DataFrame({"trace_id": [f"{k + 1:032x}" for k in range(len(at))], "span_id": "1", "name": "GET /"})
    frame = frame.assign(service_name="web", start_ns=start, end_ns=start + took.astype(np.int64))
    return TraceSet.from_spans(frame.assign(status_code=np.where(failed, "ERROR", "OK")))


def traffic(rng, load, n):
    """Start times of about n requests, with the load of each second."""
    by_second = rng.poisson(np.broadcast_to(load, LENGTH) / np.sum(np.broadcast_to(load, LENGTH)) * n)
    return np.sort(np.repeat(np.arange(LENGTH), by_second) + rng.random(by_second.sum()))


def wandering(rng, seconds):
    """A stationary level of variance 1 with this correlation time, by second."""
    keep = np.exp(-1 / seconds)
    step = np.sqrt(1 - keep**2) * rng.normal(size=LENGTH)
    step[0] = rng.normal()
    for at in range(1, LENGTH):
        step[at] += keep * step[at - 1]
    return step


def of_load(rng, load, level=0.0, failing=0.02, n=1000):
    """A recording with a load, a logarithm of the latency, and an error rate, each by second."""
    at = traffic(rng, load, n)
    second = at.astype(int)
    level, failing = (np.broadcast_to(each, LENGTH)[second] for each in (level, failing))
    return requests(at, rng.lognormal(17, 0.5, len(at)) * np.exp(level), rng.random(len(at)) < failing)


def autoscaled(rng, slower, n=1000):
    """Load of a day; instances follow it a minute late, and requests are slower where there are too few."""
    load = 1 + 0.8 * np.sin(2 * np.pi * (PHASES + rng.random()))
    instances = np.maximum(1, np.roll(np.ceil(load * 3), 60) / 3)
    return of_load(rng, load, slower * np.maximum(0, load / instances - 0.7), n=n)


def queued(rng, busy, n=1000):
    """Requests that wait for one server that is busy for this share of the time."""
    at = traffic(rng, 1.0, n)
    served = rng.exponential(busy * LENGTH / len(at), len(at))
    waited = np.zeros(len(at))
    for k in range(1, len(at)):
        waited[k] = max(0.0, waited[k - 1] + served[k - 1] - (at[k] - at[k - 1]))
    return requests(at, (waited + served) * SECOND, rng.random(len(at)) < 0.02)


def claims(recordings):
    """Whether anything changed and whether the report warns, by recording; and what changed."""
    changed, warned, which = [], [], Counter()
    for traces in recordings:
        metrics = set(tk.timeline(traces).changes["metric"])
        which.update(metrics)
        changed.append(bool(metrics))
        warned.append(any(finding.severity == "warning" for finding in over_time(Case(traces))))
    return changed, warned, ", ".join(f"{metric}: {n}" for metric, n in which.items())


def healthy_over_time(rng, repeats):
    """Healthy recordings: any change, and any warning."""
    worlds = {
        "healthy systems in turn": lambda k: healthy(rng, WORLDS[k % len(WORLDS)], (None, 600, 1500)[k % 3])[0],
        "known weights in turn": lambda k: [*WEIGHTED.values()][k % len(WEIGHTED)](rng, 500),
        "smooth load in turn": lambda k: of_load(rng, *[*SMOOTH.values()][k % len(SMOOTH)]),
        "load that wanders": lambda _: of_load(rng, np.exp(0.3 * wandering(rng, SLOW))),
        "latency that wanders": lambda _: of_load(rng, 1.0, 0.3 * wandering(rng, SLOW)),
        "error rate that wanders": lambda _: of_load(rng, 1.0, 0, 0.03 * np.exp(0.5 * wandering(rng, SLOW))),
        "autoscaled, up to 30 % slower": lambda _: autoscaled(rng, 0.5),
        "5,000 requests, 0.5 % fail": lambda _: of_load(rng, 1.0, 0, 0.005, 5000),
        "250 requests, 10 % fail": lambda _: of_load(rng, 1.0, 0, 0.1, 250),
    }
    for name, make in worlds.items():
        changed, warned, which = claims(make(k) for k in range(repeats))
        yield Row(f"{name}: any change", *count(changed), 0.0, 0.05, which)
        yield Row(f"{name}: any warning", *count(warned), 0.0, 0.025)


def congestions_over_time(rng, repeats):
    """Systems without a fault that are congested for a while, which is called a change more often."""
    worlds = {f"one server, busy {busy:.0%} of the time": (queued, busy) for busy in (0.4, 0.6, 0.8)}
    worlds["autoscaled, up to 70 % slower"] = autoscaled, 1.0
    for name, (make, size) in worlds.items():
        changed, warned, which = claims(make(rng, size) for _ in range(repeats))
        yield Row(f"{name}: any change", *count(changed), 0.0, 0.12, which)
        yield Row(f"{name}: any warning", *count(warned), 0.0, 0.12)


def planted(rng, what, *, n=1000, noise=0.0, until=None):
    """A recording in which latency, errors or load change for a fifth of the time, or until the end; and both edges."""
    began = rng.integers(LENGTH // 6, LENGTH // 2)
    ended = began + LENGTH // 5 if until is None else until
    during = (np.arange(LENGTH) >= began) & (np.arange(LENGTH) < ended)
    level = noise * wandering(rng, SLOW) if noise else np.zeros(LENGTH)
    load, slow, failing = np.ones(LENGTH), np.zeros(LENGTH), np.full(LENGTH, 0.02)
    if what == "latency":
        slow = level + np.log(2) * during
    elif what == "error_rate":
        failing = np.where(during, 0.2, 0.02) * np.exp(level)
    else:
        load, n = np.where(during, 2.5, 1) * np.exp(level), n * 3 // 2
    return of_load(rng, load, slow, failing, n), began, ended


def changes_over_time(rng, repeats):
    """Planted steps, for a fifth of the time: found, and the edges inside their 95 % intervals."""
    cases = [(what, noise, 0.9) for what, noise in (("latency", 0), ("error_rate", 0), ("request_rate", 0))]
    cases += [("latency", 0.1, 0.8), ("error_rate", 0.3, 0.8), ("request_rate", 0.2, 0.6)]
    for what, noise, least in cases:
        found, inside = [], {"onset": [], "recovery": []}
        for _ in range(repeats):
            traces, *edges = planted(rng, what, noise=noise)
            rows = tk.timeline(traces).changes
            rows = rows[rows["metric"] == what].set_index("kind")
            found.append(len(rows) > 0)
            for kind, second in zip(inside, edges, strict=True):
                if kind in rows.index:
                    low, high = rows.loc[kind, ["low_ns", "high_ns"]]
                    inside[kind].append(low - SECOND < EPOCH + second * SECOND < high + SECOND)
        words = f"{what}{f', and wanders by {noise:.0%}' if noise else ''}"
        yield Row(f"{words}: found", *count(found), least, 1.0)
        for kind, hits in inside.items():
            yield Row(f"{words}: {kind} covered", *count(hits), 0.94, 1.0)


TABLES = (
    Table(healthy_over_time, 4801, 4),
    Table(congestions_over_time, 4802, 4),
    Table(changes_over_time, 4803, 4),
)
