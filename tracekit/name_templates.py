"""Templates of names: an operation name without the IDs, dates and literals that differ from request to request.

Each name is judged by its form only, so that it has the same template in every recording.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

ID: Final = "{id}"
_FEWEST_ALTERNATIONS: Final = 4  # between letters and digits in a random word

_SEPARATORS: Final = re.compile(r"([\s/?&=,;:()'\"\[\]<>|#]+)")
_HOST_AND_PORT: Final = re.compile(r"(?<![\w.-])((?:localhost|[\w-]{1,63}(?:\.[\w-]{1,63})+):\d{2,5})(?![\w.])")
_ID: Final = re.compile(
    r"\d{3,}"  # a number
    r"|[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"  # a UUID
    r"|(?=[0-9]*[a-f])(?=[a-f]*[0-9][a-f]*[0-9])[0-9a-f]{8,}"  # hexadecimal, with letters and at least two digits
    r"|\d{4}-\d\d-\d\d(?:[t_]\d\d\S*)?",  # a date
    re.IGNORECASE,
)
_ID_IN_PATH: Final = re.compile(r"\d+|[A-Za-z]{1,6}[-_.]?\d{3,}|[^@]+@[^@]+\.[A-Za-z]{2,}")
_NUMBERED: Final = re.compile(r"([A-Za-z].*[-_.])\d{3,}|([A-Za-z]{1,6})\d{5,}")
_ALTERNATION: Final = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_RANDOM: Final = re.compile(r"[A-Za-z0-9_-]{16,}")

_STATEMENT: Final = re.compile(
    r"\s*(?:(?:select|delete)\b.*\bfrom|(?:insert|merge|replace)\b.*\binto|update\b.*\bset|with\b.*\bselect)\b",
    re.IGNORECASE | re.DOTALL,
)
_LITERAL: Final = re.compile(
    r"'(?:[^']|'')*(?:'|$)|(?<![\w$@:.])-?(?:0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?!\w)", re.IGNORECASE
)
_PARTS_OF_STATEMENT: Final = re.compile(
    r"""(?six)
    (?P<comment>/\*.*?(?:\*/|\Z) | --[^\n]*)
    | (?P<value>'(?:[^'\\]|''|\\.)*(?:'|\Z)
        | \$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z)
        | (?<=[=(,<>])\s*"(?:[^"\\]|\\.)*"(?!\s*[.])
        | \[SQL\ literal(?:\ [0-9a-f]{12})?\]                          # what a policy of redaction writes
        | \$\d+ | (?<![:\w]):[A-Za-z_]\w* | @\w+ | %s | %\(\w+\)s | \?\d+   # placeholders
        | (?<![\w$.])-?(?:0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?!\w))
    | "[^"]*" | `[^`]*`
    | (?<=[a-z_])(?P<digits>\d{3,})                                     # orders_20261121
    """
)
_LIST: Final = re.compile(r"\(\s*\?(?:\s*,\s*\?)*\s*\)(?:\s*,\s*\(\s*\?(?:\s*,\s*\?)*\s*\))*")


def template(name: str) -> str:
    """Return a name with IDs as ``{id}``, and a SQL statement with its literals as ``?``.

    IDs are numbers of three or more digits, UUIDs, long hexadecimal and random words, and dates; in a path also shorter
    numbers and e-mail addresses.  Version numbers, ports, and names like ``orders@db.example`` are kept.

    Examples
    --------
    >>> template("GET /v1/orders/8231")
    'GET /v1/orders/{id}'
    >>> template("SELECT * FROM orders WHERE id IN (17, 18)")
    'SELECT * FROM orders WHERE id IN (?)'
    """
    if not any(map(str.isdigit, name)) and "@" not in name and "'" not in name:
        return name
    if _STATEMENT.match(name):
        return _LIST.sub("(?)", _LITERAL.sub("?", name))
    parts = _HOST_AND_PORT.split(name)
    parts[::2] = map(_without_ids, parts[::2])
    return "".join(parts)


def statement_template(text: str) -> str:
    """Return an SQL statement on one line, its values as ``?``, without comments; empty for other text.

    Examples
    --------
    >>> statement_template("/* id 7 */ SELECT *  FROM entries WHERE centre = 'ent-003/12' AND year IN ($1, $2);")
    'SELECT * FROM entries WHERE centre = ? AND year IN (?)'
    >>> statement_template("GET user:17")
    ''
    """
    plain = " ".join(_PARTS_OF_STATEMENT.sub(_placeholder, text).split()).rstrip("; ")
    return _LIST.sub("(?)", plain) if _STATEMENT.match(plain) else ""


def _placeholder(found: re.Match[str]) -> str:
    """Return what stands for a part of a statement: nothing for a comment, ``?`` for a value, names as they are."""
    if found["comment"] is not None:
        return " "
    if found["digits"] is not None:
        return ID
    return f"{' ' * found[0][0].isspace()}?" if found["value"] is not None else found[0]


def path_template(url: str) -> str:
    """Return the path of a URL without query and IDs; empty for text that is not a URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    path = parts.path or "/" * bool(parts.netloc)
    return _without_ids(path) if path.startswith("/") else ""


def _without_ids(text: str) -> str:
    """Return text with the words that are IDs replaced."""
    parts = _SEPARATORS.split(text)
    for at in range(0, len(parts), 2):
        in_path = at > 0 and parts[at - 1][-1] in "/="
        parts[at] = _word(parts[at], in_path=in_path)
    return "".join(parts)


def _word(word: str, *, in_path: bool) -> str:
    """Return a word, or its template if it is an ID or ends with one."""
    if _ID.fullmatch(word) or (in_path and _ID_IN_PATH.fullmatch(word)):
        return ID
    if _RANDOM.fullmatch(word) and len(_ALTERNATION.findall(word)) >= _FEWEST_ALTERNATIONS:
        return ID
    numbered = _NUMBERED.fullmatch(word)
    return f"{numbered[1] or numbered[2]}{ID}" if numbered else word
