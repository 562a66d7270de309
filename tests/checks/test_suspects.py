"""``tk.suspects``: the result with its sentences, and the recordings whose culprit is known."""

import re

import pytest
from analysis.suspects.planted import sides

import tracekit as tk


@pytest.fixture(scope="module")
def release():
    before, during = tk.load_sample("checkout-regression")
    return before, during, tk.suspects(before, during)


def test_the_planted_regression_is_the_first_suspect(release):
    """Datasets/checkout-regression: ledger 1.5.0, POST /v1/authorizations, 119 requests, about 150 ms each."""
    *_, found = release
    row = found.table.iloc[0]
    assert row[["service_name", "verdict", "kind", "operation"]].tolist() == [
        "ledger", "likely", "own", "POST /v1/authorizations"
    ]  # fmt: skip
    assert row["affected_count"] == pytest.approx(119, rel=0.1)
    assert row["excess_ns"] == pytest.approx(150e6, rel=0.1)
    assert "Its version 1.5.0 is not in the baseline." in found.findings[0].headline
    assert (found.table["verdict"].iloc[1:] == "not significant").all()


def test_the_path_of_the_regression_adds_up(release):
    before, during, found = release
    path = found.path[found.path["rank"] == 1]
    change = [
        side.summary.loc[side.summary["root_name"] == "POST /checkout", "root_duration_ns"].mean()
        for side in (before, during)
    ]
    assert path["excess_ns"].sum() == pytest.approx(change[1] - change[0], abs=2)
    assert path["service_name"].tolist()[-1] == "ledger"
    assert path["excess_ns"].iloc[-1] == pytest.approx(path["excess_ns"].sum(), rel=0.01)


def test_the_release_undone_is_no_suspect(release):
    before, during, _ = release
    assert tk.suspects(during, before).is_no_change


def test_a_result_is_shown_with_its_sentences():
    found = tk.suspects(*sides("own", "cart"))
    assert re.fullmatch(r"Suspects\(cart, own; sampling weights unknown\)", repr(found))
    page = found._repr_html_()
    assert "Likely suspect: cart." in page
    assert "gap of the next call" in page
    assert found._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("", r"Suspects\(no significant change, \d+ elements tested; sampling weights unknown\)"),
        ("early return", r"Suspects\(possible: cart, shape; sampling weights unknown\)"),
    ],
)
def test_a_result_in_one_line(fault, line):
    assert re.fullmatch(line, repr(tk.suspects(*sides(fault, "cart"))))


def test_a_result_without_an_answer_in_one_line():
    baseline, current = sides()
    assert repr(tk.suspects(baseline.with_weights(2), current)).startswith("Suspects(not assessable; not comparable")


@pytest.mark.parametrize("wrong", [0, 1])
def test_anything_but_traces_is_refused(wrong):
    both = list(sides())
    both[wrong] = both[wrong].spans
    with pytest.raises(TypeError, match=r"expected a TraceSet for tk\.suspects, found DataFrame"):
        tk.suspects(*both)


def test_hostile_names_are_inert():
    evil = "<b>bold</b>"
    sets = [
        tk.TraceSet.from_spans(
            side.spans.assign(service_name=side.spans["service_name"].astype(str).replace("cart", evil))
        )
        for side in sides("own", "cart")
    ]
    found = tk.suspects(*sets)
    assert found.table.loc[0, "service_name"] == evil
    assert evil not in found._repr_html_()
