"""What occurrences add up to, against plain loops over them."""

from functools import cache

import numpy as np
import pytest
from checks.patterns.pattern_worlds import PLANTED, Shop
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.checks.case import Case
from tracekit.checks.patterns.repeated import called
from tracekit.checks.patterns.sums import KEYS, REQUESTS, Occurrences, pairs_among, pairs_of, sums_of, table_of


@cache
def recording():
    """A few weighted traces."""
    rng = np.random.default_rng(5)
    traces = Shop(rng, 12).traces(*PLANTED["patterns.n_plus_one"])
    return traces.with_weights(rng.choice([1.0, 2.0, 7.5], len(traces)))


def names_of(case, caller, callee):
    """Names of caller and callee, an empty text where they are missing."""
    service, operation = case.traces.codes("service_name"), case.traces.codes("operation")
    codes = (service, operation, service, operation, case.result(called))
    rows = (caller, caller, callee, callee, callee)
    return tuple(one.at(int(row)) or "" for one, row in zip(codes, rows, strict=True))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(0, 30), kept=st.integers(0, 2))
def test_sums_are_those_of_loops(seed, count, kept):
    traces, rng = recording(), np.random.default_rng(seed)
    case, size = Case(traces), len(traces.columns.spans)
    caller, callee = np.sort(rng.integers(0, size, count)), rng.integers(0, size, count)
    sizes, costs = rng.integers(1, 4, count), rng.integers(0, 3, count)  # with equal ones
    found = case.result(sums_of(lambda _: Occurrences(caller, callee, sizes, costs), ()))
    groups = {}
    for at in range(count):
        groups.setdefault(names_of(case, caller[at], callee[at]), []).append(at)
    keys = list(zip(*(found.keys[name].tolist() for name in KEYS), strict=True))
    assert sorted(keys) == sorted(groups)
    chosen = np.array([len(groups[key]) > kept for key in keys], bool)
    table = table_of(found.where(chosen), case.result(REQUESTS)).set_index(list(KEYS))
    wanted = {key: at for key, at in groups.items() if len(at) > kept}
    assert sorted(table.index) == sorted(wanted)
    trace, summary, weight = traces.forest.trace, traces.summary, traces.weights.value
    latency = summary["root_duration_ns"].to_numpy() * weight
    span_ids = traces.spans["span_id"].tolist()
    for key, at in wanted.items():
        row, own = table.loc[key], sorted({int(trace[caller[one]]) for one in at})
        assert (row["occurrence_count"], row["trace_count"]) == (len(at), len(own))
        assert (row["size_max"], row["size_p50"]) == (sizes[at].max(), np.median(sizes[at]))
        total = sum(costs[one] * weight[trace[caller[one]]] for one in at)
        assert row["cost_ns"] == pytest.approx(total / weight[own].sum())
        assert row["affected_ratio"] == pytest.approx(total / latency[own].sum())
        assert row["cost_ratio"] == pytest.approx(total / latency.sum())
        best = min(at, key=lambda one: (-costs[one], caller[one]))
        assert row["exemplar_trace_id"] == summary.index[trace[caller[best]]]
        assert row["exemplar_span_id"] == span_ids[callee[best]]
        assert found.largest[keys.index(key)] == weight[own].max()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(0, 20))
def test_pairs_are_found_by_the_names_of_others(seed, count):
    case, rng = Case(recording()), np.random.default_rng(seed)
    rows = rng.integers(0, len(case.traces.columns.spans), (2, count + 5))
    _, keys = pairs_of(case, *rows[:, :5])
    columns = {name: keys[name].to_numpy(object) for name in KEYS}
    known = list(keys.itertuples(index=False, name=None))
    names = [names_of(case, *pair) for pair in rows.T.tolist()]
    at, place = pairs_among(case, *rows, columns)
    assert dict(zip(at.tolist(), place.tolist(), strict=True)) == {
        one: known.index(name) for one, name in enumerate(names) if name in known
    }


def test_without_occurrences_no_path_is_worked_out():
    case = Case(recording(), known={})  # of a part: asking for clock offsets is a LookupError
    assert not len(sums_of(lambda _: Occurrences.none(), ()).state(case))
    with pytest.raises(LookupError, match="needs="):
        sums_of(lambda _: Occurrences(*np.zeros((4, 1), np.int64)), ()).state(case)
