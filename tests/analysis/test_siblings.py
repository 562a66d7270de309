"""Groups of equal calls against plain loops."""

import numpy as np
from drawn_spans import draw
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.analysis.callees import called_services
from tracekit.analysis.siblings import calls_of, siblings

SERVICES, NAMES, KINDS = ("web", "cart", "ledger"), ("get", "put"), ("CLIENT", "SERVER", "INTERNAL")
spans = st.tuples(  # parent, service, name, kind, start, duration, inferred: few values, so that many are equal
    st.integers(0, 4), *(st.sampled_from(names) for names in (SERVICES, NAMES, KINDS)),
    st.integers(0, 3), st.integers(0, 3), st.integers(0, 5),
)  # fmt: skip


def drawn(rows):
    """Two equal traces; the parent of a span is one of those before it."""
    lines = []
    for trace in ("1", "2"):
        for at, (parent, service, name, kind, start, took, inferred) in enumerate(rows):
            up = "-" if at == 0 else f"{min(parent, at - 1) + 1:x}"
            line = f"{trace} {at + 1:x} {up} {service} {kind} {start} {start + took} name={name}"
            lines.append(line + " inferred" * (at > 0 and inferred == 0))
    return draw("\n".join(lines))


def visible(forest, inferred, row):
    up = forest.parent_row[row]
    while up >= 0 and inferred[up]:
        up = forest.parent_row[up]
    return int(up)


@settings(deadline=None, max_examples=60)
@given(st.lists(spans, min_size=1, max_size=12))
def test_calls_are_grouped_and_ordered_as_by_loops(rows):
    traces = drawn(rows)
    spans, service = traces.columns.spans, traces.spans["service_name"].tolist()
    inferred, name, kind = traces.is_inferred, traces.spans["operation"].tolist(), traces.spans["kind"].tolist()
    up = [visible(traces.forest, inferred, row) for row in range(len(name))]
    callee = []
    for row in range(len(name)):
        below = {service[child] for child, above in enumerate(up) if above == row} - {service[row]}
        callee.append(below.pop() if len(below) == 1 else None)
    found_callee = called_services(traces)
    assert [found_callee.at(row) for row in range(len(name))] == callee
    groups = {}
    for row in range(len(name)):
        if up[row] < 0 or inferred[row] or not (kind[row] == "CLIENT" or service[row] != service[up[row]]):
            continue
        groups.setdefault((up[row], service[row], name[row], callee[row]), []).append(row)
    calls = calls_of(traces)
    pairs = [(key[0], row) for key, rows in groups.items() for row in rows]
    assert list(zip(calls.parent.tolist(), calls.row.tolist(), strict=True)) == sorted(pairs)
    found = siblings(traces, found_callee)
    rows_of = [found.row[low:high].tolist() for low, high in zip(found.first, found.first[1:], strict=False)]
    start, end = spans.start_ns.tolist(), spans.end_ns.tolist()
    wanted = {key: sorted(calls, key=lambda row: (start[row], end[row], row)) for key, calls in groups.items()}
    assert sorted(rows_of) == sorted(wanted.values())
    assert found.parent.tolist() == sorted(found.parent.tolist()) == [up[calls[0]] for calls in rows_of]
    follows = [
        at > 0 and start[row] >= max(end[earlier] for earlier in calls[:at])
        for calls in rows_of
        for at, row in enumerate(calls)
    ]
    assert found.follows.tolist() == follows
    assert np.array_equal(found.call_count, [len(calls) for calls in rows_of])
