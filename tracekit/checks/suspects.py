"""``tk.suspects``: which service explains the difference between two sets of traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.analysis.partials import check_on, placed
from tracekit.arguments import check_traces
from tracekit.checks.case import Case
from tracekit.checks.changes.suspects import suspects_between

if TYPE_CHECKING:
    from tracekit.analysis.suspects.result import Suspects
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet


def suspects(
    baseline: TraceSet | Parts, current: TraceSet | Parts, *, recovery: bool = False, on: On = None
) -> Suspects:
    """Return the services ranked by how well they explain the difference between two sets of traces.

    Parameters
    ----------
    baseline
        Traces of a healthy period.
    current
        Traces of the period to explain; of one recording, ``traces.between(start, end)``.
    recovery
        Simulate the current requests without the first suspect (takes several times as long), see ``what_if`` of
        ``tk.critical_path``.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Suspects
        ``.table`` (one row per service with evidence), ``.evidence``, ``.path``, ``.breakdown``, ``.findings``;
        ``.is_no_change`` if no evidence is significant.  Empty tables if the sides are not comparable.

    Raises
    ------
    TypeError
        An argument that is neither a TraceSet nor a TraceStore.
    ValueError
        ``on`` without a store.

    Notes
    -----
    Of a store with more than 200,000 spans, a random sample of whole traces with so many is compared, which ``sample``
    and the findings say; a trace is chosen by its id, so that the sample does not depend on the parts.

    Untrained; the same constants for all systems.  The spans of a trace that one service runs for one call are a
    component.  Elements are the self time of components, the gap of calls (client span minus the callee's span, so that
    constant clock offsets cancel), and the number of calls per trace; each has one value per trace.  An element with at
    least 5 baseline and 3 current traces is tested by how many values exceed the quantiles of both sides together
    (``stats.exceedance``: ranks only, so that one outlier does not decide; variation between stretches of the baseline
    widens the test).  For each service, five hypotheses compete: its self time is slower, calls to it, calls from it,
    self time and calls to it, or all; and a sixth, that it calls more often.  The score is the harmonic mean of the
    share of its elements that became slower and the share of all excess that they explain.

    Operations whose set of child operations was rare and is now frequent, and operations that fail more often, point to
    the service of the deepest such span.

    A suspect is ``likely`` if its elements are significant (p <= 0.05, adjusted for all elements) and add at least 5%
    to what requests with them took, or if it fails more often; ``possible`` if only its calls changed, because other
    requests may have caused that, or if another suspect explains more.  If the first suspect is neither, the answer is
    that the traces show no significant change.  Means are weighted; with uneven sampling weights, tests use weighted
    shares of the effective number of traces.  Time of a callee without instrumentation is counted as its caller's.

    On 24 faults injected into two systems, the injected service is the first of the ranking in 23; nobody is named in 2
    of them, and the other 22 verdicts are right (``tests/benchmarks/test_suspects.py``).  The levels of significance
    were set with these cases in view, so the share on other systems may be lower.

    Examples
    --------
    >>> before, during = tk.load_sample("checkout-regression")
    >>> found = tk.suspects(before, during)
    >>> found
    Suspects(ledger, own; sampling weights unknown)
    >>> found.path.loc[found.path["rank"] == 1, ["service_name", "step", "excess_ns"]].tail(1).to_numpy().tolist()
    [['ledger', 'self time', 38349844]]
    >>> print(tk.suspects(before, during, recovery=True).recovery)
    1.778e+07 ns (1.488e+07 to 2.105e+07, n = 1,000)
    >>> tk.suspects(before, before.between(None, "04:58")).is_no_change
    True
    """
    check_traces(baseline, "suspects")
    check_traces(current, "suspects")
    check_on(on, baseline, current)
    sides = [Case(placed(side, on)) for side in (current, baseline)]
    return suspects_between(sides[0], sides[1], with_recovery=recovery)
