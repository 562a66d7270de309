"""Investigations of stores: the same lines as of traces in memory, and the same silence where nothing is wrong."""

import numpy as np
import pytest
from investigation.worlds import incident, quiet

import tracekit as tk
from tests.checks.findings_alike import close, numbers, of
from tests.loading.store.split_stores import split
from tracekit.checks.registry import CHECKS

MADE = {check.name for check in CHECKS if check.by_parts}
SAME = (
    "screen.headline", "screen.period", "screen.started", "screen.affected", "screen.changed", "screen.cause",
)  # fmt: skip


def alike(found, expected):
    """What both say by parts."""
    close(*([one for one in case.findings if one.check in MADE] for case in (found, expected)))
    screens = [[one for one in case.first_screen if one.check in SAME] for case in (found, expected)]
    assert of(screens[0]) == of(screens[1])
    assert found.baseline.kind == expected.baseline.kind
    assert found.baseline.statement == expected.baseline.statement
    assert found.severity == expected.severity
    assert not [one for one in found.findings if one.check == "failed"]


def stored(sides, folder, count):
    """Sets as stores."""
    return [split(side, folder / f"{at}-{count}.parquet", count, at) for at, side in enumerate(sides)]


@pytest.mark.parametrize("count", [1, 7, 64])
@pytest.mark.parametrize("kind", ["slow service", "failures"])
def test_an_incident(tmp_path, count, kind):
    before, now, _ = incident(np.random.default_rng(3), kind, n=300, baseline=300, tier="enterprise")
    stores = stored((before, now), tmp_path, count)
    found, expected = tk.investigate(stores[1], stores[0]), tk.investigate(now, before)
    assert expected.severity in {"critical", "warning"}
    alike(found, expected)
    assert "suspects" not in numbers(next(one for one in found.findings if one.check == "not_made"))["checks"]


@pytest.mark.parametrize("seed", range(4))
def test_quiet_pairs_are_as_quiet_as_in_memory(tmp_path, seed):
    before, now = quiet(np.random.default_rng(seed), n=250, release=seed % 2 == 0)
    stores = stored((before, now), tmp_path, 5)
    found, expected = tk.investigate(stores[1], stores[0]), tk.investigate(now, before)
    alike(found, expected)
    assert found.severity != "critical"


@pytest.mark.parametrize("kind", ["failures", "slow service"])
def test_a_baseline_inside_a_store(tmp_path, kind):
    before, now, _ = incident(np.random.default_rng(5), kind, n=400, baseline=400)
    whole = before + now
    (store,) = stored((whole,), tmp_path, 6)
    found, expected = tk.investigate(store), tk.investigate(whole)
    assert expected.baseline.before is not None
    alike(found, expected)
    assert found.verify(tk.open(store.path)).is_verified


def test_claims_are_verified_with_the_store_read_again(tmp_path):
    before, now, _ = incident(np.random.default_rng(6), "slow service", n=200, baseline=200)
    stores = stored((before, now), tmp_path, 3)
    case = tk.investigate(stores[1], stores[0])
    again = [tk.open(store.path) for store in stores]
    weighted = [store.with_weights(1) for store in again]
    assert case.verify(again[1], baseline=again[0]).is_verified
    assert case.verify(weighted[1].only([0, 1]), baseline=weighted[0]).differences["kind"].tolist()[0] == "traces"
    page = case.report(tmp_path / "r.html")
    assert tk.verify(page, again[1], baseline=again[0]).is_verified


def test_nothing_personal_is_in_the_report_of_an_investigation(tmp_path):
    before, now, _ = incident(np.random.default_rng(8), "slow service", n=150, baseline=150)
    sides = []
    for side in (before, now):
        frame = side.spans.copy()
        frame["name"] = (
            frame["name"].astype(object).where(frame["parent_span_id"].notna(), "GET /to/jane.doe@example.com")
        )
        sides.append(tk.TraceSet.from_spans(frame).with_weights(1))
    stores = stored(sides, tmp_path, 3)
    case = tk.investigate(stores[1], stores[0])
    assert "doe@example.com" in str(case.report(tmp_path / "all.html", redact=None).read_text())
    page = case.report(tmp_path / "r.html")
    assert "jane.doe@example.com" not in page.read_text()
    assert tk.verify(page, stores[1], baseline=stores[0]).is_verified


def test_what_needs_all_traces_is_refused_or_named(tmp_path):
    before, now = quiet(np.random.default_rng(9), n=60)
    stores = stored((before, now), tmp_path, 2)
    with pytest.raises(ValueError, match=r"expected no logs= with a store, found some; investigate store\.sample"):
        tk.investigate(stores[1], logs=[])
    with pytest.raises(ValueError, match="expected no rules= with a store"):
        tk.investigate(now, stores[0], rules={})
    case = tk.investigate(stores[1], stores[0], steps=["changes"])
    assert numbers(next(one for one in case.findings if one.check == "not_made"))["checks"] == ["queries"]
    with pytest.raises(ValueError, match="expected traces in memory for a postmortem, found a store"):
        case.postmortem(tmp_path / "p.html")
    with pytest.raises(TypeError, match=r"expected a TraceSet for tk\.investigate, found list"):
        tk.investigate([now])
