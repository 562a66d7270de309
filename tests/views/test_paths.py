"""Shapes of traces as small flame graphs beside their frequencies."""

from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from analysis.compare.worlds import shop
from hand_drawn import PAY, pay_traces, spans

import tracekit as tk
from tracekit import TraceSet
from tracekit.views.card import NARROW

NS = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def changed():
    rng = np.random.default_rng(1)
    return tk.paths(shop(rng, 300, refunds=0.2, prefix=2), shop(rng, 200))


def frames(drawing):
    root = ET.fromstring(str(drawing.picture()))
    return {bar.find(f"{NS}title").text.partition(": ")[0]: bar for bar in root.iter(f"{NS}rect")}


def test_new_and_vanished_shapes_come_first_with_their_frequencies(changed):
    card = tk.plot(changed)
    assert card.title == f"Shapes of traces ({len(card.rows)} of {len(changed.table)})"
    words, shares = card.rows[0][1]
    assert words.heading.endswith(": new")
    assert words.lines[0] == "Compared with the usual shape (added calls have an outline): + shop refund."
    now = 100 * changed.table["frequency_ratio"].iloc[0]
    assert shares.words == f"share of the baseline 0%, share of the current traces {now:.1f}%"
    assert f"Typical trace: {changed.table['typical_trace_id'].iloc[0]}." in words.lines
    gone = tk.plot(tk.paths(changed.baseline, changed.source))
    assert gone.rows[0][1][0].heading.endswith(": gone")
    assert "shop refund" in frames(gone.rows[0][0][0])


def test_calls_that_the_usual_shape_lacks_have_an_outline(changed):
    for row in (0, 1):
        found = frames(tk.plot(changed).rows[row][0][0])
        outlined = [name for name, bar in found.items() if bar.get("class") == "tk-outline"]
        assert outlined == ["shop refund"] * (row == 0)


def test_frames_are_as_wide_as_the_times_and_never_invisible(changed):
    tree = changed.tree(changed.table["shape"].iloc[0])
    found = frames(tk.plot(changed).rows[0][0][0])
    assert set(found) == {f"{s} {o}" for s, o in zip(tree["service_name"], tree["operation"], strict=True)}
    assert list(found)[-1] == "shop refund"  # takes no time, and is drawn over its neighbour
    total = (tree["mean_ns"] * tree["call_count"]).to_numpy()
    names = (tree["service_name"] + " " + tree["operation"]).tolist()
    for at, above in enumerate(tree["parent"].tolist()):
        wide, y = (float(found[names[at]].get(side)) for side in ("width", "y"))
        if above < 0:
            assert (wide, y) == (NARROW - 1, 0)
            continue
        share = total[at] / max(total[above], total[tree["parent"] == above].sum())
        assert y > float(found[names[above]].get("y"))
        assert wide == pytest.approx(max(3, (float(found[names[above]].get("width")) + 1) * share - 1), abs=0.1)


def test_one_set_has_one_frequency_and_no_traces_are_words():
    card = tk.plot(tk.paths(pay_traces()))
    assert "baseline" not in card.rows[0][1][1].words
    nothing = tk.plot(tk.paths(pay_traces().where("service_name == 'nobody'")))
    assert (nothing.lead, list(nothing.rows)) == (["No traces."], [])
    with pytest.raises(ValueError, match="a kind of shapes or bars, found 'tree'"):
        tk.plot(tk.paths(pay_traces()), kind="tree")


def test_names_are_text_and_short():
    rows = [(s, p, "<a href='http://evil'>x</a>" * 50, n + "\u202e", k, a, b, "OK") for s, p, _, n, k, a, b, _ in PAY]
    card = tk.plot(tk.paths(TraceSet.from_spans(spans(rows))))
    for page in (card._repr_mimebundle_()["text/html"], str(card.inline()), str(card.picture())):
        assert "<a href" not in page
        assert "\u202e" not in page
    assert "&lt;a href" in str(card.inline())
    assert len(str(card.inline())) < 20_000


def test_deep_shapes_say_what_is_left_out():
    frame = pd.DataFrame({"trace_id": "1", "span_id": [f"{k + 1:x}" for k in range(20)], "name": "x", "start_ns": 0,
                          "parent_span_id": [None, *(f"{k + 1:x}" for k in range(19))], "end_ns": 100})  # fmt: skip
    drawing = tk.plot(tk.paths(TraceSet.from_spans(frame))).rows[0][0][0]
    said = ["".join(node.itertext()) for node in ET.fromstring(str(drawing.picture())).iter(f"{NS}text")]
    assert said[-1] == "12 call paths not shown"
