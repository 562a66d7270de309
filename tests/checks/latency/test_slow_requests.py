"""Whose requests are slow or fail in one recording: planted groups are named, and nothing is said without one."""

import re

import pytest
from checks.tiers import alone, side

import tracekit as tk
from tracekit.checks.case import Case
from tracekit.checks.registry import run_checks


def test_the_slowest_requests_are_those_of_the_planted_group():
    traces = side(1, n=900, slower={"enterprise": 5})
    (finding,) = alone(traces)
    assert (finding.check, finding.severity) == ("slow_requests", "notice")
    assert re.match(
        r"100% of the slowest 5% of shop POST /pay requests have tenant\.tier enterprise: \d\d\.\d% of all requests "
        r"with it are among them \(\d+ of \d+ recorded requests; 95% CI .*\), at most \d\.\d% of the others\.$",
        finding.headline,
    )
    table = eval(finding.code, {"tk": tk, "traces": traces}).set_index("value")
    row = table.loc["enterprise", ["selected_ratio", "selected_low_ratio", "selected_high_ratio"]]
    assert tuple(row) == (finding.estimate.value, finding.estimate.low, finding.estimate.high)
    assert traces.trace(finding.exemplars[0]).attribute("tenant.tier").iloc[0] == "enterprise"


def test_failed_requests_are_those_of_the_planted_group():
    (finding,) = alone(side(2, n=900, failing={"pro": 0.4}))
    assert finding.check == "failed_requests"
    assert re.match(
        r"9\d\.\d% of the failed requests have tenant\.tier pro: \d\d\.\d% of all requests with it failed \(.*\), "
        r"at most \d\.\d% of the others\.$",
        finding.headline,
    )


def test_two_groups_are_named_together():
    (finding,) = alone(side(3, n=1500, failing={"pro": 0.4, "enterprise": 0.4}))
    assert re.search(
        r"tenant\.tier (pro, enterprise|enterprise, pro): .* with (pro|enterprise) failed", finding.headline
    )


@pytest.mark.parametrize("options", [{}, {"spread": 0.9}, {"failing": {"*": 0.1}}, {"n": 5}, {"tier": "free"}])
def test_nothing_is_said_where_nobody_stands_out(options):
    for seed in range(10, 16):
        assert not alone(side(seed, **options))
    assert not alone(side(1).where("service_name == 'nobody'"))


def test_the_comparison_with_the_baseline_comes_first():
    now, before = side(1, slower={"enterprise": 5}, prefix=10_000), side(2)
    case = Case(now, baseline=Case(before))
    found = [finding.check for finding in run_checks(case, ["changes", "latency"])]
    assert "affected" in found
    assert "slow_requests" not in found
