"""Recordings of healthy systems: whatever a check claims about them is a false alarm."""

import functools

import numpy as np
import pandas as pd
from quality.worlds import EPOCH_NS, MINUTE, MS, SECOND

START = EPOCH_NS // MINUTE * MINUTE
_OFFSETS = {"shop": 0, "pay": 30 * MS, "mail": 2 * SECOND}

ROUTES = ("GET /", "GET /cart", "POST /order")


def ids(rng, kind, start_ns):
    """Trace ids as SDKs make them."""
    random = rng.integers(0, 256, (len(start_ns), 16), dtype=np.uint8)
    if kind == "64 bit, padded":
        random[:, :8] = 0
    if kind == "X-Ray":
        random[:, :4] = (start_ns // SECOND).astype(">u4").view(np.uint8).reshape(-1, 4)
    if kind == "UUIDv7":
        random[:, :6] = (start_ns // MS).astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
        random[:, 6] = 0x70 | random[:, 6] & 15
        random[:, 8] = 0x80 | random[:, 8] & 63
    return [row.tobytes().hex() for row in random]


def routing(rng, case, minutes):
    """Share of the requests that each instance of the shop answers, by minute."""
    even = np.full((minutes, 4), 0.25)
    if case == "dominant instance":
        return np.tile([0.97, 0.03], (minutes, 1))
    if case == "failed over":
        return np.where(rng.random(minutes)[:, None] > 0.02, [[0.97, 0.03]], [[0.0, 1.0]])
    if case == "autoscaled":
        return np.where(rng.random(minutes)[:, None] < 0.15, [[0.6, 0.4]], [[1.0, 0.0]])
    if case == "rolling deployment":  # one after the other is away for some minutes, and comes back by another name
        both = np.concatenate((even, np.zeros_like(even)), axis=1)
        for at in range(4):
            begin = 10 + at * (minutes - 20) // 4
            both[begin:, at] = 0
            both[begin + 5 :, 4 + at] = 0.25
        return both / both.sum(1, keepdims=True)
    return even


CASES = (
    "even",
    "64 bit, padded",
    "X-Ray",
    "UUIDv7",
    "skewed clocks",
    "queues",
    "retries",
    "dominant instance",
    "failed over",
    "autoscaled",
    "rolling deployment",
    "one trace",
)


def recording(rng, case, *, minutes=60, mean=30, share=0.5):
    """Spans of a shop that asks a payment service, which asks a partner and sends mail; and its requests by minute."""
    requests = np.array([1]) if case == "one trace" else rng.poisson(mean, minutes) + 1
    kept = requests if case == "one trace" else rng.binomial(requests, share)
    minute = np.repeat(np.arange(len(kept)), kept)
    n = len(minute)
    weights = routing(rng, case, minutes)[minute]
    instance = (rng.random(n)[:, None] > np.cumsum(weights, axis=1)).sum(1)
    instance = np.minimum(instance, weights.shape[1] - 1)
    start = START + minute * MINUTE + rng.integers(0, MINUTE, n)
    spans = functools.partial(_spans, start, ids(rng, case, start), 2 * SECOND if case == "skewed clocks" else 0)
    took = (rng.lognormal(-3, 0.5, n) * 1e9).astype(np.int64) + 20 * MS
    zone = np.array(["eu-1a", "eu-1b"])[instance % 2]
    failed = rng.random(n) < 0.03
    route = np.array(ROUTES)[rng.choice(3, n, p=[0.6, 0.3, 0.1])]
    frames = [
        spans("1", None, "shop", instance, zone, "SERVER", route, 0, took, failed),
        spans("2", "1", "shop", instance, zone, "CLIENT", "POST", 2 * MS, took - 2 * MS, failed),
    ]
    of_pay = rng.integers(0, 2, n)
    there = rng.integers(MS // 2, 3 * MS, n)
    frames += [
        spans("3", "2", "pay", of_pay, "eu-1c", "SERVER", "POST /pay", 2 * MS + there, took - 2 * MS - there, failed),
        spans("4", "3", "pay", of_pay, "eu-1c", "CLIENT", "GET", 6 * MS, took - 6 * MS, 0).assign(
            **{"attributes.server.address": "api.partner.example"}
        ),
    ]
    if case == "queues":
        delay = (rng.exponential(5, n) * 1e9).astype(np.int64)
        frames += [
            spans("5", "3", "pay", of_pay, "eu-1c", "PRODUCER", "mail send", 6 * MS, 7 * MS, 0),
            spans("6", "5", "mail", 0, "eu-1a", "CONSUMER", "mail process", 7 * MS + delay, 9 * MS + delay, 0),
        ]
    if case == "retries":  # the shop tries again within its own trace
        again = [frame[failed].assign(span_id=frame["span_id"] + "a") for frame in frames[1:]]
        again[1:] = [frame.assign(parent_span_id=frame["parent_span_id"] + "a") for frame in again[1:]]
        frames += again
    times = pd.to_datetime(START + np.arange(len(requests)) * MINUTE, unit="ns", utc=True)
    return pd.concat(frames, ignore_index=True), pd.DataFrame({"time": times, "count": requests})


def _spans(start, trace_id, skew, span, parent, service, instance, zone, kind, name, begin, end, failed):
    """One span a trace."""
    offset = _OFFSETS[service] if skew else 0
    return pd.DataFrame(
        {
            "trace_id": trace_id,
            "span_id": span,
            "parent_span_id": parent,
            "service_name": service,
            "name": name,
            "kind": kind,
            "start_ns": start + begin + offset,
            "end_ns": start + end + offset,
            "status_code": np.where(np.broadcast_to(failed, len(start)), "ERROR", "OK"),
            "service_instance_id": [f"{service}-{at}" for at in np.broadcast_to(instance, len(start))],
            "host_name": [f"{service}-host-{at}" for at in np.broadcast_to(instance, len(start))],
            "attributes.cloud.availability_zone": zone,
        }
    )
