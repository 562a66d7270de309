"""Traces whose spans were thinned each at its own rate, against all that could have happened."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.stats.partial_traces import any_parts, span_parts

RATES = [0.125, 0.25, 0.5, 1.0]
SPANS = st.lists(st.tuples(st.sampled_from(RATES), st.booleans()), min_size=1, max_size=6)


def expectation(spans, parts, what):
    """The mean of an estimate over the random number of the trace, exactly: it matters between the rates only."""
    rate, failed = (np.array(column) for column in zip(*spans, strict=True))
    total, low = 0.0, 0.0
    for high in [*RATES, 1.0]:
        kept = rate >= high
        if high > low and kept.any():
            found = parts(np.zeros(kept.sum(), int), rate[kept], failed[kept])
            total += (high - low) * float((getattr(found, what) / found.probability)[0])
        low = high
    return total


@given(SPANS)
def test_spans_and_failed_spans_are_counted_without_bias(spans):
    failed = sum(one for _, one in spans)
    assert expectation(spans, span_parts, "trials") == pytest.approx(len(spans))
    assert expectation(spans, span_parts, "events") == pytest.approx(failed)


@given(SPANS)
def test_traces_and_traces_with_a_failed_span_are_counted_without_bias(spans):
    assert expectation(spans, any_parts, "trials") == pytest.approx(1)
    assert expectation(spans, any_parts, "events") == pytest.approx(float(any(one for _, one in spans)))


def test_traces_are_distinguished():
    trace, rate = np.array([0, 0, 1]), np.array([0.5, 0.25, 0.1])
    parts = any_parts(trace, rate, np.array([True, True, False]))
    assert (parts.events / parts.probability).tolist() == pytest.approx([2, 0])
    assert (parts.trials / parts.probability).tolist() == pytest.approx([2, 10])
    parts = span_parts(trace, rate, np.array([True, True, False]))
    assert (parts.events / parts.probability).tolist() == pytest.approx([6, 0])
    assert (parts.trials / parts.probability).tolist() == pytest.approx([6, 10])
