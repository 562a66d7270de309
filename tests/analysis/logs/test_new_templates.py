"""Templates that are new and go with failing requests: p values by hand."""

from math import comb

import numpy as np
import pandas as pd
import pytest

from tracekit.analysis.logs.new_templates import Side, new_templates


def side(n, failed, *, weight=1.0, **templates):
    """``n`` traces with a usual line, of which the first fail; and templates of some of them."""
    rows = [("shop", "INFO", "usual", at) for at in range(n)]
    rows += [("shop", "ERROR", name, at) for name, traces in templates.items() for at in traces]
    frame = pd.DataFrame(rows, columns=["service_name", "level", "template", "trace"])
    return Side(frame, np.arange(n) < failed, np.broadcast_to(weight, n).astype(float))


def test_the_p_value_is_the_larger_of_two_exact_ones():
    found = new_templates(side(20, 10, fault=range(6)), side(30, 5)).iloc[0]
    absent = comb(20, 6) / comb(50, 6)
    failing = comb(10, 6) / comb(20, 6)
    assert found["p_value"] == pytest.approx(max(absent, failing))
    assert found["q_value"] == pytest.approx(2 * max(absent, failing)), "two templates were tested"
    names = ["trace_count", "failed_count", "covered_count", "covered_failed_count", "baseline_covered_count"]
    assert found[names].tolist() == [6, 6, 20, 10, 30]
    assert found["is_significant"]
    assert not new_templates(side(20, 10, fault=range(6)), side(30, 5), fdr=0.01)["is_significant"].any()


def test_a_template_of_the_baseline_is_not_new_at_any_level():
    before = side(300, 30)
    before.lines.loc[0, ["level", "template"]] = ["WARN", "fault"]
    assert new_templates(side(300, 30, fault=range(30)), before).empty
    assert new_templates(side(300, 30, fault=range(30)), side(300, 30))["is_significant"].tolist() == [True]


def test_a_template_of_all_requests_goes_with_no_failure():
    found = new_templates(side(300, 30, fault=range(300)), side(300, 30)).iloc[0]
    assert found["p_value"] == 1.0


def test_where_every_request_fails_being_new_is_enough():
    assert new_templates(side(50, 50, fault=range(40)), side(50, 0))["is_significant"].tolist() == [True]


def test_a_service_without_lines_in_the_baseline_is_not_tested():
    before = side(300, 30)
    before.lines["service_name"] = "other"
    found = new_templates(side(300, 30, fault=range(30)), before)
    assert found["p_value"].isna().all()
    assert not found["is_significant"].any()


def test_equal_weights_do_not_matter_and_a_large_one_in_the_baseline_weakens_the_evidence():
    now = side(100, 20, fault=range(8))
    plain = new_templates(now, side(100, 20))["p_value"].iloc[0]
    assert new_templates(now._replace(weight=np.full(100, 5.0)), side(100, 20, weight=5.0))["p_value"].iloc[
        0
    ] == pytest.approx(plain)
    uneven = np.where(np.arange(100) < 50, 1.0, 10.0)  # at the lowest rate, 55 of the 550 requests would be recorded
    expected = max(comb(100, 8) / comb(155, 8), comb(20, 8) / comb(100, 8))
    assert new_templates(now, side(100, 20, weight=uneven))["p_value"].iloc[0] == pytest.approx(expected)
    assert expected > plain
