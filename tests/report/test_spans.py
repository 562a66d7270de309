"""A report with its spans is verified by nothing but itself, and not if one digit of either was changed."""

import base64
import io
import json
import re
import tempfile
import warnings
import zipfile
import zlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted, recording
from typer.testing import CliRunner

import tracekit as tk
from tracekit.cli import app
from tracekit.errors import RenderError
from tracekit.loading.checksum import checksum
from tracekit.loading.store.tables import check_decoded_size, size_in_memory
from tracekit.redaction.archive import texts_of_archive
from tracekit.report import spans as module
from tracekit.report.redaction import Outgoing, unpacked
from tracekit.report.sides import sides_of
from tracekit.report.spans import embedded_spans, spans_in
from tracekit.samples import sample_paths

TEMPLATE = re.compile(r'<template id="tracekit-spans" data-digest="(\w+)">([^<]*)</template>')
CLAIMS = re.compile(r'id="tracekit-claims" data-digest="\w+">(.*?)</script>', re.DOTALL)


@pytest.fixture(scope="module")
def sides():
    return tk.load_sample("small-shop")


@pytest.fixture(scope="module")
def page(sides, tmp_path_factory):
    return tk.report(sides[1], tmp_path_factory.mktemp("spans") / "report.html", baseline=sides[0], embed=True)


def resealed(text, block):
    """The page with other spans, and the digest that fits them: what somebody who edits it deliberately does."""
    return TEMPLATE.sub(f'<template id="tracekit-spans" data-digest="{module._digest(block)}">{block}</template>', text)


def is_refused(path):
    """Whether a report is not verified by its own spans."""
    try:
        return not tk.verify(path).is_verified
    except tk.TracekitError:
        return True


def test_a_report_is_verified_by_nothing_but_itself(page):
    found = tk.verify(page)
    assert found.is_verified, found.differences
    assert (found.table["kind"] == "claim").sum() > 3
    assert {"claims", "spans"} == set(found.table[found.table["kind"] == "file"]["name"])
    ran = CliRunner().invoke(app, ["verify", str(page)])
    assert ran.exit_code == 0, ran.output
    assert "Verification(verified: " in ran.output


@pytest.mark.parametrize(
    "made",
    [
        lambda traces, path: tk.report(traces, path, embed=True),
        lambda traces, path: tk.report(traces, path, redact=None, embed=True),
        lambda traces, path: tk.report(traces, path, redact=tk.Policy(default="drop"), embed=True),
        lambda traces, path: tk.report(traces.with_weights(3), path, embed=True),
        lambda traces, path: tk.investigate(traces).report(path, embed=True),
    ],
)
def test_reports_of_all_kinds_are_verified(made, sides, tmp_path):
    found = tk.verify(made(sides[1], tmp_path / "a.html"))
    assert found.is_verified, found.differences


def test_of_sections_of_ones_own_only_the_claims_are_compared(sides, tmp_path):
    parts = ["Hello.", tk.section("A", sides[1].summary), sides[1]]
    found = tk.verify(tk.report(parts, tmp_path / "a.html", embed=True))
    assert found.differences["status"].tolist() == ["not compared"]


def test_neither_sources_nor_messages_name_a_folder(tmp_path):
    """The sample was read from a folder of this machine, which messages about its records name, too."""
    folder = str(sample_paths("checkout-regression")[1].parent)
    traces = tk.load_sample("checkout-regression")[1]
    assert traces.issues["message"].str.contains(folder, regex=False).any()
    own = spans_in(tk.report(traces, tmp_path / "a.html", embed=True).read_text(encoding="utf-8"), "a.html").traces
    assert len(own.issues) == len(traces.issues)
    for texts in (own.issues["message"], own.sources["uri"]):
        assert not texts.str.contains(folder, regex=False).any()


def test_a_baseline_from_the_recording_is_not_written_twice(tmp_path):
    before, during = tk.load_sample("checkout-regression")
    written = tk.report(before + during, tmp_path / "a.html", split="04:59:00", embed=True)
    own = spans_in(written.read_text(encoding="utf-8"), "a.html")
    assert len(own.traces) == 2000
    assert own.baseline is None
    assert tk.verify(written).is_verified


def test_the_spans_are_those_that_the_claims_are_about(page, sides):
    own = spans_in(page.read_text(encoding="utf-8"), "report.html")
    outgoing = Outgoing.of("default")
    assert [checksum(one) for one in (own.traces, own.baseline)] == [
        checksum(outgoing.traces(sides[at])) for at in (1, 0)
    ]
    assert own.is_as_written


def test_the_page_says_what_it_contains_and_what_that_proves(page, sides, tmp_path):
    text = page.read_text(encoding="utf-8")
    assert "This file contains the redacted spans that its claims were computed from (" in text
    assert "not that these spans are what was recorded" in text
    assert "what redaction removed cannot be verified" in text
    without = tk.report(sides[1], tmp_path / "a.html", baseline=sides[0]).read_text(encoding="utf-8")
    assert text.count("<script") == without.count("<script")
    assert "<template" not in without


def test_the_same_traces_give_the_same_bytes(sides):
    made = [embedded_spans(sides_of(sides[1], sides[0]), is_redacted=False).element for _ in range(2)]
    assert made[0] == made[1]


def test_folders_of_sources_are_not_in_the_page(page):
    text = page.read_text(encoding="utf-8")
    own = spans_in(text, "a")
    assert not [uri for uri in own.traces.sources["uri"].astype(str) if "/" in uri]
    folders = str(module.Path(__file__).parents[2]).encode()
    assert not [layer for layer in unpacked(TEMPLATE.search(text)[2].encode()) if folders in layer]


# ------------------------------------------------------------------ one digit


@settings(max_examples=12)
@given(at=st.integers(0, 10**9), step=st.integers(1, 9))
def test_one_changed_digit_of_the_spans_is_noticed(page, tmp_path_factory, at, step):
    """Of the base64, with the digest that was there and with one that fits."""
    text = page.read_text(encoding="utf-8")
    block = TEMPLATE.search(text)[2]
    digits = [place for place, letter in enumerate(block) if letter.isdigit()]
    place = digits[at % len(digits)]
    changed = block[:place] + str((int(block[place]) + step) % 10) + block[place + 1 :]
    path = tmp_path_factory.mktemp("digit") / "a.html"
    path.write_text(text.replace(block, changed), encoding="utf-8")
    assert is_refused(path)


@settings(max_examples=8)
@given(
    row=st.integers(0, 10**6),
    by=st.integers(1, 9),
    name=st.sampled_from(["start_ns", "end_ns", "span_id", "status_code"]),
)
def test_one_changed_number_of_a_span_is_noticed_also_if_it_is_packed_anew(page, tmp_path_factory, row, by, name):
    text = page.read_text(encoding="utf-8")
    own = spans_in(text, "a")
    spans = own.traces.columns.spans
    values = getattr(spans, name).copy()
    place = row % len(values)
    values[place] = values[place] + by if name != "status_code" else (values[place] + 1) % 3
    forged = tk.TraceSet(replace(own.traces.columns, spans=replace(spans, **{name: values})))
    element = embedded_spans(sides_of(forged, own.baseline), is_redacted=True).element
    path = tmp_path_factory.mktemp("number") / "a.html"
    path.write_text(TEMPLATE.sub(lambda _: element, text), encoding="utf-8")
    assert is_refused(path)


@settings(max_examples=12)
@given(at=st.integers(0, 10**9), step=st.integers(1, 9))
def test_one_changed_digit_of_a_claim_is_noticed(page, tmp_path_factory, at, step):
    text = page.read_text(encoding="utf-8")
    block = CLAIMS.search(text)
    inside = [place for place in range(block.start(1), block.end(1)) if text[place].isdigit()]
    place = inside[at % len(inside)]
    path = tmp_path_factory.mktemp("claim") / "a.html"
    path.write_text(text[:place] + str((int(text[place]) + step) % 10) + text[place + 1 :], encoding="utf-8")
    assert is_refused(path)


def test_changed_weights_are_noticed(page, tmp_path):
    """They are no part of the checksum; claims that rest on them differ."""
    text = page.read_text(encoding="utf-8")
    own = spans_in(text, "a")
    element = embedded_spans(sides_of(own.traces.with_weights(2), own.baseline), is_redacted=True).element
    (tmp_path / "a.html").write_text(TEMPLATE.sub(lambda _: element, text), encoding="utf-8")
    assert is_refused(tmp_path / "a.html")


# ------------------------------------------------------------------ hostile pages


def archive(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in members.items():
            made.writestr(name, data)
    return base64.b64encode(out.getvalue()).decode()


@pytest.mark.parametrize(
    "block",
    [
        "AAAA", "!!!", archive({}), archive({"traces/spans.parquet": b"nothing"}), archive({"../../evil.json": b"{}"}),
        archive({"/etc/evil.json": b"{}"}), archive({"traces/run.py": b"print(1)"}), archive({"other/a.json": b"{}"}),
    ],
)  # fmt: skip
def test_damaged_spans_are_an_error_and_nothing_is_unpacked_elsewhere(page, tmp_path, block):
    text = resealed(page.read_text(encoding="utf-8"), block)
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    (folder / "a.html").write_text(text, encoding="utf-8")
    with pytest.raises(tk.TracekitError, match=r"expected spans of a report to read, found damaged ones in a\.html"):
        tk.verify(folder / "a.html")
    assert not list(tmp_path.rglob("evil*"))


def forged(page, name, make):
    """The page with one table of its traces made anew, and marks of files and digest that fit it."""
    text = page.read_text(encoding="utf-8")
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(TEMPLATE.search(text)[2]))) as stored:
        members = {one: stored.read(one) for one in stored.namelist()}
    place = f"traces/part-00000/{name}.parquet"
    out = io.BytesIO()
    pq.write_table(make(pq.read_table(io.BytesIO(members[place]))), out, compression="zstd")
    data = members[place] = out.getvalue()
    footer = int.from_bytes(data[-8:-4], "little") + 8
    marker = json.loads(members["traces/tracekit-store.json"])
    marker["parts"][0]["files"][name] = {
        "rows": pq.read_metadata(io.BytesIO(data)).num_rows, "bytes": len(data), "crc32": zlib.crc32(data),
        "footer_bytes": footer, "footer_crc32": zlib.crc32(data[-footer:]),
    }  # fmt: skip
    members["traces/tracekit-store.json"] = json.dumps(marker).encode()
    return resealed(text, archive(members))


def with_first(name, value):
    """A change of a table: another first value of a column."""
    return lambda table: table.set_column(
        table.column_names.index(name), table.schema.field(name),
        pa.array([value, *table[name].to_pylist()[1:]], table.schema.field(name).type),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("spans", with_first("name", 99_999)), ("attributes", with_first("kv", 10**6)),
        ("kv", with_first("key", 999)), ("weights", with_first("value", float("nan"))),
        ("weights", with_first("value", -3.0)), ("weights", with_first("value", float("inf"))),
        ("attributes", lambda table: table.drop_columns(["kv"])),
    ],
)  # fmt: skip
def test_every_damaged_table_is_found_when_the_page_is_read(page, tmp_path, name, change):
    (tmp_path / "a.html").write_text(forged(page, name, change), encoding="utf-8")
    with pytest.raises(tk.TracekitError, match=r"expected spans of a report to read, found damaged ones in a\.html: "):
        tk.verify(tmp_path / "a.html")


def test_messages_do_not_name_the_folder_of_the_reader(page, tmp_path):
    (tmp_path / "a.html").write_text(forged(page, "spans", with_first("name", 99_999)), encoding="utf-8")
    with pytest.raises(tk.TracekitError, match=r"damaged ones in a\.html: .*traces/part-00000/spans") as raised:
        tk.verify(tmp_path / "a.html")
    assert tempfile.gettempdir() not in str(raised.value)


def test_a_footer_that_says_less_than_its_tables_need_is_not_believed(page, tmp_path, monkeypatch):
    """One text of a megabyte, six hundred times: a dictionary of a megabyte, as the footer says."""
    small = forged(page, "texts", lambda _: pa.table({"text": pa.array(["x" * 10**6] * 600, pa.large_string())}))
    (tmp_path / "a.html").write_text(small, encoding="utf-8")
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(TEMPLATE.search(small)[2]))) as stored:
        data = stored.read("traces/part-00000/texts.parquet")
    assert size_in_memory(data) < 10**8
    monkeypatch.setattr(module, "read", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(
        tk.TracekitError, match=r"expected tables of at most 5\d\d\.\d MB in memory, found more than their"
    ):
        tk.verify(tmp_path / "a.html")


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        (pa.array(["ab", None, "cde"]), 5),
        (pa.array(["ab"] * 100_000), 200_000),
        (pa.array(np.arange(50_000, dtype=np.int64)), 400_000),
        (pa.array([b"abc", b""], pa.large_binary()), 3),
    ],
)  # fmt: skip
def test_the_bytes_of_decoded_values_are_counted(values, needed):
    out = io.BytesIO()
    pq.write_table(pa.table({"a": values}), out)
    assert needed <= check_decoded_size(out.getvalue(), 10**9) <= needed * 1.02  # a bit each says whether it is missing
    with pytest.raises(ValueError, match="found more than their footers say"):
        check_decoded_size(out.getvalue(), needed - 1)


def test_tables_that_need_too_much_memory_are_not_read(page, tmp_path, monkeypatch):
    rows = pa.array(np.zeros(40_000_000, np.int32))
    bomb = forged(page, "attributes", lambda _: pa.table({"row": rows, "kv": rows}))
    (tmp_path / "a.html").write_text(bomb, encoding="utf-8")
    assert len(bomb) < module.LIMIT / 5
    monkeypatch.setattr(module, "read", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(tk.TracekitError, match=r"expected at most 500\.0 MB of tables in memory, found 640\.0 MB"):
        tk.verify(tmp_path / "a.html")


def test_spans_that_could_not_be_read_are_not_embedded(sides, monkeypatch):
    monkeypatch.setattr(module, "UNPACKED", 1000)
    with pytest.raises(
        RenderError, match=r"expected spans to embed of at most 1\.0 kB in memory, found .* choose fewer"
    ):
        embedded_spans(sides_of(sides[1]), is_redacted=False)


def test_a_page_has_its_spans_once(page):
    text = page.read_text(encoding="utf-8")
    own = TEMPLATE.search(text)[0]
    for more in (own, f"<!-- {own} -->", '<TEMPLATE class="a" id="tracekit-spans">'):
        with pytest.raises(tk.TracekitError, match=r"expected one template element .* found 2 of them in a\.html"):
            spans_in(more + text, "a.html")
    with pytest.raises(tk.TracekitError, match=r"found one that is cut off or edited in a\.html"):
        spans_in(text[: text.index(own) + 1000], "a.html")


def test_a_file_in_the_archive_is_not_there_twice(page):
    text = page.read_text(encoding="utf-8")
    out = io.BytesIO(base64.b64decode(TEMPLATE.search(text)[2]))
    with zipfile.ZipFile(out, "a") as stored, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the name that is there already
        stored.writestr("traces/tracekit-store.json", stored.read("traces/tracekit-store.json"))
    with pytest.raises(tk.TracekitError, match="expected files of different names, found two of one name"):
        spans_in(resealed(text, base64.b64encode(out.getvalue()).decode()), "a.html")


def test_a_report_without_spans_asks_for_them(sides, tmp_path):
    written = tk.report(sides[1], tmp_path / "a.html")
    with pytest.raises(
        tk.TracekitError, match=r"expected traces, or a report that contains its spans, found none in a\.html"
    ):
        tk.verify(written)
    with pytest.raises(TypeError, match="expected traces= with baseline=, found none"):
        tk.verify(written, baseline=sides[0])
    ran = CliRunner().invoke(app, ["verify", str(written)])
    assert ran.exit_code == 2
    assert "--embed-spans" in ran.output
    ran = CliRunner().invoke(app, ["verify", str(written), "--baseline", "x"])
    assert ran.exit_code == 2


def test_too_many_spans_are_refused_with_their_size(sides, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LIMIT", 1000)
    with pytest.raises(
        tk.RenderError, match=r"expected at most 1\.0 kB of spans to embed, found .* spans?\): choose fewer"
    ):
        tk.report(sides[1], tmp_path / "a.html", embed=True)
    assert not (tmp_path / "a.html").exists()


def test_spans_need_traces(tmp_path):
    with pytest.raises(ValueError, match="expected a TraceSet among the sections for embed= to refer to, found none"):
        tk.report(["Hello."], tmp_path / "a.html", embed=True)


# ------------------------------------------------------------------ privacy


def test_no_planted_secret_is_in_the_embedded_spans(tmp_path):
    values = planted(3, 60)
    (tmp_path / "now.jsonl").write_bytes(recording(values))
    written = tk.report(tk.read(tmp_path / "now.jsonl"), tmp_path / "a.html", embed=True)
    raw = base64.b64decode(TEMPLATE.search(written.read_text(encoding="utf-8"))[2])
    whole = b"\n".join(texts_of_archive(raw)).decode("utf-8", "replace")
    assert "GET /shop" in whole
    assert not [value for _, value, _ in values if value in whole or json.dumps(value)[1:-1] in whole]
    assert tk.verify(written).is_verified


def test_the_scan_of_the_finished_bytes_reads_the_embedded_spans(tmp_path):
    """A value that was redacted elsewhere is found inside of Parquet inside of the archive inside of base64."""
    secret, card = "kP9xQ2vLw7RtZ4mNcB8sYd3FhJ6gTaUe", "4111111111111111"
    values = [("API token", secret, secret), ("payment card", card, card)]
    (tmp_path / "now.jsonl").write_bytes(recording(values))
    element = embedded_spans(sides_of(tk.read(tmp_path / "now.jsonl")), is_redacted=False).element
    for value in (secret, card):
        outgoing = Outgoing.of("default")
        outgoing.values.add(value)
        with pytest.raises(tk.RenderError, match=r"expected no removed value in a\.html"):
            outgoing.check(element.encode(), "a.html")


def test_a_card_that_is_a_number_is_found_in_the_archive(tmp_path):
    text = recording([("payment card", "1", "1")]).decode()
    text = text.replace('{"key": "app.order.id", "value": {"stringValue": "00000000"}}',
                        '{"key": "app.order.id", "value": {"intValue": "4111111111111111"}}')  # fmt: skip
    (tmp_path / "now.jsonl").write_text(text)
    element = embedded_spans(sides_of(tk.read(tmp_path / "now.jsonl")), is_redacted=False).element
    whole = b"\n".join(unpacked(element.encode()))
    assert b"4111111111111111" in whole


def test_the_commands_write_spans(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "now.jsonl").write_bytes(recording(planted(3, 15)))
    for command in (["report", "now.jsonl"], ["investigate", "now.jsonl"]):
        ran = CliRunner().invoke(app, [*command, "-o", "a.html", "--embed-spans"])
        assert ran.exit_code == 0, ran.output
        assert tk.verify("a.html").is_verified
    ran = CliRunner().invoke(app, ["investigate", "now.jsonl", "--embed-spans"])
    assert ran.exit_code == 2
    assert "give --output, or --postmortem with a .html file" in re.sub(r"\s+", " ", ran.output.replace("│", ""))


def test_spans_of_a_store_are_not_embedded(sides, tmp_path):
    store = tk.open(sides[1].save(tmp_path / "shop.parquet"))
    with pytest.raises(
        RenderError, match=r"expected traces in memory to embed, found a store: report on store\.sample"
    ):
        tk.report(store, tmp_path / "report.html", embed=True)
