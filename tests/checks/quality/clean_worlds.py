"""Recordings of healthy systems: whatever a check claims about them is a false alarm."""

import functools

import numpy as np
import pandas as pd
from checks.quality.worlds import EPOCH_NS, MINUTE, MS, SECOND
from checks.sampling.simulators import id_formats

from tracekit.weights.id_maps import ID_MAPS

START = EPOCH_NS // MINUTE * MINUTE
_OFFSETS = {"shop": 0, "pay": 30 * MS, "mail": 2 * SECOND}

ROUTES = ("GET /", "GET /cart", "POST /order")


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
            begin = (at + 1) * minutes // 6
            both[begin:, at] = 0
            both[begin + minutes // 12 :, 4 + at] = 0.25
        return both / both.sum(1, keepdims=True)
    return even


FORMATS = {
    name: id_formats()[name]
    for name in (
        "64 bits after zeros",
        "X-Ray",
        "UUIDv4",
        "UUIDv7",
        "ULID",
        "two positive longs",
        "two signed longs",
        "snowflake",
        "counter",
    )
}
CASES = (
    "even",
    "skewed clocks",
    "no host names",
    "asynchronous calls",
    "queues",
    "X-Ray sends",
    "retries",
    "concurrent calls",
    "replicas",
    "dominant instance",
    "failed over",
    "autoscaled",
    "rolling deployment",
    "in progress",
    "recorded by ot=th",
    "two samplers",
    *FORMATS,
    "no trace",
    "one trace",
    "two traces",
    "five traces",
)
_FEW = {"no trace": 0, "one trace": 1, "two traces": 2, "five traces": 5}


def recording(rng, case, *, minutes=60, mean=30, share=0.5, n=None, failing=0.03):
    """Spans of a shop that asks a payment service, which asks a partner and sends mail; and its requests by minute.

    ``n`` requests, all of them recorded; or ``mean`` a minute of which a share is.  ``failing`` is the share of calls
    to the payment service that fail.
    """
    n = _FEW.get(case, n)
    requests = rng.poisson(mean, minutes) + 1 if n is None else rng.multinomial(n, np.full(minutes, 1 / minutes))
    kept = rng.binomial(requests, share) if n is None and case not in _SAMPLERS else requests
    minute = np.repeat(np.arange(minutes), kept)
    start = START + np.sort(minute * MINUTE + rng.integers(0, MINUTE, len(minute)))
    halves = FORMATS.get(case, id_formats()["random 128"])(rng, start)
    ids = [f"{high:016x}{low:016x}" for high, low in zip(*(half.tolist() for half in halves), strict=True)]
    failed = rng.random(len(start)) < failing
    frame = pd.concat(_trees(rng, case, start, ids, routing(rng, case, minutes)[minute], failed), ignore_index=True)
    if case in _SAMPLERS:
        frame = frame[np.tile(_SAMPLERS[case](halves, failed), len(frame) // max(len(start), 1))]
        frame = frame.assign(trace_state="ot=th:8")
    if case == "in progress":  # read while the last requests were served: what ends later has no end yet
        now = START + minutes * MINUTE - 5 * SECOND
        frame = frame[frame["start_ns"] < now]
        frame = frame.assign(end_ns=frame["end_ns"].astype("Int64").where(frame["end_ns"] < now))
    times = pd.to_datetime(START + np.arange(minutes) * MINUTE, unit="ns", utc=True)
    return frame, pd.DataFrame({"time": times, "count": requests})


def _head(halves, _):
    """A head sampler that keeps half of the requests."""
    return ID_MAPS["OpenTelemetry consistent sampling"](*halves) <= 0.5


def _two_stages(halves, failed):
    """A collector behind it keeps what failed, and 20% of the rest."""
    return _head(halves, failed) & (failed | (ID_MAPS["collector tail_sampling"](*halves) <= 0.2))


_SAMPLERS = {"recorded by ot=th": _head, "two samplers": _two_stages}


def _trees(rng, case, start, trace_id, weights, failed):
    """One frame a span of the trees, one row a trace in each."""
    n = len(start)
    instance = (rng.random(n)[:, None] > np.cumsum(weights, axis=1)).sum(1)
    instance = np.minimum(instance, weights.shape[1] - 1)
    spans = functools.partial(_spans, start, trace_id, _OFFSETS if case == "skewed clocks" else {})
    of_pay = rng.integers(0, 2, n)
    version = {"service_version": np.where(instance > 3, "2.1", "2.0")} if case == "rolling deployment" else {}
    zone = np.array(["eu-1a", "eu-1b"])[instance % 2]

    def shop(*span):
        return spans(*span[:2], "shop", instance, zone, *span[2:]).assign(**version)

    def pay(*span):
        return spans(*span[:2], "pay", of_pay, "eu-1c", *span[2:])

    usual_s = 30 if case == "in progress" else 0.05
    took = (rng.lognormal(np.log(usual_s), 0.5, n) * 1e9).astype(np.int64) + 20 * MS
    begin = 2 * MS + rng.integers(MS // 2, 3 * MS, n)
    end, answer = took - begin, took - 2 * MS
    if case == "asynchronous calls":  # a tenth of the calls return at once, and the work begins later
        at_once = rng.random(n) < 0.1
        late = np.where(at_once, (rng.exponential(0.2, n) * 1e9).astype(np.int64), 0)
        begin, end, answer = begin + late, end + late, np.where(at_once, 5 * MS, answer)
    route = np.array(ROUTES)[rng.choice(3, n, p=[0.6, 0.3, 0.1])]
    partner = {"attributes.server.address": "api.partner.example"}
    frames = [
        shop("1", None, "SERVER", route, 0, took, failed),
        shop("2", "1", "CLIENT", "POST", 2 * MS, answer, failed),
        pay("3", "2", "SERVER", "POST /pay", begin, end, failed),
        pay("4", "3", "CLIENT", "GET", begin + MS, end - MS, 0).assign(**partner),
        *_MORE.get(case, _nothing)(rng, spans, shop, pay, took, begin),
    ]
    return [frame.drop(columns="host_name") for frame in frames] if case == "no host names" else frames


def _nothing(*_):
    """Return no more spans."""
    return []


def _queue(rng, spans, _, pay, took, begin, kinds=("PRODUCER", "CONSUMER")):
    """Mail that is sent some seconds later."""
    delay = (rng.exponential(5, len(took)) * 1e9).astype(np.int64)
    return [
        pay("5", "3", kinds[0], "mail send", begin + MS, begin + 2 * MS, 0).assign(**_SQS),
        spans("6", "5", "mail", 0, "eu-1a", kinds[1], "mail process", begin + delay, begin + 2 * MS + delay, 0),
    ]


_SQS = {"attributes.messaging.system": "aws_sqs"}


def _concurrent(rng, spans, shop, _, took, begin):
    """Prices and stock that the shop asks for while it waits for the payment."""
    frames = []
    for client, server, service in (("5", "6", "price"), ("7", "8", "stock")):
        end = begin + (rng.random(len(took)) * (took - 2 * begin)).astype(np.int64)
        frames += [
            shop(client, "1", "CLIENT", "GET", MS, end + MS, 0),
            spans(server, client, service, 0, "eu-1c", "SERVER", f"GET /{service}", 2 * MS, end, 0),
        ]
    return frames


def _replicas(_, spans, __, pay, took, begin):
    """One shard of the payment service asks another."""
    there = np.arange(len(took)) % 2 + 2
    return [
        pay("5", "3", "CLIENT", "GET", begin + MS, begin + 4 * MS, 0),
        spans("6", "5", "pay", there, "eu-1c", "SERVER", "GET /shard", begin + 2 * MS, begin + 3 * MS, 0),
    ]


def _retries(rng, spans, shop, _, took, __):
    """Of the calls 5% fail at once and are repeated; the second call is the one that counts."""
    again = rng.random(len(took)) < 0.05
    first = shop("2a", "1", "CLIENT", "POST", MS // 2, 3 * MS // 2, 1)
    server = spans("3a", "2a", "pay", 2, "eu-1c", "SERVER", "POST /pay", MS * 3 // 4, MS * 5 // 4, 1)
    return [first[again], server[again]]


_MORE = {
    "queues": _queue,
    "X-Ray sends": functools.partial(_queue, kinds=("CLIENT", "SERVER")),  # X-Ray has no producers
    "concurrent calls": _concurrent,
    "replicas": _replicas,
    "retries": _retries,
}


def _spans(start, trace_id, offsets, span, parent, service, instance, zone, kind, name, begin, end, failed):
    """One span a trace."""
    offset = offsets.get(service, 0)
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
