"""Root causes in X-Ray trace summaries: lists of services, entities and exceptions, flattened.

A root cause is a path of services; each service has a path of entities, and each entity may have exceptions.
``index``, ``first`` and ``last`` are positions among all elements of one kind along one root cause.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.expressions.fields import COMPARE, expects_true
from tracekit.expressions.syntax import CAUSES, Condition

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.expressions.syntax import Block

COLUMNS = dict(zip(CAUSES, ("fault_root_causes", "error_root_causes", "response_time_root_causes"), strict=True))
_MEMBERS = {
    "name": "Name",
    "type": "Type",
    "inferred": "Inferred",
    "remote": "Remote",
    "coverage": "Coverage",
    "message": "Message",
}


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
    asked = condition.value if isinstance(condition.value, list) else [condition.value]

    def matches(row: pd.Series) -> bool:
        causes = [cause for text in row if isinstance(text, str) and text for cause in json.loads(text)]
        return any(_has(cause, wanted) for cause in causes for wanted in asked)

    return summaries[list(COLUMNS.values())].apply(matches, axis=1).astype(bool)


def _has(found: Any, asked: Any) -> bool:
    """Return whether a JSON value has all fields of another, iteratively; lists must have the same length."""
    pairs = [(found, asked)]
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
