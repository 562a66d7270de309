"""What was removed, in words."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

_SHOWN: Final = 4  # keys of a kind


def words_of(removed: pd.DataFrame) -> str:
    """Return what was removed as a list of kinds with their number of values and their places; empty for nothing.

    Examples
    --------
    >>> words_of(pd.DataFrame({"kind": ["email"], "where": ["attribute"], "key": ["user.email"], "value_count": [2]}))
    'email: 2 values (user.email)'
    """
    parts = []
    for kind, rows in removed.groupby("kind", sort=False):
        number = int(rows["value_count"].sum())
        places = list(dict.fromkeys(rows["key"].where(rows["key"] != "", rows["where"])))
        more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
        parts.append(f"{kind}: {number:,} value{'s' * (number != 1)} ({', '.join(places[:_SHOWN])}{more})")
    return "; ".join(parts)


def say(removed: pd.DataFrame, path: Path) -> None:
    """Warn that something was removed from what is written to a file; say nothing if nothing was."""
    if len(removed):
        message = f"removed from {path.name}: {words_of(removed)}; redact=None keeps everything"
        warnings.warn(message, UserWarning, stacklevel=4)
