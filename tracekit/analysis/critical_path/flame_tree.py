"""Trees of call paths as tables: order, totals over descendants, and escaped names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.columns import Array

NAMES = ("service_name", "operation")
# characters that would end a frame, a line or a service, that cannot be encoded, or that escape
_BREAKS = re.compile("[\\\\;\\]\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NO_NAME = "\\-"


def totals(parent: Array, values: Array) -> Array:
    """Return for every node the sum over it and all its descendants."""
    total, order = values.tolist(), _walked(parent, np.zeros(len(parent)))
    above = parent.tolist()
    for at in reversed(order):
        if above[at] >= 0:
            total[above[at]] += total[at]
    return np.array(total, np.int64)


def _walked(parent: Array, rank: Array) -> list[int]:
    """Return the nodes, parents before children, siblings by rank."""
    order = np.lexsort((rank, parent))
    first = np.searchsorted(parent[order], np.arange(-1, len(parent) + 1)).tolist()
    backwards, walked = order.tolist(), []
    waiting = backwards[: first[1]][::-1]
    while waiting:
        at = waiting.pop()
        walked.append(at)
        waiting += backwards[first[at + 1] : first[at + 2]][::-1]
    return walked


def in_order(table: pd.DataFrame, parent: Array, rank: Array) -> pd.DataFrame:
    """Return the rows, parents before children and siblings by rank, then name, with their ids and depths."""
    names = [np.array([name or "" for name in table[column]], object) for column in NAMES]
    by_name = np.lexsort((*reversed(names), rank))
    places = np.empty(len(table), np.int64)
    places[by_name] = np.arange(len(table))
    order = np.array(_walked(parent, places), np.int64)
    number = np.full(len(table) + 1, -1, np.int64)
    number[order] = np.arange(len(order))
    above = number[parent[order]]
    depth: list[int] = []
    for up in above.tolist():
        depth.append(depth[up] + 1 if up >= 0 else 0)
    return table.iloc[order].reset_index(drop=True).assign(id=np.arange(len(order)), parent=above, depth=depth)


def placed_in(table: pd.DataFrame, joint: dict[tuple[int, object, object], int]) -> list[int]:
    """Return the ids of call paths in ``joint``, to which new ones are added."""
    place: list[int] = []
    for parent, service, operation in zip(table["parent"].tolist(), *(table[name] for name in NAMES), strict=True):
        above = place[parent] if parent >= 0 else -1
        place.append(joint.setdefault((above, service, operation), len(joint)))
    return place


def escaped(name: object) -> str:
    r"""Return a name with characters that end a frame escaped; see ``Flame.folded``."""
    return _NO_NAME if name is None else _BREAKS.sub(_spelt, str(name))


def _spelt(found: re.Match[str]) -> str:
    """Return a character as a Python hex escape."""
    return f"\\x{ord(found[0]):02x}" if found[0] <= "\xff" else f"\\u{ord(found[0]):04x}"
