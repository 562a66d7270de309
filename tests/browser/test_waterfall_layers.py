"""What lies over and folds away in a waterfall: repeats, the critical path, services, clocks, a second trace."""

import json

import chromium
import numpy as np
import pandas as pd
import pytest
from waterfall_page import labels, mount, press, settle

from tracekit import TraceSet
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.loading import read
from tracekit.views.tkw1 import Payload
from tracekit.views.waterfall.compare import compared_payload
from tracekit.views.waterfall.payload import trace_payload

pytestmark = pytest.mark.browser
US = 1_000
BEGIN = 1_747_231_200_000_000_000


def frame_of(rows, trace_id="a1"):
    names = ["span_id", "parent_span_id", "service_name", "name", "start_ns", "end_ns", "status_code"]
    frame = pd.DataFrame(rows, columns=names).assign(trace_id=trace_id, kind="SERVER")
    return frame.assign(start_ns=BEGIN + frame["start_ns"] * US, end_ns=BEGIN + frame["end_ns"] * US)


def repeats(calls=6):
    """Shop POST /pay 0..1000, cart lock 0..50, then calls of ledger SELECT of 10, 20, ... us, each with an fsync."""
    rows = [("1", None, "shop", "POST /pay", 0, 1000, "UNSET"), ("2", "1", "cart", "lock", 0, 50, "UNSET")]
    for k in range(calls):
        begin = 100 + 100 * k
        rows.append((f"a{k}", "1", "ledger", "SELECT", begin, begin + 10 * (k + 1), "ERROR" if k == 2 else "UNSET"))
        rows.append((f"b{k}", f"a{k}", "disk", "fsync", begin, begin + 2, "UNSET"))
    return TraceSet.from_spans(frame_of(rows))


def row_of(page, name):
    return page.locator(".tkw-row", has=page.locator(".tkw-nm", has_text=name)).first


@pytest.fixture
def folded(visit):
    return mount(visit, trace_payload(repeats(), "0000", path=critical_path(repeats())))


def test_equal_siblings_share_one_row_with_their_figures(folded):
    assert labels(folded) == ["POST /pay", "lock", "SELECT"]
    row = row_of(folded, "SELECT")
    words = "6 \u00d7, total 210 µs, p50 30.0 µs, max 60.0 µs, 21.0% of the critical path"
    assert row.locator(".tkw-d").inner_text() == "210 µs, 21.0%"  # on the bar, which stays to be seen
    assert row.locator(".tkw-line").get_attribute("title") == words
    folded.evaluate("() => W.look(0, 1e6 * 4)")
    folded.set_viewport_size({"width": 2200, "height": 700})
    chromium.wait_until(folded, f"() => document.querySelector('.fold .tkw-d').textContent === '{words}'")
    assert row.locator(".tkw-mark.soft").inner_text() == "6 \u00d7"
    assert row.locator(".tkw-mark").first.is_visible()  # one of them failed
    said = row.locator(".tkw-line").get_attribute("aria-label")
    assert said == f"{words}, starts at 100 µs, 1 error"
    assert row.locator(".tkw-m:visible").count() == 6
    assert row.get_attribute("aria-expanded") == "false"


def test_four_are_not_folded(visit):
    page = mount(visit, trace_payload(repeats(4), "0000"))
    assert labels(page) == ["POST /pay", "lock", *["SELECT", "fsync"] * 4]
    assert page.get_by_role("button", name="Fold repeats").count() == 0


def test_a_folded_row_opens_and_closes_by_key_and_click(folded):
    folded.locator(".tkw-scroll").focus()
    press(folded, "End", "ArrowRight")
    assert labels(folded) == ["POST /pay", "lock", "SELECT", *["SELECT", "fsync"] * 6]
    assert row_of(folded, "fsync").get_attribute("aria-level") == "4"
    press(folded, "ArrowRight", "ArrowDown")
    assert folded.evaluate("() => chosen.at(-1)") == 3
    press(folded, "ArrowLeft", "ArrowLeft", "ArrowLeft")
    assert folded.evaluate("() => W.selected") == folded.evaluate("() => W.T.n")
    press(folded, "ArrowLeft")
    assert labels(folded) == ["POST /pay", "lock", "SELECT"]
    row_of(folded, "SELECT").locator(".tkw-tw").click()
    settle(folded)
    assert len(labels(folded)) == 3 + 12 - 1  # the first call was collapsed and stays so
    press(folded, "g")
    assert labels(folded) == ["POST /pay", "lock", "SELECT", *["SELECT", "fsync"] * 5]
    assert folded.get_by_role("button", name="Fold repeats").get_attribute("aria-pressed") == "false"


def test_a_folded_row_shows_its_figures_and_links_to_the_slowest(folded):
    row_of(folded, "SELECT").click()
    shown = folded.locator(".tkw-det").inner_text()
    for words in ("ledger", "6", "210 µs", "30.0 µs", "60.0 µs", "210 µs, 21.0%"):
        assert words in shown
    assert folded.evaluate("() => chosen") == [-1]
    folded.get_by_role("button", name="Slowest call").click()
    settle(folded)
    assert folded.evaluate("() => chosen.at(-1)") == 12
    assert "0000000000000" in folded.locator(".tkw-det").inner_text()


def test_a_hit_within_a_fold_is_shown_and_opened(folded):
    folded.get_by_role("searchbox").fill("fsync")
    settle(folded)
    assert folded.locator(".tkw-bar [role=status]").inner_text() == "6 found"
    press(folded, "Enter")
    assert folded.evaluate("() => W.selected") == 3
    assert "fsync" in labels(folded)
    folded.evaluate("() => W.fold(W.T.n, true)")
    folded.get_by_role("searchbox").fill("SELECT")
    settle(folded)
    assert "hit" in row_of(folded, "SELECT").get_attribute("class")


def test_members_and_others_may_take_turns(visit):
    rows = [("1", None, "shop", "list", 0, 1000, "UNSET")]
    for k in range(6):
        rows += [(f"a{k}", "1", "db", "read", 10 * k, 10 * k + 3, "UNSET")]
        rows += [(f"b{k}", "1", "db", "write", 10 * k + 4, 10 * k + 8, "UNSET")]
    page = mount(visit, trace_payload(TraceSet.from_spans(frame_of(rows)), "0000"))
    assert labels(page) == ["list", "read", "write"]
    page.evaluate("() => W.fold(W.T.n + 1, false)")
    settle(page)
    assert labels(page) == ["list", "read", "write", *["write"] * 6]


def test_levels_are_chosen_by_key_and_by_list(folded):
    press(folded, "g")
    folded.locator(".tkw-scroll").focus()
    press(folded, "g", "2")
    assert labels(folded) == ["POST /pay", "lock", *["SELECT"] * 6]
    press(folded, "1")
    assert labels(folded) == ["POST /pay"]
    choice = folded.get_by_role("combobox", name="Levels shown")
    assert choice.input_value() == "1"
    choice.select_option("All levels")
    settle(folded)
    assert len(labels(folded)) == 14


def test_the_path_lies_over_the_bars_and_in_a_lane(folded):
    drawn = "() => [...document.querySelectorAll('.tkw-row[data-row=\"0\"] .tkw-p')].filter(p => p.offsetParent).length"
    assert folded.evaluate(drawn) == 7  # self time of the root between seven calls
    boxes = row_of(folded, "lock").locator(".tkw-p").bounding_box()
    bar = row_of(folded, "lock").locator(".tkw-b").bounding_box()
    assert boxes["width"] == pytest.approx(bar["width"], abs=1.5)
    lane = folded.locator(".tkw-lane canvas")
    assert lane.get_attribute("aria-label").startswith("Critical path of 1.00 ms: click")
    box = lane.bounding_box()
    lane.click(position={"x": box["width"] * 0.025, "y": 8})
    assert folded.evaluate("() => chosen.at(-1)") == 1
    assert folded.locator(".tkw-det").inner_text().count("50.0 µs, 5.0%") == 2  # itself, and with descendants
    folded.locator(".tkw-scroll").focus()
    press(folded, "c")
    assert folded.evaluate(drawn) == 0
    assert not folded.locator(".tkw-lane").is_visible()
    press(folded, "c", "p")
    assert folded.evaluate("() => W.selected") == 0
    press(folded, "P")
    assert folded.evaluate("() => W.selected") != 0


def test_time_without_a_span_is_shown_as_a_gap(visit):
    rows = [("1", None, "shop", "list", 0, 100, "UNSET"), ("2", None, "mail", "send", 300, 400, "UNSET")]
    traces = TraceSet.from_spans(frame_of(rows))
    page = mount(visit, trace_payload(traces, "0000", path=critical_path(traces, scope="trace")))
    assert page.locator(".tkw-lane b").inner_text() == "Critical path, 50.0% not covered by a span"
    label = page.locator(".tkw-lane canvas").get_attribute("aria-label")
    assert label.startswith("Critical path of 400 µs, 50.0% not covered by a span")
    pixels = """() => {
      const lane = document.querySelector('.tkw-lane canvas'), c = document.createElement('canvas');
      [c.width, c.height] = [lane.width, lane.height];
      const pen = c.getContext('2d', { willReadFrequently: true });
      pen.drawImage(lane, 0, 0);
      return [0.125, 0.5].map(at => {
        const d = pen.getImageData(c.width * at - 8, 4, 16, c.height - 8).data;
        let ink = 0;
        for (let k = 3; k < d.length; k += 4) ink += d[k] > 40;
        return ink / (d.length / 4) }) }"""
    solid, hatched = page.evaluate(pixels)
    assert solid > 0.9
    assert 0.05 < hatched < 0.8


def test_services_filter_the_rows_with_all_above_them(folded):
    folded.get_by_role("button", name="disk").click()
    settle(folded)
    assert labels(folded) == ["POST /pay", "SELECT"]
    assert folded.locator(".tkw-bar [role=status]").first.inner_text() == "6 spans of this service"
    folded.get_by_role("button", name="cart").click()
    settle(folded)
    assert labels(folded) == ["POST /pay", "lock", "SELECT"]
    assert folded.get_by_role("button", name="disk").get_attribute("aria-pressed") == "true"
    for name in ("cart", "disk"):
        folded.get_by_role("button", name=name).click()
    settle(folded)
    assert labels(folded) == ["POST /pay", "lock", "SELECT"]
    folded.get_by_role("button", name="cart").click()
    folded.get_by_role("searchbox").fill("fsync")
    press(folded, "Enter")  # a hit that is filtered out takes the filter off
    assert "fsync" in labels(folded)
    assert folded.get_by_role("button", name="cart").get_attribute("aria-pressed") == "false"


def test_events_are_ticks_and_links_are_listed(visit):
    def span(number, parent="", **more):
        times = {"startTimeUnixNano": str(BEGIN), "endTimeUnixNano": str(BEGIN + 1_000_000)}
        return {
            "traceId": f"{0xA1:032x}",
            "spanId": f"{number:016x}",
            "parentSpanId": parent,
            "name": f"n{number}",
            **times,
            **more,
        }

    events = [
        {"name": "retry", "timeUnixNano": str(BEGIN + 250_000)},
        {"name": "gone", "timeUnixNano": str(BEGIN + 750_000)},
    ]
    links = [{"traceId": f"{0xB2:032x}", "spanId": f"{7:016x}"}]
    spans = [span(1), span(2, f"{1:016x}", events=events), span(3, f"{1:016x}", links=links)]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]}
    traces = read(json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode())
    page = mount(visit, trace_payload(traces, "0000", with_details=False))
    ticks = page.locator('.tkw-row[data-row="1"] .tkw-ev')
    assert ticks.count() == 2
    bar = page.locator('.tkw-row[data-row="1"] .tkw-b').bounding_box()
    places = [(tick.bounding_box()["x"] - bar["x"]) / bar["width"] for tick in ticks.all()]
    assert places == pytest.approx([0.25, 0.75], abs=0.01)
    assert ticks.first.get_attribute("title") == "retry at 250 µs"
    assert page.locator('.tkw-row[data-row="2"] .tkw-mark.soft').inner_text() == "linked"
    diamond = "row => getComputedStyle(row.querySelector('.tkw-b'), '::before').width"
    widths = [page.locator(f'.tkw-row[data-row="{row}"]').evaluate(diamond) for row in (1, 2)]
    assert widths == ["auto", "7px"]


def test_the_detail_groups_copies_and_links_to_them(visit):
    frame = frame_of([("1", None, "shop", "POST /pay", 0, 1000, "UNSET"), ("2", "1", "cart", "lock", 0, 50, "UNSET")])
    attributes = {"http.route": "/pay", "http.method": "POST", "tenant": "blue", "db.system": "sqlite"}
    page = mount(
        visit,
        trace_payload(
            TraceSet.from_spans(frame.assign(**{f"attributes.{k}": v for k, v in attributes.items()})), "0000"
        ),
    )
    page.locator('.tkw-row[data-row="1"]').click()
    heads = page.locator(".tkw-det .tkw-sec").all_inner_texts()
    assert heads == ["Attributes", "Attributes: http", "Resource", "Record"]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy http.route").click()
    page.wait_for_function("() => document.querySelector('[aria-live]').textContent === 'Copied /pay'")
    page.get_by_role("button", name="Parent: shop POST /pay, 1.00 ms").click()
    assert page.evaluate("() => chosen.at(-1)") == 0
    page.get_by_role("button", name="Child: cart lock, 50.0 µs").click()
    assert page.evaluate("() => chosen.at(-1)") == 1


def test_links_lead_to_spans_of_this_trace(visit):
    def span(identity, parent, links=()):
        times = {"startTimeUnixNano": str(BEGIN + identity * 1_000), "endTimeUnixNano": str(BEGIN + 100_000)}
        ids = {"traceId": f"{0xA1:032x}", "spanId": f"{identity:016x}", "parentSpanId": parent}
        return {**ids, "name": f"step {identity}", "kind": 1, **times, "links": list(links)}

    links = [{"traceId": f"{trace:032x}", "spanId": f"{identity:016x}"} for trace, identity in ((0xA1, 2), (0xB2, 2))]
    spans = [span(1, ""), span(2, f"{1:016x}"), span(3, f"{1:016x}", links)]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]}
    traces = read(json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode())
    page = mount(visit, trace_payload(traces, "0000"))
    row_of(page, "step 3").click()
    assert page.locator(".tkw-det").inner_text().count(f"span {2:016x}") == 2
    page.get_by_role("button", name="Link: cart step 2").click()
    assert page.evaluate("() => chosen") == [2, 1]
    assert page.get_by_role("button", name="Link:").count() == 0


def test_the_detail_shows_the_critical_path(folded):
    row_of(folded, "POST /pay").click()
    keys, values = (folded.locator(f".tkw-det .tkw-{kind}").all_inner_texts() for kind in "kv")
    facts = dict(zip(keys, (value.removeprefix("Copy\n") for value in values), strict=True))
    assert facts["critical path"] == "740 µs, 74.0%"  # all but lock and the six calls
    assert facts["with descendants"] == "1.00 ms, 100%"


def test_the_list_of_keys_gets_space_at_once(folded):
    row_of(folded, "SELECT").click()
    folded.locator(".tkw-scroll").focus()
    press(folded, "Escape")
    wide = folded.locator(".tkw-scroll").bounding_box()["width"]
    folded.evaluate("() => { W.detail.show(0); W.measure(); W.close(); W.detail.showKeys() }")  # within one frame
    settle(folded)
    assert folded.evaluate("() => W.width") == pytest.approx(wide - 300, abs=1)
    assert row_of(folded, "POST /pay").locator(".tkw-b").bounding_box()["width"] < wide - 300


def test_the_axis_is_dragged_and_double_clicks_fit_unfold_and_reset(folded):
    folded.evaluate("() => W.look(2e5, 6e5)")
    head = folded.locator(".tkw-head").bounding_box()
    width = folded.evaluate("() => W.width - W.split")
    folded.mouse.move(head["x"] + 500, head["y"] + 12)
    folded.mouse.down()
    folded.mouse.move(head["x"] + 500 + width / 4, head["y"] + 12, steps=4)
    folded.mouse.up()
    assert folded.evaluate("() => [W.from, W.to]") == pytest.approx([1e5, 5e5], rel=0.01)
    row_of(folded, "lock").dblclick()
    assert folded.evaluate("() => [W.from, W.to]") == pytest.approx([0, 55_000])
    row_of(folded, "SELECT").dblclick()
    settle(folded)
    assert "fsync" in labels(folded)
    split = folded.evaluate("() => { const narrow = W.split; W.setSplit(narrow + 50); return narrow }")
    folded.locator(".tkw-split").dblclick()
    assert folded.evaluate("() => W.split") == split


def test_hits_and_filters_are_announced_in_turn(folded):
    found = folded.locator(".tkw-bar [role=status]")
    folded.get_by_role("button", name="disk").click()
    assert found.inner_text() == "6 spans of this service"
    folded.get_by_role("searchbox").fill("SELECT")
    assert found.inner_text() == "6 found"
    folded.get_by_role("searchbox").fill("")
    assert found.inner_text() == "6 spans of this service"
    folded.evaluate("() => W.select(1)")  # what the filter hides is asked for: the filter goes
    assert found.inner_text() == ""
    assert folded.get_by_role("button", name="disk").get_attribute("aria-pressed") == "false"


def test_the_keys_are_listed(folded):
    folded.locator(".tkw-scroll").focus()
    press(folded, "?")
    shown = folded.locator(".tkw-det").inner_text()
    told = folded.evaluate("() => W.keyMap().map(([, words]) => words)")
    assert len(told) > 25
    assert all(words in shown for words in told)
    press(folded, "Escape")
    assert folded.evaluate("() => document.activeElement.className") == "tkw-scroll"


def test_clocks_are_corrected_on_demand_and_moved_spans_are_listed(visit):
    rows = [("1", None, "shop", "call", 0, 400, "UNSET"), ("2", "1", "ledger", "serve", 590, 790, "UNSET")]
    payload = trace_payload(TraceSet.from_spans(frame_of(rows)), "0000")
    columns = payload.columns | {"shift": np.array([0.0, -500_000.0]), "doubt": np.array([0.0, 7_000.0])}
    page = mount(visit, Payload(columns, payload.strings, payload.meta))
    assert page.evaluate("() => W.T.end") == 790_000
    page.locator(".tkw-scroll").focus()
    press(page, "t")
    assert page.evaluate("() => [W.T.start[1], W.T.end, W.to]") == [90_000, 400_000, 400_000]
    assert row_of(page, "serve").locator(".tkw-mark.soft").inner_text() == "skew-corrected"
    assert row_of(page, "call").locator(".tkw-mark.soft").is_hidden()
    assert "skew-corrected by -500 µs" in row_of(page, "serve").locator(".tkw-line").get_attribute("aria-label")
    row_of(page, "serve").click()
    assert "-500 µs ± 7.00 µs skew correction, applied" in page.locator(".tkw-det").inner_text()
    page.get_by_role("button", name="Correct clock skew").click()
    settle(page)
    assert page.evaluate("() => [W.T.start[1], W.T.end, W.to]") == [590_000, 790_000, 790_000]
    assert "as drawn" not in page.locator(".tkw-det").inner_text()


def test_a_click_in_the_lane_finds_the_span_where_it_is_drawn(visit):
    rows = [("1", None, "shop", "call", 0, 1000, "UNSET"), ("2", "1", "ledger", "serve", 600, 800, "UNSET")]
    traces = TraceSet.from_spans(frame_of(rows))
    payload = trace_payload(traces, "0000", path=critical_path(traces))
    columns = payload.columns | {"shift": np.array([0.0, -500_000.0]), "doubt": np.zeros(2)}
    page = mount(visit, Payload(columns, payload.strings, payload.meta))
    lane = page.locator(".tkw-lane canvas")

    def click(share):
        lane.click(position={"x": lane.bounding_box()["width"] * share, "y": 8})
        page.evaluate("() => W.close()")
        settle(page)
        return page.evaluate("() => chosen.pop() ?? -1")

    assert click(0.7) == 1
    page.locator(".tkw-scroll").focus()
    press(page, "t")
    assert click(0.95) == 0
    assert click(0.7) == -1  # nothing is drawn there any more
    path = row_of(page, "serve").locator(".tkw-p").bounding_box()
    box = lane.bounding_box()
    assert (path["x"] - box["x"]) / box["width"] == pytest.approx(0.1, abs=0.01)


def test_clocks_of_both_traces_are_corrected_together(visit):
    names = [("1", None, "shop", "call"), ("2", "1", "ledger", "serve"), ("3", "1", "ledger", "note")]
    now = [(*names[0], 0, 1000, "UNSET"), (*names[1], 600, 900, "UNSET")]
    before = [(*names[0], 0, 800, "UNSET"), (*names[1], 400, 700, "UNSET"), (*names[2], 500, 600, "UNSET")]
    sides = TraceSet.from_spans(frame_of(now)), TraceSet.from_spans(frame_of(before, "b2"))
    payload = compared_payload(sides[0], "0000", sides[1], "0000")[0]
    shifts = {"shift": [0, 200_000, -500_000], "shift2": [0, 200_000, 200_000], "doubt": [0, 9, 9], "doubt2": [0, 9, 9]}
    columns = payload.columns | {name: np.array(values, float) for name, values in shifts.items()}
    assert payload.columns["state"].tolist() == [3, 2, 0]
    page = mount(visit, Payload(columns, payload.strings, payload.meta))

    def painted():
        whole = row_of(page, "call").locator(".tkw-b").bounding_box()
        boxes = [
            row_of(page, name).locator(kind)
            for name, kind in (("serve", ".tkw-b"), ("serve", ".tkw-was"), ("note", ".tkw-b"))
        ]
        return [round((box.bounding_box()["x"] - whole["x"]) / whole["width"], 2) for box in boxes]

    assert painted() == [0.6, 0.4, 0.5]
    page.get_by_role("button", name="Correct clock skew").click()
    settle(page)
    assert painted() == [0.1, 0.6, 0.7]
    notes = {name: row_of(page, name).locator(".tkw-mark.soft").inner_text() for name in ("serve", "note")}
    assert notes == {"serve": "skew-corrected", "note": "missing, skew-corrected"}
    said = row_of(page, "serve").locator(".tkw-line").get_attribute("aria-label")
    assert said == "300 → 300 µs, starts at 100 µs, skew-corrected by -500 µs, baseline skew-corrected by +200 µs"
    row_of(page, "serve").click()
    detail = page.locator(".tkw-det").inner_text()
    assert "-500 µs ± 9 ns skew correction, applied" in detail
    assert "+200 µs ± 9 ns skew correction, applied" in detail
    page.get_by_role("button", name="Correct clock skew").click()
    page.get_by_role("button", name="Close").click()
    settle(page)
    assert painted() == [0.6, 0.4, 0.5]


def test_what_corrected_clocks_put_before_the_trace_can_be_seen(visit):
    rows = [("1", None, "shop", "call", 0, 400, "UNSET"), ("2", "1", "ledger", "serve", 100, 200, "UNSET")]
    payload = trace_payload(TraceSet.from_spans(frame_of(rows)), "0000")
    columns = payload.columns | {"shift": np.array([0.0, -200_000.0]), "doubt": np.zeros(2)}
    page = mount(visit, Payload(columns, payload.strings, payload.meta))
    page.locator(".tkw-scroll").focus()
    press(page, "t")
    call, serve = (row_of(page, name).locator(".tkw-b").bounding_box() for name in ("call", "serve"))
    assert serve["x"] < call["x"]
    assert serve["width"] / call["width"] == pytest.approx(0.25, abs=0.01)
    assert page.locator(".tkw-head").inner_text().split("\n")[0] == "-100 µs"


def loops(calls, trace_id="a1"):
    """Shop POST /pay 0..1000 with so many calls of 10 us, one every 100 us."""
    rows = [("1", None, "shop", "POST /pay", 0, 1000, "UNSET")]
    rows += [(f"a{k}", "1", "ledger", "SELECT", 100 * k, 100 * k + 10, "UNSET") for k in range(calls)]
    return TraceSet.from_spans(frame_of(rows, trace_id))


def test_repeats_of_two_traces_are_counted_on_either_side(visit):
    for now, before, said in (
        (6, 1, "1 → 6 \u00d7, total 10.0 → 60.0 µs, p50 10.0 µs, max 10.0 µs"),
        (2, 6, "6 → 2 \u00d7, total 60.0 → 20.0 µs, p50 10.0 µs, max 10.0 µs"),
        (6, 6, "6 \u00d7, total 60.0 → 60.0 µs, p50 10.0 µs, max 10.0 µs"),
        (0, 6, "6 → 0 \u00d7, total 60.0 µs → 0 ns, p50 \u2013, max \u2013"),
    ):
        page = mount(visit, compared_payload(loops(now), "0000", loops(before, "b2"), "0000")[0])
        row = row_of(page, "SELECT")
        assert row.locator(".tkw-line").get_attribute("title") == said
        assert row.locator(".tkw-mark.soft").inner_text() == (said.partition(",")[0] if now else "missing")
        whole, hull = row_of(page, "POST /pay").locator(".tkw-b").bounding_box(), row.locator(".tkw-b").bounding_box()
        assert hull["width"] / whole["width"] == pytest.approx(0.51, abs=0.01)  # gone calls stand where they stood
        on_bar = row.locator(".tkw-d").inner_text()
        assert on_bar in (said, said.partition("total ")[2].partition(",")[0])
        row.click()
        kept = f"{before} calls, {before * 10}.0 µs" if before > 1 else "1 call, 10.0 µs"
        assert kept in page.locator(".tkw-det").inner_text()


def test_a_span_that_is_gone_can_be_fitted(visit):
    page = mount(visit, compared_payload(loops(0), "0000", loops(2, "b2"), "0000")[0])
    page.evaluate("() => W.fit(2)")
    assert page.evaluate("() => [W.from, W.to]") == pytest.approx([99_500, 110_500])


def test_two_traces_in_one_view(visit):
    now = TraceSet.from_spans(frame_of([
        ("1", None, "shop", "POST /pay", 0, 1000, "UNSET"),
        ("2", "1", "ledger", "charge", 100, 900, "UNSET"),
        ("3", "1", "audit", "note", 910, 950, "UNSET"),
        ("5", "1", "cart", "lock", 10, 65, "UNSET"),
    ]))  # fmt: skip
    before = TraceSet.from_spans(frame_of([
        ("1", None, "shop", "POST /pay", 0, 400, "UNSET"),
        ("2", "1", "ledger", "charge", 100, 300, "UNSET"),
        ("4", "1", "mailer", "send", 310, 390, "UNSET"),
        ("5", "1", "cart", "lock", 0, 50, "UNSET"),
    ], "b2"))  # fmt: skip
    page = mount(visit, compared_payload(now, "0000", before, "0000")[0])
    rows = {name: row_of(page, name) for name in ("POST /pay", "lock", "charge", "note", "send")}
    said = {
        name: row.locator(".tkw-line").get_attribute("aria-label").partition(", starts")[0]
        for name, row in rows.items()
    }
    assert said == {
        "POST /pay": "400 µs → 1.00 ms, slower (+600 µs)",
        "lock": "50.0 → 55.0 µs",  # less than a hundredth of the request
        "charge": "200 → 800 µs, slower (+600 µs)",
        "note": "40.0 µs, added",
        "send": "missing, baseline 80.0 µs",
    }
    times = {name: row.locator(".tkw-d").inner_text() for name, row in rows.items()}
    on_bars = {"POST /pay": "400 µs → 1.00 ms", "charge": "200 → 800 µs"}  # both, in fewer words
    assert times == said | on_bars
    notes = {name: row_of(page, name).locator(".tkw-mark.soft").inner_text() for name in ("charge", "note", "send")}
    assert notes == {"charge": "slower", "note": "added", "send": "missing"}
    bar, was = (row_of(page, "charge").locator(kind).bounding_box() for kind in (".tkw-b", ".tkw-was"))
    assert was["width"] / bar["width"] == pytest.approx(0.25, abs=0.01)
    gone = row_of(page, "send").locator(".tkw-b").bounding_box()
    assert gone["width"] / bar["width"] == pytest.approx(0.1, abs=0.01)
    page.locator(".tkw-scroll").focus()
    seen = []
    for _ in range(4):
        press(page, "x")
        seen.append(page.evaluate("() => W.selected"))
    assert seen == [0, 2, 3, 4]
    row_of(page, "lock").click()
    assert "10.0 µs (baseline 0 ns)" in page.locator(".tkw-det").inner_text()
    row_of(page, "send").click()
    assert "0000000000000004" in page.locator(".tkw-det").inner_text()


def test_a_comparison_shows_the_names_of_its_sides_as_text(visit):
    rows = [("1", None, "shop", "POST /pay", 0, 400, "UNSET"), ("2", "1", "ledger", "charge", 100, 300, "UNSET")]
    now = TraceSet.from_spans(frame_of([*rows[:1], ("3", "1", "audit", "note", 310, 350, "UNSET")]))
    before = TraceSet.from_spans(frame_of(rows, "b2"))
    page = mount(visit, compared_payload(now, "0000", before, "0000", names=("1.4.0 <b>x</b>", "1.5.0"))[0])
    assert page.locator(".tkw-note").first.inner_text().startswith("1.4.0 <b>x</b> trace ")
    said = row_of(page, "charge").locator(".tkw-line").get_attribute("aria-label")
    assert "missing, 1.4.0 <b>x</b> 200 µs" in said
    row_of(page, "POST /pay").click()
    assert "(1.4.0 <b>x</b> 0 ns)" in page.locator(".tkw-det").inner_text()
    assert "baseline" not in page.locator("body").inner_text()


def test_in_a_narrow_column_the_name_is_read_before_what_became_of_it(visit):
    now, before = (
        TraceSet.from_spans(frame_of([("1", None, "shop", "POST /pay", 0, end, "UNSET")], trace_id))
        for trace_id, end in (("a1", 900), ("b2", 100))
    )
    payload, _ = compared_payload(now, now.trace_ids[0], before, before.trace_ids[0])
    visit.page.set_viewport_size({"width": 420, "height": 600})
    page = mount(visit, payload)
    row = page.locator(".tkw-row").first
    name, note = (row.locator(part).bounding_box() for part in (".tkw-nm", ".tkw-mark.soft"))
    assert name["x"] < note["x"]
    label = row.locator(".tkw-lab").bounding_box()
    assert name["x"] + name["width"] <= label["x"] + label["width"]
    assert (
        row.locator(".tkw-mark.soft").evaluate("note => getComputedStyle(note).display") == "inline-block"
    )  # all or …
    assert page.locator(".tkw-head b").evaluate("title => getComputedStyle(title).textOverflow") == "ellipsis"
