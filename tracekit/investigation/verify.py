"""``tk.verify``: recompute every claim of a report from its sources, and list what differs."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.arguments import check_traces
from tracekit.errors import TracekitError
from tracekit.investigation.investigate import investigate
from tracekit.investigation.verification import COLUMNS, VERIFIED, Verification, differences, without
from tracekit.redaction.policy import STANDARD
from tracekit.report.inputs import Inputs
from tracekit.report.ledger import ledger_in, ledger_of, not_shown, shown_count, words_of
from tracekit.report.postmortem import facts_of
from tracekit.report.redaction import Outgoing
from tracekit.report.sides import sides_of
from tracekit.report.spans import spans_in
from tracekit.report.standard import Standard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
) -> Verification:
    """Recompute every claim of a report from its traces, and list what differs.

    Parameters
    ----------
    report
        File that ``tk.report``, ``Investigation.report``, ``Investigation.postmortem`` (also as Markdown) or a command
        wrote about one set of traces.
    traces, baseline
        The traces that it was made from, with the same sampling weights; of a report of stores, the stores.  Without
        traces, the spans in the report are used, if it was written with ``embed=True``.
    logs, rules, requests, deployments, slo, prices
        The other inputs that it was made with, if any.  Without traces, those in the report are used where none is
        given here.
    redact
        Its policy, if that was neither the default nor None.

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
        An input that the report was made with was not given.

    Notes
    -----
    Traces are compared by a checksum of all spans, attributes, events and links after redaction: a change inside a
    value that redaction masks is not seen.  Claims (the first screen, the findings, the sentence of each figure) are
    compared by their words and by their numbers to 1e-9, and the page has to show their words, as often as when it was
    written.  The appendix of a postmortem has to follow from the options and checksums; of its files only the names
    are known; a template of one's own need not show it, nor all sentences.  Tables, tiles, charts and headings
    of the page are not compared.

    With the spans in the report, they are compared as they are, after redaction: that shows that the claims follow from
    these spans, and from the log lines, rules, counts, deployments and goals with them, not that these are what was
    recorded.  Claims that need an input that is neither in the report nor given are listed as ``not recomputed``.

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
    if traces is not None:
        check_traces(traces, "verify", stores=True)
    if baseline is not None:
        check_traces(baseline, "verify", stores=True)
    if traces is None and baseline is not None:
        raise TypeError("expected traces= with baseline=, found none; without both, the spans in the report are used")
    if not isinstance(report, str | PathLike):
        raise TypeError(f"expected the path of a report for tk.verify, found {type(report).__name__}")
    page = _page(Path(report))
    stated, is_as_written = ledger_in(page, Path(report).name)
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
    try:
        again = _again(stated["asked"], traces, baseline, given, outgoing)
        found = ledger_of(again, outgoing, form=stated.get("form", "page"))
    except (ValueError, TypeError) as error:
        if own is None or not own.inputs.given:
            raise
        message = f"expected inputs of a report that can be used, found others in {Path(report).name}: {error}"
        raise TracekitError(message) from error
    rows = [_as_written("claims", is_as_written)]
    rows += [] if own is None else [_as_written("spans", own.is_as_written)]
    rows += [*without(differences(stated, found), lacking), *_shown(stated, words_of(page))]
    return Verification(pd.DataFrame(rows, columns=list(COLUMNS)), stated["tracekit"], found["tracekit"])


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


def _page(path: Path) -> str:
    """Return the text of a report."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TracekitError(f"expected a report to read, found {path}: {error}") from error


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


def _again(
    asked: Mapping[str, Any],
    traces: TraceSet | TraceStore,
    baseline: TraceSet | TraceStore | None,
    given: Inputs,
    outgoing: Outgoing | None,
) -> Standard:
    """Return the report, made again."""
    now, before = (traces, baseline) if outgoing is None else (outgoing.set_of(traces), outgoing.set_of(baseline))
    if "investigate" in asked:
        found = investigate(now, before, steps=asked["investigate"], **given.given)
        shown = found if outgoing is None else found.redacted(outgoing)
        return shown.postmortem_page(asked["postmortem"]) if "postmortem" in asked else shown.standard
    return Standard.between(sides_of(now, before, **asked), given, outgoing)


def _shown(stated: Mapping[str, Any], words: str) -> Iterator[tuple[str, ...]]:
    """Yield a row for each claim, and each fact of the appendix, whose words the page does not show as often."""
    for claim in not_shown(stated, words):
        yield "text", claim["id"], "not shown", claim["text"], ""
    for name, fact in facts_of(stated) if stated.get("files") and not stated.get("is_own_template") else ():
        if not any(shown_count(f"{name}{mark}{fact}", words) for mark in ("", ":")):
            yield "text", f"appendix {name}", "not shown", fact, ""
