"""The answers of the evidence server: what each tool computes, once, and how it is put into an answer."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np
import pandas as pd

from tracekit.arguments import is_store
from tracekit.checks.comparison import changes_of
from tracekit.checks.differing import differing
from tracekit.checks.measured import BASELINE, CHANGE, CURRENT, SUBJECT, measured, stated
from tracekit.errors import RenderError, TracekitError
from tracekit.evidence.answer import as_text, fitted, item_of
from tracekit.evidence.exemplars import nearest_spans, wanted_by, wanted_by_finding
from tracekit.evidence.leaving import leaving_findings, redacted_rows, redacted_services
from tracekit.evidence.one_trace import details, spans_in_order, with_trace
from tracekit.evidence.verdict import ruling
from tracekit.investigation.investigate import investigate
from tracekit.report.printed_code import reading
from tracekit.text import clean
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.investigation.result import Investigation
    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.parts import Parts
    from tracekit.report.redaction import Outgoing

Row = dict[Hashable, Any]
Answer = dict[str, Any]
_BY: Final = {"service": ("service_name",), "operation": ("service_name", "operation")}
_ENDPOINT: Final = "endpoint"
_NOT_REDACTED: Final = "Not redacted: answers may contain personal data and secrets."
_OF_DATA: Final = ("screen.period", "screen.caveat", "screen.weak", "weights")
_NO_BASELINE: Final = "expected a baseline to compare with, found none; start the server with --baseline FILES"
_NAMED: Final = 40  # services in an item


class Evidence:
    """Everything that the tools of one set of traces answer from; the expensive parts are computed once and kept.

    Parameters
    ----------
    traces, baseline
        The traces to explain, and earlier ones of the same system; stores of them are read part by part.
    outgoing
        What redacts the answers; None for no redaction.
    on_step
        Called with the title of each step of the investigation.
    """

    def __init__(
        self,
        traces: TraceSet | TraceStore,
        baseline: TraceSet | TraceStore | None = None,
        *,
        outgoing: Outgoing | None = None,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self._given = traces, baseline
        self._outgoing = outgoing
        self._on_step = on_step
        self._said: set[str] = set()

    # ---------------------------------------------------------------- computed once

    @cached_property
    def sides(self) -> tuple[TraceSet | TraceStore, TraceSet | TraceStore | None]:
        """The traces and the baseline as they may leave; stores as they are, as their answers are redacted."""
        traces, baseline = self._given
        if self._outgoing is None:
            return traces, baseline
        return self._outgoing.set_of(traces), self._outgoing.set_of(baseline)

    @cached_property
    def found(self) -> Investigation:
        """The investigation of what may leave."""
        found = investigate(*self.sides, on_step=self._say_step)
        return found if self._redacting is None else found.redacted(self._redacting)

    @property
    def _redacting(self) -> Outgoing | None:
        """What redacts answers from stores; None for traces in memory, which are redacted before, or no redaction."""
        return self._outgoing if any(map(is_store, self._given)) else None

    def _say_step(self, title: str, *_: int) -> None:
        """Pass the title of a step on, once: what may leave of a store is investigated after the store itself."""
        if self._on_step is not None and title not in self._said:
            self._said.add(title)
            self._on_step(title)

    @property
    def case(self) -> Case:
        """The traces to explain, with the baseline that was given or found."""
        return self.found.standard.case

    @cached_property
    def findings(self) -> dict[str, Finding]:
        """The lines of the first screen and all findings by their ids."""
        names: dict[str, Finding] = {}
        counts: dict[str, int] = {}
        for found in (*self.found.first_screen, *self.found.findings):
            counts[found.check] = counts.get(found.check, 0) + 1
            names[f"{found.check}-{counts[found.check]}"] = found
        return names

    @cached_property
    def _measured(self) -> pd.DataFrame:
        """The measured numbers of both sides, of stores with names that may not leave."""
        affected = [dict(found.values) for found in self.found.findings if found.check == "affected"]
        keys = dict.fromkeys(str(values["key"]) for values in affected if "key" in values)
        rows = measured(self.case, keys=list(keys))
        return rows.assign(id=[f"measured-{at + 1}" for at in range(len(rows))])

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The measured numbers of both sides."""
        return self._measured if self._redacting is None else redacted_rows(self._measured, self._redacting)

    @cached_property
    def _exemplars(self) -> dict[str, Sequence[str]]:
        """Ids of an exemplar trace and span of each finding and number that has none of its own."""
        wanted = {name: wanted_by_finding(one) for name, one in self.findings.items() if not one.exemplars}
        lacking = self._measured[self._measured["trace_id"] == ""]
        wanted |= {str(row["id"]): wanted_by(row) for row in lacking.to_dict("records")}
        known = nearest_spans(self.case, [one for one in wanted.values() if one is not None])
        return {name: known.get(one, ()) for name, one in wanted.items() if one is not None}

    @cached_property
    def names(self) -> list[str]:
        """Names of services, operations and attributes in the measured numbers."""
        return sorted({str(name) for column in SUBJECT for name in self.rows[column].unique() if name})

    @cached_property
    def is_comparable(self) -> bool:
        """Whether changes may be claimed."""
        changes = self.case.result(changes_of)
        return changes is not None and changes.is_comparable

    @cached_property
    def _reading(self) -> str:
        """The code that reads the traces."""
        before = self.case.baseline
        return reading(self.case.source, None if before is None else before.source)

    # ---------------------------------------------------------------- tools

    def overview(self, start: int = 0) -> Answer:
        """Return what was recorded: numbers of all requests, sampling, baseline, and what weakens conclusions."""
        now, before = self.case.source, self.case.baseline
        counts = {"traces": _counts(now)} | ({} if before is None else {"baseline": _counts(before.source)})
        rows = self.rows[(self.rows[list(SUBJECT)] == "").all(axis=1) & (self.rows["scope"] == "requests")]
        rows = rows[rows["metric"].isin(("p50", "p95", "mean", "error_ratio"))]
        names = [name for name in self.findings if name.startswith(_OF_DATA)]
        services = redacted_services(_services(now), self._redacting)
        parts = [services[at : at + _NAMED] for at in range(0, len(services), _NAMED)]
        items = [
            *(self._item(name) for name in names),
            *self._stated(rows),
            {"id": "reading", "says": "What traces and before are in the code of findings.", "code": self._reading},
            {"id": "redaction", "says": _NOT_REDACTED if self._outgoing is None else self._outgoing.statement},
            *({"id": f"services-{at + 1}", "names": part} for at, part in enumerate(parts)),
        ]
        head = {"counts": counts, "severity": self.found.severity, "next": "investigate()"}
        return fitted(head, items, lambda at: f"overview(start={at})", start=start)

    def investigate(self, start: int = 0, finding: str = "") -> Answer:
        """Return the first screen and all findings, the most severe first; or one of them."""
        if finding:
            of_measured = self.rows[self.rows["id"] == finding]
            if len(of_measured):
                return fitted({"severity": self.found.severity}, self._stated(of_measured), lambda _: "")
            if finding not in self.findings:
                raise TracekitError(
                    f"expected the id of a finding, such as {next(iter(self.findings))}; investigate() lists them"
                )
            return fitted({"severity": self.found.severity}, [self._item(finding)], lambda _: "")
        items = [self._item(name) for name in self.findings]
        return fitted({"severity": self.found.severity}, items, lambda at: f"investigate(start={at})", start=start)

    def compare(self, by: str = "operation", start: int = 0) -> Answer:
        """Return what changed from the baseline: by endpoint, or the change of the mean latency by its parts."""
        changes = self.case.result(changes_of)
        if changes is None:
            raise TracekitError(_NO_BASELINE)
        head = {"is_comparable": changes.is_comparable, "sampling": changes.comparability.statement}
        rows = self.rows
        if _chosen(by, (*_BY, _ENDPOINT)) == _ENDPOINT:
            mine = rows[(rows["scope"] == "requests") & (rows["operation"] != "") & (rows["attribute_key"] == "")]
            mine = mine[mine["metric"].isin(("p50", "p95", "error_ratio", "request_count"))]
            order = mine.groupby(list(SUBJECT), sort=False)["value"].transform("max")
            mine = mine.loc[order.sort_values(ascending=False, kind="stable").index]
        else:
            whole = rows[(rows["side"] == CHANGE) & (rows["metric"] == "mean")]
            parts = rows[
                (rows["side"] == CHANGE) & rows["metric"].isin(("path_time", "change_share")) & _is_by(rows, by)
            ]
            sizes = parts.groupby(list(SUBJECT), sort=False)["value"].transform(lambda values: values.abs().max())
            mine = pd.concat([whole, parts.loc[sizes.sort_values(ascending=False, kind="stable").index]])
        return fitted(head, self._stated(mine), lambda at: f"compare(by={by!r}, start={at})", start=start)

    def critical_path(self, by: str = "service", side: str = CURRENT, start: int = 0) -> Answer:
        """Return who requests wait for: critical-path time and share of the latency by service or operation."""
        if _chosen(side, (CURRENT, BASELINE)) == BASELINE and self.case.baseline is None:
            raise TracekitError(_NO_BASELINE)
        rows, _ = self.rows, _chosen(by, tuple(_BY))
        mine = rows[(rows["side"] == side) & rows["metric"].isin(("path_time", "latency_share")) & _is_by(rows, by)]
        order = mine.groupby(list(SUBJECT), sort=False)["value"].transform("max")
        mine = mine.loc[order.sort_values(ascending=False, kind="stable").index]
        call = f"critical_path(by={by!r}, side={side!r}, start="
        return fitted({"side": side}, self._stated(mine), lambda at: f"{call}{at})", start=start)

    def attributes(self, selection: str = "slowest 5%", start: int = 0) -> Answer:
        """Return the attribute values that set slow, failed or otherwise selected traces apart from the others."""
        before = self.case.baseline
        if selection == BASELINE and before is None:
            raise TracekitError(_NO_BASELINE)
        chosen: Any = before.source if selection == BASELINE and before is not None else selection
        code = f"tk.what_differs(traces, {'before' if selection == BASELINE else repr(selection)}, pairs=False).table"
        found = leaving_findings(differing(self.case.source, chosen, code=code), self._redacting)
        items = [item_of(one, f"differs-{at + 1}") for at, one in enumerate(found)]
        return fitted(
            {}, items, lambda at: f"attributes(selection=..., start={at}) with the same selection", start=start
        )

    def show_trace(self, trace_id: str, span_id: str = "", start: int = 0) -> Answer:
        """Return the spans of a trace in order, or the attributes and events of one of its spans."""
        traces = with_trace(self.sides, trace_id)
        traces = traces if self._redacting is None else self._redacting.traces(traces)
        name = traces.trace_ids[0]
        spans = traces.spans
        if span_id:
            place = np.flatnonzero(spans["span_id"].to_numpy(str) == span_id.strip().lower())
            if not len(place):
                raise TracekitError(
                    "expected the id of a span of this trace, found none; show_trace(trace_id) lists them"
                )
            items = details(traces, int(place[0]))
            call = f"show_trace('{name}', span_id='{spans['span_id'].iloc[place[0]]}', start="
            return fitted(
                {"trace_id": name, "code": f"traces.trace('{name}').attributes"},
                items,
                lambda at: f"{call}{at})",
                start=start,
                name="attributes",
            )
        code = f"tk.waterfall(traces, '{name}')"
        return fitted(
            {"trace_id": name, "code": code},
            spans_in_order(traces),
            lambda at: f"show_trace('{name}', start={at})",
            start=start,
            name="spans",
        )

    def verify_claim(self, claim: str) -> Answer:
        """Return whether a claim follows from the traces: true, false or not decidable, with the derived number."""
        quoted = next((name for name, one in self.findings.items() if _words(one.headline) == _words(claim)), None)
        if quoted is not None:
            head = {"verdict": "true", "reason": "it is the sentence of a finding, derived from these traces"}
            return fitted(head, [self._item(quoted)], lambda _: "")
        found = ruling(claim, self.rows, is_comparable=self.is_comparable)
        shown = found.used or found.nearest
        what = "findings used" if found.used else "nearest findings, for a claim that can be decided"
        head = {"verdict": found.word, "reason": "; ".join(found.reasons), "findings_are": what}
        if found.used and found.nearest:
            shown = (*found.used, *found.nearest)
            head["findings_are"] = (
                f"{len(found.used)} findings used, then {len(found.nearest)} nearest to what is not decidable"
            )
        return fitted(head, self._stated(pd.DataFrame(list(shown))), lambda _: "claim one thing at a time")

    # ---------------------------------------------------------------- parts of answers

    def checked(self, answer: Answer, arguments: str) -> str:
        """Return an answer as text; TracekitError if it contains a value that was removed."""
        text = as_text(answer)
        self.check_text(text, arguments)
        return text

    def check_text(self, text: str, arguments: str) -> None:
        """Raise a TracekitError if a text contains a removed value, except those that the caller said."""
        if self._outgoing is None:
            return
        try:
            self._outgoing.check(text.encode("utf-8"), "the answer", known=arguments)
        except RenderError as error:
            raise TracekitError(
                "the answer was withheld: it contains a value that was removed from the traces"
            ) from error

    def _item(self, name: str) -> Answer:
        """Return a finding of the investigation as an item."""
        found = self.findings[name]
        return item_of(found, name, () if found.exemplars else self._exemplar_of(name, found), self.names)

    def _exemplar_of(self, name: str, found: Finding) -> Sequence[str]:
        """Return an exemplar of a finding's evidence; of a line of the first screen without any, the screen's."""
        shown = self.findings.get("screen.exemplar-1")
        is_line = found.check.startswith("screen.") and found.check != "screen.period"
        return (
            shown.exemplars
            if name not in self._exemplars and is_line and shown is not None
            else self._exemplars.get(name, ())
        )

    def _stated(self, rows: pd.DataFrame) -> Sequence[Answer]:
        """Return measured numbers as items, each made when it is shown, with the nearest span as an exemplar."""
        return _Stated(rows.to_dict("records"), self._of_row)

    def _of_row(self, row: Row) -> Answer:
        """Return a measured number as an item."""
        found = stated(row)
        return item_of(found, str(row["id"]), () if found.exemplars else self._exemplars.get(str(row["id"]), ()))


class _Stated(Sequence["Answer"]):
    """Items that are made when they are asked for."""

    def __init__(self, rows: Sequence[Row], make: Callable[[Row], Answer]) -> None:
        self._rows, self._make = rows, make

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Answer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Answer]: ...
    def __getitem__(self, index: int | slice) -> Answer | Sequence[Answer]:
        if isinstance(index, slice):
            return _Stated(self._rows[index], self._make)
        return self._make(self._rows[index])


def _counts(source: TraceSet | Parts) -> dict[str, int]:
    """Return the numbers of traces and spans."""
    if isinstance(source, TraceSet):
        return {"traces": len(source), "spans": len(source.columns.spans)}
    return {"traces": len(source), "spans": source.span_count}


def _services(source: TraceSet | Parts) -> list[str]:
    """Return the names of all services."""
    names = source.codes("service_name").labels if isinstance(source, TraceSet) else source.recorded_services
    return sorted({str(name) for name in names})


def _chosen(value: str, allowed: Sequence[str]) -> str:
    """Return an argument that is one of a few words."""
    if value not in allowed:
        raise TracekitError(f"expected {' or '.join(map(repr, allowed))}, found another word")
    return value


def _is_by(rows: pd.DataFrame, by: str) -> pd.Series:
    """Return which rows are about services, or about operations."""
    is_operation = rows["operation"] != ""
    return (rows["service_name"] != "") & (is_operation if by == "operation" else ~is_operation)


def _words(text: str) -> str:
    """Return a sentence without what writing it down changes: spaces, marks of names, its last full stop."""
    plain = clean(text.replace("⟦", "").replace("⟧", ""))
    return " ".join(plain.split()).removesuffix(".")


def to_stderr(title: str) -> None:
    """Print the title of a step to standard error: standard output belongs to the protocol."""
    sys.stderr.write(f"tracekit: {clean(title)}\n")
