"""Calibration tables of quality: how often each check is right in simulated worlds, and how often that should be."""

from collections import Counter

import numpy as np
from calibration import Row, Table, count
from checks.quality.clean_worlds import CASES, START, recording
from checks.quality.worlds import (
    MINUTE,
    MS,
    SECOND,
    calls,
    chain,
    forest_of,
    gateway,
    luhn_number,
    only,
    rpc,
    traffic,
    wandering,
)

import tracekit as tk
from tracekit import TraceSet
from tracekit.analysis.clock_skew.intervals import agree
from tracekit.checks.case import Case
from tracekit.checks.quality.clocks.drift import drift, step
from tracekit.checks.quality.completeness.call_pairs import all_calls, call_pairs
from tracekit.checks.quality.completeness.missing_spans import missing_spans
from tracekit.checks.quality.gaps.silence import burst, silences
from tracekit.checks.quality.propagation.continuations import stitch
from tracekit.redaction.scan import blob, digit_runs, hits
from tracekit.stats.gap_scan import gap_scan
from tracekit.stats.gap_strata import Stratum, gaps_by_stratum, shortfall
from tracekit.stats.intervals import wilson
from tracekit.stats.quantiles import quantile_limits
from tracekit.stats.tests import false_discovery
from tracekit.stats.truncated_lags import lag_bounds, truncated_lags

_ALARM, _LOSS = 0.01, 0.2


def _is_alarm(gap):
    return gap.p < _ALARM and gap.loss >= _LOSS


def quiet_collection(rng, repeats):
    """False alarms of collection gaps: binomial, overdispersed and wandering shares."""
    for case, minutes, share in (
        ("binomial 5%", 240, lambda n: np.full(n, 0.05)),
        ("beta-binomial, rho 0.003", 240, lambda n: rng.beta(0.05 * 332, 0.95 * 332, n)),
        ("share wanders, sd 17%", 480, lambda n: np.clip(0.05 * np.exp(wandering(rng, n)), 0, 1)),
    ):
        alarms = []
        for seed in range(repeats):
            requests = traffic(rng, minutes)
            gap = gap_scan(rng.binomial(requests, share(len(requests))), requests, seed=seed)
            alarms.append(_is_alarm(gap))
        yield Row(f"false alarms, {case}", *count(alarms), 0.0, 0.025)


def outages(rng, repeats):
    """Outages that are found, at any time of the day."""
    for minutes, loss in ((3, 1.0), (10, 0.5), (30, 0.3)):
        found = []
        for seed in range(repeats):
            requests = traffic(rng, 240)
            share = np.full(len(requests), 0.05)
            begin = int(rng.integers(30, len(requests) - 60))
            share[begin : begin + minutes] *= 1 - loss
            gap = gap_scan(rng.binomial(requests, share), requests, replicates=99, seed=seed)
            found.append(_is_alarm(gap) and gap.start < begin + minutes and begin < gap.end)
        yield Row(f"{minutes} minutes, {loss:.0%} lost: found and located", *count(found), 0.90, 1.0)


def _parts(rng, minutes, share, routed=None):
    """Four instances behind one balancer: every request goes to one, a share of it is traced."""
    requests = traffic(rng, minutes)
    routed = rng.dirichlet(np.full(4, 400.0), minutes) if routed is None else routed
    cells = np.array([rng.multinomial(n, one) for n, one in zip(requests, routed, strict=True)]).T
    traced = rng.binomial(cells, share)
    return [Stratum(own, requests, traced.sum(0) - own) for own in traced]


def _fates(strata, seed):
    """What became of the worst drop of each part: nothing unless it is an alarm."""
    found = gaps_by_stratum(strata, seed=seed)
    lack = [
        shortfall(one, gap) if q < _ALARM and gap.loss >= _LOSS else None
        for one, (gap, q) in zip(strata, found, strict=True)
    ]
    q = false_discovery(np.array([np.nan if one is None else one.p for one in lack]))
    return ["" if one is None else one.outcome(own) for one, own in zip(lack, q, strict=True)]


def quiet_parts(rng, repeats):
    """False alarms of gaps of one instance of four: whatever the traffic does, nothing was lost."""
    minutes = 90
    for case in ("even", "the whole share wanders, sd 17%", "one restarts for ten minutes, its peers take over"):
        lost = []
        for seed in range(repeats):
            share, routed = np.full(minutes, 0.2), rng.dirichlet(np.full(4, 400.0), minutes)
            if case.startswith("the"):
                share = np.clip(share * np.exp(wandering(rng, minutes)), 0, 1)
            if case.startswith("one"):
                begin = int(rng.integers(15, 65))
                routed[begin : begin + 10, 2] = 0
                routed /= routed.sum(1, keepdims=True)
            outcomes = _fates(_parts(rng, minutes, share, routed), seed)
            lost.append("lost" in outcomes or ("unclear" in outcomes and not case.startswith("one")))
        yield Row(f"{case}: alarm", *count(lost), 0.0, 0.025)


def outages_of_parts(rng, repeats):
    """The collector of one instance of four is down, the requests go on: found, and not taken for a quiet one."""
    for minutes, loss, most in ((3, 1.0, 0.7), (12, 0.6, 0.3)):
        found, whole, moved = [], [], []
        for seed in range(repeats):
            share, begin = np.full((4, 90), 0.2), int(rng.integers(15, 75 - minutes))
            share[2, begin : begin + minutes] *= 1 - loss
            strata = _parts(rng, 90, share)
            outcomes = _fates(strata, seed)
            found.append(outcomes[2] in {"lost", "unclear"})
            moved.append("moved" in outcomes)
            traced, asked = strata[2].traced + strata[2].others, strata[2].requests
            whole.append(_is_alarm(gap_scan(traced, asked, replicates=99, seed=seed)))
        yield Row(f"{minutes} minutes, {loss:.0%} lost: found", *count(found), 0.90, 1.0)
        yield Row(f"{minutes} minutes, {loss:.0%} lost: taken for traffic that moved", *count(moved), 0.0, 0.025)
        yield Row(f"{minutes} minutes, {loss:.0%} lost: seen in the whole (guard)", *count(whole), 0.0, most)


def gaps_of_reservoirs(rng, repeats):
    """A sampler that keeps the first of every second and 5%: the share falls as traffic rises, which is no gap."""
    for quota in (1, 3):
        alarms, found, plain = [], [], []
        for seed in range(repeats):
            requests = traffic(rng, 180, season=0.95)
            taken = np.minimum(rng.poisson(requests[:, None] / 60, (180, 60)), quota).sum(1)
            kept = np.minimum(taken + rng.binomial(requests, 0.05), requests)
            alarms.append(_is_alarm(Stratum(kept, requests).worst(seed=seed)))
            begin = int(rng.integers(10, 160))
            kept[begin : begin + 10] = rng.binomial(kept[begin : begin + 10], 0.3)
            gap = Stratum(kept, requests).worst(seed=seed)
            found.append(_is_alarm(gap) and gap.start < begin + 10 and begin < gap.end)
            plain.append(_is_alarm(gap_scan(kept, requests, replicates=99, seed=seed)))
        yield Row(f"reservoir of {quota}: false alarms", *count(alarms), 0.0, 0.025)
        yield Row(f"reservoir of {quota}: ten minutes, 70% lost: found", *count(found), 0.90, 1.0)
        yield Row(f"reservoir of {quota}: beside the requests alone (guard)", *count(plain), 0.0, 0.5)


def completeness(rng, repeats):
    """Share of spans that never arrived: the interval covers the truth; blind where leaves are lost."""
    whole = forest_of()
    trace = whole.forest.trace
    is_leaf = np.diff(whole.forest.child_offsets) == 0
    n = len(trace)
    for case, kept in (
        ("1% lost", lambda: rng.random(n) >= 0.01),
        ("5% lost", lambda: rng.random(n) >= 0.05),
        ("20% lost", lambda: rng.random(n) >= 0.20),
        ("5% lost, clustered by trace", lambda: rng.random(n) >= rng.beta(0.5, 9.5, len(whole))[trace]),
    ):
        target = 0.01 if case.startswith("1") else 0.2 if case.startswith("2") else 0.05
        covered = []
        for _ in range(repeats):
            (finding,) = missing_spans(Case(only(whole, kept())))
            covered.append(finding.estimate.low <= target <= finding.estimate.high)
        yield Row(f"{case}: covered", *count(covered), 0.92, 0.985)
    blind = []
    for _ in range(repeats):
        kept = rng.random(n) >= np.where(is_leaf, 0.30, 0.10)
        (finding,) = missing_spans(Case(only(whole, kept)))
        blind.append(finding.estimate.high < 1 - kept.mean())
    yield Row("leaves lost three times as often: too low, as its caveat says", *count(blind), 0.90, 1.0)


def captured_twice(rng, repeats):
    """Calls by capture and recapture: sides and total cover the truth."""
    whole = rpc()
    part = np.tile(np.arange(3), len(whole))
    for clients, servers in ((0.95, 0.9), (0.99, 0.7)):
        side, total = [], []
        for _ in range(repeats):
            arrives = np.array([1.0, clients, servers])[part]
            kept = rng.random(len(part)) < arrives
            (finding,) = call_pairs(Case(only(whole, kept)))
            row = finding.evidence.iloc[0]
            side.append(row["server_low"] <= servers <= row["server_high"])
            total.append(row["call_low"] <= len(whole) <= row["call_high"])
        yield Row(f"clients {clients:.0%}, servers {servers:.0%}: share of servers covered", *count(side), 0.92, 0.985)
        yield Row(f"clients {clients:.0%}, servers {servers:.0%}: number of calls covered", *count(total), 0.92, 0.985)
    covered = []
    for _ in range(repeats):
        client, server = rng.random(2000) < 0.9, rng.random(2000) < 0.8
        found = all_calls(int(client.sum()), int(server.sum()), int((client & server).sum()))
        covered.append(found.low <= 2000 <= found.high)
    yield Row("2,000 calls, both sides lose: number covered", *count(covered), 0.92, 0.985)


def propagation_breaks(rng, repeats):
    """Broken propagation: false alarms where nothing is broken, found and counted where it is."""
    for rate, direct in ((2, 0.5), (20, 2)):
        flagged = [stitch(*gateway(rng, rate, 0, direct)[:4], seed=seed).p <= 0.05 for seed in range(repeats)]
        yield Row(f"{rate}/s, nothing broken: flagged", *count(flagged), 0.0, 0.05)
    for rate, broken, direct in ((2, 0.05, 0.5), (2, 0.3, 0.5), (20, 0.1, 2)):
        flagged, covered = [], []
        for seed in range(max(repeats // 2, 50)):
            world = gateway(rng, rate, broken, direct)
            found = stitch(*world[:4], seed=seed)
            flagged.append(found.p <= 0.05)
            covered.append(found.low <= world.broken <= found.high)
        yield Row(f"{rate}/s, {broken:.0%} broken: flagged", *count(flagged), 0.99, 1.0)
        yield Row(f"{rate}/s, {broken:.0%} broken: number covered", *count(covered), 0.92, 1.0)


def clock_truth(rng, repeats):
    """Clock offsets and drifts contain the truth; skews, drifts and steps are told apart."""

    def interval(world, tolerance):
        found = agree(np.zeros(len(world.low), int), world.low, world.high, async_ratio=tolerance)
        return int(found.low[0]), int(found.high[0]), float(found.ratio[0])

    for unawaited, tolerance in ((0.0, 0.05), (0.05, 0.08), (0.20, 0.25)):
        inside = []
        for _ in range(repeats):
            low, high, _ = interval(calls(rng, 300, 3_000_000, unawaited=unawaited), tolerance)
            inside.append(low <= 3_000_000 <= high)
        yield Row(f"offset, {unawaited:.0%} unawaited: truth contained", *count(inside), 0.995, 1.0)
    for offset, wanted in ((0, (0.0, 0.005)), (2_000_000, (0.995, 1.0))):
        skewed = []
        for _ in range(repeats):
            low, high, _ = interval(calls(rng, 300, offset), 0.05)
            skewed.append(low > 0 or high < 0)
        yield Row(f"clocks {offset / 1e6:g} ms apart: said to be", *count(skewed), *wanted)
    few = max(repeats // 4, 50)
    for ppm in (20, 100):
        contained = []
        for _ in range(few):
            found = drift(*calls(rng, 300, 0, seconds=3600, drift_ppm=ppm))
            contained.append(found.low <= ppm * 1000 <= found.high and found.low > 0)
        yield Row(f"drift of {ppm} ppm: contained, and not 0", *count(contained), 0.99, 1.0)
    stepped = []
    for _ in range(few):
        found = step(*calls(rng, 300, 0, step_ns=20_000_000), tolerance=0.05)
        stepped.append(found.low <= 20_000_000 <= found.high and found.ratio >= 0.95)
    yield Row("step of 20 ms: found with its size", *count(stepped), 0.99, 1.0)


_TRACES = 60
_CHAINS = (
    ("host names", {}),
    ("no host names", {"host": False}),
    ("a trace every 30 s, 2 pods", {"apart_s": 30, "pods": 2}),
    ("X-Ray", {"shape": "xray"}),
    ("messaging marked", {"marks": True}),
)


def clocks_left_alone(rng, repeats):
    """Clocks are right, a share of the calls is asynchronous: traces that tk.critical_path corrects, worst delay."""
    worlds = -(-repeats // _TRACES)
    for name, world in _CHAINS:
        for share in (0.0, 0.04, 0.1, 0.2, 0.5):
            worst = 0
            for delay in ("constant", "random", "short") if share else ("random",):
                found = 0
                for _ in range(worlds):
                    path = tk.critical_path(chain(rng, _TRACES, share=share, delay=delay, **world).traces)
                    found += path.offsets["trace_id"].nunique()
                worst = max(worst, found)
            yield Row(f"{name}, {share:.0%} asynchronous: traces corrected", worst, worlds * _TRACES, 0.0, 0.005)


def clocks_put_right(rng, repeats):
    """Clocks are wrong, a share of the calls is asynchronous: traces corrected by tk.clock_skew, intervals, quality."""
    worlds = -(-repeats // _TRACES)
    for name, ahead in (
        ("20 ms ahead, another 7 ms behind", lambda _: (0, 20 * MS, -7 * MS)),
        ("the root's 5 ms ahead", lambda _: (5 * MS, 0, 0)),
        ("3 ms behind", lambda _: (0, -3 * MS, 0)),
        ("drift of 20 ppm from 4 ms", lambda second: (0, 4 * MS + 20e-6 * second * SECOND, 0)),
    ):
        for share in (0.0, 0.04, 0.1, 0.2):
            corrected, covered, of = 0, 0, 0
            for _ in range(worlds):
                world = chain(rng, _TRACES, share=share, delay="constant", ahead=ahead)
                skew = tk.clock_skew(world.traces)
                corrected += int((skew.traces["moved_clock_count"] > 0).sum())
                clocks = skew.offsets[skew.offsets["evidence"] != "none"].merge(
                    world.ahead_ns.drop_duplicates(["trace_id", "host_name"]),
                    left_on=["trace_id", "host"],
                    right_on=["trace_id", "host_name"],
                )
                covered += int(clocks["ahead"].between(clocks["low_ns"], clocks["high_ns"]).sum())
                of += len(clocks)
            least = 0.99 if share <= 0.1 else 0.9
            yield Row(f"{name}, {share:.0%}: traces corrected", corrected, worlds * _TRACES, least, 1.0)
            yield Row(f"{name}, {share:.0%}: truth contained", covered, of, 0.995, 1.0)


def silent_stretches(rng, repeats):
    """Silence without counts: false alarms on calm and seasonal traffic; bursts are refused."""
    for case, swing, n, days in (
        ("homogeneous", 1.0, 4000, 1),
        ("tenfold season", 10.0, 4000, 1),
        ("two days of few traces", 20.0, 1150, 2),
    ):
        alarms = []
        for _ in range(repeats):
            t = np.sort(rng.random(n)) * 86400 * days
            rate = 1 + (swing - 1) * (1 + np.sin(2 * np.pi * t / 86400)) / 2
            t = t[rng.random(len(t)) < rate / swing]
            alarms.append(len(silences((t * 1e9).astype(np.int64)).before) > 0)
        yield Row(f"{case}: any silence", *count(alarms), 0.0, 0.06)
    found = []
    for _ in range(repeats):
        t = np.cumsum(rng.exponential(20.0, 1500))
        t[700:] += 600
        found.append(len(silences((t * 1e9).astype(np.int64)).before) > 0)
    yield Row("outage of 10 minutes at 3 traces a minute: found", *count(found), 0.95, 1.0)
    refused = []
    for _ in range(repeats):
        t = np.repeat(np.cumsum(rng.exponential(20.0, 400)), rng.integers(1, 8, 400))
        refused.append(burst((t * 1e9).astype(np.int64)) > 1.3)
    yield Row("bursts: refused", *count(refused), 0.99, 1.0)


def lags_of_the_young(rng, repeats):
    """Ingestion lag: the estimate covers the truth although the slow ones of the last minutes were not seen."""
    truth = float(np.exp(2.0 + 1.6449 * 0.8))
    covered, naive = [], []
    for _ in range(repeats):
        age, lag = rng.random(3000) * 120, rng.lognormal(2.0, 0.8, 3000)
        seen = lag <= age
        _, low, high = truncated_lags(lag[seen], age[seen]).quantile(0.95)
        covered.append(low <= truth <= high)
        naive.append(np.quantile(lag[seen], 0.95) < truth)
    yield Row("95th percentile: covered", *count(covered), 0.92, 0.985)
    yield Row("95th percentile as seen: too low (the guard of the world)", *count(naive), 0.95, 1.0)


def lags_between_polls(rng, repeats):
    """Ingestion lag of traces that were polled for: what polls leave open, and chance, hold the truth."""
    truth = float(np.exp(2.0 + 1.6449 * 0.8))
    for gap, even in ((5, True), (30, True), (30, False)):
        covered, around, naive = [], [], []
        for _ in range(repeats):
            begun, lag = rng.random(2000) * 600, rng.lognormal(2.0, 0.8, 2000)
            apart = np.full(600 // gap, gap) if even else rng.uniform(0.5, 1.5, 600 // gap) * gap
            polls = np.cumsum(np.append(0.0, apart))
            at = np.searchsorted(polls, begun + lag)
            seen = (at < len(polls)) & (at > 0)
            begun, after, by = begun[seen], polls[at[seen] - 1], polls[at[seen]]
            least, most, low, high = lag_bounds(begun, after, by, now=polls[-1], before=polls[-2]).quantile(0.95)
            covered.append(low <= truth <= high)
            around.append(least <= truth <= most)
            _, low, _ = truncated_lags(by - begun, polls[-1] - begun).quantile(0.95)
            naive.append(low > truth)
        what = f"every {gap} s{'' if even else ', uneven'}"
        yield Row(f"{what}: 95th percentile within the limits", *count(covered), 0.95, 1.0)
        yield Row(f"{what}: between the two ends, without chance", *count(around), 0.8, 1.0)
        if gap == 30:
            yield Row(f"{what}: polls taken for receipts are too late (guard)", *count(naive), 0.95, 1.0)


def young_edge_left_out(rng, repeats):
    """Rate and p95 of five minutes of which the last had not all arrived: what is left covers the truth."""
    names = ("rate", "p95")
    hits = {(name, which): [] for name in names for which in ("whole", "as it is")}
    slow = np.random.default_rng(98)
    truth = float(np.quantile(_durations(slow, 10**6), 0.95))
    for _ in range(repeats):
        n = rng.poisson(4500)
        begun, took = rng.random(n) * 300, _durations(rng, n)
        delay = took + rng.lognormal(2.0, 0.8, n)
        seen = (rng.random(n) < 0.5) & (begun + delay <= 300)
        bounds = lag_bounds(begun[seen], (begun + delay)[seen], (begun + delay)[seen], now=300, before=300)
        edge = 300 - bounds.most.quantile(0.99)[0]
        for which, until in (("whole", edge), ("as it is", 300)):
            kept, asked = seen & (begun <= until), (begun <= until).sum()
            low, high = wilson(kept.sum() / asked, asked)
            hits["rate", which].append(low <= 0.5 <= high)
            (p95,) = quantile_limits(np.full(kept.sum(), 0.5), took[kept], (0.95,), target="process")
            hits["p95", which].append(p95.low <= truth <= p95.high)
    for name, most in zip(names, (0.6, 0.85), strict=True):
        yield Row(f"{name} of what is whole: covered", *count(hits[name, "whole"]), 0.93, 0.97)
        yield Row(f"{name} of all that is there: covered (guard)", *count(hits[name, "as it is"]), 0.0, most)


def _durations(rng, n):
    """Seconds: most of a second, a tenth of half a minute."""
    return np.where(rng.random(n) < 0.1, rng.lognormal(3.4, 0.3, n), rng.lognormal(0, 0.5, n))


def _iban(rng):
    body = f"{rng.integers(0, 10**18):018d}"
    return f"DE{98 - int(body + '131400') % 97:02d}{body}"


def _planted(rng):
    """One private value of every kind, with its kind."""
    a, b, c = (int(n) for n in rng.integers(100, 999, 3))
    word = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 6))
    key = "".join(rng.choice(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), 16))
    card = luhn_number(rng)
    return [
        ("email", f"mail {word}.{a}@{word}.example.org"),
        ("phone number", f"call +49 {a} {b}{c}"),
        ("payment card", " ".join(card[at : at + 4] for at in range(0, 16, 4))),
        ("IBAN", _iban(rng)),
        ("social security number", f"{a % 600 + 1:03d}-{b % 99 + 1:02d}-{c:04d}".replace("666-", "665-")),
        ("AWS access key", f"id=AKIA{key}"),
        ("credentials", f"Bearer {key}{word}{a}"),
        ("API token", f"ghp_{(key + word).ljust(36, 'x')}"),
        ("secret in a parameter", f"/reset?token={word}{a}{key}"),
        ("email", f"/users/{word}.é{a}%40{word}.example"),
        ("private address", f"fd{a % 256:02x}:{b:x}:{c:x}::1"),
        ("password in an address", f"amqp://{word}:{key}@broker.example:5672/"),
    ]


def _harmless(rng):
    """Values that look like private ones at first sight."""
    a, b, c = (int(n) for n in rng.integers(100, 999, 3))
    word = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 6))
    wrong = int(luhn_number(rng)) + 1
    return [
        f"{word}@{a}.{b}",
        f"+{a % 90 + 10}:{b % 60:02d}",
        " ".join(f"{wrong:016d}"[at : at + 4] for at in range(0, 16, 4)),
        f"{a}-{b}-{c}",
        f"9{a % 100:02d}-{b % 99 + 1:02d}-{c:04d}",
        f"AKIA{word}",
        f"de{a % 90 + 10}{a:03x}{b:03x}{c:03x}{word}0f",
        f"next_token={word}{a}{word}",
        f"git@{word}.example:{word}/{word}.git",
        f"{a % 60:02d}:{b % 60:02d}:{c % 60:02d}",
        f"Bearer {'*' * 16}",
        f"https://{word}.example:8443/{a}?q={b}",
        f"{a:08x}-{b % 4096:04x}-4{c % 4096:03x}-8abc-{a * b * c:012x}",
        f"1795{a:03d}{b:03d}{c:03d}",
    ]


def planted_values(rng, repeats):
    """Personal data and secrets among harmless look-alikes: recall, and silence."""
    found, silent = [], []
    for _ in range(repeats):
        planted = _planted(rng)
        kinds = {(hit.row, hit.kind) for hit in hits(blob([text for _, text in planted]))}
        found += [(row, kind) in kinds for row, (kind, _) in enumerate(planted)]
        harmless = _harmless(rng)
        blamed = {hit.row for hit in hits(blob(harmless))}
        silent += [row not in blamed for row in range(len(harmless))]
    yield Row("planted values: found as what they are", *count(found), 0.99, 1.0)
    yield Row("look-alikes: left alone", *count(silent), 0.99, 1.0)
    digits = ([f"{n:016d}" for n in rng.integers(0, 10**16, 50)] for _ in range(repeats))
    valid = [digit_runs(blob(texts)).is_valid.mean() < 0.3 for texts in digits]
    yield Row("of random digits three in ten pass the check digit: never", *count(valid), 0.99, 1.0)


_SPARED = 40  # recordings of each world where the other tables have thousands: every check runs


def alarms_on_clean_recordings(rng, repeats):
    """Healthy recordings, each with and without counted requests: alarms of any check, and which."""
    both = "critical", "warning"
    everywhere = {severity: [] for severity in both}
    minutes = 60 if repeats > 1 else 30
    for case in CASES:
        which, seen = Counter(), {severity: [] for severity in both}
        for _ in range(min(repeats, _SPARED)):
            frame, requests = recording(rng, case, minutes=minutes)
            traces = TraceSet.from_spans(frame)
            told = [one for given in (requests, None) for one in tk.quality(traces, requests=given)]
            found = {(one.severity, one.check) for one in told if one.check not in _TRUE_OF.get(case, ())}
            for severity in both:
                seen[severity].append(any(one == severity for one, _ in found))
            which.update(" ".join(one) for one in found if one[0] in both)
        note = ", ".join(f"{name}: {times}" for name, times in which.items())
        for severity, most in zip(both, (0.025, 0.05), strict=True):
            everywhere[severity] += seen[severity]
            yield Row(f"{case}: {severity}", *count(seen[severity]), 0.0, most, note)
    for severity, most in zip(both, (0.025, 0.05), strict=True):
        yield Row(f"all of them: {severity}", *count(everywhere[severity]), 0.0, most)


_TRUE_OF = {"skewed clocks": {"clock.offset"}}  # what is so in the world is no false alarm


def gaps_of_recordings(rng, repeats):
    """One instance or most of the traces are lost, through the public function: found, and named once."""
    for case, lost in (("one of four instances for 12 minutes", 1.0), ("60% of everything for 15 minutes", 0.6)):
        found, once = [], []
        for _ in range(min(repeats, 2 * _SPARED)):
            frame, requests = recording(rng, "even", minutes=90, mean=60, share=0.2)
            frame = frame[frame["span_id"] == "1"]
            minute = (frame["start_ns"] - START) // MINUTE
            is_down = minute.between(40, 51) if lost == 1 else minute.between(40, 54)
            is_down &= (frame["service_instance_id"] == "shop-2") if lost == 1 else rng.random(len(frame)) < lost
            told = tk.quality(TraceSet.from_spans(frame[~is_down]), requests=requests, checks=["gap.scan"])
            alarms = [one for one in told if one.severity in {"critical", "warning"}]
            found.append(len(alarms) > 0)
            once.append(len(alarms) < 2)
        yield Row(f"{case}: found", *count(found), 0.90, 1.0)
        yield Row(f"{case}: not found twice", *count(once), 0.95, 1.0)


TABLES = (
    Table(alarms_on_clean_recordings, 215, 1),
    Table(gaps_of_recordings, 216, 3),
    Table(quiet_collection, 201, 100),
    Table(outages, 202, 45),
    Table(quiet_parts, 212, 40),
    Table(outages_of_parts, 213, 25),
    Table(gaps_of_reservoirs, 214, 20),
    Table(completeness, 203, 60),
    Table(captured_twice, 204, 50),
    Table(propagation_breaks, 205, 50),
    Table(clocks_left_alone, 31, 60),
    Table(clocks_put_right, 32, 60),
    Table(clock_truth, 206, 300),
    Table(silent_stretches, 207, 200),
    Table(lags_of_the_young, 208, 200),
    Table(lags_between_polls, 210, 200),
    Table(young_edge_left_out, 211, 200),
    Table(planted_values, 209, 200),
)
