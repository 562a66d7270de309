"""Gaps of one of several strata: what is due by load or beside peers, and whether traces were lost or moved."""

import numpy as np
import pytest

from tracekit.stats.gap_scan import Gap
from tracekit.stats.gap_strata import Shortfall, Stratum, due_by_load, gaps_by_stratum, shortfall

NONE = Gap(0.0, 1.0, 50, 50, 0.0, 0.0, 0.0, 0.0, 0.0)


def loads(rng, bins=180):
    return rng.poisson(600 * (1 + 0.95 * np.sin(np.arange(bins) / bins * 2 * np.pi)))


def reserved(rng, requests, quota=1):
    cells = rng.poisson(requests[:, None] / 60, (len(requests), 60))
    return np.minimum(np.minimum(cells, quota).sum(1) + rng.binomial(requests, 0.05), requests)


@pytest.mark.parametrize("quota", [1, 3, 8])
def test_what_a_reservoir_keeps_of_a_load_is_due(quota):
    rng = np.random.default_rng(quota)
    requests = loads(rng)
    kept = reserved(rng, requests, quota)
    due = due_by_load(kept, requests)
    busy = requests > 300
    assert due[busy].sum() == pytest.approx(kept[busy].sum(), rel=0.05)
    assert abs(np.corrcoef(kept[busy] / due[busy], requests[busy])[0, 1]) < 0.5
    assert (due <= 0.9 * requests).all()


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_one_share_of_all_requests_is_left_as_it_is(share):
    rng = np.random.default_rng(4)
    requests = loads(rng)
    kept = rng.binomial(requests, share)
    assert due_by_load(kept, requests) is not None
    assert due_by_load(kept, requests).tolist() == requests.tolist()
    kept[60:75] = 0
    assert due_by_load(kept, requests).tolist() == requests.tolist(), "an outage is not taken for a load"


def test_few_bins_without_traces_show_no_effect_of_load():
    requests = np.arange(10) + 1
    assert due_by_load(requests, requests).tolist() == requests.tolist()
    assert due_by_load(np.zeros(40), np.full(40, 9)).tolist() == [9.0] * 40


def test_an_outage_of_a_reservoir_is_found():
    rng = np.random.default_rng(5)
    requests = loads(rng)
    kept = reserved(rng, requests)
    kept[30:40] //= 4
    gap = Stratum(kept, requests).worst()
    assert (gap.start, gap.end) == (30, 40)
    assert gap.loss == pytest.approx(0.75, abs=0.05)
    assert gap.p < 0.01


def test_a_part_is_compared_with_its_peers_and_a_common_gap_is_a_gap_of_none():
    rng = np.random.default_rng(6)
    requests = np.full(120, 1000)
    parts = rng.binomial(250, 0.2, (4, 120))
    parts[:, 40:50] //= 3
    strata = [Stratum(own, requests, parts.sum(0) - own) for own in parts]
    assert not any(q < 0.01 and gap.loss > 0.2 for gap, q in gaps_by_stratum(strata))
    parts[2, 80:90] = 0
    strata = [Stratum(own, requests, parts.sum(0) - own) for own in parts]
    found = gaps_by_stratum(strata)
    assert [q < 0.01 for _, q in found] == [False, False, True, False]
    gap = found[2][0]
    assert (gap.start, gap.end, gap.loss) == (80, 90, 1.0)
    assert gap.expected == pytest.approx(10 * 50, rel=0.1), "as many as its peers show, not as all had"
    assert shortfall(strata[2], gap).outcome() != "moved"


def test_what_moved_and_what_wanders_is_not_lost_for_certain():
    asked = np.full(120, 1000)
    own, others = np.full(120, 50), np.full(120, 150)
    own[50:60] = 0
    gap = Stratum(own, asked, others).worst()
    alone = shortfall(Stratum(own, asked), gap)
    assert alone == Shortfall(500.0, 500.0, 0.0, 0.0), "with requests of its own there are no peers to ask"
    assert alone.outcome() == "lost"
    assert shortfall(Stratum(own, asked, others), gap).outcome() == "lost"
    assert shortfall(Stratum(own, asked, np.where(own == 0, 200, others)), gap).outcome() == "moved"
    walk = (150 + 60 * np.sin(np.arange(120) / 6)).astype(int)
    assert shortfall(Stratum(own, asked, walk), gap).outcome() == "unclear", "the peers wander by as much"


def test_the_rate_over_all_windows_decides_not_the_probability_of_one():
    one = Shortfall(90.0, 60.0, 30.0, 0.02)
    assert one.outcome() == "lost"
    assert one.outcome(0.06) == "unclear"
    assert Shortfall(90.0, 40.0, 10.0, 1e-5).outcome() == "unclear", "less than half of what is missing"


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_no_more_is_expected_than_was_requested(share):
    """One instance did everything but for a fail-over of ten minutes: beside its peer it has no finite expectation."""
    asked = np.random.default_rng(8).poisson(60, 120)
    kept = np.random.default_rng(9).binomial(asked, share)
    away = (np.arange(120) >= 50) & (np.arange(120) < 60)
    main = Stratum(np.where(away, 0, kept), asked, np.where(away, kept, 0))
    gap = main.worst()
    assert (gap.start, gap.end) == (50, 60)
    assert gap.expected <= asked[50:60].sum() - (kept[50:60].sum() if share == 1 else 0)
    assert gap.expected == pytest.approx(0 if share == 1 else 120, abs=15)
    assert gap.loss == 0 if share == 1 else shortfall(main, gap).outcome() == "moved"


def test_a_gap_is_masked_in_all_columns():
    left = Stratum(np.full(9, 2), np.full(9, 5), np.full(9, 1)).without(NONE._replace(start=3, end=5))
    assert left.traced.tolist() == [2, 2, 2, 0, 0, 2, 2, 2, 2]
    assert left.base.tolist() == [3, 3, 3, 0, 0, 3, 3, 3, 3]
    assert Stratum(np.full(9, 2), np.full(9, 5)).without(NONE).others is None
