"""A shop with a planted fault: every fourth checkout reads its discounts one by one."""

from functools import cache

import pandas as pd

from tracekit import TraceSet

START = 1_747_231_200_000_000_000  # 2025-05-14 14:00:00 UTC
MS = 1_000_000


def shop_frame(trace_count=80, names=None):
    """Return spans of two kinds of request; ``names`` renames services and operations."""
    names = names or {}
    rows = []
    for k in range(trace_count):
        begin = START + k * 500 * MS
        rows += _checkout(k, begin) if k % 2 else _browse(k, begin)
    frame = pd.DataFrame(rows).assign(**{"attributes.tenant": ["blue" if k % 3 else "green" for k in range(len(rows))]})
    for column in ("service_name", "name"):
        frame[column] = frame[column].map(lambda name: names.get(name, name))
    return frame


@cache
def shop_traces():
    return TraceSet.from_spans(shop_frame())


@cache
def no_traces():
    return shop_traces().where("service_name == 'nobody'")


def _span(k, number, parent, service, name, kind, begin, took, status="UNSET"):
    return {
        "trace_id": f"{k + 1:032x}",
        "span_id": f"{k + 1:08x}{number:08x}",
        "parent_span_id": None if parent is None else f"{k + 1:08x}{parent:08x}",
        "service_name": service,
        "name": name,
        "kind": kind,
        "start_ns": begin,
        "end_ns": begin + took,
        "status_code": status,
    }


def _browse(k, begin):
    took = (10 + k % 7) * MS
    return [
        _span(k, 1, None, "front", "GET /items", "SERVER", begin, took),
        _span(k, 2, 1, "front", "GET", "CLIENT", begin + MS, took - 2 * MS),
        _span(k, 3, 2, "catalog", "GET /v1/items", "SERVER", begin + 2 * MS, took - 4 * MS),
    ]


def _checkout(k, begin):
    """40 ms with one query, or, every fourth, 340 ms with 30 queries of 10 ms; every tenth fails in payments."""
    slow, failed = k % 8 == 1, "ERROR" if k % 20 == 3 else "UNSET"
    queries = 30 if slow else 1
    took = (40 + 10 * (queries - 1) + k % 5) * MS
    spans = [
        _span(k, 1, None, "front", "POST /checkout", "SERVER", begin, took + 5 * MS, failed),
        _span(k, 2, 1, "front", "POST", "CLIENT", begin + MS, took + 3 * MS, failed),
        _span(k, 3, 2, "pricing", "POST /v1/quote", "SERVER", begin + 2 * MS, took, failed),
        _span(k, 4, 3, "payments", "POST /charge", "CLIENT", begin + 3 * MS, 8 * MS, failed),
    ]
    first = begin + 12 * MS
    spans += [
        _span(k, 5 + j, 3, "pricing", "SELECT discount", "CLIENT", first + 10 * j * MS, 10 * MS) for j in range(queries)
    ]
    return spans
