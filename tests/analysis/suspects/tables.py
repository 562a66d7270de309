"""How often a service is suspected: without a fault, in bursts of load, and of the service with a planted fault."""

from itertools import permutations

from analysis.suspects.planted import EPOCH, FAULTS, MS, Shop
from calibration import Row, Table, count
from checks.healthy_worlds import WEIGHTED, healthy
from checks.quality.clean_worlds import CASES

import tracekit as tk
from tracekit.analysis.suspects.compute import compute

LATER = EPOCH + 3_600_000 * MS
WORLDS = [case for case in CASES if case not in {"no trace", "one trace", "two traces", "five traces"}]
SAMPLES = (("checkout-regression", 0), ("tail-sampled", 0))  # all traces of a recording without a change


def suspect(baseline, current):
    """The service that is named first, None without one."""
    found = compute(baseline, current)
    return found.table.loc[0, "service_name"] if found.is_assessable and not found.is_no_change else None


def named(pairs):
    """Whether anyone is named, by pair."""
    return [suspect(*pair) is not None for pair in pairs]


def no_suspects(rng, repeats):
    """Equal traffic: no service is suspected."""
    for before, now in ((150, 60), (60, 150), (300, 20), (40, 40)):
        pairs = ((Shop(rng).traces(before), Shop(rng).traces(now, begin=LATER)) for _ in range(repeats))
        yield Row(f"a simulated shop, {before} and {now} requests", *count(named(pairs)), 0, 0.05)
    for bursts in (0.1, 0.2, 0.3):
        pairs = (
            (Shop(rng, bursts=bursts).traces(240), Shop(rng, bursts=bursts).traces(60, begin=LATER))
            for _ in range(repeats)
        )
        yield Row(f"load of 20 requests each varies by {bursts:.0%}, 240 and 60", *count(named(pairs)), 0, 0.05)
    for before, now in ((300, 20), (300, 150), (150, 150)):
        pairs = (
            [healthy(rng, WORLDS[k % len(WORLDS)], n, failing=0.03)[0] for n in (before, now)] for k in range(repeats)
        )
        yield Row(f"healthy systems in turn, {before} and {now} requests", *count(named(pairs)), 0, 0.05)
    for pair in permutations(WEIGHTED, 2):
        pairs = ([WEIGHTED[name](rng, 200) for name in pair] for _ in range(max(repeats // 4, 1)))
        yield Row(f"known weights: {' and '.join(pair)}", *count(named(pairs)), 0, 0.05)
    for name, part in SAMPLES:
        yield from of_sample(rng, repeats, name, tk.load_sample(name)[part])


def of_sample(rng, repeats, name, traces):
    """Halves of a recording by chance, and consecutive windows of it."""
    rank = traces.summary["start_ns"].rank(method="first").to_numpy(float) / len(traces)
    halves, windows = [], []
    for _ in range(repeats):
        is_first = rng.random(len(traces)) < 0.5
        halves.append(named([[only(traces, is_first), only(traces, ~is_first)]])[0])
        low, size = rng.uniform(0.05, 0.5), rng.uniform(0.05, 0.25)
        parts = ((low <= rank) & (rank < low + size), (low + size <= rank) & (rank < low + 2 * size))
        windows.append(named([[only(traces, part) for part in parts]])[0])
    yield Row(f"{name}: halves by chance", *count(halves), 0, 0.05)
    yield Row(f"{name}: consecutive windows", *count(windows), 0, 0.05)


def only(traces, chosen):
    """Some of the traces."""
    return traces.where(chosen[traces.forest.trace])


def planted_suspects(rng, repeats):
    """A fault at the service stock of the simulated shop, 150 and 60 requests: it is the first suspect."""
    for fault in FAULTS:
        for share, size in ((1.0, 1), (0.34, 4)):
            pairs = (
                (
                    Shop(rng).traces(150),
                    Shop(rng, fault, "stock", share=share, size=size).traces(60, begin=LATER),
                )
                for _ in range(repeats)
            )
            hits = [suspect(*pair) == "stock" for pair in pairs]
            yield Row(f"{fault}, {share:.0%} of the requests, {size} times", *count(hits), 0.8, 1)


TABLES = (Table(no_suspects, 4751, 2), Table(planted_suspects, 4752, 2))
