"""Faults injected into real systems at known times: the onset, and silence before the fault.

The periods before a fault are minutes of a day with gaps between them: the request rate changes, and nothing else in
any of the 26.  With the fault behind them, the latency or the time of a service changes in 10 of 24, and in all of
these an interval contains the injection or begins at most 80 s after it.  The others have few requests (TrainTicket,
around 100 in a window) or calls that are left out and take no time.
"""

import json

import pytest

import tracekit as tk

SECOND = 1_000_000_000
FIRST_SEEN = (
    ("onlineboutique/*_063539_*", {"productcatalogservice", "recommendationservice"}),
    ("onlineboutique/*_071043_*", {"recommendationservice", "frontend"}),
    ("onlineboutique/*_075333_*", {"adservice"}),
)


def recorded(folder, *windows):
    """The traces of some windows, in one set."""
    parts = [tk.read(folder / f"{window}.otlp.jsonl.zst", progress=False) for window in windows]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def folders(shared, pattern):
    found = sorted(path.parent for path in (shared / "data" / "rca").glob(f"{pattern}/labels.json"))
    if not found:
        pytest.skip("the recordings of injected faults are not beside the repository")
    return found


@pytest.mark.parametrize(("pattern", "services"), FIRST_SEEN)
def test_the_onset_is_the_injection(shared, pattern, services):
    (folder,) = folders(shared, pattern)
    injected = json.loads((folder / "labels.json").read_text())["inject_unix"] * SECOND
    seen = tk.timeline(recorded(folder, "normal", "fault"))
    assert set(seen.affected["service_name"]) == services
    onsets = seen.changes[(seen.changes["kind"] == "onset") & (seen.changes["metric"] != "request_rate")]
    assert (onsets["low_ns"] <= injected + 5 * SECOND).all()
    assert (onsets["high_ns"] >= injected).all()


@pytest.mark.parametrize("pattern", ["onlineboutique/*_no_fault", "trainticket/*_no_fault"])
def test_two_clean_periods_of_a_system_are_no_change(shared, pattern):
    (folder,) = folders(shared, pattern)
    assert tk.timeline(recorded(folder, "normal", "fault")).changes.empty


@pytest.mark.slow
def test_nothing_but_the_load_changes_before_a_fault(shared):
    for folder in folders(shared, "*/*"):
        assert set(tk.timeline(recorded(folder, "normal")).changes["metric"]) <= {"request_rate"}, folder.name


@pytest.mark.slow
def test_most_faults_are_seen_when_they_begin(shared):
    timely, seen, faults = 0, 0, 0
    for folder in folders(shared, "*/*"):
        labels = json.loads((folder / "labels.json").read_text())
        if labels["fault_type"] == "none":
            continue
        faults += 1
        changes = tk.timeline(recorded(folder, "normal", "fault")).changes
        onsets = changes[(changes["kind"] == "onset") & (changes["metric"] != "request_rate")]
        after = onsets[onsets["high_ns"] >= labels["inject_unix"] * SECOND]
        seen += len(onsets) > 0
        timely += (after["low_ns"] <= (labels["inject_unix"] + 80) * SECOND).any()
    assert (faults, seen, timely) == (24, 10, 10)
