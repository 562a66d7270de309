"""Conditions over columns and attributes of spans, parsed and never executed as code.

The text is parsed by Python's parser, every node of the tree must be one of the kinds below, and ``operations``
evaluates them. No other attributes, calls, names or subscripts are allowed::

    condition  = condition and condition | condition or condition | not condition     (also & | ^ ~)
               | value (== | != | < | <= | > | >=) value ... | column [not] in [constant, ...] | column.contains(text) |
               .startswith(text) | .endswith(text) | .like(text with * and ?) | column.isna() | column.notna() | a
               boolean column
    value      = column | number | text | True | False | value (+ | - | * | / | // | %) value
    column     = a name of ``tracekit.grouping``: duration_ns, app.tier, resource.service.version, request.app.tier

Attributes are texts; compared with numbers, they are numbers, missing where the text is none.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import TYPE_CHECKING

from tracekit import schema
from tracekit.errors import FilterError
from tracekit.expressions.operations import (
    ARITHMETIC,
    COMPARISONS,
    MISSING_METHODS,
    TEXT_METHODS,
    Value,
    as_numbers,
    by_text,
    calculated,
    column,
    compared,
    constant,
    joined,
    member,
    missing,
)
from tracekit.expressions.tokens import shortened
from tracekit.grouping import KINDS, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

_DEEPEST = 100
_BITWISE = {"BitAnd": "And", "BitOr": "Or", "BitXor": "Xor"}
_METHODS = ", ".join(f".{name}()" for name in (*TEXT_METHODS, "isna", "notna"))
_ALLOWED = (
    "columns and attributes of spans, numbers and texts, compared (== != < <= > >=, in [...]), calculated "
    f"(+ - * / // %), joined (and, or, not), and {_METHODS} of a column"
)
_PANDAS_METHODS = frozenset(TEXT_METHODS) - {"like"}
_SINGLE_SIGN = re.compile(r"(?<![=!<>])=(?!=)")
_REGULAR = frozenset("\\.^$*+?{}[]|()")


def evaluate(expression: str, column: Callable[[str], pd.Series]) -> pd.Series:
    """Return the mask of a condition over columns of spans, one entry per span.

    Missing numbers and times match no comparison, missing texts match only ``!=``. Times are compared with ISO 8601
    text, UTC if it has no time zone. ``contains`` matches literal text, not a regular expression; pandas' ``.str.``
    before ``contains``, ``startswith`` and ``endswith`` is allowed.
    """
    return _Condition(expression, column).mask()


def parsed(expression: str) -> ast.expr:
    """Return the tree of a condition; FilterError with the position where it does not parse, or nests too deeply."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's warnings about invalid escapes
            return ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:  # ValueError: a NUL, or half a character
        at = _place(expression, getattr(error, "lineno", None), getattr(error, "offset", None))
        reason = shortened(str(getattr(error, "msg", error)))
        message = f"expected a condition over columns of spans, found {_quoted(expression)}: {reason} at {at}"
        if (corrected := _with_double_signs(expression)) is not None:
            message += f"; write {shortened(corrected)}"
        raise FilterError(f"{message}; allowed are {_ALLOWED}", expression=expression, position=at) from error
    except (RecursionError, MemoryError):
        raise _too_deep(expression) from None


def _with_double_signs(expression: str) -> str | None:
    """Return a condition with ``==`` in place of ``=``; None if that is not what it lacks."""
    corrected = _SINGLE_SIGN.sub("==", expression.strip())
    try:
        ast.parse(corrected, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return corrected


def _place(expression: str, line: int | None, offset: int | None) -> int:
    """Return the position reported by Python's parser, from 0; the end if it reports none."""
    if not offset or not line:
        return len(expression)
    begun = len(expression) - len(expression.lstrip())
    lines = expression.strip().splitlines(keepends=True)
    return min(begun + sum(map(len, lines[: line - 1])) + offset - 1, len(expression))


def _too_deep(expression: str) -> FilterError:
    """Return the error of a condition that nests too deeply."""
    message = (
        f"expected a condition nested at most {_DEEPEST} levels deep, found a deeper one: {_quoted(expression)};"
        " join conditions with 'and', 'or', or list constants: column in [...]"
    )
    return FilterError(message, expression=expression, position=0)


def _quoted(expression: str) -> str:
    """Return an expression in quotation marks, shortened."""
    return shortened(repr(expression))


def _dotted(node: ast.expr) -> str | None:
    """Return a name with dots in it; None for anything else."""
    words = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(words)]) if isinstance(node, ast.Name) else None


class _Condition:
    """One expression and the columns it is evaluated on."""

    def __init__(self, expression: str, column_of: Callable[[str], pd.Series]) -> None:
        self._expression = expression
        self._column_of = column_of
        self._columns: dict[str, Value] = {}
        self._own = frozenset(schema.names("spans"))
        self._tree: ast.expr = ast.Constant(value=True)

    def mask(self) -> pd.Series:
        """Return the result, one per span."""
        tree = self._tree = parsed(self._expression)
        self._measure(tree)
        found = self._value(tree)
        if found.kind != "truth" or not found.is_column:
            message = f"expected a condition over columns of spans, found {_quoted(self._expression)}, which is not a"
            message += " condition: compare a column with a value, as in depth > 0"
            raise FilterError(message, expression=self._expression, position=0)
        mask: pd.Series = found.content
        return mask

    def _measure(self, tree: ast.expr) -> None:
        """Raise FilterError if the tree is nested too deeply."""
        level: list[ast.AST] = [tree]
        for _ in range(_DEEPEST):
            level = [child for node in level for child in ast.iter_child_nodes(node)]
            if not level:
                return
        raise _too_deep(self._expression)

    def _refusal(self, node: ast.expr, expected: str, found: str = "") -> FilterError:
        """Return the error of a node: its position, what was found and what was expected."""
        first = len(self._expression) - len(self._expression.lstrip())
        lines = self._expression.strip().splitlines(keepends=True)
        line = lines[node.lineno - 1].encode("utf-8", "replace")
        at = first + sum(map(len, lines[: node.lineno - 1])) + len(line[: node.col_offset].decode("utf-8", "replace"))
        found = found or shortened(repr(self._expression[at : at + 60]), 60)
        message = f"expected {expected}, found {found} at {at} of {_quoted(self._expression)}"
        return FilterError(message, expression=self._expression, position=at)

    def _value(self, node: ast.expr) -> Value:
        """Return the value of a node of the tree."""
        match node:
            case ast.Name() | ast.Attribute() if name := _dotted(node):
                return self._column(node, name)
            case ast.Constant(value=bool() | int() | float() | str() as content):
                return constant(content)
            case ast.BoolOp():
                return self._joined(type(node.op).__name__, node.values)
            case ast.UnaryOp(op=ast.Not() | ast.Invert()):
                return self._joined("Not", [node.operand])
            case ast.UnaryOp():
                return self._calculated(
                    node, "Mult", constant(-1 if isinstance(node.op, ast.USub) else 1), node.operand
                )
            case ast.BinOp() if type(node.op).__name__ in _BITWISE:
                return self._joined(_BITWISE[type(node.op).__name__], [node.left, node.right])
            case ast.BinOp() if type(node.op).__name__ in ARITHMETIC:
                return self._calculated(node, type(node.op).__name__, self._value(node.left), node.right)
            case ast.Compare():
                return self._compared(node)
            case ast.Call(func=ast.Attribute() as method):
                return self._called(node, method)
        raise self._refusal(node, _ALLOWED)

    def _column(self, node: ast.expr, name: str) -> Value:
        """Return a column or attribute of spans."""
        if name not in self._columns:
            try:
                self._columns[name] = column(self._column_of(name))
            except UnknownNameError as unknown:
                error = self._refusal(node, KINDS, repr(shortened(name, 60)))
                message = f"{error}; {self._advice(node, name, unknown.near)}"
                raise FilterError(message, expression=self._expression, position=error.position) from None
        return self._columns[name]

    def _advice(self, node: ast.expr, name: str, near: list[str]) -> str:
        """Return the line that would work with the name that is most likely meant."""
        if not near:
            return "traces.attributes['key'].unique() lists the attributes, tracekit.describe() the columns"
        advice = f"write {shortened(self._expression.strip().replace(name, near[0]))}"
        for pair in ast.walk(self._tree):
            match pair:
                case ast.Compare(left=left, ops=[ast.Eq()], comparators=[ast.Constant(value=str() as text)]) if (
                    left is node and near[0] not in self._own
                ):
                    bare = near[0].removeprefix("request.").removeprefix("resource.")
                    return f"{advice}, or as an X-Ray filter expression annotation.{bare} = {json.dumps(text)}"
        return advice

    def _joined(self, name: str, sides: list[ast.expr]) -> Value:
        """Return conditions joined."""
        values = [self._value(side) for side in sides]
        for side, value in zip(sides, values, strict=True):
            if value.kind != "truth":
                word = "not" if name == "Not" else f"each side of {name.lower()!r}"
                raise self._refusal(side, f"a condition for {word} (comparisons beside & | ~ need parentheses)")
        found = joined(name, values)
        assert found is not None, "every side is a condition"
        return found

    def _calculated(self, node: ast.expr, name: str, left: Value, right: ast.expr) -> Value:
        """Return the result of arithmetic."""
        try:
            found = calculated(name, left, self._value(right))
        except ArithmeticError as error:
            raise self._refusal(node, "numbers that can be calculated", str(error)) from None
        if found is None:
            raise self._refusal(node, "numbers on both sides of + - * / // %")
        return found

    def _compared(self, node: ast.Compare) -> Value:
        """Return a comparison, or several in a chain."""
        links = []
        left = node.left
        for sign, right in zip(node.ops, node.comparators, strict=True):
            name = type(sign).__name__
            found = self._listed(left, name, right) if name in {"In", "NotIn"} else self._pair(node, left, name, right)
            links.append(found)
            left = right
        chain = joined("And", links)
        assert chain is not None, "every link is a condition"
        return chain

    def _pair(self, node: ast.Compare, left: ast.expr, name: str, right: ast.expr) -> Value:
        """Return one comparison."""
        if name not in COMPARISONS:
            raise self._refusal(node, "one of == != < <= > >= in")
        sides = self._value(left), self._value(right)
        if {side.kind for side in sides} == {"text", "number"}:
            sides = self._numeric(left, sides[0]), self._numeric(right, sides[1])
        try:
            found = compared(name, *sides)
        except (ValueError, OverflowError) as error:
            raise self._refusal(right, "a time such as '2024-05-14T14:00:00Z'", shortened(str(error))) from None
        if found is None:
            kinds = " and ".join(f"a {side.kind}" for side in sides)
            expected = (
                "a condition over columns of spans that compares values of one kind (texts and booleans with == and !=)"
            )
            raise self._refusal(node, expected, kinds)
        return found

    def _numeric(self, node: ast.expr, value: Value) -> Value:
        """Return an attribute as numbers, anything else as it is."""
        is_attribute = value.kind == "text" and value.is_column and _dotted(node) not in self._own
        return as_numbers(value) if is_attribute else value

    def _listed(self, left: ast.expr, name: str, right: ast.expr) -> Value:
        """Return whether a column equals one of some constants."""
        if not isinstance(right, ast.List | ast.Tuple | ast.Set):
            raise self._refusal(right, "a list of constants after 'in' (for a part of a text: column.contains('part'))")
        found = member(self._value(left), [self._value(one) for one in right.elts])
        if found is None:
            raise self._refusal(left, "a column of texts or numbers before 'in', and constants of that kind after it")
        return found if name == "In" else Value("truth", ~found.content)

    def _called(self, node: ast.Call, method: ast.Attribute) -> Value:
        """Return the result of one of the allowed methods of a column."""
        name, owner = method.attr, method.value
        is_pandas = isinstance(owner, ast.Attribute) and owner.attr == "str" and name in _PANDAS_METHODS
        owner = owner.value if isinstance(owner, ast.Attribute) and is_pandas else owner
        called = _dotted(owner)
        if called is None or name not in {*TEXT_METHODS, *MISSING_METHODS} or node.keywords:
            raise self._refusal(node, _ALLOWED)
        content = self._column(owner, called)
        if name in MISSING_METHODS:
            if node.args:
                raise self._refusal(node, f".{name}() without arguments")
            return missing(name, content.content)
        match node.args:
            case [ast.Constant(value=str(wanted))] if content.kind == "text":
                if is_pandas and name == "contains" and _REGULAR & set(wanted):
                    expected = "text without regular expression syntax in .str.contains()"
                    raise self._refusal(
                        node.args[0], f"{expected}; .contains() matches literal text, .like() has * and ?"
                    )
                return by_text(name, content.content, wanted)
            case _:
                raise self._refusal(node, f"a column of texts and one text for .{name}()")
