"""Results that are shown while a store is read: exact at the end, and with honest intervals before."""

import numpy as np
import pandas as pd
import pytest
from loading.store.split_stores import same, split

import tracekit as tk

START = 1_700_000_000_000_000_000


def requests(count, seed=0):
    """Requests of one span each: log-normal durations, one in twenty failed, one in ten of another operation."""
    generator = np.random.default_rng(seed)
    started = START + generator.integers(0, 10**12, count)
    return tk.TraceSet.from_spans(
        pd.DataFrame(
            {
                "trace_id": [f"{at:032x}" for at in range(1, count + 1)],
                "span_id": [f"{at:016x}" for at in range(1, count + 1)],
                "name": np.where(generator.random(count) < 0.1, "GET /rare", "GET /"),
                "service_name": "shop",
                "start_ns": started,
                "end_ns": started + generator.lognormal(17, 0.7, count).astype(np.int64),
                "status_code": np.where(generator.random(count) < 0.05, "ERROR", "OK"),
            }
        )
    )


@pytest.fixture(scope="module")
def recorded():
    return requests(10_000)


@pytest.fixture(scope="module")
def store(recorded, tmp_path_factory):
    return split(recorded, tmp_path_factory.mktemp("refining") / "many.parquet", 50)


def value(step, column):
    """The row of the intervals of a column, for the operation with most spans."""
    rows = step.intervals[(step.intervals["column"] == column) & (step.intervals["operation"] == "GET /")]
    return rows.iloc[0]


def test_after_the_last_part_the_result_is_that_of_the_store(store, recorded):
    *_, last = tk.refine(tk.latency, store, parts=20)
    same(last.result.table, tk.latency(recorded).table)
    assert (last.read_count, last.part_count, last.is_exact, last.is_enough) == (50, 50, True, True)
    assert (last.intervals["low"] == last.intervals["high"]).all()
    p95 = tk.latency(recorded).table.set_index("operation").loc["GET /", "p95_ns"]
    assert value(last, "p95_ns")["estimate"] == pytest.approx(p95, rel=1e-12)


def test_parts_are_read_once(store, monkeypatch):
    read = []
    original = tk.TraceStore.tasks.fget(store)[0].__class__.read
    monkeypatch.setattr(type(store.tasks[0]), "read", lambda task: read.append(task.number) or original(task))
    steps = list(tk.refine(tk.latency, store, parts=7))
    assert [step.read_count for step in steps] == [7, 14, 21, 28, 35, 42, 49, 50]
    assert sorted(read) == list(range(50))


@pytest.fixture(scope="module")
def early(store):
    """The first result of a tenth of the parts, in 100 orders of reading."""
    return [next(tk.refine(tk.latency, store, parts=5, seed=seed)) for seed in range(100)]


@pytest.mark.parametrize("column", ["mean_ns", "p50_ns", "p95_ns", "error_ratio", "span_count"])
def test_intervals_after_a_tenth_of_the_parts_hold_the_final_value(early, recorded, column):
    """As 95% intervals do: 88 to 100 times in 99.8% of such tests."""
    final = tk.latency(recorded).table.set_index("operation").loc["GET /", column]
    rows = [value(step, column) for step in early]
    assert sum(row["low"] <= final <= row["high"] for row in rows) >= 88
    assert np.mean([row["estimate"] for row in rows]) == pytest.approx(final, rel=0.03)
    assert sum(row["low"] + 0.4 * (row["high"] - row["low"]) <= final <= row["high"] for row in rows) <= 90  # not wide


def test_reading_ends_when_the_interval_is_narrow_enough(store):
    *_, last = steps = list(tk.refine(tk.latency, store, until="mean_ns +- 5%", parts=5))
    assert 5 < last.read_count < 50
    assert last.is_enough
    assert not last.is_exact
    assert not any(step.is_enough for step in steps[:-1])
    for operation in ("GET /", "GET /rare"):
        row = last.intervals[last.intervals["operation"] == operation].set_index("column").loc["mean_ns"]
        assert (row["high"] - row["low"]) / 2 <= 0.05 * row["estimate"]
    assert "as accurate as asked" in repr(last)


def test_an_accuracy_may_be_an_amount(store):
    *_, last = tk.refine(tk.latency, store, until="mean_ns +- 2 ms", parts=5)
    reach = last.intervals.query("column == 'mean_ns'").eval("(high - low) / 2")
    assert (reach <= 2e6).all()
    assert not last.is_exact


def test_an_accuracy_that_is_never_reached_reads_all(store):
    *_, last = tk.refine(tk.latency, store, until="p99_ns +- 0.001%", parts=10)
    assert last.is_exact


def test_the_first_part_alone_has_no_interval(store):
    first = next(tk.refine(tk.latency, store))
    assert first.intervals[["low", "high"]].isna().all(axis=None)
    assert first.read_count == 1


def test_analyses_of_several_passes_end_at_the_result_of_the_store(store):
    def by_service(traces):
        return tk.critical_path(traces).by(["service_name"])

    *_, last = tk.refine(by_service, store, parts=25)
    same(last.result, by_service(store))


def test_conditions_and_arguments_are_those_of_the_call(store):
    slow = store.where("duration_ns > 30_000_000")
    *_, last = tk.refine(tk.latency, slow, parts=25, by="operation", on=1)
    same(last.result.table, tk.latency(slow, by="operation").table)
    assert list(last.intervals.columns[:2]) == ["operation", "column"]


def test_an_interrupt_keeps_the_last_result_and_reading_can_go_on(store):
    waiting = [KeyboardInterrupt()]

    def interrupted(traces):
        if traces.part_count == 30 and waiting:
            raise waiting.pop()
        return tk.latency(traces)

    steps = tk.refine(interrupted, store, parts=10)
    with pytest.raises(KeyboardInterrupt):
        list(steps)
    assert steps.last.read_count == 20
    assert repr(steps).startswith("Refining(Refinement(20 of 50 parts, an estimate")
    *_, last = steps
    same(last.result.table, tk.latency(store).table)
    assert list(steps) == []


def test_a_notebook_replaces_its_output(store, monkeypatch):
    shown = []

    class Handle:
        def update(self, step):
            shown.append(("update", step.read_count))

    def display(step, *, display_id):
        shown.append(("display", step.read_count))
        assert display_id is True
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    tk.refine(tk.latency, store, parts=25)._ipython_display_()
    assert shown == [("display", 25), ("update", 50)]
    assert "<table" in next(tk.refine(tk.latency, store))._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"until": "p95_ns +- 1.2.3%"}, "until= as a column and its accuracy"),
        ({"until": "p95_ns"}, r'until= as a column and its accuracy, "p95_ns \+- 2%", found \'p95_ns\''),
        ({"until": "p95_ns +- 0%"}, "until= as a column and its accuracy"),
        ({"parts": 0}, "expected parts of 1 or more, found 0"),
        ({"confidence": 95}, "expected a confidence level between 0 and 1"),
    ],
)
def test_wrong_arguments_are_refused(store, arguments, message):
    with pytest.raises(ValueError, match=message):
        tk.refine(tk.latency, store, **arguments)


def test_an_unknown_column_is_refused_with_those_there_are(store):
    with pytest.raises(ValueError, match=r"a column that is estimated, found 'p96_ns'; there are span_count, weight"):
        next(tk.refine(tk.latency, store, until="p96_ns +- 1%"))


def test_a_result_without_tables_is_refused(store):
    with pytest.raises(ValueError, match="expected a result with tables, found int"):
        next(tk.refine(len, store))


def test_traces_in_memory_are_refused(recorded):
    with pytest.raises(TypeError, match=r"expected a TraceStore for tk\.refine, found TraceSet; tk\.open"):
        tk.refine(tk.latency, recorded)


def test_an_empty_store_is_refused(store):
    with pytest.raises(ValueError, match="expected at least one part, found none in the window"):
        tk.refine(tk.latency, store.only([]))


def test_a_part_that_is_not_there_is_refused(store):
    with pytest.raises(IndexError, match="expected the number of a part, from 0 to 49, found 50"):
        store.only([50])


ANALYSES = {
    "errors": tk.errors,
    "timeline": tk.timeline,
    "service_graph": tk.service_graph,
    "paths": tk.paths,
    "slo": lambda store: tk.slo(store, objective=0.99),
    "cost": lambda store: tk.cost(store, [tk.Price("calls", "kind != 'CLIENT'", usd_per_million=1)]),
    "self_time": lambda store: tk.self_time(store).by(["service_name"]),
}


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    """Two hundred requests of several services, in eight parts."""
    baseline, _ = tk.load_sample("checkout-regression")
    few = baseline.head(200).with_weights(1)
    return few, split(few, tmp_path_factory.mktemp("shops") / "many.parquet", 8)


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_of_a_store_can_be_refined(shops, name):
    traces, store = shops
    first, *_, last = tk.refine(ANALYSES[name], store, parts=3)
    assert first.read_count == 3
    assert last.is_exact
    assert (last.intervals["low"].dropna() == last.intervals["high"].dropna()).all()
    assert len(first.intervals)
    assert len(traces) == 200


def test_totals_are_scaled_and_numbers_of_distinct_things_are_not_estimated(shops):
    _, store = shops
    first = next(tk.refine(ANALYSES["cost"], store, parts=4))
    usd = first.intervals[first.intervals["column"] == "usd"]
    exact = ANALYSES["cost"](store).table["usd"].sum()
    assert usd["estimate"].sum() == pytest.approx(exact, rel=0.3)
    assert usd["estimate"].sum() == pytest.approx(2 * first.result.table["usd"].sum(), rel=1e-9)
    columns = set(next(tk.refine(tk.paths, store, parts=4)).intervals["column"])
    assert "trace_count" in columns
    assert "call_path_count" not in columns


def test_a_condition_that_some_parts_do_not_meet_is_no_error(store):
    rare = store.where("name == 'GET /rare' and duration_ns > 120_000_000")
    *_, last = tk.refine(tk.latency, rare, parts=10, by=())
    assert last.is_exact


def test_functions_that_cannot_be_pickled_are_read_again(store):
    def sizes(traces):
        return pd.DataFrame({"kind": ["all"], "trace_count": [traces.reduce(lambda part: len(part) + 0, int.__add__)]})

    *_, last = tk.refine(sizes, store, parts=20)
    assert last.result["trace_count"].item() == 10_000
