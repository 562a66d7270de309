"""A postmortem: its files in three lengths, verified, without markup from names, and when a section fails."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from investigation.worlds import incident
from markdown_it import MarkdownIt
from planted import planted, recording
from typer.testing import CliRunner

import tracekit as tk
from tracekit.checks.postmortem.result import LENGTHS, TITLES
from tracekit.cli import app
from tracekit.errors import RenderError
from tracekit.investigation import story as making
from tracekit.report.ledger import ledger_in, with_claims_in_comment
from tracekit.report.redaction import unpacked
from tracekit.report.same_text import differing, differing_lines
from tracekit.samples import sample_paths

EVIL = {
    "ledger": "</script><img src=x onerror=window.__pwn=1>",
    "cart": '"><svg onload=window.__pwn=2>`x`',
    "front": "![x](http://evil.example/i.png) [y](http://evil.example) **bold** <b>bold</b> http://evil.example",
    "pricing": "# heading\n\n---\n{{ 7 * 7 }}{% raw %}",
    "stock": "| a | b |\n|---|---|",
}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def sides():
    return tk.load_sample("cascading-failure")


@pytest.fixture(scope="module")
def case(sides):
    return tk.investigate(sides[1], sides[0])


@pytest.fixture(scope="module")
def hostile():
    """An incident of services whose names want to be markup."""
    before, now, _ = incident(np.random.default_rng(3), "slow service")
    named = []
    for side in (before, now):
        spans = side.spans
        for column in ("service_name", "name"):
            spans[column] = spans[column].astype(object).map(lambda name: EVIL.get(name, f"{name} <i>x</i>"))
        named.append(tk.TraceSet.from_spans(spans))
    return tk.investigate(named[1], named[0])


# ------------------------------------------------------------------ HTML


@pytest.mark.parametrize("length", LENGTHS)
def test_every_length_is_verified(case, sides, tmp_path, length):
    path = case.postmortem(tmp_path / "a.html", length=length)
    found = tk.verify(path, sides[1], baseline=sides[0])
    assert found.is_verified, found.differences
    assert not tk.verify(path, sides[0], baseline=sides[0]).is_verified
    text = path.read_text()
    for name, title in TITLES.items():
        assert f'id="postmortem-{name}"' in text
        assert f">{title}" in text


def test_a_changed_sentence_is_noticed(case, sides, tmp_path):
    path = case.postmortem(tmp_path / "a.html", length="executive")
    text = path.read_text()
    assert text.count("Roll back inventory to 4.0.3.") == 2  # the page and its claims
    path.write_text(text.replace("Roll back inventory to 4.0.3.", "Roll back inventory to 4.0.1.", 1))
    (row,) = tk.verify(path, sides[1], baseline=sides[0]).differences.to_dict("records")
    assert (row["kind"], row["status"]) == ("text", "different")
    assert "Roll back inventory to" in row["stated"]
    assert "Roll back inventory to 4.0.3." in row["found"].replace("\\", "")


@pytest.mark.parametrize("length", [*LENGTHS, "report"])
def test_any_digit_of_a_page_is_noticed(case, tmp_path, length):
    """In each of its places: the summary repeats the first hypothesis, and tables repeat numbers of sentences."""
    path = tmp_path / "a.html"
    page = (case.report(path) if length == "report" else case.postmortem(path, length=length)).read_text()
    body = page.index("<body"), page.index('id="tracekit-claims"')
    texts = [found.span() for found in re.finditer(r"(?<=>)[^<]+", page) if body[0] < found.start() < body[1]]
    views = [found.span() for found in re.finditer(r'(?<=">)[A-Za-z0-9+/=]{200,}(?=</script>)', page)]
    assert not differing(page, page)
    digits = [[at for at in range(*span) if page[at].isdecimal()] for span in texts if span not in views]
    chosen = np.random.default_rng(0).permutation([at for text in digits for at in text])[:10].tolist()
    for at in chosen:
        (found,) = differing(edited(page, at), page)
        assert (found.kind, "" in (found.stated, found.found)) == ("text", False), page[at - 60 : at + 20]
    lasts = {text[-1] for text in digits if text}
    all_edited = "".join("#" if at in lasts else one for at, one in enumerate(page))  # with another digit, rows swap
    stated = [one.stated for one in differing(all_edited, page)]
    for (low, high), text in zip([span for span in texts if span not in views], digits, strict=True):
        words = " ".join(html.unescape(all_edited[low:high]).split())
        assert not text or any(words in one for one in stated), words


def edited(text, at):
    """The text with the digit at this place replaced by the next one."""
    return f"{text[:at]}{(int(text[at]) + 1) % 10}{text[at + 1 :]}"


@pytest.mark.parametrize("length", LENGTHS)
def test_markdown_is_verified_as_html_is(case, sides, tmp_path, length):
    path = case.postmortem(tmp_path / "a.md", length=length)
    found = tk.verify(path, sides[1], baseline=sides[0])
    assert found.is_verified, found.differences
    assert (found.table["kind"] == "claim").sum() > 5
    assert not tk.verify(path, sides[0], baseline=sides[0]).is_verified
    assert MarkdownIt().render(path.read_text()).count("tracekit-claims") == 1  # in a comment, which nobody sees


@pytest.mark.parametrize("length", LENGTHS)
def test_any_digit_of_markdown_is_noticed(case, tmp_path, length):
    """Of the text, and of the claims behind it."""
    text = case.postmortem(tmp_path / "a.md", length=length).read_text()
    assert ledger_in(text, "a.md")[1]
    digits = [at for at in range(text.index("<!-- tracekit-claims")) if text[at].isdecimal()]
    assert len(digits) > 50
    for at in np.random.default_rng(1).permutation(digits)[:80].tolist():
        assert len(differing_lines(edited(text, at), text)) == 1, text[at - 60 : at + 20]
    inside = [at for at in range(text.index('{"ledger"'), len(text)) if text[at].isdecimal()]
    for at in np.random.default_rng(2).choice(inside, 50, replace=False).tolist():
        changed = f"{text[:at]}{(int(text[at]) + 1) % 10}{text[at + 1 :]}"
        try:
            assert not ledger_in(changed, "a.md")[1], changed[at - 40 : at + 10]
        except tk.TracekitError as error:  # the version of the claims, or an escape
            assert "expected a report with claims" in str(error)  # noqa: PT017 - either is noticed


def test_a_changed_sentence_of_markdown_is_noticed(case, sides, tmp_path):
    path = case.postmortem(tmp_path / "a.md", length="executive")
    text = path.read_text()
    at = text.index("Roll back inventory to 4") + len("Roll back inventory to ")
    path.write_text(f"{text[:at]}5{text[at + 1 :]}")
    (row,) = tk.verify(path, sides[1], baseline=sides[0]).differences.to_dict("records")
    assert (row["kind"], row["status"]) == ("text", "different")
    assert "Roll back inventory to" in row["stated"]
    assert "Roll back inventory to 4.0.3." in row["found"].replace("\\", "")


@pytest.mark.parametrize("length", LENGTHS)
def test_a_changed_caption_of_markdown_is_noticed(case, sides, tmp_path, length):
    path = case.postmortem(tmp_path / "a.md", length=length)
    text = path.read_text()
    for name in ("over_time", "contributions"):
        caption = case.standard.figures[name].headline.replace("`", "")
        assert text.count(caption) > 1  # below its picture, and in the claims
        at = text.index(caption) + next(k for k, one in enumerate(caption) if one.isdigit())
        path.write_text(f"{text[:at]}{(int(text[at]) + 1) % 10}{text[at + 1 :]}")
        assert not tk.verify(path, sides[1], baseline=sides[0]).is_verified


def test_the_text_of_a_template_of_ones_own_is_compared_if_it_is_given(case, sides, tmp_path):
    template = tmp_path / "own.md"
    template.write_text("# {{ title }}\n\n{% for line in impact %}\n* {{ line.text }}\n{% endfor %}\n")
    path = case.postmortem(tmp_path / "a.md", template=template)
    found = tk.verify(path, sides[1], baseline=sides[0])
    assert not found.is_verified
    assert repr(found).startswith(
        "Verification(NOT verified, 0 differences, text not compared: its template was not given: "
    )
    assert found.differences["status"].tolist() == ["not compared"]
    given = {"baseline": sides[0], "template": template}
    assert tk.verify(path, sides[1], **given).is_verified
    path.write_text(path.read_text().replace("2", "3", 1))
    assert tk.verify(path, sides[1], **given).differences["status"].tolist() == ["different"]
    with pytest.raises(ValueError, match="expected no template=, as the report was made without one of its own"):
        tk.verify(case.postmortem(tmp_path / "b.md"), sides[1], **given)


def test_a_file_does_not_switch_off_the_comparison_of_its_text(case, sides, tmp_path):
    """Its claims are made to fit: they are no signature."""
    path = case.postmortem(tmp_path / "a.md", length="executive")
    text = path.read_text()
    block = re.search(r"<!-- tracekit-claims (\w+)\n(.*?)\n-->", text, re.DOTALL)
    ledger = json.loads(block[2])
    ledger["page"]["has_own_template"] = True
    edited = text[: block.start()].replace("inventory", "checkout")
    path.write_text(with_claims_in_comment(edited, ledger, **ledger["page"]))
    found = tk.verify(path, sides[1], baseline=sides[0])
    assert not found.is_verified
    assert found.differences["status"].tolist() == ["not compared"]
    ran = CliRunner().invoke(app, ["verify", str(path), *sample_arguments()])
    assert ran.exit_code == 1, ran.output
    assert "text not compared" in ran.output


def sample_arguments():
    """The files of the incident, as a command takes them."""
    before, during = sample_paths("cascading-failure")
    return [str(during), "--baseline", str(before)]


def test_a_comment_does_not_end_in_its_claims():
    text = with_claims_in_comment("# A\n", {"ledger": 2, "claims": [{"text": "a --> b <!-- c", "id": "x"}]})
    assert text.count("-->") == 1
    stated, is_as_written = ledger_in(text, "a.md")
    assert is_as_written
    assert stated["claims"][0]["text"] == "a --> b <!-- c"


def test_one_copy_of_a_sentence_and_the_appendix_are_noticed(case, sides, tmp_path):
    path = case.postmortem(tmp_path / "a.html", length="on-call")
    text = path.read_text()
    sizes = "600 traces, 10,318 spans"
    cut = text.rindex("of 13 failed requests begin in", 0, text.index("tracekit-claims"))
    edits = {
        "postmortem-appendix": text.replace(sizes, "900 traces, 90,318 spans"),
        "postmortem-hypotheses": f"{text[:cut]}of 17{text[cut + 5 :]}",
    }
    assert text.count(sizes) == 1
    for name, changed in edits.items():
        path.write_text(changed)
        found = tk.verify(path, sides[1], baseline=sides[0]).differences
        assert found[["kind", "name", "status"]].to_numpy().tolist() == [["text", name, "different"]]


def test_only_the_full_one_has_the_sections_of_the_report(case, tmp_path):
    sizes = {}
    for length in LENGTHS:
        text = case.postmortem(tmp_path / f"{length}.html", length=length).read_text()
        sizes[length] = len(text)
        assert ('id="sources"' in text) is (length == "full")
        assert ('<script type="module">' in text) is (length == "full")
        assert 'id="first-screen"' not in text
    assert sizes["executive"] < sizes["on-call"] < sizes["full"]


@pytest.mark.parametrize("length", LENGTHS)
def test_every_length_is_verified_by_nothing_but_itself(case, tmp_path, length):
    path = case.postmortem(tmp_path / "a.html", length=length, embed=True)
    found = tk.verify(path)
    assert found.is_verified, found.differences
    text = path.read_text()
    assert "computes every claim of this postmortem again." in text
    claim = case.first_screen["headline"].headline
    for changed in (
        text.replace(claim, claim.replace("1", "2")),
        re.sub(r'data-digest="\w{4}', 'data-digest="0000', text),
    ):
        path.write_text(changed)
        assert not tk.verify(path).is_verified


def test_an_objective_is_asked_for_only_where_the_postmortem_states_something_of_it(sides, tmp_path):
    """A mask cannot be embedded; the sections of a postmortem on call need none."""
    objective = {"objective": 0.99, "success": ~sides[1].spans["is_error"]}
    found = tk.investigate(sides[1], sides[0], slo=objective)
    short, full = (
        tk.verify(found.postmortem(tmp_path / f"{length}.html", length=length, embed=True))
        for length in ("on-call", "full")
    )
    assert short.is_verified, short.differences
    assert "not recomputed" in set(full.differences["status"])


def test_no_planted_secret_is_in_a_postmortem_with_its_spans(tmp_path):
    values = planted(3, 60)
    (tmp_path / "now.jsonl").write_bytes(recording(values))
    found = tk.investigate(tk.read(tmp_path / "now.jsonl"))
    for length in LENGTHS:
        page = found.postmortem(tmp_path / "a.html", length=length, embed=True)
        whole = b"\n".join(unpacked(page.read_bytes())).decode("utf-8", "replace")
        assert "GET /shop" in whole
        assert not [value for _, value, _ in values if value in whole or json.dumps(value)[1:-1] in whole]
        assert tk.verify(page).is_verified
        assert "Redaction: default policy" in page.read_text() or "<dd>default policy</dd>" in page.read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
@pytest.mark.parametrize("sample", ["cascading-failure", "checkout-regression", "hostile"])
def test_the_executive_one_is_one_printed_page(request, tmp_path, sample):
    if sample == "hostile":
        found = request.getfixturevalue("hostile")
    else:
        before, during = tk.load_sample(sample)
        found = tk.investigate(during, before)
    page, paper = found.postmortem(tmp_path / "a.html", length="executive", embed=True), tmp_path / "a.pdf"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--print-to-pdf={paper}"]
    subprocess.run([CHROMIUM, *options, page.as_uri()], check=True, capture_output=True, timeout=120)
    data = paper.read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", data)) == 1
    width, height = (float(one) for one in re.search(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", data).groups())
    assert (round(width), round(height)) in {(595, 842), (596, 842), (594, 841), (595, 841)}


def test_names_do_not_become_markup_in_html(hostile, tmp_path):
    for length in LENGTHS[:2]:
        text = hostile.postmortem(tmp_path / "a.html", length=length).read_text()
        body = re.sub(r"<(script|style)\b.*?</\1>|<svg.*?</svg>", "", text, flags=re.DOTALL)
        assert "<img" not in body
        assert "<i>" not in body
        assert "onerror=window" in body
        assert not re.search(r"<[^>]*\bon(load|error)=", text)
        assert text.count("</script>") == 1


def test_one_trace_and_healthy_pairs_are_written(sides, tmp_path):
    one = tk.investigate(sides[1].head(1))
    same = tk.investigate(sides[0], sides[0])
    for number, found in enumerate((one, same)):
        for suffix in ("html", "md"):
            text = found.postmortem(tmp_path / f"{number}.{suffix}").read_text()
            assert "What the data cannot show" in text
            assert "Root-cause hypotheses" not in text


# ------------------------------------------------------------------ Markdown


def test_markdown_has_its_pictures_beside_it(case, tmp_path):
    path = case.postmortem(tmp_path / "post mortem.md")
    text = path.read_text()
    shown = MarkdownIt("commonmark").render(text)
    assert re.findall(r'<img src="([^"]+)"', shown) == ["post%20mortem-timeline.svg", "post%20mortem-change.svg"]
    pictures = sorted(one.name for one in tmp_path.glob("*.svg"))
    assert pictures == ["post mortem-change.svg", "post mortem-timeline.svg"]
    for one in tmp_path.glob("*.svg"):
        assert one.read_text().startswith("<svg xmlns=")
        assert "<script" not in one.read_text()
    heads = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert heads == [*TITLES.values(), "Appendix"]
    assert "`tracekit diff BASELINE CURRENT --fail-if 'p95_ms of storefront POST /checkout rises 20%'`" in text


def test_names_do_not_become_markup_in_markdown(hostile, tmp_path):
    path = hostile.postmortem(tmp_path / "a.md")
    assert tk.verify(path, hostile.traces, baseline=hostile.baseline.before).is_verified
    text = path.read_text()
    plain = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(["table", "strikethrough"])
    tokens = plain.parse(text)
    inline = [child for token in tokens for child in token.children or []]
    markup = [one for one in (*tokens, *inline) if one.type in {"html_block", "html_inline", "table_open", "hr"}]
    assert [one.content.startswith("<!-- tracekit-claims ") and one.content.endswith("-->\n") for one in markup] == [
        True
    ]
    assert {one.attrs["src"] for one in inline if one.type == "image"} == {"a-timeline.svg", "a-change.svg"}
    assert not [one for one in inline if one.type == "link_open"]
    heads = [tokens[at + 1].content for at, one in enumerate(tokens) if one.type == "heading_open" and one.tag == "h2"]
    assert set(heads) <= {*TITLES.values(), "Appendix"}
    assert "49" not in [one.content for one in inline]
    shown = text.partition("<!-- tracekit-claims ")[0]
    outside = re.sub(r"(`+).*?\1", "", shown)  # of code, which is shown as it is
    assert "http://evil" not in outside
    assert "evil.example" in outside


@pytest.mark.parametrize(
    "source",
    [
        "{{ impact[0] }}",
        "{{ summary }}",
        "{{ hypotheses|tojson }}",
        "{{ hypotheses[0].claim.numbers }}",
        "{% for one in hypotheses %}{{ one.claim.numbers.items()|list }}{% endfor %}",
        "{{ hypotheses[0].claim.text|safe }}",
        "{{ hypotheses[0].claim.numbers|xmlattr }}",
        "{{ '<b>'|escape ~ hypotheses[0].claim.text }}",
        "{{ sections|map(attribute='entries')|list|pprint }}",
    ],
)
def test_names_do_not_become_markup_in_a_template(hostile, tmp_path, source):
    template = tmp_path / "team.md"
    template.write_text(source)
    text = hostile.postmortem(tmp_path / "a.md", template=template).read_text()
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    inline = [child for token in tokens for child in token.children or []]
    assert {one.type for one in inline} <= {"text", "softbreak", "text_special"}
    assert len(text) > 40


def test_a_template_has_headings_of_its_own(case, tmp_path):
    template = tmp_path / "team.md"
    template.write_text(
        "# Incident {{ title }}\n{% for one in hypotheses %}## Theory: {{ one.claim.text }}\n"
        "{{ one.evidence|length }} for, {{ one.counter|length }} against\n{% endfor %}"
        "{% for one in actions %}{% for check in one.checks %}{{ check.command|code }}\n{% endfor %}{% endfor %}"
        "![t]({{ pictures.timeline }}) {{ summary[0].numbers.metric }}\n"
    )
    text = case.postmortem(tmp_path / "a.md", template=template, title="a_b").read_text()
    assert text.startswith("# Incident a\\_b\n## Theory: Likely: the cause is at inventory (Slow instance).\n5 for, ")
    assert '`service("inventory") { fault = true }`\n' in text
    assert "\n![t](a-timeline.svg) error\\_rate\n\n<!-- tracekit-claims " in text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ summry }}", r"team\.md, line 1: .*'summry' is undefined; names are actions, "),
        ("\n{% for one in %}", r"team\.md, line 2: expected a template that can be rendered"),
        ("{{ title.__class__.__mro__ }}", r"access to attribute '__class__' of 'str' object is unsafe"),
        ("{{ ().__class__.__base__.__subclasses__() }}", r"is unsafe"),
        ("{{ range(10 ** 9)|list|length }}", r"Range too big"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", r"maximum recursion depth"),
    ],
)
def test_a_template_that_fails_says_where(case, tmp_path, source, said):
    template = tmp_path / "team.md"
    template.write_text(source)
    with pytest.raises(RenderError, match=said):
        case.postmortem(tmp_path / "a.md", template=template)
    assert [one.name for one in tmp_path.iterdir()] == ["team.md"]


def test_what_cannot_be_written_is_refused(case, tmp_path):
    with pytest.raises(ValueError, match=r"expected a file name with suffix \.html or \.md, found 'a\.pdf'"):
        case.postmortem(tmp_path / "a.pdf")
    with pytest.raises(ValueError, match=r"expected a \.md file for a template of Markdown, found 'a\.html'"):
        case.postmortem(tmp_path / "a.html", template="team.md")
    with pytest.raises(ValueError, match=r"expected a \.html file to embed spans in, found 'a\.md'"):
        case.postmortem(tmp_path / "a.md", embed=True)
    with pytest.raises(ValueError, match=r"expected a length among executive, on-call, full, found 'brief'"):
        case.postmortem(tmp_path / "a.html", length="brief")
    with pytest.raises(RenderError, match=r"expected a template to read, found .*absent"):
        case.postmortem(tmp_path / "a.md", template=tmp_path / "absent")
    with pytest.raises(RenderError, match="no folder"):
        case.postmortem(tmp_path / "absent" / "a.md")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ a section that fails, the command


def test_a_failed_section_is_a_finding_and_stops_no_other(sides, case, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("no")

    monkeypatch.setattr(making, "waits", broken)
    story = tk.investigate(sides[1], sides[0]).story
    assert story.waits == ()
    assert story.limits[0].headline.startswith("1 part of the investigation was not finished (postmortem.waits)")
    assert [one.headline for one in story.timeline] == [one.headline for one in case.story.timeline]


def test_the_command_writes_it(tmp_path):
    baseline, during = map(str, sample_paths("small-shop"))
    made = tmp_path / "a.md"
    call = ["investigate", during, "--baseline", baseline, "--postmortem", str(made), "--length", "executive"]
    ran = CliRunner().invoke(app, call)
    assert ran.exit_code == 0, ran.output
    assert "a.md: postmortem, executive" in ran.output.replace("\n", "")
    assert made.read_text().startswith("# Postmortem: ")
    page = tmp_path / "a.html"
    ran = CliRunner().invoke(app, [*call[:-4], "--postmortem", str(page), "--embed-spans"])
    assert ran.exit_code == 0, ran.output
    ran = CliRunner().invoke(app, ["verify", str(page)])
    assert ran.exit_code == 0, ran.output
    ran = CliRunner().invoke(app, [*call[:-4], "--postmortem", "a.pdf"])
    assert ran.exit_code == 2
    ran = CliRunner().invoke(app, [*call[:-2], "--template", "t.md", "--postmortem", "a.html"])
    assert ran.exit_code == 2
    assert "a template needs --postmortem with a .md file" in ran.stderr
    ran = CliRunner().invoke(app, [*call[:-4], "--length", "executive"])
    assert ran.exit_code == 2
    assert "a length needs --postmortem" in ran.stderr
