"""A report with its log lines, rules, request counts, deployments and goals is verified by nothing but itself."""

import io
import json
import re
import zipfile
from base64 import b64decode, b64encode

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted
from typer.testing import CliRunner

import tracekit as tk
from tracekit.cli import app
from tracekit.loading.inputs import LogSource, counts_file, counts_in, lines_file, lines_in
from tracekit.loading.logs.read import read_lines
from tracekit.loading.logs.table import LogLines
from tracekit.report import embedded_inputs, spans
from tracekit.report.input_sums import input_sums
from tracekit.report.inputs import Inputs
from tracekit.report.redaction import Outgoing, unpacked
from tracekit.report.sides import sides_of
from tracekit.report.spans import embedded_spans, spans_in
from tracekit.weights.counts import read_counts

TEMPLATE = re.compile(r'<template id="tracekit-spans" data-digest="(\w+)">([^<]*)</template>')
CLAIMS = re.compile(r'id="tracekit-claims" data-digest="\w+">(.*?)</script>', re.DOTALL)
PRICE = tk.Price("bank", "service_name == 'ledger'", usd_per_million=900)


def lines_of(traces, text):
    """A line for each trace, and one more for every fifth and for those that failed."""
    made = []
    for at, (trace_id, row) in enumerate(traces.summary.iterrows()):
        common = {"trace_id": trace_id, "service_name": "shop", "host": f"web-{at % 3}"}
        made.append({"time": int(row["start_ns"]) + 10**6, "level": "INFO", "message": f"request {at} began", **common})
        if row["is_error"] or at % 5 == 0:
            message = f"{text} of user{at}@example.org"
            made.append({"time": int(row["start_ns"]) + 2 * 10**6, "level": "ERROR", "message": message, **common})
    return made


@pytest.fixture(scope="module")
def sides():
    return tk.load_sample("small-shop")


@pytest.fixture(scope="module")
def more(sides):
    start = pd.to_datetime(int(sides[1].summary["start_ns"].min()), utc=True).floor("min")
    root = sides[1].spans.iloc[sides[1].forest.root_row[0]]["service_name"]
    counts = {"time": [start, start + pd.Timedelta("1min")], "service": [root, root], "count": [900, 800]}
    return {
        "logs": pd.DataFrame(lines_of(sides[0], "cart is empty") + lines_of(sides[1], "payment refused")),
        "rules": 0.5, "requests": pd.DataFrame(counts), "deployments": {"shop 2": start}, "slo": 0.99,
        "prices": [PRICE],
    }  # fmt: skip


@pytest.fixture(scope="module")
def page(sides, more, tmp_path_factory):
    path = tmp_path_factory.mktemp("inputs") / "report.html"
    return tk.investigate(sides[1], sides[0], **more).report(path, embed=True)


def members_of(text):
    """The files in a page."""
    with zipfile.ZipFile(io.BytesIO(b64decode(TEMPLATE.search(text)[2]))) as stored:
        return {name: stored.read(name) for name in stored.namelist()}


def with_members(text, members):
    """The page with other files, and the digest that fits them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in members.items():
            made.writestr(name, data)
    block = b64encode(out.getvalue()).decode()
    return TEMPLATE.sub(f'<template id="tracekit-spans" data-digest="{spans._digest(block)}">{block}</template>', text)


def is_refused(path):
    """Whether a report is not verified by its own contents."""
    try:
        return not tk.verify(path).is_verified
    except tk.TracekitError:
        return True


def table_of(data):
    return pq.read_table(io.BytesIO(data))


def written(table):
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


# ------------------------------------------------------------------ alone


def test_a_report_with_all_inputs_is_verified_by_nothing_but_itself(page):
    found = tk.verify(page)
    assert found.is_verified, found.differences
    inputs = found.table.loc[found.table["kind"] == "input", "name"].tolist()
    assert inputs == [f"{name} checksum" for name in ("logs", "requests", "rules", "deployments", "slo", "prices")]
    claims = set(found.table.loc[found.table["kind"] == "claim", "name"])
    assert {"figure.objective-1", "figure.cost-1", "coverage.funnel-1", "rate.configured-1"} <= claims
    ran = CliRunner().invoke(app, ["verify", str(page)])
    assert ran.exit_code == 0, ran.output


def test_the_inputs_are_those_that_the_claims_are_about(page, sides, more):
    own = spans_in(page.read_text(encoding="utf-8"), "a")
    outgoing = Outgoing.of("default")
    assert [outgoing.traces(side) for side in sides]
    shown = Inputs.of(**more).redacted(outgoing)
    assert input_sums(own.inputs) == input_sums(shown)
    pd.testing.assert_frame_equal(own.inputs.logs.frame, shown.logs.frame)
    pd.testing.assert_frame_equal(own.inputs.requests.frame, shown.requests.frame)
    assert own.inputs.rules == shown.rules
    assert own.inputs.goals.prices == [PRICE]
    assert own.inputs.logs.frame["message"].str.contains("[email]", regex=False).any()


def test_a_report_with_log_lines_is_verified_also_with_its_sources(sides, more, tmp_path):
    own = {name: more[name] for name in ("logs", "slo", "prices")}
    made = tk.report(sides[1], tmp_path / "a.html", baseline=sides[0], embed=True, **own)
    assert tk.verify(made).is_verified
    assert tk.verify(made, sides[1], baseline=sides[0], **own).is_verified
    other = own["logs"].assign(message=own["logs"]["message"].str.replace("request 3 ", "request 4 "))
    found = tk.verify(made, sides[1], baseline=sides[0], **{**own, "logs": other})
    assert found.differences["name"].tolist() == ["logs checksum"]
    assert tk.verify(made, **own).is_verified, "inputs that are given are redacted as the page is"
    assert not tk.verify(made, logs=other).is_verified


def test_the_page_says_what_it_contains(page):
    text = page.read_text(encoding="utf-8")
    said = re.search(r"that its claims were computed from \(([^)]*)\)", text)[1]
    assert re.fullmatch(
        r"[\d,]+ spans, [\d,]+ log lines, 2 request counts, sampling rules, deployments, the objective, prices,"
        r" [\d.]+ [kM]B",
        said,
    )


# ------------------------------------------------------------------ one digit


@settings(max_examples=20)
@given(
    at=st.integers(0, 10**9), step=st.integers(1, 9),
    name=st.sampled_from(["lines.parquet", "requests.parquet"]),
)  # fmt: skip
def test_one_changed_digit_of_a_table_is_noticed_also_if_it_is_packed_anew(page, tmp_path_factory, name, at, step):
    text = page.read_text(encoding="utf-8")
    members = members_of(text)
    table = table_of(members[f"inputs/{name}"])
    columns = [one for one in table.column_names if any(re.search(r"\d", str(v)) for v in table[one].to_pylist())]
    column = columns[at % len(columns)]
    values = table[column].to_pylist()
    rows = [row for row, value in enumerate(values) if re.search(r"\d", str(value))]
    row = rows[at % len(rows)]
    digits = [found.start() for found in re.finditer(r"\d", str(values[row]))]
    place = digits[-1 - at % min(len(digits), 9)]
    old = str(values[row])
    new = old[:place] + str((int(old[place]) + step) % 10) + old[place + 1 :]
    values[row] = type(values[row])(new)
    kind = table.schema.field(column).type
    changed = table.set_column(table.column_names.index(column), column,
                               pa.array(values, kind))  # fmt: skip
    members[f"inputs/{name}"] = written(changed)
    path = tmp_path_factory.mktemp("digit") / "a.html"
    path.write_text(with_members(text, members), encoding="utf-8")
    assert is_refused(path), (column, old, new)


@settings(max_examples=15)
@given(at=st.integers(0, 10**9), step=st.integers(1, 9))
def test_one_changed_digit_of_the_facts_is_noticed(page, tmp_path_factory, at, step):
    """Of rules, deployments, objective and prices; sizes of log files are no claims."""
    text = page.read_text(encoding="utf-8")
    members = members_of(text)
    facts = members["inputs/facts.json"].decode()
    begin, end = re.search(r'"log_sources": \[.*?\]', facts).span()
    digits = [one.start() for one in re.finditer(r"\d", facts) if not begin <= one.start() < end]
    place = digits[at % len(digits)]
    changed = facts[:place] + str((int(facts[place]) + step) % 10) + facts[place + 1 :]
    try:
        is_same = json.loads(changed) == json.loads(facts)  # 0.50 is 0.5
    except json.JSONDecodeError:
        is_same = False
    members["inputs/facts.json"] = changed.encode()
    path = tmp_path_factory.mktemp("fact") / "a.html"
    path.write_text(with_members(text, members), encoding="utf-8")
    assert is_same or is_refused(path), facts[place - 40 : place + 20]


@settings(max_examples=5)
@given(at=st.integers(0, 10**9), step=st.integers(1, 9))
def test_one_changed_digit_of_a_claim_is_noticed(page, tmp_path_factory, at, step):
    text = page.read_text(encoding="utf-8")
    block = CLAIMS.search(text)
    inside = [place for place in range(block.start(1), block.end(1)) if text[place].isdigit()]
    place = inside[at % len(inside)]
    path = tmp_path_factory.mktemp("claim") / "a.html"
    path.write_text(text[:place] + str((int(text[place]) + step) % 10) + text[place + 1 :], encoding="utf-8")
    assert is_refused(path)


# ------------------------------------------------------------------ what is not in the page


def test_claims_on_an_input_that_is_not_in_the_page_are_named(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    own = spans_in(text, "a")
    element = embedded_spans(sides_of(own.traces, own.baseline), is_redacted=True).element
    (tmp_path / "a.html").write_text(TEMPLATE.sub(lambda _: element, text), encoding="utf-8")
    found = tk.verify(tmp_path / "a.html")
    assert not found.is_verified
    rows = found.differences.set_index("name")
    assert set(rows["status"]) <= {"not recomputed", "not stated", "not compared"}
    assert {"figure.objective-1", "figure.cost-1", "coverage.funnel-1", "logs checksum"} <= set(rows.index)
    assert rows.loc["figure.cost-1", "found"].startswith("needs deployments= and logs= and prices= and requests=")
    assert re.search(r"of them not recomputed for want of an input, text not compared: .*: \d+ claims\)", repr(found))
    assert "change-1" not in rows.index, "what follows from the spans alone is verified"


def test_goals_that_no_file_can_hold_are_named_in_the_page_and_when_it_is_verified(sides, tmp_path):
    goals = {"slo": {"objective": 0.99, "success": lambda frame: frame["duration_ns"] < 5e7}, "prices": [PRICE]}
    traces = sides[1].with_weights(1)
    made = tk.report(traces, tmp_path / "a.html", embed=True, **goals)
    text = made.read_text(encoding="utf-8")
    assert (
        "every claim of the first screen and findings again, except those of the sections Service level objective, for"
        " which slo must be given again" in text
    )
    found = tk.verify(made)
    assert not found.is_verified
    assert set(found.differences["status"]) == {"not recomputed", "not compared"}
    claims = found.differences[found.differences["kind"] == "claim"]
    assert claims["name"].tolist() == ["figure.objective-1"]
    assert claims["found"].tolist() == ["needs slo="]
    assert tk.verify(made, slo=goals["slo"]).is_verified


# ------------------------------------------------------------------ hostile pages


def changed_lines(name, value):
    def change(members):
        table = table_of(members["inputs/lines.parquet"])
        kind = table.schema.field(name).type
        column = pa.array([value, *table[name].to_pylist()[1:]], kind)
        members["inputs/lines.parquet"] = written(table.set_column(table.column_names.index(name), name, column))

    return change


def changed_facts(**values):
    def change(members):
        members["inputs/facts.json"] = json.dumps(json.loads(members["inputs/facts.json"]) | values).encode()

    return change


def dropped(name):
    return lambda members: members.pop(name)


def added(name, data):
    return lambda members: members.update({name: data})


SOURCE = {
    "source": "a", "format": "json", "line_count": 1, "accepted_count": 1, "continued_count": 0, "rejected_count": 0,
    "resolution_ns": 7, "is_complete": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (changed_lines("source", 7), "expected log lines of 1 sources, found lines of another one"),
        (changed_lines("source", -1), "found lines of another one"),
        (changed_lines("message", "x" * 40_000), "expected log messages of at most 32,768 characters, found one of"),
        (changed_lines("message", None), "expected a value of message in every row, found 1 without"),
        (changed_facts(log_sources=[SOURCE]), "found a resolution of 7 ns"),
        (changed_facts(log_sources=[]), "expected log lines of 0 sources"),
        (changed_facts(log_sources=None), "expected logs as a table and as facts about it, found one of both"),
        (changed_facts(more=1), "unknown field `more`"),
        (changed_facts(rules={"head": [{"name": "a", "rate": 7.0}]}), "expected sampling rates from 0 to 1, found 7.0"),
        (changed_facts(rules={"head": [{"name": "a"}]}), "missing required field `rate`"),
        (changed_facts(slo={"objective": [1]}), "expected a number or an expression for objective of slo"),
        (changed_facts(slo={"weather": 1}), "expected slo= as an objective or arguments of"),
        (changed_facts(slo={"rules": [[1]]}), "expected alerts of 4 values"),
        (changed_facts(prices=[{"name": "a", "where": "x", "usd_per_hour": -1.0}]), "expected prices of 0 or more"),
        (changed_facts(deployments=[{"service_name": "a"}]), "missing required field"),
        (dropped("inputs/facts.json"), r"expected facts\.json with the inputs of a report, found none"),
        (dropped("inputs/lines.parquet"), "found one of both"),
        (added("inputs/a.parquet", written(pa.table({"a": [1]}))), r"as inputs of a report, found a\.parquet"),
        (added("inputs/lines.parquet", b"nothing"), "damaged ones"),
        (
            added("inputs/lines.parquet", written(pa.table({"a": [1]}))),
            "expected the columns of log lines, found others: a",
        ),
        (
            added("inputs/requests.parquet", written(pa.table({"count": [-1.0]}))),
            "expected a count of 0 or more in row",
        ),
        (added("inputs/requests.parquet", written(pa.table({"count": [1.0], "start_ns": [1]}))), "found only start_ns"),
        (added("inputs/facts.json", b"[" * 100_000), "damaged ones"),
    ],
)
def test_inputs_that_cannot_be_are_refused(page, tmp_path, change, why):
    text = page.read_text(encoding="utf-8")
    members = members_of(text)
    change(members)
    (tmp_path / "a.html").write_text(with_members(text, members), encoding="utf-8")
    with pytest.raises(tk.TracekitError, match=rf"damaged ones in a\.html: .*{why}" if why != "damaged ones" else why):
        tk.verify(tmp_path / "a.html")


def test_goals_that_cannot_be_computed_are_an_error_of_the_page(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    members = members_of(text)
    changed_facts(slo={"objective": 7.0})(members)
    (tmp_path / "a.html").write_text(with_members(text, members), encoding="utf-8")
    with pytest.raises(
        tk.TracekitError, match=r"expected inputs of a report that can be used, found others in a\.html"
    ):
        tk.verify(tmp_path / "a.html")


def test_log_lines_that_need_too_much_memory_are_not_decoded(page, tmp_path, monkeypatch):
    """One message of a megabyte, six hundred times: a dictionary of a megabyte, as the footer says."""
    text = page.read_text(encoding="utf-8")
    members = members_of(text)
    members["inputs/lines.parquet"] = written(pa.table({"message": pa.array(["x" * 10**6] * 600, pa.large_string())}))
    (tmp_path / "a.html").write_text(with_members(text, members), encoding="utf-8")
    assert len(members["inputs/lines.parquet"]) < 10**6
    monkeypatch.setattr(embedded_inputs, "lines_in", lambda *_: pytest.fail("it was read"))
    with pytest.raises(tk.TracekitError, match="in memory, found more than their footers say"):
        tk.verify(tmp_path / "a.html")


def test_too_many_log_lines_are_refused_with_their_number(sides, more, tmp_path, monkeypatch):
    monkeypatch.setattr(spans, "LIMIT", 1000)
    with pytest.raises(tk.RenderError, match=r"expected at most 1\.0 kB of spans to embed, found .*\d log lines\)"):
        tk.report(sides[1], tmp_path / "a.html", logs=more["logs"], embed=True)
    assert not (tmp_path / "a.html").exists()


# ------------------------------------------------------------------ files


def test_log_lines_are_read_as_they_were_written():
    messages = pd.Series(["a", "é\ud800", ""], dtype=object)
    frame = pd.DataFrame({"message": messages, "service": ["x", None, "y"], "time": [None, 10**18, 10**18]})
    lines = read_lines(frame)
    sources = [LogSource(**row) for row in lines.sources.to_dict("records")]
    found = lines_in(lines_file(lines), sources)
    expected = lines.frame.assign(message=np.array(["a", "é?", ""], object))
    pd.testing.assert_frame_equal(found.frame, expected)
    assert lines_file(found) == lines_file(lines)


def test_request_counts_are_read_as_they_were_written():
    frame = pd.DataFrame({
        "start": ["2026-11-21 05:00"] * 3, "service": ["a", "b", None], "status": ["200", "HTTPCode_ELB_5XX", "503"],
        "count": [1, 2, 3.5],
    })  # fmt: skip
    counts = read_counts(frame)
    found = counts_in(counts_file(counts), list(counts.notes))
    assert len(counts.by_balancer) == 1
    assert len(counts.notes) == 3
    assert (found.dimensions, found.notes) == (counts.dimensions, counts.notes)
    pd.testing.assert_frame_equal(found.frame, counts.frame)
    pd.testing.assert_frame_equal(found.by_balancer, counts.by_balancer)


# ------------------------------------------------------------------ privacy


def test_no_planted_secret_of_a_log_line_is_in_the_page(sides, tmp_path):
    values = [one for one in planted(7, 120) if one[0] != "name"]  # only its key tells that it is a name
    spot = sides[1].summary.index[0]
    rows = [{"message": f"refused: {text}", "level": "ERROR"} for _, _, text in values]
    rows += [{"message": "ok", "service_name": text, "level": "INFO"} for _, _, text in values[:20]]
    rows += [{"message": f"again {text}", "host": "web-1", "level": "WARN"} for _, _, text in values[20:60]]
    rows += [{"message": f"bare {value}", "level": "WARN"} for _, value, _ in values[60:]]
    log = pd.DataFrame([{"trace_id": spot, "time": int(sides[1].summary["start_ns"].iloc[0]), **row} for row in rows])
    made = tk.report(sides[1], tmp_path / "a.html", logs=log, embed=True)
    whole = b"\n".join(unpacked(made.read_bytes())).decode("utf-8", "replace")
    assert "refused: [email]" in whole
    assert not [value for _, value, _ in values if value in whole or json.dumps(value)[1:-1] in whole]
    assert tk.verify(made).is_verified


def test_names_in_rules_counts_deployments_and_goals_are_redacted(sides, tmp_path):
    mail = "jo.smith@example.org"
    start = pd.to_datetime(int(sides[1].summary["start_ns"].min()), utc=True).floor("min")
    more = {
        "rules": {"version": 2, "default": {"rate": 0.5, "fixed_target": 0},
                  "rules": [{"description": mail, "rate": 0.1, "fixed_target": 0, "url_path": f"/u/{mail}"}]},
        "requests": pd.DataFrame({"time": [start] * 2, "route": [f"/u/{mail}", "/cart"], "count": [10, 20]}),
        "deployments": {f"shop by {mail}": start}, "slo": {"objective": 0.9, "success": f"name != '{mail}'"},
        "prices": [tk.Price(mail, f"name != '{mail}'", usd_per_million=3)],
    }  # fmt: skip
    made = tk.investigate(sides[1], **more).report(tmp_path / "a.html", embed=True)
    whole = b"\n".join(unpacked(made.read_bytes())).decode("utf-8", "replace")
    assert mail not in whole
    assert "name != '[email]'" in whole
    assert tk.verify(made).is_verified


def test_files_of_logs_lose_their_folders(sides, tmp_path):
    (tmp_path / "secret-folder").mkdir()
    log = tmp_path / "secret-folder" / "shop.log"
    log.write_text(json.dumps({"trace_id": sides[1].trace_ids[0], "level": "ERROR", "message": "refund failed"}))
    made = tk.report(sides[1], tmp_path / "a.html", logs=str(log), embed=True)
    whole = b"\n".join(unpacked(made.read_bytes()))
    assert b"secret-folder" not in whole
    assert b"shop.log" in whole


def test_lines_without_a_source_are_lines_of_none():
    empty = read_lines(pd.DataFrame({"message": []}))
    empty = LogLines(empty.frame, empty.sources[:0], empty.issues)
    assert isinstance(lines_in(lines_file(empty), []), LogLines)
