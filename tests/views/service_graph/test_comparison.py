"""Which services a map shows, and what it says of a comparison."""

import dataclasses
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

import tracekit as tk
from tracekit.analysis.service_graph.build import ServiceGraph, service_graph
from tracekit.views import plot
from tracekit.views.service_graph.comparison import compared_payload
from tracekit.views.service_graph.map import map_payload, map_picture

PATH = "{http://www.w3.org/2000/svg}path"


def graph_of(calls, *, counts=None, p95=None, failed=None):
    """A graph drawn by hand from (caller, callee) pairs."""
    names = sorted({name for pair in calls for name in pair})
    services = pd.DataFrame({"service_name": names, "is_inferred": False, "peer_type": "", "request_count": 100.0})
    entry = [100.0 if name == names[0] else 0.0 for name in names]
    services = services.assign(error_ratio=0.0, p50_ns=1e6, p95_ns=2e6, p99_ns=3e6, entry_count=entry)
    rows = pd.DataFrame(calls, columns=["caller_service", "callee_service"]).assign(call_type="call", is_inferred=False)
    rows = rows.assign(call_count=counts or 100.0, error_ratio=failed or 0.0, p50_ns=1e6, p95_ns=p95 or 2e6)
    return ServiceGraph(services, rows, 0.0)


CHAIN = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")]


@pytest.fixture(scope="module")
def graphs():
    return [service_graph(traces) for traces in tk.load_sample("checkout-regression")]


@pytest.mark.parametrize(("hops", "names"), [(0, "c"), (1, "bcd"), (2, "abcde"), (9, "abcde")])
def test_a_neighbourhood_reaches_so_many_calls_far(hops, names):
    shown = map_payload(graph_of(CHAIN), around="c", hops=hops)
    assert sorted(node["name"] for node in shown["nodes"]) == list(names)
    assert shown["left_out"] == 5 - len(names)
    assert len(shown["edges"]) == max(0, len(names) - 1)


def test_the_nearest_are_kept_where_not_all_fit():
    graph = graph_of(CHAIN)
    busy = graph.services.assign(request_count=[9.0, 1.0, 1.0, 5.0, 9.0])
    shown = map_payload(dataclasses.replace(graph, services=busy), around="c", hops=2, most=3)
    assert sorted(node["name"] for node in shown["nodes"]) == ["b", "c", "d"]
    shown = map_payload(dataclasses.replace(graph, services=busy), around="c", hops=2, most=2)
    assert sorted(node["name"] for node in shown["nodes"]) == ["c", "d"]


def test_a_service_that_is_not_there_names_the_nearest(graphs):
    with pytest.raises(ValueError, match="expected the name of a service, found 'leger'; nearest: ledger"):
        plot(graphs[0], around="leger")
    with pytest.raises(ValueError, match="expected most of at least 1 and hops of at least 0, found 0 and 1"):
        plot(graphs[0], most=0)
    with pytest.raises(ValueError, match="expected a period of more than 0 seconds, found 0"):
        plot(graphs[0], period_s=0)


def test_what_is_left_out_is_reported_in_the_picture():
    picture = str(map_picture(map_payload(graph_of(CHAIN), around="a")))
    assert "3 services not shown" in picture
    assert "not shown" not in str(map_picture(map_payload(graph_of(CHAIN))))


@pytest.mark.parametrize(
    ("period", "rate"), [(None, "100 ·"), (10, "10/s ·"), (0.1, "1.0k/s ·"), (1000, "0.1/s ·"), (6000, "1/min ·")]
)
def test_a_rate_is_requests_by_time(period, rate):
    assert map_payload(graph_of(CHAIN), period_s=period)["nodes"][0]["sub"].startswith(rate)


def changes(result, before):
    drawn = compared_payload(result, before)
    names = [node["name"] for node in drawn["nodes"]]
    nodes = {node["name"]: node["mark"] for node in drawn["nodes"]}
    return nodes, {(names[e["a"]], names[e["b"]]): e for e in drawn["edges"]}


def test_what_was_added_and_what_is_gone():
    nodes, edges = changes(graph_of([("a", "b"), ("a", "n")]), graph_of([("a", "b"), ("b", "g")]))
    assert nodes == {"a": "", "b": "", "n": "added", "g": "removed"}
    assert {pair: edge["mark"] for pair, edge in edges.items()} == {
        ("a", "b"): "",
        ("a", "n"): "added",
        ("b", "g"): "removed",
    }
    assert edges["b", "g"]["back"]
    assert edges["a", "n"]["tip"].endswith("; change: new")
    picture = map_picture(compared_payload(graph_of([("a", "n")]), graph_of([("a", "b")])))
    root = ET.fromstring(str(picture))
    assert [path.get("stroke") for path in root.iter(PATH) if path.get("class") == "tk-edge-added"] == ["#1976d2"]


def test_what_became_slower_faster_busier_or_fails_more():
    pair = [("a", "b")]
    cases = [
        ({"p95": 4e6}, {}, "slower", "p95 2.00 → 4.00 ms"),
        ({"p95": 1.0e6}, {}, "faster", "p95 2.00 → 1.00 ms"),
        ({"p95": 2.4e6}, {}, "", ""),
        ({"counts": 300.0}, {}, "busier", "3.00\u00d7 calls per request"),
        ({"failed": 0.2}, {}, "failing", "error rate 0% → 20.0%"),
        ({"failed": 0.2, "p95": 9e6}, {}, "failing", "error rate 0% → 20.0%; p95 2.00 → 9.00 ms"),
        ({"counts": 19.0, "p95": 9e6}, {}, "", ""),
        ({"p95": float("nan")}, {}, "", ""),
    ]
    for now, was, mark, words in cases:
        _, edges = changes(graph_of(pair, **now), graph_of(pair, **was))
        edge = edges["a", "b"]
        assert edge["mark"] == mark, now
        assert edge["err"] == (mark in ("slower", "busier", "failing"))
        assert edge["tip"].partition("; change: ")[2] == words
    same = graph_of(pair)
    assert changes(same, same)[1]["a", "b"]["mark"] == ""


def test_twice_the_traffic_is_no_change_of_a_call():
    before, now = graph_of([("a", "b")]), graph_of([("a", "b")], counts=200.0)
    services = now.services.assign(entry_count=now.services["entry_count"] * 2, request_count=200.0)
    nodes, edges = changes(dataclasses.replace(now, services=services), before)
    assert edges["a", "b"]["mark"] == ""
    assert set(nodes.values()) == {""}


def test_the_map_of_the_release_points_at_the_queries(graphs):
    before, during = graphs
    nodes, edges = changes(during, before)
    assert edges["ledger", "sqlite/ledger"]["err"]
    assert "3.42\u00d7 calls per request" in edges["ledger", "sqlite/ledger"]["tip"]
    assert nodes["ledger"] == "slower"
    assert nodes["payments"] == nodes["cart"] == ""
    widget = plot(during, against=before)
    assert "→ 205 ms" in widget._repr_mimebundle_()[0]["text/html"] or "→ 205 ms" in widget.graph


def test_red_grows_with_the_share_of_errors():
    opacity = {}
    for share in (0.0, 0.02, 0.5):
        root = ET.fromstring(str(map_picture(map_payload(graph_of([("a", "b")], failed=share)))))
        (line,) = [path for path in root.iter(PATH) if path.get("class", "").startswith("tk-edge")]
        opacity[share] = (line.get("stroke"), float(line.get("stroke-opacity")))
    assert opacity == {0.0: ("#5c6370", 0.6), 0.02: ("#d32f2f", 0.68), 0.5: ("#d32f2f", 1.0)}


def test_cycles_are_cut_at_the_entry_services():
    cycle = graph_of([("a", "b"), ("b", "c"), ("c", "a")])
    drawn = map_payload(cycle)
    names = [node["name"] for node in drawn["nodes"]]
    back = [(names[e["a"]], names[e["b"]]) for e in drawn["edges"] if e["back"]]
    assert back == [("c", "a")]
    other = cycle.services.assign(entry_count=[10.0, 100.0, 0.0])  # most of them at b
    drawn = map_payload(dataclasses.replace(cycle, services=other))
    assert [(names[e["a"]], names[e["b"]]) for e in drawn["edges"] if e["back"]] == [("a", "b")]


def test_no_service_shows_a_message():
    nobody = service_graph(tk.load_sample("checkout-regression")[0].where("service_name == 'nobody'"))
    assert "No services in these traces." in str(map_picture(map_payload(nobody)))
