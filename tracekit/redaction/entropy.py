"""Secrets of no known form: long runs of letters of both cases and digits in no order that words have."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN: Final = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{24,}={0,2}(?![\w+/=])")
_PAIR: Final = re.compile(r"(?=([a-z]{2}|[A-Z]{2}|[A-Z][a-z]))")
_FREQUENT: Final = (
    "th he in er an re nd at on nt es st en ed to it ou ea is or ti as te et ng of al de se le si ar ve ra "
    "ld ur me co ec ro ri io ic ne ce ll ch li om pe ma ss be el tr un us ac ct ee ut pr di ge ca em la no "
    "po ad il su ta ir ot up ag ev op ts mo id ol nc ns rs ke bl fo im am mp ex rt ck pl sh ab ap ep lo do "
    "so mi na da pa ki tu rv ry "
)
"""The most frequent pairs of letters in English words; about one in seven random pairs is among them."""
_PAIRS: Final = frozenset(_FREQUENT.split())
_CHANGE: Final = re.compile(r"(?<=[a-z])[^a-z]|(?<=[A-Z])[^A-Za-z]|(?<=[0-9])[^0-9]")
_DIVIDED: Final = re.compile(r"[-_/]")
_RESTLESS: Final = 0.32  # words in capitals have 0.2, random characters 0.45
_FOLDER: Final = re.compile(r"(?:^|/)[a-z][a-z_-]{3,}[0-9]*/|/[a-z][a-z_-]{3,}[0-9]*$")
_NAME: Final = re.compile(r"[^/]+")
_SHORTEST: Final = 24
_HEX: Final = re.compile(r"(?i)[0-9a-f_-]+")
_LEAST_BITS, _WORDY, _PRINTABLE = 3.6, 0.5, 0.9
_DIGITS: Final = 2


def secrets_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield the begin and end of runs that look random.

    A run has 24 characters or more, letters of both cases and at least two digits; its letters do not form words (half
    of their pairs frequent, few changes of case), its characters carry at least 3.6 bits each, and it is not base64 of
    text.  Hexadecimal ids, UUIDs, class names and paths do not fit.

    Examples
    --------
    >>> list(secrets_in("key kP9xQ2vLw7RtZ4mNcB8sYd3FhJ6gTaUe sent"))
    [(4, 36)]
    >>> list(secrets_in("org.example.Http2ServerUpgradeHandlerV3Builder"))
    []
    >>> list(secrets_in("tmp.BcQCZH58xm/tmp-first/hostile0/traces.json"))
    []
    """
    for found in RUN.finditer(text):
        if _FOLDER.search(found[0]):  # a path: each of its names by itself
            names = _NAME.finditer(found[0])
            yield from (
                (found.start() + one.start(), found.start() + one.end())
                for one in names
                if len(one[0]) >= _SHORTEST and is_random(one[0])
            )
        elif is_random(found[0]):
            yield found.span()


def is_random(run: str) -> bool:
    """Return whether a run of characters looks like a random secret."""
    plain = run.rstrip("=")
    digits = sum(letter.isdigit() for letter in plain)
    if digits < _DIGITS or plain.lower() == plain or plain.upper() == plain or _HEX.fullmatch(plain):
        return False
    if _is_wordy(plain):
        return False
    return _bits(plain) >= _LEAST_BITS and not _is_text(plain)


def _is_wordy(text: str) -> bool:
    """Return whether the letters form words: frequent pairs and, unless it is divided, few changes of kind."""
    pairs = [pair.lower() for pair in _PAIR.findall(text)]
    is_frequent = sum(pair in _PAIRS for pair in pairs) > _WORDY * len(pairs)
    is_calm = _DIVIDED.search(text) is not None or len(_CHANGE.findall(text)) < _RESTLESS * len(text)
    return is_frequent and is_calm


def _bits(text: str) -> float:
    """Return the Shannon entropy of the characters in bits each."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def _is_text(run: str) -> bool:
    """Return whether a run is base64 of readable text."""
    try:
        raw = base64.b64decode(run.replace("-", "+").replace("_", "/") + "=" * (-len(run) % 4))
    except (ValueError, binascii.Error):
        return False
    return sum(32 <= byte < 127 for byte in raw) >= _PRINTABLE * len(raw)  # noqa: PLR2004 - ASCII
