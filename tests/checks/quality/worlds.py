"""Worlds with known faults: traffic and outages, trees that lose spans, gateways, clocks, planted values."""

import functools
import json
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.signal import lfilter

import tracekit as tk
from tracekit import TraceSet

EPOCH_NS = 1_795_000_000 * 10**9
MS = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND


def traffic(rng, minutes=360, mean=600, season=0.7):
    """Requests a minute with a season and gamma noise."""
    rate = mean * (1 + season * np.sin(2 * np.pi * np.arange(minutes) / minutes)) * rng.gamma(50, 1 / 50, minutes)
    return rng.poisson(rate)


def wandering(rng, n, phi=0.8, sd=0.10):
    """An AR(1) on the log scale, stationary standard deviation 17%."""
    return lfilter([1], [1, -phi], rng.normal(0, sd, n))


@functools.cache
def forest_of(traces=400, mean_spans=8, seed=5):
    """Random recursive trees over eight services; the same every time."""
    rng = np.random.default_rng(seed)
    size = 2 + rng.poisson(mean_spans, traces)
    trace = np.repeat(np.arange(traces), size)
    span = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    parent = (rng.random(len(span)) * np.maximum(span, 1)).astype(int)
    frame = pd.DataFrame(
        {
            "trace_id": [f"{at + 1:032x}" for at in trace],
            "span_id": [f"{at + 1:016x}" for at in span],
            "parent_span_id": [f"{at + 1:016x}" if own else None for own, at in zip(span, parent, strict=True)],
            "service_name": [f"s{at}" for at in rng.integers(0, 8, len(span))],
            "name": "work",
            "kind": "INTERNAL",
            "start_ns": EPOCH_NS + trace * MS + span,
            "end_ns": EPOCH_NS + trace * MS + 1000,
        }
    )
    return TraceSet.from_spans(frame)


def only(traces, keep):
    """The traces without the spans that were lost, as if they had been read so."""
    return TraceSet(traces.columns.take(np.flatnonzero(keep)))


@functools.cache
def rpc(calls=2000):
    """Calls of the ledger by the cart, one a trace: root, client span, server span."""
    at = np.repeat(np.arange(calls), 3)
    part = np.tile(np.arange(3), calls)
    frame = pd.DataFrame(
        {
            "trace_id": [f"{i + 1:032x}" for i in at],
            "span_id": [f"{i + 1:016x}" for i in part],
            "parent_span_id": [None if i == 0 else f"{i:016x}" for i in part],
            "service_name": np.where(part < 2, "cart", "ledger"),
            "name": np.array(["POST /pay", "POST", "POST /charge"])[part],
            "kind": np.array(["SERVER", "CLIENT", "SERVER"])[part],
            "start_ns": EPOCH_NS + at * 10 * MS + part * 1000,
            "end_ns": EPOCH_NS + at * 10 * MS + 1_000_000 - part * 1000,
        }
    )
    return TraceSet.from_spans(frame)


class Gateway(NamedTuple):
    """Unanswered calls, roots, and how many of these continue those."""

    call_start: np.ndarray
    call_end: np.ndarray
    root_start: np.ndarray
    root_end: np.ndarray
    broken: int


def gateway(rng, rate, broken, direct, seconds=600):
    """A gateway that drops the context of a share of its calls, beside genuine roots and peers that send nothing."""
    n = rng.poisson(rate * seconds)
    t, took, lost = np.sort(rng.random(n)) * seconds, rng.lognormal(-3, 0.8, n), rng.random(n) < broken
    mute = (rng.random(n) < 0.05) & ~lost
    m = rng.poisson(direct * seconds)
    own, own_took = rng.random(m) * seconds, rng.lognormal(-3, 0.8, m)
    times = (
        np.r_[t[lost], t[mute]],
        np.r_[t[lost] + took[lost] + 0.003, (t + took)[mute]],
        np.r_[t[lost] + 0.001, own],
        np.r_[t[lost] + 0.001 + took[lost], own + own_took],
    )
    return Gateway(*(EPOCH_NS + (part * 1e9).astype(np.int64) for part in times), int(lost.sum()))


class Calls(NamedTuple):
    """When calls were made, in seconds, and between which ns the offset of the callee's clock lies for each."""

    seconds: np.ndarray
    low: np.ndarray
    high: np.ndarray


def calls(rng, n, offset_ns, *, seconds=600.0, unawaited=0.0, drift_ppm=0.0, step_ns=0):
    """Calls between two hosts whose clocks are apart; the ways there and back differ."""
    start = np.sort(rng.random(n)) * seconds
    there, back = 3e5 + rng.exponential(5e5, n), 6e5 + rng.exponential(5e5, n)
    served = rng.lognormal(-4, 1, n) * 1e9
    theta = offset_ns + drift_ppm * 1e3 * start + step_ns * (start > seconds / 2)
    end = there + served + back
    end = np.where(rng.random(n) < unawaited, rng.exponential(2e6, n) + 1e5, end)
    low, high = there + served + theta - end, there + theta
    usable = high >= low
    return Calls(start[usable], low[usable].astype(np.int64), high[usable].astype(np.int64))


class Chain(NamedTuple):
    """Traces through services that call one another, and how far the clock of every span is ahead of its root's."""

    traces: TraceSet
    ahead_ns: np.ndarray


def chain(rng, n, *, share=0.0, delay="random", ahead=None, apart_s=0.5, host=True, shape="otlp", pods=1, marks=False):
    """An api that calls a worker that calls a store; a share of the calls of the worker is asynchronous.

    ``delay``: constant, random or short, from the request to the start of an asynchronous worker.  ``ahead(second)``
    gives the offsets of the three services' clocks.  ``shape``: ``"otlp"``, or ``"xray"`` where a send is a CLIENT
    subsegment as any call, to a ``resource`` and with the names of the AWS SDK.  ``marks``: asynchronous calls name a
    messaging system.
    """
    at, second = np.arange(n), np.arange(n) * apart_s
    since = {
        "constant": np.full(n, 250 * MS),
        "random": rng.exponential(2 * SECOND, n) + 100 * MS,
        "short": np.full(n, 62 * MS),
    }[delay]
    is_async = rng.random(n) < share
    there, back = 3e5 + rng.exponential(5e5, (2, n)), 6e5 + rng.exponential(5e5, (2, n))
    work = rng.lognormal(np.log(20 * MS), 0.3, n)
    query = rng.lognormal(np.log(5 * MS), 0.3, n)
    begun = EPOCH_NS + second * SECOND
    sent = begun + 5 * MS
    worked = sent + np.where(is_async, since, there[0])
    asked = worked + 2 * MS
    served = asked + there[1]
    answered = served + query + back[1]
    done = answered + work
    acknowledged = np.where(is_async, sent + 60 * MS, done + back[0])
    off = np.zeros((3, n)) if ahead is None else np.array([np.broadcast_to(one, n) for one in ahead(second)])
    parts = (
        ("1", None, "api", "SERVER", begun, np.maximum(acknowledged, sent) + 3 * MS),
        ("2", "1", "api", "CLIENT", sent, acknowledged),
        ("3", "2", "worker", "SERVER", worked, done),
        ("4", "3", "worker", "CLIENT", asked, answered),
        ("5", "4", "store", "SERVER", served, served + query),
    )
    ids, frames, of = trace_ids(n), [], {"api": 0, "worker": 1, "store": 2}
    for span, parent, service, kind, start, end in parts:
        shift = off[of[service]]
        frame = {"trace_id": ids, "span_id": span, "parent_span_id": parent, "service_name": service, "name": service}
        frame |= {"kind": kind, "start_ns": (start + shift).astype(int), "end_ns": (end + shift).astype(int)}
        frame |= {"ahead": (shift - off[0]).astype(int)}
        pod = np.array([f"{service}-{number}" for number in range(pods)])[at % pods]
        frame |= {"host_name": pod} if host else {"service_instance_id": pod} if pods > 1 else {}
        if shape == "xray" and span == "2":
            frame |= {"attributes.aws.xray.namespace": "aws" if marks else "remote"}
            frame |= {"attributes.peer.service": np.where(is_async & marks, "SQS", "worker")}
        if marks and shape == "otlp" and span == "2":
            frame |= {"attributes.messaging.system": np.where(is_async, "kafka", None)}
        frames.append(pd.DataFrame(frame))
    whole = pd.concat(frames, ignore_index=True)
    order = {trace_id: place for place, trace_id in enumerate(sorted(ids))}
    in_order = whole.assign(place=whole["trace_id"].map(order)).sort_values(["place", "span_id"])
    return Chain(TraceSet.from_spans(whole.drop(columns="ahead")), in_order)


def trace_ids(n):
    """Ids as a good generator makes them: from counted ones a sampler would be concluded."""
    made = np.random.default_rng(11).bytes(16 * n)
    return [made[at : at + 16].hex() for at in range(0, 16 * n, 16)]


def spans(n, **columns):
    """A frame of single spans, a second apart."""
    start = EPOCH_NS + np.arange(n) * SECOND
    frame = pd.DataFrame(
        {
            "trace_id": trace_ids(n),
            "span_id": "1",
            "service_name": "web",
            "name": "GET /",
            "kind": "SERVER",
            "start_ns": start,
            "end_ns": start + 5 * MS,
        }
    )
    return frame.assign(**columns)


def otlp(rows):
    """Traces from OTLP JSON; a row is (service, scope, trace, span, parent, name, kind, start, end[, route])."""
    kinds = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3}
    resource_spans = []
    for service, scope, trace, span, parent, name, kind, start, end, *route in rows:
        told = [{"key": "http.route", "value": {"stringValue": route[0]}}] if route else []
        one = {
            "traceId": f"{trace:032x}",
            "spanId": f"{span:016x}",
            "parentSpanId": f"{parent:016x}" if parent else "",
            "name": name,
            "kind": kinds[kind],
            "startTimeUnixNano": str(EPOCH_NS + start),
            "endTimeUnixNano": str(EPOCH_NS + end),
            "attributes": told,
        }
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
        resource_spans.append({"resource": resource, "scopeSpans": [{"scope": {"name": scope}, "spans": [one]}]})
    return tk.read(json.dumps({"resourceSpans": resource_spans}).encode())


def status(findings, check):
    """The verdict of a check: the gravest of its evidence."""
    order = ("failed", "warning", "inconclusive", "not_assessable", "measured", "ok")
    told = [row for finding in findings if finding.check == check for row in finding.evidence["status"]]
    return next(one for one in order if one in told)


def said(findings, check):
    """The sentences of a check."""
    return " | ".join(finding.headline for finding in findings if finding.check == check)


def luhn_number(rng, length=16, lead="4"):
    """A number with a right check digit."""
    digits = [int(sign) for sign in lead] + rng.integers(0, 10, length - 1 - len(lead)).tolist()
    total = sum(sum(divmod(2 * digit, 10)) if at % 2 == 0 else digit for at, digit in enumerate(reversed(digits)))
    return "".join(map(str, digits)) + str(-total % 10)
