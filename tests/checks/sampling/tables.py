"""Calibration tables: each row is a case with how often something came true, and between which shares that may lie."""

import numpy as np
import pandas as pd
from calibration import Row, Table, count
from checks.sampling.simulators import (
    DESIGNS,
    EPOCH_NS,
    PEOPLE,
    classic_reservoir,
    counter_ids,
    hour,
    millisecond_ids,
    population,
    random_ids,
    repeated_ids,
    thinned_ids,
    xray_ids,
)
from checks.sampling.weight_tables import TABLES as WEIGHTS

from tracekit.checks.sampling.configured_rate import boosted_windows, with_adjacent
from tracekit.checks.sampling.id_randomness import battery
from tracekit.checks.sampling.tail_truncation import drop_p
from tracekit.stats.anytime_mix import anytime_mix
from tracekit.stats.intervals import wilson
from tracekit.stats.minimum_effect import compare_mix, judge
from tracekit.stats.partial_traces import any_parts, span_parts
from tracekit.stats.proportions import share_interval, window_share
from tracekit.stats.quantiles import quantile_limits, weighted_quantiles
from tracekit.stats.second_reservoir import SECOND_NS, expected_kept, infer_quota, order_probabilities
from tracekit.stats.step_scan import step_slices
from tracekit.stats.thinned import thinned_count, unseen_mass
from tracekit.stats.weighted_rates import weight_effect, weighted_rate
from tracekit.weights.id_edges import families

SHARES = (0.5, 0.95, 0.99)


def unequal_weights(rng, repeats):
    """Error rate, span error rate and quantiles under five samplers; 20,000 requests each time."""
    hits = {(name, what): [] for name in DESIGNS for what in ("error rate", "spans", "p50", "p95", "p99")}
    naive = {name: [] for name in DESIGNS}
    for _ in range(repeats):
        world = population(rng)
        ordered = np.sort(world.took_ms)
        truth = [ordered[int(np.ceil(q * PEOPLE)) - 1] for q in SHARES]
        for name, design in DESIGNS.items():
            pi = design(rng, world)
            kept = rng.random(PEOPLE) < pi
            rate = weighted_rate(pi[kept], world.failed[kept])
            hits[name, "error rate"].append(rate.low <= world.failed.mean() <= rate.high)
            spans = weighted_rate(pi[kept], world.failed_spans[kept], world.spans[kept])
            if spans.n_events >= 10:
                right = world.failed_spans.sum() / world.spans.sum()
                hits[name, "spans"].append(spans.low <= right <= spans.high)
            for one, right in zip(quantile_limits(pi[kept], world.took_ms[kept], SHARES), truth, strict=True):
                inside = not one.low > right and not one.high < right
                hits[name, f"p{100 * one.share:g}"].append(inside)
            naive[name].append(world.failed[kept].mean())
    for (name, what), found in hits.items():
        note = f"raw error rate {np.mean(naive[name]):.2%}" if what == "error rate" else ""
        if found:
            yield Row(f"{name}: {what}", *count(found), *((0.92, 0.985) if what == "spans" else (0.94, 0.985)), note)


def partial_traces(rng, repeats):
    """Spans thinned each at its own rate by one random number a trace: spans that fail, traces with such a span."""
    hits = {what: [] for what in ("failed spans", "traces with a failed span")}
    naive = []
    for _ in range(repeats):
        world = population(rng)
        trace = np.repeat(np.arange(PEOPLE), world.spans)
        first = np.cumsum(world.spans) - world.spans
        failed = np.arange(len(trace)) - first[trace] < world.failed_spans[trace]
        rate = np.where(failed, 0.3, np.array([0.05, 0.1, 0.2])[rng.integers(0, 3, len(trace))])
        kept = rng.random(PEOPLE)[trace] < rate
        own = np.unique(trace[kept], return_inverse=True)[1]
        truths = failed.mean(), (world.failed_spans > 0).mean()
        naive.append(failed[kept].mean())
        for what, make, right in zip(hits, (span_parts, any_parts), truths, strict=True):
            found = weighted_rate(*make(own, rate[kept], failed[kept]), target="process")
            hits[what].append(found.low <= right <= found.high)
    for what, found in hits.items():
        yield Row(f"own rate for every span: {what}", *count(found), 0.94, 0.99, f"raw {np.mean(naive):.2%}")


def weight_effects(rng, repeats):
    """Whether weights matter: quiet without an effect, found where errors are kept 1.5 times as often."""
    false, found = [], []
    for _ in range(repeats):
        world = population(rng)
        pi = 2.0 ** -rng.integers(0, 6, PEOPLE)
        kept = rng.random(PEOPLE) < pi
        false.append(weight_effect(pi[kept], world.failed[kept]).p < 0.05)
        pi = np.where(world.failed, 0.3, 0.1)
        kept = rng.random(PEOPLE) < pi
        found.append(weight_effect(pi[kept], world.failed[kept]).p < 0.05)
    yield Row("no effect: reported", *count(false), 0.03, 0.065)
    yield Row("errors kept three times as often: found", *count(found), 0.99, 1.0)


def reservoir(rng, repeats):
    """X-Ray's reservoir, one a second and 5%, over an hour with cron jobs; p95 as seen and by order weights."""
    hits = {(n, what): [] for n in (1, 4) for what in ("error rate", "p95", "quota")}
    off, bias = {1: [], 4: []}, {1: [], 4: []}
    esrs = {"error rate": [], "p95": []}
    # the truth is the process behind the hours: a long one
    long = hour(np.random.default_rng(99), seconds=400_000)
    true_rate, true_p95 = long.failed.mean(), np.quantile(long.took_ms, 0.95)
    for _ in range(repeats):
        world = hour(rng)
        for n in (1, 4):
            process = rng.integers(0, n, len(world.start_ns))
            kept = classic_reservoir(rng, world.start_ns, process, 1, 0.05)
            pi = order_probabilities(world.start_ns[kept], process[kept], 1, 0.05)
            rate = weighted_rate(pi, world.failed[kept], target="process")
            p95 = quantile_limits(pi, world.took_ms[kept], (0.95,), target="process")[0]
            hits[n, "error rate"].append(rate.low <= true_rate <= rate.high)
            hits[n, "p95"].append(p95.low <= true_p95 <= p95.high)
            off[n].append(weighted_quantiles(world.took_ms[kept], np.ones(kept.sum()), (0.95,))[0] / true_p95 - 1)
            bias[n].append(p95.value / true_p95 - 1)
        second = (world.start_ns - EPOCH_NS) // SECOND_NS
        had, asked = (np.bincount(second[some & (process == 0)], minlength=3600) for some in (kept, True))
        hits[4, "quota"].append(infer_quota(had, asked).quota == 1)
        low = rng.random(len(world.start_ns)) < 0.05  # an id sampler: what passes it is a plain sample
        base = np.full(int(low.sum()), 0.05)
        rate = weighted_rate(base, world.failed[low], target="process")
        p95 = quantile_limits(base, world.took_ms[low], (0.95,), target="process")[0]
        esrs["error rate"].append(rate.low <= true_rate <= rate.high)
        esrs["p95"].append(p95.low <= true_p95 <= p95.high)
    for (n, what), found in hits.items():
        note = f"raw p95 {np.mean(off[n]):+.0%}, corrected {np.mean(bias[n]):+.2%}" if what == "p95" else ""
        limits = (0.99, 1.0) if what == "quota" else (0.935, 0.965)
        if found:
            yield Row(f"{n} processes, order weights: {what}", *count(found), *limits, note)
    for n in (1, 4):
        yield Row(f"{n} processes: raw p95 is more than 50% off", *count(np.array(off[n]) > 0.5), 0.98, 1.0)
        standard = np.std(bias[n]) / np.sqrt(repeats)
        near = abs(np.mean(bias[n])) < 0.01 + 3 * standard
        yield Row(f"{n} processes: corrected p95 within 1%", int(near), 1, 1.0, 1.0)
    for what, found in esrs.items():
        yield Row(f"base sample by id: {what}", *count(found), 0.935, 0.965)


def configured(rng, repeats):
    """Observed over configured sampling by windows of 10 s for an hour: right, 5% lost, reservoir of another size."""
    false, lost, other, equal = [], [], [], []
    load = np.where(np.arange(360) < 180, 4, 300)
    for _ in range(repeats):
        asked = rng.poisson(load)
        cells = rng.multinomial(asked, np.full(10, 0.1))
        for found, quota, share in ((false, 1, 1.0), (lost, 1, 0.95), (other, 2, 1.0)):
            taken = np.minimum(cells, quota).sum(1)
            kept = rng.binomial(taken + rng.binomial(asked - taken, 0.05), share).sum()
            mean, variance = expected_kept(asked, 1, 0.05, seconds=10)
            spread = 1.96 * np.sqrt(variance.sum())
            found.append(abs(kept - mean.sum()) > spread)
            if found is false:
                ratio, half = kept / mean.sum(), spread / mean.sum()
                equal.append(judge(ratio - half, ratio + half, 0.10) == "failed")
    yield Row("as configured: rejected", *count(false), 0.035, 0.065)
    yield Row("as configured: called biased", *count(equal), 0.0, 0.005)
    yield Row("5% lost after the decision: found", *count(lost), 0.90, 1.0)
    yield Row("reservoir of two: found", *count(other), 0.99, 1.0)


def two_clocks(rng, repeats):
    """Share of the requests of an hour that was traced, counted by a clock that is right, a minute early or late."""
    asked = np.round(300 * 2 ** (np.arange(62) / 20)).astype(int)
    for shift, shifted, least in ((0, True, 0.94), (-1, True, 0.94), (1, True, 0.94), (1, False, 0.0)):
        covered = []
        for _ in range(repeats):
            kept = rng.binomial(asked, 0.1)[1:61]
            low, high = window_share(kept, asked[1 + shift : 61 + shift], shift=shifted)
            covered.append(low <= 0.1 <= high)
        what = f"counts {shift:+d} min, {'hull' if shifted else 'no hull (guard)'}"
        yield Row(f"{what}: covered", *count(covered), least, 1.0 if shifted else 0.5)


def boosts(rng, repeats):
    """A rule of 5% that may be raised to 50%: quiet where it is not, found where it is; rates outside covered."""
    windows = pd.DataFrame({"requests": np.full(360, 200.0), "mean": 10.0, "variance": 9.5})
    calm, found, covered = [], [], []
    for _ in range(repeats):
        calm.append(boosted_windows(windows.assign(traces=rng.binomial(200, 0.05, 360))).any())
        rate = np.full(360, 0.05)
        rate[100:106], rate[250:256] = 0.3, 0.2
        kept = rng.binomial(200, rate)
        raised = boosted_windows(windows.assign(traces=kept))
        found.append(raised[100:106].all() and raised[250:256].all())
        rest = ~with_adjacent(raised)
        spread = 1.96 * np.sqrt(9.5 * rest.sum())
        covered.append(abs(kept[rest].sum() - 10 * rest.sum()) <= spread)
    yield Row("no boost: one seen", *count(calm), 0.0, 0.06)
    yield Row("two boosts of a minute: both seen whole", *count(found), 0.95, 1.0)
    yield Row("windows outside: fixed rate covered", *count(covered), 0.93, 0.965)


def moving_rates(rng, repeats):
    """Slices of time: one rate is not split, one that is raised for a while is two."""

    def kept(rates, other):
        n = len(rates)
        return np.where(rng.random(n) < other, rng.random(n), rng.random(n) * rates)

    still, raised = np.full(2000, 0.05), np.repeat([0.05, 0.2, 0.05], [800, 400, 800])
    wandering = np.repeat([0.05, 0.6, 0.1], [700, 600, 700])
    for name, rates, other, many, least in [
        ("5%, all of it", still, 0.0, 1, 0.99),
        ("5%, 20% another way", still, 0.2, 1, 0.99),
        ("5%, 5 to 60% another way", still, wandering, 1, 0.99),
        ("no sampler", np.ones(2000), 0.0, 1, 0.99),
        ("5%, raised to 20%", raised, 0.0, 2, 0.99),
        ("5%, raised to 20%, 20% another way", raised, 0.2, 2, 0.99),
    ]:
        found = [len(step_slices(kept(rates, other))) == many for _ in range(repeats)]
        yield Row(f"{name}: {many} rate{'s' * (many > 1)}", *count(found), least, 1.0)


def mix(rng, repeats):
    """Twelve strata sampled at 5%; one at 0.8, 0.5 or 1.2 times the rate of the others."""
    share = np.sort(np.random.default_rng(12).dirichlet(np.full(12, 0.6)))
    share[6] = 0.1
    share /= share.sum()
    for total, factor, least, most in [
        (50_000, 1.0, 0.0, 0.01),
        (500_000, 1.0, 0.0, 0.01),
        (500_000, 0.8, 0.90, 1.0),
        (500_000, 1.2, 0.90, 1.0),
        (50_000, 0.5, 0.98, 1.0),
    ]:
        found, strangers, some = [], [], []
        for _ in range(repeats):
            requests = rng.multinomial(total, share)
            requests = requests[requests > 0] if factor == 1 else np.maximum(requests, 1)
            rate = np.full(len(requests), 0.05)
            if factor != 1:
                rate[6] *= factor
            result = compare_mix(rng.binomial(requests, rate), requests)
            biased = result.verdict == "failed"
            found.append(biased.any() if factor == 1 else biased[6])
            strangers.append(np.delete(biased, 6).any() if factor != 1 else False)
            some.append(result.p < 0.05)
        what = "false biased" if factor == 1 else "found"
        yield Row(f"{total:,} requests, one stratum at {factor}x: {what}", *count(found), least, most)
        if factor == 1:
            yield Row(f"{total:,} requests, omnibus test: false", *count(some), 0.03, 0.065)
        else:
            yield Row(f"{total:,} requests, another stratum blamed", *count(strangers), 0.0, 0.02)


SAMPLED = [
    ("Python TraceIdRatio", 0.10, 0.0, 200),
    ("OpenTelemetry consistent sampling", 0.01, 0.0, 100),
    ("Java TraceIdRatio", 0.05, 0.2, 500),
    (".NET TraceIdRatio", 0.05, 0.2, 500),
    ("collector tail_sampling", 0.10, 0.5, 500),
    ("JavaScript TraceIdRatio", 0.25, 0.3, 500),
    ("Go TraceIdRatio", 0.05, 0.1, 500),
    ("collector tail_sampling", 0.10, 0.8, 1000),
]
_TWINS = (
    {"Python TraceIdRatio", "Go TraceIdRatio"},
)  # the same ids: low 64 bits below p 2^64, with or without the last


def mix_at_any_time(rng, repeats):
    """The mix of five strata whose shares change, asked after every minute of two hours."""
    for factor, least, most in ((1.0, 0.0, 0.05), (0.5, 0.9, 1.0), (0.8, 0.0, 1.0)):
        ever = []
        for _ in range(repeats):
            load = 400 * (1.5 + np.sin(np.arange(120)[:, None] / 20 + np.arange(5))) * rng.dirichlet(np.full(5, 3.0))
            requests = rng.poisson(load)
            sampled = rng.binomial(requests, 0.1 * np.array([factor, 1, 1, 1, 1]))
            ever.append(anytime_mix(sampled, requests)[-1] < 0.05)
        yield Row(f"one stratum at {factor}x: ever reported", *count(ever), least, most)


def forensics(rng, repeats):
    """Which sampler, at which rate, how many another way; and how often a sampler is seen where there is none."""
    for name, make, timed, n in [
        ("random ids, n = 200", random_ids, False, 200),
        ("random ids, n = 2000", random_ids, False, 2000),
        ("X-Ray's ids, n = 1000", xray_ids, True, 1000),
    ]:
        false = [families(*make(rng, n), begin_with_time=timed)[0].q < 0.05 for _ in range(repeats)]
        yield Row(f"{name}: false report", *count(false), 0.0, 0.06)
    for family, rate, other, n in SAMPLED:
        right, covered, strangers = [], [], []
        for _ in range(repeats):
            best = families(*thinned_ids(rng, n, family, rate, other), begin_with_time=False)[0]
            same = best.name == family or {best.name, family} in _TWINS
            right.append(same and best.q < 0.05)
            covered.append(best.step.low <= rate <= best.step.high)
            strangers.append(best.step.other)
        note = f"another way {np.mean(strangers):.3f} for {other}"
        yield Row(f"{family} {rate:.0%}, {other:.0%} another way: family", *count(right), 0.99, 1.0, note)
        yield Row(f"{family} {rate:.0%}, {other:.0%} another way: rate covered", *count(covered), 0.93, 1.0)


def randomness(rng, repeats):
    """Random and thinned ids pass, millisecond clocks, counters and repeats do not."""
    cases = [
        ("random", random_ids, 0.0, 0.06),
        ("thinned at 10%", lambda r, n: thinned_ids(r, n, "OpenTelemetry consistent sampling", 0.1), 0.0, 0.06),
        ("millisecond clock", millisecond_ids, 0.99, 1.0),
        ("counter", counter_ids, 0.99, 1.0),
        ("five repeats of 2000", repeated_ids, 0.99, 1.0),
    ]
    for name, make, least, most in cases:
        found = [(battery(make(rng, 2000)[1])["q_bh"] < 0.05).any() for _ in range(repeats)]
        yield Row(f"{name}: not random", *count(found), least, most)


def rare_things(rng, repeats):
    """Errors captured by two ways, paths never seen, observed rates."""
    captured = []
    for _ in range(repeats):
        errors = rng.binomial(20_000, 0.01)
        base = rng.binomial(errors, 0.05)
        held = base + rng.binomial(errors - base, 0.3)
        low, high = thinned_count(int(base), 0.05)
        captured.append(max(low, held) <= errors <= max(high, held))
    yield Row("errors that happened, 5% and 30% captured", *count(captured), 0.94, 1.0)
    share = 1 / np.arange(1, 301)
    share /= share.sum()
    covered = []
    for counts in rng.multinomial(2000, share, repeats):
        found = unseen_mass(counts)
        covered.append(found.low <= share[counts == 0].sum() <= found.high)
    yield Row("traffic on paths never seen, 300 Zipf paths", *count(covered), 0.935, 0.965)
    for n in (200, 5000, 500_000):
        for p in (0.01, 0.05, 0.5):
            k = rng.binomial(n, p, repeats)
            low, high = share_interval(k, np.full(repeats, n))
            yield Row(f"observed rate, {p:.0%} of {n:,}", *count((low <= p) & (p <= high)), 0.93, 0.99)


def truncation(rng, repeats):
    """Traces of up to a minute behind a collector that decides after 30 s; and all of them."""
    cut, whole = [], []
    for _ in range(repeats):
        took = rng.lognormal(np.log(12), 0.7, 4000)
        for found, seen in ((cut, took[took < 30]), (whole, took)):
            c = [int(((seen > a * 30) & (seen <= (a + 0.2) * 30)).sum()) for a in (0.6, 0.8, 1.0)]
            found.append(drop_p(*c) < 0.01)
    yield Row("cut at 30 s: found", *count(cut), 0.95, 1.0)
    yield Row("not cut: found", *count(whole), 0.0, 0.02)


def wilson_is_not_enough(rng, repeats):
    """Guard of the scenario: spans taken for independent cover far less than they promise."""
    covered = []
    for _ in range(repeats):
        world = population(rng)
        kept = rng.random(PEOPLE) < 0.05
        n = world.spans[kept].sum()
        low, high = wilson(world.failed_spans[kept].sum() / n, n)
        covered.append(low <= world.failed_spans.sum() / world.spans.sum() <= high)
    yield Row("spans as if independent: covered", *count(covered), 0.5, 0.90)


TABLES = (
    *WEIGHTS,
    Table(unequal_weights, 81, 80),
    Table(partial_traces, 91, 200),
    Table(weight_effects, 82, 200),
    Table(reservoir, 83, 80),
    Table(configured, 84, 400),
    Table(two_clocks, 92, 300),
    Table(boosts, 93, 200),
    Table(mix, 85, 300),
    Table(mix_at_any_time, 94, 200),
    Table(moving_rates, 95, 100),
    Table(forensics, 86, 200),
    Table(randomness, 87, 150),
    Table(rare_things, 88, 400),
    Table(truncation, 89, 300),
    Table(wilson_is_not_enough, 90, 200),
)
