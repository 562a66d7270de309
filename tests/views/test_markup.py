from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.views.markup import Markup, element, table
from tracekit.views.svg import image, picture, text

HOSTILE = [
    "</script><img src=x onerror=window.__pwn=1>", '"><svg onload=window.__pwn=2>', "<!--<script>", "]]>", "&amp;",
    "javascript:window.__pwn=3", "' onload='1", "\u2028", "\x00\x1b[31m", "\u202egpj.exe", "\ud83d", "A" * 20_000,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_everywhere(name):
    drawn = picture(10, 10, name, [text(0, 0, name), element("rect", {"class": name}, element("title", {}, name))])
    root = ET.fromstring(drawn.encode("utf-8"))
    assert [node.tag.rpartition("}")[2] for node in root.iter()] == ["svg", "text", "rect", "title"]
    assert set(root.attrib) == {"viewBox", "width", "height", "font-family", "font-size", "role", "aria-label"}


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_survives_as_text(value, words):
    node = ET.fromstring(element("text", {"id": value}, words).encode("utf-8"))
    assert len(node) == 0
    assert len(node.get("id")) == len(value)
    assert len(node.text or "") == len(words)


def test_markup_is_not_escaped_twice_and_text_is_escaped_once():
    assert element("g", {}, element("b", {}, "<"), "<") == "<g><b>&lt;</b>&lt;</g>"
    assert isinstance(element("g"), Markup)


def test_numbers_are_short_and_never_nan():
    assert element("rect", {"x": 1 / 3, "y": float("nan"), "width": 2.0}) == '<rect x="0.33" y="0" width="2"/>'


def test_cells_hold_markup_or_text():
    drawn = table(["a"], [[element("b", {}, "1")], ["<i>"]])
    assert "><b>1</b></td>" in drawn
    assert ">&lt;i&gt;</td>" in drawn


def test_text_is_left_aligned_and_numbers_right_aligned():
    drawn = table(["what", "change"], [["cart", "+1.5 ms"], ["1 of them", ""]])
    assert drawn.count('<td style="text-align:left">') == 2
    assert "<th>change</th>" in drawn
    assert "<td>+1.5 ms</td>" in drawn
    assert table(["what"], []).count("<th>what</th>") == 1


def test_an_image_contains_its_picture():
    assert image("<svg/>", 'a "map"').startswith('<img alt="a &quot;map&quot;" src="data:image/svg+xml;base64,')
