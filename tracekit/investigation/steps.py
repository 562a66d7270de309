"""The steps of an investigation, and how they run: each by itself, so that the failure of one stops no other."""

from __future__ import annotations

import traceback
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import pandas as pd

from tracekit.checks.registry import CHECKS, Check, run_check
from tracekit.checks.screen.lines import LINES, FirstScreen
from tracekit.checks.screen.made import Made
from tracekit.findings import Finding, Findings
from tracekit.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.checks.case import Case
    from tracekit.checks.registry import Topic

_MESSAGE: Final = 200  # characters of the message of an exception
_NAMED: Final = 5  # checks in a sentence
_Made = TypeVar("_Made")


class Step(NamedTuple):
    """A step: its name, its title, and the checks that it runs.

    ``is_of_recording``: its checks are about all traces that were given, not only about those to explain.
    """

    name: str
    title: str
    topic: Topic
    is_of_recording: bool = False


STEPS: Final = (
    Step("quality", "Data quality", "quality", is_of_recording=True),
    Step("sampling", "Sampling", "sampling", is_of_recording=True),
    Step("data", "Input data", "data"),
    Step("changes", "Changes", "changes"),
    Step("latency", "Latency", "latency"),
    Step("errors", "Errors", "errors"),
    Step("patterns", "Patterns", "patterns"),
)
"""In the order in which they run; a step with a name that is not chosen is left out."""


class Failure(NamedTuple):
    """A check or line that could not be finished."""

    name: str
    error: Exception
    trace: str


class Ran(NamedTuple):
    """Findings of the steps, the first screen, and one row per step: ``step``, ``title``, ``finding_count``."""

    findings: Findings
    screen: FirstScreen
    table: pd.DataFrame


def run_steps(
    case: Case, recording: Case, names: Sequence[str], on_step: Callable[[str, int, int], None] | None
) -> Ran:
    """Return what the chosen steps find, and the first screen made of it; failures are findings of their own."""
    chosen = [step for step in STEPS if step.name in names]
    found: list[Finding] = []
    failures: list[Failure] = []
    rows = []
    for at, step in enumerate(chosen):
        if on_step is not None:
            on_step(step.title, at, len(chosen))
        before = len(found)
        for check in _checks_of(step):
            found += attempt(check.name, partial(_run, check, step, case, recording), failures) or []
        rows.append((step.name, step.title, len(found) - before))
    made = Made(case, Findings(found))
    lines = [attempt(line.name, partial(line.make, made), failures) for line in LINES]
    if on_step is not None:
        on_step("First screen", len(chosen), len(chosen))
    table = pd.DataFrame(rows, columns=["step", "title", "finding_count"])
    screen = FirstScreen([line for line in lines if line is not None])
    return Ran(Findings([*found, *failed(failures)]), screen, table)


def _checks_of(step: Step) -> list[Check]:
    """Return the checks of a step."""
    return [check for check in CHECKS if check.topic == step.topic]


def _run(check: Check, step: Step, case: Case, recording: Case) -> list[Finding]:
    """Return what a check finds; of the data, only what weakens conclusions or what the reader gave an input for."""
    found = run_check(check, recording if step.is_of_recording else case)
    if not step.is_of_recording:
        return found
    weak = [one for one in found if one.status in {"warning", "failed"}] if check.weakens else []
    return [one for one in found if one.status != "not_assessable"] if _is_asked(check, recording) else weak


def _is_asked(check: Check, recording: Case) -> bool:
    """Return whether the reader gave an input that the check needs."""
    return any(name in {"rules", "requests"} and _is_given(recording, name) for name in check.needs)


def _is_given(case: Case, name: str) -> bool:
    """Return whether the reader gave an input of the case."""
    return (case.counts if name == "requests" else case.rules) is not None


def attempt(name: str, run: Callable[[], _Made], failures: list[Failure]) -> _Made | None:
    """Return what a function returns; None if it fails, which is added to the failures."""
    try:
        return run()
    except Exception as error:  # noqa: BLE001 - whatever one step fails with becomes a finding, and stops no other
        failures.append(Failure(name, error, traceback.format_exc()))
        return None


def failed(failures: Sequence[Failure]) -> list[Finding]:
    """Return one finding for each error, with all checks that it stopped."""
    groups: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        groups.setdefault((type(failure.error).__name__, str(failure.error)), []).append(failure)
    return [_failure(*key, mine) for key, mine in groups.items()]


def _failure(kind: str, message: str, mine: Sequence[Failure]) -> Finding:
    """Return the finding about one error."""
    names = [failure.name for failure in mine]
    more = f" and {plural(len(names) - _NAMED, 'other')}" * (len(names) > _NAMED)
    what = plural(len(names), "part of the investigation was", "parts of the investigation were")
    text = f"{what} not finished ({', '.join(names[:_NAMED])}{more}): {kind}: {clean(message, limit=_MESSAGE)}."
    rows = pd.DataFrame([(one.name, kind, one.trace) for one in mine], columns=["check", "error", "traceback"])
    remedy = "The other findings do not depend on it. The column traceback of its evidence says where it failed."
    return Finding("failed", "warning", text, evidence=rows, remedy=remedy, status="failed", values={"checks": names},
                   code="tk.investigate(traces).findings")  # fmt: skip
