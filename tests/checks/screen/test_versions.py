"""A release that is not the cause: there long before the onset, or beside a version that is as slow."""

import re

import numpy as np
import pandas as pd
import pytest
from analysis.suspects.planted import EPOCH, MS

import tracekit as tk
from tests.loading.store.split_stores import split

HOUR = 3_600_000 * MS


def recording(seed, begin, *, slow=lambda _: False, is_new=lambda _: False, n=300):
    """Requests to web, one a second, each with a call to stock; stock is slow, or on version 2.0.0, in some."""
    rng, rows = np.random.default_rng(seed), []
    for k in range(n):
        start, took = begin + k * 1000 * MS, int(6 * MS * rng.lognormal(0, 0.3) * (5 if slow(k) else 1))
        trace = rng.bytes(16).hex()
        version = "2.0.0" if is_new(k) else "1.0.0"
        rest = int(8 * MS * rng.lognormal(0, 0.3))
        spans = [
            ("1", None, "web", "GET /", "SERVER", 0, took + rest, "1.0.0"),
            ("2", "1", "web", "call stock", "CLIENT", rest // 2, rest // 2 + took, "1.0.0"),
            ("3", "2", "stock", "GET /stock", "SERVER", rest // 2 + MS, rest // 2 + took, version),
        ]
        rows += [
            {"trace_id": trace, "span_id": one.zfill(16), "parent_span_id": parent and parent.zfill(16),
             "service_name": service, "name": name, "kind": kind, "start_ns": start + first, "end_ns": start + last,
             "service_version": number}
            for one, parent, service, name, kind, first, last, number in spans
        ]  # fmt: skip
    return tk.TraceSet.from_spans(pd.DataFrame(rows)).with_weights(1)


@pytest.fixture(scope="module")
def before():
    return recording(1, EPOCH)


@pytest.fixture(params=["in memory", "stored"])
def said(request, tmp_path):
    """Returns what is said of traces in memory, and of stores with parts of them."""

    def stored(side, name):
        return side if side is None or request.param == "in memory" else split(side, tmp_path / f"{name}.parquet", 3)

    return lambda now, before: _said(stored(now, f"now-{id(now)}"), stored(before, f"before-{id(now)}"))


def _said(now, before):
    case = tk.investigate(now, before)
    lines = {line.check.removeprefix("screen."): line.headline for line in case.first_screen}
    counter = " ".join(one.headline for found in case.story.hypotheses for one in found.counter)
    evidence = " ".join(one.headline for found in case.story.hypotheses for one in found.evidence)
    return lines, counter, evidence


def test_a_version_that_was_fast_until_the_onset_is_not_rolled_back(before, said):
    now = recording(2, EPOCH + HOUR, slow=lambda k: k >= 200, is_new=lambda k: k >= 60)
    lines, counter, evidence = said(now, before)
    assert lines["changed"] == (
        "stock 1.0.0 → 2.0.0, first seen before the regression began, 15:01:00. No other service version changed."
    )
    assert lines["actions"].startswith("1. Look at stock GET /stock first. 2. Verify: ")
    assert "stock 1.0.0 → 2.0.0 was first seen before the regression began." in counter
    assert "on stock 2.0.0 before the regression began (n = 1" in counter
    assert "coincides" not in evidence


def test_without_a_baseline_neither(said):
    now = recording(2, EPOCH + HOUR, slow=lambda k: k >= 200, is_new=lambda k: k >= 60)
    lines, _, evidence = said(now, None)
    assert "first seen before the regression began, 15:01:00" in lines["changed"]
    assert "oincides" not in lines["changed"] + evidence
    assert "Roll back" not in lines["actions"]


def test_a_version_beside_one_that_is_as_slow_is_not_rolled_back(before, said):
    now = recording(3, EPOCH + HOUR, slow=lambda _: True, is_new=lambda k: k % 8 == 0)
    lines, counter, evidence = said(now, before)
    assert lines["changed"] == (
        "stock 1.0.0 → 2.0.0, first seen 15:00:00, while requests on 1.0.0 are slow as well."
        " No other service version changed."
    )
    assert "Roll back" not in lines["actions"]
    assert "requests on other versions are as bad at the same time" in counter
    sizes = re.search(r"on stock 1\.0\.0 \(n = (\d+) requests\) and .* on 2\.0\.0 \(n = (\d+)\)", counter)
    others, mine = map(int, sizes.groups())
    assert 255 <= others <= 262  # of 300, seven of eight, those after the onset is certain
    assert 36 <= mine <= 38
    assert "coincides" not in evidence


def test_a_slow_version_beside_a_fast_one_is_rolled_back(before, said):
    now = recording(4, EPOCH + HOUR, slow=lambda k: k % 3 == 0, is_new=lambda k: k % 3 == 0)
    lines, _, evidence = said(now, before)
    assert "first seen 15:00:00. No other service version changed. (Coincides; not proof.)" in lines["changed"]
    assert lines["actions"].startswith("1. Roll back stock to 1.0.0. ")
    assert "at the same time " in evidence
    assert "on 2.0.0 (n = " in evidence


def test_a_version_that_serves_all_requests_from_the_onset_coincides(before, said):
    for first in (0, 100):
        now = recording(5, EPOCH + HOUR, slow=lambda k: k >= first, is_new=lambda k: k >= first)  # noqa: B023 - at once
        lines, _, evidence = said(now, before)
        assert lines["changed"].endswith("(Coincides; not proof.)")
        assert lines["actions"].startswith("1. Roll back stock to 1.0.0. ")
        assert "It coincides; that is not proof." in evidence


def test_the_sentences_are_verified(before, tmp_path):
    now = recording(3, EPOCH + HOUR, slow=lambda _: True, is_new=lambda k: k % 8 == 0)
    path = tk.investigate(now, before).postmortem(tmp_path / "a.html")
    assert tk.verify(path, now, baseline=before).is_verified
