"""Parser from text to ``Expression``, with two stacks and without recursion.

The grammar of the X-Ray developer guide; adjacent conditions are joined by AND, which binds more tightly than OR::

    filter     = condition {[AND | OR] condition}
    condition  = ! condition | ( filter ) | term
    term       = keyword [operator value]
               | service([id]) [{ filter }] | edge(id, id) [{ filter }]
               | rootcause.(fault | error | responsetime).(service | entity | exception) [{ filter }]
               | rootcause.json = #JSON
    id         = "name" | id([name: "..."] [, type: "..."] [, account.id: "..."])
    keyword    = annotation.key | annotation[key] | one of syntax.KEYWORDS
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from tracekit.expressions.syntax import (
    AND,
    CAUSE_BLOCKS,
    KEYWORDS,
    NOT,
    OPERATORS,
    OR,
    Block,
    Condition,
    Expression,
    Id,
    Step,
)
from tracekit.expressions.tokens import Token, failure, tokens

if TYPE_CHECKING:
    from tracekit.errors import FilterError

_BINDS = {OR: 1, AND: 2, NOT: 3}
_ID_PARTS = {"name": "name", "type": "type", "account.id": "account"}
_TRUTHS = {"true": True, "false": False}
_EXPECTED = {"truth": "true or false", "number": "a number", "text": "text in double quotation marks"}
_AFTER_TERM = "AND, OR, another condition or the end"


def parse(expression: str) -> Expression:
    """Return a filter expression as its steps in postfix order.

    Source: AWS X-Ray developer guide, "Using filter expressions".
    """
    return _Parser(expression).filter("trace")


class _Parser:
    """Reads the tokens of one text from left to right."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = tokens(expression)
        self._next = 0

    # ---------------------------------------------------------------- tokens

    @property
    def _token(self) -> Token:
        """Return the next token."""
        return self._tokens[self._next]

    def _take(self) -> Token:
        """Return the next token and advance."""
        token = self._token
        self._next += token.kind != "end"
        return token

    def _sign(self, sign: str, where: str) -> None:
        """Advance past a required sign."""
        if not self._token.is_sign(sign):
            raise self._failure(f"{sign!r} {where}")
        self._take()

    def _failure(self, expected: str, token: Token | None = None) -> FilterError:
        """Return the error of the next token, or another one."""
        token = token or self._token
        found = "the end" if token.kind == "end" else repr(token.raw[:40])
        return failure(expected, found, self._expression, token.at)

    # ---------------------------------------------------------------- conditions

    def filter(self, scope: str) -> Expression:
        """Return the conditions up to the end, or up to the closing brace of a block."""
        steps: list[Step] = []
        waiting: list[str] = []
        opened: list[Token] = []
        is_after_term = False
        while not is_after_term or self._joined(steps, waiting, opened, scope):
            is_after_term = False
            if self._token.is_sign("!"):
                self._take()
                waiting.append(NOT)
            elif self._token.is_sign("("):
                opened.append(self._take())
                waiting.append("(")
            else:
                steps.append(self._term(scope))
                is_after_term = True
        if opened:
            raise self._failure(f"')' for the '(' at {opened[-1].at}")
        _settle(steps, waiting, 0)
        return tuple(steps)

    def _joined(self, steps: list[Step], waiting: list[str], opened: list[Token], scope: str) -> bool:
        """Parse what follows a term, and return whether another condition follows."""
        while opened and self._token.is_sign(")"):
            self._take()
            opened.pop()
            _settle(steps, waiting, 0)
            waiting.pop()
        word = self._token.raw.upper() if self._token.kind == "word" else ""
        begins = self._token.kind == "word" or self._token.is_sign("!") or self._token.is_sign("(")
        if not begins:
            ends = self._token.kind == "end" if scope == "trace" else self._token.is_sign("}")
            if not ends and not (opened and self._token.kind == "end"):
                raise self._failure(_AFTER_TERM if scope == "trace" else "AND, OR, another condition or '}'")
            return False
        operator = word if word in {AND, OR} else AND
        if word in {AND, OR}:
            self._take()
        _settle(steps, waiting, _BINDS[operator])
        waiting.append(operator)
        return True

    # ---------------------------------------------------------------- terms

    def _term(self, scope: str) -> Step:
        """Return a keyword with its comparison, or a block."""
        token = self._token
        if token.kind != "word" or token.raw.upper() in {AND, OR}:
            raise self._failure("a keyword, '!' or '('")
        word = token.raw.lower()
        if word in {"service", "edge", *CAUSE_BLOCKS}:
            return self._block(word, scope)
        self._take()
        if word == "rootcause.json" and scope == "trace":
            self._sign("=", "after 'rootcause.json'")
            if self._token.kind != "json":
                raise self._failure("# and a JSON list after 'rootcause.json ='")
            return Condition(word, "=", self._take().value, at=token.at)
        if word == "annotation" or word.startswith("annotation."):
            return self._comparison(Condition("annotation", key=self._key(token), at=token.at), scope, token.raw)
        if word not in KEYWORDS:
            near = difflib.get_close_matches(word, [*KEYWORDS, *CAUSE_BLOCKS, "service", "edge"], 3)
            hint = f" (did you mean {', '.join(near)}?)" if near else ""
            raise self._failure(f"an X-Ray keyword{hint}", token)
        return self._comparison(Condition(word, at=token.at), scope, token.raw)

    def _key(self, token: Token) -> str:
        """Return the key of an annotation."""
        key = token.raw[len("annotation.") :]
        if not key and "." not in token.raw and self._token.kind == "bracket":
            key = self._take().value
        if not key:
            raise self._failure("a key as in annotation.key or annotation[key]")
        return key

    def _comparison(self, test: Condition, scope: str, raw: str) -> Condition:
        """Return a keyword with the operator and value that follow, if any."""
        allowed = KEYWORDS[test.keyword].scopes if test.keyword in KEYWORDS else ("trace", "service", "edge")
        if scope not in allowed:
            where = "outside of braces" if scope == "trace" else f"in the braces of {scope}"
            homes = ", ".join("a trace" if home == "trace" else home for home in allowed)
            found = f"{raw!r}, which belongs to {homes}"
            raise failure(f"a keyword allowed {where}", found, self._expression, test.at)
        operators = OPERATORS[test.kind]
        token = self._token
        operator = token.raw.upper()
        is_operator = token.kind == "sign" and token.raw in OPERATORS["annotation"]
        if not is_operator and not (token.kind == "word" and operator in OPERATORS["annotation"]):
            if test.kind == "group":
                raise self._failure(f"= or != after {raw!r}")
            return test
        if operator not in operators:
            raise self._failure(f"one of {' '.join(operators)} after {raw!r}")
        self._take()
        value = self._value(test.kind, operator, f"{raw} {operator}")
        return Condition(test.keyword, operator, value, test.key, test.at)

    def _value(self, kind: str, operator: str, before: str) -> object:
        """Return the value of a comparison, of the type required by its keyword and operator."""
        accepted = ["text" if kind == "group" else kind]
        if kind == "annotation":  # true and false in quotation marks are text
            types = _EXPECTED if self._token.kind == "word" else ("number", "text")
            accepted = [one for one in types if operator in OPERATORS[one]]
        readings = _readings(self._token)
        found = [readings[one] for one in accepted if one in readings]
        if not found:
            raise self._failure(f"{' or '.join(_EXPECTED[one] for one in accepted)} after {before!r}")
        self._take()
        return found[0]

    # ---------------------------------------------------------------- blocks

    def _block(self, word: str, scope: str) -> Block:
        """Return a service, an edge or a part of a root cause, with the filter in its braces."""
        token = self._take()
        if scope != "trace":
            expected = f"a keyword allowed in the braces of {scope}"
            raise failure(expected, repr(token.raw), self._expression, token.at)
        ids: tuple[Id, ...] = ()
        if word in {"service", "edge"}:
            self._sign("(", f"after {token.raw!r}")
            if word == "edge":
                source = self._id()
                self._sign(",", "between the two services of an edge")
                ids = (source, self._id())
            elif not self._token.is_sign(")"):
                ids = (self._id(),)
            self._sign(")", f"after the services of {token.raw!r}")
        inner: Expression = ()
        if self._token.is_sign("{"):
            self._take()
            inner = self.filter(word)
            self._sign("}", f"at the end of the braces of {token.raw!r}")
        return Block(word, ids, inner, token.at)

    def _id(self) -> Id:
        """Return the service id."""
        if self._token.kind == "text":
            return Id(name=self._take().value)
        if self._token.kind != "word" or self._token.raw.lower() != "id":
            raise self._failure('the name of a service in double quotation marks, or id(name: "...", type: "...")')
        self._take()
        self._sign("(", "after 'id'")
        parts: dict[str, str] = {}
        while True:
            word = self._token.raw.lower()
            if self._token.kind != "word" or word not in _ID_PARTS or _ID_PARTS[word] in parts:
                raise self._failure("one of name, type, account.id, each once, in id()")
            self._take()
            self._sign(":", f"after {word!r}")
            if self._token.kind != "text":
                raise self._failure(f"text in double quotation marks after '{word}:'")
            parts[_ID_PARTS[word]] = self._take().value
            if not self._token.is_sign(","):
                break
            self._take()
        self._sign(")", "at the end of id()")
        return Id(**parts)


def _readings(token: Token) -> dict[str, object]:
    """Return the value of a token as each type of ``_EXPECTED`` that it can have."""
    found: dict[str, object] = {"number": token.value} if token.kind == "number" else {}
    if token.kind in {"word", "text"} and (truth := _TRUTHS.get(str(token.value).lower())) is not None:
        found["truth"] = truth
    if token.kind == "text" or (token.kind == "word" and token.raw.upper() not in {AND, OR}):
        found["text"] = token.value
    return found


def _settle(steps: list[Step], waiting: list[str], binds: int) -> None:
    """Move waiting operators of at least this precedence to the steps."""
    while waiting and waiting[-1] != "(" and _BINDS[waiting[-1]] >= binds:
        steps.append(waiting.pop())
