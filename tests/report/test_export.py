"""Files: what is in them is what was seen, and nothing in them runs."""

import csv
import io
import re
import struct
import sys
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from all_views import HOSTILE
from hand_drawn import PAY_ID, pay_traces, spans

import tracekit as tk
from tracekit import TraceSet
from tracekit.views.export_trace import ROWS

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "plain", None]


def hostile_traces(names=HOSTILE):
    rows = [
        (str(k + 1), "1" if k else None, name, name, "SERVER", 5 + k * 10**6, 5 + (k + 9) * 10**6, "ERROR")
        for k, name in enumerate(names)
    ]
    return TraceSet.from_spans(spans(rows))


# ------------------------------------------------------------------ pictures


@pytest.mark.parametrize(
    "view",
    [
        lambda t: tk.plot(tk.latency(t)),
        lambda t: tk.plot(tk.service_graph(t)),
        lambda t: tk.plot(tk.timeline(t), kind="heat"),
        lambda t: tk.plot(tk.critical_path(t).flame()),
        lambda t: tk.waterfall(t, PAY_ID),
        tk.errors,
        lambda t: t,
    ],
)
def test_any_view_is_a_picture_in_a_file(view, tmp_path):
    shown = view(pay_traces())
    path = tk.export(shown, tmp_path / "view.SVG")
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    pytest.importorskip("resvg_py", reason="resvg-py, the optional extra for PNG, is not installed")
    png = tk.export(shown, tmp_path / "view.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height) == pytest.approx((2 * float(root.get("width")), 2 * float(root.get("height"))), abs=2)
    assert len(png) > 1_000


def test_a_png_without_its_library_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(tk.RenderError, match=r"pip install 'tracekit-notebook\[png\]', or write a \.svg"):
        tk.export(tk.latency(pay_traces()), tmp_path / "view.png")
    assert not (tmp_path / "view.png").exists()


def test_hostile_names_in_a_picture_are_text(tmp_path):
    text = tk.export(tk.errors(hostile_traces()), tmp_path / "x.svg").read_text(encoding="utf-8")
    assert not re.search(r"<(a|b|img|script)\b|\u202e|\x00", text)
    assert "&lt;a href='http://evil'&gt;" in text


# ------------------------------------------------------------------ tables


def test_a_table_is_restored_from_its_file(tmp_path):
    result = tk.latency(pay_traces())
    path = tk.export(result, tmp_path / "latency.csv")
    back = pd.read_csv(path)
    assert back.columns.tolist() == result.table.columns.tolist()
    assert back["p95_ns"].tolist() == result.table["p95_ns"].tolist()
    summary = pd.read_csv(tk.export(pay_traces().summary, tmp_path / "summary.csv"))
    assert summary["trace_id"].tolist() == [PAY_ID]


def test_no_cell_is_a_formula(tmp_path):
    frame = pd.DataFrame({"=cmd": FORMULAS, "n": [-1.5, 2, 3, 4, 5, 6, 7], "kind": pd.Categorical(FORMULAS)})
    rows = list(csv.reader(io.StringIO(tk.export(frame, tmp_path / "x.csv").read_text(encoding="utf-8"))))
    assert rows[0] == ["'=cmd", "n", "kind"]
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "plain", ""]
    assert [row[2] for row in rows[1:]] == [row[0] for row in rows[1:]]
    assert rows[1][1] == "-1.5"  # a number stays a number


@pytest.mark.parametrize("names", [["service", "n"], ["service", None], [None, None]])
def test_all_levels_of_an_index_are_columns(tmp_path, names):
    index = pd.MultiIndex.from_tuples([("cart", 1), ("=ledger", 2)], names=names)
    lines = tk.export(pd.DataFrame({"count": [5, 6]}, index=index), tmp_path / "x.csv").read_text().splitlines()
    assert lines[1:] == ["cart,1,5", "'=ledger,2,6"]
    assert lines[0].split(",")[2] == "count"
    assert lines[0].startswith(names[0] or "level_0")


def test_an_index_named_as_a_column_is_one_more(tmp_path):
    frame = pd.DataFrame({"n": [5]}, index=pd.Index([1], name="n"))
    assert tk.export(frame, tmp_path / "x.csv").read_text() == "n,n\n1,5\n"


def test_columns_of_one_name_stay_two(tmp_path):
    frame = pd.DataFrame([[1, "=2"]], columns=["a", "a"])
    assert tk.export(frame, tmp_path / "x.csv").read_text(encoding="utf-8") == "a,a\n1,'=2\n"


def test_an_export_that_cannot_be_written_is_reported(tmp_path):
    with pytest.raises(
        ValueError, match=r"expected a file name with suffix \.html, \.svg, \.png, \.csv, \.md, \.mmd, found 'x\.pdf'"
    ):
        tk.export(pay_traces(), tmp_path / "x.pdf")
    with pytest.raises(TypeError, match="expected a DataFrame or a result with a table, found int"):
        tk.export(5, tmp_path / "x.csv")
    with pytest.raises(TypeError, match="found Errors; pass one of its frames: operations, exceptions"):
        tk.export(tk.errors(pay_traces()), tmp_path / "x.csv")
    with pytest.raises(TypeError, match=r"expected a TraceSet for a \.md file, found int"):
        tk.export(5, tmp_path / "x.md")
    with pytest.raises(ValueError, match="expected one trace, found 0"):
        tk.export(pay_traces().where("service_name == 'nobody'"), tmp_path / "x.md")
    with pytest.raises(TypeError, match="expected a view or a result with a view, found int"):
        tk.export(5, tmp_path / "x.svg")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------ a trace


def test_the_markdown_describes_the_trace(tmp_path):
    text = tk.export(pay_traces(), tmp_path / "x.md").read_text(encoding="utf-8")
    assert text == tk.markdown(pay_traces(), PAY_ID)
    assert f"## Trace `{PAY_ID}`" in text
    assert "| duration | 1.00 µs |" in text
    assert "| spans | 5 spans in 4 services |" in text
    lines = [line for line in text.splitlines() if line.endswith("|") and "█" in line]
    bars = [line.partition("|")[2].rstrip("|") for line in lines]
    assert [bar.count("█") for bar in bars] == [40, 4, 24, 10, 2]
    assert [len(bar) - len(bar.lstrip()) for bar in bars] == [0, 2, 8, 10, 34]
    assert "  ! ledger charge" in text
    assert text.rstrip().endswith("- `ledger` `charge`")


def test_names_in_markdown_are_code():
    text = tk.markdown(hostile_traces(), "0000")
    outside = re.sub(r"(`+)[^`].*?(?<!`)\1(?!`)", "", re.sub(r"(?ms)^(`{3,})text$.*?^\1$", "", text))
    assert not re.search(r"[<>]|http|javascript|\u202e|\x00", outside)
    assert "<a href='http://evil'>x</a>" in text
    assert max(map(len, text.splitlines())) < 500


def test_backticks_and_bars_cannot_end_the_code():
    names = ("a`b", "``` fence", "x|y", "` lead", " ")
    text = tk.markdown(hostile_traces(names), "0000")
    assert "``a`b``" in text
    assert "```` ``` fence ````" in text or "````  ``` fence ````" in text or "```` ``` fence ````" in text
    assert "`x\\|y`" in text
    fence = re.search(r"(?m)^(`+)text$", text)[1]
    inside = text.partition(f"{fence}text\n")[2].partition(f"\n{fence}\n")[0]
    assert len(fence) > max(map(len, re.findall("`+", inside)))


def test_the_mermaid_chart_has_a_task_for_every_span():
    text = tk.mermaid(pay_traces(), PAY_ID)
    tasks = re.findall(r"(?m)^    (\S+ \S+) (.*) :(crit, )?s(\d+), (\d+), (\d+)$", text)
    assert [(name, bool(crit), int(start), int(end)) for _, name, crit, _, start, end in tasks] == [
        ("POST /pay", False, 0, 1000),
        ("lock", False, 50, 150),
        ("charge", True, 200, 800),
        ("SELECT", False, 250, 500),
        ("send", False, 850, 900),
    ]
    assert "in µs, 5 spans" in text


def test_long_traces_are_in_milliseconds():
    (task,) = re.findall(
        r":s0, .*",
        tk.mermaid(TraceSet.from_spans(spans([("1", None, "a", "x", "SERVER", 5, 2 * 10**9 + 5, "OK")])), "0"),
    )
    assert task == ":s0, 0, 2000000"  # a thousand a millisecond


def test_nothing_in_a_name_is_syntax_to_mermaid():
    names = (*HOSTILE, "a: b; c", "click x href javascript:alert(1)", "%% comment", "# hash", '"quoted"', "section x")
    text = tk.mermaid(hostile_traces(names), "0000")
    for line in text.splitlines()[4:]:
        words = line.strip()
        assert re.fullmatch(
            r"(section [^:;<>%\"'`|&#]*(?:#\d+;[^:;<>%\"'`|&#]*)*)|([^:]* :(crit, )?s\d+, \d+, \d+)", words
        ), words
        assert not words.startswith(("click", "%%"))
    assert "a#58; b#59; c" in text


def test_what_does_not_fit_is_counted():
    rows = [("1", None, "a", "root", "SERVER", 5, 10**6, "OK")]
    rows += [(str(k), "1", "a", f"n{k}", "CLIENT", 5 + k, 10 + 3 * k, "OK") for k in range(2, 100)]
    traces = TraceSet.from_spans(spans(rows))
    assert f"in µs, {ROWS} of 99 spans" in tk.mermaid(traces, "0000")
    assert f"{ROWS} of 99 spans: upper levels first, then by duration" in tk.markdown(traces, "0000")


def test_a_trace_that_is_not_there_names_the_nearest():
    for ask in (tk.markdown, tk.mermaid):
        with pytest.raises(ValueError, match="nearest: "):
            ask(pay_traces(), "ffff")


# ------------------------------------------------------------------ pages


@pytest.mark.parametrize(
    ("view", "kind"),
    [
        (lambda t: tk.plot(tk.latency(t)), "chart"),
        (lambda t: tk.plot(tk.service_graph(t)), "map"),
        (lambda t: tk.waterfall(t, PAY_ID), "waterfall"),
        (lambda t: tk.plot(tk.timeline(t), kind="heat"), "canvas"),
    ],
)
def test_a_view_is_written_as_a_page_of_its_own(view, kind, tmp_path):
    page = tk.export(view(pay_traces()), tmp_path / "view.html").read_text()
    assert f'data-view="{kind}"' in page
    assert "Content-Security-Policy" in page
    assert page.count("<article") == 1


def test_a_page_of_what_has_no_view_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"item 1 of the list: expected text, tk\.md"):
        tk.export(object(), tmp_path / "view.html")
    assert not list(tmp_path.iterdir())


def test_keys_of_mappings_in_cells_leave_without_personal_data(tmp_path):
    cell = {
        "jo@shop.example": 1,
        "mia@shop.example": 2,
        "password": "hunter2x",
        "more": {"k@shop.example": [{"o@shop.example": 3}]},
    }
    with pytest.warns(UserWarning, match="removed from"):
        text = tk.export(pd.DataFrame({"a": [cell]}), tmp_path / "a.csv").read_text()
    assert "@" not in text
    assert "hunter2x" not in text
    assert "'[email]': 1, '[email] #2': 2" in text  # two customers stay two
    assert "'more': {'[email]': [{'[email]': 3}]}" in text
    assert "jo@shop.example" in tk.export(pd.DataFrame({"a": [cell]}), tmp_path / "a.csv", redact=None).read_text()


@pytest.mark.parametrize("form", [tk.markdown, tk.mermaid])
def test_a_trace_as_text_leaves_without_personal_data(form):
    frame = pd.DataFrame(
        {"trace_id": ["1" * 32] * 2, "span_id": ["1" * 16, "2" * 16], "parent_span_id": [None, "1" * 16],
         "name": ["GET /jo@shop.example", "GET /b"], "start_ns": [0, 1], "end_ns": [9, 5], "service_name": ["a", "b"]}
    )  # fmt: skip
    traces = tk.TraceSet.from_spans(frame)
    assert "jo@shop" not in form(traces, "1")
    assert "[email]" in form(traces, "1").replace("&#91;", "[")
    assert "jo" in form(traces, "1", redact=None)
    with pytest.raises(ValueError, match="expected 'default'"):
        form(traces, "1", redact="x")
