"""Values in SQL statements and in the queries of URLs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tracekit.redaction.keys import LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STATEMENT: Final = re.compile(
    r"(?s)\b(?:SELECT\b.*?\b(?:FROM|WHERE)\b|INSERT\s+(?:IGNORE\s+)?INTO\b|REPLACE\s+INTO\b|UPDATE\b.*?\bSET\b"
    r"|DELETE\s+FROM\b|MERGE\s+INTO\b|CALL\s+[\w.]+\s*\()"
)
_LOWER: Final = re.compile(
    r"(?si)\s*(?:/\*.*?\*/\s*)?(?:select\b.*?\bfrom\b|insert\s+into\b|update\b.*?\bset\b|delete\s+from\b"
    r"|with\b.*?\bas\s*\(\s*select\b)"
)
_TOKENS: Final = r"""(?sx)
    /\*.*?\*/ | --[^\n]*                                                      # comments
    | (?P<dollar>\$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z))
    | (?i:BETWEEN)\s+(?P<low>"(?:[^"\\]|\\.)*")\s+(?i:AND)\s+(?P<high>"(?:[^"\\]|\\.)*")
    | (?i:I?LIKE|R?LIKE|REGEXP|GLOB|MATCH|THEN|ELSE)\s*(?P<compared>"(?:[^"\\]|\\.)*")
    | \$\d+ | [A-Za-z_@:#$][\w$]*(?:\.[A-Za-z_]\w*)*                          # placeholders, names
    | (?P<text>'(?:TEXT)*(?P<open>'|\Z))
    | (?P<quoted>(?<=[=(,<>[])\s*"(?:[^"\\]|\\.)*"(?!\s*[.]) )
    | (?P<number>(?<![\w.$])[+-]?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w]))
    | "(?:[^"\\]|\\.)*" | `[^`]*` | \[[A-Za-z_\#@][^\]'"]*\]
    """
_ESCAPED: Final = re.compile(_TOKENS.replace("TEXT", r"[^'\\]|''|\\."))  # as in MySQL: \' is a quote in a text
_STANDARD: Final = re.compile(_TOKENS.replace("TEXT", r"[^']|''"))
_VALUES: Final = ("dollar", "low", "high", "compared", "text", "quoted", "number")
_JSON: Final = re.compile(r'[{\[]\s*(?:"[^"\\]*"\s*:|\{)')
_LEAF: Final = re.compile(
    r"""(?sx)
    "(?:find|aggregate|insert|update|delete|count|distinct|collection|index|\$db)"\s*:\s*"[^"\\]*"  # names of tables
    | "(?:[^"\\]|\\.)*"\s*:                                                                    # keys
    | "(?P<text>(?:[^"\\]|\\.)*)(?:"|\Z) | '(?P<single>(?:[^'\\]|\\.)*)(?:'|\Z)
    | (?P<number>(?<![\w.$])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?!\w))
    """
)
_PAIR: Final = re.compile(r"[?&;]([\w.~%\[\]-]{1,80})=([^&#\s\"'<>;]+)")
_FIRST: Final = re.compile(r"^([\w.~%\[\]-]{1,80})=([^&#\s\"'<>;]+)")
_LEAST: Final = 1


def is_sql(text: str) -> bool:
    """Return whether a text contains an SQL statement with values.

    Examples
    --------
    >>> is_sql("SELECT * FROM users WHERE name = 'Jo'"), is_sql("select entries")
    (True, False)
    """
    return _STATEMENT.search(text) is not None or (_LOWER.match(text) is not None and "=" in text)


def sql_literals(text: str) -> Iterator[tuple[int, int]]:
    """Yield the begin and end of texts and numbers in an SQL statement; comments and placeholders stay.

    Examples
    --------
    >>> text = "SELECT a1 FROM t WHERE b = 'x y' AND c = 5 AND d = $2"
    >>> [text[begin:end] for begin, end in sql_literals(text)]
    ["'x y'", '5']
    """
    if is_json(text):
        yield from _of_groups(_LEAF, text, ("text", "single", "number"))
        return
    escaped = list(_of_groups(_ESCAPED, text, _VALUES))
    if "\\'" not in text:
        yield from escaped
        return
    standard = list(_of_groups(_STANDARD, text, _VALUES))
    one, other = _ends(_ESCAPED, text), _ends(_STANDARD, text)
    yield from escaped if one and not other else standard if other and not one else _union([*escaped, *standard])


def is_json(text: str) -> bool:
    """Return whether a statement is JSON, or contains it outside of texts, as those of MongoDB.

    Examples
    --------
    >>> is_json('{"find": "users"}'), is_json("SELECT '{}'")
    (True, False)
    """
    found = _JSON.search(text)
    return found is not None and not set("'\"") & set(text[: found.start()])


def _of_groups(pattern: re.Pattern[str], text: str, names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the begin and end of values: the matches of groups, without spaces before them and without empty ones."""
    for found in pattern.finditer(text):
        if found.lastindex is None:  # a name or comment
            continue
        for begin, end in (found.span(name) for name in names if found[name]):
            low = end - len(text[begin:end].lstrip())
            if end - low >= _LEAST and text[low:end] not in {"''", '""'} and not LABEL.fullmatch(text[low:end]):
                yield low, end


def _ends(pattern: re.Pattern[str], text: str) -> bool:
    """Return whether every text in a statement has an end."""
    return all(found["text"] is None or found["open"] for found in pattern.finditer(text))


def _union(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield what spans cover together."""
    begin, end = 0, 0
    for low, high in sorted(spans):
        if low >= end:
            if end:
                yield begin, end
            begin = low
        end = max(end, high)
    if end:
        yield begin, end


def statement_begin(text: str) -> int:
    """Return where the SQL in a text begins: words before it are not SQL."""
    found = _STATEMENT.search(text)
    return found.start() if found else 0


def query_values(text: str, *, is_query: bool = False) -> Iterator[tuple[int, int]]:
    """Yield the begin and end of the values in the query of URLs; a key that says so needs no question mark.

    Examples
    --------
    >>> text = "GET https://shop.example/find?name=jo&page=2#top"
    >>> [text[begin:end] for begin, end in query_values(text)]
    ['jo', '2']
    """
    begin = 0 if is_query else text.find("?")
    while begin >= 0 and not (is_query or _is_url(text, begin)):
        begin = text.find("?", begin + 1)
    if begin < 0:
        return
    for found in _PAIR.finditer(text, begin):
        if not _is_placeholder(found[2]):
            yield found.span(2)
    first = _FIRST.match(text) if is_query else None
    if first is not None and not _is_placeholder(first[2]):
        yield first.span(2)


def _is_url(text: str, at: int) -> bool:
    """Return whether a question mark follows a path: not a space, a quote or another sign."""
    return at > 0 and (text[at - 1].isalnum() or text[at - 1] in "/_-.~})%")


def _is_placeholder(value: str) -> bool:
    """Return whether a value is already replaced, or a placeholder of a template."""
    return bool(LABEL.fullmatch(value)) or value[0] in "{<[$:*?"
