"""Which calls fail more often than in the baseline: shops where it is known which service broke."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from shop_traces import MS, START

from tracekit import TraceSet
from tracekit.checks.case import Case
from tracekit.checks.changes.calls import calls
from tracekit.checks.changes.error_rate import error_rates
from tracekit.checks.errors.failing_calls import failing_calls
from tracekit.report.page import render


def chain(failing, *, traces=200, passed_on=True, retries=0, seed=1):
    """Front calls pricing, which calls the ledger; a share of the ledger's answers fail, perhaps up to the request."""
    random = np.random.default_rng(seed)
    rows = []
    for k in range(traces):
        at = START + k * 1000 * MS
        bad = random.random() < failing
        status = "ERROR" if bad and passed_on else "UNSET"
        rows += [
            (k, "1", None, "front", "GET /", "SERVER", at, at + 90 * MS, status),
            (k, "2", "1", "front", "GET", "CLIENT", at + MS, at + 80 * MS, status),
            (k, "3", "2", "pricing", "GET /price", "SERVER", at + 2 * MS, at + 79 * MS, status),
        ]
        for again in range(1 + retries * bad):
            begin, end = at + (3 + 10 * again) * MS, at + (12 + 10 * again) * MS
            last = "ERROR" if bad and (passed_on or again < retries) else "UNSET"
            client, server = f"{4 + 2 * again:x}", f"{5 + 2 * again:x}"
            rows.append((k, client, "3", "pricing", "POST", "CLIENT", begin, end, last))
            rows.append((k, server, client, "ledger", "POST /entry", "SERVER", begin, end - MS, last))
    names = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "kind", "start_ns", "end_ns"]
    frame = pd.DataFrame(rows, columns=[*names, "status_code"])
    return TraceSet.from_spans(frame.assign(trace_id=[f"{k + 1:032x}" for k in frame["trace_id"]]))


def compared(before, now):
    return Case(now, baseline=Case(before))


def test_of_calls_that_pass_an_error_on_the_last_is_named():
    (found,) = calls(compared(chain(0.02), chain(0.4)))
    assert found.severity == "warning"
    assert found.headline == (
        "Error rate of calls from pricing to ledger rose 2.0% → 40.0% (current 95% CI 33.1–47.2%; 200 traces with "
        "such calls). The error rate of 1 other edge of the service map rose as well."
    )
    exact = binomtest(80, 200).proportion_ci()
    assert (found.estimate.low, found.estimate.high) == pytest.approx((exact.low, exact.high), abs=1e-3)
    assert set(found.evidence["callee_service"]) == {"pricing", "ledger"}


def test_failures_hidden_by_retries_are_found_in_the_calls():
    changes = compared(chain(0.02, passed_on=False, retries=2), chain(0.4, passed_on=False, retries=2))
    (found,) = calls(changes)
    assert "Error rate of calls from pricing to ledger rose" in found.headline
    assert found.headline.endswith(" Calls per request rose 1.0 → 1.8, as with retries.")
    assert [found.severity for found in error_rates(changes)] == ["info"]


@pytest.mark.parametrize(("before", "now"), [(0.05, 0.05), (0.4, 0.02), (0.0, 0.0)])
def test_calls_that_do_not_fail_more_often_are_not_named(before, now):
    assert calls(compared(chain(before, seed=2), chain(now, seed=3))) == []


def test_too_few_traces_name_no_edge():
    few = chain(1.0, traces=19)
    assert calls(compared(chain(0.0), few)) == []
    assert calls(compared(few, few)) == []


def test_failing_calls_that_retries_hide_are_named_without_a_baseline():
    hidden = chain(0.4, passed_on=False, retries=2)
    (found,) = failing_calls(Case(hidden))
    assert (found.check, found.severity) == ("failing_calls", "warning")
    assert found.headline.startswith("Error rate of calls from pricing to ledger: ")
    assert found.estimate.low < 0.5 < found.estimate.high + 0.15
    assert f'id="finding-{found.check}"' in render(hidden), "it is on the first screen by itself"


@pytest.mark.parametrize(("rate", "how"), [(0.4, {}), (0.0, {}), (0.004, {"passed_on": False, "retries": 2})])
def test_calls_that_fail_as_often_as_requests_or_seldom_are_not_named_apart(rate, how):
    assert failing_calls(Case(chain(rate, **how))) == []


def test_services_that_call_each_other_are_named_too():
    """Each of the failing edges passes errors on, so none of them is the origin of the others."""
    rows = []
    for k in range(60):
        begin, status = START + k * 1000 * MS, "ERROR" if k % 3 else "UNSET"
        rows.append((k, "1", None, "shop", "GET /", "SERVER", begin, begin + 90 * MS, "UNSET"))
        for depth, (caller, callee) in enumerate((("shop", "a"), ("a", "b"), ("b", "a"))):
            at, last = 2 + 2 * depth, "UNSET" if caller == "shop" else status
            edge = begin + depth * MS, begin + (80 - depth) * MS
            rows.append((k, str(at), str(at - 1), caller, "GET", "CLIENT", *edge, last))
            rows.append((k, str(at + 1), str(at), callee, "GET", "SERVER", *edge, last))
    names = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "kind", "start_ns", "end_ns"]
    frame = pd.DataFrame(rows, columns=[*names, "status_code"])
    (found,) = failing_calls(
        Case(TraceSet.from_spans(frame.assign(trace_id=[f"{k + 1:032x}" for k in frame["trace_id"]])))
    )
    assert set(found.evidence["callee_service"]) == {"a", "b"}
