"""The size of what the checks of a report keep of the parts of a store does not depend on their number."""

import pickle
from collections import Counter

import pytest
from made_spans import otlp_lines
from made_stores import make_store

import tracekit as tk
from tracekit.analysis import request_outcomes
from tracekit.checks.case import Case
from tracekit.checks.quality.clocks import kept_calls
from tracekit.checks.quality.propagation import ends
from tracekit.checks.registry import CHECKS, readings
from tracekit.checks.sampling import root_ids
from tracekit.checks.together import read_by
from tracekit.loading.store import rounds
from tracekit.loading.store.cluster import name_of
from tracekit.loading.store.execution import over_tasks
from tracekit.loading.store.rounds import Rounds

GROWING = {
    "kept_traces._KeptOf": 80,  # reservoirs need all traces of a second
    "orphans._named": 40,  # gaps need the order of all traces in time, as do the next two
    "silence._starts": 12,
    "id_randomness._ids": 24,
    "selection._seen": 64,  # the requests among which slow and failed ones are chosen
    "one_at_a_time._served": 200,  # of busy instances, until each has 4,096
    "stored._of_part": 500,  # requests and groups on their critical path
    "compute.tabulate": 150,  # times of requests, exact until they are 4,096
}
"""States with an entry for each trace, also beyond any limit here, and how many bytes it may have."""
LEAST = 20  # bytes for each trace, an id and a little: fewer may be larger numbers, not entries


@pytest.fixture
def small_limits(monkeypatch):
    """Limits that a small recording reaches."""
    for module, name, most in (
        (kept_calls, "MOST", 2),
        (kept_calls, "_LEAST", 2),
        (kept_calls, "_TRACES", 2),
        (ends, "MOST", 4),
        (ends, "_LEAST", 4),
        (request_outcomes, "MOST", 8),
        (root_ids, "MOST", 4),
    ):
        monkeypatch.setattr(module, name, most)


def states_of(store, monkeypatch):
    """Bytes of the states that the checks need of a store, by the function that makes them."""
    found, together = Counter(), Rounds()

    def over(tasks, partial, *rest):
        states = over_tasks(tasks, partial, *rest)
        names = [name_of(one) for _, several in partial.groups for one in several]
        for name, state in zip(names, states, strict=True):
            found[name] += len(pickle.dumps(state))
        return states

    monkeypatch.setattr(rounds, "over_tasks", over)
    together.run(readings(read_by(together, Case(store)), CHECKS))
    return found


@pytest.mark.usefixtures("small_limits")
def test_states_do_not_grow_with_the_number_of_parts(tmp_path, monkeypatch):
    """Copies of one recording: the same names and durations, so that what grows is kept trace by trace."""
    traces = tk.read("\n".join(otlp_lines(400, 3)).encode(), progress=False)
    few, many = (states_of(make_store(traces, tmp_path / str(n), n), monkeypatch) for n in (2, 4))
    more = {name: (many[name] - few[name]) / (2 * len(traces)) for name in few}
    assert len(more) > 40
    grown = {name: size for name, size in more.items() if size > GROWING.get(name, LEAST)}
    assert not grown, f"bytes for each trace of the store: {grown}; keep sums or a sample, or say why not in GROWING"
