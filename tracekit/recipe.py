"""Python code that recreates a TraceSet."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

_LONGEST = 1000  # characters of a readable literal


def step(method: str, *arguments: Any) -> str:
    """Return a method call as code."""
    return f".{method}({', '.join(map(_literal, arguments))})"


def _literal(value: Any) -> str:
    """Return a Python literal that equals the value, ``...`` if there is none of readable length."""
    value = str(value) if isinstance(value, Path) else value
    if type(value) not in {str, int, float, bool, list, tuple, dict}:
        return "..."
    written = repr(value)
    try:
        is_same = len(written) <= _LONGEST and bool(ast.literal_eval(written) == value)
    except (ValueError, SyntaxError):  # contains something that is not a literal
        is_same = False
    return written if is_same else "..."
