"""Values that name the same traces, collapsed into one fact."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.what_differs.membership import Value
    from tracekit.columns import Array


class Facts(NamedTuple):
    """Values grouped by the traces that have them.

    Parameters
    ----------
    shown
        One value of each fact.
    also
        The other values of each fact, as text; ``not key=value`` where a value is on all other traces.
    """

    shown: Array
    also: list[list[str]]


def facts(names: Sequence[Value], mark: Array, whole: int, candidates: Array) -> Facts:
    """Return the facts among some values, in their order: the first of equal ones is shown.

    ``mark``: a number for the set of the traces with each value; ``whole``: that of all traces.
    """
    place: dict[int, int] = {}
    shown: list[int] = []
    also: list[list[str]] = []
    for value in candidates.tolist():
        own = int(mark[value])
        other = own ^ whole
        text = "=".join(names[value])
        if own in place:
            also[place[own]].append(text)
        elif other in place:
            also[place[other]].append(f"not {text}")
        else:
            place[own] = len(shown)
            shown.append(value)
            also.append([])
    return Facts(np.array(shown, np.int64), also)
