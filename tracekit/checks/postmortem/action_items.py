"""Action items: what to do, each with the check that would notice or prevent a repetition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracekit.checks.overview import overview
from tracekit.checks.postmortem.gates import cause_gates, symptom_gates
from tracekit.checks.postmortem.queries import queries
from tracekit.checks.postmortem.recorded import has_versions
from tracekit.checks.postmortem.result import Action
from tracekit.checks.registry import CHECKS
from tracekit.checks.screen.actions import look, roll_back
from tracekit.checks.screen.cause import cause_of
from tracekit.findings import Finding
from tracekit.text import clean

if TYPE_CHECKING:
    from tracekit.checks.screen.made import Made

_NAME: Final = 80
_DATA: Final = frozenset(check.name for check in CHECKS if check.weakens or check.topic == "data")
_TRACING: Final = frozenset({"patterns.lost_context", "patterns.missing_spans", "patterns.double_spans"})


def action_items(made: Made) -> tuple[Action, ...]:
    """Return what to do: roll back, fix, be warned of the symptom, and record what was missing."""
    return (*_undo(made), *_mend(made), *_notice(made), *_instrument(made))


def _item(text: str, **values: Any) -> Finding:
    """Return what to do, as a finding."""
    return Finding("postmortem.action", "notice", text, values=values, code="tk.investigate(traces, before)")


def _undo(made: Made) -> list[Action]:
    """Return the release to roll back, or where to look, with the gates that would have stopped it."""
    if made.regression is None:
        return []
    found = cause_of(made)
    back, values = roll_back(made, found)
    first = back or look(found)
    if not first:
        return []
    prevent = "Before the next release, compare its traces with those of the version before it in the pipeline."
    gates = tuple(symptom_gates(made))
    return [Action(_item(first[0], **values), ()), *([Action(_item(prevent), gates)] if gates else [])]


def _mend(made: Made) -> list[Action]:
    """Return the remedy of the mechanism, with the gates on the operation that explains the regression."""
    if made.regression is None:
        return []
    found, gates = cause_of(made), tuple(cause_gates(made))
    if found.pattern is not None and found.pattern.remedy:
        item = _item(found.pattern.remedy, mechanism=found.pattern.values["mechanism"])
        return [Action(item, gates)]
    if not gates or found.row is None:
        return []
    name = clean(found.row["service_name"], limit=_NAME)
    return [Action(_item(f"Check in the pipeline of {name} what requests wait for there."), gates)]


def _notice(made: Made) -> list[Action]:
    """Return the alert on the symptom, with its queries."""
    found = tuple(queries(made))
    return (
        [Action(_item("Alert on this symptom, and save the queries that find such requests."), found)] if found else []
    )


def _instrument(made: Made) -> list[Action]:
    """Return what to record, so that the next investigation can say more."""
    weak = [one for one in made.findings if _is_tracing(one)]
    found = [Action(_item(one.remedy, check=one.check), (_recorded(one),)) for one in weak]
    return [*found, *_versions(made), *_callees(made)]


def _is_tracing(one: Finding) -> bool:
    """Return whether a finding asks for better data."""
    return (
        bool(one.remedy) and one.severity in {"warning", "critical"} and (one.check in _DATA or one.check in _TRACING)
    )


def _recorded(one: Finding) -> Finding:
    """Return the finding that is gone when the data are better, with the call that says so."""
    values = {"kind": "instrumentation", "command": one.code}
    text = f"{one.code} says: {one.headline}" if one.code else one.headline
    return Finding("postmortem.check", "info", text, values=values, code=one.code)


def _versions(made: Made) -> list[Action]:
    """Return that versions should be recorded, where none are."""
    if not made.case.result(overview).trace_count or made.case.result(has_versions):
        return []
    code = "traces.resources['service_version']"
    values = {"kind": "instrumentation", "command": code}
    check = Finding("postmortem.check", "info", f"{code} has no value.", values=values, code=code)
    return [Action(_item("Record the resource attribute service.version in all services."), (check,))]


def _callees(made: Made) -> list[Action]:
    """Return the callee without spans of its own to instrument, where requests wait for it longer than before."""
    row = cause_of(made).row if made.regression is not None else None
    if row is None or not isinstance(row["callee_service"], str):
        return []
    services = made.case.result(overview).graph.services
    mine = services[(services["service_name"].astype(str) == row["callee_service"]) & services["is_inferred"]]
    if mine.empty or str(mine["peer_type"].iloc[0]) not in {"http", "rpc"}:
        return []
    name = clean(row["callee_service"], limit=_NAME)
    code = "tk.service_graph(traces).services"
    values = {"kind": "instrumentation", "command": code}
    check = Finding("postmortem.check", "info", f"{code} has {name} as inferred.", values=values, code=code)
    return [Action(_item(f"Instrument {name}: requests wait for it, and it has no spans of its own."), (check,))]
