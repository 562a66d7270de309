"""Mutated input of every format for the extension alone: no report of a sanitizer, and no end of the process.

``python mutated_alone.py FIRST COUNT`` scans COUNT inputs; nothing is compared, so a million take minutes.
"""

import sys
from pathlib import Path

import numpy as np

sys.path += [str(Path(__file__).parents[place]) for place in (1, 2)]  # also as a program of its own

from loading.jaeger import mutated_answers as jaeger
from loading.native import mutated_lines as otlp
from loading.otlp import mutated_documents as opensearch
from loading.protobuf import mutated_messages as protobuf
from loading.xray import mutated_answers as xray
from loading.xray import mutated_documents, mutated_retrieved
from loading.zipkin import mutated_spans as zipkin

from tracekit.loading import native
from tracekit.redaction.scan import Blob, candidates

REPORTED = 50_000


def ends(*data):
    """Where records end, as the scanners expect it."""
    return np.cumsum([len(one) for one in data], dtype=np.int64).tobytes()


def learned(notation, data, found):
    """Decode the distinct attributes of what was scanned."""
    table = native.extension.attributes(notation)
    for _ in range(2):
        native.extension.learn(table, data, found["distinct_attributes"], found.get("shapes", b""))


def scan_otlp(data):
    """As lines, as items of every kind, and as text of any kind."""
    scan = native.extension
    scan.scan(b"\n".join((otlp.GOOD, data, otlp.GOOD)), b"")
    learned("otlp", data, scan.scan(data, b""))
    at = data.find(b"[") + 1
    for kind in range(4):
        learned("otlp", data, scan.scan_items(data, kind, 9))
        learned("otlp", data[at:], scan.scan_items(data[at:], kind, 9))
    scan.docker(data)
    scan.docker(b'{"log":"%b"}' % data.replace(b"\\", b"\\\\").replace(b'"', b'\\"'))
    scan.items(data[at:])
    scan.depth(data, 0, bool(at), not at)
    scan.newlines(data)
    candidates(Blob(np.frombuffer(data, np.uint8), np.array([0, at, len(data)])))


def scan_opensearch(data):
    """As lines between good ones, as items of a list, and one after the other; cut off at the end."""
    scan = native.extension
    inner = data[data.find(b"[") + 1 :]
    among = b"\n".join((opensearch.GOOD, data, opensearch.GOOD, data))
    for excluded in (b"", bytes(8)):
        learned("otlp", among, scan.scan_documents(among, excluded))
    for kind in (0, 3):
        for some in (data, inner, b"%b,%b" % (opensearch.GOOD, inner), data[: len(data) // 2]):
            learned("otlp", some, scan.scan_document_items(some, kind, 9))


def scan_protobuf(data):
    """As messages, as far as these are whole."""
    scan = native.extension
    whole = data[: scan.messages(data, 0)[0]]
    learned("protobuf", whole, scan.scan_protobuf(whole, b""))


def scan_xray(data):
    """As answers, as traces, as documents, and as items of a list."""
    scan = native.extension
    inner = data[data.find(b"[") + 1 :]
    for one in (data, inner, inner[: inner.rfind(b"]")]):
        for read in (scan.scan_xray, scan.scan_xray_traces, scan.scan_xray_items):
            read(one)
        for read in (scan.scan_xray_documents, scan.scan_xray_list, scan.scan_xray_stream):
            read(one)


def scan_retrieved(data):
    """As answers, as traces and as items of a list, whose documents are scanned."""
    scan = native.extension
    inner = data[data.find(b"[") + 1 :]
    for one in (data, inner):
        for read in (scan.scan_xray_of_otel, scan.scan_xray_traces_of_otel, scan.scan_xray_items_of_otel):
            written = read(one)["written"]
            learned("otlp", written, scan.scan(written, b""))


def scan_jaeger(data):
    """As files, as lines, and as items of a list."""
    scan = native.extension
    for found in (scan.scan_jaeger(data, ends(data)), scan.scan_jaeger_lines(data)):
        learned("jaeger", data, found)
    scan.scan_jaeger(data + data, ends(data, data))
    inner = data[data.find(b"[") + 1 :]
    learned("jaeger", inner, scan.scan_jaeger_items(inner))


def scan_zipkin(data):
    """As lines, and as items of a list."""
    scan = native.extension
    for found in (scan.scan_zipkin(data, ends(data)), scan.scan_zipkin_lines(data)):
        learned("zipkin", data, found)
    inner = data[data.find(b"[") + 1 :]
    learned("zipkin", inner, scan.scan_zipkin_items(inner))


FORMATS = [
    (otlp.mutated, scan_otlp),
    (opensearch.mutated, scan_opensearch),
    (protobuf.mutated, scan_protobuf),
    (xray.mutated, scan_xray),
    (mutated_documents.mutated, scan_xray),
    (mutated_retrieved.mutated, scan_retrieved),
    (jaeger.mutated, scan_jaeger),
    (zipkin.mutated, scan_zipkin),
]


def main(first: int, count: int) -> int:
    """Scan many inputs, of all formats in turn; return 0."""
    for number in range(first, first + count):
        mutated, scan = FORMATS[number % len(FORMATS)]
        scan(mutated(number))
        if (number + 1 - first) % REPORTED == 0:
            print(f"{number + 1 - first:,} inputs scanned", flush=True)  # noqa: T201 - a program
    print(f"{count:,} inputs scanned", flush=True)  # noqa: T201 - likewise
    return 0


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
