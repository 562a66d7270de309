"""The terms of reports and tables, each in one or two sentences: for ``tk.about`` and the tooltips of a report."""

from __future__ import annotations

from typing import Final, NamedTuple


class Term(NamedTuple):
    """A term of the field.

    Parameters
    ----------
    meaning
        One or two sentences, without a full stop at the end of the last.
    also
        Other names that readers search for, and heads of columns.
    call
        What computes or shows it.
    """

    meaning: str
    also: tuple[str, ...] = ()
    call: str = ""


GLOSSARY: Final = {
    # ---------------------------------------------------------------- traces
    "trace": Term("All recorded spans of one request, across services", ("traces",), "traces.summary"),
    "span": Term("One operation with a start and an end, such as a call, a query or a function", ("spans",)),
    "root span": Term("The span without a parent: usually the request as its first service saw it", ("root",)),
    "endpoint": Term("Service and operation of the root span", ("endpoints",), "tk.latency(traces, roots=True)"),
    "operation": Term("Name of what a span does, with ids and other varying parts removed", ("operations",)),
    "callee": Term("The service or resource that a call goes to; empty for work of the service itself"),
    "orphan span": Term(
        "A span whose parent is not in the recording: it was not sampled, not exported, or lost",
        ("missing parent", "orphan"),
        'tk.quality(traces, checks=["complete.spans"])',
    ),
    "incomplete": Term(
        "A trace without a root, with orphan spans or with spans that have no end",
        ("incomplete trace", "partial"),
        'traces.summary["partial"]',
    ),
    "exemplar trace": Term("A recorded trace that shows what the row or sentence says", ("exemplar",), "tk.waterfall"),
    "quarantined": Term("Records that could not be used; each has a row in traces.issues", call="traces.issues"),
    # ---------------------------------------------------------------- latency
    "latency": Term("Time from the start of a request to its end, as its root span has it", ("duration",)),
    "p50": Term("Half of the requests take at most so long (the median)", ("median",), "tk.latency(traces)"),
    "p95": Term("95% of the requests take at most so long; one in twenty takes longer", ("percentile",), "tk.latency"),
    "p99": Term("99% of the requests take at most so long; one in a hundred takes longer", call="tk.latency(traces)"),
    "self time": Term("Time of a span in which none of its children was running", call="tk.self_time(traces)"),
    "critical path": Term(
        "The spans that determine when a request ends: at each moment the one that the request waits for",
        ("critical-path time", "contribution"),
        "tk.critical_path(traces)",
    ),
    "slack": Term("How much later a span could have ended without making its request end later"),
    "drag": Term("How much earlier a request would have ended if a span had taken no time"),
    "what-if": Term(
        "The latency that requests would have had if spans had taken another time, all else unchanged",
        ("what_if",),
        "tk.critical_path(traces).what_if(...)",
    ),
    "requests affected": Term("Share of the requests with this operation on their critical path"),
    "calls/request": Term("Mean number of calls per request that makes at least one", ("calls per request",)),
    "N+1": Term(
        "The same call once for each of many items, in sequence, where one call could fetch all of them",
        ("n plus one", "n+1 pattern"),
        'tk.patterns(traces, checks=["patterns.n_plus_one"])',
    ),
    # ---------------------------------------------------------------- errors and objectives
    "error rate": Term(
        "Share of the finished requests whose root span failed",
        ("errors", "error ratio"),
        "tk.errors(traces, roots=True)",
    ),
    "fault (5xx)": Term("The callee failed: status 5xx, or an exception", ("fault",)),
    "client (4xx)": Term("The caller made a request that the callee refused: status 4xx", ("client error",)),
    "throttled (429)": Term("The callee refused because of too many requests: status 429", ("throttle",)),
    "unclassified": Term("Failed without a status or exception that says whose error it is"),
    "service level objective": Term(
        "Share of requests that have to be good, such as 99.9%", ("slo", "sli"), "tk.slo(traces, objective=0.999)"
    ),
    "error budget": Term(
        "Number of requests that may be bad in a period without missing the objective", ("budget",), "tk.slo"
    ),
    "burn rate": Term(
        "How many times faster than planned the error budget is spent; at 1 it lasts exactly the period", call="tk.slo"
    ),
    # ---------------------------------------------------------------- comparison
    "baseline": Term("Earlier traces of the same system that the current ones are compared with", ("current",)),
    "regressed": Term("Significantly worse than the baseline", ("regression",), "tk.compare"),
    "95% CI": Term(
        "Confidence interval: computed in this way, 95 of 100 intervals contain the value of the service. Not a range"
        " of single requests",
        ("confidence interval", "ci", "95% ci of p95"),
    ),
    "not significant": Term("The difference may be chance; that is no proof that nothing changed", ("n.s.", "p-value")),
    "false discovery rate": Term(
        "Expected share of wrong entries among those reported as significant; 5% unless stated", ("fdr",)
    ),
    "not estimable": Term("The data are too few, or of a kind, that no honest interval exists for the value"),
    "onset": Term(
        "When a change began, with an interval that contains the true time in 95 of 100 cases", call="tk.timeline"
    ),
    "suspect": Term(
        "A service whose self time or errors explain part of the change, after what its callees explain",
        ("suspects",),
        "tk.suspects",
    ),
    # ---------------------------------------------------------------- sampling
    "sampling weight": Term(
        "How many requests a recorded trace represents: 1 / its probability of being kept",
        ("weight", "adjusted count", "inclusion probability"),
        "traces.weights",
    ),
    "head sampling": Term(
        "Whether to keep a trace is decided at its start, before its outcome is known", ("probability sampling",)
    ),
    "tail sampling": Term(
        "Whether to keep a trace is decided after its end, so that failed and slow ones can be kept more often"
    ),
    "reservoir": Term(
        "The first traces of each second are kept whatever the rate; X-Ray keeps one per second by default",
        ("token bucket",),
        "tk.sampling(traces)",
    ),
    "sampling bias": Term(
        "Recorded traces differ from all requests: some kinds were kept more often, so unweighted error rates and"
        " percentiles are wrong for the service",
        ("bias", "over-sampled", "under-sampled"),
        "tk.sampling(traces)",
    ),
    "trace coverage": Term("Share of the requests with a trace, by service or route", ("coverage",), "tk.coverage"),
    "effective sample size": Term(
        "How many traces of equal weight would give intervals as narrow as these", ("n_effective", "design effect")
    ),
    # ---------------------------------------------------------------- quality of the data
    "clock skew": Term(
        "Clocks of two hosts differ, so that a child seems to run outside its parent", ("skew",), "tk.clock_skew"
    ),
    "broken context propagation": Term(
        "The trace context does not reach the next service, which then begins a trace of its own",
        ("context propagation",),
        'tk.quality(traces, checks=["propagation.break"])',
    ),
    "collection gap": Term(
        "A period in which requests were served but no spans were recorded", ("gap",), "tk.collection_gaps"
    ),
    "ingestion lag": Term("Time from the end of a span to its arrival in the backend", ("lag", "late spans")),
    "duplicate span": Term("The same span more than once: repeated exports, or a proxy and its application", ("dup",)),
    "high-cardinality attribute": Term(
        "An attribute or name with a new value for almost each request, which makes grouping by it useless",
        ("cardinality", "high cardinality"),
    ),
    "PII": Term("Personally identifiable information, such as an e-mail address", ("personal data", "privacy")),
}
"""By name, in the spelling of the reports; grouped by subject."""


def definition_of(words: str) -> str:
    """Return the meaning of a column head or term as a sentence; empty if it is not in the glossary.

    Examples
    --------
    >>> definition_of("self time")
    'Time of a span in which none of its children was running.'
    >>> definition_of("p95 (baseline)")
    '95% of the requests take at most so long; one in twenty takes longer.'
    >>> definition_of("size")
    ''
    """
    plain = words.removesuffix(" (baseline)").removesuffix(" (current)")
    name = NAMES.get(plain.casefold())
    return f"{GLOSSARY[name].meaning}." if name else ""


NAMES: Final = {
    word.casefold(): name
    for also in (True, False)  # a name of its own comes before another name of something else
    for name, term in GLOSSARY.items()
    for word in ((*term.also,) if also else (name,))
}
"""Name of the term by each of its names, in lower case."""
