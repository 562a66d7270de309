"""How often ``compare``, ``what_differs`` and ``paths`` claim a change: without one, and where one was planted."""

from functools import cache

import numpy as np
import pandas as pd
from calibration import Row, Table, count
from checks.first_screen import changes_of
from checks.healthy_worlds import ALARMS, healthy
from checks.quality.clean_worlds import CASES

import tracekit as tk
from tracekit import TraceSet

CLAIMS = ("compare", "what_differs", "paths", "first screen")
WORLDS = [case for case in CASES if case not in {"no trace", "one trace", "two traces", "five traces"}]
LONG = 60  # replications from which all recordings and sizes are tried
SHARES = (0.5, 0.25)  # of the traces that a head sampler keeps on the two sides


def claims(baseline, current):
    """What each analysis claims of the change."""
    compared, differs = tk.compare(baseline, current), tk.what_differs(current, baseline)
    shapes, tables = tk.paths(current, baseline).table, (compared.table, compared.edges, compared.endpoints)
    said = set().union(*(table["verdict"] for table in tables)) - {"no significant change", "too few"}
    facts = pd.concat([differs.table, differs.thresholds, differs.pairs])
    yield "compare", bool(said or compared.effects["is_significant"].any())
    yield "what_differs", bool(facts["is_significant"].any())
    yield "paths", bool(set(shapes["verdict"]) & {"new", "gone", "more", "fewer"})
    yield "first screen", any(finding.severity in ALARMS for finding in changes_of(baseline, current))


def only(traces, chosen):
    """Some of the traces."""
    return traces.where(chosen[traces.forest.trace])


def halves(rng, traces):
    """Two halves by chance."""
    is_first = rng.random(len(traces)) < 0.5
    return only(traces, is_first), only(traces, ~is_first)


def sampled(rng, traces):
    """Two halves, of which a head sampler kept known shares."""
    draw = rng.random(len(traces))
    first, second = (only(traces, (at / 2 <= draw) & (draw < (at + share) / 2)) for at, share in enumerate(SHARES))
    weights = (first.weights.value / SHARES[0], second.weights.value / SHARES[1])
    return first.with_weights(weights[0]), second.with_weights(weights[1])


def windows(rng, traces):
    """Two consecutive windows."""
    rank = traces.summary["start_ns"].rank(method="first").to_numpy(float) / len(traces)
    low, size = rng.uniform(0, 0.5), rng.uniform(0.1, 0.25)
    parts = ((low <= rank) & (rank < low + size), (low + size <= rank) & (rank < low + 2 * size))
    return tuple(only(traces, part) for part in parts)


@cache
def recordings():
    """Recordings without a change."""
    return {name: tk.load_sample(name)[0] for name in ("checkout-regression", "tail-sampled")}


def _shares(case, pairs):
    """How often each analysis claims a change of pairs without one."""
    found = pd.DataFrame([dict(claims(*pair)) for pair in pairs])
    return [Row(f"{case}: {name}", *count(found[name]), 0.0, 0.05) for name in CLAIMS]


def no_claims(rng, repeats):
    """Healthy recordings, split by chance, sampled in two ways, and in consecutive windows: any change is claimed."""
    is_long = repeats >= LONG
    for name, traces in list(recordings().items())[: None if is_long else 1]:
        for split in (halves, sampled, windows) if is_long else (sampled,):
            yield from _shares(f"{name}, {split.__name__}", (split(rng, traces) for _ in range(repeats)))
    for before, now in ((300, 20), (150, 150))[: None if is_long else 1]:
        pairs = ([healthy(rng, WORLDS[k % len(WORLDS)], n, failing=0.03)[0] for n in (before, now)]
                 for k in range(repeats))  # fmt: skip
        yield from _shares(f"healthy systems in turn, {before} and {now} requests", pairs)


def chain(rng, n, *, more=0.0, prefix=1):
    """Requests of 20 operations, one after the other below the first; the eighth takes so much longer."""
    own = rng.lognormal(1.0, 0.5, (n, len(OPERATIONS))) * 1e6
    own[:, PLANTED] *= 1 + more
    end = own.astype(np.int64).cumsum(axis=1)
    start = np.column_stack((np.zeros(n, np.int64), end[:, :-1]))
    start[:, 0], end[:, 0] = 0, end[:, -1]
    trace, operation = (each.ravel() for each in np.indices(own.shape))
    begun = np.sort(rng.integers(0, 600 * 10**9, n))[trace]
    frame = {
        "trace_id": np.array([f"{prefix * 10**9 + at:032x}" for at in range(n)], object)[trace],
        "span_id": [f"{at + 1:x}" for at in operation],
        "parent_span_id": np.where(operation == 0, None, "1"),
        "service_name": "shop",
        "name": np.array(OPERATIONS, object)[operation],
        "start_ns": begun + start.ravel(),
        "end_ns": begun + end.ravel(),
    }
    return TraceSet.from_spans(pd.DataFrame(frame))


OPERATIONS = [f"step {letter}" for letter in "abcdefghijklmnopqrst"]
PLANTED = 7


def planted_changes(rng, repeats):
    """One operation of 20 takes longer: called slower, and first; the rates wanted are floors of measured ones."""
    for n, several in POWER.items() if repeats >= LONG else [next(iter(POWER.items()))]:
        for more, least in several.items():
            first, verdicts = [], []
            for _ in range(max(repeats // 10, 1)):
                table = tk.compare(chain(rng, n), chain(rng, n, more=more, prefix=2)).table
                verdict = dict(zip(table["operation"], table["verdict"], strict=True))
                verdicts.append(verdict[OPERATIONS[PLANTED]] == "slower")
                first.append(table["operation"][0] == OPERATIONS[PLANTED])
            yield Row(f"{n:,} requests a side, +{more:.0%}: slower", *count(verdicts), least, 1.0)
            yield Row(f"{n:,} requests a side, +{more:.0%}: first", *count(first), least, 1.0)


POWER = {
    200: {0.1: 0.0, 0.2: 0.0, 0.5: 0.9, 1.0: 0.99},
    1000: {0.1: 0.0, 0.2: 0.9, 0.5: 0.99, 1.0: 0.99},
    5000: {0.1: 0.9, 0.2: 0.99, 0.5: 0.99, 1.0: 0.99},
}
TABLES = (Table(no_claims, 4761, 8), Table(planted_changes, 4762, 40))
