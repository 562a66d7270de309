"""Calibration through the public functions: limits of rates and quantiles under ten ways of sampling.

Every service of a recording, or every step of a timeline, is a replication of its own, so one call answers for many.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from calibration import Row, Table
from checks.sampling.simulators import EPOCH_NS, classic_reservoir

from tracekit import TraceSet
from tracekit.analysis.errors import errors
from tracekit.analysis.latency import latency
from tracekit.analysis.service_graph.build import service_graph
from tracekit.analysis.timeline.compute import timeline
from tracekit.stats.second_reservoir import SECOND_NS, order_probabilities

SPANS = 300_000  # of one recording
DRAWN = 2_000_000  # requests at once
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
SIZES = {30: 1, 300: 1, 2000: 2, 8000: 8}  # kept requests, and by how much there are fewer replications
FEW = 50  # replications from which larger samples are drawn for every design
RATE = 0.01
TWO_SIDED = ("equal", "head 5 %")  # where weights are equal, limits are not too wide, up to the width of a bucket


def requests(rng, n):
    """1 % fail and take four times as long, 3 % have an exponential tail; in ms."""
    failed = rng.random(n) < RATE
    slow = np.where(rng.random(n) < 0.03, rng.exponential(900, n), 0)
    return failed, np.exp(rng.normal(4.2, 0.8, n)) * np.where(failed, 4, 1) + slow


def slow_or_failed(limit):
    return lambda _, failed, took: (failed | (took > limit)).astype(int)


def nothing(_, failed, __):
    return np.zeros(len(failed), int)


def latency_steps(_, __, took):
    return np.clip(20 + np.round(2 * np.log2(took / 3000)), 0, 20).astype(int)


def by_rules(rng, failed, took):
    return np.where(failed, 5, np.where(took > 500, 4, rng.integers(0, 4, len(failed))))


DESIGNS = {  # which stratum a request belongs to, and the probability of each
    "equal": (nothing, [1.0]),
    "head 5 %": (nothing, [0.05]),
    "errors and slow, rest 5 %": (slow_or_failed(1000), [0.05, 1.0]),
    "PPS by latency": (latency_steps, 2.0 ** (np.arange(-20, 1) / 2)),
    "weights 1..64, unrelated": (lambda rng, failed, _: rng.integers(0, 7, len(failed)), 0.5 ** np.arange(7)),
    "weights 1..64, slow are heavy": (
        lambda _, __, took: np.clip(np.round(np.log2(took / 15)), 0, 6).astype(int),
        0.5 ** np.arange(7),
    ),
    "10 % at 1, rest 1 %": (lambda rng, failed, _: (rng.random(len(failed)) < 0.1).astype(int), [0.01, 1.0]),
    "slow or failed 2 %, rest 30 %": (slow_or_failed(500), [0.3, 0.02]),
    "slow or failed 5 %, rest 20 %": (slow_or_failed(500), [0.2, 0.05]),
    "two stages": (lambda _, failed, took: failed + 2 * (took > 500), np.outer([0.1, 1.0], [0.25, 0.5]).ravel()),
    "tail by rules": (by_rules, [0.02, 0.05, 0.1, 0.3, 0.5, 1.0]),
}
RARE = {"slow or failed 2 %, rest 30 %", "slow or failed 5 %, rest 20 %"}  # the second stratum may leave no trace


class Sample(NamedTuple):
    """Kept requests of several replications; ``hidden`` says of which a rare stratum left no trace."""

    replication: np.ndarray
    weight: np.ndarray
    failed: np.ndarray
    took_ms: np.ndarray
    hidden: np.ndarray


def sampled(rng, design, n, replications):
    """About n kept requests for each replication."""
    strata, rates = DESIGNS[design]
    rates = np.asarray(rates)
    people = round(n / rates[strata(rng, *requests(rng, 100_000))].mean())
    parts, hidden = [], np.zeros(replications, bool)
    for first in range(0, replications, size := max(1, DRAWN // people)):
        count = min(size, replications - first)
        failed, took = requests(rng, people * count)
        stratum = strata(rng, failed, took)
        chosen = np.flatnonzero(rng.random(len(stratum)) < rates[stratum])
        own = first + chosen // people
        if design in RARE:
            hidden[first : first + count] = np.bincount(own - first, stratum[chosen] == 1, count) == 0
        parts.append((own, 1 / rates[stratum[chosen]], failed[chosen], took[chosen]))
    return Sample(*(np.concatenate(column) for column in zip(*parts, strict=True)), hidden)


def by_reservoir(rng, _, n, replications):
    """The first of each second and 5 % of the rest, at 2 a second and then at 20; weights by order."""
    seconds = max(2, round(n / 1.45))
    count = rng.poisson(np.tile(np.where(np.arange(seconds) < seconds // 2, 2, 20), replications))
    own = np.repeat(np.repeat(np.arange(replications), seconds), count)
    second = np.repeat(np.tile(np.arange(seconds), replications), count)
    start = EPOCH_NS + second * SECOND_NS + rng.integers(0, SECOND_NS, len(second))
    failed, took = requests(rng, len(own))
    chosen = np.flatnonzero(classic_reservoir(rng, start, own, 1, 0.05))
    pi = order_probabilities(start[chosen], own[chosen], 1, 0.05)
    return Sample(own[chosen], 1 / pi, failed[chosen], took[chosen], np.zeros(replications, bool))


def recording(sample, first, last):
    """Some replications as one set of traces: a service and a second of time for each."""
    mine = (sample.replication >= first) & (sample.replication < last)
    own = sample.replication[mine]
    start = EPOCH_NS + (own - first) * SECOND_NS
    frame = pd.DataFrame(
        {
            "trace_id": [f"{at + 1:032x}" for at in range(len(own))],
            "span_id": "1",
            "service_name": pd.Categorical.from_codes(own - first, [f"{at:06d}" for at in range(last - first)]),
            "name": "GET /",
            "kind": "SERVER",
            "start_ns": start,
            "end_ns": start + np.maximum(sample.took_ms[mine] * 1e6, 1).astype(np.int64),
            "status_code": np.where(sample.failed[mine], "ERROR", "OK"),
        }
    )
    return TraceSet.from_spans(frame).with_weights(sample.weight[mine])


def limits(sample, n):
    """The table of ``latency`` by replication, and whether errors, timeline and service graph give the same limits."""
    tables, same = [], True
    replications, size = len(sample.hidden), max(1, SPANS // n)
    for first in range(0, replications, size):
        last = min(first + size, replications)
        traces = recording(sample, first, last)
        table = latency(traces, "service_name").table.sort_values("service_name")
        names = ["error_ratio_low", "error_ratio_high", *(f"{p}_{end}_ns" for p in SHARES for end in ("low", "high"))]
        wanted = table[names].to_numpy()
        steps = timeline(traces, step_s=1).table.query("trace_count > 0")
        failed = errors(traces).operations.sort_values("service_name")[["error_ratio_low", "error_ratio_high"]]
        nodes = service_graph(traces).services.sort_values("service_name")
        same &= np.allclose(steps[names], wanted, equal_nan=True) and np.allclose(nodes[names], wanted, equal_nan=True)
        same &= np.allclose(failed, wanted[:, :2], equal_nan=True)
        tables.append(table.assign(replication=first + table["service_name"].astype(int)))
    return pd.concat(tables).set_index("replication"), same


def truths():
    """Error rate and quantiles in ns of a million requests."""
    took = requests(np.random.default_rng(99), 4_000_000)[1]
    return {"error_ratio": RATE} | {name: 1e6 * np.quantile(took, share) for name, share in SHARES.items()}


def public_limits(rng, repeats):
    """Limits of latency, errors, timeline and service graph in eleven designs, from 30 to 8,000 kept requests."""
    truth = truths()
    for design in [*DESIGNS, "reservoir and 5 %"]:
        for n, fewer in SIZES.items():
            if repeats // fewer < FEW and n > 300 and not (design in RARE and n == 2000):
                continue
            draw = sampled if design in DESIGNS else by_reservoir
            sample = draw(rng, design, n, repeats // fewer)
            table, same = limits(sample, n)
            yield Row(f"{design}, {n}: errors, timeline, graph as latency", int(same), 1, 1.0, 1.0)
            table = table[~sample.hidden[table.index]]
            for name, right in truth.items():
                end = "" if name == "error_ratio" else "_ns"
                low, high = (table[f"{name}_{side}{end}"].to_numpy() for side in ("low", "high"))
                refused, one_sided = np.isnan(low) & np.isnan(high), np.isnan(low) ^ np.isnan(high)
                held = ~((low > right) | (high < right))[~refused]
                most = 0.985 if design in TWO_SIDED and name == "p50" and n == 300 else 1.0
                note = (
                    f"refused {refused.mean():.0%}, one side {one_sided.mean():.0%}, hidden {sample.hidden.mean():.0%}"
                )
                if len(held):
                    yield Row(f"{design}, {n}: {name}", int(held.sum()), len(held), 0.94, most, note)


TABLES = (Table(public_limits, 71, 20),)
