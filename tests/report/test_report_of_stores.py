"""A report that compares stores: the same claims as of traces in memory, and what is not made is named."""

import json
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

import tracekit as tk
from tests.checks.findings_alike import close
from tests.loading.store.split_stores import same, split
from tracekit.checks.registry import CHECKS
from tracekit.cli import app
from tracekit.loading.store import rounds
from tracekit.report.redaction import Outgoing
from tracekit.report.sides import sides_of
from tracekit.report.standard import Standard

MADE = {check.name for check in CHECKS}
LINES = ("screen.headline", "screen.period", "screen.started", "screen.affected", "screen.changed", "screen.exemplar")


@pytest.fixture(scope="module")
def sides():
    """A baseline and the traces of a regression, with their sampling weights."""
    return [traces.with_weights(2) for traces in tk.load_sample("checkout-regression")]


@pytest.fixture(scope="module")
def stores(sides, tmp_path_factory):
    """The same as stores."""
    folder = tmp_path_factory.mktemp("stores")
    return [split(side, folder / f"{at}.parquet", 4 + at, at) for at, side in enumerate(sides)]


def claims(page):
    """The findings of checks that are made of stores, the lines of the first screen, and figures."""
    lines = [one for one in page.screen if one.check in LINES]
    findings = [one for one in page.findings if one.check in MADE]
    return lines, findings, list(page.figures.values())


@pytest.mark.parametrize("kinds", [(0, 0), (0, 1), (1, 0)])
def test_both_sides_or_one_may_be_a_store(sides, stores, kinds, monkeypatch):
    passes = []
    own_pass = rounds.over_tasks
    monkeypatch.setattr(
        rounds, "over_tasks", lambda tasks, *rest: (passes.append(len(tasks)), own_pass(tasks, *rest))[1]
    )
    whole = Standard.between(sides_of(sides[1], sides[0]))
    given = [(stores, sides)[kind][at] for at, kind in enumerate(kinds)]
    found = Standard.between(sides_of(given[1], given[0]))
    (own, mine, figures), (lines, findings, expected) = claims(found), claims(whole)
    assert 0 < len(passes) <= 22  # each side is read together with the other, and what follows from findings, too
    close(own, lines)
    close(mine, findings)
    assert [one.check for one in own] == list(LINES)
    assert {"affected", "slower", "change", "operations"} - {one.check for one in mine} <= {"operations"}
    told = [one.headline for one in figures if one.check != "figure.over_time"]
    assert told == [one.headline for one in expected if one.check != "figure.over_time"]
    same(found.changes.entries, whole.changes.entries)
    same(found.changes.comparison.table, whole.changes.comparison.table)
    assert "suspects" in {one.check for one in mine}
    assert not any(one.check == "failed" for one in found.findings)


def test_the_page_can_be_verified(sides, stores, tmp_path):
    page = tk.report(stores[1], tmp_path / "r.html", baseline=stores[0])
    assert tk.verify(page, stores[1], baseline=stores[0]).is_verified
    assert not tk.verify(page, stores[1].only([0, 1]), baseline=stores[0]).is_verified
    for which, given in (("traces", (sides[1], stores[0])), ("baseline", (stores[1], sides[0]))):
        expected = (
            f"expected {which}= as a store, of which the report was made by parts, found a TraceSet; pass tk.open"
        )
        with pytest.raises(ValueError, match=expected):
            tk.verify(page, given[0], baseline=given[1])
    unlike = tk.report(sides[1], tmp_path / "memory.html")
    with pytest.raises(
        ValueError, match=r"expected traces= in memory, as the report was made, found a store; pass tk\.read"
    ):
        tk.verify(unlike, stores[1])
    with pytest.raises(ValueError, match="expected baseline=, which the report was made with, found none"):
        tk.verify(page, stores[1])
    text = page.read_text()
    assert 'id="affected"' in text
    assert 'id="suspects"' in text
    assert re.search(r"before = tk.open\(&#34;0.parquet&#34;\)|before = tk.open\(\"0.parquet\"\)", text)


def test_one_store_is_split_or_compared_by_periods(sides, tmp_path):
    whole = sides[0] + sides[1]
    store = split(whole, tmp_path / "a.parquet", 3)
    start = pd.Timestamp(int(sides[1].summary["start_ns"].min()), tz="UTC")
    for options in ({"split": start}, {"period": (start, None), "baseline_period": (None, start)}):
        found, expected = (Standard.between(sides_of(each, **options)) for each in (store, whole))
        close(claims(found)[1], claims(expected)[1])
        assert found.sides.names == expected.sides.names
        assert found.timeline.table["trace_count"].sum() == expected.timeline.table["trace_count"].sum()
    with pytest.raises(ValueError, match="expected a baseline period without traces of the other one, found 1,000"):
        sides_of(store, period=(start, None), baseline_period=(start, None))
    with pytest.raises(ValueError, match="expected split= alone"):
        sides_of(store, split=start, baseline=store)


def test_nothing_personal_of_either_side_leaves(sides, tmp_path):
    named = []
    for at, (side, address) in enumerate(zip(sides, ("ann.lee@example.com", "jane.doe@example.com"), strict=True)):
        frame = side.head(200).spans.copy()
        frame["name"] = frame["name"].astype(object).where(frame["parent_span_id"].notna(), f"POST /to/{address}")
        named.append(split(tk.TraceSet.from_spans(frame), tmp_path / f"{at}.parquet", 3))
    page = tk.report(named[1], tmp_path / "r.html", baseline=named[0]).read_text()
    assert "example.com" not in page
    assert "removed from what is shown of the store. " in page
    assert "example.com" in tk.report(named[1], tmp_path / "r.html", baseline=named[0], redact=None).read_text()
    page = Standard.between(sides_of(named[1], named[0]), outgoing=Outgoing.of("default"))
    assert not any("example.com" in one.headline for one in (*page.screen, *page.findings, *page.figures.values()))


def test_stores_without_a_change_have_no_alarm(sides, tmp_path):
    whole = sides[0]
    middle = pd.Timestamp(int(whole.summary["start_ns"].median()), tz="UTC")
    halves = whole.between(None, middle), whole.between(middle, None)
    stores = [split(half, tmp_path / f"{at}.parquet", 3) for at, half in enumerate(halves)]
    found, expected = (Standard.between(sides_of(*pair[::-1])) for pair in (stores, halves))
    close(claims(found)[1], claims(expected)[1])
    changes = {check.name for check in CHECKS if check.topic == "changes"}
    assert not [one for one in found.findings if one.check in changes and one.severity in {"warning", "critical"}]
    assert found.screen.severity == expected.screen.severity == "info"
    lines = [one.screen.headline.headline for one in (found, expected)]
    assert lines[0] == lines[1]
    case = tk.investigate(stores[1], stores[0])
    assert case.first_screen.headline.headline == lines[0]


def test_commands(stores, tmp_path):
    run, paths = CliRunner(), [str(store.path) for store in stores]
    page = tmp_path / "r.html"
    found = run.invoke(app, ["report", paths[1], "--by-parts", "--baseline", paths[0], "-o", str(page)])
    assert found.exit_code == 0, found.output
    assert "p95 regressed" in found.output
    assert tk.verify(page, tk.open(paths[1]), baseline=tk.open(paths[0])).is_verified
    given = ["verify", str(page), paths[1], "--baseline", paths[0]]
    for more in ([], ["--by-parts"]):  # the report says how it was made
        checked = run.invoke(app, [*given, *more])
        assert checked.exit_code == 0, checked.output
        assert "Verification(verified: " in checked.output
    logs = run.invoke(app, ["report", paths[1], "--by-parts", "--baseline", paths[0], "--logs", "x", "-o", str(page)])
    assert logs.exit_code == 2
    options = ["--fail-if", "p95_ms of POST /checkout rises 10%", "--format", "json"]
    outputs = [run.invoke(app, ["diff", *paths, *more, *options]) for more in (["--by-parts"], [])]
    assert [one.exit_code for one in outputs] == [1, 1]
    tables = [json.loads(one.stdout) for one in outputs]
    same(*(pd.DataFrame(table["table"]) for table in tables))
    case = run.invoke(app, ["investigate", paths[1], "--by-parts", "--baseline", paths[0], "--fail"])
    assert case.exit_code == 1, case.output
    assert "p95 regressed" in case.output
    story = tmp_path / "p.html"
    options = ["--by-parts", "--baseline", paths[0], "--postmortem", str(story)]
    written = run.invoke(app, ["investigate", paths[1], *options])
    assert written.exit_code == 0, written.output
    assert tk.verify(story, tk.open(paths[1]), baseline=tk.open(paths[0])).is_verified
