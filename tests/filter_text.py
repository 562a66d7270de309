"""Text of a parsed X-Ray filter expression, for round trips."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tracekit.expressions.syntax import AND, NOT, OR, Block, Condition, Id

if TYPE_CHECKING:
    from tracekit.expressions.syntax import Expression

_BINDS = {OR: 1, AND: 2}
_TERM = 3
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+")


def to_text(expression: Expression) -> str:
    """Return a parsed expression as text."""
    inner = {step: _join(step.filter, {}) for step in expression if isinstance(step, Block) and step.filter}
    return _join(expression, inner)


def _join(expression: Expression, inner: dict[Block, str]) -> str:
    """Return the steps as text; ``inner`` are the filters of its blocks."""
    stack: list[tuple[str, int]] = []
    for step in expression:
        if step == NOT:
            text, binds = stack.pop()
            stack.append((f"!{_wrapped(text, binds < _TERM)}", _TERM))
        elif isinstance(step, str):
            (right, right_binds), (left, left_binds) = stack.pop(), stack.pop()
            own = _BINDS[step]
            text = f"{_wrapped(left, left_binds < own)} {step} {_wrapped(right, right_binds <= own)}"
            stack.append((text, own))
        elif isinstance(step, Block):
            ids = f"({', '.join(map(_id, step.ids))})" if step.kind in {"service", "edge"} else ""
            braces = f" {{ {inner[step]} }}" if step.filter else ""
            stack.append((f"{step.kind}{ids}{braces}", _TERM))
        else:
            stack.append((_test(step), _TERM))
    return stack[-1][0]


def _wrapped(text: str, is_needed: bool) -> str:
    """Return a text in parentheses where they are needed."""
    return f"({text})" if is_needed else text


def _test(test: Condition) -> str:
    """Return a keyword and what it is compared with."""
    word = test.keyword
    if test.key:
        word = f"annotation.{test.key}" if _PLAIN_KEY.fullmatch(test.key) else f"annotation[{test.key}]"
    if not test.operator:
        return word
    value = f"#{json.dumps(test.value)}" if word == "rootcause.json" else _value(test.value)
    return f"{word} {test.operator} {value}"


def _value(value: Any) -> str:
    """Return a value as the grammar spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _id(meant: Id) -> str:
    """Return which services are meant."""
    if meant.name is not None and meant.type is None and meant.account is None:
        return _value(meant.name)
    parts = {"name": meant.name, "type": meant.type, "account.id": meant.account}
    return f"id({', '.join(f'{key}: {_value(text)}' for key, text in parts.items() if text is not None)})"
