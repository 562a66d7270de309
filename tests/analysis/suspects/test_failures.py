"""More failures: the deepest failing span accuses, and only where the rate rose beyond chance."""

import numpy as np
import pytest
from drawn_spans import draw

from tracekit.analysis.suspects.deviations import HOW
from tracekit.analysis.suspects.failures import more_failures
from tracekit.analysis.suspects.windows import windows


def requests(marks, *, first=1):
    """web asks ledger, which asks a database without spans; marks say what fails, from the outside to the inside.

    ``w`` web's entry, ``c`` its client span, ``l`` ledger, ``d`` ledger's database call; ``-`` nobody answers.
    """
    lines = []
    for k, mark in enumerate(marks, first):
        begin = k * 1000
        error = {letter: "error" * (letter in mark) for letter in "wcld"}
        lines += [
            f"{k:x} 1 - web SERVER {begin} {begin + 900} name=GET {error['w']}",
            f"{k:x} 2 1 web CLIENT {begin + 100} {begin + 800} name=ask {error['c']}",
        ]
        if "-" not in mark:
            lines += [
                f"{k:x} 3 2 ledger SERVER {begin + 200} {begin + 700} name=read {error['l']}",
                f"{k:x} 4 3 ledger CLIENT {begin + 300} {begin + 400} name=SELECT {error['d']}",
            ]
    return draw("\n".join(lines))


def accused(before, now):
    both = windows(requests(before), requests(now, first=10_000))
    found = more_failures(*both)
    names = both[1].names
    return {
        (names.service[service], HOW[how], names.operation[both[1].operation[row]])
        for service, how, row in zip(found.service, found.how, found.row, strict=True)
    }


@pytest.mark.parametrize(
    ("mark", "wanted"),
    [
        ("wcld", ("ledger", "failing spans", "SELECT")),
        ("wcl", ("ledger", "failing spans", "read")),
        ("wc", ("web", "failing spans", "ask")),
        ("w", ("web", "failing spans", "GET")),
        ("wc-", ("ledger", "failing calls without an answer", "ask")),
    ],
)
def test_the_deepest_failing_span_accuses(mark, wanted):
    assert accused([""] * 100, [""] * 40 + [mark] * 20) == {wanted}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (0, 3),  # of 60: too few traces
        (30, 20),  # of 100 and 60: was frequent
        (100, 60),  # all, on both sides
    ],
)
def test_failures_that_are_no_more_frequent_accuse_nobody(before, now):
    assert accused(["wcl"] * before + [""] * (100 - before), ["wcl"] * now + [""] * (60 - now)) == set()


def test_failures_that_come_in_bursts_need_more_evidence():
    """5% of the baseline fail, all of them at once, or here and there."""
    now = [""] * 45 + ["wcl"] * 15
    burst = ["wcl"] * 20 + [""] * 380
    assert accused(burst, now) == set()
    mixed = np.random.default_rng(1).permutation(burst).tolist()
    assert {service for service, *_ in accused(mixed, now)} == {"ledger"}


def test_shares_are_of_the_traces_with_the_operation():
    both = windows(requests(([""] * 9 + ["wcl"]) * 10), requests(["wcl"] * 30 + [""] * 30, first=10_000))
    found = more_failures(*both)
    assert (found.baseline_share == 0.1).all()
    assert (found.current_share == 0.5).all()
    assert set(found.current_count) == {60}
    assert len(found.row) == 30
