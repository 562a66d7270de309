"""Worlds with a known truth: populations, arrivals, ids, and samplers as pure functions of them."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from tracekit import TraceSet
from tracekit.stats.second_reservoir import SECOND_NS, rank_in_second
from tracekit.weights.id_maps import ID_MAPS

LOW32 = np.uint64(0xFFFFFFFF)
EPOCH_NS = 1_795_000_000 * SECOND_NS
PEOPLE = 20_000


class Population(NamedTuple):
    """Requests, kept or not."""

    failed: np.ndarray
    took_ms: np.ndarray
    spans: np.ndarray
    failed_spans: np.ndarray  # in clusters


def population(rng, n=PEOPLE):
    """1% fail and take four times as long, 3% have an exponential tail, failing spans crowd in 2% of the traces."""
    failed = rng.random(n) < 0.01
    slow = np.where(rng.random(n) < 0.03, rng.exponential(900, n), 0)
    took = np.exp(rng.normal(4.2, 0.8, n)) * np.where(failed, 4, 1) + slow
    spans = 1 + rng.poisson(4, n)
    return Population(failed, took, spans, rng.binomial(spans, np.where(rng.random(n) < 0.02, 0.5, 0.004)))


def keep_errors_and_slow(_, world):
    return np.where(world.failed | (world.took_ms > 1000), 1.0, 0.05)


def dynamic_keys(rng, world):
    key, rate = rng.integers(0, 30, len(world.failed)), 2.0 ** rng.integers(0, 7, 30)
    return np.where(world.failed, 0.5, 1 / rate[key])


def head(rate):
    return lambda _, world: np.full(len(world.failed), rate)


def heavy_weights(rng, world):
    return 1 / (2.0 ** rng.integers(0, 10, 60))[rng.integers(0, 60, len(world.failed))]


DESIGNS = {
    "tail: errors and slow, rest 5%": keep_errors_and_slow,
    "dynamic keys 1..64, errors 1/2": dynamic_keys,
    "head 5%": head(0.05),
    "head 1%": head(0.01),
    "weights 1..512, unrelated": heavy_weights,
}


class Arrivals(NamedTuple):
    """An hour of requests: cron jobs come in the first 4 ms of a second, are slow and fail more."""

    start_ns: np.ndarray
    took_ms: np.ndarray
    failed: np.ndarray
    requests: np.ndarray  # by second


def hour(rng, *, seconds=3600, busy=30.0, quiet=0.4, cron=0.1):
    """Half an hour of 0.4 a second, then half of 30."""
    count = rng.poisson(np.where(np.arange(seconds) < seconds // 2, quiet, busy))
    second = np.repeat(np.arange(seconds), count)
    is_cron = rng.random(len(second)) < cron
    within = rng.random(len(second)) * np.where(is_cron, 0.004, 1.0)
    start = EPOCH_NS + second * SECOND_NS + (within * SECOND_NS).astype(np.int64)
    order = np.argsort(start, kind="stable")
    is_cron = is_cron[order]
    took = np.exp(rng.normal(3.3, 0.7, len(order))) * np.where(is_cron, 6, 1)
    return Arrivals(start[order], took, rng.random(len(order)) < np.where(is_cron, 0.06, 0.02), count)


def classic_reservoir(rng, start_ns, process, quota, rate):
    """Keep the first of each epoch second and process, the rest by an independent coin."""
    return (rank_in_second(start_ns, process) < quota) | (rng.random(len(start_ns)) < rate)


def random_ids(rng, n):
    return rng.integers(0, 2**64, n, np.uint64), rng.integers(0, 2**64, n, np.uint64)


def xray_ids(rng, n, start_s=1_795_000_000):
    """The first 32 bits are the epoch second."""
    high, low = random_ids(rng, n)
    second = (start_s + rng.integers(0, 86_400, n)).astype(np.uint64)
    return (second << np.uint64(32)) | (high & LOW32), low


def id_formats():
    """How tracers make ids, by name: both halves for the starts of requests, in the order of time."""
    u = np.uint64

    def draw(rng, start, bits=64):
        return rng.integers(0, 2**bits, len(start), u)

    def clock(start, unit_ns):
        return (start // unit_ns).astype(u)

    def version(number, high, low):
        return (high & u(0xFFFFFFFFFFFF0FFF)) | u(number << 12), (low & u(2**62 - 1)) | u(2**63)

    def none(start):
        return np.zeros(len(start), u)

    def timed(rng, start):
        return (clock(start, 10**6) << u(16)) | draw(rng, start, 16)

    return {
        "random 128": lambda r, t: (draw(r, t), draw(r, t)),
        "W3C random flag, 56 random bits": lambda r, t: (none(t) + u(7), (u(9) << u(56)) | draw(r, t, 56)),
        "UUIDv4": lambda r, t: version(4, draw(r, t), draw(r, t)),
        "UUIDv7": lambda r, t: version(7, timed(r, t), draw(r, t)),
        "ULID": lambda r, t: (timed(r, t), draw(r, t)),
        "X-Ray": lambda r, t: ((clock(t, SECOND_NS) << u(32)) | draw(r, t, 32), draw(r, t)),
        "64 bits after zeros": lambda r, t: (none(t), draw(r, t)),
        "63 bits after zeros": lambda r, t: (none(t), draw(r, t, 63)),
        "53 bits after zeros": lambda r, t: (none(t), draw(r, t, 53)),
        "32 bits after zeros": lambda r, t: (none(t), draw(r, t, 32)),
        "Datadog: second, zeros, 63 bits": lambda r, t: (clock(t, SECOND_NS) << u(32), draw(r, t, 63)),
        "Datadog: second, zeros, 64 bits": lambda r, t: (clock(t, SECOND_NS) << u(32), draw(r, t)),
        "two positive longs": lambda r, t: (draw(r, t, 63), draw(r, t, 63)),
        "two signed longs": lambda r, t: (draw(r, t), draw(r, t)),
        "snowflake": lambda r, t: (none(t), (clock(t, 10**6) << u(22)) | draw(r, t, 22)),
        "counter": lambda _, t: (none(t), np.arange(1, len(t) + 1, dtype=u)),
        "counter after a random half": lambda r, t: (none(t) + draw(r, t[:1]), np.arange(1, len(t) + 1, dtype=u)),
    }


def millisecond_ids(rng, n):
    high, low = random_ids(rng, n)
    at = (1_750_000_000_000 + np.sort(rng.integers(0, 600_000, n))).astype(np.uint64)
    return high, (low & np.uint64(0xFFFF)) | (at << np.uint64(16))


def counter_ids(rng, n):
    high, low = random_ids(rng, n)
    return high, (low & np.uint64(0xFFFFFFFF00000000)) | np.arange(n, dtype=np.uint64)


def repeated_ids(rng, n, repeats=5):
    high, low = random_ids(rng, n)
    low[rng.choice(n, repeats, replace=False)] = low[rng.integers(0, n, repeats)]
    return high, low


def thinned_ids(rng, n, family, rate, other=0.0):
    """n ids that passed a sampler, a share of them replaced by ids that came another way."""
    kept = [np.zeros((2, 0), np.uint64)]
    while sum(part.shape[1] for part in kept) < n:
        ids = np.array(random_ids(rng, int(1.3 * n / rate) + 50))
        kept.append(ids[:, ID_MAPS[family](*ids) < rate])
    high, low = np.concatenate(kept, axis=1)[:, :n]
    a, b = random_ids(rng, n)
    strange = rng.random(n) < other
    return np.where(strange, a, high), np.where(strange, b, low)


def traces_of(rng, n=None, *, ids=None, start_ns=None, took_ms=10.0, failed=False, service="web", **columns):
    """A TraceSet of single spans; other columns are those of ``TraceSet.from_spans``."""
    n = len(ids[0]) if ids is not None else len(start_ns) if n is None else n
    high, low = random_ids(rng, n) if ids is None else ids
    start = EPOCH_NS + np.sort(rng.integers(0, 3600 * SECOND_NS, n)) if start_ns is None else np.asarray(start_ns)
    frame = pd.DataFrame(
        {
            "trace_id": [f"{h:016x}{b:016x}" for h, b in zip(high.tolist(), low.tolist(), strict=True)],
            "span_id": "1",
            "service_name": service,
            "name": "GET /",
            "kind": "SERVER",
            "start_ns": start,
            "end_ns": start + (np.broadcast_to(took_ms, n) * 1e6).astype(np.int64),
            "status_code": np.where(np.broadcast_to(failed, n), "ERROR", "OK"),
        }
    )
    return TraceSet.from_spans(frame.assign(**columns))


def status(findings, check):
    """The verdicts of one check."""
    return [finding.evidence["status"].iloc[0] for finding in findings if finding.check == check]


def said(findings, check):
    """The sentences of one check, joined."""
    return " | ".join(finding.headline for finding in findings if finding.check == check)
