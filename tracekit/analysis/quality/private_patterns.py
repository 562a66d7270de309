"""What personal data and secrets look like, each with the check that tells them from chance."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.columns import Array


class Detector(NamedTuple):
    """One kind of private data.

    ``is_secret``: finding one is critical.  ``is_valid`` looks at what the pattern found; it gets the whole match.

    Examples
    --------
    >>> DETECTORS["email"].found_in("ask jo@example.org today")
    'jo@example.org'
    """

    pattern: re.Pattern[str]
    is_valid: Callable[[str], bool]
    is_secret: bool

    def found_in(self, text: str) -> str | None:
        """Return the first valid match in a text."""
        return next((m.group() for m in self.pattern.finditer(text) if self.is_valid(m.group())), None)


def luhn(digits: Array) -> Array:
    """Return which numbers pass the check digit of payment cards.

    Parameters
    ----------
    digits
        uint8, one row a number, aligned right and filled with zeros on the left.

    Returns
    -------
    numpy.ndarray
        bool.

    Examples
    --------
    >>> luhn(np.array([[int(digit) for digit in "4111111111111111"], [int(digit) for digit in "4111111111111112"]]))
    array([ True, False])
    """
    doubled = digits.astype(np.int16)
    doubled[:, -2::-2] *= 2
    doubled = np.where(doubled > 9, doubled - 9, doubled)  # noqa: PLR2004 - two digits are added up
    return np.asarray(doubled.sum(axis=1) % 10 == 0)


def card_like(digits: Array, length: Array) -> Array:
    """Return which numbers have the length and the first digits of a card issuer, whatever the check digit.

    Parameters
    ----------
    digits
        As ``luhn`` takes them.
    length
        Number of digits of each.

    Returns
    -------
    numpy.ndarray
        bool.

    Examples
    --------
    >>> row = np.array([[0, 0, 0] + [int(digit) for digit in "4111111111111111"]])
    >>> card_like(row, np.array([16]))
    array([ True])
    """
    width = digits.shape[1]
    at = (width - length)[:, None] + np.arange(4)
    lead = (np.take_along_axis(digits.astype(np.int64), at, axis=1) * (1000, 100, 10, 1)).sum(axis=1)
    found = np.zeros(len(digits), bool)
    for low, high, lengths in _ISSUERS:
        found |= (lead >= low) & (lead <= high) & np.isin(length, lengths)
    return found


_ISSUERS = (
    (4000, 4999, (13, 16, 19)),
    (5100, 5599, (16,)),
    (2221, 2720, (16,)),
    (3400, 3499, (15,)),
    (3700, 3799, (15,)),
    (6011, 6011, (16, 19)),
    (6440, 6599, (16, 19)),
    (3528, 3589, (16,)),
    (3000, 3059, (14,)),
    (3600, 3699, (14,)),
    (3800, 3899, (14,)),
)


def _card(text: str) -> bool:
    """Return whether digits in groups are a card's."""
    plain = re.sub(r"\D", "", text)
    row = np.array([[int(digit) for digit in plain.zfill(19)]])
    return bool(luhn(row)[0] and card_like(row, np.array([len(plain)]))[0])


def _iban(text: str) -> bool:
    """Return whether the remainder by 97 is 1 and the length that of some country."""
    plain = text.replace(" ", "")
    if not 15 <= len(plain) <= 34:  # noqa: PLR2004 - the shortest and the longest
        return False
    return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


def _jwt(text: str) -> bool:
    """Return whether the first part is a JSON object that names an algorithm."""
    head = text.partition(".")[0]
    try:
        found = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error):
        return False
    return isinstance(found, dict) and "alg" in found


def _ssn(text: str) -> bool:
    """Return whether area, group and serial are ones that are given out."""
    area, group, serial = text.split("-")
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def _phone(text: str) -> bool:
    """Return whether the number of digits is that of an international number."""
    return 8 <= sum(sign.isdigit() for sign in text) <= 15  # noqa: PLR2004 - E.164


def _private_address(text: str) -> bool:
    """Return whether it is an address of a private network."""
    try:
        return ipaddress.ip_address(text).is_private
    except ValueError:
        return False


def _email(text: str) -> bool:
    """Return whether the domain is one that mail reaches; X-Ray calls a database ``name@host.internal``."""
    return not text.lower().endswith(_NO_MAIL)


_NO_MAIL = (".internal", ".local", ".localdomain", ".lan", ".intranet", ".invalid", ".localhost", ".amazonaws.com")


def _any(text: str) -> bool:
    """Return that the pattern is proof enough."""
    return bool(text)


def _unmasked(text: str) -> bool:
    """Return whether a credential is spelt out."""
    secret = text.rpartition(" ")[2] if " " in text else text
    return not re.search(r"\*{3}|x{4,}|redacted|masked|\{|\$|<", secret, re.IGNORECASE)


DETECTORS = {
    "email": Detector(
        re.compile(r"(?<![\w.+%:/-])[\w.+%-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}\b(?!:)"),
        _email,
        is_secret=False,
    ),
    "phone number": Detector(
        re.compile(r"(?<![\w+:.)-])\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,5}\)?){2,5}(?![\w.:])"), _phone, is_secret=False
    ),
    "payment card": Detector(
        re.compile(r"(?<![\w-])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}|\d{4}([ -])\d{6}\2\d{5})(?![\w-])"),
        _card,
        is_secret=True,
    ),
    "IBAN": Detector(re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), _iban, is_secret=True),
    "social security number": Detector(re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"), _ssn, is_secret=True),
    "JSON web token": Detector(re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"), _jwt, is_secret=True),
    "AWS access key": Detector(re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), _any, is_secret=True),
    "credentials": Detector(
        re.compile(r"\b(?:[Bb]earer|[Bb]asic) (?=[\w+/~.-]*\d|[\w+/~.-]*[A-Z])[\w+/~.-]{12,}=*"),
        _unmasked,
        is_secret=True,
    ),
    "password in an address": Detector(
        re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@[\w.-]+"), _unmasked, is_secret=True
    ),
    "private address": Detector(
        re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])"), _private_address, is_secret=False
    ),
}
"""By name; ``payment card`` finds digits in groups, plain runs of digits are ``card_like`` and ``luhn``."""


def masked(text: str) -> str:
    """Return what may be shown of a private value: the first and the last two signs and its length.

    No hash of it: short ones can be guessed from their hash.

    Examples
    --------
    >>> masked("jo@example.org"), masked("secret1")
    ('jo...rg (14 signs)', '... (7 signs)')
    """
    shown = f"{text[:2]}...{text[-2:]}" if len(text) >= 12 else "..."  # noqa: PLR2004 - else too much is left
    return f"{shown} ({len(text)} signs)"
