"""Reports of stores: the parts are read together for everything that the page is made of."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tracekit.analysis.critical_path.result import CriticalPath
from tracekit.checks.comparison import comparable_changes
from tracekit.checks.overview import Overview, overview
from tracekit.checks.registry import CHECKS, readings
from tracekit.checks.screen.changed import first_seen, has_versions
from tracekit.loading.store.trace_store import TraceStore
from tracekit.report.inputs import Inputs
from tracekit.report.ledger import set_facts
from tracekit.report.traffic import traffic_of
from tracekit.weights.comparability import read_sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.checks.case import Case
    from tracekit.loading.store.rounds import Rounds
    from tracekit.parts import Parts
    from tracekit.report.redaction import Outgoing
    from tracekit.traces import TraceSet


_RESULTS: Final = ("content", "requests", "entries", "operations", "graph", "errors", "failed", "waits")
_OF_VERSIONS: Final = (first_seen, has_versions)
_OF_BASELINE: Final = ("content", "requests", "entries", "graph", "failed", "waits")


def read_together(rounds: Rounds, case: Case, more: Sequence[Callable[[], Any]] = ()) -> None:
    """Read the parts of the stores of a case for everything that is made of them, and for more functions."""
    asked = [*more, *readings(case, CHECKS)]  # first the checks, whose critical paths others find
    for each in _cases(case):
        seen = each.result(overview)
        asked += [partial(getattr, seen, name) for name in (_RESULTS if each is case else _OF_BASELINE)]
        asked += [partial(set_facts, each.source), partial(_offsets, seen)]
        if case.baseline is not None:
            asked += [partial(read_sampling, each.source), *(partial(each.result, one) for one in _OF_VERSIONS)]
    asked.append(partial(_shapes, case))
    rounds.run([*asked, partial(traffic_of, case.result(overview))])


def with_lines(inputs: Inputs, outgoing: Outgoing | None) -> Inputs:
    """Return inputs of a store with log lines that are read, as they may leave."""
    read = inputs.read()
    return read if outgoing is None else read._replace(logs=Inputs(read.logs).redacted(outgoing).logs)


def keep_names(case: Case, outgoing: Outgoing) -> None:
    """Leave the names of the services and callees of a case as they are."""
    sides = [each.result(overview) for each in _cases(case)]
    known = [{*seen.services, *seen.graph.services["service_name"].dropna()} for seen in sides]
    outgoing.keep_names(set().union(*known))


def _cases(case: Case) -> list[Case]:
    """Return a case, and that of its baseline."""
    return [case] if case.baseline is None else [case, case.baseline]


def read_by(rounds: Rounds, traces: TraceSet | Parts) -> TraceSet | Parts:
    """Return traces, of a store with states that are computed in rounds."""
    return rounds.of(traces) if isinstance(traces, TraceStore) else traces


def _shapes(case: Case) -> Any:
    """Return the shapes of the traces of both sides; None where no change may be claimed."""
    changes = comparable_changes(case)
    return None if changes is None else changes.shapes


def _offsets(seen: Overview) -> Any:
    """Return the clock offsets of a store."""
    return None if isinstance(seen.paths, CriticalPath) else seen.paths.offsets
