"""How often the first screen of a report claims a change: where there is none, and where one was planted."""

from collections import Counter
from itertools import combinations, cycle, islice

import pandas as pd
from calibration import Row, Table, count
from checks.first_screen import changes_of
from checks.healthy_worlds import ALARMS, UNKNOWN, WEIGHTED, changes, healthy, warnings
from checks.quality.clean_worlds import CASES
from checks.tiers import alone, said, side

import tracekit as tk
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
    return {finding.check: finding for finding in changes_of(baseline, current)}


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


def alarms_of_healthy_systems(rng, repeats):
    """Healthy recordings: alarms of the first screen and of tk.sampling, with and without weights and counts."""
    for case in CASES:
        which, seen = Counter(), {severity: [] for severity in ALARMS}
        for k in range(repeats):
            traces, requests = healthy(rng, case)
            screen = Standard.of(traces if k % 2 else traces.with_weights(1)).findings
            found = warnings(screen) | warnings(tk.sampling(traces, requests=None if k % 2 else requests))
            found = {one for one in found if one[0] not in TRUE_OF.get(case, ()) and one != UNWEIGHTED}
            which.update(" ".join(one) for one in found)
            for severity in ALARMS:
                seen[severity].append(any(one == severity for _, one in found))
        note = ", ".join(f"{name}: {times}" for name, times in which.items())
        for severity, most in zip(ALARMS, (0.025, 0.05), strict=True):
            yield Row(f"{case}: {severity}", *count(seen[severity]), 0.0, most, note)


UNWEIGHTED = ("weights", "warning")  # true wherever no weights are known
TRUE_OF = {
    "no trace": {"empty"},  # there is none
    "skewed clocks": {"clock.offset"},  # they are
    "in progress": {"unfinished"},  # some requests have no end
    "recorded by ot=th": {"capture.errors"},  # half of the failed requests left no trace
    "two samplers": {"capture.errors", "failures", "comparable"},  # few traces do not show both samplers, more do
}


def equal_worlds(rng, repeats):
    """Two recordings of one healthy system, each world in turn, weights known or not: any warning of a change."""
    sizes = ((1, 300), (2, 300), (5, 300), (20, 300), (150, 300), (150, 150))
    of_size, of_case, which = {size: [] for size in sizes}, {}, Counter()
    for k, case in enumerate(islice(cycle(_PAIRED), repeats)):
        for size in sizes:
            current, baseline = (healthy(rng, case, n, failing=0.03)[0] for n in size)
            if k // len(_PAIRED) % 2:
                current, baseline = current.with_weights(1), baseline.with_weights(1)
            found = {one for one in warnings(changes(current, baseline)) if one[0] not in TRUE_OF.get(case, ())}
            which.update(f"{case}, {size[0]}: {check}" for check, _ in found)
            of_size[size].append(bool(found))
            of_case.setdefault(case, []).append(bool(found))
    for (n, other), warned in of_size.items():
        yield Row(f"{n} against {other} requests: any warning", *count(warned), 0.0, 0.05)
    for case, warned in of_case.items():
        note = ", ".join(f"{what}: {times}" for what, times in which.items() if what.startswith(f"{case},"))
        yield Row(f"{case}: any warning", *count(warned), 0.0, 0.05, note)


_PAIRED = [case for case in CASES if case not in {"no trace", "one trace", "two traces", "five traces"}]


def sampled_differently(rng, repeats):
    """One healthy process, sampled in two ways: no warning with weights, and without only that it is not comparable."""
    for pair in combinations(WEIGHTED, 2):
        warned = Counter()
        hits = []
        for k in range(repeats):
            current, baseline = (WEIGHTED[name](rng, 200) for name in pair[:: 1 if k % 2 else -1])
            found = warnings(changes(current, baseline))
            warned.update(check for check, _ in found)
            hits.append(bool(found))
        yield Row(f"{' and '.join(pair)}: any warning", *count(hits), 0.0, 0.05, str(dict(warned) or ""))
    for known in WEIGHTED:
        for unknown in UNKNOWN:
            only = []
            for k in range(max(repeats // 4, 1)):
                sides = WEIGHTED[known](rng, 200), UNKNOWN[unknown](rng, 200)
                only.append(warnings(changes(*sides[:: 1 if k % 2 else -1])) == {("comparable", "warning")})
            yield Row(f"{known} and unknown {unknown}: only not comparable", *count(only), 1.0, 1.0)
    warned = [bool(warnings(changes(*(make(rng, 200) for make in UNKNOWN.values())))) for _ in range(repeats)]
    yield Row("unknown complete and unknown head 10 %: any warning", *count(warned), 0.0, 0.05)


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
                "calls" in found
                and found["calls"].headline.startswith("Error rate of calls from front to payments rose")
            )
        rows.append(Row(f"{storm:.0%} of the calls to payments fail, {n} requests", *count(named), 0.99, 1))
    return rows


def rising_errors(random, repeats):
    """Error rate 1 % and then 6 %: said in a warning, with both rates."""
    said = []
    for _ in range(repeats):
        found = claims(requests(random, 1000, failing=0.01), requests(random, 1000, failing=0.06))
        one = found.get("failing")
        said.append(one is not None and one.severity == "warning" and "rose" in one.headline)
    yield Row("error rate 1 % and then 6 %, 1,000 requests: named", *count(said), 0.99, 1)


def affected_groups(rng, repeats):
    """Who is said to be affected: one tier of customers that is, and nobody where none is or all are."""
    seeds = iter(rng.integers(0, 2**32, (100 * repeats, 2)).tolist())

    def findings(current=None, baseline=None, n=600):
        first, second = next(seeds)
        return said(side(first, n=n, **(baseline or {})), side(second, n=n, prefix=10_000, **(current or {})))

    planted = {"3 times slower": {"slower": {"enterprise": 3}}, "30 % fail": {"failing": {"enterprise": 0.3}}}
    for case, change in planted.items():
        named = [
            bool(found)
            and all(each.evidence.query("is_affected")["value"].tolist() == ["enterprise"] for each in found)
            for found in (findings(change) for _ in range(repeats))
        ]
        yield Row(f"one tier of three: {case}, 600 requests: named alone", *count(named), 0.9, 1.0)
    alike = {
        "nothing": {},
        "all 2 times slower": {"slower": {"*": 2}},
        "20 % of all fail": {"failing": {"*": 0.2}},
    }
    for case, change in alike.items():
        for n in (200, 1000):
            wrong = [bool(findings(change, n=n)) for _ in range(repeats)]
            yield Row(f"{case}, {n} requests: anybody named", *count(wrong), 0.0, 0.025)
    for case, change in {**alike, "long tail": {"spread": 1.0}}.items():
        wrong = [bool(alone(side(next(seeds)[0], n=600, **change))) for _ in range(repeats)]
        yield Row(f"one recording, {case}: anybody named", *count(wrong), 0.0, 0.025)
    slow_tier = {"slower": {"enterprise": 1.6}}
    wrong = [bool(findings(slow_tier, slow_tier)) for _ in range(repeats)]
    yield Row("one tier always slower, nothing changed: anybody named", *count(wrong), 0.0, 0.025)


TABLES = (
    Table(affected_groups, 4719, 4),
    Table(equal_traffic, 4711, 2),
    Table(slower_endpoint, 4712, 4),
    Table(rising_errors, 4713, 1),
    Table(retry_storm, 4718, 2),
    Table(alarms_of_healthy_systems, 4714, 1),
    Table(equal_worlds, 4715, 2),
    Table(sampled_differently, 4716, 1),
)
