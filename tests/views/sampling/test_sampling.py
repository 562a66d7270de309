"""Figures of what a sample can tell: what is drawn are the numbers of the results; words where there is nothing."""

import json
import re
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from all_views import HOSTILE, is_finite
from checks.sampling.simulators import EPOCH_NS, classic_reservoir, hour, traces_of
from framed import frame_of, outside

import tracekit as tk
from tracekit import Estimate, Finding, TraceSet
from tracekit.analysis.clock_skew.result import ClockSkew
from tracekit.checks.sampling.collection_gaps import Collection
from tracekit.stats.second_reservoir import SECOND_NS
from tracekit.text import ratio_range
from tracekit.views import plot

LOCAL = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.05}}
MINUTE = 60 * SECOND_NS


def timed(took_ns, **columns):
    ids = [f"{n:032x}" for n in range(1, len(took_ns) + 1)]
    frame = pd.DataFrame({"trace_id": ids, "span_id": "1", "service_name": "web", "name": "GET /", "start_ns": 0})
    return TraceSet.from_spans(frame.assign(end_ns=took_ns, **columns))


def curve(figure, name):
    (found,) = [drawn for drawn in figure.data if drawn.name == name]
    return found


def routes(names=("/cart", "/pay", "/refund"), kept=(900, 40, 60), counted=(18_000, 800, 3_000)):
    traces = timed([5] * sum(kept), http_route=np.repeat(names, kept))
    return traces, pd.DataFrame({"route": names, "count": counted})


def two_hosts(ahead_ns=1000, names=("h1", "h2")):
    frame = pd.DataFrame({"span_id": ["1", "2"], "parent_span_id": [None, "1"], "trace_id": "a1", "name": "x"})
    frame["service_name"], frame["host_name"] = ["shop", "ledger"], names
    frame["start_ns"], frame["end_ns"] = [0, 20 + ahead_ns], [100, 80 + ahead_ns]
    return tk.clock_skew(TraceSet.from_spans(frame), min_traces=1)


def minutes(share, service="pay"):
    kept = np.rint(1000 * np.asarray(share)).astype(int)
    begun = np.repeat(EPOCH_NS + np.arange(len(kept)) * MINUTE, kept)
    frame = pd.DataFrame({"span_id": "1", "service_name": service, "name": "x", "start_ns": begun, "end_ns": begun})
    frame["trace_id"] = [f"{n + 1:032x}" for n in range(len(frame))]
    times = pd.to_datetime(EPOCH_NS + np.arange(len(kept)) * MINUTE, utc=True)
    return TraceSet.from_spans(frame), pd.DataFrame({"time": times, "service": service, "count": 1000})


def dipping():
    share = np.full(120, 0.05)
    share[40:50] = 0.01
    share[80:90] = 0.02
    traces, requests = minutes(share)
    return tk.collection_gaps(traces, requests=requests)


def reservoir():
    rng = np.random.default_rng(4)
    world = hour(rng, seconds=300, cron=0.0)
    kept = classic_reservoir(rng, world.start_ns, np.zeros(len(world.start_ns), int), 1, 0.05)
    told = {"service_instance_id": "i-1", "attributes.aws.xray.sdk": "X-Ray for Python"}
    log = pd.DataFrame({"trace_id": "x", "time": pd.to_datetime(world.start_ns, utc=True)})
    return traces_of(rng, start_ns=world.start_ns[kept], **told), log


def finding(**columns):
    return Finding("rate.observed", "warning", "Half of it is traced.", None, pd.DataFrame(columns))


@pytest.fixture(scope="module")
def figures():
    """Every figure of this file, by what it is."""
    slow_kept = timed([2 * 10**9] * 100 + [10**7 + n for n in range(500)])
    bias = tk.latency_bias(slow_kept.with_weights([1.0] * 100 + [20.0] * 500))
    traces, requests = routes()
    mix = tk.sample_mix(traces, requests=requests)
    stages = {"instrumented": 21_000, "sampled": 1_100, "indexed": 500}
    seen = tk.coverage(traces, requests=requests, rules=0.05, expected={"stages": stages}, targets={"M1": 0.2})
    kept, log = reservoir()
    found = tk.sampling(traces, requests=requests, rules=0.05)
    return {
        "curves": plot(bias),
        "limits": plot(bias, kind="limits"),
        "uncorrected": plot(tk.latency_bias(timed([5, 6, 7]))),
        "shares": plot(mix),
        "ratios": plot(mix, kind="ratios"),
        "funnel": plot(seen),
        "metrics": plot(seen, kind="metrics"),
        "clocks": plot(two_hosts()),
        "collection": plot(dipping()),
        "phases": plot(tk.start_phases(kept, rules=LOCAL, log=log)),
        "phases alone": plot(tk.start_phases(kept)),
        **{f"finding {number}": plot(one) for number, one in enumerate(found)},
    }


def test_every_figure_is_finite_has_a_picture_in_both_themes_and_a_table(figures):
    for name, figure in figures.items():
        assert is_finite(json.loads(figure.to_json())), name
        assert not re.search(r"\b(NaN|Infinity)\b", figure.to_json()), name
        for theme in ("light", "dark"):
            picture = str(figure.themed(theme).picture())
            root = ET.fromstring(picture)
            assert not re.search(r"\b(nan|inf)\b", re.sub(r">[^<]*<", "><", picture)), name
            assert root.get("aria-label").startswith(figure.layout.title.text[:20].replace("&amp;", "&")), name
        bundle = figure._repr_mimebundle_()
        assert sorted(bundle) == ["application/vnd.plotly.v1+json", "image/svg+xml", "text/html", "text/plain"]
        assert "<table>" in bundle["text/html"] or not figure.data, name
        assert " at 0x" not in bundle["text/plain"]


def test_the_alternative_text_holds_the_key_number(figures):
    said = {name: figure._repr_mimebundle_()["text/html"].partition('" src=')[0] for name, figure in figures.items()}
    assert "p95 latency: 2.00 s in the sample, 10.0 ms of all requests" in said["curves"]
    assert "Sampling bias in 2 of 3 strata" in said["shares"]
    assert "2.3% of 21,800 requests have a searchable trace" in said["funnel"]
    assert "Clock skew in 1 of 1 host pair, at least 980 ns" in said["clocks"]
    assert "about 400 missing from 2026-11-18 11:46:40 to 11:56:40 UTC, and 1 more" in said["collection"]
    assert re.search(r"% of [\d,]+ traces start 0 to 20 ms into the second \(uniform: 2\.0%\)", said["phases"])


def test_pictures_of_a_dark_figure_are_dark():
    figure = plot(tk.latency_bias(timed([5, 6, 7])), theme="dark")
    picture = str(figure.picture())
    assert 'fill="#16181d"' in picture
    assert "#ffffff" not in picture
    assert "#1c1e21" not in picture
    assert 'fill="#ffffff"' in str(figure.themed("light").picture())


def test_every_picture_can_be_a_file(figures, tmp_path):
    for name in ("curves", "shares", "collection"):
        assert tk.export(figures[name], tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<svg")
    pytest.importorskip("resvg_py")
    assert tk.export(figures["curves"], tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


# ------------------------------------------------------------------ latency


def test_curves_and_bands_are_the_columns_of_the_result():
    weights = np.random.default_rng(1).integers(1, 20, 400).astype(float)
    log = pd.DataFrame({"duration_ns": np.arange(1, 1001) * 400})
    bias = tk.latency_bias(timed(np.arange(1, 401) * 1000).with_weights(weights.tolist()), log=log)
    figure = plot(bias)
    for name, column in (("in the sample", "raw_ns"), ("of all requests", "estimate_ns"), ("logged", "logged_ns")):
        assert curve(figure, name).x == pytest.approx((bias.curve[column] * 1e-9).tolist())
        assert curve(figure, name).y == tuple(bias.curve["quantile"])
    upper = curve(figure, "95% CI of all requests")
    lower = figure.data[[drawn.name for drawn in figure.data].index(upper.name) - 1]
    known = bias.curve[bias.curve[["low_ns", "high_ns"]].notna().all(axis=1)]
    assert len(known) < len(bias.curve), "the tail has no upper limit"
    assert upper.x == pytest.approx((known["high_ns"] * 1e-9).tolist())
    assert lower.x == pytest.approx((known["low_ns"] * 1e-9).tolist())
    assert upper.y == lower.y == tuple(known["quantile"])
    assert upper.fill == "tonexty"


def test_limits_of_latency_are_whiskers():
    bias = tk.latency_bias(timed(np.arange(1, 401) * 1000).with_weights(2.0))
    figure = plot(bias, kind="limits")
    points, row = curve(figure, "of all requests"), bias.curve.set_index("quantile").loc[0.9]
    assert points.y == ("p50", "p90", "p95", "p99")
    assert points.x[1] == pytest.approx(row["estimate_ns"] * 1e-9)
    assert points.x[1] + points.error_x.array[1] == pytest.approx(row["high_ns"] * 1e-9)
    assert points.x[1] - points.error_x.arrayminus[1] == pytest.approx(row["low_ns"] * 1e-9)
    assert [drawn.name for drawn in figure.data] == ["in the sample", "of all requests"]


def test_a_curve_without_a_correction_names_the_missing_input():
    figure = plot(tk.latency_bias(timed([5_000_000] * 9)))
    assert figure.layout.title.text == "p95 latency: 5.00 ms in the sample, unknown of all requests"
    assert figure.layout.annotations[0].text.startswith("Correction requires sampling weights")
    assert "Correction requires" in str(figure.picture())
    assert {drawn.name for drawn in figure.data} == {None, "95% CI in the sample", "in the sample"}
    nobody = plot(tk.latency_bias(timed([5]).where("service_name == 'nobody'")))
    assert nobody.layout.annotations[0].text == "No root spans with a duration."
    with pytest.raises(ValueError, match="expected a kind of curves, limits, found 'pie'"):
        plot(tk.latency_bias(timed([5])), kind="pie")


# ------------------------------------------------------------------ mix


def test_shares_of_the_sample_are_drawn_with_those_of_the_traffic():
    traces, requests = routes()
    table = tk.sample_mix(traces, requests=requests).table.set_index("stratum")
    figure = plot(tk.sample_mix(traces, requests=requests))
    traffic = curve(figure, "share of traffic")
    assert dict(zip(traffic.y, traffic.x, strict=True)) == pytest.approx(table["request_share"].to_dict())
    off = curve(figure, "sampling bias")
    assert (off.y, off.x) == (("/refund", "/cart"), (0.06, 0.9))
    assert off.x[0] + off.error_x.array[0] == pytest.approx(table.loc["/refund", "trace_share_high"])
    assert off.x[0] - off.error_x.arrayminus[0] == pytest.approx(table.loc["/refund", "trace_share_low"])
    assert figure.layout.yaxis.categoryarray[-1] == "/refund", "the furthest off is at the top"
    ratios = curve(plot(tk.sample_mix(traces, requests=requests), kind="ratios"), "sampling bias")
    assert ratios.x[0] == pytest.approx(table.loc["/refund", "ratio"])
    few = plot(tk.sample_mix(traces, requests=requests), rows=1)
    assert few.layout.title.text == "Sampling bias in 2 of 3 strata (top 1)"


def test_hours_stay_in_their_order():
    start = EPOCH_NS // (60 * MINUTE) * 60 * MINUTE
    times = pd.to_datetime(start, utc=True) + pd.to_timedelta([0, 1, 2], unit="h")
    begun = start + np.repeat([0, 1, 2], [1000, 1200, 300]) * 60 * MINUTE
    traces = traces_of(np.random.default_rng(1), start_ns=begun)
    figure = plot(tk.sample_mix(traces, requests=pd.DataFrame({"time": times, "count": 20_000})))
    assert list(figure.layout.yaxis.categoryarray) == [f"2026-11-18 {h}:00" for h in ("13", "12", "11")]
    assert "3 hours" in figure.layout.title.text


def test_a_mix_without_counts_and_wrong_wishes():
    mix = tk.sample_mix(timed([5]))
    figure = plot(mix)
    assert "needs request counts" in figure.layout.annotations[0].text
    assert len(figure.data) == 0
    traces, requests = routes()
    assert "not assessable: needs request counts" in plot(mix, axis="hours").layout.annotations[0].text
    with pytest.raises(ValueError, match="expected an axis of strata, hours, found 'days'"):
        plot(tk.sample_mix(traces, requests=requests), axis="days")
    with pytest.raises(ValueError, match="expected a kind of shares, ratios, found 'pie'"):
        plot(mix, kind="pie")


# ------------------------------------------------------------------ coverage


def test_a_funnel_has_a_bar_a_stage_with_what_passed():
    traces, requests = routes()
    stages = {"instrumented": 21_000, "sampled": 1_100, "indexed": 500}
    seen = tk.coverage(traces, requests=requests, rules=0.05, expected={"stages": stages})
    (bars,) = plot(seen).data
    assert bars.y == ("requests", "instrumented", "sampled", "recorded", "indexed")
    assert bars.x == (21_800, 21_000, 1_100, 1_000, 500)
    assert bars.text[0] == "21,800 requests"
    assert bars.text[4].startswith(
        "500, 2.3% of all requests; 50.0% (95% CI 46.9\u201353.1%) of the previous stage, expected 100%"
    )
    red = [colour.startswith("rgba(211,47,47") for colour in bars.marker.color]
    assert red == [False, *(status == "failed" for status in seen.funnel["status"][1:])]
    assert sum(red) >= 2
    assert "50.0%" in str(plot(seen).picture())
    assert plot(seen, theme="dark").data[0].insidetextfont.color == "#e4e6ea", "words in a bar are read on dark as well"


def test_metrics_are_shown_with_their_targets():
    traces, requests = routes()
    seen = tk.coverage(traces, requests=requests, targets={"M1": 0.2})
    figure = plot(seen, kind="metrics")
    missed = curve(figure, "failed")
    assert missed.y == ("M1 trace coverage",)
    assert missed.x == (pytest.approx(1000 / 21_800),)
    assert curve(figure, "target").x[0] == 0.2
    assert figure.layout.title.text.startswith("Coverage metrics: 1 of ")
    alone = plot(tk.coverage(timed([5])))
    assert alone.layout.title.text.startswith("Coverage metrics: 0 of "), "no counts, no funnel"
    empty = plot(tk.coverage(timed([5])), kind="funnel")
    assert empty.layout.annotations[0].text == "No request counts: pass requests=."
    with pytest.raises(ValueError, match="expected a kind of funnel, metrics, found 'pie'"):
        plot(seen, kind="pie")


# ------------------------------------------------------------------ clocks


def test_skewed_clocks_exclude_zero():
    (points,) = plot(two_hosts()).data
    assert points.name == "clock skew"
    assert points.y == ("h1 → h2",)
    low, high = points.x[0] - points.error_x.arrayminus[0], points.x[0] + points.error_x.array[0]
    assert (low, high) == pytest.approx((980e-9, 1020e-9))
    assert plot(two_hosts(ahead_ns=-1000)).data[0].x[0] == pytest.approx(-1000e-9)
    (together,) = plot(two_hosts(ahead_ns=0)).data
    assert together.name == "no clock skew detected"
    assert plot(two_hosts(ahead_ns=0)).layout.title.text == "No clock skew detected in 1 host pair"
    alone = plot(tk.clock_skew(timed([5])))
    assert alone.layout.annotations[0].text == "No calls between hosts that bound their clock skew."


def test_pairs_that_are_furthest_apart_come_first():
    skew = two_hosts()
    first = skew.pairs.iloc[0].to_dict()
    rows = [{**first, "peer_host": f"h{k}", "low_ns": k * 10, "high_ns": k * 20} for k in range(9)]
    many = ClockSkew(skew.source, skew.estimate, skew.offsets, pd.DataFrame(rows), skew.traces, 0.0)
    lone = pd.DataFrame([{**first, "peer_host": "h99", "low_ns": None, "high_ns": None}])
    unlimited = ClockSkew(skew.source, skew.estimate, skew.offsets, pd.concat([skew.pairs, lone]), skew.traces, 0.0)
    assert plot(unlimited).layout.title.text.endswith("at least 980 ns (1 more pair without bounds)")
    assert len(plot(unlimited).data[0].x) == 1
    figure = plot(many, pairs=3)
    assert figure.layout.yaxis.categoryarray == ("h1 → h6", "h1 → h7", "h1 → h8")
    assert figure.layout.title.text == "Clock skew in 8 of 9 host pairs, at least 80 ns (top 3)"


# ------------------------------------------------------------------ collection


def test_gaps_are_a_ground_behind_the_traces_and_what_was_due():
    seen = dipping()
    figure = plot(seen)
    grounds = [drawn for drawn in figure.data if drawn.legendgroup == "gap"]
    assert [ground.showlegend for ground in grounds] == [True, False]
    first = np.datetime_as_string(np.array([EPOCH_NS + k * MINUTE for k in (40, 50)], "datetime64[ns]"), "ms").tolist()
    assert list(grounds[0].x) == [first[0], first[0], first[1], first[1]]
    gap = seen.gaps[seen.gaps["scope"] == "all"].iloc[0]
    lost = f"80.0% lost (95% CI {ratio_range(gap['low'], gap['high'])})"
    assert f"100 of 500 expected traces, {lost}" in grounds[0].text[0]
    received, expected = curve(figure, "received"), curve(figure, "expected")
    table = seen.table[seen.table["scope"] == "all"]
    assert received.y == (*table["trace_count"], table["trace_count"].iloc[-1])
    assert expected.y == pytest.approx((*table["expected_count"], table["expected_count"].iloc[-1]))
    assert len(received.x) == 121, "steps have an end"
    assert figure.layout.title.text.endswith(", and 1 more")
    assert plot(seen, scope="pay").layout.title.text.endswith(", pay")
    with pytest.raises(ValueError, match="expected a scope of all, pay, found 'cart'"):
        plot(seen, scope="cart")


def test_a_silence_and_nothing_at_all():
    times = pd.to_datetime([0, MINUTE, 2 * MINUTE, 3 * MINUTE], utc=True)
    table = pd.DataFrame({"scope": "all", "start_time": times[:3], "end_time": times[1:], "trace_count": [5, 0, 4]})
    hole = {"scope": "all", "kind": "silence", "start_time": times[1], "end_time": times[2], "trace_count": 0}
    holes = pd.DataFrame([{**hole, "expected_count": 4.6, "loss_ratio": 1.0, "low": np.nan, "high": np.nan}])
    figure = plot(Collection(table.assign(request_count=np.nan, expected_count=np.nan), holes, ()))
    assert [drawn.name for drawn in figure.data] == ["gap: none received", "received"]
    assert (
        figure.data[0].text[0] == "1970-01-01 00:01:00 to 00:02:00 UTC: 0 of 5 expected traces; possibly less traffic"
    )
    nothing = plot(tk.collection_gaps(timed([5]).where("service_name == 'nobody'")))
    assert nothing.layout.annotations[0].text == "No traces with a start."
    calm = plot(tk.collection_gaps(timed([5])))
    assert calm.layout.title.text == "Traces received over time: no significant gap"


# ------------------------------------------------------------------ phases


def test_bars_of_the_second_are_stacked():
    traces, log = reservoir()
    seen = tk.start_phases(traces, rules=LOCAL, log=log)
    figure = plot(seen)
    kept, rest = curve(figure, "reservoir"), curve(figure, "sampling rate")
    assert kept.y == tuple(seen.table["reservoir_count"])
    assert np.add(kept.y, rest.y).tolist() == seen.table["trace_count"].tolist()
    assert kept.x[0] == 10
    due = curve(figure, "all requests (scaled)")
    assert sum(due.y[:-1]) == pytest.approx(len(traces))
    assert curve(figure, "limits for uniform starts").y[:-1] == tuple(seen.table["even_high"])
    assert "reservoir: " in figure.layout.title.text
    alone = plot(tk.start_phases(traces))
    assert curve(alone, "traces").y == tuple(seen.table["trace_count"])
    assert alone.layout.title.subtitle.text == "Identifying reservoir traces requires sampling rules."
    even = plot(tk.start_phases(traces_of(np.random.default_rng(1), start_ns=np.arange(1000) * 1_001_000)))
    assert even.layout.title.text == "Start times of 1,000 traces are uniform within the second"
    nobody = plot(tk.start_phases(timed([5]).where("service_name == 'nobody'")))
    assert nobody.layout.annotations[0].text == "No traces with a start."


# ------------------------------------------------------------------ findings


def test_a_finding_shows_the_rows_of_its_evidence():
    numbers = {"estimate": [0.5, 0.1], "estimate_low": [0.4, np.nan], "estimate_high": [0.7, 0.2]}
    figure = plot(finding(scope=["/a", "/b"], **numbers, status=["failed", "ok"]))
    bad, good = figure.data
    assert (bad.name, bad.x, bad.y) == ("failed", (0.5,), ("/a",))
    assert bad.x[0] + bad.error_x.array[0] == pytest.approx(0.7)
    assert good.text == ("10.0% (≤ 20.0%)",)
    assert figure.layout.title.text == "Half of it is traced."


def test_a_finding_shows_the_sample_and_the_corrected_value():
    rows = pd.DataFrame({"measure": ["rate", "p95"], "unit": ["ratio", "ns"], "raw": [0.2, 9e6]})
    rows = rows.assign(estimate=[0.1, 5e6], estimate_low=[0.05, 4e6], estimate_high=[0.15, 6e6], status="failed")
    figure = plot(Finding("bias.tail", "critical", "p95 is 5 ms.", Estimate(5e6, "ns", 4e6, 6e6, n=9), rows))
    assert [drawn.x for drawn in figure.data] == [pytest.approx((0.005,)), pytest.approx((0.009,))], "in its unit"
    assert figure.data[1].name == "in the sample (uncorrected)"
    assert figure.data[0].text == ("5.00 ms (4.00–6.00 ms)",)


def test_a_finding_with_limits_alone_has_a_middle_and_one_without_a_message():
    skew = finding(host=["a"], peer_host=["b"], low_ns=[-10], high_ns=[30], status=["ok"])
    figure = plot(skew)
    assert (figure.data[0].x, figure.data[0].y) == ((pytest.approx(10e-9),), ("a b",))
    words = plot(finding(status=["not_assessable"], needs=["counts"]))
    assert words.layout.annotations[0].text == "Half of it is traced."
    assert len(plot(finding(scope=["/a"], estimate=[np.nan], estimate_low=[0.1], estimate_high=[0.2])).data) == 0
    times = pd.to_datetime(["2026-11-18 14:25"], utc=True)
    gap = finding(
        scope=["all"], start_time=times, traces=[5], loss_ratio=[0.6], low=[0.5], high=[0.7], status=["failed"]
    )
    assert plot(gap).data[0].y == ("all 11-18 14:25",)
    other = finding(key=["k"], count=[9.0], low=[8.0], high=[12.0]).evidence
    counted = other.rename(columns={"count": "ratio"})
    plain = plot(Finding("c", "info", "Nine.", Estimate(9, "count", 8, 12, n=9), counted))
    assert plain.data[0].text == ("9 (8–12)",)
    rows = finding(scope=["/a"], estimate=[0.5], estimate_low=[0.4], estimate_high=[2.5]).evidence
    factor = plot(Finding("mix.head", "warning", "/a is off.", Estimate(0.5, "times", 0.4, 2.5, n=9), rows))
    assert factor.data[0].text == ("0.50\u00d7 (0.40–2.50\u00d7)",), "no share: a rate over another"
    assert factor.layout.xaxis.ticksuffix == "\u00d7"
    many = finding(
        scope=[f"/{k}" for k in range(30)], estimate=[0.5] * 30, estimate_low=[0.4] * 30, estimate_high=[0.6] * 30
    )
    assert plot(many).layout.title.text == "Half of it is traced. (20 of 30 rows)"


def test_shares_and_factors_have_no_common_axis():
    share = Finding("rate.observed", "info", "Half.", Estimate(0.5, "ratio", 0.4, 0.6, n=9))
    factor = Finding("mix.head", "warning", "Twice.", Estimate(2.0, "times", 1.5, 2.5, n=9))
    both = tk.Findings([share, share, factor])
    assert plot(both).data[0].x == (0.5, 0.5)
    assert plot(both).layout.title.text == "Findings (1 other without an estimate or in another unit)"
    assert plot(both, unit="times").data[0].x == (2.0,)
    assert plot(both, unit="times").layout.xaxis.ticksuffix == "\u00d7"


def test_checks_label_a_ratio_of_rates_as_a_factor():
    traces, counts = routes()
    found = {finding.check: finding for finding in tk.sampling(traces, requests=counts)}
    assert found["mix.head"].estimate.unit == "times"
    assert plot(found["mix.head"]).layout.xaxis.ticksuffix == "\u00d7"
    assert found["rate.observed"].estimate.unit == "ratio"


def test_a_finding_alone_is_a_sentence_in_a_terminal():
    rows = pd.DataFrame({"scope": ["/a"], "estimate": [0.5]})
    one = Finding("rate.observed", "warning", "Half of /a is traced.", evidence=rows, remedy="Look at the rule.")
    assert repr(one) == "Finding(warning, rate.observed: Half of /a is traced.)"
    assert repr([one]) == f"[{one!r}]"


# ------------------------------------------------------------------ names


def test_hostile_names_are_inert_and_legible():
    names = [name[:200] for name in HOSTILE]
    traces, requests = routes(names, [100 + 50 * k for k in range(8)], [4000] * 8)
    rows = {"scope": names, "estimate": [0.5] * 8, "estimate_low": [0.4] * 8, "estimate_high": [0.6] * 8}
    evil, counts = minutes([0.05] * 40, HOSTILE[0])
    views = {
        "mix": plot(tk.sample_mix(traces, requests=requests)),
        "clocks": plot(two_hosts(names=(HOSTILE[0], HOSTILE[2]))),
        "finding": plot(Finding("c", "warning", HOSTILE[0], evidence=pd.DataFrame(rows))),
        "collection": plot(tk.collection_gaps(evil, requests=counts), scope=HOSTILE[0]),
    }
    for name, figure in views.items():
        text = figure.to_json().replace("\\u003c", "<")
        assert not re.search(r"<(a|img|/?script|b)\b", text), name
        assert "\u202e" not in text, name
        bundle = figure._repr_mimebundle_()
        for kind in ("text/html", "image/svg+xml"):
            text = outside(bundle[kind]) if kind == "text/html" else bundle[kind]
            assert not re.search(r"<(a|b|script|iframe)\b|<img (?!alt)|\u202e|\x00", text), (name, kind)
        ET.fromstring(bundle["image/svg+xml"].encode())
    assert "&lt;a href='http://evil'&gt;x&lt;/a&gt;" in str(views["mix"].picture())
    html = views["finding"]._repr_mimebundle_()["text/html"]
    assert "&amp;lt;a href" not in outside(html), "escaped once"
    assert "<a href=" in frame_of(html)["title"], "escaped once"
