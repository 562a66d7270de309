"""All matches in many texts: by form, by key, in SQL and URLs, and by how random they look."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracekit.redaction.entropy import secrets_in
from tracekit.redaction.keys import LABEL, Context, is_count, is_value_of
from tracekit.redaction.kinds import KINDS, PRIVATE, SECRETS, SQL, URL
from tracekit.redaction.literals import is_sql, query_values, sql_literals, statement_begin
from tracekit.redaction.matches import Match, Matches, merged
from tracekit.redaction.numbers import card_like, luhn
from tracekit.redaction.patterns import DETECTORS
from tracekit.redaction.scan import blob_of, candidates, digit_runs
from tracekit.redaction.shapes import shapes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tracekit.columns import Array
    from tracekit.redaction.shapes import Shapes

_IN_SERVICES: Final = frozenset({"email", "IBAN", "social security number", "phone number", "high-entropy secret"})
"""Kinds that names and versions of services are searched for besides secrets of a known form."""
_BIT: Final = {kind: 1 << rank for rank, kind in enumerate(("", *KINDS))}  # "": judged by its key
_Kind = tuple[str, "Callable[[str, Context], Iterator[tuple[int, int]]]"]


def found_in(texts: pa.LargeStringArray, contexts: Sequence[Context], context: Array) -> Matches:
    """Return the matches of texts.

    Parameters
    ----------
    texts
        The texts; a null has no matches.
    contexts, context
        What the keys say, and which of them each text belongs to.
    """
    shapes = shapes_of(texts)
    asked = _asked(texts, shapes) | _asked_by_key(contexts)[context]
    wanted = np.flatnonzero((asked != 0) & texts.is_valid().to_numpy(zero_copy_only=False))
    first, group = _alike(wanted, asked, shapes, context)
    wholes = texts.take(pa.array(first, pa.int64())).to_pylist()
    searches: dict[tuple[int, int], tuple[Context, list[_Kind]]] = {}
    found: list[tuple[int, str, list[Match]]] = []
    keys = zip(context[first].tolist(), asked[first].tolist(), strict=True)
    for at, (text, key) in enumerate(zip(wholes, keys, strict=True)):
        if text:
            if key not in searches:
                searches[key] = contexts[key[0]], _searches(key[1], contexts[key[0]])
            matches = _matches(text, *searches[key])
            if matches:
                found.append((at, text, matches if len(matches) == 1 else merged(matches)))
    return Matches.of(found).shared(group, wanted)


def _alike(wanted: Array, asked: Array, shapes: Shapes, context: Array) -> tuple[Array, Array]:
    """Return the rows to search, and which of them each wanted row has the matches of.

    Values of queries and SQL are at the same places in texts of one shape, where digits are no tag of a text in SQL and
    no mark of a hexadecimal number.
    """
    is_bound = pc.match_substring_regex(shapes.texts, _BOUND).to_numpy(zero_copy_only=False)
    is_free = ((asked[wanted] & ~(_BIT[URL] | _BIT[SQL])) == 0) & ~is_bound[shapes.code[wanted]]
    group = np.where(is_free, shapes.code[wanted] * (context.max(initial=0) + 2) + context[wanted], -1 - wanted)
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    return wanted[first], group


_BOUND: Final = r"\$[A-Za-z_][^$\s]*\$|0x[0A-Fa-f]"


_PLAIN_NAME: Final = re.compile(r"[a-z0-9_./:-]+")


def is_distinctive(kind: str, value: str) -> bool:
    """Return whether a value is of its kind elsewhere too: not a name such as ``worker-orders``, without capitals."""
    return kind != "name" or _PLAIN_NAME.fullmatch(value) is None


def _asked(texts: pa.LargeStringArray, shapes: Shapes) -> Array:
    """Return by row the kinds that a text may contain, a bit for each: a fast search that misses none."""
    asked = _asked_by_form(shapes.texts)[shapes.code]
    has_run = np.zeros(len(shapes.texts), bool)
    has_run[digit_runs(blob_of(shapes.texts)).row] = True
    rows = np.flatnonzero(has_run[shapes.code])
    runs = digit_runs(blob_of(texts.take(pa.array(rows, pa.int64()))))
    asked[rows[runs.row[runs.is_card_like & runs.is_valid]]] |= _BIT["payment card"]
    return asked


def _asked_by_form(texts: pa.LargeStringArray) -> Array:
    """Return the kinds that texts of these shapes may contain, without numbers of cards that are not grouped."""
    asked = np.zeros(len(texts), np.int64)
    for kind, rows in candidates(blob_of(texts)).items():
        asked[rows] |= _BIT[kind]
    for kind, pattern in _PREFILTERS.items():
        asked[pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)] |= _BIT[kind]
    return asked


def _asked_by_key(contexts: Sequence[Context]) -> Array:
    """Return the kinds that texts may contain because of what their key says; none for the code -1."""
    bits = (
        bool(one.kind) * _BIT[""] | (one.is_parameter or one.is_sql) * _BIT[SQL] | one.is_query * _BIT[URL]
        for one in contexts
    )
    return np.array([*bits, 0], np.int64)


_PREFILTERS: Final = {
    SQL: r"(?i)\b(?:select|insert|update|delete|merge|call|exec|replace|with)\b",
    URL: r"[?&;][^=\s]{1,80}=",
    "high-entropy secret": r"[A-Za-z0-9+/_-]{24,}",
    "IP address": r"\d\.\d{1,3}\.\d{1,3}\.\d|(?:^|[^\w:.])(?:[0-9A-Fa-f]{0,4}:){2}",
    "secret in a parameter": r"(?i)(?:passw(?:or)?d|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key|signature"
    r"|credential|authorization)[\"' ]*[=:]",
}


def _matches(text: str, context: Context, searches: list[_Kind]) -> list[Match]:
    """Return the matches of these searches in one text; they may overlap."""
    if context.kind not in {"", "IP address"} and is_value_of(context.kind, text) and not is_count(context, text):
        return [Match(0, len(text), context.kind)]
    if context.is_parameter and not LABEL.fullmatch(text):
        return [Match(0, len(text), SQL)]
    return [Match(begin, end, kind) for kind, search in searches for begin, end in search(text, context)]


def _searches(asked: int, context: Context) -> list[_Kind]:
    """Return the searches for the kinds of these bits that values of a key can contain."""
    return [(kind, search) for kind, search in _SEARCHES.items() if asked & _BIT[kind] and _can_be(kind, context)]


def _can_be(kind: str, context: Context) -> bool:
    """Return whether values of a key can contain a kind.

    Names and versions of services: secrets, and what is personal by its form alone.  Of hosts and the like: secrets.
    """
    if context.names_a_service and kind in _IN_SERVICES:
        return True
    if context.names_a_machine and kind not in SECRETS:
        return False
    if kind == "high-entropy secret":
        return not (context.is_machine or context.is_id)
    if kind in {"social security number", "phone number", "IBAN"}:
        return not (context.is_machine or context.is_version)
    return kind not in {"IP address", PRIVATE} or not (context.is_machine or context.is_version)


# -------------------------------------------------------------------- searches, by kind


def _detected(kind: str) -> Callable[[str, Context], Iterator[tuple[int, int]]]:
    """Return the search for a kind that its form tells."""
    detector = DETECTORS[kind]

    def search(text: str, _: Context) -> Iterator[tuple[int, int]]:
        for match in detector.pattern.finditer(text):
            if detector.is_valid(match[0]):
                yield match.span()

    return search


_BLOCK: Final = re.compile(
    r"(?s)-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:.*?-----END (?:[A-Z]+ )*PRIVATE KEY-----|.*)"
)
_ASSIGNED: Final = re.compile(
    r"(?i)(?<![a-z0-9])(?:[\w.-]*(?:password|passwd|passphrase|secret(?:[_-]?key)?|api[_-]?key|access[_-]?key"
    r"|(?<![a-z])pwd|token)|(?:[\w.-]*[_-])?(?:signature|sig|credentials?)|authorization)"
    r"(?:\\?[\"'])?\s*(?P<sign>=|:)\s*(?P<quote>\\?[\"'])?(?!bearer |basic )"
    r"(?P<value>(?(quote)[^\"'\\\n]+|[^\s&\"',;(){}<>\[\]\\]{4,}))"
)
_NOT_SECRET: Final = re.compile(
    r"(?i)true|false|null|none|undefined|\*+|x+|\d{1,4}|\$.*|\?|.*(?:redacted|masked|\*{3}).*"
)
_CARD: Final = re.compile(r"(?<![\w.-])\d{13,19}(?![\w.-])", re.ASCII)
_LONGEST: Final = 19


def _private_keys(text: str, _: Context) -> Iterator[tuple[int, int]]:
    """Yield blocks of private keys, to the end of a truncated text."""
    return (match.span() for match in _BLOCK.finditer(text))


def _assigned(text: str, _: Context) -> Iterator[tuple[int, int]]:
    """Yield the values of parameters whose name says that they are secret."""
    for match in _ASSIGNED.finditer(text):
        value = match["value"]
        is_plain = match["sign"] == ":" and not match["quote"] and not (_has_digit(value) and _has_letter(value))
        if not (is_plain or _NOT_SECRET.fullmatch(value) or LABEL.fullmatch(value) or value.startswith("[")):
            yield match.span("value")


_PERSON: Final = re.compile(r"(?i)[^\W\d_]{2,}(?:[._][^\W\d_]{2,}){1,2}\d{0,4}(?:\+[\w.-]+)?")
_PROVIDER: Final = re.compile(
    r"(?i)(?:gmail|googlemail|outlook|hotmail|live|icloud|proton(?:mail)?|gmx|web|aol|yahoo|mail)"
    r"\.(?:com|net|org|me|de|fr|co\.uk)"
)
_OF_HOST: Final = re.compile(
    r"(?i)(?:[\w-]*-\d[\w-]*|ip-.*|.*\.(?:internal|local|localdomain|lan|corp|intranet|cluster|svc|host|compute"
    r"|amazonaws\.com|cloudapp\.net))(?:\..*)?"
)


def _mails(text: str, context: Context) -> Iterator[tuple[int, int]]:
    """Yield e-mail addresses; in names of services only those of people.

    ``celery@worker-1.example.org`` and ``orders@1.2.3`` are names: there, an address is one of a person if its first
    part is a first and a last name and the second one is no host, or if it is at a provider of mail.
    """
    for begin, end in _detected("email")(text, context):
        if not context.names_a_service or _is_of_person(text[begin:end]):
            yield begin, end


def _is_of_person(mail: str) -> bool:
    """Return whether an e-mail address is one of a person."""
    user, _, domain = mail.replace("%40", "@").rpartition("@")
    is_named = _PERSON.fullmatch(user) is not None and _OF_HOST.fullmatch(domain) is None
    return is_named or _PROVIDER.fullmatch(domain) is not None


def _has_digit(text: str) -> bool:
    """Return whether a text has a digit."""
    return any(letter.isdigit() for letter in text)


def _has_letter(text: str) -> bool:
    """Return whether a text has a letter."""
    return any(letter.isalpha() for letter in text)


def _credentials(text: str, context: Context) -> Iterator[tuple[int, int]]:
    """Yield the tokens behind ``Bearer`` and ``Basic``."""
    for begin, end in _detected("credentials")(text, context):
        yield text.index(" ", begin) + 1, end


def _passwords(text: str, context: Context) -> Iterator[tuple[int, int]]:
    """Yield user and password in URLs."""
    for begin, end in _detected("password in an address")(text, context):
        yield text.index("://", begin) + 3, text.rindex("@", begin, end)


def _cards(text: str, context: Context) -> Iterator[tuple[int, int]]:
    """Yield card numbers, grouped or plain."""
    yield from _detected("payment card")(text, context)
    for match in _CARD.finditer(text):
        if is_card_number(match[0]):
            yield match.span()


def is_card_number(digits: str) -> bool:
    """Return whether plain digits have the length, first digits and check digit of a payment card."""
    row = np.array([[int(digit) for digit in digits.zfill(_LONGEST)]])
    return bool(luhn(row)[0] and card_like(row, np.array([len(digits)]))[0])


_ADDRESS: Final = re.compile(
    r"(?<![\w./-])(?<![A-Za-z]/)(?:\d{1,3}\.){3}\d{1,3}(?![\w.]\w|\w|-\w)"
    r"|(?<=//)(?:\d{1,3}\.){3}\d{1,3}(?![\w.]\w|\w)"
    r"|(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:.])"
)
_SAID_VERSION: Final = re.compile(r"(?i)(?:\bv|version|release|build|firmware|driver|chrome|edge)[\s:=]*\Z")
_SMALL: Final = 20
_RESOLVERS: Final = {"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9"}
_PARTS: Final = 4


def _addresses(text: str, context: Context) -> Iterator[tuple[int, int]]:
    """Yield public IP addresses, and in keys of clients also private ones.

    Four numbers below 20 are taken for a version unless the key says otherwise.
    """
    of_client = context.kind == "IP address"
    for match in _ADDRESS.finditer(text):
        address = _address(match[0])
        if address is None or address.is_unspecified or address.is_loopback:
            continue
        if of_client or (address.is_global and not _is_version(match[0], text[: match.start()])):
            yield match.span()


def _is_version(found: str, before: str) -> bool:
    """Return whether four numbers are more likely a version, or name a public resolver."""
    parts = found.split(".")
    is_small = len(parts) == _PARTS and all(int(part) < _SMALL for part in parts)
    return is_small or found in _RESOLVERS or _SAID_VERSION.search(before[-16:]) is not None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return a text as an IP address; None if it is none, or only a clock time or colons."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return address if address.version == _PARTS or sum(letter.isalnum() for letter in text) > _PARTS else None


def _private(text: str, context: Context) -> Iterator[tuple[int, int]]:
    """Yield addresses of private networks."""
    for begin, end in _detected(PRIVATE)(text, context):
        if not _is_version(text[begin:end], text[:begin]) or text[begin:end].startswith("10."):
            yield begin, end


def _sql(text: str, context: Context) -> Iterator[tuple[int, int]]:
    """Yield the values in SQL."""
    if context.is_sql or is_sql(text):
        begin = 0 if context.is_sql else statement_begin(text)
        yield from ((begin + low, begin + high) for low, high in sql_literals(text[begin:]))


def _urls(text: str, context: Context) -> Iterator[tuple[int, int]]:
    """Yield the values in the queries of URLs."""
    return query_values(text, is_query=context.is_query)


def _random(text: str, _: Context) -> Iterator[tuple[int, int]]:
    """Yield runs that look random."""
    return secrets_in(text)


_SEARCHES: Final[dict[str, Callable[[str, Context], Iterator[tuple[int, int]]]]] = {
    "email": _mails,
    **{kind: _detected(kind) for kind in ("phone number", "IBAN", "social security number")},
    **{kind: _detected(kind) for kind in ("JSON web token", "AWS access key", "API token")},
    "private key": _private_keys,
    "secret in a parameter": _assigned,
    "credentials": _credentials,
    "password in an address": _passwords,
    "payment card": _cards,
    "IP address": _addresses,
    PRIVATE: _private,
    SQL: _sql,
    URL: _urls,
    "high-entropy secret": _random,
}
