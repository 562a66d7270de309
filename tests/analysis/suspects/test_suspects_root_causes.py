"""Three injected faults and a clean period of real systems; ``tests/benchmarks/test_suspects.py`` has all of them."""

import json

import pytest

import tracekit as tk
from tracekit.analysis.suspects.compute import compute

SMALL = [
    "trainticket/*basic-service_cpu_contention",
    "trainticket/*verification-code-service_network_delay",
    "trainticket/*_no_fault",
    "onlineboutique/*_checkoutservice_return",
]


@pytest.fixture(scope="module", params=SMALL)
def case(request, shared):
    folder = next((shared / "data" / "rca").glob(request.param), None)
    if folder is None:
        pytest.skip("the recordings of injected faults are not beside the repository")
    sides = [tk.read(folder / f"{side}.otlp.jsonl.zst", progress=False) for side in ("normal", "fault")]
    return json.loads((folder / "labels.json").read_text())["root_cause_service"], compute(*sides)


def test_the_culprit_is_first_or_nobody_is_named(case):
    culprit, found = case
    assert (None if found.is_no_change else found.table.loc[0, "service_name"]) == (culprit or None)


def test_every_path_adds_up(case):
    _, found = case
    for _, path in found.path.groupby("rank"):
        assert path["excess_ns"].sum() == path["current_ns"].sum() - path["baseline_ns"].sum()
        assert path["position"].tolist() == list(range(len(path)))
