"""A linter for X-Ray annotations and metadata: limits, cardinality, and misplaced keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.analysis.partials import over_parts
from tracekit.arguments import check_traces
from tracekit.aws.annotation_use import LONGEST_VALUE, MOST_ANNOTATIONS, NEAR, Used, used_in, used_in_part
from tracekit.findings import STATUS_OF_SEVERITY, Estimate, Finding, Findings, finding
from tracekit.schema import Origin
from tracekit.text import plural, round_ratio
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.aws.annotation_use import Largest
    from tracekit.findings import Severity
    from tracekit.parts import On, Parts

LONGEST_KEY: Final = 500
_KEY: Final = re.compile(r"[A-Za-z0-9_.]+")
_MIN_TRACES: Final = 50  # traces with a key before its values are checked
_UNBOUNDED: Final = 0.5
_FEW: Final = 20
_SHORT: Final = 100
_DOCUMENT: Final = 'X-Ray developer guide: "Annotation requirements", "Quotas"'
_SIZES: Final = "sizes count attributes only; documents are larger"


def annotation_lint(traces: TraceSet | Parts, *, on: On = None) -> Findings:
    """Return the problems of annotations and metadata in X-Ray segments.

    Parameters
    ----------
    traces
        X-Ray traces; spans of other formats are ignored.  A store is read part by part.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    Findings
        Violated limits: more than 50 annotations in a trace, keys over 500 characters or with characters other than
        letters, digits, underscores and dots, values over 1,000 characters, segments near 64 KB, traces near 500 KB or
        truncated by X-Ray.  Misplaced keys: high-cardinality annotations (about one value per trace), constant
        annotations, metadata suited for searching.  Each with its keys, traces or segments as evidence, the largest
        first.  Keys have ``trace_count``, ``value_count`` and ``value_error_ratio``, the relative standard error of
        that number.

    Raises
    ------
    ValueError
        ``on`` without a store.

    Notes
    -----
    Values are checked if at least 50 traces have the key.  High cardinality: more than half as many values as traces.
    Searchable metadata: text, numbers or booleans of at most 100 characters, 2 to 20 values, in more than half of the
    traces.  Source: AWS X-Ray developer guide, "Annotation requirements" and "Quotas".

    Of a store, the number of values of a key with more than 4,096 has a standard error of about 2%, and the 1,000
    largest traces and segments beyond a limit are evidence; the headline has the number of all.  All other numbers are
    those of the traces in memory.

    Examples
    --------
    >>> document = (
    ...     '{"id":"53995c3f42cd8ad8","trace_id":"1-58406520-a006649127e371903a2de979","name":"cart",'
    ...     '"start_time":1480615200.0,"end_time":1480615201.0,"annotations":{"customer name":"anna"}}'
    ... )
    >>> print(tk.annotation_lint(tk.read(document.encode())))
    warning: X-Ray does not index 1 annotation key for its characters: 'customer name'. Use letters, digits, ...
    """
    check_traces(traces, "annotation_lint")
    state = used_in if isinstance(traces, TraceSet) else used_in_part
    used = over_parts(traces, state, Used.plus, on=on).state
    checks = (_count, _keys, _values, _segments, _sizes, _unbounded, _constant, _searchable)
    return Findings([finding for check in checks for finding in check(used)])


def _finding(
    check: str,
    severity: Severity,
    headline: str,
    remedy: str,
    evidence: pd.DataFrame,
    n: int,
    *,
    count: int | None = None,
) -> Finding:
    """Return a finding with one row of evidence per problem, out of ``n``; ``count``: of so many problems."""
    count = len(evidence) if count is None else count
    return finding(
        check,
        STATUS_OF_SEVERITY[severity],
        headline,
        evidence,
        estimate=Estimate(count, "count", count, count, n=n),
        exemplars=tuple(evidence["trace_id"][:5]) if "trace_id" in evidence else (),
        assumptions=(_DOCUMENT, *[f"evidence: the {len(evidence):,} largest"] * (count > len(evidence))),
        remedy=remedy,
        severity=severity,
        code="tk.annotation_lint(traces)",
    )


def _listed(keys: pd.Series) -> str:
    """Return the first keys as text."""
    shown = ", ".join(repr(key[:40]) for key in keys[:5])
    return f"{shown} and {len(keys) - 5} more" if len(keys) > 5 else shown  # noqa: PLR2004 - the number shown


def _count(used: Used) -> list[Finding]:
    """Find traces with more annotations than X-Ray indexes."""
    over, evidence = used.crowded
    if not over:
        return []
    headline = (
        f"{plural(over, 'trace')} of {used.trace_count:,} {'has' if over == 1 else 'have'} more than"
        f" {MOST_ANNOTATIONS} annotations, up to {evidence['annotation_count'].max():,}: X-Ray indexes"
        f" {MOST_ANNOTATIONS} per trace."
    )
    remedy = "Move annotations that are not used in searches to metadata."
    return [_finding("annotations.count", "warning", headline, remedy, evidence, used.trace_count, count=over)]


def _keys(used: Used) -> list[Finding]:
    """Find keys that X-Ray does not index."""
    table = used.by_key(Origin.ANNOTATION)
    found = []
    for check, is_bad, why, remedy in (
        (
            "annotations.key",
            [_KEY.fullmatch(key) is None for key in table["key"]],
            "its characters",
            "Use letters, digits, underscores and dots.",
        ),
        (
            "annotations.key_length",
            [len(key) > LONGEST_KEY for key in table["key"]],
            f"its length above {LONGEST_KEY} characters",
            "Shorten it.",
        ),
    ):
        bad = table[np.array(is_bad, bool)]
        if len(bad):
            headline = f"X-Ray does not index {plural(len(bad), 'annotation key')} for {why}: {_listed(bad['key'])}."
            found.append(_finding(check, "warning", headline, remedy, bad, len(table)))
    return found


def _values(used: Used) -> list[Finding]:
    """Find values that are too long to be indexed."""
    table = used.by_key(Origin.ANNOTATION)
    bad = table[table["longest"] > LONGEST_VALUE]
    if not len(bad):
        return []
    headline = (
        f"Values of {plural(len(bad), 'annotation key')} are longer than {LONGEST_VALUE:,} characters, up to"
        f" {int(bad['longest'].max()):,}: {_listed(bad['key'])}."
    )
    remedy = "Move long texts to metadata."
    return [_finding("annotations.value", "warning", headline, remedy, bad, len(table))]


def _segments(used: Used) -> list[Finding]:
    """Find segments near X-Ray's size limit."""
    over, evidence = used.segments
    if not over:
        return []
    headline = (
        f"{plural(over, 'segment')} of {used.segment_count:,} {'has' if over == 1 else 'have'} at least"
        f" {round_ratio(NEAR)} of X-Ray's 64 KB limit, up to {evidence['size_bytes'].max():,} bytes; {_SIZES}."
    )
    remedy = "Send subsegments separately, or reduce metadata: X-Ray rejects larger segments."
    return [_finding("segment.size", "warning", headline, remedy, evidence, used.segment_count, count=over)]


def _sizes(used: Used) -> list[Finding]:
    """Find traces near X-Ray's size limit, and those truncated at it."""
    found, near = [], round_ratio(NEAR)
    cut = ("was", "were", "truncated by X-Ray, which stopped adding segments")
    large = ("has", "have", f"at least {near} of the 500 KB at which X-Ray stops adding segments; {_SIZES}")
    kinds: tuple[tuple[str, Largest, tuple[str, str, str], Severity], ...] = (
        ("trace.cut", used.cut, cut, "critical"),
        ("trace.size", used.large, large, "warning"),
    )
    for check, (count, evidence), (one, many, what), severity in kinds:
        if count:
            headline = f"{count:,} of {plural(used.trace_count, 'trace')} {one if count == 1 else many} {what}."
            remedy = "Split long work into linked traces, or reduce metadata."
            found.append(_finding(check, severity, headline, remedy, evidence, used.trace_count, count=count))
    return found


def _unbounded(used: Used) -> list[Finding]:
    """Find high-cardinality annotations."""
    table = used.by_key(Origin.ANNOTATION)
    table = table[table["trace_count"] >= _MIN_TRACES]
    bad = table[table["value_count"] > _UNBOUNDED * table["trace_count"]]
    if not len(bad):
        return []
    headline = (
        f"{plural(len(bad), 'annotation key')} {'is' if len(bad) == 1 else 'are'} high-cardinality, about one value"
        f" per trace: {_listed(bad['key'])}."
    )
    remedy = "Keep keys used to look up single traces; move times, request ids and free text to metadata."
    return [_finding("annotations.unbounded", "notice", headline, remedy, bad, len(table))]


def _constant(used: Used) -> list[Finding]:
    """Find annotations with the same value in every trace."""
    table = used.by_key(Origin.ANNOTATION)
    table = table[table["trace_count"] >= _MIN_TRACES]
    bad = table[(table["value_count"] == 1) & (table["trace_count"] == used.trace_count)]
    if not len(bad):
        return []
    verb = "differs" if len(bad) == 1 else "differ"
    headline = f"{plural(len(bad), 'annotation key')} never {verb}: {_listed(bad['key'])}."
    remedy = f"Move them to metadata: each takes one of {MOST_ANNOTATIONS} indexed annotations of every trace."
    return [_finding("annotations.constant", "info", headline, remedy, bad, len(table))]


def _searchable(used: Used) -> list[Finding]:
    """Find metadata that would be useful as annotations."""
    table = used.by_key(Origin.METADATA)
    table = table[table["trace_count"] >= _MIN_TRACES]
    few = table["value_count"].between(2, _FEW) & (table["longest"] <= _SHORT) & table["is_scalar"]
    found = table[few & (table["trace_count"] > used.trace_count / 2)]
    if not len(found):
        return []
    headline = (
        f"{plural(len(found), 'metadata key')} {'groups' if len(found) == 1 else 'group'} the traces into few values"
        f" but cannot be searched: {_listed(found['key'])}."
    )
    remedy = "Record them as annotations."
    return [_finding("metadata.searchable", "notice", headline, remedy, found, len(table))]
