"""Glob patterns of ``*`` and ``?``: whether one covers another, and whether two overlap."""

from __future__ import annotations

import re
from functools import lru_cache

from tracekit.wildcards import compiled

_STARS = re.compile(r"\*+")


@lru_cache(maxsize=4096)
def covers(wide: str, narrow: str) -> bool:
    """Return whether a pattern matches everything that another matches."""
    return compiled(wide, ignore_case=True, one="[^*]").fullmatch(narrow) is not None


@lru_cache(maxsize=4096)
def overlap(one: str, other: str) -> bool:
    """Return whether some text matches both patterns."""
    first, second = (_STARS.sub("*", pattern.lower()) for pattern in (one, other))
    places = {sign: _positions(second, sign) for sign in {*first, "*", "?"}}
    star, inside = places["*"], (2 << len(second)) - 1
    reached = 1  # bit j: the text so far matches the first j characters of the second pattern
    reached |= (reached & star) << 1
    for sign in first:
        if sign == "*":
            reached = -(reached & -reached)  # any text: all later positions
        else:
            taken = ~star if sign == "?" else places[sign] | places["?"]
            reached = (reached & taken & ~star) << 1 | reached & star
        reached = (reached | (reached & star) << 1) & inside
    return bool(reached >> len(second) & 1)


def _positions(pattern: str, char: str) -> int:
    """Return the positions of a character in a pattern as bits."""
    return int("0" + "".join("01"[other == char] for other in reversed(pattern)), 2)
