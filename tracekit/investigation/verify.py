"""``tk.verify``: recompute every claim of a report from its sources, and list what differs."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.arguments import check_traces, is_store
from tracekit.errors import TracekitError
from tracekit.investigation.investigate import investigation_of
from tracekit.investigation.result import leave_unchanged
from tracekit.investigation.text import not_compared, text_differences
from tracekit.investigation.verification import COLUMNS, VERIFIED, Verification, differences, without
from tracekit.redaction import STANDARD
from tracekit.report.inputs import Inputs
from tracekit.report.ledger import ledger_in, ledger_of, page_of
from tracekit.report.printed_code import Reading
from tracekit.report.redaction import Outgoing
from tracekit.report.sides import sides_of
from tracekit.report.spans import spans_in
from tracekit.report.standard import Standard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.analysis.cost.prices import Price
    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.redaction.policy import Policy
    from tracekit.report.spans import Spans
    from tracekit.traces import TraceSet

_OPTIONS: Final = ("rules", "requests", "deployments", "logs", "slo", "prices")


def verify(
    report: str | PathLike[str],
    traces: TraceSet | TraceStore | None = None,
    *,
    baseline: TraceSet | TraceStore | None = None,
    logs: Any = None,
    rules: Any = None,
    requests: pd.DataFrame | None = None,
    deployments: pd.DataFrame | Mapping[str, Any] | None = None,
    slo: float | Mapping[str, Any] | None = None,
    prices: Sequence[Price | str] | None = None,
    redact: Policy | str | PathLike[str] | Mapping[str, Any] | None = STANDARD,
    template: str | PathLike[str] | None = None,
) -> Verification:
    """Recompute every claim of a report from its traces, render it again, and list what differs.

    Parameters
    ----------
    report
        File that ``tk.report``, ``Investigation.report``, ``Investigation.postmortem`` (also as Markdown) or a command
        wrote about one set of traces.
    traces, baseline
        The traces that it was made from, with the same sampling weights; of a report of stores, the stores, as
        ``tk.open`` returns them.  Without traces, the spans in the report are used, if it was written with
        ``embed=True``.
    logs, rules, requests, deployments, slo, prices
        The other inputs that it was made with, if any.  Without traces, those in the report are used where none is
        given here.
    redact
        Its policy, if that was neither the default nor None.
    template
        Template of a postmortem in Markdown, if it has one of its own.

    Returns
    -------
    Verification
        ``.is_verified``, ``.table``, ``.differences``.

    Raises
    ------
    TypeError
        Not a path, or not a TraceSet.
    TracekitError
        The file is not a report with claims, or cannot be read; no traces were given, and it contains none, or damaged
        ones.
    ValueError
        An input that the report was made with was not given; a TraceSet instead of a store, or the reverse.

    Notes
    -----
    Traces are compared by a checksum of all spans, attributes, events and links after redaction: a change inside a
    value that redaction masks is not seen.  Claims (the first screen, the findings, the sentence of each figure) are
    compared by their words and by their numbers to 1e-9.  Then the file is rendered again: its whole text
    has to be the same, line by line, and so has its markup, style and script, but for the colours of services.  The
    data of interactive views are not compared, nor are the pictures beside Markdown.  What does not follow from traces
    is taken from the file: a title, the time of writing, the names of the source files, and the code that reads them.

    A report with sections of one's own, or a template that is not given, cannot be rendered again: its text is *not
    compared*, and it is not verified.  Another version of tracekit may word or lay out the same differently; the result
    says which one wrote the file.

    With the spans in the report, they are compared as they are, after redaction: that shows that the claims follow from
    these spans, and from the log lines, rules, counts, deployments and goals with them, not that these are what was
    recorded.  What was removed is then as the report says.  Claims that need an input that is neither in the report nor
    given are listed as ``not recomputed``, and the text is not compared.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = tk.report(shop, f"{folder}/shop.html", baseline=baseline)
    ...     [tk.verify(page, one, baseline=baseline).is_verified for one in (shop, baseline)]
    [True, False]

    A report that contains its spans:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tk.verify(tk.report(shop, f"{folder}/shop.html", embed=True)).is_verified
    True
    """
    _check_arguments(report, traces, baseline)
    page = page_of(Path(report))
    stated, is_as_written = ledger_in(page, Path(report).name)
    has_template = bool(stated["page"].get("has_own_template"))
    if template is not None and not has_template:
        raise ValueError("expected no template=, as the report was made without one of its own, found one")
    own = None if traces is not None else _own_spans(page, Path(report).name)
    if own is not None:
        traces, baseline = own.traces, own.baseline
    assert traces is not None
    given = Inputs.of(logs=logs, rules=rules, requests=requests, deployments=deployments, slo=slo, prices=prices)
    outgoing = None if stated["redacted"] == "none" else Outgoing.of(redact)
    if own is not None:  # what is in a page is redacted already
        given, outgoing = _with_own(given, own, outgoing), None
    lacking = _lacking(stated, given, baseline)
    if own is None:
        _check_inputs(stated, lacking, redact)
    _check_kinds(stated, {"traces": traces, "baseline": baseline})
    again, found = _remade(stated, traces, baseline, given, outgoing, None if own is None else Path(report).name)
    why = _why_not_compared(stated, lacking, has_template=has_template and template is None)
    rows = [_as_written("claims", is_as_written)]
    rows += [] if own is None else [_as_written("spans", own.is_as_written)]
    rows += without(differences(stated, found), lacking)
    if why:
        rows.append(not_compared(why))
    else:
        rows += text_differences(page, stated, again, outgoing, is_own=own is not None, template=template)
    titled = ("title",) if stated["page"]["title"] else ()
    return Verification(pd.DataFrame(rows, columns=list(COLUMNS)), stated["tracekit"], found["tracekit"], titled)


def _check_arguments(report: Any, traces: Any, baseline: Any) -> None:
    """Raise TypeError for arguments of another type."""
    for one in (traces, baseline):
        if one is not None:
            check_traces(one, "verify")
    if traces is None and baseline is not None:
        raise TypeError("expected traces= with baseline=, found none; without both, the spans in the report are used")
    if not isinstance(report, str | PathLike):
        raise TypeError(f"expected the path of a report for tk.verify, found {type(report).__name__}")


def _why_not_compared(stated: Mapping[str, Any], lacking: Sequence[str], *, has_template: bool) -> str:
    """Return why the text of a report cannot be rendered again; nothing if it can."""
    if has_template:
        return "its template was not given"
    if lacking:
        return f"{' and '.join(lacking)} not given"
    return "it has sections of its own" if stated["page"].get("own_part_count") else ""


def _with_own(given: Inputs, own: Spans, outgoing: Outgoing | None) -> Inputs:
    """Return the inputs in a report, and those that were given instead, redacted as it is."""
    shown = given if outgoing is None else given.redacted(outgoing)
    return Inputs.of(**{**own.inputs.given, **shown.given})


def _own_spans(page: str, name: str) -> Spans:
    """Return the spans in a report."""
    found = spans_in(page, name)
    if found is None:
        raise TracekitError(
            f"expected traces, or a report that contains its spans, found none in {name}: pass the traces it was made"
            " from, or write it with embed=True (--embed-spans)"
        )
    return found


def _as_written(name: str, is_as_written: bool) -> tuple[str, ...]:
    """Return the row on the claims or spans in the file, as bytes."""
    return "file", name, VERIFIED if is_as_written else "different", "as written", "" if is_as_written else "edited"


def _lacking(stated: Mapping[str, Any], given: Inputs, baseline: TraceSet | TraceStore | None) -> list[str]:
    """Return the inputs that the report was made with and that are not given."""
    lacking = sorted(name for name in stated["inputs"] if name in _OPTIONS and name not in given.given)
    asked = stated["asked"]
    if baseline is None and ("baseline" in stated["inputs"] or ("baseline" in stated["sets"] and not asked)):
        lacking.append("baseline")
    return lacking


def _check_inputs(stated: Mapping[str, Any], lacking: Sequence[str], redact: Any) -> None:
    """Raise ValueError unless the inputs are those that the report was made with."""
    if lacking:
        names = " and ".join(f"{name}=" for name in lacking)
        raise ValueError(f"expected {names}, which the report was made with, found none; pass the same")
    if stated["redacted"] == "policy" and isinstance(redact, str) and redact == STANDARD:
        raise ValueError("expected redact=, as the report was made with a policy of its own, found none; pass the same")


def _check_kinds(stated: Mapping[str, Any], sets: Mapping[str, TraceSet | TraceStore | None]) -> None:
    """Raise ValueError where a store is given as a TraceSet or the reverse: some numbers of a store are rounded."""
    for name, one in sets.items():
        if one is not None and is_store(one) != (name in stated.get("by_parts", ())):
            raise ValueError(
                f"expected {name}= in memory, as the report was made, found a store; pass tk.read(...)"
                if is_store(one)
                else f"expected {name}= as a store, of which the report was made by parts, found a TraceSet;"
                " pass tk.open(...)"
            )


def _remade(
    stated: Mapping[str, Any],
    traces: TraceSet | TraceStore,
    baseline: TraceSet | TraceStore | None,
    given: Inputs,
    outgoing: Outgoing | None,
    page: str | None,
) -> tuple[Standard, dict[str, Any]]:
    """Return the report, made again, and its claims; TracekitError if inputs in its page cannot be used."""
    try:
        again = _again(stated, traces, baseline, given, outgoing)
        return again, ledger_of(again, outgoing, form=stated["form"])
    except (ValueError, TypeError) as error:
        if not page or not given.given:
            raise
        raise TracekitError(f"expected inputs of a report that can be used, found others in {page}: {error}") from error


def _again(
    stated: Mapping[str, Any],
    traces: TraceSet | TraceStore,
    baseline: TraceSet | TraceStore | None,
    given: Inputs,
    outgoing: Outgoing | None,
) -> Standard:
    """Return the report, made again, which says how its traces were read as it did."""
    asked, stated_reading = stated["asked"], Reading(**stated["reading"])
    if "investigate" in asked:
        is_same = outgoing is None or leave_unchanged((traces, baseline), given, outgoing)
        shown = investigation_of(traces, baseline, given, asked["investigate"])(None if is_same else outgoing)
        page = shown.postmortem_page(asked["postmortem"]) if "postmortem" in asked else shown.standard
        return replace(page, stated=stated_reading)
    now, before = (traces, baseline) if outgoing is None else (outgoing.set_of(traces), outgoing.set_of(baseline))
    return replace(Standard.between(sides_of(now, before, **asked), given, outgoing), stated=stated_reading)
