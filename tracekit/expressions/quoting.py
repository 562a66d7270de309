"""How expressions are quoted in errors: short, whatever was given."""

from __future__ import annotations

_LONGEST = 200


def shortened(text: str, longest: int = _LONGEST) -> str:
    """Return a text of at most so many characters: its beginning, and how many there are.

    Parameters
    ----------
    text
        Of any length.
    longest
        From which length on it is cut.

    Returns
    -------
    str
        The text itself where it is short.

    Examples
    --------
    >>> shortened("duration > 1"), shortened("a" * 10_000, 5)
    ('duration > 1', 'aaaaa... (10,000 characters)')
    """
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text):,} characters)"
