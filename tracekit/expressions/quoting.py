"""How expressions are quoted in errors: short, whatever was given."""

from __future__ import annotations

_LONGEST = 200


def shortened(text: str, longest: int = _LONGEST) -> str:
    """Return a text of at most so many characters: its beginning, and how many there are."""
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text):,} characters)"
