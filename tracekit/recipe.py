"""How a set of traces was made, as the Python that makes it again."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

_LONGEST = 1000  # characters of a literal that still reads as code


def step(method: str, *arguments: Any) -> str:
    """Return a method call as code."""
    return f".{method}({', '.join(map(_literal, arguments))})"


def _literal(value: Any) -> str:
    """Return a Python literal that equals the value, ``...`` where there is none of a readable length."""
    value = str(value) if isinstance(value, Path) else value
    if type(value) not in {str, int, float, bool, list, tuple, dict}:
        return "..."
    written = repr(value)
    try:
        is_same = len(written) <= _LONGEST and bool(ast.literal_eval(written) == value)
    except (ValueError, SyntaxError):  # holds something that is no literal
        is_same = False
    return written if is_same else "..."
