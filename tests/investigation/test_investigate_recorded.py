"""Incidents of the recorder: how they are planted and judged; ``-m slow`` records some."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from investigation.recorded import answers, measure, pairs, rows

import tracekit as tk

RECORDER = Path(__file__).parents[2] / "datasets" / "record" / "many.py"


@pytest.fixture
def many(monkeypatch):
    pytest.importorskip("opentelemetry.exporter.otlp.json.file", reason="needs the record extra")
    monkeypatch.syspath_prepend(str(RECORDER.parent))
    import many  # noqa: PLC0415 - stands in datasets/record

    return many


def test_a_seed_determines_the_incidents(many):
    one, again, other = ([many.incident_of(number, seed, 300) for number in range(22)] for seed in (1, 1, 2))
    assert one == again
    assert one != other
    assert len({incident.name for incident in one}) == 10  # mechanisms
    for incident in one:
        fault = incident.fault
        assert fault is None or fault.service == incident.truth["service"]
        assert fault is None or (fault.first == 0) == bool(incident.releases)


def test_a_planted_incident_is_judged_by_what_was_planted():
    before, now = tk.load_sample("checkout-regression")
    found = tk.investigate(now, before)
    start = int(now.summary["start_ns"].min())
    truth = {
        "incident": "slow-ledger", "service": "ledger", "version": {"during": "1.5.0"},
        "affected": {"attribute": "app.customer.tier", "value": "enterprise"}, "onset_time_ns": start,
    }  # fmt: skip
    assert set(answers(found, truth).values()) == {True}
    wrong = {
        "incident": "naive-retries", "service": "cart", "version": {"during": "9"},
        "affected": {"attribute": "app.customer.tier", "value": "free"}, "onset_time_ns": start - 10**12,
    }  # fmt: skip
    assert {name for name, right in answers(found, wrong).items() if right} == {"severity"}
    assert answers(found, {**truth, "version": None, "affected": None})["tenant"] is None


def test_recordings_on_a_busy_machine_are_left_out(tmp_path):
    lines = [
        {"number": 0, "recording": "000-healthy.jsonl", "delay_ms": 0.1},
        {"number": 0, "recording": "000-incident.jsonl", "delay_ms": 0.1, "incident": "slow-ledger"},
        {"number": 1, "recording": "001-healthy.jsonl", "delay_ms": 3.0},
        {"number": 1, "recording": "001-incident.jsonl", "delay_ms": 0.1, "incident": "failures"},
    ]
    (tmp_path / "truth.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for line in lines:
        (tmp_path / line["recording"]).touch()
    names = [(before.name, now.name) for before, now, _ in pairs(tmp_path)]
    assert names == [("000-healthy.jsonl", "000-incident.jsonl")]


@pytest.mark.slow
@pytest.mark.usefixtures("many")
def test_incidents_that_are_recorded_now_are_found(tmp_path):
    """Three of them, on a quiet machine: four minutes.  ``many.py FOLDER --count 40`` records more."""
    ran = subprocess.run([sys.executable, RECORDER, tmp_path, "--count", "3"], check=False, timeout=900)
    assert ran.returncode == 0
    found = {name: (hits, of) for name, hits, of in rows(*measure(tmp_path))}
    if not found.get("service", (0, 0))[1]:
        pytest.skip("the machine was busy")
    assert found["service"][0] >= found["service"][1] - 1
    assert found["quiet pairs: critical"][0] == 0
