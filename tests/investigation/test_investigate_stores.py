"""Investigations of stores: the same lines as of traces in memory, and the same silence where nothing is wrong."""

import re

import numpy as np
import pandas as pd
import pytest
from investigation.worlds import incident, quiet
from report.test_spans_inputs import lines_of
from typer.testing import CliRunner

import tracekit as tk
from tests.checks.findings_alike import close, numbers, of
from tests.loading.store.split_stores import same, split
from tracekit.checks.registry import CHECKS
from tracekit.cli import app

MADE = {check.name for check in CHECKS} - {"new_log_lines"}  # whose code is that of a store
SAME = (
    "screen.headline", "screen.period", "screen.started", "screen.affected", "screen.changed", "screen.cause",
)  # fmt: skip
MANY = pytest.param(("failures", 64), marks=pytest.mark.slow)
PAIRS = [("slow service", 1), ("slow service", 5), ("failures", 5), ("N+1 calls", 3), MANY]


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


@pytest.fixture(scope="module")
def pair(request, tmp_path_factory):
    """Investigations of one incident, in parts and in memory."""
    kind, count = request.param
    before, now, _ = incident(np.random.default_rng(3), kind, n=300, baseline=300, tier="enterprise")
    stores = stored((before, now), tmp_path_factory.mktemp("pair"), count)
    return tk.investigate(stores[1], stores[0]), tk.investigate(now, before)


@pytest.mark.parametrize("pair", PAIRS, indirect=True)
def test_an_incident(pair):
    found, expected = pair
    assert expected.severity in {"critical", "warning"}
    alike(found, expected)


@pytest.mark.parametrize("seed", range(4))
def test_quiet_pairs_are_as_quiet_as_in_memory(tmp_path, seed):
    before, now = quiet(np.random.default_rng(seed), n=250, release=seed % 2 == 0)
    stores = stored((before, now), tmp_path, 3)
    found, expected = tk.investigate(stores[1], stores[0]), tk.investigate(now, before)
    alike(found, expected)
    assert found.severity != "critical"


@pytest.mark.parametrize("kind", ["failures", "slow service"])
def test_a_baseline_inside_a_store(tmp_path, kind):
    before, now, _ = incident(np.random.default_rng(5), kind, n=400, baseline=400)
    whole = before + now
    (store,) = stored((whole,), tmp_path, 4)
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


def test_a_list_of_traces_is_refused():
    now = quiet(np.random.default_rng(9), n=60)[1]
    with pytest.raises(TypeError, match=r"expected a TraceSet for tk\.investigate, found list"):
        tk.investigate([now])


def given(before, now, *, ids=True):
    """Everything that an investigation takes: lines of which new ones are in failing requests, and of three no id."""
    lines = [one for side, text in ((before, "cart"), (now, "payment")) for one in lines_of(side, text)]
    frame = pd.DataFrame(lines)
    frame.loc[frame.index[:3], "trace_id"] = frame["trace_id"].iloc[:3] if ids else None
    start = pd.to_datetime(int(now.summary["start_ns"].min()), utc=True).floor("min")
    root = str(now.spans["service_name"].iloc[int(now.forest.root_row[0])])
    counts = pd.DataFrame({"time": [start], "end": [start + pd.Timedelta("1h")], "service": [root], "count": [9_000]})
    prices = [tk.Price("ledger", "service_name == 'ledger'", usd_per_million=900)]
    deployed = {"ledger 1.1.0": start}
    return {"logs": frame, "requests": counts, "deployments": deployed, "slo": 0.99, "prices": prices}


def test_all_inputs_say_the_same_as_of_traces_in_memory(tmp_path):
    before, now, _ = incident(np.random.default_rng(12), "failures", n=250, baseline=250)
    stores, more = stored((before, now), tmp_path, 3), given(before, now)
    pairs = [(stores[1], stores[0]), (now, stores[0]), (stores[1], before)]
    expected = tk.investigate(now, before, **more)
    new = of([one for one in expected.findings if one.check == "new_log_lines"])
    assert new, "the log lines say something"
    cases = [tk.investigate(*pair, **more) for pair in pairs]
    for found in cases:
        assert [of([one])[0][:4] for one in found.findings if one.check == "new_log_lines"] == [new[0][:4]]
    found = cases[0]
    alike(found, expected)
    counted = {
        one.check: one.headline for one in expected.findings if one.check in {"rate.observed", "coverage.funnel"}
    }
    assert counted
    assert counted == {one.check: one.headline for one in found.findings if one.check in counted}
    page = found.report(tmp_path / "a.html")
    again = [tk.open(store.path).with_weights(1) for store in stores]
    checked = tk.verify(page, again[1], baseline=again[0], **more)
    assert checked.is_verified, checked.differences
    for name in ("Log lines", "Service level objective", "Cost"):
        assert f">{name}</h2>" in page.read_text()
    other = {**more, "logs": more["logs"].assign(message="x")}
    assert not tk.verify(page, again[1], baseline=again[0], **other).is_verified


def test_lines_without_a_trace_id_are_joined_and_rules_are_compared(tmp_path):
    before, now, _ = incident(np.random.default_rng(12), "failures", n=120, baseline=120)
    stores, lines = stored((before, now), tmp_path, 3), given(before, now, ids=False)["logs"]
    found, expected = (tk.investigate(*pair, logs=lines, rules=0.5) for pair in (stores[::-1], (now, before)))
    said = [[one.headline for one in each.findings if one.check == "new_log_lines"] for each in (found, expected)]
    assert said[0] == said[1] != []
    same(found._case.logs.matches, expected._case.logs.matches)
    (said,) = [one.headline for one in found.findings if one.check == "bias.reservoir"]
    assert said == "No reservoir bias: the rules have no reservoir."


# ------------------------------------------------------------------ postmortems


def entries(story, *names):
    """The sentences of sections."""
    return {name: [one.headline for one in story.only(name).findings] for name in names}


@pytest.mark.parametrize("pair", PAIRS, indirect=True)
def test_a_postmortem_says_the_same_as_of_traces_in_memory(pair):
    found, expected = pair
    names = ("summary", "impact", "timeline", "waits", "remedies")
    assert entries(found.story, *names) == entries(expected.story, *names)
    assert not [one for one in found.story.limits if one.check == "failed"]
    assert [one.claim.headline for one in found.story.hypotheses] == [
        one.claim.headline for one in expected.story.hypotheses
    ]
    commands = [[numbers(check).get("command") for one in each.story.actions for check in one.checks]
                for each in (found, expected)]  # fmt: skip
    assert commands[0] == commands[1]
    assert commands[0]


@pytest.mark.parametrize("name", ["a.html", "a.md"])
def test_a_postmortem_of_stores_is_verified(tmp_path, name):
    before, now, _ = incident(np.random.default_rng(4), "failures", n=200, baseline=200)
    stores = stored((before, now), tmp_path, 3)
    path = tk.investigate(stores[1], stores[0]).postmortem(tmp_path / name, length="on-call")
    again = [tk.open(store.path).with_weights(1) for store in stores]
    found = tk.verify(path, again[1], baseline=again[0])
    assert found.is_verified, found.differences
    assert not tk.verify(path, again[0], baseline=again[0]).is_verified
    with pytest.raises(tk.RenderError, match="expected traces in memory to embed, found a store"):
        tk.investigate(stores[1], stores[0]).postmortem(tmp_path / "b.html", embed=True)


def test_the_commands_take_stores_with_all_inputs(tmp_path):
    before, now, _ = incident(np.random.default_rng(4), "failures", n=120, baseline=120)
    stores = [str(store.path) for store in stored((before, now), tmp_path, 2)]
    lines = pd.DataFrame(lines_of(before, "cart") + lines_of(now, "payment")).assign(ts=lambda one: one["time"])
    (tmp_path / "log.jsonl").write_text(lines.to_json(orient="records", lines=True))
    given = ["--by-parts", "--baseline", stores[0], "--logs", str(tmp_path / "log.jsonl")]
    pages = tmp_path / "a.html", tmp_path / "b.html"
    calls = (["report", stores[1], *given, "-o", str(pages[0])],
             ["investigate", stores[1], *given, "--postmortem", str(pages[1])])  # fmt: skip
    for call, page in zip(calls, pages, strict=True):
        ran = CliRunner().invoke(app, call)
        assert ran.exit_code == 0, ran.output
        assert "new log template" in page.read_text()
        ran = CliRunner().invoke(app, ["verify", str(page), stores[1], *given])
        assert ran.exit_code == 0, ran.output


def test_nothing_personal_is_in_the_postmortem_of_a_store(tmp_path):
    """A query with a name that redaction changes would select nothing: there is none."""
    before, now, _ = incident(np.random.default_rng(8), "failures", n=150, baseline=150)
    sides = []
    for side in (before, now):
        frame = side.spans.copy()
        is_root = frame["parent_span_id"].isna()
        frame["name"] = frame["name"].astype(object).where(~is_root, "GET /to/jane.doe@example.com")
        sides.append(tk.TraceSet.from_spans(frame).with_weights(1))
    stores = stored(sides, tmp_path, 3)
    case = tk.investigate(stores[1], stores[0], logs=given(*sides)["logs"])
    for path in (case.postmortem(tmp_path / "a.html"), case.postmortem(tmp_path / "a.md")):
        text = path.read_text()
        assert "jane.doe@example.com" not in text
        assert "user3@example.org" not in text
        assert not re.search(r"GET /to/[^\n]{0,200} selects ", text)
        again = tk.verify(path, stores[1], baseline=stores[0], logs=given(*sides)["logs"])
        assert again.is_verified, again.differences
