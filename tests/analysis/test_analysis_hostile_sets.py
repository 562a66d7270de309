"""Comparisons of damaged, empty and hostile sets: an answer without a warning, and no markup in it."""

import numpy as np
import pytest
from analysis.compare.worlds import shop
from analysis.hostile_sets import hostile_sets

import tracekit as tk
from tracekit.analysis.compare.gates import evaluate

SETS = hostile_sets()
CONDITIONS = ("p95_ms rises 10%", "error_rate rises", "new edge", "gone operation", "mean_ms falls 2 ms")


@pytest.fixture(scope="module")
def healthy():
    return shop(np.random.default_rng(1), 60)


def shown(result):
    """The notebook representation, with what is drawn."""
    tk.plot(result)
    parts = result._repr_mimebundle_()
    page = str(parts)
    assert repr(result)
    assert "<b>x</b>" not in page
    return page


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("order", [1, -1])
def test_comparisons_have_an_answer_with_any_set_on_either_side(healthy, name, order):
    first, second = (healthy, SETS[name])[::order]
    for sides in ((first, second), (first.with_weights(2), second.with_weights(7))):
        changes = tk.compare(*sides)
        shown(changes)
        assert {evaluate(text, changes).outcome for text in CONDITIONS} <= {"passed", "failed", "inconclusive"}
        if changes.path is not None:
            assert changes.table["contribution_ns"].sum() == changes.path.change.value
    shown(tk.paths(second, first))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("selection", ["slowest 10%", "failed", "duration_ns > 1e7"])
def test_what_differs_has_an_answer_or_says_which_side_is_empty(name, selection):
    try:
        found = tk.what_differs(SETS[name], selection)
    except ValueError as error:
        assert str(error).startswith("expected traces on both sides, found none for")  # noqa: PT017 - either is right
        return
    shown(found)
    assert found.values("operation")["trace_count"].gt(0).all()
