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
OVERLAPPING = 0.2  # wanted of windows of one recording: they overlap, and an operation of 0.5 ms really drifts by 5%
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
    """Two consecutive windows, without the first tenth: "tail-sampled" begins with a night of other requests."""
    rank = traces.summary["start_ns"].rank(method="first").to_numpy(float) / len(traces)
    low, size = rng.uniform(0.1, 0.5), rng.uniform(0.1, 0.25)
    parts = ((low <= rank) & (rank < low + size), (low + size <= rank) & (rank < low + 2 * size))
    return tuple(only(traces, part) for part in parts)


@cache
def recordings():
    """Recordings without a change."""
    return {name: tk.load_sample(name)[0] for name in ("checkout-regression", "tail-sampled")}


def _shares(case, pairs, most=0.05):
    """How often each analysis claims a change of pairs without one."""
    found = pd.DataFrame([dict(claims(*pair)) for pair in pairs if all(map(len, pair))])  # a sampler may keep none
    return [Row(f"{case}: {name}", *count(found[name]), 0.0, most) for name in CLAIMS]


def no_claims(rng, repeats):
    """Healthy recordings, split by chance, sampled in two ways, and in consecutive windows: any change is claimed."""
    is_long = repeats >= LONG
    for name, traces in list(recordings().items())[: None if is_long else 1]:
        for split in (halves, sampled, windows) if is_long else (sampled,):
            most = OVERLAPPING if split is windows else 0.05
            yield from _shares(f"{name}, {split.__name__}", (split(rng, traces) for _ in range(repeats)), most)
    for before, now in ((300, 20), (150, 150))[: None if is_long else 1]:
        pairs = ([healthy(rng, WORLDS[k % len(WORLDS)], n, failing=0.03)[0] for n in (before, now)]
                 for k in range(repeats))  # fmt: skip
        yield from _shares(f"healthy systems in turn, {before} and {now} requests", pairs)


def chain(rng, n, *, more=0.0, prefix=1):
    """Requests of 20 operations, one after the other below the first; one, or each, takes so much longer."""
    own = rng.lognormal(1.0, 0.5, (n, len(OPERATIONS))) * 1e6
    own *= 1 + (more if np.ndim(more) else np.where(np.arange(len(OPERATIONS)) == PLANTED, more, 0.0))
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


def clustered(rng, n, *, slower=0.0, failing=0.05, calls=2.0):
    """Arrays of requests with a random number of calls, which are slow and fail together within a request."""
    count_of = 1 + rng.poisson(calls, n)
    trace = np.repeat(np.arange(n), count_of)
    shared = rng.lognormal(0, 0.4, n)
    took = 5e6 * (1 + slower) * shared[trace] * rng.lognormal(0, 0.5, len(trace))
    failed = rng.random(len(trace)) < np.minimum(failing * shared[trace] ** 2, 1)
    root = rng.lognormal(1.5, 0.4, n) * 1e6 + np.bincount(trace, took, n)
    return trace, took, failed, root


def recorded(requests, *, prefix):
    """The traces of such requests: a root, and its calls one after the other."""
    trace, took, failed, root = requests
    n, several = len(root), len(trace)
    begun = np.arange(n, dtype=np.int64) * 10**9
    took = took.astype(np.int64)
    before = np.cumsum(took) - took
    start = begun[trace] + before - before[np.searchsorted(trace, trace)]
    owner = np.concatenate([np.arange(n), trace])
    frame = {
        "trace_id": np.array([f"{prefix * 10**9 + at:032x}" for at in range(n)], object)[owner],
        "span_id": [f"{at + 1:x}" for at in range(n + several)],
        "parent_span_id": [None] * n + [f"{at + 1:x}" for at in trace],
        "service_name": ["shop"] * n + ["ledger"] * several,
        "name": ["POST /pay"] * n + ["book"] * several,
        "kind": "SERVER",
        "start_ns": np.concatenate([begun, start]),
        "end_ns": np.concatenate([begun + root.astype(np.int64), start + took]),
        "status_code": np.where(np.concatenate([np.zeros(n, bool), failed]), "ERROR", "UNSET"),
    }
    return TraceSet.from_spans(pd.DataFrame(frame))


def _figures(requests):
    """The figures of calls and of requests by name, of so many requests that they are the truth."""
    trace, took, failed, root = requests
    calls = {f"p{p}_ns": np.quantile(took, p / 100) for p in (50, 90, 95)} | {"mean_ns": took.mean()}
    calls |= {"error_ratio": failed.mean(), "calls_per_request": len(trace) / len(root)}
    roots = {f"p{p}_ns": np.quantile(root, p / 100) for p in (50, 90, 95)} | {"mean_ns": root.mean()}
    return {"ledger book": calls, "shop POST /pay": roots}


def _every(_, traces):
    return traces.with_weights(1)


def _head(rng, traces):
    """What a head sampler of 40 % keeps."""
    return only(traces, rng.random(len(traces)) < 0.4).with_weights(2.5)


def _slow_kept(rng, traces):
    """What a tail sampler keeps: the slowest tenth, and 40 % of the rest."""
    took = traces.summary["root_duration_ns"].to_numpy(float)
    share = np.where(took > SLOW_NS, 1.0, 0.4)
    kept = rng.random(len(traces)) < share
    return only(traces, kept).with_weights(1 / share[kept])


SLOW_NS = 50e6
DESIGNS = {"complete": _every, "head 40 %": _head, "slow kept": _slow_kept}


def limits_of_changes(rng, repeats):
    """Limits of changes of a comparison hold the true change in 94 to 98.5 % of pairs; wider is no fault of theirs."""
    designs = list(DESIGNS.items())[: None if repeats >= LONG else 1]
    truth = [_figures(clustered(np.random.default_rng(9), 400_000, **CHANGES[side])) for side in (0, 1)]
    for design, sample in designs:
        inside = {}
        for _ in range(repeats):
            sides = (recorded(clustered(rng, SIZE, **CHANGES[at]), prefix=at + 1) for at in (0, 1))
            effects = tk.compare(*(sample(rng, side) for side in sides)).effects
            for row in effects[effects["level"] == "group"].to_dict("records"):
                true = [side[row["name"]].get(row["metric"]) for side in truth]
                if None not in true and np.isfinite(row["change_low"]):
                    key = row["name"], row["metric"]
                    inside.setdefault(key, []).append(row["change_low"] <= true[1] - true[0] <= row["change_high"])
        for (name, metric), hits in inside.items():
            yield Row(f"{design}: {metric} of {name}", *count(hits), 0.94, 1.0)


SIZE = 600
CHANGES = ({}, {"slower": 0.2, "failing": 0.08, "calls": 2.4})


def false_discoveries(rng, repeats):
    """Of the operations that are called changed where five of 20 are, at most 5 % are others."""
    false, found = 0, 0
    for _ in range(max(repeats // 4, 1)):
        table = tk.compare(chain(rng, 400), chain(rng, 400, more=MORE, prefix=2)).table
        claimed = table[~table["verdict"].isin(["no significant change", "too few"])]["operation"]
        found += len(claimed)
        false += int((~claimed.isin([OPERATIONS[at] for at in (0, *SEVERAL)])).sum())
    yield Row("falsely claimed of all claimed", false, found, 0.0, 0.05)


SEVERAL = (3, 7, 11, 15, 19)
MORE = np.isin(np.arange(len(OPERATIONS)), SEVERAL) * 0.5


def attributed(rng, n, *, more=0.0, prefix=1):
    """Requests with a tier, of which one is so much more frequent, a zone, a host and a number of rows."""
    shares = np.array(list(TIERS.values())) + more * np.array([-1, 0, 1])
    begun = np.sort(rng.integers(0, 600, n)) * 10**9
    frame = {
        "trace_id": [f"{prefix * 10**9 + at:032x}" for at in range(n)],
        "span_id": "1",
        "service_name": "shop",
        "name": "POST /pay",
        "start_ns": begun,
        "end_ns": begun + (rng.lognormal(2, 0.5, n) * 1e6).astype(np.int64),
        "attributes.tier": rng.choice(list(TIERS), n, p=shares),
        "attributes.zone": rng.choice(["a", "b", "c", "d"], n),
        "attributes.host": rng.choice([f"host-{at}" for at in range(12)], n),
        "attributes.rows": rng.integers(0, 500, n),
    }
    return TraceSet.from_spans(pd.DataFrame(frame))


TIERS = {"free": 0.6, "pro": 0.3, "enterprise": 0.1}


def planted_facts(rng, repeats):
    """One value is so much more frequent: it is significant, nothing else is, and limits hold the true difference."""
    for n, several in FACTS.items() if repeats >= LONG else [next(iter(FACTS.items()))]:
        for more, least in several.items():
            named, others, claimed, inside, of = 0, 0, 0, 0, 0
            for _ in range(repeats):
                current, baseline = attributed(rng, n, more=more), attributed(rng, n, prefix=2)
                found = tk.what_differs(current, baseline)
                table = found.table[found.table["key"].isin(["tier", "zone", "host"])]
                true = table["value"].map({"free": -more, "enterprise": more}).fillna(0.0).to_numpy()
                facts, pairs = table[table["is_significant"]], found.pairs[found.pairs["is_significant"]]
                named += "enterprise" in set(facts["value"])
                claimed += len(facts) + len(pairs) + int(found.thresholds["is_significant"].sum())
                others += int((~facts["value"].isin(["free", "enterprise"])).sum())
                others += int((pairs[["key", "other_key"]] != "tier").all(axis=1).sum())
                others += int(found.thresholds["is_significant"].sum())
                low, high = (table[f"difference_{end}_ratio"].to_numpy() for end in ("low", "high"))
                inside, of = inside + int(((low <= true) & (true <= high)).sum()), of + len(table)
            case = f"{n:,} requests a side, +{100 * more:.0f} points"
            yield Row(f"{case}: named", named, repeats, least, 1.0)
            yield Row(f"{case}: another fact, of those claimed", others, claimed, 0.0, 0.05)
            yield Row(f"{case}: limits hold the difference", inside, of, 0.94, 1.0)


FACTS = {
    500: {0.05: 0.1, 0.1: 0.75, 0.2: 0.99},
    2000: {0.05: 0.75, 0.1: 0.99, 0.2: 0.99},
}


def who_is_affected(rng, repeats):
    """Limits of the share of the requests with a value that fail hold the true share, also where none failed."""
    true = {"free": 0.002, "pro": 0.02, "enterprise": 0.3}
    inside = {tier: [] for tier in true}
    for _ in range(repeats):
        traces = attributed(rng, 400)
        tier = traces.attribute("tier").to_numpy()
        failed = rng.random(len(traces)) < np.vectorize(true.get)(tier)
        if failed.any():
            found = tk.what_differs(traces, failed, pairs=False).values("tier").set_index("value")
            for name, share in true.items():
                row = found.loc[name]
                inside[name].append(row["selected_low_ratio"] <= share <= row["selected_high_ratio"])
    for name, hits in inside.items():
        yield Row(f"{true[name]:.1%} of {name} fail", *count(hits), 0.94, 1.0)


TABLES = (
    Table(no_claims, 4761, 3),
    Table(planted_changes, 4762, 20),
    Table(limits_of_changes, 4763, 4),
    Table(false_discoveries, 4764, 8),
    Table(planted_facts, 4765, 6),
    Table(who_is_affected, 4766, 20),
)
