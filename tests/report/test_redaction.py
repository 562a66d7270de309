"""What leaves: no byte of any file contains what was planted, unpacked by code of this test alone."""

import base64
import gzip
import html
import json
import re
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.express as px
import pytest
from IPython.display import SVG
from planted import planted, recording

import tracekit as tk
from tracekit.report.redaction import Outgoing

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SEEDS = range(2)
MAIL = "jo.smith@example.org"
SECRET = "kP9xQ2vLw7RtZ4mNcB8sYd3FhJ6gTaUe"


def layers(data, depth=0):
    """Bytes and everything that is packed in them: gzip, zstd, base64, in any nesting."""
    yield data
    if depth > 4:
        return
    if data[:2] == b"\x1f\x8b":
        yield from layers(gzip.decompress(data), depth + 1)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        yield from layers(zstd.decompress(data), depth + 1)
    for run in re.findall(rb"[A-Za-z0-9+/]{16,}={0,2}", data):
        try:
            raw = base64.b64decode(run + b"=" * (-len(run) % 4))
            inner = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
            inner[:2000].decode("utf-8", "strict" if depth else "ignore")
        except (ValueError, OSError, EOFError, zlib.error):
            continue
        if inner and (raw[:2] == b"\x1f\x8b" or inner.isascii()):
            yield from layers(inner, depth + 1)


def left_in(path, values):
    """The planted values in a file or folder, as text, HTML, JSON or of Parquet columns."""
    files = [file for file in sorted(Path(path).rglob("*")) if file.is_file()] if Path(path).is_dir() else [Path(path)]
    found = set()
    for file in files:
        if file.suffix == ".parquet":
            frame = pd.read_parquet(file)
            text = "\n".join(str(one) for name in frame for one in frame[name].tolist()) + " ".join(map(str, frame))
        else:
            text = "\n".join(layer.decode("utf-8", "replace") for layer in layers(file.read_bytes()))
        whole = f"{text}\n{html.unescape(text)}"
        found |= {v for v in values if v in whole or json.dumps(v)[1:-1] in whole or html.escape(v) in whole}
    return found


@pytest.fixture(scope="module", params=SEEDS)
def secret(request):
    values = planted(request.param)
    return tk.read(recording(values, seed=request.param), progress=False), [value for _, value, _ in values]


@pytest.fixture(scope="module")
def case(secret):
    """An investigation of the later traces, compared with the earlier ones."""
    traces, _ = secret
    return tk.investigate(traces.between("2023-11-14T22:15:00", None), traces.between(None, "2023-11-14T22:15:00"))


@pytest.fixture(autouse=True)
def _expected_warnings():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="removed from ")
        yield


def test_the_search_of_this_test_finds_what_is_there(secret, tmp_path):
    traces, values = secret
    assert len(left_in(tk.report(traces, tmp_path / "a.html", redact=None), values)) > 10  # of the slowest traces
    views = [tk.waterfall(traces, one) for one in traces.trace_ids[:40]]
    assert len(left_in(tk.report(views, tmp_path / "a.html", redact=None), values)) >= 38
    assert left_in(traces.to_otlp(tmp_path / "a.jsonl.zst", redact=None), values) == set(values)
    assert left_in(traces.save(tmp_path / "a.parquet"), values) >= set(values) - {v for v in values if v.isdigit()}


def test_report(secret, tmp_path):
    traces, values = secret
    half = traces.between(None, "2023-11-14T22:15:00")
    page = tk.report(traces, tmp_path / "a.html", baseline=half)
    assert left_in(page, values) == set()
    text = page.read_text()
    assert "Personal data and secrets were removed before writing." in text
    assert "payment card: " in text


@pytest.mark.parametrize("name", ["executive.html", "on-call.html", "full.html", "full.md"])
def test_postmortem(secret, case, tmp_path, name):
    """With its pictures beside it."""
    _, values = secret
    path = case.postmortem(tmp_path / name, length=name.partition(".")[0])
    assert path.exists()
    assert left_in(tmp_path, values) == set()
    assert "Personal data and secrets were removed before writing." in path.read_text()


def test_report_of_parts(secret, tmp_path):
    """Parts that were computed from traces with everything in them."""
    traces, values = secret
    worst = traces.summary.index[5]
    parts = [
        f"Because of {values[0]}.",
        tk.md(f"**{values[6]}** and {values[9]}"),
        tk.section(f"Titled {values[2]}", tk.service_graph(traces), tk.latency(traces), code=f"f('{values[7]}')"),
        tk.section("Traces", *(tk.waterfall(traces, one) for one in traces.trace_ids[:15])),
        tk.section("Compared", tk.waterfall(traces, worst, compare=traces.trace_ids[7])),
        tk.section("Flame", tk.critical_path(traces).flame(), tk.critical_path(traces).by("name")),
        tk.section("Tables", traces.spans, traces.events, traces.attributes),
        tk.section("Errors", tk.errors(traces), tk.quality(traces)),
        tk.section("Figure", px.bar(x=[values[0], values[1]], y=[1, 2]), pd.DataFrame({"a": [values[8]]}).style),
    ]
    assert left_in(tk.report(parts, tmp_path / "a.html"), values) == set()


@pytest.mark.parametrize("suffix", ["md", "mmd"])
def test_a_trace_as_text(secret, tmp_path, suffix):
    traces, values = secret
    for at, trace_id in enumerate(traces.trace_ids[:33]):
        assert left_in(tk.export(traces.trace(trace_id), tmp_path / f"{at}.{suffix}"), values) == set()


def test_tables(secret, tmp_path):
    traces, values = secret
    for name in ("spans", "attributes", "events", "resources", "summary", "issues", "sources"):
        frame = getattr(traces, name)
        assert left_in(tk.export(getattr(traces.redact(), name), tmp_path / f"{name}.csv"), values) == set(), name
        if name in ("spans", "events", "summary"):
            shapes = {value for value in values if not re.fullmatch(r"\w+ [\w'-]+", value)}  # no names: no key there
            assert left_in(tk.export(frame, tmp_path / f"{name}.csv"), shapes) == set(), name
    assert left_in(tk.export(tk.latency(traces), tmp_path / "latency.csv"), values) == set()


def test_tables_with_containers_and_levels(tmp_path):
    frame = pd.DataFrame(
        {
            "lists": [["a", MAIL], ["b"], None],
            "tuples": [("a", MAIL), (1, 2), {"x": [MAIL]}],
            "arrays": [np.array(["a", MAIL]), {"b"}, frozenset({MAIL})],
        }
    )
    made = tk.export(frame, tmp_path / "a.csv").read_text()
    assert left_in(tmp_path / "a.csv", [MAIL]) == set()
    assert made.count("[email]") == 5
    assert "('a', '[email]')" in made
    levels = pd.MultiIndex.from_arrays([["a", "a"], [MAIL, "b"]], names=["x", "y"])
    shown = Outgoing.of("default").frame(pd.DataFrame([[1, 2]], columns=levels))
    assert shown.columns.tolist() == [("a", "[email]"), ("a", "b")]
    assert list(shown.columns.names) == ["x", "y"]


def test_pictures(secret, tmp_path):
    traces, values = secret
    views = [tk.errors(traces), tk.latency(traces), tk.service_graph(traces), tk.critical_path(traces).flame()]
    views += [tk.waterfall(traces, one) for one in traces.trace_ids[:40]]
    for at, view in enumerate(views):
        text = tk.export(view, tmp_path / f"{at}.svg")
        assert left_in(text, values) == set()
        beginnings = {value[:12] for value in values if len(value) > 20 and not value.startswith("-----")}
        assert left_in(text, beginnings) == set()


def test_files_for_other_tools(secret, tmp_path):
    traces, values = secret
    assert left_in(traces.to_otlp(tmp_path / "a.jsonl.zst"), values) == set()
    assert left_in(traces.to_otlp(tmp_path / "a.jsonl"), values) == set()
    assert left_in(traces.to_parquet(tmp_path / "a.parquet"), values) == set()
    assert left_in(traces.redact().save(tmp_path / "b.parquet"), values) == set()


def test_conversion(secret, tmp_path):
    traces, values = secret
    source = traces.to_otlp(tmp_path / "in.jsonl", redact=None)
    assert left_in(tk.convert(source, tmp_path / "a.jsonl.gz", progress=False), values) == set()
    assert left_in(tk.convert(source, tmp_path / "a.parquet", flat=True, progress=False), values) == set()
    kept = tk.convert(source, tmp_path / "b.parquet", progress=False)
    assert tk.privacy(tk.read(kept)).table.equals(tk.privacy(traces).table)
    parts = tk.convert(source, tmp_path / "c.parquet", redact="default", spans_at_once=50, progress=False)
    plain = {value for value in values if not re.fullmatch(r"\w+ [\w'-]+", value)}  # a name and its key may be apart
    assert left_in(parts, plain) == set()
    assert {"email", "payment card"} <= set(tk.read(parts).redacted["kind"])


# -------------------------------------------------------------------- opting out, and what is said


def users(**attributes):
    spans = tk.load_sample("small-shop")[1].spans[
        ["trace_id", "span_id", "parent_span_id", "name", "start_ns", "end_ns"]
    ]
    return tk.TraceSet.from_spans(spans.assign(**{f"attributes.{key}": value for key, value in attributes.items()}))


def test_opting_out_is_the_identity(tmp_path):
    traces = users(**{"user.email": "jo@example.org"})
    again = tk.read(traces.to_otlp(tmp_path / "a.jsonl", redact=None), progress=False)
    assert set(again.attribute("user.email").dropna()) == {"jo@example.org"}
    page = tk.report(traces, tmp_path / "a.html", redact=None).read_text()
    assert "Not redacted: this file may contain personal data and secrets." in page
    assert (
        "jo@example.org"
        in tk.export(traces.attribute("user.email").to_frame(), tmp_path / "a.csv", redact=None).read_text()
    )


def test_a_report_without_secrets_says_so(tmp_path):
    page = tk.report(tk.load_sample("small-shop")[1], tmp_path / "a.html").read_text()
    assert "Searched for personal data and secrets: none found." in page


def test_a_report_of_a_redacted_set_says_what_was_removed_before(tmp_path, recwarn):
    traces = users(**{"user.email": "jo@example.org"}).redact()
    assert "email: 1 value (user.email)" in tk.report(traces, tmp_path / "a.html").read_text()
    traces.to_otlp(tmp_path / "a.jsonl")
    assert not len(recwarn)


def test_files_say_what_was_removed(tmp_path, recwarn):
    traces = users(**{"user.email": "jo@example.org"})
    said = r"removed from a\.jsonl: email: 1 value \(user\.email\); redact=None keeps everything"
    with pytest.warns(UserWarning, match=said):
        traces.to_otlp(tmp_path / "a.jsonl")
    with pytest.warns(UserWarning, match=r"removed from a\.csv: text: 1 value"):
        tk.export(pd.DataFrame({"who": ["jo@example.org"]}), tmp_path / "a.csv")
    with pytest.warns(UserWarning, match=r"removed from a\.parquet: email: 1 value"):
        traces.to_parquet(tmp_path / "a.parquet")
    recwarn.clear()
    tk.load_sample("small-shop")[1].to_otlp(tmp_path / "b.jsonl")
    assert not len(recwarn)


def test_log_messages_lose_what_traces_have(tmp_path):
    traces = users(**{"user.name": "Jo Kowalczyk"})
    ids = {"trace_id": traces.trace_ids[0], "span_id": traces.spans["span_id"][0], "level": "ERROR"}
    lines = pd.DataFrame([{"message": f"refund of Jo Kowalczyk {k} failed, jo@example.org", **ids} for k in range(5)])
    lines["time"] = traces.columns.spans.start_ns[0]
    page = tk.report(traces, tmp_path / "a.html", logs=lines)
    assert left_in(page, ["Jo Kowalczyk", "jo@example.org"]) == set()


def test_names_of_log_files_are_redacted(tmp_path):
    traces = users()
    (tmp_path / "lg").mkdir()
    log = tmp_path / "lg" / f"{MAIL}.log"
    log.write_text(f'{{"trace_id": "{traces.trace_ids[0]}", "level": "ERROR", "message": "refund failed"}}\n' * 5)
    lines = tk.logs(traces, str(log))
    assert MAIL in lines.source_code
    lines = lines.redacted(Outgoing.of("default").texts)
    assert lines.source_code == "'[email]'"
    for table in (lines.lines, lines.sources, lines.issues):
        assert MAIL not in table.to_csv()
    assert left_in(tk.report(traces, tmp_path / "a.html", logs=str(log)), [MAIL]) == set()


def test_an_investigation_of_chosen_traces_has_no_value_of_the_choice(tmp_path):
    chosen = users(**{"app.x": "a"}).where(f"app.x != '{MAIL}'")
    assert len(chosen)
    found = tk.investigate(chosen)
    assert MAIL in found.report(tmp_path / "a.html", redact=None).read_text()
    assert left_in(found.report(tmp_path / "b.html"), [MAIL]) == set()


def test_an_investigation_of_a_file_that_is_named_for_a_person(tmp_path):
    users().to_otlp(tmp_path / f"{MAIL}.jsonl")
    found = tk.investigate(tk.read(tmp_path / f"{MAIL}.jsonl", progress=False))
    assert left_in(found.report(tmp_path / "a.html"), [MAIL]) == set()


def test_an_investigation_with_deployments_that_are_named_for_a_person(tmp_path):
    before, during = tk.load_sample("checkout-regression")
    name = f"hotfix by {MAIL} token=abcd1234efgh"
    found = tk.investigate(during, before, deployments={name: "2026-11-21T04:59"}, steps=["changes"])
    assert MAIL in found.report(tmp_path / "a.html", redact=None).read_text()
    page = found.report(tmp_path / "b.html")
    assert left_in(page, [MAIL, "abcd1234efgh"]) == set()
    assert "hotfix by [email]" in page.read_text()


def test_a_shortened_name_of_a_host_is_no_mail(tmp_path, recwarn):
    """The map shows ``ledger@db.shop.intern…``, and the whole name as a tooltip."""
    view = tk.service_graph(tk.load_sample("checkout-xray"))
    assert "ledger@db.shop.internal" in tk.export(view, tmp_path / "map.svg").read_text()
    assert "ledger@db.shop.internal" in tk.export(view, tmp_path / "map.html").read_text()
    assert not len(recwarn)


# -------------------------------------------------------------------- the search of the finished bytes


def drawn(text):
    return SVG(f'<svg xmlns="http://www.w3.org/2000/svg"><text>{text}</text></svg>')


@pytest.mark.parametrize("value", ["jo@example.org", SECRET, "O'Brien & Söhne 1"])
def test_a_page_with_a_removed_value_is_withheld(tmp_path, value):
    """An image is opaque to redaction, and not to the search."""
    traces = users(**{"user.name": value})
    target = tmp_path / "a.html"
    escaped = html.escape(value)
    with pytest.raises(
        tk.RenderError, match=r"expected no removed value in a\.html, found .* characters\); the file was"
    ):
        tk.report([traces, tk.section("Image", drawn(escaped))], target)
    assert list(tmp_path.iterdir()) == []
    tk.report([traces, tk.section("Image", drawn("nothing"))], target)
    tk.report([traces, tk.section("Image", drawn(escaped))], target, redact=None)


def test_a_page_that_was_not_redacted_is_withheld(tmp_path, monkeypatch):
    """The search alone, with redaction of parts and traces switched off: every place of a page is searched."""
    monkeypatch.setattr(Outgoing, "content", lambda _, content: content)
    traces = users(**{"user.email": "jo@example.org"})
    for part in (
        "Mail of jo@example.org.",
        tk.md("Mail of jo@example.org."),
        pd.DataFrame({"a": ["jo@example.org"]}),
        px.bar(x=["jo@example.org", "b"], y=[1, 2]),
    ):
        with pytest.raises(tk.RenderError, match="expected no removed value"):
            tk.report([traces, tk.section("Part", part)], tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


def test_the_key_of_pseudonyms_is_on_no_page(tmp_path):
    key = "correct-horse-battery-staple"
    traces = users(**{"user.email": "jo@example.org"}).redact({"default": "pseudonym", "pseudonym_key": key})
    assert traces.steps[-1] == ".redact({'default': 'pseudonym'})"
    assert left_in(tk.report(traces, tmp_path / "page.html", redact=None), [key]) == set()


def test_a_page_with_the_key_of_pseudonyms_is_withheld():
    key = "correct-horse-battery-staple"
    outgoing = Outgoing.of({"default": "pseudonym", "pseudonym_key": key})
    assert outgoing.text(f"redact(pseudonym_key={key!r})") == "redact(pseudonym_key='[removed]')"
    with pytest.raises(tk.RenderError, match=r"expected no removed value in page\.html, found co"):
        outgoing.check(f"<p>{key}</p>".encode(), "page.html")


def test_words_of_the_page_are_no_leftovers(tmp_path):
    """Literals and names that are ordinary words do not withhold a page."""
    traces = users(
        **{"db.query.text": "SELECT a FROM b WHERE c = 'Findings' AND d = 'critical path'", "user.name": "services"}
    )
    assert tk.report(traces, tmp_path / "a.html").exists()


def test_numbers_of_figures_stay(tmp_path):
    """Arrays of figures are base64, which looks random."""
    numbers = np.random.default_rng(1).random(500)
    figure = px.scatter(x=numbers, y=numbers)
    page = tk.report([figure], tmp_path / "a.html").read_text()
    assert "none found" in page
