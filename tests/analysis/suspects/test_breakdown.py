"""Where within a suspect: the one pod, version or operation that has the excess."""

import pytest
from analysis.suspects.planted import sides

from tracekit import TraceSet
from tracekit.analysis.suspects.compute import compute


@pytest.mark.parametrize("fault", ["own", "way in", "failing"])
def test_a_fault_in_one_pod_is_confined_to_it(fault):
    found = compute(*sides(fault, "stock", instance="stock-1", current=150))
    assert found.table.loc[0, ["service_name", "confined_to"]].tolist() == ["stock", "k8s_pod_name stock-1"]
    pods = found.breakdown[(found.breakdown["rank"] == 1) & (found.breakdown["attribute"] == "k8s_pod_name")]
    assert pods.set_index("value")["is_confined"].to_dict() == {"stock-0": False, "stock-1": True, "stock-2": False}
    assert pods["excess_ratio"].iloc[0] >= 0.9
    assert (pods["current_count"].sum(), pods["baseline_count"].sum()) == (150, 150)


def test_a_fault_in_all_pods_is_confined_to_none():
    found = compute(*sides("own", "stock", current=150))
    assert found.table.loc[0, "confined_to"] is None
    assert not found.breakdown["is_confined"].any()


def test_a_version_that_the_baseline_does_not_have_is_new():
    baseline, current = sides("own", "cart")
    released = [
        TraceSet.from_spans(side.spans.assign(service_version=version))
        for side, version in ((baseline, "1.4.0"), (current, "1.5.0"))
    ]
    parts = compute(*released).breakdown
    versions = parts[(parts["rank"] == 1) & (parts["attribute"] == "service_version")]
    assert versions[["value", "is_new", "is_confined"]].to_numpy().tolist() == [["1.5.0", True, False]]


def test_the_slower_operation_is_named():
    assert compute(*sides("own", "ledger")).table.loc[0, "operation"] == "GET /entries"


def test_a_service_that_does_not_answer_has_no_breakdown():
    """Its callers' pods are not its own."""
    found = compute(*sides("unanswered", "stock"))
    assert found.table.loc[0, "service_name"] == "stock"
    assert found.breakdown[found.breakdown["rank"] == 1].empty
