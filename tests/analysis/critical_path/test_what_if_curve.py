import numpy as np
import pytest
from drawn_spans import draw

import tracekit as tk
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.errors import FilterError

SHOP = """
a1 1 - shop   SERVER    0 100 name=pay
a1 2 1 cart   INTERNAL 10  40 name=lock
a1 3 1 ledger INTERNAL 30  90 name=charge
b2 4 - shop   SERVER    0  50 name=pay
"""


def test_every_point_is_a_what_if():
    path = critical_path(draw(SHOP))
    curve = path.what_if_curve("name == 'charge'", factors=[0, 0.25, 1, 3])
    for factor, points in curve.table.groupby("factor"):
        alone = path.what_if({"name == 'charge'": factor})
        assert points["new_latency_ns"].tolist() == alone.table["new_latency_ns"].tolist()
        assert points["statistic"].tolist() == alone.table.index.tolist()
    means = curve.table[curve.table["statistic"] == "mean"]
    assert means["new_latency_ns"].tolist() == [50, 52.5, 75, 135]
    assert means["taken_over_count"].tolist() == [1, 0, 0, 0]
    assert repr(curve) == "WhatIfCurve(4 factors from 0 to 3, 1 spans changed; sampling weights unknown)"
    assert "<p>WhatIfCurve(4 factors" in curve._repr_html_()


def test_more_time_never_makes_a_request_faster():
    _, during = tk.load_sample("checkout-regression")
    curve = critical_path(during).what_if_curve("name == 'SELECT entries'")
    assert curve.table["factor"].nunique() == 17
    for _, points in curve.table.groupby("statistic"):
        assert (np.diff(points["new_latency_ns"]) >= 0).all()
    now = curve.table[curve.table["factor"] == 1]
    assert now["new_latency_ns"].tolist() == now["latency_ns"].tolist()


def test_no_factors_and_wrong_ones():
    path = critical_path(draw(SHOP))
    with pytest.raises(ValueError, match="expected at least one factor, found none"):
        path.what_if_curve("name == 'charge'", factors=[])
    with pytest.raises(
        ValueError, match="expected a factor of 0 or more, a CapSelfTime or a MatchDistribution, found -1"
    ):
        path.what_if_curve("name == 'charge'", factors=[-1])
    with pytest.raises(FilterError, match="found 'nam'"):
        path.what_if_curve("nam == 'charge'")
