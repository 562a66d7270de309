"""Patterns of ``*`` and ``?``: whether one takes all that another takes, and whether anything is taken by both."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def covers(wide: str, narrow: str) -> bool:
    """Return whether a pattern takes everything that another takes.

    Parameters
    ----------
    wide, narrow
        Patterns; case does not matter.

    Returns
    -------
    bool
        Never True wrongly; a few exotic pairs (``*?`` and ``?*``) are missed.

    Examples
    --------
    >>> covers("/pay*", "/pay/*/refund"), covers("/pay?", "/pay*"), covers("*", "?")
    (True, False, True)
    """
    parts = [".*" if c == "*" else "[^*]" if c == "?" else re.escape(c) for c in wide]
    return re.fullmatch("".join(parts), narrow, re.IGNORECASE | re.DOTALL) is not None


@lru_cache(maxsize=4096)
def meet(one: str, other: str) -> bool:
    """Return whether some text is taken by both patterns.

    Parameters
    ----------
    one, other
        Patterns; case does not matter.

    Returns
    -------
    bool
        Exact.

    Examples
    --------
    >>> meet("/pay*", "*/refund"), meet("/pay*", "/cart*"), meet("a?", "a")
    (True, False, False)
    """
    first, second = one.lower(), other.lower()
    reached = {(0, 0)}
    todo = [(0, 0)]
    while todo:
        i, j = todo.pop()
        if i == len(first) and j == len(second):
            return True
        a, b = first[i : i + 1], second[j : j + 1]
        steps = [(i + 1, j)] * (a == "*") + [(i, j + 1)] * (b == "*")  # a star that takes nothing more
        if a and b and (a in "*?" or b in "*?" or a == b):  # one character that both take
            steps.append((i + (a != "*"), j + (b != "*")))
        todo += [step for step in steps if step not in reached]
        reached.update(steps)
    return False
