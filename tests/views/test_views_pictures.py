"""The still pictures: what they show is read back from their SVG."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from hand_drawn import PAY_ID, pay_traces, spans

from tracekit import TraceSet
from tracekit.analysis.latency import latency
from tracekit.analysis.service_graph.build import service_graph
from tracekit.views.latency_picture import latency_picture, strip_picture
from tracekit.views.scales import time_step
from tracekit.views.service_graph.map import map_payload, map_picture
from tracekit.views.volume import volume_picture
from tracekit.views.waterfall.compare import compared_payload
from tracekit.views.waterfall.labels import time_words
from tracekit.views.waterfall.payload import trace_payload
from tracekit.views.waterfall.picture import slowest_spans, waterfall_picture


@pytest.fixture
def pay():
    return pay_traces()


NS = "{http://www.w3.org/2000/svg}"


def drawn(picture):
    return ET.fromstring(picture.encode("utf-8"))


def words(root):
    return ["".join(node.itertext()) for node in root.iter(f"{NS}text")]


def bars(root, kind):
    return [node for node in root.iter(f"{NS}rect") if kind in node.get("class", "").split()]


def test_the_bars_of_a_waterfall_are_to_scale(pay):
    root = drawn(waterfall_picture(trace_payload(pay, PAY_ID)))
    assert root.get("aria-label") == f"Waterfall of trace {PAY_ID}: 5 spans, 1.00 µs"
    rects = [node for node in root.iter(f"{NS}rect") if node.get("height") == "11"]
    root_width = float(rects[0].get("width"))
    assert [round(float(r.get("width")) / root_width, 2) for r in rects] == [1.0, 0.1, 0.6, 0.25, 0.05]
    begin = float(rects[0].get("x"))
    assert [round((float(r.get("x")) - begin) / root_width, 2) for r in rects] == [0, 0.05, 0.2, 0.25, 0.85]
    assert [r.get("stroke") for r in rects] == [None, None, "#d32f2f", None, None]
    assert any("ledger" in line and "!" in line for line in words(root))


def test_the_longest_spans_of_the_upper_levels_are_chosen():
    rows = [("1", None, "a", "root", "SERVER", 0, 1000, "UNSET")]
    rows += [(str(k), "1", "a", f"child {k}", "SERVER", k, k * 3, "UNSET") for k in range(2, 60)]
    root = drawn(waterfall_picture(trace_payload(TraceSet.from_spans(spans(rows)), "0000"), row_count=5))
    shown = [line for line in words(root) if "child" in line]
    assert [line.split()[-1] for line in shown] == ["56", "57", "58", "59"]
    assert words(root)[-1] == "5 of 59 rows: upper levels first, then by duration"


def test_repeats_share_one_row_of_the_picture():
    rows = [("1", None, "a", "root", "SERVER", 0, 1000, "UNSET")]
    for k in range(6):
        begin = 100 * (k + 1)
        status = "ERROR" if k == 3 else "UNSET"
        rows.append((f"a{k}", "1", "b", "read", "CLIENT", begin, begin + 50, status))
        rows.append((f"b{k}", f"a{k}", "c", "below", "SERVER", begin, begin + 10, "UNSET"))
    rows += [(f"c{k}", "1", "b", "few", "CLIENT", 800, 900, "UNSET") for k in range(4)]
    root = drawn(waterfall_picture(trace_payload(TraceSet.from_spans(spans(rows)), "0000")))
    labels = [line for line in words(root) if not line.endswith(("ns", "s", "0"))]
    assert labels == ["a root", "b ! 6 \u00d7 read", *["b few"] * 4]
    assert "total 300 ns" in words(root)
    rects = [node for node in root.iter(f"{NS}rect") if node.get("height") == "11"]
    assert len(rects) == 1 + 6 + 4
    assert [node.get("stroke") for node in rects[1:7]] == [None, None, None, "#d32f2f", None, None]


@pytest.mark.parametrize(
    ("took", "axis"),
    [
        (318_007_311, ["0", "100 ms", "200 ms", "300 ms"]),
        (1_000, ["0", "200 ns", "400 ns", "600 ns", "800 ns", "1 \u00b5s"]),
        (90 * 10**9, ["0", "20 s", "40 s", "60 s", "80 s"]),
    ],
)
def test_the_axis_of_the_picture_has_round_times_where_they_are(took, axis):
    traces = TraceSet.from_spans(spans([("1", None, "a", "root", "SERVER", 0, took, "UNSET")]))
    root = drawn(waterfall_picture(trace_payload(traces, "0000")))
    grid = [node for node in root.iter(f"{NS}line") if node.get("class") == "tk-grid"]
    assert words(root)[: len(axis)] == axis
    assert len(grid) == len(axis)
    (bar,) = [node for node in root.iter(f"{NS}rect") if node.get("height") == "11"]
    one = {"ms": 10**6, "ns": 1, "s": 10**9}[axis[1].split()[1]] * int(axis[1].split()[0]) / took
    assert float(grid[1].get("x1")) == pytest.approx(float(bar.get("x")) + one * float(bar.get("width")), abs=0.1)


def test_the_picture_of_a_comparison_has_both_durations_of_every_row():
    before = [("1", None, "a", "root", "SERVER", 0, 100, "UNSET"), ("2", "1", "a", "gone", "CLIENT", 60, 90, "UNSET")]
    before += [("3", "1", "b", "read", "CLIENT", 10, 14, "UNSET")]
    now = [("1", None, "a", "root", "SERVER", 0, 200, "UNSET"), ("9", "1", "a", "new", "CLIENT", 150, 160, "UNSET")]
    now += [(f"c{k}", "1", "b", "read", "CLIENT", 20 * k, 20 * k + 5, "UNSET") for k in range(1, 7)]
    pair = [TraceSet.from_spans(spans(rows)) for rows in (now, before)]
    ids = [traces.trace_ids[0] for traces in pair]
    payload, _ = compared_payload(pair[0], ids[0], pair[1], ids[1])
    root = drawn(waterfall_picture(payload))
    said = words(root)
    assert {"100 → 200 ns", "missing, baseline 30 ns", "10 ns, added", "total 4 → 30 ns"} <= set(said)
    assert "b 1 → 6 \u00d7 read" in said
    assert said[-1] == payload.meta["note"]
    assert root.get("aria-label") == f"Waterfall of trace {ids[0]}: {payload.meta['note']}"
    tall = [node for node in root.iter(f"{NS}rect") if node.get("height") == "11"]
    thin = [node for node in root.iter(f"{NS}rect") if node.get("height") == "3"]
    scale = float(tall[0].get("width")) / 200  # pixels a ns
    assert float(thin[0].get("width")) == pytest.approx(100 * scale, rel=0.01)
    assert float(thin[1].get("x")) - float(tall[0].get("x")) == pytest.approx(10 * scale, abs=0.2)
    (lost,) = [node for node in tall if node.get("stroke-dasharray")]
    assert float(lost.get("width")) == pytest.approx(30 * scale, rel=0.01)
    assert float(lost.get("x")) - float(tall[0].get("x")) == pytest.approx(60 * scale, abs=0.2)
    assert len(thin) == 2  # root and the first read; the added one and the lost one were not in both
    assert "missing, baseline 30 ns" in slowest_spans(payload, limit=9)


def test_missing_times_are_text_in_a_row():
    rows = [
        ("1", None, "a", "open", "SERVER", 0, None, "UNSET"),
        ("2", "1", "a", "unbegun", "CLIENT", None, 5, "UNSET"),
    ]
    payload = trace_payload(TraceSet.from_spans(spans(rows)), "0000")
    assert [time_words(payload, k) for k in range(2)] == ["no end", "no start"]


def test_the_slowest_spans_are_in_a_table(pay):
    cells = re.findall(r"<td[^>]*>(.*?)</td>", slowest_spans(trace_payload(pay, PAY_ID), limit=2))
    assert cells == ["shop", "POST /pay", "1.00 µs", "0 ns", "ledger", "charge", "600 ns", "200 ns"]


def test_the_bars_of_a_distribution_hold_all_of_it():
    rng = np.random.default_rng(3)
    took = np.rint(rng.lognormal(17, 1, 400)).astype(np.int64)
    frame = pd.DataFrame({"trace_id": [f"{k + 1:x}" for k in range(400)], "span_id": "1", "name": "x", "start_ns": 0})
    cells = latency(TraceSet.from_spans(frame.assign(end_ns=took)), by=()).histogram
    root = drawn(latency_picture(cells, {"p50": float(np.median(took))}))
    shares = [float(re.search(r": <?([\d.]+)%", r[0].text)[1]) for r in bars(root, "tk-bar")]
    assert sum(shares) == pytest.approx(100, abs=0.2 * len(shares))
    tallest = max(bars(root, "tk-bar"), key=lambda r: float(r.get("height")))
    low, unit, high = re.match(r"([\d.]+)( \S+ to |–)([\d.]+ \S+):", tallest[0].text).groups()
    low += f" {high.split()[1]}" if unit == "–" else unit.removesuffix(" to ")
    to_ns = lambda said: float(said.split()[0]) * {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[said.split()[1]]  # noqa: E731 - local
    counted = ((took >= to_ns(low) * 0.995) & (took < to_ns(high) * 1.005)).mean()
    assert counted == pytest.approx(max(shares) / 100, abs=0.02)


def test_marks_are_at_their_durations_and_labels_do_not_touch():
    cells = pd.DataFrame({"bucket": [0, 930], "bucket_low_ns": 1.0, "bucket_high_ns": 2.0, "weight_sum": 1.0})
    marks = {"p50": 1e4, "p95": 1.01e4, "p99": 1.02e4}
    root = drawn(latency_picture(cells, marks, width=1000))
    lines = [node for node in root.iter(f"{NS}line") if node.get("class") == "tk-mark"]
    axis = np.log(1.02 ** (930 + 1)) - 0
    assert float(lines[0].get("x1")) == pytest.approx(np.log(1e4) / axis * 1000, rel=0.05)
    labels = [node for node in root.iter(f"{NS}text") if node.text.startswith("p")]
    assert [node.text for node in labels] == ["p50 10.0 µs", "p95 10.1 µs", "p99 10.2 µs"]
    assert len({node.get("y") for node in labels}) == 3


def test_the_lines_of_marks_leave_out_the_labels_of_others():
    cells = pd.DataFrame({"bucket": [0, 930], "bucket_low_ns": 1.0, "bucket_high_ns": 2.0, "weight_sum": 1.0})
    root = drawn(latency_picture(cells, {"p95": 5e7, "p99": 9e7}, width=400))  # at the right end: labels to the left
    labels = {node.text[:3]: node for node in root.iter(f"{NS}text") if node.text.startswith("p")}
    right, bottom = float(labels["p99"].get("x")), float(labels["p99"].get("y"))
    crossing = [
        (float(line.get("y1")), float(line.get("y2")))
        for line in root.iter(f"{NS}line")
        if line.get("class") == "tk-mark" and right - 6.4 * len("p99 90.0 ms") < float(line.get("x1")) < right
    ]
    assert len(crossing) == 2  # above the label and below it
    assert all(low <= bottom - 10 or high >= bottom + 2 for high, low in crossing)


def test_a_baseline_is_a_line_over_the_bars_in_shares_of_its_own():
    cells = pd.DataFrame(
        {"bucket": [100, 110], "bucket_low_ns": 1.0, "bucket_high_ns": 2.0, "weight_sum": [30.0, 10.0]}
    )
    before = cells.assign(weight_sum=[0.5, 0.5])
    root = drawn(latency_picture(cells, {}, baseline=before, names=("before 16:24", "from 16:24")))
    heights = [float(bar.get("height")) for bar in bars(root, "tk-bar") if float(bar.get("height")) > 9]
    (line,) = (path for path in root.iter(f"{NS}path") if path.get("class") == "tk-outline")
    ys = [float(point.split(",")[1]) for point in line.get("d")[1:].split("L")]
    tallest, floor = max(heights), max(ys)
    assert heights == pytest.approx([tallest, tallest / 3], rel=1e-3)
    assert sorted({floor - y for y in ys}) == pytest.approx([0, tallest * 0.5 / 0.75], abs=0.1)
    assert {"before 16:24", "from 16:24"} <= set(words(root))
    assert root.get("aria-label").endswith("from 16:24 compared with before 16:24")


def test_no_durations_show_a_message():
    empty = pd.DataFrame({"bucket": [], "bucket_low_ns": [], "bucket_high_ns": [], "weight_sum": []})
    assert words(drawn(latency_picture(empty, {"p50": float("nan")}))) == ["No durations."]
    nothing = {"p50_ns": float("nan"), "p95_ns": float("nan"), "p99_ns": float("nan")}
    assert drawn(strip_picture(nothing, 1, 2, slot=0)).get("aria-label") == "no durations"


def test_a_strip_runs_from_p50_over_p95_to_p99():
    root = drawn(strip_picture({"p50_ns": 1e6, "p95_ns": 1e7, "p99_ns": 1e8}, 1e6, 1e9, slot=3))
    thin, thick = bars(root, "tk-s3")
    assert [float(thin.get(k)) for k in ("x", "width")] == [0, 80]
    assert [float(thick.get(k)) for k in ("x", "width")] == [0, 40]


def test_traces_of_weight_zero_show_a_message():
    assert "All sampling weights are 0." in words(drawn(volume_picture(np.arange(3), np.zeros(3), np.zeros(3, bool))))


@pytest.mark.parametrize("span_ns", [0, 5, 10**6, 10**9, 7 * 10**9, 90 * 10**9, 3_600 * 10**9, 10**15, 10**17, 10**18])
def test_a_period_is_cut_into_a_readable_number_of_round_steps(span_ns):
    step = time_step(0, span_ns)
    assert span_ns // step + 1 <= 72


def test_every_trace_is_in_a_bar_and_failed_ones_are_red():
    begun = np.arange(100) * 10**9 + 1_747_231_200 * 10**9
    failed = np.arange(100) % 10 == 0
    root = drawn(volume_picture(begun, np.full(100, 2.0), failed))
    counts = [re.search(r": ([\d,]+) traces?, (\d+) failed", r[0].text).groups() for r in bars(root, "tk-bar")]
    assert sum(int(count) for count, _ in counts) == 200
    assert sum(int(count) for _, count in counts) == 20
    assert len(bars(root, "tk-failed-bar")) == sum(count != "0" for _, count in counts)
    assert "14:00:00" in words(root)
    assert root.get("aria-label") == "Traces over time: 200 traces from 2025-05-14 14:00:00 to 2025-05-14 14:01:39 UTC"


def test_a_map_shows_every_service_and_call(pay):
    graph = map_payload(service_graph(pay))
    root = drawn(map_picture(graph))
    names = {node["name"] for node in graph["nodes"]}
    assert {"shop", "cart", "ledger"} <= names
    assert {line for line in words(root) if line in names} == names
    tips = [node.text for path in root.iter(f"{NS}path") for node in path.iter(f"{NS}title")]
    assert sorted(tips) == sorted(edge["tip"] for edge in graph["edges"])
