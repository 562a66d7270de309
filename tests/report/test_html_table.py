"""Tables of other libraries: cells and colours are kept, everything else is dropped."""

import re

import pandas as pd
import pytest

import tracekit as tk
from tracekit.report.html_table import html_table


class Shown:
    def __init__(self, markup):
        self._markup = markup

    def _repr_html_(self):
        return self._markup


def test_a_styler_keeps_its_text_and_its_colours(tmp_path):
    frame = pd.DataFrame({"service": ["ledger", "cart"], "p95": [256.4, 84.5]})
    styler = frame.style.format({"p95": "{:.0f} ms"}).map(
        lambda value: "background-color: #ff0000; color: white; position: fixed" if value > 100 else "", subset=["p95"]
    )
    found = html_table(styler)
    assert re.findall(r"<td[^>]*>([^<]*)</td>", found.markup) == ["ledger", "256 ms", "cart", "84 ms"]
    (name,) = re.findall(r'<td class="(c\w+)">256 ms', found.markup)
    assert found.rules == (f".{name}{{background-color:#ff0000;color:white}}",)
    assert "84 ms" in found.markup
    assert "position" not in str(found)
    page = tk.report([tk.section("Styled", styler, styler)], tmp_path / "page.html").read_text()
    assert page.count(found.rules[0]) == 1
    assert page.count(">256 ms<") == 2


@pytest.mark.parametrize(
    ("markup", "kept"),
    [
        ("<div><table><tr><td>1</td></tr></table></div>", "<table><tbody><tr><td>1</td></tr></tbody></table>"),
        (
            '<table><tr><td onclick="x()" style="position:fixed" colspan="2"><script>x()</script>a</td></tr></table>',
            '<table><tbody><tr><td colspan="2">a</td></tr></tbody></table>',
        ),
        (
            '<table><tr><td><img src="http://a/x.png"><a href="http://a">b</a></td></tr></table>',
            "<table><tbody><tr><td>b</td></tr></tbody></table>",
        ),
        ("<TABLE><tr><td class='nav'>\u202ea</td></tr>", "<table><tbody><tr><td>\ufffda</td></tr></tbody></table>"),
        ("<style>#T_a_row0_col0{color:url(x)}</style><table></table>", "<table></table>"),
    ],
)
def test_only_cells_are_kept(markup, kept):
    found = html_table(Shown(markup))
    assert (found.markup, found.rules) == (kept, ())


def test_what_is_no_table_is_refused(tmp_path):
    assert html_table(Shown("<p>text</p>")) is None
    assert html_table(Shown(None)) is None
    with pytest.raises(
        TypeError, match=r"expected text, tk\.md\(\.\.\.\), a DataFrame, Series or Styler, .* found Shown"
    ):
        tk.report([Shown("<p>text</p>")], tmp_path / "page.html")
