"""How often ``compare``, ``what_differs`` and ``paths`` claim a change: without one, and where one was planted."""

from functools import cache

import pandas as pd
from calibration import Row, Table, count
from checks.first_screen import changes_of
from checks.healthy_worlds import ALARMS, healthy
from checks.quality.clean_worlds import CASES

import tracekit as tk

CLAIMS = ("compare", "what_differs", "paths", "first screen")
WORLDS = [case for case in CASES if case not in {"no trace", "one trace", "two traces", "five traces"}]
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
    for name, traces in recordings().items():
        for split in (halves, sampled, windows):
            yield from _shares(f"{name}, {split.__name__}", (split(rng, traces) for _ in range(repeats)))
    for before, now in ((150, 150), (300, 20)):
        pairs = ([healthy(rng, WORLDS[k % len(WORLDS)], n, failing=0.03)[0] for n in (before, now)]
                 for k in range(repeats))  # fmt: skip
        yield from _shares(f"healthy systems in turn, {before} and {now} requests", pairs)


TABLES = (Table(no_claims, 4761, 2),)
