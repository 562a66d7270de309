"""Recordings of healthy systems for the first screen: alone, in pairs, and sampled in different ways."""

import numpy as np
from checks.first_screen import changes_of
from checks.quality.clean_worlds import recording

from tracekit import TraceSet

FAILING = 0.005  # of the calls to the payment service: healthy
ALARMS = ("critical", "warning")


def healthy(rng, case, n=None, *, minutes=20, mean=20, failing=FAILING):
    """The traces of a recording, and its requests by minute."""
    frame, requests = recording(rng, case, n=n, minutes=minutes, mean=mean, failing=failing)
    return TraceSet.from_spans(frame), requests


def _of_all(rng, n):
    """So many requests, all recorded."""
    return healthy(rng, "even", n, failing=0.03)[0]


def _complete(rng, n):
    return _of_all(rng, n).with_weights(1)


def _by_trace_state(rng, n):
    return healthy(rng, "recorded by ot=th", 2 * n, failing=0.03)[0]


def _head(rng, n):
    return _thinned(rng, n).with_weights(10)


def _thinned(rng, n):
    """What a head sampler of 10 % keeps that leaves no mark."""
    traces = _of_all(rng, 10 * n)
    return _only(traces, rng.random(len(traces)) < 0.1)


def _tail(rng, n):
    """What a tail sampler keeps: failed requests, slow ones, and a fifth of the rest."""
    traces = _of_all(rng, 3 * n)
    took = traces.summary["root_duration_ns"].to_numpy(float)
    share = np.where(traces.summary["is_error"] | (took > np.quantile(took, 0.9)), 1.0, 0.2)
    kept = rng.random(len(traces)) < share
    return _only(traces, kept).with_weights(dict(zip(np.array(traces.trace_ids)[kept], 1 / share[kept], strict=True)))


def _only(traces, kept):
    """The traces that were kept."""
    return traces.where(kept[traces.forest.trace])


WEIGHTED = {"complete": _complete, "ot=th 50 %": _by_trace_state, "head 10 %": _head, "tail": _tail}
UNKNOWN = {"complete": _of_all, "head 10 %": _thinned}


def warnings(findings):
    """The checks that warn or worse, with their severity."""
    return {(finding.check, finding.severity) for finding in findings if finding.severity in ALARMS}


def changes(current, baseline):
    """The findings of the first screen that compare."""
    return changes_of(baseline, current)
