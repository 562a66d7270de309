import json
import re
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracekit as tk
import tracekit.views.colours
from tracekit.report.page import render
from tracekit.views.colours import DARK, LIGHT, Colours, ink
from tracekit.views.themes import repainted

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


def test_many_services_are_assigned_fast_and_evenly():
    colours = Colours(f"service-{k}" for k in range(20_000))
    counts = Counter(colours.slot(f"service-{k}") for k in range(20_000))
    assert set(counts.values()) == {2_000}


def paints(traces, before):
    """The colour of each service in every view of these traces: view -> service -> colours."""
    found = defaultdict(lambda: defaultdict(set))
    add_charts(found, traces, before)
    add_widgets(found, traces, before)
    for slot, service in re.findall(r'<i class="dot dot(\d)"></i>([\w-]+)', render([traces], baseline=before)):
        found["report"][service].add(LIGHT[int(slot)])
    return found


def add_charts(found, traces, before):
    path, latency = tk.critical_path(traces), tk.latency(traces, by="service_name")
    for name, view in {
        "latency": tk.plot(latency, groups=20),
        "latency, overlaid": tk.plot(latency, groups=20, against=tk.latency(before, by="service_name")),
        "operations": tk.plot(tk.latency(traces), groups=80),
        "bands": tk.plot(path.bands("service_name"), groups=20),
        "bands of operations": tk.plot(path.bands(["service_name", "operation"]), groups=80),
    }.items():
        for trace in view.data:
            colour = trace.line.color if trace.type == "scatter" else trace.marker.color
            label = re.search("<extra>(.*)</extra>", trace.hovertemplate)[1]
            found[name][label.split()[0].strip(",")].add(repainted(colour, "light"))
    for name, view in (("bars", tk.plot(path)), ("self time", tk.plot(tk.self_time(traces)))):
        for service, colour in zip(view.data[0].y, view.data[0].marker.color, strict=True):
            found[name][service].add(colour)


def add_widgets(found, traces, before):
    flame = json.loads(tk.plot(tk.critical_path(traces).flame()).payload)
    for k, slot in zip(flame["name"], flame["slot"], strict=True):
        found["flame"][flame["names"][k].split()[0]].add(LIGHT[slot])
    for name, against in (("map", None), ("map, compared", tk.service_graph(before))):
        for node in json.loads(tk.plot(tk.service_graph(traces), against=against).graph)["nodes"]:
            if not node["inferred"]:
                found[name][node["name"]].add(LIGHT[node["slot"]])
    slowest = traces.summary["root_duration_ns"].idxmax()
    for name, compare in (("waterfall", None), ("waterfall, compared", before)):
        meta = tk.waterfall(traces, slowest, compare=compare)._drawing.payload.meta
        for service, slot in zip(meta["services"], meta["slots"], strict=True):
            found[name][service].add(LIGHT[slot])


def in_full(colour):
    """A colour without its opacity."""
    parts = [int(part) for part in re.findall(r"\d+", colour)[:3]] if colour.startswith("rgba") else None
    return colour if parts is None else "#" + "".join(f"{part:02x}" for part in parts)


@pytest.mark.parametrize("first", ["everything", "one trace", "the traces of one service", "the baseline"])
def test_a_service_has_one_colour_in_every_view_whatever_was_drawn_before(monkeypatch, first):
    monkeypatch.setattr(tracekit.views.colours, "SHARED", Colours())
    before, during = tk.load_sample("checkout-regression")
    wanted = {service: LIGHT[Colours(during.codes("service_name").labels).slot(service)] for service in SERVICES}
    drawn = {
        "everything": during,
        "one trace": during.trace(during.trace_ids[3]),
        "the traces of one service": during.where("service_name == 'mailer'"),
        "the baseline": before,
    }[first]
    tk.plot(tk.latency(drawn, by="service_name"))
    for name, services in paints(during, before).items():
        assert len(services) >= 8, name
        for service, colours in services.items():
            assert {in_full(colour) for colour in colours} == {wanted[service]}, (name, service)


SERVICES = ("cart", "catalog", "checkout", "inventory", "ledger", "mailer", "payments", "pricing", "storefront")


def test_operations_of_a_service_differ_in_their_dashes(monkeypatch):
    monkeypatch.setattr(tracekit.views.colours, "SHARED", Colours())
    _, during = tk.load_sample("checkout-regression")
    looks = [(trace.line.color, trace.line.dash) for trace in tk.plot(tk.latency(during), groups=12).data]
    assert len(set(looks)) == 12
    assert len({colour for colour, _ in looks}) < 12


def test_slots_are_different_colours():
    for palette in (LIGHT, DARK):
        assert all(a != b for a, b in combinations(palette, 2))
