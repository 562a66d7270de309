"""Speed of ``tk.listen`` on one core, with requests as the exporter of the OpenTelemetry SDK encodes them.

The receiver is a process of its own; machines are noisy.
"""

import http.client
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

BATCH = 512  # spans of a request, the default of the SDK
BURST = 200_000
SUSTAINED_S = 5
MARKER = 0xFEEDBEEF
RECEIVER = """
import os, sys
from pathlib import Path
import tracekit as tk
def peak_mb():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM")) / 1024
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
with tk.listen(port=0) as run:
    print(run.endpoint.rpartition(":")[2], flush=True)
    before = peak_mb()
    sys.stdin.readline()
    print(run.counts.span_count, run.counts.refused_count, round(peak_mb() - before), flush=True)
    sys.stdin.readline()
spans = run.traces.spans["span_id"]
print(len(spans), spans.nunique())
"""


class Marked(IdGenerator):
    """Ids with four bytes that can be replaced, so that every request has spans of its own."""

    def __init__(self):
        self.made = 0

    def generate_span_id(self):
        self.made += 1
        return MARKER << 32 | self.made

    def generate_trace_id(self):
        return MARKER << 96 | self.made + 1


@pytest.fixture(scope="module")
def template():
    """A request of 512 spans, eight a trace, each with eight attributes."""
    tracer = TracerProvider(resource=Resource({"service.name": "shop"}), id_generator=Marked()).get_tracer("bench")
    spans = []
    for _ in range(BATCH // 8):
        with tracer.start_as_current_span("POST /pay") as root:
            for child in range(7):
                attributes = {f"key.{k}": f"value {child * k}" for k in range(7)} | {"n": child}
                with tracer.start_as_current_span(f"SELECT table_{child}", attributes=attributes) as span:
                    pass
                spans.append(span)
        spans.append(root)
    return encode_spans(spans).SerializeToString()


def body_of(template, number):
    return template.replace(MARKER.to_bytes(4, "big"), (number + 1).to_bytes(4, "big"))


@pytest.fixture
def receiver():
    """The port, and a function that returns (spans, refused requests, MB of memory) and then (spans, distinct ids)."""
    command = [sys.executable, "-c", RECEIVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask():
            process.stdin.write("\n")
            process.stdin.flush()
            return tuple(map(int, process.stdout.readline().split()))

        yield int(process.stdout.readline()), ask
        process.kill()


def send(port, bodies):
    """Send requests on one connection; return the seconds of each."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    took = []
    for body in bodies:
        begun = time.perf_counter()
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        took.append(time.perf_counter() - begun)
    connection.close()
    return took


def test_sustained(receiver, template, figure):
    port, ask = receiver
    begun, took = time.perf_counter(), []
    while time.perf_counter() - begun < SUSTAINED_S:
        took += send(port, [body_of(template, len(took) + k) for k in range(20)])
    rate = len(took) * BATCH / (time.perf_counter() - begun)
    assert ask()[:2] == (len(took) * BATCH, 0)
    assert ask() == (len(took) * BATCH,) * 2
    p50, p99, worst = np.quantile(took, [0.5, 0.99, 1]) * 1000
    figure(f"listen: {SUSTAINED_S} s of requests on one core", "50,000 spans/s", f"{rate:,.0f} spans/s")
    figure("listen: added to the exporter's call", "20 ms", f"p50 {p50:.1f}, p99 {p99:.1f} ms")
    print(f"slowest call {worst:.1f} ms, request of {len(template):,} bytes, {os.cpu_count()} processors")
    assert rate > 50_000
    assert p99 < 20


def test_burst(receiver, template, figure):
    port, ask = receiver
    count = -(-BURST // BATCH)
    bodies = [body_of(template, number) for number in range(count)]
    senders = [threading.Thread(target=send, args=(port, bodies[first::8])) for first in range(8)]
    begun = time.perf_counter()
    for one in senders:
        one.start()
    for one in senders:
        one.join()
    wall_s = time.perf_counter() - begun
    spans, refused, more_mb = ask()
    assert (spans, refused) == (count * BATCH, 0)
    assert ask() == (count * BATCH,) * 2, "every span is there once"
    figure("listen: burst of 200,000 spans, 8 connections", "no span lost", f"0 lost, {wall_s:.1f} s")
    figure("listen: memory for the burst", "", f"{more_mb} MB")
    assert more_mb < 150
