"""The steps of a path add up, and show where the time was added."""

import pytest
from analysis.suspects.planted import MS, sides

from tracekit.analysis.suspects.compute import compute


@pytest.fixture(params=["own", "way in", "starved"])
def found(request):
    baseline, current = sides(request.param, "ledger")
    return request.param, baseline, current, compute(baseline, current)


def test_the_steps_sum_to_the_duration_of_the_entry(found):
    _, baseline, current, result = found
    path = result.path[result.path["rank"] == 1]
    for name, side in (("baseline_ns", baseline), ("current_ns", current)):
        assert path[name].sum() == pytest.approx(side.summary["root_duration_ns"].mean(), abs=1)
    assert (path["current_ns"] - path["baseline_ns"]).equals(path["excess_ns"])
    assert path["excess_ns"].dtype.kind == "i"


def test_the_path_leads_from_the_entry_to_the_suspect(found):
    path = found[3].path
    path = path[path["rank"] == 1]
    middle = path["service_name"].iloc[3]
    assert middle in {"cart", "stock"}
    steps = ["self time", "other calls", "gap of the next call"]
    assert path["step"].tolist() == [*steps, *steps, "self time"]
    assert path["service_name"].tolist() == ["front"] * 3 + [middle] * 3 + ["ledger"]
    assert path["callee_service"].dropna().tolist() == [middle, "ledger"]
    assert (path["baseline_count"] == 150).all()
    assert (path["current_count"] == 60).all()


def test_the_time_was_added_at_the_suspect(found):
    fault, *_, result = found
    path = result.path[result.path["rank"] == 1]
    expected = {"own": [6], "way in": [5], "starved": [5, 6]}[fault]
    assert path["excess_ns"].iloc[expected].sum() > 8 * MS
    others = [1, *expected]  # the other branch calls ledger as well
    assert (path["excess_ns"].drop(path.index[others]).abs() < 2 * MS).all()


def test_the_interval_of_the_step_with_the_fault_excludes_zero(found):
    fault, *_, result = found
    path = result.path[result.path["rank"] == 1]
    step = path.iloc[{"own": 6, "way in": 5, "starved": 6}[fault]]
    assert 0 < step["excess_low_ns"] < step["excess_ns"] < step["excess_high_ns"]
    others = path.iloc[[0, 2, 3]]
    assert ((others["excess_low_ns"] < 0) | (others["excess_ns"].abs() < MS)).all()


def test_few_requests_have_no_interval():
    path = compute(*sides("own", "ledger", current=15)).path
    assert path["excess_low_ns"].isna().all()


def test_exemplars_are_spans_of_the_steps(found):
    _, _, current, result = found
    path = result.path[result.path["rank"] == 1]
    spans = current.spans.set_index(["trace_id", "span_id"])
    places = [spans.loc[key] for key in zip(path["exemplar_trace_id"], path["exemplar_span_id"], strict=True)]
    assert [str(span["service_name"]) for span in places] == path["service_name"].tolist()
    assert [str(span["kind"]) for span in places] == ["SERVER", "SERVER", "CLIENT"] * 2 + ["SERVER"]


def test_a_path_to_failing_spans_ends_at_them():
    found = compute(*sides("failing", "stock"))
    assert found.path.loc[found.path["rank"] == 1, "service_name"].tolist() == ["front"] * 3 + ["stock"] * 2
