"""Changed child operations: only what chance, bursts and the mix of requests do not explain."""

import numpy as np
import pytest
from drawn_spans import draw

from tracekit.analysis.suspects.deviations import HOW
from tracekit.analysis.suspects.shapes import changed_shapes
from tracekit.analysis.suspects.windows import windows


def requests(shapes, *, first=1):
    """One request per shape: each letter is a call of the service of that name; capitals are not answered."""
    lines = []
    for k, shape in enumerate(shapes, first):
        lines.append(f"{k:x} 1 - web SERVER {k * 1000} {k * 1000 + 900} name=GET")
        for at, letter in enumerate(shape, 1):
            begin = k * 1000 + 100 * at
            lines.append(f"{k:x} {2 * at:x} 1 web CLIENT {begin} {begin + 90} name=ask-{letter.lower()}")
            if letter.islower():
                lines.append(
                    f"{k:x} {2 * at + 1:x} {2 * at:x} service-{letter} SERVER {begin + 10} {begin + 80} name=do"
                )
    return draw("\n".join(lines))


def accused(before, now):
    both = windows(requests(before), requests(now, first=10_000))
    found = changed_shapes(*both)
    names = both[1].names.service
    return {(names[service], HOW[how]) for service, how in zip(found.service, found.how, strict=True)}


def test_a_shape_that_was_never_seen_and_is_frequent_accuses_its_service():
    assert accused(["ab"] * 200, ["ab"] * 60 + ["a"] * 20) == {("web", "other child operations")}


def test_calls_without_an_answer_accuse_the_callee():
    assert accused(["ab"] * 200, ["ab"] * 60 + ["aB"] * 20) == {("service-b", "calls without an answer")}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (["ab"] * 200, ["ab"] * 97 + ["a"] * 3),  # too few
        (["ab"] * 170 + ["a"] * 30, ["ab"] * 60 + ["a"] * 40),  # was not rare
        (["ab"] * 5, ["a"] * 50),  # too few before
    ],
)
def test_what_may_be_chance_accuses_nobody(before, now):
    assert accused(before, now) == set()


def test_a_stretch_of_the_baseline_like_the_current_side_accuses_nobody():
    before = ["ab"] * 380 + ["a"] * 20
    assert accused(before, ["ab"] * 30 + ["a"] * 20) == set()
    mixed = np.random.default_rng(2).permutation(before).tolist()
    assert accused(mixed, ["ab"] * 30 + ["a"] * 20) == {("web", "other child operations")}


def test_of_deviating_spans_only_the_deepest_accuses():
    """service-a stops calling service-c, and web is cut short because of it."""

    def tree(count, first, *, is_cut):
        lines = []
        for k in range(first, first + count):
            begin = k * 1000
            lines += [
                f"{k:x} 1 - web SERVER {begin} {begin + 900} name=GET",
                f"{k:x} 2 1 web CLIENT {begin + 100} {begin + 500} name=ask-a",
                f"{k:x} 3 2 service-a SERVER {begin + 110} {begin + 490} name=do",
            ]
            if is_cut and k % 2:
                continue
            lines += [
                f"{k:x} 4 3 service-a CLIENT {begin + 200} {begin + 300} name=ask-c",
                f"{k:x} 5 4 service-c SERVER {begin + 210} {begin + 290} name=do",
                f"{k:x} 6 1 web INTERNAL {begin + 600} {begin + 700} name=render",
            ]
        return draw("\n".join(lines))

    both = windows(tree(200, 1, is_cut=False), tree(80, 10_000, is_cut=True))
    found = changed_shapes(*both)
    assert {both[1].names.service[k] for k in found.service} == {"service-a"}
