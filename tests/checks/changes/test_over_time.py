"""When a recording changed, in a sentence: planted steps, and silence without one."""

import re

import numpy as np
import pytest
from analysis.test_change_points import calling, recorded
from checks.first_screen import changes_of

import tracekit as tk
from tracekit.checks.case import Case
from tracekit.checks.changes.over_time import over_time


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize(
    ("planted", "severity", "words"),
    [
        (
            {"factor": 2},
            "warning",
            r"Mean latency of recorded requests rose at 2023-11-14 22:21:4\d UTC \(95% CI 22:21:2\d to 22:21:4\d\): .*",
        ),
        ({"factor": 2}, "warning", r".*: 27\.\d → 56\.\d ms \(p = 0\.00\d+\), and changed back to 26\.\d ms at .*\."),
        ({"factor": 0.5}, "notice", r"Mean latency of recorded requests fell at .*\."),
        ({"failing": 0.3}, "warning", r"Error rate of recorded requests rose at .*: 2\.\d\d?% → 2\d\.\d% .*\."),
        ({"surge": 3}, "info", r"Request rate .* rose at .* requests/s .* Load varies on its own, .*\."),
    ],
)
def test_a_planted_change_is_said_with_its_time_and_values(rng, planted, severity, words):
    (finding,) = over_time(Case(recorded(rng, **planted)))
    assert finding.severity == severity
    assert re.fullmatch(words, finding.headline), finding.headline
    assert finding.code == "tk.timeline(traces).changes"
    assert set(finding.evidence["kind"]) == {"onset", "peak", "recovery"}
    assert finding.values["before_value"] == finding.evidence["before_value"].iloc[0]


def test_known_weights_of_all_traces_describe_all_requests(rng):
    (finding,) = over_time(Case(recorded(rng, factor=2).with_weights(2)))
    assert finding.headline.startswith("Mean latency rose at")


def test_the_service_that_changed_first_is_named_only_if_the_intervals_say_so(rng):
    finding = over_time(Case(calling(rng, {"search": 800, "db": 400, "mail": 9999})))[0]
    assert finding.headline.endswith("Critical-path time changed first at db, later at search.")
    finding = over_time(Case(calling(rng, {"cache": 400, "db": 400, "mail": 9999})))[0]
    assert re.search(
        r"changed at (cache, db|db, cache); their intervals overlap, so no order is known\.$", finding.headline
    )


def test_a_release_that_coincides_is_named_without_a_claim():
    before, during = tk.load_sample("checkout-regression")
    (finding,) = over_time(Case(before + during))
    assert finding.severity == "notice"
    assert finding.headline.startswith("Critical-path time of ledger rose at 2026-11-21 04:59:")
    assert "Deployed at that time: ledger 1.5.0 (coincides; no proof)." in finding.headline


def test_nothing_is_said_without_a_change():
    before, during = tk.load_sample("checkout-regression")
    assert "over_time" not in {finding.check for finding in changes_of(before, during)}
    assert over_time(Case(before.where("service_name == 'nobody'"))) == []
