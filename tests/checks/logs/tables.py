"""How often new log lines are claimed: where there are none, and where one was planted."""

import numpy as np
import pandas as pd
from calibration import Row, Table, count

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks.case import Case
from tracekit.checks.logs.new_lines import new_log_lines

START, SECOND = 1_764_000_000_000_000_000, 1_000_000_000
USUAL, RARE = 12, 60  # templates that every request may have, and those that few failing requests have


def traces_of(rng, n, failing):
    """Requests of one span, of which a share fails."""
    frame = pd.DataFrame(
        {
            "trace_id": [rng.bytes(16).hex() for _ in range(n)],
            "span_id": "1",
            "service_name": "shop",
            "name": "POST /pay",
            "kind": "SERVER",
            "status_code": np.where(rng.random(n) < failing, "ERROR", "UNSET"),
            "start_ns": START + np.arange(n) * SECOND,
        }
    )
    return TraceSet.from_spans(frame.assign(end_ns=frame["start_ns"] + SECOND // 10))


def word(number):
    """A number in letters, which a template keeps."""
    return "".join(chr(ord("g") + int(digit)) for digit in str(number))


def lines_of(traces, rng, planted=0.0):
    """Usual lines, rare errors of failing requests, and one that a share of the failing requests has."""
    ids, failed = np.array(traces.trace_ids), traces.is_error
    rows = [
        (ids[at], "INFO", f"step {word(rng.integers(USUAL))} took 5 ms") for at in range(len(ids)) for _ in range(2)
    ]
    for at in np.flatnonzero(failed):
        rows.append((ids[at], "ERROR", "payment failed"))
        rows.append((ids[at], "ERROR", f"fault {word(int(RARE * rng.random() ** 2))} of 7"))
        if rng.random() < planted:
            rows.append((ids[at], "ERROR", "certificate of bank expired 5 days ago"))
    return pd.DataFrame(rows, columns=["trace_id", "level", "message"]).assign(service="shop", time=START)


def claimed(rng, sizes, failing, *, planted=0.0, weights=None):
    """What the check says of two samples."""
    current, baseline = (traces_of(rng, n, rate) for n, rate in zip(sizes, failing, strict=True))
    lines = pd.concat([lines_of(current, rng, planted), lines_of(baseline, rng)], ignore_index=True)
    if weights is not None:
        current, baseline = (one.with_weights(weight) for one, weight in zip((current, baseline), weights, strict=True))
    logs = tk.logs(current, lines, baseline=baseline)
    return " ".join(found.headline for found in new_log_lines(Case(current, baseline=Case(baseline), logs=logs)))


def new_lines_of_equal_traffic(rng, repeats):
    """Two samples of the same traffic, with rare lines of failing requests only: any new line claimed."""
    cases = {
        "300 and 300, 5 % fail": ((300, 300), (0.05, 0.05), None),
        "300 and 300, 30 % fail": ((300, 300), (0.3, 0.3), None),
        "300 and 30, 30 % fail": ((300, 30), (0.3, 0.3), None),
        "weights 1 and 10, 30 % fail": ((300, 300), (0.3, 0.3), (1, 10)),
    }
    for case, (sizes, failing, weights) in cases.items():
        wrong = [bool(claimed(rng, sizes, failing, weights=weights)) for _ in range(repeats)]
        yield Row(f"{case}: any new line", *count(wrong), 0.0, 0.05)


def planted_line_of_failing_requests(rng, repeats):
    """A line of half of the failing requests that the baseline does not have: named."""
    for n, failing in ((300, 0.1), (1000, 0.05)):
        named = ["certificate of bank" in claimed(rng, (n, n), (failing, failing), planted=0.5) for _ in range(repeats)]
        yield Row(f"{n} requests, {failing:.0%} fail, half of them with the line", *count(named), 0.9, 1.0)


TABLES = (Table(new_lines_of_equal_traffic, 4721, 6), Table(planted_line_of_failing_requests, 4722, 4))
