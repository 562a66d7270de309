"""The card of suspects: its path adds up, its words are those of the finding, words alone without one."""

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from analysis.suspects.planted import sides

import tracekit as tk
from tracekit.text import signed_duration
from tracekit.views.card import Card

NS = "{http://www.w3.org/2000/svg}"
HOSTILE = "<img src=x onerror=alert(1)>\u202e" + "A" * 5_000


@pytest.fixture(scope="module")
def found():
    return tk.suspects(*sides("own", "cart"))


def words_of(card):
    root = ET.fromstring(str(card.picture()))
    return ["".join(node.itertext()) for node in root.iter(f"{NS}text")]


def path_of(card):
    return card.rows[0][0][0]


def test_the_card_says_what_the_finding_says(found):
    card = tk.plot(found)
    assert card.title == "Likely suspect: cart."
    assert " ".join([card.title, *card.lead]) == found.findings[0].headline
    assert card.about == found.statement
    page = card._repr_mimebundle_()["text/html"]
    assert "<b>Likely suspect: cart.</b>" in page
    assert "Evidence for cart: changed" in page
    assert "Evidence against cart: no significant change" in page


def test_the_bars_of_the_path_follow_each_other_and_reach_the_sum(found):
    path = found.path[found.path["rank"] == 1]
    drawing = path_of(tk.plot(found))
    root = ET.fromstring(str(drawing.picture()))
    bars = [(float(bar.get("x")), float(bar.get("width"))) for bar in root.iter(f"{NS}rect")]
    *steps, whole = bars
    assert len(steps) == len(path)
    ends = np.concatenate([[0], np.cumsum(path["excess_ns"])])
    scale = whole[1] / ends[-1]
    for (x, wide), before, after in zip(steps, ends[:-1], ends[1:], strict=True):
        assert x - whole[0] == pytest.approx(min(before, after) * scale, abs=0.1)
        assert wide == pytest.approx(max(abs(after - before) * scale, 1), abs=0.1)
    said = words_of(tk.plot(found))
    assert signed_duration(path["current_ns"].sum() - path["baseline_ns"].sum()) in said
    assert all(signed_duration(value) in said for value in path["excess_ns"])
    assert [name for name in said if name in {"front GET /", "cart GET /cart"}] == ["front GET /", "cart GET /cart"]


def test_the_breakdown_has_its_shares():
    found = tk.suspects(*sides("way in", "stock", instance="stock-1", current=150))
    card = tk.plot(found)
    row = found.breakdown[(found.breakdown["rank"] == 1) & (found.breakdown["attribute"] == "k8s_pod_name")].iloc[0]
    assert any(f"pod {row['value']}" in part.words for part in card.rows[0][0])


def test_other_services_are_ranked():
    found = tk.suspects(*sides("starved", "ledger", current=150))
    assert len(found.table) > 1
    (*_, others) = tk.plot(found).rows[0][-1]
    assert others.heading == "Other services, ranked"
    assert [line.split(":")[0] for line in others.lines] == found.table["service_name"].tolist()[1:5]


@pytest.mark.parametrize("fault", ["failing", "unanswered", "early return", "more calls", "way out"])
def test_every_kind_of_evidence_has_a_card(fault):
    found = tk.suspects(*sides(fault, "stock"))
    card = tk.plot(found)
    assert "stock" in card.title
    assert words_of(card)[0] == card.title
    assert "nan" not in str(card.inline()).lower().replace("tenant", "")


def test_no_change_and_no_comparison_are_words():
    before, now = sides("", "")
    card = tk.plot(tk.suspects(before, now))
    assert card.title.startswith("The traces show no significant change")
    assert not card.rows
    unlike = tk.plot(tk.suspects(before, now.with_weights(10)))
    assert unlike.title.endswith("No service is suspected.")
    assert words_of(unlike)


def test_names_are_text_and_short(found):
    table, path = (getattr(found, name).replace("cart", HOSTILE) for name in ("table", "path"))
    card = tk.plot(replace(found, table=table, path=path, evidence=found.evidence.replace("cart", HOSTILE)))
    for page in (card._repr_mimebundle_()["text/html"], str(card.inline()), str(card.picture())):
        assert "<img src=x" not in page
        assert "\u202e" not in page
        assert max(len(part) for part in re.findall(r">([^<]*)<", page)) < 2_000
    assert "onerror" in str(card.inline())


def test_a_report_shows_the_card(found, tmp_path):
    tk.report([tk.section("Suspects", found)], tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text()
    assert '<div class="picture"><div class="tk-card">' in page
    assert ".tk-row{display:flex" in page
    assert 'style="' not in str(Card("x", rows=tk.plot(found).rows).inline())  # the policy of the page forbids it
