"""Findings: the gravest first, safe in a page, complete as a frame."""

import pytest

from tracekit.findings import Estimate, Finding, Findings


def finding(severity, headline="h", **members):
    return Finding("check", severity, headline, **members)


MIXED = Findings([finding(s, f"{s} {n}") for n, s in enumerate(["info", "critical", "notice", "critical", "warning"])])


def test_the_most_severe_come_first_in_the_order_given():
    wanted = ["critical 1", "critical 3", "warning 4", "notice 2", "info 0"]
    assert [f.headline for f in MIXED] == wanted
    assert MIXED.worst == "critical"
    assert repr(MIXED) == "Findings(2 critical, 1 warning, 1 notice, 1 info)"
    assert str(MIXED).splitlines()[0] == "critical: critical 1"


def test_they_are_a_sequence():
    assert len(MIXED) == 5
    assert MIXED[0].headline == "critical 1"
    assert isinstance(MIXED[1:3], Findings)
    assert [f.headline for f in MIXED[1:3]] == ["critical 3", "warning 4"]
    assert len(MIXED + Findings([finding("critical", "new")])) == 6
    assert (MIXED + Findings([finding("critical", "new")]))[2].headline == "new"


def test_none_is_none():
    empty = Findings()
    assert (len(empty), empty.worst, repr(empty), str(empty)) == (0, None, "Findings(none)", "No findings.")
    assert list(empty.frame()) == list(MIXED.frame())
    assert "No findings." in empty._repr_html_()
    assert "No findings." not in Findings([finding("info", "One trace is cut.")])._repr_html_()


def test_a_frame_has_the_numbers():
    estimate = Estimate(0.25, "ratio", 0.2, 0.3, n=1200)
    frame = Findings([finding("info"), finding("warning", estimate=estimate, remedy="r", code="tk.x()")]).frame()
    assert frame.loc[0, ["severity", "value", "unit", "low", "high", "n", "remedy", "code"]].tolist() == [
        *("warning", 0.25, "ratio", 0.2, 0.3, 1200, "r", "tk.x()"),
    ]
    assert frame.loc[1, ["value", "low", "high", "n"]].isna().all()
    assert str(estimate) == "0.25 ratio (0.2 to 0.3, n = 1,200)"


def test_a_severity_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="expected severity info, notice, warning, critical, found 'fatal'"):
        finding("fatal")


def test_hostile_text_stays_text_in_a_page():
    page = Findings([finding("info", "<script>x</script>", remedy="<b>")])._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;" in page


def test_sentences_are_left_aligned_in_any_page():
    page = Findings([finding("info", "One trace is cut.")])._repr_html_()
    assert page.count('<th style="text-align:left">') == page.count('<td style="text-align:left">') == 3
