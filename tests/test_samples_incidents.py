"""What the index says about the releases in one zone, found again through the public functions."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import tracekit as tk
from tracekit.cli import app
from tracekit.samples import sample_paths

INDEX = json.loads((Path(__file__).parents[1] / "datasets" / "index.json").read_text())["datasets"]
TRUTHS = {entry["name"]: entry["truth"] for entry in INDEX if "onset_time_ns" in entry["truth"]}


@pytest.fixture(scope="module", params=TRUTHS)
def planted(request):
    """Name, truth, the traces of the baseline, and those after the onset of the incident."""
    truth = TRUTHS[request.param]
    before, during = tk.load_sample(request.param)
    return request.param, truth, before, during.between(pd.Timestamp(truth["onset_time_ns"]), None), during


def test_only_the_new_version_is_new_and_it_starts_at_the_onset(planted):
    _, truth, before, _, during = planted
    of_service = [each.spans[each.spans["service_name"] == truth["service"]] for each in (before, during)]
    versions = truth["version"]
    assert set(of_service[0]["service_version"]) == {versions["baseline"]}
    new = of_service[1][of_service[1]["service_version"] == versions["during"]]
    assert 0 <= new["start_ns"].min() - truth["onset_time_ns"] < 2e9
    others = [
        set(each.spans.loc[each.spans["service_name"] != truth["service"], "service_version"])
        for each in (before, during)
    ]
    assert others[0] == others[1]


def test_the_first_suspect_is_the_service_and_its_new_version(planted):
    _, truth, before, after, _ = planted
    found = tk.suspects(before, after)
    first = found.table.iloc[0]
    assert (first["service_name"], first["verdict"]) == (truth["service"], "likely")
    assert first["confined_to"] == f"service_version {truth['version']['during']}"


def test_half_a_recording_is_enough_to_name_the_version_and_since_when(planted):
    _, truth, before, _, during = planted
    found = tk.suspects(before, during)
    first = found.table.iloc[0]
    assert (first["service_name"], first["verdict"]) == (truth["service"], "likely")
    assert first["confined_to"] == f"service_version {truth['version']['during']}"
    rows = found.breakdown[found.breakdown["rank"] == 1].set_index(["attribute", "value"])
    since = rows.loc[("service_version", truth["version"]["during"]), "first_time"]
    assert 0 <= since.value - truth["onset_time_ns"] < 2e9
    assert f"version {truth['version']['during']} (" in found.findings[0].headline
    assert f"new since {since:%Y-%m-%d %H:%M:%S} UTC)" in found.findings[0].headline


def test_what_differs_names_the_new_version_and_nothing_but_the_service(planted):
    _, truth, before, after, _ = planted
    table = tk.what_differs(after, before).table
    versions = table[(table["key"] == "service.version") & (table["q_value"] < 0.05)]
    assert versions["value"].tolist()[:2] == list(truth["version"].values())[::-1]


def test_the_first_row_of_the_comparison_is_the_operation(planted):
    _, truth, before, after, _ = planted
    changes = tk.compare(before, after)
    first, edge = changes.table.iloc[0], changes.edges.iloc[0]
    expected = truth["first_row"]
    assert (first["service_name"], first["operation"], first["verdict"]) == tuple(expected["operation"])
    assert (edge["caller_service"], edge["callee_service"], edge["verdict"]) == tuple(expected["edge"])
    assert first["contribution_low_ns"] > 0


def test_a_gate_fails_and_passes_on_the_baseline_itself(planted):
    name, *_ = planted
    before, during = (str(path) for path in sample_paths(name))
    command = ["diff", before, during, "--fail-if", "mean_ms of POST /checkout rises 5%"]
    assert CliRunner().invoke(app, command).exit_code == 1
    command[2] = before
    assert CliRunner().invoke(app, command).exit_code != 1


def test_halves_of_the_baseline_differ_in_nothing(planted):
    _, _, before, _, _ = planted
    middle = pd.Timestamp(int(before.summary["start_ns"].median()))
    first, second = before.between(None, middle), before.between(middle, None)
    assert tk.suspects(first, second).is_no_change
    assert set(tk.compare(first, second).table["verdict"]) <= {"no significant change", "too few"}
    assert tk.what_differs(second, first).table["q_value"].min() > 0.05
    assert set(tk.paths(second, first).table["verdict"]) <= {"no significant change", "too few"}


PATTERNS = {
    "n-plus-one-cost": ("patterns.n_plus_one", "inventory POST /v1/reservations calls inventory UPDATE stock"),
    "retry-storm": ("patterns.retries", "payments POST /v1/charges repeats failed calls of payments POST /charges"),
    "cold-start": ("patterns.cold_starts", "ledger POST /v1/authorizations waits"),
    "cascading-failure": ("patterns.slow_instances", "of inventory takes"),
}


def test_the_pattern_is_named_and_the_baseline_has_none(planted):
    name, _, before, _, during = planted
    check, words = PATTERNS[name]
    found = tk.patterns(during, before)
    assert {finding.check for finding in found} == {check}
    assert words in found[0].headline
    assert found[0].headline.endswith("Not in the baseline.")
    assert not len(tk.patterns(before))
