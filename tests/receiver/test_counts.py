"""Numbers of what was received: they stay small however much comes."""

import numpy as np

from tracekit.receiver import counts
from tracekit.receiver.counts import Tally
from tracekit.receiver.intake import Intake


def intake(keys, names=("shop",)):
    return Intake(b"", 2, 1, 0, "", np.array(keys, np.uint64), frozenset(names))


def test_requests_add_up():
    tally = Tally()
    tally.add(intake([1, 2]))
    tally.add(intake([2, 2**64 - 1], ["shop", "ledger"]))
    assert str(tally.now) == "4 spans, 3 traces, 2 services, 2 errors"
    assert tally.now.request_count == 2


def test_beyond_the_most_they_are_not_counted_exactly(monkeypatch):
    monkeypatch.setattr(counts, "MOST_KEYS", 1000)
    tally = Tally()
    for first in range(0, 3000, 600):
        tally.add(intake(range(first, first + 600)))
    assert tally.now.trace_count == 1200, "the set is not filled further"
    assert str(tally.now).startswith("10 spans, 1,200+ traces, 1 service, ")


def test_the_reason_of_the_last_refusal_is_shown_on_one_line():
    tally = Tally()
    tally.refuse("first")
    tally.refuse("expected \x1b[31mgood\n things " * 20)
    shown = str(tally.now)
    assert shown.startswith("0 spans, 0 traces, 0 services, 0 errors, 2 requests refused (last: expected")
    assert "\x1b" not in shown
    assert "\n" not in shown
    assert shown.endswith("…)")
    assert len(shown) < 260
