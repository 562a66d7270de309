"""What the waterfall counts itself: self times, and all spans as a file; and that names and times can be read."""

import io
from pathlib import Path

import chromium
import numpy as np
import pandas as pd
import pytest
from all_views import HOSTILE
from drawn_spans import draw
from hand_drawn import spans
from waterfall_page import labels, mount, press, settle

import tracekit as tk
from tracekit.views.waterfall.compare import compared_payload
from tracekit.views.waterfall.payload import trace_payload

pytestmark = pytest.mark.browser
#  0   web GET /            0..1000
#  1   db  overlapping    100..400
#  2   db  the other      300..600
#  3   mq  outside        900..1500
#  4   mq  before it     -500..-100
#  5   db  zero           700..700
#  6   db  negative       800..750
#  7   db  open           650..(no end)
#  8   db  within         350..360
ODD = [
    ("1", None, "web", "GET /", "SERVER", 1000, 2000, "UNSET"),
    ("2", "1", "db", "overlapping", "CLIENT", 1100, 1400, "UNSET"),
    ("3", "1", "db", "the other", "CLIENT", 1300, 1600, "ERROR"),
    ("4", "1", "mq", "outside", "CLIENT", 1900, 2500, "UNSET"),
    ("5", "1", "mq", "before it", "CLIENT", 500, 900, "UNSET"),
    ("6", "1", "db", "zero", "CLIENT", 1700, 1700, "UNSET"),
    ("7", "1", "db", "negative", "CLIENT", 1800, 1750, "UNSET"),
    ("8", "1", "db", "open", "CLIENT", 1650, None, "UNSET"),
    ("9", "2", "db", "within", "CLIENT", 1350, 1360, "UNSET"),
]


def odd():
    return tk.TraceSet.from_spans(spans(ODD, dtype=object).astype({"start_ns": "Int64", "end_ns": "Int64"}))


def worst():
    _, during = tk.load_sample("checkout-regression")
    return during.trace(during.summary["duration_ns"].idxmax())


def inferred():
    """A queue that sent nothing stands between the shop and its worker; a store was asked before that."""
    lines = (
        "1 - shop CLIENT 0 100",
        "2 1 queue SERVER 10 90 inferred",
        "3 2 worker SERVER 50 80",
        "4 1 db SERVER 40 60",
    )
    return draw("\n".join(f"a1 {line}" for line in lines))


SETS = {"odd": odd, "worst": worst, "inferred": inferred}


def saved(page):
    """The spans as the button saves them."""
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download CSV").click()
    name = caught.value.suggested_filename
    return name, pd.read_csv(
        io.StringIO(Path(caught.value.path()).read_text("utf-8")), dtype=dict.fromkeys(("span_id", "name"), str)
    )


@pytest.mark.parametrize("name", SETS)
def test_all_spans_are_saved_with_the_self_times_that_python_counts(visit, name):
    traces = SETS[name]()
    page = mount(visit, trace_payload(traces, traces.trace_ids[0]))
    file, rows = saved(page)
    assert file == f"trace-{traces.trace_ids[0]}.csv"
    assert sorted(rows["span_id"]) == sorted(traces.spans["span_id"])
    mine = rows.set_index("span_id")
    theirs = tk.self_time(traces).spans.set_index("span_id")
    known = mine["self_time_ns"].dropna()
    assert sorted(known.index) == sorted(theirs.index)
    np.testing.assert_array_equal(known, theirs["self_time_ns"].reindex(known.index))
    frame = traces.spans.set_index("span_id").reindex(mine.index)
    assert mine["is_error"].tolist() == frame["is_error"].tolist()
    assert mine["service_name"].tolist() == frame["service_name"].tolist()
    offset = (frame["start_ns"] - traces.spans["start_ns"].min()).astype("float64")
    np.testing.assert_array_equal(mine["offset_ns"].astype("float64"), offset)


def test_what_is_not_known_is_an_empty_cell_and_names_are_no_formulas(visit):
    page = mount(visit, trace_payload(odd(), "0000"))
    _, rows = saved(page)
    rows = rows.set_index("name")
    assert rows.loc["GET /", "self_time_ns"] == 1000 - 500 - 100  # two that overlap, one that ends outside
    assert rows.loc["open", ["duration_ns", "self_time_ns"]].isna().all()
    assert rows.loc["negative", "duration_ns"] == -50
    assert pd.isna(rows.loc["negative", "self_time_ns"])
    named = [(str(k + 1), None, "=1+1", name, "SERVER", 5, 90, "UNSET") for k, name in enumerate(["=2+2", *HOSTILE])]
    page = mount(visit, trace_payload(tk.TraceSet.from_spans(spans(named)), "0000"))
    _, rows = saved(page)
    assert set(rows["service_name"]) == {"'=1+1"}
    assert "'=2+2" in set(rows["name"])
    assert len(rows) == len(named)


def test_a_path_and_a_trace_before_have_their_columns(visit):
    traces = worst()
    path = tk.critical_path(traces)
    _, rows = saved(mount(visit, trace_payload(traces, traces.trace_ids[0], path=path)))
    assert rows["path_time_ns"].sum() == path.traces["latency_ns"].sum()
    now, before = odd(), tk.TraceSet.from_spans(spans(ODD[:3]).assign(trace_id="b2"))
    payload, _ = compared_payload(now, now.trace_ids[0], before, before.trace_ids[0])
    _, rows = saved(mount(visit, payload))
    assert rows.set_index("name")["baseline_duration_ns"].dropna().to_dict() == {
        "GET /": 1000,
        "overlapping": 300,
        "the other": 300,
    }


def test_the_detail_of_a_parent_shows_its_self_time(visit):
    page = mount(visit, trace_payload(odd(), "0000"))
    page.locator(".tkw-row", has_text="GET /").click()
    assert "400 ns, 40.0%" in page.locator(".tkw-det").inner_text()
    page.locator(".tkw-row", has_text="zero").click()
    assert "self time" not in page.locator(".tkw-det").inner_text()  # the whole of it


def test_the_time_of_a_child_is_never_cut(visit):
    name = "GET /v1/organisations/{organisation_id}/projects/{project_id}/environments"
    rows = [
        ("1", None, "web", "GET /", "SERVER", 0, 10**6, "UNSET"),
        ("2", "1", "a-service-of-a-long-name", name, "CLIENT", 5, 10**5, "UNSET"),
    ]
    page = mount(visit, trace_payload(tk.TraceSet.from_spans(spans(rows)), "0000"))
    page.locator(".tkw-row").first.click()
    lead = page.get_by_role("button", name=f"Child: a-service-of-a-long-name {name}, 100 µs")
    who, took = lead.locator("span").all()
    assert took.inner_text().strip() == ", 100 µs"
    assert took.evaluate("words => words.scrollWidth <= words.clientWidth")
    assert who.evaluate("words => words.scrollWidth > words.clientWidth")
    inside = page.locator(".tkw-det").bounding_box()
    end = took.bounding_box()
    assert end["x"] + end["width"] < inside["x"] + inside["width"]


def test_on_a_phone_the_names_are_read_and_the_services_are_colours(browser):
    with chromium.visit(browser, viewport={"width": 390, "height": 800}) as visited:
        traces = worst()
        page = mount(visited, trace_payload(traces, traces.trace_ids[0]))
        assert page.locator(".tkw-head b").inner_text() == "Operation"
        for row in page.locator(".tkw-row[data-row]").all()[:12]:
            service, name, label = (row.locator(part).bounding_box() for part in (".tkw-svc", ".tkw-nm", ".tkw-lab"))
            assert service["width"] == 3
            assert service["height"] > 8
            assert label["x"] + label["width"] - name["x"] > 55  # of 140: what is left for the name
            assert row.locator(".tkw-svc").text_content()  # still told to those who listen
        press(page, "Tab")
        page.set_viewport_size({"width": 1200, "height": 800})
        settle(page)
        chromium.wait_until(page, "() => document.querySelector('.tkw-svc').getBoundingClientRect().width > 30")
        assert page.locator(".tkw-head b").inner_text() == "Service and operation"
        assert labels(page)[0] == "POST /checkout"
