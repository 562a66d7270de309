import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracekit.views
from tracekit.views.colours import DARK, LIGHT, Colours, ink

MODULE = Path(tracekit.views.__file__).parent / "static" / "tracekit.js"


def luminance(colour):
    channels = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_the_page_paints_with_the_same_colours():
    source = MODULE.read_text(encoding="utf-8")
    for name, palette in (("LIGHT", LIGHT), ("DARK", DARK)):
        found = re.search(rf"const {name} = (\[.*?\])", source)[1]
        assert tuple(json.loads(found.replace("'", '"'))) == palette


@pytest.mark.parametrize(("palette", "ground"), [(LIGHT, "#ffffff"), (DARK, "#16181d")])
def test_every_colour_stands_out_from_its_background(palette, ground):
    for colour in palette:
        high, low = sorted((luminance(colour), luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 3.0


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_text_on_a_bar_can_be_read(palette):
    for colour in palette:
        high, low = sorted(
            (luminance(colour), luminance("#000000" if ink(colour) == "#000" else "#ffffff")), reverse=True
        )
        assert (high + 0.05) / (low + 0.05) >= 4.5


@given(st.sets(st.text(min_size=1, max_size=8), max_size=10))
def test_ten_services_have_ten_colours_whatever_their_order(services):
    forwards, backwards = Colours(sorted(services)), Colours(sorted(services, reverse=True))
    slots = [forwards.slot(service) for service in services]
    assert len(set(slots)) == len(services)
    assert slots == [backwards.slot(service) for service in services]


def test_a_service_keeps_its_colour_when_others_are_added():
    colours = Colours(["cart"])
    before = colours.slot("cart")
    colours.assign(f"service-{k}" for k in range(30))
    assert colours.slot("cart") == before
    given_slots = [before, *(colours.slot(f"service-{k}") for k in range(30))]
    counts = [given_slots.count(slot) for slot in range(10)]
    assert max(counts) - min(counts) <= 1


def test_slots_are_different_colours():
    for palette in (LIGHT, DARK):
        assert all(a != b for a, b in combinations(palette, 2))
