"""``tk.logs``: what is in its result, from lines with known answers."""

import numpy as np
import pandas as pd
import pytest
from checks.logs.log_worlds import lines_of

import tracekit as tk
from tracekit.views.details import Strings, event_columns
from tracekit.views.plot import view_of

TIME = "2026-01-01T12:00:00.010Z"


@pytest.fixture(scope="module")
def small():
    return tk.load_sample("small-shop")


def frame_of(traces, rows, **more):
    """One line in the middle of each of these spans."""
    spans = traces.spans.iloc[rows]
    middle = (spans["start_ns"] + spans["end_ns"]) // 2
    ids = {"trace_id": spans["trace_id"].astype(str), "span_id": spans["span_id"].astype(str)}
    texts = [f"step {row} done" for row in rows]
    return pd.DataFrame({"time": middle, "level": "INFO", "message": texts, **ids, **more}).reset_index(drop=True)


def test_the_lines_of_a_trace_are_in_order_of_time(small):
    _, shop = small
    trace_id = shop.trace_ids[1]
    rows = np.flatnonzero(shop.forest.trace == 1)
    found = tk.logs(shop, frame_of(shop, rows[::-1]))
    mine = found.of(trace_id)
    assert mine["time"].is_monotonic_increasing
    assert sorted(mine["span_row"]) == rows.tolist()
    assert mine["service_name"].tolist() == shop.spans["service_name"].iloc[mine["span_row"]].tolist()
    assert (mine["match"] == "span_id").all()
    with pytest.raises(ValueError, match="expected the id of one of 5 traces, found '77'"):
        found.of("77")


def test_the_lines_of_the_critical_path_are_those_of_its_spans_in_order(small):
    _, shop = small
    path = tk.critical_path(shop)
    found = tk.logs(shop, frame_of(shop, np.arange(len(shop.spans))))
    for at, trace_id in enumerate(shop.trace_ids):
        mine = found.critical_path(trace_id)
        rows = np.flatnonzero((shop.forest.trace == at) & path.on_path[: len(shop.spans)])
        assert sorted(mine["span_id"]) == sorted(shop.spans["span_id"].iloc[rows])
        assert mine["time"].is_monotonic_increasing
        assert (mine["since_start_ns"] >= 0).all()
        assert mine.set_index("span_id")["path_time_ns"].to_dict() == {
            shop.spans["span_id"].iloc[row]: path.own_ns[row] for row in rows
        }


def test_templates_count_lines_traces_and_failing_traces(small):
    _, shop = small
    failed = shop.is_error[shop.forest.root_row]
    found = tk.logs(shop, frame_of(shop, shop.forest.root_row), baseline=small[0])
    (row,) = found.templates.to_dict("records")
    assert (row["template"], row["level"], row["line_count"]) == ("step <n> done", "INFO", len(shop))
    assert (row["trace_count"], row["failed_count"]) == (len(shop), failed.sum())
    assert (row["is_new"], row["baseline_line_count"], row["baseline_trace_count"]) == (True, 0, 0)
    assert found.new[["trace_count", "is_significant"]].to_numpy().tolist() == [[5, False]], (
        "nothing was collected before"
    )


def test_error_spans_without_a_line_are_counted_by_operation(small):
    _, shop = small
    errors = np.flatnonzero(shop.is_error)
    nothing = tk.logs(shop, frame_of(shop, [0]).assign(trace_id="77")).silent_errors
    assert nothing["without_log_count"].sum() == nothing["error_span_count"].sum() == len(errors)
    assert not nothing["has_lines"].any()
    one = tk.logs(shop, frame_of(shop, errors[:1])).silent_errors
    assert one["without_log_count"].sum() == len(errors) - 1
    service = shop.spans["service_name"].iloc[errors[0]]
    assert set(one.loc[one["has_lines"], "service_name"]) == {service}
    by_trace = frame_of(shop, errors[:1], service=service).drop(columns="span_id")
    same = (shop.forest.trace[errors] == shop.forest.trace[errors[0]]) & (
        shop.spans["service_name"].iloc[errors] == service
    ).to_numpy()
    assert tk.logs(shop, by_trace).silent_errors["without_log_count"].sum() == len(errors) - same.sum()


def test_lines_without_a_trace_are_listed_with_the_reason(small):
    _, shop = small
    lines = pd.concat([frame_of(shop, [0]), frame_of(shop, [0]).assign(trace_id="77")], ignore_index=True)
    found = tk.logs(shop, lines)
    assert found.unmatched[["match", "line"]].to_numpy().tolist() == [["other_trace", 1]]
    assert found.matches.to_dict("list") == {
        "match": ["span_id", "other_trace"],
        "line_count": [1, 1],
        "line_ratio": [0.5, 0.5],
    }


def test_the_traces_of_a_baseline_may_be_in_the_same_log(small):
    before, shop = small
    lines = pd.concat([frame_of(before, [0]), frame_of(shop, [0]).assign(message="new thing")], ignore_index=True)
    both = tk.logs(shop, lines, baseline=before)
    names = ["template", "line_count", "baseline_trace_count"]
    assert both.templates[names].to_numpy().tolist() == [["new thing", 1, 0]], "the other line is of the baseline"
    same = tk.logs(shop, lines.assign(message="step 1 done"), baseline=before).templates
    assert same[[*names, "is_new"]].to_numpy().tolist() == [["step <n> done", 1, 1, False]]
    apart = tk.logs(shop, lines[1:], baseline=tk.logs(before, lines[:1]))
    assert apart.templates["is_new"].tolist() == [True]


def test_lines_can_be_shown_as_events_of_their_spans(small):
    _, shop = small
    lines = frame_of(shop, [4, 1, 4]).assign(message=["b to jo.smith@example.org", "of the trace", "a"])
    lines.loc[1, "span_id"] = None
    lines.loc[2, "time"] -= 1000
    shown = tk.logs(shop, lines).as_events()
    more = shown.events[~shown.events["name"].isin(shop.events["name"])]
    root = int(shop.forest.root_row[shop.forest.trace[1]])
    expected = [(root, "INFO: of the trace"), (4, "INFO: a"), (4, "INFO: b to jo...rg (20 characters)")]
    assert sorted(zip(more["span_row"], more["name"], strict=True)) == sorted(expected)
    assert more["time_ns"].tolist() == sorted(lines["time"]) or root > 4
    assert len(shown.events) == len(shop.events) + 3
    kept = shown.events[shown.events["name"].isin(shop.events["name"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, shop.events.reset_index(drop=True), check_names=False, check_categorical=False)
    pd.testing.assert_frame_equal(shown.spans, shop.spans)
    strings = Strings()
    event_columns(shown, np.array([4]), 0, strings)
    assert "INFO: b to jo...rg (20 characters)" in strings.texts, "the waterfall shows them"


def test_pii_and_secrets_are_masked_in_what_is_shown(small):
    _, shop = small
    lines = frame_of(shop, [0, 1]).assign(message=["mail to jo.smith@example.org sent", "card 4111111111111111 kept"])
    found = tk.logs(shop, lines)
    masked = found.redacted()
    texts = " ".join(masked.lines["message"]) + masked.templates.to_string() + found._repr_html_()
    texts += tk.plot(found).to_json()
    assert "jo.smith" not in texts
    assert "4111111111111111" not in texts
    assert masked.lines["message"].tolist() == [
        "mail to jo...rg (20 characters) sent",
        "card 41...11 (16 characters) kept",
    ]
    assert found.lines["message"].tolist() == lines["message"].tolist(), "the result itself has what was logged"


def test_the_pii_check_searches_messages_too(small):
    _, shop = small
    found = tk.logs(shop, frame_of(shop, [0, 0, 1]).assign(message=["to jo@example.org", "to jo@example.org", "ok"]))
    (pii,) = tk.quality(shop, logs=found, checks=["pii"])
    (row,) = pii.evidence.query("key == 'log message'").to_dict("records")
    assert (row["kind"], row["value_count"], row["scanned_count"], row["span_count"]) == ("email", 1, 2, 2)
    assert "PII or secrets in `log message` (email): 1 of 2 distinct values" in pii.headline
    assert "in 2 lines" in pii.headline
    with pytest.raises(ValueError, match=r"expected logs= to be the result of tk\.logs of the same traces"):
        tk.quality(small[0], logs=found)


def test_hostile_lines_are_inert_in_every_representation(small):
    _, shop = small
    texts = ["<b>bold</b>", "</script><img src=x onerror=alert(1)>", "gpj.\u202eexe", "nul\0 x", "%{x} " + "A" * 50_000]
    lines = frame_of(shop, list(range(5))).assign(message=texts, service=texts[::-1], level=texts)
    found = tk.logs(shop, lines)
    shown = found._repr_mimebundle_()
    data = shown[0] if isinstance(shown, tuple) else shown
    page = data["text/html"]
    assert "<b>bold</b>" not in page
    assert "<img src=x" not in page
    assert "\u202e" not in "".join(map(str, data.values()))
    assert view_of(found) == "tracekit.checks.logs.result.Logs"
    assert len(tk.plot(found).data[0].y) == 5


def test_no_lines_and_no_traces_have_an_answer(small):
    _, shop = small
    nobody = shop.where("service_name == 'nobody'")
    none = pd.DataFrame({"time": [], "message": []})
    for traces in (shop, nobody):
        for lines in (
            none,
            frame_of(shop, [0, 1]),
            frame_of(shop, [0]).assign(trace_id=None, span_id=None, service="shop"),
        ):
            found = tk.logs(traces, lines, baseline=nobody)
            assert repr(found)
            assert tk.plot(found) is not None
            assert found.redacted().lines.shape == found.lines.shape


def test_traces_and_lines_are_not_changed_and_the_answer_is_the_same_again(small):
    _, shop = small
    lines = lines_of(shop, np.random.default_rng(1))
    before = lines.copy()
    first, again = tk.logs(shop, lines), tk.logs(shop, lines)
    pd.testing.assert_frame_equal(lines, before)
    for name in ("lines", "templates", "silent_errors", "clocks", "matches"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(again, name))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tolerance_ms": -1}, ValueError, "expected tolerance_ms of 0 or more, such as 10, found -1"),
        ({"min_score": 0}, ValueError, "expected min_score above 0 and at most 1, such as 0.5, found 0"),
        (
            {"baseline": "before.log"},
            TypeError,
            "expected the traces or the logs of the baseline as baseline=, found str",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(small, options, error, message):
    with pytest.raises(error, match=message):
        tk.logs(small[1], frame_of(small[1], [0]), **options)


def test_a_result_in_place_of_a_log_is_refused(small):
    found = tk.logs(small[1], frame_of(small[1], [0]))
    with pytest.raises(TypeError, match=r"expected a log, found the result of tk\.logs; pass the file or table"):
        tk.logs(small[1], found)
