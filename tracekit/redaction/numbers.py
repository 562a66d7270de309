"""Validation of card, account, social security and phone numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array


def luhn(digits: Array) -> Array:
    """Return which numbers have a valid check digit of payment cards."""
    doubled = digits.astype(np.int16)
    doubled[:, -2::-2] *= 2
    doubled = np.where(doubled > 9, doubled - 9, doubled)  # noqa: PLR2004 - sum of two digits
    return np.asarray(doubled.sum(axis=1) % 10 == 0)


def card_like(digits: Array, length: Array) -> Array:
    """Return which numbers have the length and the first digits of a card issuer."""
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


def is_card(text: str) -> bool:
    """Return whether grouped digits are a card number."""
    plain = re.sub(r"\D", "", text)
    row = np.array([[int(digit) for digit in plain.zfill(19)]])
    return bool(luhn(row)[0] and card_like(row, np.array([len(plain)]))[0])


_REGISTRY = """
AD24 AE23d AL28 AT20d AZ28 BA20d BE16d BG22 BH22 BI27 BR29 BY28 CH21 CR22d CY28 CZ24d DE22d DJ27 DK18d DO28
EE20d EG28 ES24d FI18d FK18 FO18d FR27 GB22 GE22 GI23 GL18d GR27 GT28 HN28 HR21d HU28d IE22 IL23d IQ23 IS26d
IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20d LU20 LV21 LY25 MC27 MD24 ME22d MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15d
OM23 PK24 PL28d PS29 PT25d QA29 RO24 RS22d RU33 SA24 SC31 SD18d SE24d SI19d SK24d SM27 SO23 ST25 SV28 TL23d
TN24d TR26 UA29 VA22 VG24 XK20d YE30
"""
IBAN_LENGTHS = {entry[:2]: int(entry[2:4]) for entry in _REGISTRY.split()}
"""By country, of the registry of ISO 13616; there ``d`` marks countries whose account numbers are digits alone."""
IBAN_ALL_DIGITS = frozenset(entry[:2] for entry in _REGISTRY.split() if entry.endswith("d"))


def is_iban(text: str) -> bool:
    """Return whether country, length, characters and the remainder by 97 are valid."""
    plain = re.sub(r"[^0-9A-Za-z]", "", text).upper()
    length = IBAN_LENGTHS.get(plain[:2], len(plain) + 1)
    if length > len(plain) or (length < len(plain) and text.isalnum()):
        return False
    plain = plain[:length]  # the next word may look like another group
    if plain[:2] in IBAN_ALL_DIGITS and not plain[2:].isdigit():
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def is_ssn(text: str) -> bool:
    """Return whether area, group and serial are assigned."""
    area, group, serial = text.split("-")
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def is_phone(text: str) -> bool:
    """Return whether the number of digits is that of an international number."""
    return 8 <= sum(letter.isdigit() for letter in text) <= 15  # noqa: PLR2004 - E.164
