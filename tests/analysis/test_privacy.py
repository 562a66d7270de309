"""What ``tk.privacy`` says of a recording with planted values: all of them, where they are, and none in its answer."""

import pandas as pd
import pytest
from planted import planted, recording

import tracekit as tk


@pytest.fixture(scope="module")
def values():
    return planted(3)


@pytest.fixture(scope="module")
def found(values):
    return tk.privacy(tk.read(recording(values), progress=False))


def test_every_kind_that_was_planted_is_found(values, found):
    by_kind = found.by_kind.set_index("kind")["value_count"]
    assert set(by_kind.index) >= {kind for kind, _, _ in values}
    named = found.table[found.table["kind"] == "name"]
    assert set(named["key"]) >= {"customer.name", "user.full_name", "enduser.id"}
    assert set(found.table["where"]) == {
        *("attribute", "event attribute", "resource attribute", "span name", "event name", "status message")
    }


def test_examples_are_masked(values, found):
    shown = f"{found.table.to_csv()}{found!r}{found._repr_html_()}"
    assert [value for _, value, _ in values if value in shown] == []


def test_uses_are_counted_by_span():
    spans = tk.load_sample("small-shop")[1].spans[["trace_id", "span_id", "name", "start_ns", "end_ns"]]
    mails = ["jo@example.org"] * 20 + ["al@example.org"] * 8
    traces = tk.TraceSet.from_spans(spans.assign(**{"attributes.mail": mails, "resource.contact": "ed@example.org"}))
    table = tk.privacy(traces).table.set_index(["where", "key"])[["value_count", "use_count"]]
    assert table.loc[("attribute", "mail")].tolist() == [2, 28]
    assert table.loc[("resource attribute", "contact")].tolist() == [1, 28]
    assert tk.privacy(traces.head(1)).table["use_count"].max() == len(traces.head(1).spans)


def test_log_messages_are_searched():
    traces = tk.load_sample("small-shop")[1]
    lines = pd.DataFrame({"message": ["paid by jo@example.org", "paid by jo@example.org", "paid"]})
    (row,) = tk.privacy(traces, logs=lines).table.to_dict("records")
    assert (row["kind"], row["where"], row["value_count"], row["use_count"]) == ("email", "log message", 1, 2)
    with pytest.raises(ValueError, match="expected log lines with a column message"):
        tk.privacy(traces, logs=lines.rename(columns={"message": "text"}))


@pytest.mark.parametrize("name", ["checkout-regression", "checkout-xray", "cascading-failure"])
def test_the_bundled_recordings_have_nothing_but_literals(name):
    sets = tk.load_sample(name)
    sets = sets if isinstance(sets, tuple) else (sets,)
    kinds = {kind for traces in sets for kind in tk.privacy(traces).table["kind"]}
    assert kinds <= {"SQL literal", "URL query value", "private address"}


def test_an_empty_set_and_the_order_of_spans():
    traces = tk.load_sample("small-shop")[1]
    assert not len(tk.privacy(traces.where("duration_ns < 0")).table)
