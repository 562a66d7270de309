import dataclasses
import json

import pandas as pd
import pytest
from hand_drawn import spans

from tracekit import TraceSet
from tracekit.analysis.service_graph.build import ServiceGraph, service_graph
from tracekit.views.colours import Colours
from tracekit.views.service_graph.map import MOST_SERVICES, map_payload

#  web calls cart twice (one fails), cart calls a database that sends nothing
SHOP = [
    ("1", None, "web", "GET /", "SERVER", 0, 1000, "UNSET"),
    ("2", "1", "web", "GET", "CLIENT", 100, 300, "UNSET"),
    ("3", "2", "cart", "GET /cart", "SERVER", 120, 280, "UNSET"),
    ("4", "1", "web", "GET", "CLIENT", 400, 900, "ERROR"),
    ("5", "4", "cart", "GET /cart", "SERVER", 420, 880, "ERROR"),
    ("6", "5", "cart", "SELECT", "CLIENT", 500, 700, "UNSET"),
]


@pytest.fixture
def shop():
    frame = spans(SHOP).assign(**{"attributes.db.system.name": [None] * 5 + ["sqlite"]})
    return service_graph(TraceSet.from_spans(frame))


def test_calls_of_weight_zero_are_thin_lines(shop):
    nothing = dataclasses.replace(shop, calls=shop.calls.assign(call_count=0.0))
    edges = map_payload(nothing, colours=Colours())["edges"]
    assert [edge["w"] for edge in edges] == [1.2] * 2, "the thinnest line there is"


def test_boxes_and_lines_show_the_result(shop):
    graph = map_payload(shop, colours=Colours())
    boxes = {node["name"]: node for node in graph["nodes"]}
    assert boxes["cart"]["sub"].startswith("2 · p95 ")
    assert boxes["cart"]["sub"].endswith("50.0%")
    assert boxes["cart"]["bad"]
    assert not boxes["cart"]["inferred"]
    peers = [node for node in graph["nodes"] if node["inferred"]]
    assert len(peers) == 1
    assert "inferred database, measured by its callers" in peers[0]["say"]
    names = [node["name"] for node in graph["nodes"]]
    calls = {(names[edge["a"]], names[edge["b"]]): edge for edge in graph["edges"]}
    assert set(calls) == {("web", "cart"), ("cart", peers[0]["name"])}
    assert calls["web", "cart"]["tip"].startswith("web → cart: 2 calls, p50 ")
    assert calls["web", "cart"]["err"]
    assert not calls["cart", peers[0]["name"]]["err"]


def test_callers_are_left_of_callees(shop):
    graph = map_payload(shop)
    x = [node["x"] for node in graph["nodes"]]
    assert all(x[edge["a"]] < x[edge["b"]] for edge in graph["edges"])


def test_the_payload_is_json_without_numbers_that_are_none(shop):
    graph = map_payload(shop)
    assert json.loads(json.dumps(graph, allow_nan=False))["nodes"] == graph["nodes"]


def test_the_busiest_sixty_are_shown_and_the_rest_is_counted():
    n = MOST_SERVICES + 15
    services = pd.DataFrame(
        {
            "service_name": [f"s{k}" for k in range(n)],
            "is_inferred": False,
            "peer_type": "",
            "request_count": [float(k) for k in range(n)],
            "error_count": 0.0,
            "error_ratio": 0.0,
            "p50_ns": 1.0,
            "p95_ns": 1.0,
            "p99_ns": 1.0,
        }
    )
    ends = {"caller_service": [f"s{n - 1}", f"s{n - 1}"], "callee_service": [f"s{n - 2}", "s0"]}
    calls = pd.DataFrame({**ends, "call_type": "call", "call_count": [5.0, 1.0], "error_ratio": 0.0})
    calls = calls.assign(p50_ns=1.0, p95_ns=1.0, is_inferred=False)
    graph = map_payload(ServiceGraph(services, calls, 0.0))
    assert len(graph["nodes"]) == MOST_SERVICES
    assert graph["left_out"] == 15
    assert len(graph["edges"]) == 1


def test_a_service_and_a_silent_peer_of_the_same_name_are_two_boxes(shop):
    row = shop.services[shop.services["service_name"] == "cart"].assign(is_inferred=True, self_time_ns=float("nan"))
    call = shop.calls[shop.calls["callee_service"] == "cart"].assign(is_inferred=True)
    twice = dataclasses.replace(
        shop,
        services=pd.concat([shop.services, row], ignore_index=True),
        calls=pd.concat([shop.calls, call], ignore_index=True),
    )
    graph = map_payload(twice)
    assert [node["name"] for node in graph["nodes"]].count("cart") == 2
    assert len({(edge["a"], edge["b"]) for edge in graph["edges"]}) == 3


def test_names_are_cleaned(shop):
    dirty = dataclasses.replace(
        shop,
        services=shop.services.replace({"service_name": {"cart": "ca\u202ert"}}),
        calls=shop.calls.replace({"cart": "ca\u202ert"}),
    )
    assert "ca\ufffdrt" in [node["name"] for node in map_payload(dirty)["nodes"]]
