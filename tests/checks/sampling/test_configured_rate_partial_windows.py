"""First and last windows of counts of which the traces cover a part: expected by that part, and no outage hidden."""

import re

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import EPOCH_NS, classic_reservoir, traces_of

from tracekit.checks.case import build_case
from tracekit.checks.sampling.configured_rate import configured_rate, expected_share
from tracekit.checks.sampling.covered_windows import covered_windows
from tracekit.stats.second_reservoir import SECOND_NS

LOCAL = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.05}}
START = EPOCH_NS // (60 * SECOND_NS) * 60 * SECOND_NS
FROM, TO, LENGTH = 38, 268, 300


def world(seed, *, part="all", rate=5, rule=LOCAL):
    """Five minutes: of all of it, or where traffic or the recording begins late and ends early."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.random(rng.poisson(rate * LENGTH))) * LENGTH
    at = at[(at >= FROM) & (at < TO)] if part == "traffic" else at
    start = START + (at * SECOND_NS).astype(np.int64)
    kept = classic_reservoir(rng, start, np.zeros(len(start), int), 1 if rule is LOCAL else 0, 0.05)
    kept &= (at >= FROM) & (at < TO) if part == "recording" else True
    times = pd.to_datetime(START, utc=True) + pd.to_timedelta(np.arange(0, LENGTH, 60), unit="s")
    requests = pd.DataFrame({"time": times, "count": np.bincount((at // 60).astype(int), minlength=LENGTH // 60)})
    columns = {"resource.telemetry.sdk.name": "X-Ray for Java", "service_instance_id": "i-1"}
    return build_case(traces_of(rng, start_ns=start[kept], **columns), rules=rule, requests=requests).weighted


def ratio(case):
    (found,) = configured_rate(case)
    return found


@pytest.mark.parametrize("part", ["all", "traffic", "recording"])
def test_a_reservoir_is_expected_of_what_the_recording_covers(part):
    found = [ratio(world(seed, part=part)) for seed in range(30)]
    limits = [one.estimate for one in found]
    assert np.mean([one.value for one in limits]) == pytest.approx(1.0, abs=0.015)
    assert sum(one.low <= 1 <= one.high for one in limits) >= 25
    told = [any("the recording covers" in text for text in one.assumptions) for one in found[1:3]]
    assert told == [part != "all"] * 2


def test_the_seconds_that_are_covered_are_reported():
    text = next(text for text in ratio(world(1, part="traffic")).assumptions if "covers" in text)
    assert re.fullmatch(r"the recording covers 2[1-3] s and 2[7-9] s of its first or last window of 60 s", text)


def test_a_fixed_rate_counts_the_requests_of_the_recording_only():
    found = ratio(world(3, part="recording", rate=200, rule=0.05))
    assert found.estimate.low < 1 < found.estimate.high
    whole = world(3, part="recording", rate=200, rule=0.05)
    assert expected_share(whole) == pytest.approx(0.05 * (TO - FROM) / LENGTH, rel=0.02)


def test_windows_without_a_trace_are_no_edge():
    """The collector began three minutes late: traces are missing, and that is said."""
    case = world(4)
    late = build_case(
        case.traces.where(case.traces.columns.spans.start_ns > START + 170 * SECOND_NS),
        rules=LOCAL,
        requests=case.counts.frame.assign(time=lambda t: pd.to_datetime(t["start_ns"], utc=True)),
    )
    assert (covered_windows(late).to_numpy() == 1).all()
    assert ratio(late).severity == "warning"


def test_few_traces_cover_their_window_for_all_that_is_known():
    case = world(5, rate=0.02)
    assert 1 < len(case.traces) < 12
    assert (covered_windows(case).to_numpy() == 1).all()


def test_a_single_window_is_covered_from_its_first_to_its_last_trace():
    case = world(6, part="traffic")
    one = pd.DataFrame(
        {"time": [pd.to_datetime(START, utc=True)], "end": [pd.to_datetime(START + LENGTH * SECOND_NS, utc=True)]}
    )
    found = covered_windows(build_case(case.traces, requests=one.assign(count=1000)).weighted)
    assert found.to_numpy().ravel().tolist() == [pytest.approx((TO - FROM) / LENGTH, rel=0.02), 1.0]
    none = build_case(case.traces, requests=one.assign(count=0)).weighted
    assert not len(covered_windows(none))
