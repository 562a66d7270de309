"""A sortable table in a bare page: what the report's tables do with missing and equal values."""

import chromium
import pytest

pytestmark = pytest.mark.browser
ROWS = [("b", "3"), ("a", ""), ("d", "20"), ("c", "3"), ("B", "-1")]


@pytest.fixture
def page(visit):
    cells = "".join(f"<tr><td>{name}</td><td data-v='{value}'>{value or '?'}</td></tr>" for name, value in ROWS)
    head = "<thead><tr><th>name</th><th class=num>value</th></tr></thead>"
    chromium.load_module(visit.page, f"<table data-short=4>{head}<tbody>{cells}</tbody></table>")
    visit.page.evaluate("() => { window.T = new M.Table(document.querySelector('table')) }")
    return visit.page


def column(page, k):
    return page.evaluate("k => [...document.querySelectorAll('tbody tr')].map(row => row.cells[k].textContent)", k)


def test_missing_values_are_last_either_way_and_equal_ones_keep_their_order(page):
    page.get_by_role("button", name="value").click()
    assert column(page, 0) == ["d", "b", "c", "B", "a"]
    page.get_by_role("button", name="value").click()
    assert column(page, 0) == ["B", "b", "c", "d", "a"]


def test_names_sort_without_regard_to_case(page):
    page.get_by_role("button", name="name").click()
    assert column(page, 0) == ["a", "b", "B", "c", "d"]
    page.get_by_role("button", name="name").click()
    assert column(page, 0) == ["d", "c", "b", "B", "a"]


def test_the_rows_that_are_folded_are_those_at_the_end_of_the_order(page):
    folded = "() => [...document.querySelectorAll('tr.folded')].map(row => row.cells[0].textContent)"
    assert page.evaluate(folded) == ["B"]
    page.get_by_role("button", name="value").click()
    assert page.evaluate(folded) == ["a"]
