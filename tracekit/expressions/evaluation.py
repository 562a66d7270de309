"""Evaluation of an X-Ray filter expression for every trace: a stack machine over columns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tracekit.arguments import check_traces, is_store
from tracekit.expressions.fields import COMPARE, expects_true, hits, holds, segments, whole_traces
from tracekit.expressions.nodes import Nodes, nodes_of
from tracekit.expressions.parsing import parse
from tracekit.expressions.syntax import AND, CAUSES, NOT, Block, Condition, Id
from tracekit.expressions.tokens import failure
from tracekit.on_demand import pd
from tracekit.wildcards import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracekit.attributes import Codes
    from tracekit.columns import Array
    from tracekit.expressions.syntax import Expression
    from tracekit.parts import Parts
    from tracekit.traces import TraceSet

COLUMNS = dict(zip(CAUSES, ("fault_root_causes", "error_root_causes", "response_time_root_causes"), strict=True))
_MEMBERS = {
    "name": "Name",
    "type": "Type",
    "inferred": "Inferred",
    "remote": "Remote",
    "coverage": "Coverage",
    "message": "Message",
}


def xray_filter(
    traces: TraceSet | Parts,
    expression: str,
    *,
    groups: Mapping[str, str] | None = None,
    summaries: pd.DataFrame | None = None,
) -> pd.Series:
    """Return which traces match an X-Ray filter expression.

    Parameters
    ----------
    traces
        Traces from any format, or a store of them.
    expression
        An expression as in the X-Ray console: ``service("payments") { fault } AND duration > 1``.
    groups
        Filter expressions of groups by name or ARN, for ``group.name`` and ``group.arn``.
    summaries
        A ``trace_summaries`` table, for ``rootcause.*``: only X-Ray computes root causes.

    Returns
    -------
    pandas.Series of bool
        Indexed by trace id, for ``traces.where``; of a store sorted by it.

    Raises
    ------
    FilterError
        The expression does not parse, or uses a group or root causes that were not passed.

    Notes
    -----
    ``ok``, ``error``, ``throttle``, ``fault``, ``responsetime`` and ``http.*`` refer to the root span, in braces to the
    segment of the service (for an edge, of the callee); ``user``, ``annotation``, ``instance.id``, ``availabilityzone``
    and ``resource.arn`` to any span; ``duration`` to the whole trace. Times are in seconds. Missing values match no
    comparison. ``*`` and ``?`` in the name or type of a service are wildcards. Any span attribute that is not X-Ray's
    is an annotation, under its own key and under the key that OpenTelemetry's X-Ray exporter writes.  Source: AWS X-Ray
    developer guide, "Using filter expressions".

    Examples
    --------
    >>> tk.xray_filter(shop, 'service("ledger") { fault } AND duration > 0.1').tolist()
    [False, False, False, True, False]
    >>> tk.xray_filter(shop, 'group.name = "slow" AND ok', groups={"slow": "duration > 0.3"}).tolist()
    [False, False, True, False, False]
    """
    check_traces(traces, "xray_filter")
    matches = _Matches(expression, groups or {}, summaries)
    if not is_store(traces):
        return matches(cast("TraceSet", traces))
    found: pd.Series = cast("Parts", traces).reduce(matches, _joined).sort_index()
    return found


@dataclass(frozen=True, eq=False)
class _Matches:
    """Returns which traces of a part match."""

    expression: str
    groups: Mapping[str, str]
    summaries: pd.DataFrame | None

    def __call__(self, traces: TraceSet) -> pd.Series:
        """Return it for some traces."""
        mask = _Machine(traces, self.groups, self.summaries).run(self.expression)
        return pd.Series(mask, index=pd.Index(traces.trace_ids, name="trace_id", dtype="str"), name="matches")


def _joined(first: pd.Series, second: pd.Series) -> pd.Series:
    """Return the matches of two parts."""
    both: pd.Series = pd.concat([first, second])
    return both


def _settled(steps: Expression, holds_for: Callable[[Condition | Block], Array]) -> Array:
    """Return the result of an expression from the results of its conditions."""
    stack: list[Array] = []
    for step in steps:
        if not isinstance(step, str):
            stack.append(holds_for(step))
        elif step == NOT:
            stack.append(~stack.pop())
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(left & right if step == AND else left | right)
    return stack.pop()


class _Machine:
    """Evaluates expressions on one TraceSet; groups are evaluated before the expressions that use them."""

    def __init__(self, traces: TraceSet, groups: Mapping[str, str], summaries: pd.DataFrame | None) -> None:
        self._traces = traces
        self._groups = groups
        self._summaries = summaries
        self._answers: dict[str, Array] = {}
        self._whole = whole_traces(traces)

    @cached_property
    def _nodes(self) -> Nodes:
        """The service maps."""
        return nodes_of(self._traces)

    def run(self, expression: str) -> Array:
        """Return the result of an expression, one per trace."""
        todo = [expression]
        while todo:
            text = todo[-1]
            steps = parse(text)
            groups = [step for step in steps if isinstance(step, Condition) and step.kind == "group"]
            missing = [step for step in groups if self._group(step, text) not in self._answers]
            if not missing:
                self._answers[text] = _settled(steps, partial(self._holds, expression=text))
                todo.pop()
            elif self._group(missing[0], text) in todo:
                raise failure("a group that does not refer to itself", repr(missing[0].value), text, missing[0].at)
            else:
                todo.append(self._group(missing[0], text))
        return self._answers[expression]

    def _group(self, condition: Condition, expression: str) -> str:
        """Return the filter expression of a group."""
        known = self._groups.get(str(condition.value))
        if known is None:
            names = ", ".join(map(repr, sorted(self._groups))) or "none; pass groups={name: expression}"
            raise failure(f"one of the groups passed ({names})", repr(condition.value), expression, condition.at)
        return known

    def _holds(self, step: Condition | Block, expression: str) -> Array:
        """Return whether one condition or block is true, one per trace."""
        if isinstance(step, Block):
            return self._on_map(step) if step.kind in {"service", "edge"} else self._in_causes(step, expression)
        if step.kind == "group":
            answer = self._answers[self._group(step, expression)]
            return answer if step.operator == "=" else ~answer
        if step.keyword == "rootcause.json":
            found = json_holds(step, self._causes(step, expression))
            return self._by_id(set(found.index[found]))
        return holds(step, self._whole)

    # ---------------------------------------------------------------- services and edges

    def _on_map(self, block: Block) -> Array:
        """Return whether a trace has a service or edge that matches the block and its filter."""
        mask = self._meant(block)
        if block.filter:
            mask = mask & _settled(block.filter, self._segment_holds)
        trace = self._traces.forest.trace[self._nodes.row[mask]]
        return np.asarray(np.bincount(trace, minlength=len(self._traces)) > 0)

    def _meant(self, block: Block) -> Array:
        """Return which nodes a block refers to; for an edge, the callees."""
        if block.kind == "service":
            return self._is(block.ids[0]) if block.ids else np.ones(len(self._nodes.row), bool)
        source, destination = (self._is(wanted) for wanted in block.ids)
        return np.asarray(destination & np.append(source, [False])[self._nodes.caller])  # -1, no caller, is the last

    def _is(self, wanted: Id) -> Array:
        """Return which nodes have a name, type and account."""
        mask = np.ones(len(self._nodes.row), bool)
        for column, pattern in ((self._nodes.name, wanted.name), (self._nodes.type, wanted.type)):
            mask &= _matching(column, pattern)
        return mask & _matching(self._nodes.account, wanted.account)

    def _segment_holds(self, step: Condition | Block) -> Array:
        """Return whether a condition in braces is true, one per node."""
        assert isinstance(step, Condition), "the grammar has no block within a block"
        nodes = self._nodes
        if step.keyword == "root":
            root = self._traces.forest.root_row[self._traces.forest.trace[nodes.row]] == nodes.row
            root &= np.arange(len(nodes.row)) == nodes.owner[nodes.row]  # not the uninstrumented dependency of a root
            return np.asarray(root if expects_true(step) else ~root)
        if step.keyword in {"name", "type"}:
            return hits(nodes.name if step.keyword == "name" else nodes.type, step)
        return holds(step, segments(self._traces, nodes.row, nodes.owner))

    # ---------------------------------------------------------------- root causes

    def _in_causes(self, block: Block, expression: str) -> Array:
        """Return whether a root cause of the trace has such an element."""
        table = elements(self._causes(block, expression), block.kind)
        if block.filter:
            table = table[_settled(block.filter, lambda step: element_holds(step, table))]
        return self._by_id(set(table["trace_id"]))

    def _causes(self, step: Condition | Block, expression: str) -> pd.DataFrame:
        """Return the table of root causes."""
        if self._summaries is None or not set(COLUMNS.values()) <= set(self._summaries.columns):
            expected = "a table of trace summaries for root causes: xray_filter(..., summaries=...)"
            raise failure(expected, "none", expression, step.at)
        return self._summaries

    def _by_id(self, found: set[str]) -> Array:
        """Return the mask of these trace ids."""
        return np.array([trace_id in found for trace_id in self._traces.trace_ids], bool)


def _matching(column: Codes, pattern: str | None) -> Array:
    """Return which texts match a pattern; without one all match, including missing ones."""
    if pattern is None:
        return np.ones(len(column.codes), bool)
    wild = compiled(pattern)
    table = [wild.fullmatch(label) is not None for label in column.labels]
    return np.asarray(np.array([*table, False])[column.codes])


def elements(summaries: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return the elements of the root causes of traces."""
    _, cause, level = kind.split(".")
    rows = []
    for trace_id, text in summaries[COLUMNS[cause]].items():
        for path in json.loads(text) if isinstance(text, str) and text else []:
            chain = _chain(path, level)
            for at, element in enumerate(chain):
                content = {name: element.get(member) for name, member in _MEMBERS.items()}
                content["name"] = content["name"] or element.get("Type") if level == "exception" else content["name"]
                rows.append(
                    {"trace_id": trace_id, "index": at, "first": not at, "last": at == len(chain) - 1, **content}
                )
    return pd.DataFrame(rows, columns=["trace_id", "index", "first", "last", *_MEMBERS])


def _chain(path: dict[str, Any], level: str) -> list[dict[str, Any]]:
    """Return the elements of one root cause in order."""
    services = path.get("Services") or []
    if level == "service":
        return list(services)
    entities = [entity for service in services for entity in service.get("EntityPath") or []]
    if level == "entity":
        return entities
    return [exception for entity in entities for exception in entity.get("Exceptions") or []]


def element_holds(step: Condition | Block, table: pd.DataFrame) -> Array:
    """Return whether a condition is true for each element."""
    assert isinstance(step, Condition), "the grammar has no block within a block"
    column = table[step.keyword]
    if step.kind == "truth":
        found = np.array([bool(cell) for cell in column], bool)
        return found if expects_true(step) else ~found
    compare = COMPARE[step.operator]
    known = column.notna()
    return np.array([bool(ok and compare(cell, step.value)) for ok, cell in zip(known, column, strict=True)], bool)


def json_holds(condition: Condition, summaries: pd.DataFrame) -> pd.Series:
    """Return by trace id whether one of the root causes contains the JSON value."""
    expected = condition.value if isinstance(condition.value, list) else [condition.value]

    def matches(row: pd.Series) -> bool:
        causes = [cause for text in row if isinstance(text, str) and text for cause in json.loads(text)]
        return any(_has(cause, value) for cause in causes for value in expected)

    return summaries[list(COLUMNS.values())].apply(matches, axis=1).astype(bool)


def _has(found: Any, expected: Any) -> bool:
    """Return whether a JSON value has all fields of another, iteratively; lists must have the same length."""
    pairs = [(found, expected)]
    while pairs:
        have, want = pairs.pop()
        if isinstance(want, dict):
            if not isinstance(have, dict) or not want.keys() <= have.keys():
                return False
            pairs += [(have[key], want[key]) for key in want]
        elif isinstance(want, list):
            if not isinstance(have, list) or len(have) != len(want):
                return False
            pairs += list(zip(have, want, strict=True))
        elif have != want:
            return False
    return True
