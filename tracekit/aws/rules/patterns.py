"""Patterns of ``*`` and ``?``: whether one takes all that another takes, and whether anything is taken by both."""

from __future__ import annotations

import re
from functools import lru_cache

from tracekit.wildcards import compiled

_STARS = re.compile(r"\*+")


@lru_cache(maxsize=4096)
def covers(wide: str, narrow: str) -> bool:
    """Return whether a pattern takes everything that another takes."""
    return compiled(wide, ignore_case=True, one="[^*]").fullmatch(narrow) is not None


@lru_cache(maxsize=4096)
def meet(one: str, other: str) -> bool:
    """Return whether some text is taken by both patterns."""
    first, second = (_STARS.sub("*", pattern.lower()) for pattern in (one, other))
    places = {sign: _places(second, sign) for sign in {*first, "*", "?"}}
    star, inside = places["*"], (2 << len(second)) - 1
    reached = 1  # bit j: the text so far is taken by the first j signs of the second pattern
    reached |= (reached & star) << 1
    for sign in first:
        if sign == "*":
            reached = -(reached & -reached)  # any text: every later place
        else:
            taken = ~star if sign == "?" else places[sign] | places["?"]
            reached = (reached & taken & ~star) << 1 | reached & star
        reached = (reached | (reached & star) << 1) & inside
    return bool(reached >> len(second) & 1)


def _places(pattern: str, sign: str) -> int:
    """Return the places of a sign in a pattern as bits."""
    return int("0" + "".join("01"[other == sign] for other in reversed(pattern)), 2)
