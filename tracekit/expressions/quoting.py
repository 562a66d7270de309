"""Shortened quotations of expressions in error messages."""

from __future__ import annotations

_LONGEST = 200


def shortened(text: str, longest: int = _LONGEST) -> str:
    """Return a text of at most ``longest`` characters, or its beginning with its length."""
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text):,} characters)"
