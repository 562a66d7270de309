"""Explore: the chosen traces are those that pandas chooses, and the code that is shown chooses the same."""

import pandas as pd
import pytest
from all_views import HOSTILE
from framed import contents_of, outside
from hand_drawn import pay_traces, spans
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
import tracekit.views.explore_frame
from tracekit import TraceSet
from tracekit.views.choices import MOST_NAMES, latency_choices, names_of, period_choices
from tracekit.views.tkw1 import decode
from tracekit.views.waterfall.drawing import draw


@pytest.fixture(scope="module")
def during():
    return tk.load_sample("checkout-regression")[1]


@pytest.fixture(scope="module")
def seen(during):
    return tk.explore(during)


def rerun(code, traces):
    """What the shown code gives to somebody who pastes it."""
    names = {"traces": traces, "tk": tk}
    exec(code, names)
    return names["chosen"]


@given(st.data())
@settings(max_examples=40)
def test_the_code_of_every_state_chooses_the_same(seen, during, data):
    seen.service.index = data.draw(st.integers(0, len(seen.service.options) - 1))
    seen.operation.index = data.draw(st.integers(0, len(seen.operation.options) - 1))
    seen.error.index = data.draw(st.integers(0, len(seen.error.options) - 1))
    seen.attribute.index = data.draw(st.integers(0, len(seen.attribute.options) - 1))
    seen.attribute_value.index = data.draw(st.integers(0, len(seen.attribute_value.options) - 1))
    for slider in (seen.latency, seen.period):
        last = len(slider.options) - 1
        slider.index = tuple(sorted(data.draw(st.tuples(st.integers(0, last), st.integers(0, last)))))
    assert rerun(seen.code, during).trace_ids == seen.chosen.trace_ids
    assert set(seen.chosen.trace_ids) == oracle(seen, during)


def oracle(seen, traces):
    """The same, asked of the frames."""
    spans_ = traces.spans
    keep = pd.Series(data=True, index=spans_.index)
    if seen.service.value:
        keep &= spans_["service_name"] == seen.service.value
    if seen.operation.value:
        keep &= spans_["operation"] == seen.operation.value
    if seen.error.value == "is_error":
        keep &= spans_["is_error"]
    elif seen.error.value:
        keep &= spans_["error_class"] == seen.error.value
    if seen.attribute_value.value:
        keep &= has_attribute(traces, seen.attribute.value, seen.attribute_value.value)
    (first, last), (low, high) = seen.latency.index, seen.latency.value
    keep &= spans_["duration_ns"] >= low if first else True
    keep &= spans_["duration_ns"] < high if last < len(seen.latency.options) - 1 else True
    found = set(spans_["trace_id"][keep.fillna(value=False)])
    (first, last), (start, end) = seen.period.index, seen.period.value
    begun = spans_.iloc[traces.summary["root_row"]]["start_ns"]
    ids = spans_.iloc[traces.summary["root_row"]]["trace_id"]
    in_time = pd.Series(data=True, index=begun.index)
    in_time &= begun >= start if first else True
    in_time &= begun < end if last < len(seen.period.options) - 1 else True
    return found & set(ids[in_time])


def has_attribute(traces, key, value):
    """Whether each span has this value, or its resource if the span does not have the key."""
    rows = traces.attributes[traces.attributes["key"] == key]
    words = rows["value_bool"].map({True: "true", False: "false"}).astype("object")
    words = words.fillna(rows["value_int"].astype("string")).fillna(rows["value_str"])
    own, shared = (words[rows["owner"] == owner] for owner in ("span", "resource"))
    own = own.set_axis(rows.loc[own.index, "owner_id"]).reindex(traces.spans.index)
    shared = traces.spans["resource_id"].map(shared.set_axis(rows.loc[shared.index, "owner_id"]))
    return own.fillna(shared) == value


def test_at_first_everything_is_chosen(during):
    fresh = tk.explore(during)
    assert fresh.chosen is during
    assert fresh.code == "chosen = traces"
    assert repr(fresh) == "Explorer(1,000 of 1,000 traces)"
    assert fresh.table.value is None


def test_a_trace_with_a_span_that_outlives_its_request_is_not_the_slowest():
    rows = [("a1", "1", None, 0, 80), ("a1", "2", "1", 10, 3_000), ("b2", "1", None, 0, 90)]
    frame = pd.DataFrame(rows, columns=["trace_id", "span_id", "parent_span_id", "start_ns", "end_ns"])
    table = tk.explore(TraceSet.from_spans(frame.assign(service_name="shop", name="GET /"))).table.options
    assert [label.split("  ·  ")[0] for label, _ in table] == ["90 ns", "80 ns"]


def test_a_click_opens_the_trace_and_prints_the_code(during):
    fresh = tk.explore(during, height=300)
    fresh.service.value = "ledger"
    slowest = during.where("service_name == 'ledger'").summary["root_duration_ns"].nlargest(2).index
    assert [value for _, value in fresh.table.options[:2]] == list(slowest)
    fresh.table.index = 0
    (view,) = fresh.children[-1].children
    assert repr(view).startswith(f"Waterfall(trace {slowest[0]}")
    assert view.height == 300
    assert fresh.code.splitlines()[-1] == f'tk.waterfall(chosen, "{slowest[0]}")'
    fresh.table.index = 1
    assert repr(fresh.children[-1].children[0]).startswith(f"Waterfall(trace {slowest[1]}")
    fresh.error.value = "fault"
    assert fresh.children[-1].children == ()
    assert "waterfall" not in fresh.code


def test_the_operations_offered_are_those_of_the_service(during):
    fresh = tk.explore(during)
    fresh.operation.value = "SELECT entries"
    fresh.service.value = "ledger"
    assert fresh.operation.value == "SELECT entries"
    offered = {value for _, value in fresh.operation.options} - {""}
    assert offered == set(during.spans["operation"][during.spans["service_name"] == "ledger"])
    fresh.service.value = "mailer"
    assert fresh.operation.value == ""
    assert rerun(fresh.code, during).trace_ids == fresh.chosen.trace_ids


def test_attributes_are_offered_where_a_condition_can_choose_them(during):
    keys = [key for _, key in tk.explore(during).attribute.options]
    assert keys[0] == ""
    assert {"app.customer.tier", "http.response.status_code", "service.version", "host.name"} <= set(keys)
    assert "url.path" not in keys, "824 values"
    frame = spans([("1", None, "shop", "GET /", "SERVER", 5, 90, "UNSET")])
    keys = ("class", "a-b", "a.b", "in.x", "\ufb01", "x y", "name", "kind", "1a", "")
    odd = TraceSet.from_spans(frame.assign(**{f"attributes.{key}": "it's" for key in keys}))
    assert [key for _, key in tk.explore(odd).attribute.options] == ["", "a.b", "service.name"]
    chosen = tk.explore(odd)
    chosen.attribute.value, chosen.attribute_value.value = "a.b", "it's"
    assert len(rerun(chosen.code, odd)) == len(chosen.chosen) == 1


def test_the_values_offered_are_those_of_the_attribute(during):
    fresh = tk.explore(during)
    assert fresh.attribute_value.options == (("any", ""),)
    fresh.attribute.value = "app.customer.tier"
    assert {value for _, value in fresh.attribute_value.options} == {"", "free", "pro", "enterprise"}
    assert fresh.chosen is during, "a key alone is no condition"
    fresh.attribute_value.value = "enterprise"
    assert fresh.code == """chosen = traces.where("app.customer.tier == 'enterprise'")"""
    fresh.attribute.value = "http.request.method"
    assert fresh.attribute_value.value == ""
    assert fresh.code == "chosen = traces"


def test_the_choice_can_be_observed(during):
    fresh, seen = tk.explore(during), []
    fresh.observe(lambda change: seen.append((change["name"], change["new"])), ["chosen", "code"])
    fresh.error.value = "is_error"
    assert seen == [("chosen", fresh.chosen), ("code", "chosen = traces.where('is_error')")]
    assert 0 < len(fresh.chosen) < len(during)


def test_hostile_names_are_chosen_by_code_as_well():
    rows = [
        (str(k + 1), None, name, name, "SERVER", 5, 90, "UNSET") for k, name in enumerate((*HOSTILE, "it's \"`#@\\n"))
    ]
    traces = TraceSet.from_spans(spans(rows).assign(trace_id=[f"{k + 1:x}" for k in range(len(rows))]))
    fresh = tk.explore(traces)
    for label, value in fresh.service.options[1:]:
        fresh.service.value = value
        assert len(fresh.chosen) == 1
        assert rerun(fresh.code, traces).trace_ids == fresh.chosen.trace_ids
        assert len(label) <= 80
        assert "\u202e" not in label
        for part in (fresh._shown.value, fresh._summary.value):
            assert "<a" not in part
            assert "<img" not in part
            assert "\u202e" not in part
        html = outside(fresh._repr_mimebundle_()["text/html"])
        assert "<script" not in html
        assert "<a " not in html


@pytest.mark.parametrize("end", [0, -1])
def test_both_ends_of_a_slider_at_one_stop_choose_nothing(during, end):
    for name in ("latency", "period"):
        fresh = tk.explore(during)
        slider = getattr(fresh, name)
        slider.index = (end % len(slider.options),) * 2
        assert len(fresh.chosen) == 0
        assert len(rerun(fresh.code, during)) == 0


def test_the_shown_code_keeps_its_lines(during):
    fresh = tk.explore(during)
    fresh.table.index = 0
    assert fresh._shown.value.count("\n") == 1
    assert "\ufffd" not in fresh._shown.value


def test_the_bundle_shows_what_is_chosen(during):
    fresh = tk.explore(during)
    fresh.error.value = "fault"
    data = fresh._repr_mimebundle_()
    assert data["text/plain"] == repr(fresh)
    assert "<img alt=" in outside(data["text/html"])
    assert "error_class == &#x27;fault&#x27;" in data["text/html"] or "error_class == 'fault'" in data["text/html"]


def test_more_names_than_fit_are_counted():
    count = MOST_NAMES + 7
    rows = [(str(k + 1), None, f"s{k}", "x", "SERVER", 5, 90, "UNSET") for k in range(count)]
    offered = names_of(TraceSet.from_spans(spans(rows)), "service_name")
    assert len(offered) == MOST_NAMES + 1
    assert offered[0] == (f"any of {count} (top {MOST_NAMES} listed)", "")
    assert names_of(TraceSet.from_spans(spans(rows)), "operation", service="nobody") == [("any", "")]


def test_the_sliders_have_round_values(during):
    durations = [label for label, _ in latency_choices(during)]
    assert durations[0] == "shortest"
    assert durations[-1] == "longest"
    assert {"1 ms", "200 ms"} <= set(durations)
    moments = period_choices(during)
    assert 50 < len(moments) <= 102
    assert moments[1][1] % 10**9 == 0


def test_an_empty_set_shows_a_message():
    empty = tk.explore(pay_traces().where("service_name == 'nobody'"))
    assert empty._summary.value == "<b>0 of 0 traces</b>."
    assert empty._picture.value.startswith('<img alt="0 traces over time"')
    with pytest.raises(ValueError, match="expected a height in pixels above 0, found 0"):
        tk.explore(pay_traces(), height=0)


def test_the_frame_has_the_state_of_the_controls(during):
    fresh = tk.explore(during)
    fresh.service.value, fresh.error.value = "ledger", "is_error"
    fresh.latency.index = (2, 5)
    fresh.attribute.value, fresh.attribute_value.value = "db.operation.name", "SELECT"
    state, data = contents_of(fresh.frame())
    controls = {control["name"]: control for control in decode(data).meta["controls"]}
    assert state["height"] == 420
    at = {name: control["options"][control["at"]][0] for name, control in controls.items()}
    low, high = (fresh.latency.options[k][0] for k in (2, 5))
    assert at == {
        "service": "ledger", "operation": "any", "error": "any error", "low": low, "high": high,
        "from": "start", "to": "end", "attribute": "db.operation.name",
    }  # fmt: skip
    attribute = controls["attribute"]
    assert attribute["choices"][attribute["at"]][attribute["at_value"]][2] == "db.operation.name == 'SELECT'"


def test_a_frame_of_many_spans_has_fewer_attributes_and_says_so(monkeypatch, during):
    monkeypatch.setattr(tracekit.views.explore_frame, "MOST_CELLS", 3 * len(during.spans))
    fresh = tk.explore(during)
    fresh.attribute.value, fresh.attribute_value.value = "url.scheme", "http"
    table = decode(contents_of(fresh.frame())[1])
    (control,) = [control for control in table.meta["controls"] if control["choices"]]
    assert control["options"][0][0] == "any of 36 (4 listed)"
    assert control["options"][control["at"]][0] == "url.scheme"
    assert {f"attribute{k}" for k in range(1, 5)} <= set(table.columns)
    assert "attribute5" not in table.columns


def test_a_frame_of_many_spans_covers_the_slowest_traces_and_says_so(monkeypatch, during):
    monkeypatch.setattr(tracekit.views.explore_frame, "MOST_SPANS", 1000)
    table = decode(contents_of(tk.explore(during).frame())[1])
    slowest = during.summary["duration_ns"].nlargest(len(table.meta["ids"])).index
    assert table.meta["ids"] == list(slowest)
    assert 10 < len(slowest) < 30
    assert table.meta["note"] == f"The slowest {len(slowest)} of 1,000 traces; live() has all."
    assert table.columns["spans"].sum() <= 1000


def test_the_controls_connect_when_they_are_live(during):
    fresh = tk.explore(during)
    assert set(fresh._repr_mimebundle_()) == {"text/html", "text/plain"}
    assert fresh.live() is fresh
    assert "application/vnd.jupyter.widget-view+json" in fresh._repr_mimebundle_()


def test_nothing_to_explore_has_a_frame():
    empty = tk.explore(pay_traces().where("service_name == 'nobody'"))
    assert decode(contents_of(empty.frame())[1]).meta["ids"] == []


def test_waterfalls_in_the_frame_open_where_the_trace_opens_alone(during):
    table = decode(contents_of(tk.explore(during).frame())[1])
    opened = dict(zip(table.meta["embedded"], table.meta["parts"], strict=True))
    rows = []
    for k in (0, 3, 11):
        low, high = opened[k]
        rows.append(decode(table.columns["waterfalls"][low:high].tobytes()).meta["focus"])
        assert rows[-1] == draw(during, table.meta["ids"][k]).payload.meta["focus"]
    assert min(rows) > 0
