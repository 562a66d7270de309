"""The chart that a report begins with agrees with its first screen about when the regression began."""

import re

import numpy as np
import pytest

import tracekit as tk
from tracekit.views.charts import utc_texts


@pytest.fixture(scope="module")
def case():
    before, during = tk.load_sample("checkout-regression")
    return tk.investigate(during, before)


def test_the_onset_is_that_of_the_first_screen(case):
    stated = case.first_screen["started"].values
    assert stated["onset_ns"] is None
    late = case.standard.timeline.affected.set_index("service_name").loc["ledger"]
    assert late["onset_ns"] > stated["high_ns"]  # a change of the time per step: later than the first slow request
    assert "ledger: onset" in str(tk.plot(case.standard.timeline).picture())
    for picture in (case.standard.timeline_shown(), case._repr_html_()):
        assert "ledger: onset" not in str(picture)
    limits = utc_texts(np.array([stated["low_ns"], stated["high_ns"]]))
    figure = tk.plot(case.standard.timeline, onset=(stated["low_ns"], stated["high_ns"]))
    assert [(note.text, note.x) for note in figure.layout.annotations][:1] == [("onset", limits[1])]
    assert len(re.findall(r">onset<", str(case.standard.timeline_shown()))) == 1


def test_the_time_between_two_recordings_is_no_change_of_the_request_rate():
    before, during = tk.load_sample("cascading-failure")
    standard = tk.investigate(during, before).standard
    rate = standard.timeline.changes["metric"] == "request_rate"
    assert rate.any(), "the guard: the pause is as long as steps that are found"
    shown = str(standard.timeline_shown())
    assert "error rate: onset" in shown
    assert "request rate" not in shown
    assert "request rate: onset" in str(tk.plot(standard.timeline).picture())
