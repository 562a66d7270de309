"""Limits that a condition sets on times of spans: parts of a file outside them cannot match."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING

from tracekit.errors import FilterError
from tracekit.expressions.conditions import parsed
from tracekit.filters import instant_ns

if TYPE_CHECKING:
    from collections.abc import Iterator

_COLUMNS = {"start_ns": "start_ns", "end_ns": "end_ns", "start_time": "start_ns", "end_time": "end_ns"}
_LARGEST = 2**63
_ROUNDING = 1024  # ns: a time of this century as a floating-point number


def limits(expression: str) -> list[tuple[str, int, int]]:
    """Return columns of times with the lowest and the highest value that a matching span may have.

    Only comparisons with constants that every matching span meets count; others set no limit.

    Examples
    --------
    >>> limits("start_ns >= 5 and is_error and 3 < end_ns")
    [('start_ns', 5, 9223372036854775808), ('end_ns', 3, 9223372036854775808)]
    >>> limits("start_ns >= 5 or is_error")
    []
    """
    try:
        tree = parsed(expression)
    except FilterError:  # evaluating it reports it
        return []
    return [limit for one in _all_of(tree) for limit in _of_comparison(one)]


def _all_of(node: ast.expr) -> Iterator[ast.Compare]:
    """Yield the comparisons that all must be true."""
    todo = [node]
    while todo:
        match todo.pop():
            case ast.BoolOp(op=ast.And(), values=values):
                todo += reversed(values)
            case ast.BinOp(op=ast.BitAnd(), left=left, right=right):
                todo += [right, left]
            case ast.Compare() as found:
                yield found


def _of_comparison(node: ast.Compare) -> Iterator[tuple[str, int, int]]:
    """Yield the limits of the links of a comparison."""
    left = node.left
    for sign, right in zip(node.ops, node.comparators, strict=True):
        is_turned = isinstance(right, ast.Name)
        name, value = (right, left) if is_turned else (left, right)
        column = _COLUMNS.get(name.id) if isinstance(name, ast.Name) else None
        low_high = _constant(value) if column else None
        if column and low_high:
            is_least = isinstance(sign, ast.Lt | ast.LtE if is_turned else ast.Gt | ast.GtE)
            is_most = isinstance(sign, ast.Gt | ast.GtE if is_turned else ast.Lt | ast.LtE)
            if is_least or is_most or isinstance(sign, ast.Eq):
                yield column, -_LARGEST if is_most else low_high[0], _LARGEST if is_least else low_high[1]
        left = right


def _constant(node: ast.expr) -> tuple[int, int] | None:
    """Return the lowest and highest time that a constant may mean, None if it is none."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() as number):
            return number, number
        case ast.Constant(value=float() as number) if math.isfinite(number):
            return math.floor(number) - _ROUNDING, math.ceil(number) + _ROUNDING
        case ast.Constant(value=str() as text):
            try:
                moment = instant_ns(text)
            except (ValueError, OverflowError):  # evaluating it reports it
                return None
            return moment, moment
    return None
