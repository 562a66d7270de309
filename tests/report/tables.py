"""How often the first screen of a report claims a change: where there is none, and where one was planted."""

import pandas as pd
from calibration import Row, Table, count

from tracekit import TraceSet
from tracekit.report.standard import Standard

MS, START = 1_000_000, 1_747_231_200_000_000_000
ENDPOINTS = ("GET /items", "POST /cart", "POST /checkout", "GET /orders", "GET /search")
SERVICES = ("cart", "pricing", "stock", "ledger", "payments")


def requests(random, n, *, slower=0.0, failing=0.0, storm=0.0):
    """A shop of five endpoints and services; ``slower`` ms more in one operation of POST /checkout alone.

    ``failing`` is the share of requests that fail; ``storm`` the share of calls to payments that fail and are retried,
    at most twice, so that few requests fail.
    """
    rows = []
    endpoint = random.integers(0, len(ENDPOINTS), n)
    own = random.lognormal(1.0, 0.6, (n, len(SERVICES)))
    failed = random.random(n) < failing
    for k in range(n):
        begin = START + int(k * 500 + random.integers(0, 400)) * MS
        at, spans = begin + MS, []
        for j, service in enumerate(SERVICES):
            if (endpoint[k] + j) % len(SERVICES) > 2:
                continue
            took = own[k, j] + slower * random.lognormal(0, 0.3) * (endpoint[k] == 2 and service == "ledger")
            for _attempt in range(3):
                again = service == "payments" and random.random() < storm
                end, number = at + int(took * MS), len(spans)
                status = "ERROR" if again else "UNSET"
                spans.append((f"{2 * number + 2:x}", "1", "front", f"POST {service}", "CLIENT", at, end + MS, status))
                spans.append(
                    (f"{2 * number + 3:x}", f"{2 * number + 2:x}", service, "handle", "SERVER", at, end, status)
                )
                at = end + 2 * MS
                if not again:
                    break
        root = ("1", None, "front", ENDPOINTS[endpoint[k]], "SERVER", begin, at, "ERROR" if failed[k] else "UNSET")
        rows += [(int(random.integers(1, 2**62)), k, *span) for span in (root, *spans)]
    names = ["x", "k", "span_id", "parent_span_id", "service_name", "name", "kind", "start_ns", "end_ns", "status_code"]
    frame = pd.DataFrame(rows, columns=names)
    ids = [random.bytes(16).hex() for _ in range(n)]
    return TraceSet.from_spans(frame.drop(columns=["x", "k"]).assign(trace_id=[ids[k] for k in frame["k"]]))


def claims(baseline, current):
    """The findings of the first screen that compare, by check."""
    return {finding.check: finding for finding in Standard.of(current, baseline).changes.findings()}


def equal_traffic(random, repeats):
    """Two samples of the same traffic: any warning, and any sentence that claims a change."""
    rows = []
    for n, other in ((1, 300), (2, 300), (5, 300), (20, 300), (150, 150), (300, 1)):
        found = [
            claims(requests(random, n, failing=0.03), requests(random, other, failing=0.03)) for _ in range(repeats)
        ]
        warned = [any(finding.severity == "warning" for finding in each.values()) for each in found]
        rows.append(Row(f"any warning, {n} against {other} requests", *count(warned), 0, 0.05))
        new = ["operations" in each for each in found]
        rows.append(Row(f"operations called new or gone, {n} against {other}", *count(new), 0, 0.05))
    return rows


def slower_endpoint(random, repeats):
    """One operation of one of five endpoints became slower: named in a warning."""
    rows = []
    for n, least in ((1000, 0.99), (250, 0.8)):
        named = []
        for _ in range(repeats):
            found = claims(requests(random, n), requests(random, n, slower=8.0))
            said = " ".join(finding.headline for finding in found.values() if finding.severity == "warning")
            named.append("ledger" in said)
        rows.append(Row(f"8 ms more in one of five endpoints, {n} requests", *count(named), least, 1))
    return rows


def retry_storm(random, repeats):
    """Calls to one service fail and are retried, so that few requests fail: the edge is named in a warning."""
    rows = []
    for n, storm in ((1000, 0.1), (250, 0.4)):
        named = []
        for _ in range(repeats):
            found = claims(requests(random, n, storm=0.01), requests(random, n, storm=storm))
            named.append(
                "calls" in found and found["calls"].headline.startswith("Calls front → payments fail more often")
            )
        rows.append(Row(f"{storm:.0%} of the calls to payments fail, {n} requests", *count(named), 0.99, 1))
    return rows


TABLES = (Table(equal_traffic, 4711, 8), Table(slower_endpoint, 4712, 4), Table(retry_storm, 4713, 3))
