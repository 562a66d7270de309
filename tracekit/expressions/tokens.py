"""Tokens of a filter expression, and errors with their position."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from tracekit.errors import FilterError

_PATTERN = re.compile(
    r"""
    (?P<text>"(?:[^"\\]|\\.)*")
  | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![A-Za-z0-9_.]))
  | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
  | (?P<bracket>\[[^\[\]"]+\])
  | (?P<sign>!=|<=|>=|[=<>!(){},:])
  | (?P<json>\#)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLANK = re.compile(r"\s*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WINDOW = 120
_LONGEST = 600
_LONGEST_QUOTE = 200


class Token(NamedTuple):
    """A word, number, text, bracketed key, JSON value, sign or the end."""

    kind: str
    raw: str
    value: Any
    at: int

    def is_sign(self, sign: str) -> bool:
        """Return whether this token is a given sign."""
        return self.kind == "sign" and self.raw == sign


def tokens(expression: str) -> list[Token]:
    """Return the tokens of an expression, an ``end`` last."""
    found: list[Token] = []
    at = _past_blank(expression, 0)
    while at < len(expression):
        match = _PATTERN.match(expression, at)
        if match is None:
            raise failure("a keyword, an operator or a value", _odd(expression, at), expression, at)
        token = _token(str(match.lastgroup), match[0], expression, at)
        found.append(token)
        at = _past_blank(expression, at + len(token.raw))
    return [*found, Token("end", "", None, len(expression))]


def _past_blank(expression: str, at: int) -> int:
    """Return the start of the next token."""
    found = _BLANK.match(expression, at)
    return found.end() if found else at


def _token(kind: str, raw: str, expression: str, at: int) -> Token:
    """Return a token with its value."""
    if kind == "text":
        return Token(kind, raw, _ESCAPED.sub(r"\1", raw[1:-1]), at)
    if kind == "number":
        return Token(kind, raw, float(raw), at)
    if kind == "bracket":
        return Token(kind, raw, raw[1:-1].strip(), at)
    if kind == "json":
        try:
            value, end = json.JSONDecoder().raw_decode(expression, _past_blank(expression, at + 1))
        except (ValueError, RecursionError) as error:
            raise failure("a JSON value after #", _odd(expression, at), expression, at) from error
        return Token(kind, expression[at:end], value, at)
    return Token(kind, raw, raw, at)


def _odd(expression: str, at: int) -> str:
    """Return a description of the text at a position where no token begins."""
    if expression[at] == '"':
        return "text without its closing quotation mark"
    return "text in single quotation marks" if expression[at] == "'" else repr(expression[at])


def failure(expected: str, found: str, expression: str, at: int) -> FilterError:
    """Return the error of an expression: what was expected, what was found, and a caret below the position."""
    low = max(0, at - _WINDOW // 2)
    line = re.sub(r"\s", " ", expression[low : low + _WINDOW])
    picture = f"  {line}\n  {' ' * (at - low)}^"
    summary = f"expected {shortened(expected, _LONGEST)}, found {shortened(found)}"
    message = f"{summary} at {at} of the filter expression\n{picture}"
    return FilterError(message, expression=expression, position=at)


def shortened(text: str, longest: int = _LONGEST_QUOTE) -> str:
    """Return a text of at most ``longest`` characters, or its beginning with its length."""
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text):,} characters)"
