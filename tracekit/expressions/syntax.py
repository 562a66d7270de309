"""Keywords of X-Ray filter expressions, and the elements of a parsed expression.

An expression is a tuple of steps in postfix order (``a AND !b`` is ``a``, ``b``, ``NOT``, ``AND``), so evaluation needs
no recursion.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

NOT, AND, OR = "NOT", "AND", "OR"
EQUALITY = ("=", "!=")
ORDER = (*EQUALITY, "<", "<=", ">", ">=")
TEXTUAL = (*EQUALITY, "CONTAINS", "BEGINSWITH", "ENDSWITH")
OPERATORS = {
    "truth": EQUALITY,
    "number": ORDER,
    "text": TEXTUAL,
    "group": EQUALITY,
    "annotation": (*ORDER, *TEXTUAL[2:]),
}
CAUSES = ("fault", "error", "responsetime")
LEVELS = ("service", "entity", "exception")
CAUSE_BLOCKS = tuple(
    f"rootcause.{cause}.{level}" for cause in CAUSES for level in LEVELS if (cause, level) != (CAUSES[2], LEVELS[2])
)
_SERVICES = tuple(name for name in CAUSE_BLOCKS if name.endswith(LEVELS[0]))
_ENTITIES = tuple(name for name in CAUSE_BLOCKS if name.endswith(LEVELS[1]))
_EXCEPTIONS = tuple(name for name in CAUSE_BLOCKS if name.endswith(LEVELS[2]))
_ANYWHERE = ("trace", "service", "edge")


class Keyword(NamedTuple):
    """Type of the values of a keyword, and where it is allowed."""

    kind: str
    scopes: tuple[str, ...]


KEYWORDS: dict[str, Keyword] = {
    **dict.fromkeys(("ok", "error", "throttle", "fault", "partial"), Keyword("truth", _ANYWHERE)),
    "inferred": Keyword("truth", ("trace", "service", *_SERVICES)),
    "root": Keyword("truth", ("service",)),
    **dict.fromkeys(("first", "last"), Keyword("truth", CAUSE_BLOCKS)),
    "remote": Keyword("truth", _ENTITIES),
    **dict.fromkeys(("responsetime", "duration", "http.status"), Keyword("number", _ANYWHERE)),
    "index": Keyword("number", CAUSE_BLOCKS),
    "coverage": Keyword("number", ("rootcause.responsetime.entity",)),
    **dict.fromkeys(("http.url", "http.method", "http.useragent", "http.clientip", "user"), Keyword("text", _ANYWHERE)),
    **dict.fromkeys(("availabilityzone", "instance.id", "resource.arn"), Keyword("text", _ANYWHERE)),
    "name": Keyword("text", ("service", *CAUSE_BLOCKS)),
    "type": Keyword("text", ("service", *_SERVICES)),
    "message": Keyword("text", _EXCEPTIONS),
    **dict.fromkeys(("group.name", "group.arn"), Keyword("group", ("trace",))),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One keyword, alone or compared with a value.

    Parameters
    ----------
    keyword
        A key of ``KEYWORDS``, ``annotation`` or ``rootcause.json``.
    operator
        One of ``OPERATORS``; empty for the keyword alone.
    value
        The value to compare with.
    key
        Key of an annotation.
    at
        Position in the text.
    """

    keyword: str
    operator: str = ""
    value: Any = None
    key: str = ""
    at: int = field(default=0, compare=False)

    @property
    def kind(self) -> str:
        """Type of the keyword's values."""
        return KEYWORDS[self.keyword].kind if self.keyword in KEYWORDS else self.keyword


class Id(NamedTuple):
    """Name, type and account of services; None matches any, ``*`` and ``?`` are wildcards."""

    name: str | None = None
    type: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """``service(id) {filter}``, ``edge(id, id) {filter}`` or ``rootcause.fault.service {filter}``."""

    kind: str
    ids: tuple[Id, ...] = ()
    filter: Expression = ()
    at: int = field(default=0, compare=False)


Step: TypeAlias = Condition | Block | str
Expression: TypeAlias = tuple[Step, ...]
