"""Calibration of means: through ``by``, ``bands``, ``compare`` and ``what_if``, and of the engine behind them.

A class of requests that left no trace cannot be allowed for: of the designs in ``RARE``, samples without any trace of
a class do not count, and the note says how many there were ("hidden").
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from calibration import FULL, Row, Table, count

from tracekit import TraceSet, critical_path
from tracekit.stats.influences import Denominator, influence
from tracekit.stats.weighted_means import mean_limits

SIZES = {30: 1, 60: 1, 100: 1, 300: 1, 1000: 1, 3000: 2, 8000: 4}  # kept, and how many times fewer replications
PATH_SIZES = (300, 2000)
FEW = 0.2  # answered less often, limits that are given are those of unusual samples
BANDS = [(0.0, 0.5), (0.75, 1.0)]
SERVICES = ("web", "cart", "ledger", "cache")


class Requests(NamedTuple):
    """Requests of three endpoints: self times of four services, of which each endpoint calls some."""

    endpoint: np.ndarray
    own_ms: np.ndarray
    failed: np.ndarray

    @property
    def took_ms(self):
        """Latency of each."""
        return self.own_ms.sum(axis=1)


def requests(rng, n, *, slower_ms=0.0):
    """Log-normal self times; 3 % fail and wait three times as long for the ledger; so much slower is the ledger."""
    endpoint, failed = rng.integers(0, 3, n), rng.random(n) < 0.03
    own = np.exp(rng.normal([3.0, 2.5, 3.2, 1.5], [0.4, 0.8, 0.8, 1.0], (n, 4)))
    own[:, 2] = (own[:, 2] * np.where(failed, 3, 1) + slower_ms) * (endpoint == 0)
    own[:, 3] *= rng.random(n) < 0.1
    return Requests(endpoint, own, failed)


def path_of(world):
    """The critical paths of requests that call one service after the other."""
    own = (world.own_ms * 1e6).astype(np.int64)
    end, n = own.cumsum(axis=1), len(own)
    trace_ids = np.array([f"{at + 1:x}" for at in range(n)], object)
    root = {"trace_id": trace_ids, "span_id": "1", "service_name": "web", "start_ns": 0, "end_ns": end[:, -1]}
    row, service = np.nonzero(own[:, 1:])
    calls = {
        "trace_id": trace_ids[row],
        "span_id": (service + 2).astype(str),
        "parent_span_id": "1",
        "service_name": np.array(SERVICES, object)[service + 1],
        "start_ns": end[row, service],
        "end_ns": end[row, service + 1],
    }
    frame = pd.concat([pd.DataFrame(root), pd.DataFrame(calls)])
    name = np.array(["GET /cart", "GET /list", "GET /item"], object)[world.endpoint]
    frame["name"] = np.concatenate((name, np.full(len(row), "call", object)))
    return critical_path(TraceSet.from_spans(frame), skew="off")


def slow_or_failed(world, kept, others):
    """Failed requests and the slowest 7 %, and the others."""
    return np.where(world.failed | (world.took_ms > np.quantile(world.took_ms, 0.93)), kept, others)


def by_octave(world):
    """Weights 1 to 64, the slower the heavier."""
    return 0.5 ** np.clip(np.round(2 * np.log2(world.took_ms / 20)), 0, 6)


def reservoir(rng, world):
    """The first of every second, of 1 to 40 requests, and 5 % of the rest."""
    first = 1 / rng.integers(1, 41, len(world.failed))
    return first + (1 - first) * 0.05


DESIGNS = {
    "equal": lambda _, world: np.ones(len(world.failed)),
    "head 5 %": lambda _, world: np.full(len(world.failed), 0.05),
    "slow or failed 1, rest 5 %": lambda _, world: slow_or_failed(world, 1.0, 0.05),
    "by latency": lambda _, world: np.clip(world.took_ms / 500, 0.01, 1),
    "weights 1..64, slow heavy": lambda _, world: by_octave(world),
    "weights 1..64, unrelated": lambda rng, world: 0.5 ** rng.integers(0, 7, len(world.failed)),
    "10 % at 1, rest 1 %": lambda rng, world: np.where(rng.random(len(world.failed)) < 0.1, 1.0, 0.01),
    "slow or failed 5 %, rest 20 %": lambda _, world: slow_or_failed(world, 0.05, 0.2),
    "slow or failed 2 %, rest 30 %": lambda _, world: slow_or_failed(world, 0.02, 0.3),
    "two stages: 1 in 8, then slow or failed": lambda _, world: slow_or_failed(world, 1.0, 0.05) / 8,
    "reservoir and 5 %": reservoir,
    "rules: endpoints 1, 10 %, 1 %": lambda _, world: np.array([1.0, 0.1, 0.01])[world.endpoint],
}
RARE = {"slow or failed 5 %, rest 20 %", "slow or failed 2 %, rest 30 %", "rules: endpoints 1, 10 %, 1 %"}


def coverage(case, right, answered, hidden):
    """How often limits contain the truth or are refused, and how often they do where they are given."""
    if hidden.all():
        return
    right, answered = right[~hidden], answered[~hidden]
    note = f"{answered.mean():4.0%} answered, {hidden.mean():.0%} hidden"
    yield Row(case, *count(right | ~answered), 0.94, 0.985 if answered.all() else 1.0, note)
    if FEW <= answered.mean() < 1:
        yield Row(f"{case}, answered", *count(right[answered]), 0.94, 1.0)


def weighted_means(rng, repeats):
    """Limits of a mean latency under twelve designs, of 30 to 8,000 kept requests: covered, or not estimable."""
    world = requests(rng, 300_000)
    latency = world.took_ms
    truth = latency.mean()
    for name, design in DESIGNS.items():
        pi = design(rng, world)
        order = pi.cumsum()
        for n, fewer in SIZES.items():
            several = max(repeats // fewer, 1)
            low, high, hidden = np.full(several, np.nan), np.full(several, np.nan), np.zeros(several, bool)
            for at in range(several):
                chosen = np.searchsorted(order, rng.uniform(0, order[-1], rng.poisson(n)))
                w, took = 1 / pi[chosen], latency[chosen]
                zero = np.zeros(len(w), np.int64)
                moments = influence(zero, np.arange(len(w)), w * took, Denominator.of(w), 1).moments()
                low[at], high[at] = np.ravel(mean_limits(np.array([(w * took).sum() / w.sum()]), moments))
                hidden[at] = is_hidden(name, pi, w)
            yield from coverage(f"{name}: {n:,}", (low <= truth) & (truth <= high), ~np.isnan(low), hidden)


def is_hidden(name, pi, weights):
    """Whether a class of requests left no trace, of a design that keeps one of few classes seldom."""
    return name in RARE and len(np.unique(weights)) < len(np.unique(pi))


def kept(rng, path, pi, n, *, weights=True):
    """The paths of about n requests, kept with probabilities like these, with their weights."""
    pi = np.minimum(pi * min(n / pi.sum(), 1 / pi.max()), 1.0)
    chosen = rng.random(len(pi)) < pi
    ids = pd.Index(path.source.trace_ids, name="trace_id")
    some = path.source.where(pd.Series(chosen, index=ids))
    return critical_path(some.with_weights(1 / pi[chosen]) if weights else some, skew="off")


def in_order(path, world):
    """The requests in the order of the traces."""
    at = np.array([int(trace_id, 16) - 1 for trace_id in path.source.trace_ids])
    return Requests(*(column[at] for column in world))


def figures(path, other):
    """Every mean that has limits: name, value, low, high."""
    by = path.by("service_name").set_index("service_name")
    yield from ((f"by {name}", *by.loc[name, ["mean_ns", "mean_low_ns", "mean_high_ns"]]) for name in SERVICES[:3])
    bands = path.bands("service_name", BANDS, min_traces=1).table.set_index(["band", "service_name"])
    slow = bands.loc[("p75 to p100", "cart")]
    yield "band", *slow[["mean_ns", "mean_low_ns", "mean_high_ns"]]
    yield "excess", *slow[["excess_ns", "excess_low_ns", "excess_high_ns"]]
    change = path.compare(other, by="service_name")
    table = change.table.set_index("service_name")
    yield "change", change.change.value, change.change.low, change.change.high
    yield "change of ledger", *table.loc["ledger", ["change_ns", "change_low_ns", "change_high_ns"]]
    mean = path.what_if({"service_name == 'cart'": 0.5}).table.loc["mean"]
    yield "what if", *mean[["new_latency_ns", "new_low_ns", "new_high_ns"]]


def means_through_the_path(rng, repeats):
    """Limits of by, bands, compare and what_if under twelve designs; a tenth of the replications."""
    is_full = repeats >= FULL
    worlds = [requests(rng, 40_000 if is_full else 2500, slower_ms=more) for more in (0.0, 5.0)]
    paths = [path_of(world) for world in worlds]
    worlds = [in_order(*pair) for pair in zip(paths, worlds, strict=True)]
    truth = {name: value for name, value, *_ in figures(*paths)}
    for name, design in DESIGNS.items():
        for n in PATH_SIZES if is_full else PATH_SIZES[:1]:
            found, hidden = {what: [] for what in truth}, []
            for _ in range(max(repeats // 10, 1)):
                pis = [design(rng, world) for world in worlds]
                sides = [kept(rng, path, pi, n) for path, pi in zip(paths, pis, strict=True)]
                weights = [side.source.weights.value for side in sides]
                hidden.append(any(is_hidden(name, *pair) for pair in zip(pis, weights, strict=True)))
                for what, _, low, high in figures(*sides):
                    found[what].append((low, high))
            for what, limits in found.items():
                low, high = np.array(limits, float).T
                right = (low <= truth[what]) & (truth[what] <= high)
                yield from coverage(f"{name}: {n:,}: {what}", right, ~np.isnan(low), np.array(hidden))


def claims(change):
    """Whether a comparison claims anything."""
    return bool(change.is_significant or change.table["is_significant"].any())


def same_process(rng, repeats):
    """Some traces of a process compared with others of it: what claims a difference; a tenth of the replications."""
    path = path_of(requests(rng, 3000))
    ids = pd.Index(path.source.trace_ids, name="trace_id")
    pairs = [(n, 300) for n in (1, 2, 3, 5, 10, 15, 20, 50, 150, 300)] + [(n, 1000) for n in (1, 10, 20, 50, 500)]
    for few, many in pairs:
        false = []
        for at in range(max(repeats // 10, 1)):
            place = pd.Series(rng.permutation(len(ids)), index=ids)
            masks = [place < few, (place >= few) & (place < few + many)]
            sides = [critical_path(path.source.where(mask), skew="off") for mask in (masks if at % 2 else masks[::-1])]
            false.append(claims(sides[0].compare(sides[1], by=("service_name", "operation"))))
        yield Row(f"{few:,} and {many:,} traces", *count(false), 0.0, 0.05)


def differently_sampled(rng, repeats):
    """Two samples of one process, each by its own design, with weights and without; a tenth of the replications."""
    path = path_of(world := requests(rng, 4000))
    world, names = in_order(path, world), list(DESIGNS)
    pairs = [(names[0], name) for name in names[1:]] + [(names[2], names[3]), (names[2], names[9])]
    for weights in ((True, True), (True, False)):
        for pair in pairs if all(weights) else pairs[1:2]:
            false, hidden = [], 0
            for _ in range(max(repeats // 10, 1)):
                pis = [DESIGNS[name](rng, world) for name in pair]
                sides = [kept(rng, path, pi, 400, weights=known) for pi, known in zip(pis, weights, strict=True)]
                rows = zip(pair, pis, sides, strict=True)
                if all(weights) and any(is_hidden(name, pi, side.source.weights.value) for name, pi, side in rows):
                    hidden += 1
                else:
                    false.append(claims(sides[0].compare(sides[1])))
            known = "" if all(weights) else " without weights"
            yield Row(f"{' and '.join(pair)}{known}", *count(false), 0.0, 0.05, f"{hidden} more hidden")


def one_slower_operation(rng, repeats):
    """The ledger, which a third of the requests call, is slower: significant in the table; 1 in 20 replications."""
    for n in (1000, 250):
        for slower_ms, min_traces in ((25.0, 0.9 if n == 1000 else 0.0), (50.0, 0.99), (100.0, 0.999)):
            found = []
            for _ in range(max(repeats // 20, 1)):
                sides = [path_of(requests(rng, n, slower_ms=more)) for more in (0.0, slower_ms)]
                table = sides[0].compare(sides[1]).table.set_index("service_name")
                found.append(table.loc["ledger", "q_value"] < 0.05)
            yield Row(f"{n:,} requests a side, +{slower_ms:g} ms", *count(found), min_traces, 1.0)


TABLES = [
    Table(weighted_means, seed=601, quick=8),
    Table(means_through_the_path, seed=602, quick=20),
    Table(same_process, seed=603, quick=20),
    Table(differently_sampled, seed=604, quick=20),
    Table(one_slower_operation, seed=605, quick=40),
]
