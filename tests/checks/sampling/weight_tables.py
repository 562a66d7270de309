"""Calibration tables of weights, through ``with_weights`` and ``tk.sampling``: formats of ids, stages, reservoirs."""

import numpy as np
import pandas as pd
from calibration import Row, Table, count
from checks.sampling.simulators import (
    EPOCH_NS,
    PEOPLE,
    classic_reservoir,
    hour,
    id_formats,
    population,
    random_ids,
    thinned_ids,
    traces_of,
)

import tracekit as tk
from tracekit.stats.second_reservoir import SECOND_NS
from tracekit.weights.id_maps import ID_MAPS


def complete_recordings(rng, repeats):
    """Every request recorded, ids of every format: weights, claims of a sampler and warnings that none deserves."""
    for name, make in id_formats().items():
        weighted, claimed, warned = [], [], []
        for _ in range(repeats):
            for n in (300, 2000):
                start = EPOCH_NS + np.sort(rng.integers(0, 3600 * SECOND_NS, n))
                traces = traces_of(rng, ids=make(rng, start), start_ns=start, failed=np.arange(n) < 20)
                found = tk.sampling(traces)
                weighted.append(traces.with_weights("auto").weights.known.any())
                claimed.append(any(f.check == "id.forensic" and "kept by" in f.headline for f in found))
                warned.append(any(f.severity in {"warning", "critical"} for f in found))
        for what, hits in (("weights", weighted), ("a sampler named", claimed), ("warned", warned)):
            yield Row(f"{name}: {what}", *count(hits), 0.0, 0.01)


def ids_of_a_sampler(rng, repeats):
    """Ids that a sampler thinned and a proof that the rest of the space is used: how often they give the weights."""

    def beside(family, rate, n=400, **columns):
        ids = zip(thinned_ids(rng, n, family, rate), random_ids(rng, n), strict=True)
        halves = tuple(np.concatenate(pair) for pair in ids)
        return traces_of(rng, ids=halves, service=np.repeat(["cart", "mail"], n), **columns)

    sdk = {"resource.telemetry.sdk.name": "opentelemetry", "resource.telemetry.sdk.language": "java"}
    cases = {
        "10%, 20% another way": lambda: traces_of(rng, ids=thinned_ids(rng, 400, "Java TraceIdRatio", 0.1, 0.2)),
        "collector 5%, half another way": lambda: traces_of(
            rng, ids=thinned_ids(rng, 400, "collector tail_sampling", 0.05, 0.5)
        ),
        "10%, another service is whole": lambda: beside("Java TraceIdRatio", 0.1),
        "25%, another service of the same SDK": lambda: beside("Java TraceIdRatio", 0.25, **sdk),
    }
    for name, make in cases.items():
        found = [make().with_weights("auto").weights.is_from("trace IDs").sum() >= 150 for _ in range(repeats)]
        yield Row(f"{name}: weighted", *count(found), 0.97, 1.0)
    bare = {
        "10%, nothing shows the rest": lambda: traces_of(rng, ids=thinned_ids(rng, 400, "Java TraceIdRatio", 0.1)),
        "25%, another service, no SDK recorded": lambda: beside("Java TraceIdRatio", 0.25),
    }
    for name, make in bare.items():
        found = [make().with_weights("auto").weights.known.any() for _ in range(repeats)]
        yield Row(f"{name}: weighted", *count(found), 0.0, 0.01)


ERRORS_AND_5 = {
    "policies": [
        {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "rest", "type": "probabilistic", "probabilistic": {"sampling_percentage": 5}},
    ]
}


def two_stages(rng, repeats):
    """The SDK keeps half and writes ot=th:8, the collector errors and 5%: refused alone, right with its rules."""
    refused, named, healthy = [], [], []
    covered = {what: [] for what in ("error rate", "p50 latency", "p95 latency")}
    for _ in range(repeats):
        world, ids = population(rng), random_ids(rng, PEOPLE)
        head = ID_MAPS["OpenTelemetry consistent sampling"](*ids) <= 0.5
        kept = head & (world.failed | (ID_MAPS["collector tail_sampling"](*ids) <= 0.05))
        columns = {"took_ms": world.took_ms, "failed": world.failed}
        traces, single = (
            traces_of(
                rng,
                ids=tuple(half[chosen] for half in ids),
                trace_state="ot=th:8",
                **{name: column[chosen] for name, column in columns.items()},
            )
            for chosen in (kept, np.flatnonzero(head)[:1000])
        )
        why = traces.with_weights("auto").weights
        refused.append(not why.known.any() and not traces.weights.known.any())
        named.append("tracestate ot=th" in why.refusal and "collector tail_sampling" in why.refusal)
        healthy.append(not single.weights.known.all())
        truth = dict(zip(covered, (world.failed.mean(), *np.quantile(world.took_ms * 1e6, (0.5, 0.95))), strict=True))
        bias = [f.evidence for f in tk.sampling(traces, rules=ERRORS_AND_5) if f.check == "bias.tail"]
        table = pd.concat(bias).set_index("measure")
        for what, right in truth.items():
            covered[what].append(table.loc[what, "estimate_low"] <= right <= table.loc[what, "estimate_high"])
    yield Row("two stages, nothing declared: refused", *count(refused), 0.99, 1.0)
    yield Row("two stages: both are named", *count(named), 0.99, 1.0)
    yield Row("one stage: refused", *count(healthy), 0.0, 0.01)
    for what, hits in covered.items():
        yield Row(f"two stages, both declared: {what} covered", *count(hits), 0.94, 0.985)


def wrong_reservoirs(rng, repeats):
    """X-Ray's reservoir with a declared rule: refused where quota, rate or starts are not those of the decisions."""

    def jitter(kind, ms):
        return lambda n: (kind(n) * ms * 1e6).astype(np.int64)

    late, either = rng.exponential, lambda n: rng.normal(size=n)
    cases = [
        ("as declared", (1, 0.05), (1, 0.05), 1, None, 0.0, 0.01),
        ("as declared, four processes", (1, 0.05), (1, 0.05), 4, None, 0.0, 0.01),
        ("two a second, as declared", (2, 0.2), (2, 0.2), 1, None, 0.0, 0.01),
        ("0.05 ms late", (1, 0.05), (1, 0.05), 1, jitter(lambda n: late(1, n), 0.05), 0.0, 0.01),
        ("two a second, one declared", (2, 0.05), (1, 0.05), 1, None, 0.99, 1.0),
        ("one a second, two declared", (1, 0.05), (2, 0.05), 1, None, 0.99, 1.0),
        ("10%, 5% declared, 20 minutes", (1, 0.1), (1, 0.05), 1, None, 0.2, 1.0),
        ("20%, 5% declared", (1, 0.2), (1, 0.05), 1, None, 0.99, 1.0),
        ("5%, 20% declared", (1, 0.05), (1, 0.2), 1, None, 0.95, 1.0),
        ("no reservoir", (0, 0.05), (1, 0.05), 1, None, 0.99, 1.0),
        ("100 ms late", (1, 0.05), (1, 0.05), 1, jitter(lambda n: late(1, n), 100), 0.95, 1.0),
        ("1 ms early or late", (1, 0.05), (1, 0.05), 1, jitter(either, 1), 0.99, 1.0),
    ]
    for name, (quota, rate), (told, share), many, moved, least, most in cases:
        rule = {"version": 2, "rules": [], "default": {"fixed_target": told, "rate": share}}
        refused = []
        for _ in range(repeats):
            world = hour(rng, seconds=1200)
            process = rng.integers(0, many, len(world.start_ns))
            kept = classic_reservoir(rng, world.start_ns, process, quota, rate)
            start = world.start_ns[kept] + (0 if moved is None else moved(int(kept.sum())))
            columns = {"service_instance_id": process[kept].astype(str), "resource.telemetry.sdk.name": "X-Ray for Go"}
            weights = traces_of(rng, start_ns=start, **columns).with_weights(rule).weights
            refused.append("contradict rule default" in weights.refusal and not weights.known.any())
        yield Row(f"{name}: refused", *count(refused), least, most)


TABLES = (
    Table(complete_recordings, 96, 1),
    Table(ids_of_a_sampler, 97, 12),
    Table(two_stages, 98, 20),
    Table(wrong_reservoirs, 99, 3),
)
