"""Who is affected: planted groups are named with their figures, and nothing is said where all are affected alike."""

import re

import numpy as np
import pytest
from checks import tiers
from checks.tiers import said, side

import tracekit as tk
from tracekit.text import duration


def test_the_slow_group_is_named_with_its_share_and_a_bound_for_the_others():
    before, now = side(1), side(2, slower={"enterprise": 3}, prefix=10_000)
    (finding,) = said(before, now)
    assert re.match(
        r"Affected: shop POST /pay requests with tenant\.tier enterprise: p95 \d+\.\d → \d+ ms; \d\.\d% → 9\d\.\d% "
        r"exceed \d+\.\d ms, the p95 of the baseline \(\d+ of \d+ recorded requests; 95% CI .*\)\. They are 2\d\.\d% "
        r"of these requests\. Others: p95 6\d\.\d → 6\d\.\d ms; \d\.\d% → \d\.\d% exceed it, at most \d\.\d%: "
        r"no significant change\.$",
        finding.headline,
    )
    table = finding.evidence.set_index("value")
    assert table["is_affected"].to_dict() == {"enterprise": True, "pro": False, "free": False}
    pay = now.where("name == 'POST /pay'")
    limit = int(re.search(r"duration_ns > (\d+)", finding.code)[1])
    mine = pay.attribute("tenant.tier").to_numpy(object) == "enterprise"
    slow = pay.spans["duration_ns"].to_numpy() > limit
    assert finding.estimate.value == pytest.approx(slow[mine].mean())
    assert finding.estimate.n == mine.sum()
    others = pay.where("tenant.tier != 'enterprise'")
    p95 = [tk.latency(traces, roots=True).table["p95_ns"].iloc[0] for traces in (pay.where(mine), others)]
    assert f" → {duration(p95[0])}; " in finding.headline
    assert f" → {duration(p95[1])}; " in finding.headline
    assert limit == int(tk.latency(before.where("name == 'POST /pay'"), roots=True).table["p95_ns"].iloc[0])
    assert finding.exemplars == (pay.where(mine).summary["duration_ns"].idxmax(),)


def test_the_code_gives_the_numbers():
    before, now = side(1), side(2, slower={"enterprise": 3}, prefix=10_000)
    (finding,) = said(before, now)
    table = eval(finding.code, {"tk": tk, "traces": now}).set_index("value")
    row = table.loc["enterprise", ["selected_ratio", "selected_low_ratio", "selected_high_ratio"]]
    assert tuple(row) == (finding.estimate.value, finding.estimate.low, finding.estimate.high)


def test_a_version_that_the_baseline_does_not_have_is_named():
    (finding,) = said(side(3), side(4, slower={"1.5.0": 3}, versions=("1.4.0", "1.5.0"), prefix=10_000))
    assert "with service.version 1.5.0 (not in the baseline): p95 " in finding.headline
    assert "% exceed " in finding.headline


def test_the_failed_share_of_a_version_that_the_baseline_does_not_have():
    before, during = tk.load_sample("cascading-failure")
    (finding,) = [one for one in tk.investigate(during, before).findings if "4.2.0" in one.headline
                  and one.check == "affected"]  # fmt: skip
    said = "Affected: requests with service.version 4.2.0 (not in the baseline): 8.9% failed (11 of 124 recorded"
    assert finding.headline.startswith(said)


def test_two_groups_are_named_together():
    before, now = side(5, n=900), side(6, n=900, slower={"enterprise": 3, "pro": 3}, prefix=10_000)
    (finding,) = said(before, now)
    assert re.search(r"with tenant\.tier (enterprise, pro|pro, enterprise): p95 ", finding.headline)
    assert re.search(r"→ \d+(\.\d)?% of those with (enterprise|pro) exceed", finding.headline)


def test_those_whose_requests_fail_are_named():
    before, now = side(7, n=900), side(8, n=900, failing={"pro": 0.4}, prefix=10_000)
    (finding,) = said(before, now)
    assert re.match(
        r"Affected: requests with tenant\.tier pro; \d\.\d+% → \d\d\.\d% failed \(\d+ of \d+ recorded requests; "
        r"95% CI .*\)\. They are 2\d\.\d% of these requests\. Others: .*% failed, at most \d\.\d%: "
        r"no significant change\.$",
        finding.headline,
    )
    assert finding.code == "tk.what_differs(traces, 'failed', pairs=False).values('tenant.tier')"


@pytest.mark.parametrize("change", [{}, {"slower": {"*": 3}}, {"failing": {"*": 0.3}}, {"slower": {"*": 1.5}}])
def test_nothing_is_said_where_nobody_is_affected_or_all_are(change):
    for seed in range(10, 16):
        assert not said(side(seed), side(seed + 100, prefix=10_000, **change))


def test_a_group_that_was_always_slow_is_not_affected():
    for seed in range(20, 24):
        before = side(seed, slower={"enterprise": 1.6}, n=1200)
        now = side(seed + 50, slower={"enterprise": 1.6, "*": 1.5}, n=1200, prefix=10_000)
        assert "enterprise: p95" not in " ".join(finding.headline for finding in said(before, now))


def test_weights_and_known_weights_are_used():
    before, now = side(1).with_weights(1), side(2, slower={"enterprise": 3}, prefix=10_000).with_weights(1)
    (finding,) = said(before, now)
    assert re.search(r"\d+ of \d+ requests; 95% CI", finding.headline)
    (doubled,) = said(before, now.with_weights(2))  # each represents two
    assert re.search(r"\d+ of \d+ recorded requests; 95% CI", doubled.headline)


def test_one_side_with_few_or_no_traces_says_nothing():
    now = side(2, slower={"enterprise": 3}, prefix=10_000)
    assert not said(side(1, n=3), now)
    assert not said(now.where("service_name == 'nobody'"), now)
    assert not said(now, now)


def test_names_of_values_are_short_and_clean(monkeypatch):
    hostile = "<b>\u202e" + "x" * 1_000
    monkeypatch.setattr(tiers, "TIERS", np.array([hostile, "pro", "free"]))
    (finding,) = said(side(1), side(2, slower={hostile: 3}, prefix=10_000))
    assert "\u202e" not in finding.headline
    assert len(finding.headline) < 600
