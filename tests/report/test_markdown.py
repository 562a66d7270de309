"""Markdown in a report: what is shown, and what a hostile text cannot do."""

import pytest

import tracekit as tk
from tracekit.report.markdown import rendered

TRACE = "ab" * 16


def html(text, shown=()):
    return str(rendered(tk.md(text), shown)).strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It was *slow*, **very**.", "<p>It was <em>slow</em>, <strong>very</strong>.</p>"),
        ("# What\n## Happened", "<h3>What</h3>\n<h4>Happened</h4>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("~~old~~ `a*b`", "<p><s>old</s> <code>a*b</code></p>"),
        ("```\n<b>\n```", "<pre><code>&lt;b&gt;\n</code></pre>"),
        (f"see {TRACE}", f'<p>see <a href="#trace-{TRACE}">{TRACE}</a></p>'),
        ("see " + "cd" * 16, "<p>see " + "cd" * 16 + "</p>"),
        ("[wiki](https://a.example/x)", '<p><a href="https://a.example/x" rel="noopener noreferrer">wiki</a></p>'),
        ("[up](#findings)", '<p><a href="#findings" rel="noopener noreferrer">up</a></p>'),
    ],
)
def test_markdown_as_html(text, expected):
    assert html(text, {TRACE}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("a <b onclick=x>b</b>", "<p>a &lt;b onclick=x&gt;b&lt;/b&gt;</p>"),
        ("![shop](https://a.example/x.png)", "<p><em>image: shop</em></p>"),
        ("![x](data:image/png;base64,AAAA)", "<p><em>image: x</em></p>"),
        ("[x](file:///etc/passwd)", "<p>[x](file:///etc/passwd)</p>"),
        ("[x](data:text/html,hi)", "<p>[x](data:text/html,hi)</p>"),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("[x](ftp://a/b)", "<p>x</p>"),
        ("[x](other.html)", "<p>x</p>"),
        ("[![i](a.png)](ftp://a)", "<p><em>image: i</em></p>"),
        ("[<i>](https://a.example)", '<p><a href="https://a.example" rel="noopener noreferrer">&lt;i&gt;</a></p>'),
    ],
)
def test_markdown_loads_nothing_and_runs_nothing(text, expected):
    assert html(text) == expected


def test_markdown_tables_have_classes_instead_of_inline_styles():
    shown = html("| a | b |\n|---|--:|\n| x | 1 |")
    assert '<th class="right">b</th>' in shown
    assert "style=" not in shown


def test_directional_overrides_are_replaced():
    assert html("a\u202eb") == "<p>a\ufffdb</p>"


def test_markdown_in_a_report_and_in_a_notebook(tmp_path):
    text = tk.md("""
        **Half** of them.

        - `a`
    """)
    assert text._repr_markdown_() == "**Half** of them.\n\n- `a`"
    parts = [text, tk.section("Next", "plain *stars*", tk.md("*emphasis*")), tk.md("appended")]
    page = tk.report(parts, tmp_path / "page.html").read_text()
    assert "<strong>Half</strong>" in page
    assert "plain *stars*" in page
    assert page.index("<em>emphasis</em>") < page.index("appended")


def test_only_text_is_markdown():
    with pytest.raises(TypeError, match="expected Markdown as text, found int"):
        tk.md(3)
