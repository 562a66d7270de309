"""A report is verified with its sources, and not if one digit of either was changed."""

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from investigation.worlds import incident
from typer.testing import CliRunner

import tracekit as tk
from tracekit.cli import app
from tracekit.loading.checksum import sums_of
from tracekit.report import ledger
from tracekit.report.ledger import ledger_in
from tracekit.report.same_text import differing

RECORDING = Path(__file__).parents[2] / "datasets" / "checkout-regression"
DURING, BASELINE = (str(RECORDING / f"{name}.jsonl.zst") for name in ("during", "baseline"))


@pytest.fixture(scope="module")
def sides():
    return tk.load_sample("checkout-regression")


@pytest.fixture(scope="module")
def page(sides, tmp_path_factory):
    return tk.report(sides[1], tmp_path_factory.mktemp("verify") / "report.html", baseline=sides[0])


def statuses(found):
    return set(found.differences["status"])


def test_a_report_is_verified_by_its_sources(page, sides):
    found = tk.verify(page, sides[1], baseline=sides[0])
    assert found.is_verified
    assert repr(found) == f"Verification(verified: {(found.table['kind'] == 'claim').sum()} claims)"
    claims = found.table[found.table["kind"] == "claim"]
    assert {"screen.headline-1", "change-1", "suspects-1"} <= set(claims["name"])
    assert claims["stated"].str.contains("regressed 100 → 256 ms").any()
    assert found.differences.empty


@pytest.mark.parametrize(
    "made",
    [
        tk.report,
        lambda traces, path: tk.report(traces, path, split="05:00"),
        lambda traces, path: tk.report(traces, path, period=(None, "05:00")),
        lambda traces, path: tk.report(traces, path, redact=None),
        lambda traces, path: tk.investigate(traces).report(path),
    ],
)
def test_reports_of_all_kinds_are_verified(made, sides, tmp_path):
    found = tk.verify(made(sides[1], tmp_path / "a.html"), sides[1])
    assert found.is_verified, found.differences


@pytest.mark.parametrize("made", [tk.report, lambda one, path, **more: tk.investigate(one, **more).report(path)])
@pytest.mark.parametrize("is_compared", [False, True])
def test_a_report_of_one_trace_is_verified(made, is_compared, sides, tmp_path):
    """It begins with the waterfall of the trace instead of the first screen."""
    one = sides[1].head(1)
    more = {"baseline": sides[0].head(1)} if is_compared else {}
    page = made(one, tmp_path / "one.html", **more)
    found = tk.verify(page, one, **more)
    assert found.is_verified, found.differences
    assert not found.table["name"].str.startswith("screen.").any()


def test_the_first_screen_of_one_trace_is_verified_without_a_page(sides):
    one = sides[1].head(1)
    found = tk.investigate(one).verify(one)
    assert found.is_verified, found.differences
    assert found.table["name"].str.startswith("screen.").any()


def test_an_investigation_is_verified_by_the_command(sides, tmp_path):
    written = tk.investigate(sides[1], sides[0]).report(tmp_path / "a.html")
    ran = CliRunner().invoke(app, ["verify", str(written), DURING, "--baseline", BASELINE])
    assert ran.exit_code == 0, ran.output
    assert ran.output.startswith("Verification(verified: ")
    ran = CliRunner().invoke(app, ["verify", str(written), BASELINE, "--baseline", DURING], env={"COLUMNS": "200"})
    assert ran.exit_code == 1
    assert "NOT verified" in ran.output
    assert "traces checksum" in ran.output


def test_one_digit_of_a_claim_is_noticed(page, sides, tmp_path):
    """In the words that a reader sees, and in the numbers behind them."""
    text = page.read_text(encoding="utf-8")
    generator = np.random.default_rng(0)
    block = re.search(r'id="tracekit-claims" data-digest="\w+">(.*?)</script>', text, re.DOTALL)
    ledger = json.loads(block[1])
    visible = text.index("regressed 2.55")
    inside = text.index('"claims"')
    digits = [at for at in range(inside, block.end(1)) if text[at].isdigit() and text[at - 1] != "-"]
    chosen = generator.choice(digits, 60, replace=False).tolist()
    for number, at in enumerate([visible + 10, *chosen]):
        changed = text[:at] + ("8" if text[at] == "9" else str(int(text[at]) + 1)) + text[at + 1 :]
        if number:
            assert not ledger_in(changed, "a.html")[1], changed[at - 40 : at + 40]
        if number < 2:
            (tmp_path / f"{number}.html").write_text(changed, encoding="utf-8")
            found = tk.verify(tmp_path / f"{number}.html", sides[1], baseline=sides[0])
            assert not found.is_verified, changed[at - 40 : at + 40]
    assert len(ledger["claims"]) > 10


def test_one_changed_span_is_noticed(page, sides):
    traces = sides[1]
    spans = traces.columns.spans
    end = spans.end_ns.copy()
    end[-1] += 1
    changed = tk.TraceSet(replace(traces.columns, spans=replace(spans, end_ns=end)), forest=traces.forest)
    found = tk.verify(page, changed, baseline=sides[0])
    assert "traces checksum" in set(found.differences["name"])


def test_claims_that_the_sources_do_not_give_are_missing(page, sides):
    found = tk.verify(page, sides[0], baseline=sides[0])
    assert {"different", "missing"} <= statuses(found)
    row = found.differences.set_index("name").loc["screen.cause-1"]
    assert row["status"] == "missing"
    assert row["stated"]


def test_inputs_that_the_report_was_made_with_are_asked_for(page, sides, tmp_path):
    with pytest.raises(ValueError, match="expected baseline=, which the report was made with, found none"):
        tk.verify(page, sides[1])
    secret = tk.Policy(default="drop")
    written = tk.report(sides[1], tmp_path / "a.html", redact=secret)
    with pytest.raises(ValueError, match="expected redact=, as the report was made with a policy of its own"):
        tk.verify(written, sides[1])
    assert tk.verify(written, sides[1], redact=secret).is_verified


def test_a_file_without_claims_is_refused(sides, tmp_path):
    (tmp_path / "a.html").write_text("<p>nothing</p>")
    with pytest.raises(tk.TracekitError, match=r"expected a report with claims of version 2, found none in a\.html"):
        tk.verify(tmp_path / "a.html", sides[1])
    with pytest.raises(tk.TracekitError, match=r"expected a report to read, found .*missing"):
        tk.verify(tmp_path / "missing.html", sides[1])


def test_hostile_names_neither_leave_their_element_nor_stop_verification(tmp_path):
    frame = tk.load_sample("small-shop")[1].spans
    frame["name"] = frame["name"].str.replace("POST /pay", "</script><b>&amp;\u202e`x`")
    traces = tk.from_frame(frame)
    written = tk.report(traces, tmp_path / "a.html")
    assert "</script><b>" not in written.read_text(encoding="utf-8")
    found = tk.verify(written, traces)
    assert found.is_verified, found.differences


HEADLINE = "storefront POST /checkout p95 regressed 2.55×: 100 → 256 ms."
FORGED = "storefront POST /checkout p95 regressed 9.99×: 100 → 999 ms."
SWITCHED = "<style>#first-screen{display:none}</style></head>"


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (HEADLINE, f"<span hidden>{HEADLINE}</span>{FORGED}", "text"),
        (HEADLINE, f'<span style="font-size:0">{HEADLINE}</span>{FORGED}', "text"),
        ("Roll back ledger to 1.4.0.", "Roll back ledger to 1.4.0. Delete the database first.", "text"),
        ('<p class="what critical">', '<p class="what critical" hidden>', "text"),
        ('<p class="what critical">', '<p class="what info">', "markup"),
        ("</head>", SWITCHED, "markup"),
        ("</body>", "<script>document.title = 1</script></body>", "markup"),
        ("bootStatic();", "bootStatic(); document.body.append('It was checkout.');", "markup"),
        ("</body>", "<p>It was checkout.</p></body>", "text"),
        ("<td", '<td title="It was checkout."', "markup"),
    ],
)  # fmt: skip
def test_what_is_added_to_a_page_or_hidden_in_it_is_noticed(page, old, new, kind):
    """Claims and their digest stay as they were written."""
    text = page.read_text(encoding="utf-8")
    assert old in text
    found = differing(text.replace(old, new, 1), text)
    assert {one.kind for one in found} == {kind}, found


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [(HEADLINE, f"<span hidden>{HEADLINE}</span>{FORGED}", "text"), ("</head>", SWITCHED, "markup")],
)
def test_a_page_with_something_hidden_is_not_verified(page, sides, tmp_path, old, new, kind):
    (tmp_path / "a.html").write_text(page.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    found = tk.verify(tmp_path / "a.html", sides[1], baseline=sides[0])
    assert not found.is_verified
    assert set(found.differences["kind"]) == {kind}


def test_a_page_is_the_same_whatever_was_drawn_before(page):
    """Colours of services depend on it; positions in pictures may differ by rounding."""
    text = page.read_text(encoding="utf-8")
    assert differing(re.sub(r"\bdot\d+", "dot0", text), text) == []
    near = re.sub(r'cx="([\d.]+)"', lambda one: f'cx="{float(one[1]) + 0.01:.2f}"', text)
    far = re.sub(r'cx="([\d.]+)"', lambda one: f'cx="{float(one[1]) + 1:.2f}"', text)
    assert near != text
    assert differing(near, text) == []
    assert [one.kind for one in differing(far, text)] == ["markup"]


def test_the_text_of_sections_of_ones_own_is_not_compared(sides, tmp_path):
    page = tk.report(["It was the ledger.", sides[1]], tmp_path / "a.html")
    found = tk.verify(page, sides[1])
    assert not found.is_verified
    assert repr(found).startswith("Verification(NOT verified, 0 differences, text not compared: it has sections")


def test_the_title_is_that_of_the_writer(sides, tmp_path):
    page = tk.report(
        sides[1], tmp_path / "a.html", title="Checkout <1>", generated=datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    )
    found = tk.verify(page, sides[1])
    assert found.is_verified, found.differences
    assert repr(found).endswith(" claims, not the title of its writer)")


def test_a_title_from_which_something_was_removed_does_not_stop_verification(tmp_path):
    baseline, traces = tk.load_sample("small-shop")
    page = tk.report(traces, tmp_path / "a.html", baseline=baseline, title="For jane.doe@example.com")
    assert "text: 1 value" in page.read_text()
    found = tk.verify(page, traces, baseline=baseline)
    assert found.is_verified, found.differences


def test_sources_may_be_read_from_elsewhere(page, tmp_path):
    """Names of files and the code that reads them are those of the page; a store knows where it is from."""
    sets = []
    for at, path in enumerate((BASELINE, DURING)):
        copied = shutil.copy(path, tmp_path / f"{at}.zst")
        sets.append(tk.read(tk.read(copied).save(tmp_path / f"{at}.parquet")))
    found = tk.verify(page, sets[1], baseline=sets[0])
    assert found.is_verified, found.differences


def with_names(names):
    """An incident whose spans have other names, and its baseline."""
    before, now, _ = incident(np.random.default_rng(3), "slow service")
    sides = []
    for side in (before, now):
        spans = side.spans
        spans["name"] = spans["name"].astype(object).map(lambda name: names[len(name) % len(names)].format(name))
        sides.append(tk.TraceSet.from_spans(spans))
    return sides


@pytest.mark.parametrize(
    ("names", "pages"),
    [
        (["SELECT `shop`.`{}`"], ["a.html", "b.md"]),
        (["GET `{}"], ["b.html", "b.md"]),
        (["`{}", "{}`"], ["a.html", "b.md"]),
        (["<b>{}&lt;", "*_{}_*\\"], ["b.html", "b.md"]),
        (["  {}  x", "Repo<{}>.find"], ["a.html", "b.html", "b.md"]),
    ],
)
def test_names_with_marks_do_not_stop_verification(names, pages, tmp_path):
    """In the report (a) and in the postmortem (b), which has its sections as well."""
    before, now = with_names(names)
    case = tk.investigate(now, before)
    for name in pages:
        path = (case.report if name == "a.html" else case.postmortem)(tmp_path / name)
        found = tk.verify(path, now, baseline=before)
        assert found.is_verified, found.differences


def test_a_notebook_shows_the_differences(page, sides):
    bundle = tk.verify(page, sides[0], baseline=sides[0])._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Verification(NOT verified, ")
    assert "<table" in bundle["text/html"]


def test_an_investigation_is_verified_by_traces_that_are_read_again(sides):
    before, during = sides
    case = tk.investigate(during, before)
    found = case.verify(tk.read(DURING), baseline=tk.read(BASELINE))
    assert found.is_verified, found.differences
    assert (found.table["kind"] == "claim").sum() > 20
    frame = during.spans[
        ["trace_id", "span_id", "parent_span_id", "name", "service_name", "kind", "start_ns", "end_ns"]
    ]
    other = tk.TraceSet.from_spans(frame.assign(end_ns=frame["end_ns"] + (frame.index == 7)))
    assert not case.verify(other, baseline=before).is_verified
    with pytest.raises(TypeError, match=r"expected a TraceSet for tk\.verify"):
        case.verify("during.jsonl")


def test_each_side_of_a_postmortem_is_summed_once(tmp_path, monkeypatch):
    baseline, traces = tk.load_sample("small-shop")
    case, summed = tk.investigate(traces, baseline=baseline), []
    monkeypatch.setattr(ledger, "sums_of", lambda side: summed.append(side) or sums_of(side))
    case.report(tmp_path / "postmortem.html")
    assert summed == [traces, baseline]
