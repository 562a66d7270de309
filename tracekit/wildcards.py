"""Wildcards: ``*`` matches any text, ``?`` any one character."""

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
