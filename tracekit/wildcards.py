"""Wildcards, where ``*`` matches any text and ``?`` any one character: matching, covering and overlapping patterns."""

from __future__ import annotations

import re
from functools import lru_cache

_STARS = re.compile(r"\*+")


@lru_cache(maxsize=4096)
def compiled(pattern: str, *, ignore_case: bool = False, one: str = ".") -> re.Pattern[str]:
    """Return a pattern as a regular expression for ``fullmatch`` that does not backtrack over a star.

    The parts between stars have a fixed length, so the first match of a part is sufficient: each is an atomic group,
    and only the last part is anchored at the end.
    """
    parts = ("".join(one if c == "?" else re.escape(c) for c in part) for part in _STARS.split(pattern))
    return re.compile(around_stars(*parts), re.DOTALL | re.IGNORECASE if ignore_case else re.DOTALL)


def around_stars(first: str, *rest: str) -> str:
    """Return the regular expression for parts with any text between them."""
    inner = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return first + inner + (f".*{rest[-1]}" if rest else "")


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
