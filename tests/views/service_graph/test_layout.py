import random
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit.views.service_graph.layout
from tracekit.views.service_graph.heights import spread
from tracekit.views.service_graph.layout import HEIGHT, LAYER_STEP, WIDTH, layered


@st.composite
def graphs(draw):
    n = draw(st.integers(1, 14))
    nodes = [f"s{k}" for k in range(n)]
    ends = st.sampled_from(nodes)
    return nodes, draw(st.lists(st.tuples(ends, ends), max_size=30))


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_boxes_do_not_overlap_and_stay_inside(graph):
    nodes, edges = graph
    drawn = layered(nodes, edges)
    assert drawn.positions.keys() == set(nodes)
    for a, b in combinations(nodes, 2):
        (xa, ya), (xb, yb) = drawn.positions[a], drawn.positions[b]
        assert abs(xa - xb) >= LAYER_STEP - 1e-6 or abs(ya - yb) >= 48 - 1e-6
    for x, y in drawn.positions.values():
        assert WIDTH / 2 <= x <= drawn.size[0] - WIDTH / 2 + 1e-6
        assert HEIGHT / 2 - 1e-6 <= y <= drawn.size[1] - HEIGHT / 2 + 1e-6


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_every_call_has_a_line_that_leaves_the_caller_and_ends_at_the_callee(graph):
    nodes, edges = graph
    drawn = layered(nodes, edges)
    assert drawn.routes.keys() == {(a, b) for a, b in edges if a != b}
    for (a, b), route in drawn.routes.items():
        first, last = route.points[0], route.points[-1]
        assert first[1] == drawn.positions[a][1]
        assert last[1] == drawn.positions[b][1]
        assert abs(first[0] - drawn.positions[a][0]) == pytest.approx(WIDTH / 2)
        assert (drawn.layers[a] < drawn.layers[b]) != route.is_back


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_without_back_edges_no_cycle_is_left(graph):
    nodes, edges = graph
    drawn = layered(nodes, edges)
    kept = {pair for pair, route in drawn.routes.items() if not route.is_back}
    alive = set(nodes)
    while leaves := {v for v in alive if not any(a == v and b in alive for a, b in kept)}:
        alive -= leaves
    assert not alive


def test_a_graph_without_cycles_has_no_back_edge():
    drawn = layered(list("abcd"), [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])
    assert not any(route.is_back for route in drawn.routes.values())
    assert drawn.layers == {"a": 0, "b": 1, "c": 1, "d": 2}
    assert drawn.crossing_count == 0


def test_the_roots_decide_which_edge_of_a_cycle_is_turned_round():
    cycle = [("a", "b"), ("b", "c"), ("c", "a")]
    assert layered(list("abc"), cycle, ["b"]).routes["a", "b"].is_back
    assert layered(list("abc"), cycle, ["c"]).routes["b", "c"].is_back


def test_crossings_that_can_be_avoided_are():
    # two stars drawn crosswise in the order given
    drawn = layered(["a", "b", "x", "y"], [("a", "y"), ("b", "x")])
    assert drawn.crossing_count == 0
    assert (drawn.positions["a"][1] < drawn.positions["b"][1]) == (drawn.positions["y"][1] < drawn.positions["x"][1])


def test_crossings_are_counted_as_two_lines_that_cross():
    # K(3,3) in two layers: 9 crossings whatever the order
    drawn = layered(list("abcxyz"), [(a, x) for a in "abc" for x in "xyz"])
    assert drawn.crossing_count == 9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_exchanging_adjacent_boxes_saves_crossings_that_sorting_leaves(seed, monkeypatch):
    draw = random.Random(seed)
    nodes = [f"s{k}" for k in range(60)]
    tree = [(nodes[draw.randrange(k)], nodes[k]) for k in range(1, 60)]
    more = [tuple(nodes[k] for k in sorted(draw.sample(range(60), 2))) for _ in range(30)]
    crossing_count = layered(nodes, tree + more).crossing_count
    monkeypatch.setattr(tracekit.views.service_graph.layout, "_swap_adjacent", id)  # does nothing
    assert crossing_count < layered(nodes, tree + more).crossing_count


def test_the_same_graph_gives_the_same_picture():
    edges = [("a", "b"), ("a", "c"), ("c", "d"), ("b", "d"), ("d", "a")]
    assert layered(list("abcd"), edges) == layered(list("abcd"), edges + edges)


def test_a_long_chain_is_no_special_case():
    nodes = [f"s{k}" for k in range(2_000)]
    assert layered(nodes, list(pairwise(nodes))).layers["s1999"] == 1999


def test_nothing_is_laid_out_as_nothing():
    assert layered([], []).positions == {}


def test_an_edge_to_nowhere_is_refused():
    with pytest.raises(
        ValueError, match="expected both ends of each edge among the nodes, found 'b' in the edges only"
    ):
        layered(["a"], [("a", "b")])


@given(
    st.lists(st.tuples(st.floats(-500, 500), st.floats(0.05, 9), st.floats(1, 60)), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_heights_are_the_nearest_that_keep_the_gaps(rows, seed):
    want, weight, gap = (np.array(column) for column in zip(*rows, strict=True))
    placed = np.array(spread(want, weight, gap))
    assert (np.diff(placed) >= gap[1:] - 1e-6).all()
    cost = float(weight @ (placed - want) ** 2)
    noise = np.random.default_rng(seed)
    for _ in range(50):  # no allowed neighbour is better
        other = placed + noise.normal(0, 1, len(placed)) * noise.choice([0.01, 1, 30])
        for k in range(1, len(other)):
            other[k] = max(other[k], other[k - 1] + gap[k])
        assert float(weight @ (other - want) ** 2) >= cost - 1e-6
