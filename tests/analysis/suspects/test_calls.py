"""Self times, gaps and calls of spans drawn by hand."""

import pytest
from drawn_spans import draw

from tracekit.analysis.suspects.calls import CALL, GAP, NO_SERVICE, OWN, times
from tracekit.analysis.suspects.windows import windows

# web has two client spans that overlap between 40 and 50, and a filter beside them; ledger's clock is 1,000 ahead
DRAWING = """
1 1 - web    SERVER 0    100  name=GET
1 2 1 web    CLIENT 10   50   name=ask
1 3 2 ledger SERVER 1015 1045 name=read
1 4 1 web    CLIENT 40   80   name=ask
1 5 4 stock  SERVER 45   70   name=look
1 6 1 web    INTERNAL 5  95   name=filter
"""


@pytest.fixture
def found():
    window = windows(draw(DRAWING), draw(DRAWING))[1]
    return window, times(window)


def by_service(window, found, kind):
    names = [*window.names.service, ""]
    rows = (found.kind == kind).nonzero()[0]
    return {(names[found.service[k]], names[found.callee[k]]): float(found.time_ns[k]) for k in rows}


def test_own_time_is_the_entry_without_the_union_of_its_calls(found):
    """100 - (10 to 80); the filter beside the client spans has no self time that counts twice."""
    assert by_service(*found, OWN) == {("web", ""): 30.0, ("ledger", ""): 30.0, ("stock", ""): 25.0}


def test_a_gap_compares_no_clocks(found):
    assert by_service(*found, GAP) == {("web", "ledger"): 10.0, ("web", "stock"): 15.0}


def test_calls_have_the_duration_of_the_callee(found):
    assert by_service(*found, CALL) == {("web", "ledger"): 30.0, ("web", "stock"): 25.0}


def test_the_ways_compare_clocks(found):
    times = found[1]
    rows = times.kind == GAP
    assert sorted(zip(times.there_ns[rows], times.back_ns[rows], strict=True)) == [(5, 10), (1005, -995)]


def test_spans_without_an_end_are_left_out():
    window = windows(*(draw(DRAWING.replace("1045 name=read", "- name=read")) for _ in range(2)))[1]
    found = times(window)
    assert ("ledger", "") not in by_service(window, found, OWN)
    assert ("web", "ledger") not in by_service(window, found, GAP)
    assert NO_SERVICE == -1
