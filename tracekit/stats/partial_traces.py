"""Rates of traces with spans that were sampled at different rates, so that some traces are incomplete.

The samplers share one random number a trace, so that the spans recorded are those whose probability lies above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tracekit.schema import Array


class Parts(NamedTuple):
    """Arguments of ``weighted_rate``, one entry per trace: probability, events and trials of the recorded part."""

    probability: Array
    events: Array
    trials: Array


def span_parts(trace: Array, probability: Array, failed: Array) -> Parts:
    """Return how many spans fail, each standing for 1 / its own probability.

    Parameters
    ----------
    trace
        Number of each span's trace, from 0; every trace has a span.
    probability
        Inclusion probability of each span.
    failed
        Whether it failed.

    Returns
    -------
    Parts
        ``events / probability`` and ``trials / probability`` are the Horvitz-Thompson sums of a trace; its probability
        is the harmonic mean of those of its spans.

    Examples
    --------
    A root kept at 10%, and a failed child kept at 50%:

    >>> parts = span_parts(np.array([0, 0]), np.array([0.1, 0.5]), np.array([False, True]))
    >>> (parts.events / parts.probability).round(6), (parts.trials / parts.probability).round(6)
    (array([2.]), array([12.]))
    """
    count = np.bincount(trace).astype(np.float64)
    trials = np.bincount(trace, 1 / probability)
    events = np.bincount(trace, np.where(failed, 1 / probability, 0.0))
    mean = count / trials
    return Parts(mean, events * mean, count)


def any_parts(trace: Array, probability: Array, failed: Array) -> Parts:
    """Return how many traces hold a failed span, seen or not.

    Parameters
    ----------
    trace, probability, failed
        As returned by ``span_parts``.

    Returns
    -------
    Parts
        Each trace stands for 1 / the largest probability of its spans, each one with a failed span recorded for 1 / the
        largest of its failed spans.

    Notes
    -----
    Unbiased: with one random number a trace, some span is in hand where it lies below the largest probability, and some
    failed span where it lies below the largest of those.  It need not be known whether a trace is complete.  The
    estimator of Ertl 2021 (arXiv 2107.07703) for a quantity f of the spans S_1 in S_2 in ... recorded at falling
    thresholds, ``sum_j (f(S_j) - f(S_j-1)) / p_j``, with f = "one failed".

    Examples
    --------
    >>> parts = any_parts(np.array([0, 0]), np.array([0.5, 0.1]), np.array([False, True]))
    >>> (parts.events / parts.probability).round(6), (parts.trials / parts.probability).round(6)
    (array([10.]), array([2.]))
    """
    largest, failing = np.zeros(int(trace.max(initial=-1)) + 1), np.zeros(int(trace.max(initial=-1)) + 1)
    np.maximum.at(largest, trace, probability)
    np.maximum.at(failing, trace[failed], probability[failed])
    events = np.where(failing > 0, largest / np.where(failing > 0, failing, 1), 0.0)
    return Parts(largest, events, np.ones(len(largest)))
