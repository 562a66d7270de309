"""Patterns of PII and secrets, each with a validation of its matches."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
from typing import TYPE_CHECKING, NamedTuple

from tracekit.redaction.numbers import is_card, is_iban, is_phone, is_ssn

if TYPE_CHECKING:
    from collections.abc import Callable


class Detector(NamedTuple):
    """One kind of PII or secret; ``is_valid`` validates a match, ``is_secret`` makes it critical."""

    pattern: re.Pattern[str]
    is_valid: Callable[[str], bool]
    is_secret: bool

    def found_in(self, text: str) -> str | None:
        """Return the first valid match in a text."""
        return next((m.group() for m in self.pattern.finditer(text) if self.is_valid(m.group())), None)


def _jwt(text: str) -> bool:
    """Return whether the first part is a JSON object with an algorithm."""
    head = text.partition(".")[0]
    try:
        found = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error):
        return False
    return isinstance(found, dict) and "alg" in found


def _private_address(text: str) -> bool:
    """Return whether a text is an IP address of a private network."""
    try:
        return any(map(str.isalnum, text)) and ipaddress.ip_address(text).is_private
    except ValueError:
        return False


def _email(text: str) -> bool:
    """Return whether a text is an e-mail address, not a URL or an X-Ray database name (``name@host.internal``)."""
    return "://" not in text and not text.lower().endswith(_NO_MAIL)


_NO_MAIL = (".internal", ".local", ".localdomain", ".lan", ".intranet", ".invalid", ".localhost", ".amazonaws.com")


def _any(text: str) -> bool:
    """Return True: the pattern needs no further validation."""
    return bool(text)


def _unmasked(text: str) -> bool:
    """Return whether a credential is not masked."""
    secret = text.rpartition(" ")[2] if " " in text else text
    return not re.search(r"\*{3}|x{4,}|redacted|masked|hidden|\{|\$|<", secret, re.IGNORECASE)


def _credentials(text: str) -> bool:
    """Return whether a bearer token is not masked, or a basic one decodes to name and password."""
    scheme, _, token = text.partition(" ")
    if scheme.lower() != "basic":
        return _unmasked(text)
    try:
        return b":" in base64.b64decode(token + "=" * (-len(token) % 4))
    except binascii.Error:
        return False


def _parameter(text: str) -> bool:
    """Return whether the value has letters and digits and is not masked."""
    value = re.split(r"[=:]", text, maxsplit=1)[1].strip("\"' ")
    return bool(re.search(r"\d", value) and re.search(r"[^\W\d_]", value)) and _unmasked(value)


DETECTORS = {
    "email": Detector(
        re.compile(
            r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/@]*@[\w.-]*"  # the user in a URL is not an e-mail address
            r"|(?<![\w.+%-])(?:[\w.+%'-]{1,64}|\"[^\"\s@][^\"\n@]{0,62}\")(?:@|%40)"
            r"(?:[^\W_](?:[\w-]{0,62})\.){1,5}(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})\b(?!:\S)"
        ),
        _email,
        is_secret=False,
    ),
    "phone number": Detector(
        re.compile(r"(?<![\w+:.)-])\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,5}\)?){2,5}(?![\w.:])"), is_phone, is_secret=False
    ),
    "payment card": Detector(
        re.compile(r"(?<![\w-])(?:\d{4}([ .\xa0-])\d{4}\1\d{4}\1\d{4}|\d{4}([ .\xa0-])\d{6}\2\d{5})(?![\w-])"),
        is_card,
        is_secret=True,
    ),
    "IBAN": Detector(
        re.compile(
            r"(?i)(?<![\w-])[a-z]{2}\d{2}(?:[ \xa0-]?[a-z0-9]{4}){2,7}(?:[ \xa0-]?[a-z0-9]{1,3})?(?![\w-])",
            re.ASCII,
        ),
        is_iban,
        is_secret=True,
    ),
    "social security number": Detector(re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"), is_ssn, is_secret=True),
    "JSON web token": Detector(re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"), _jwt, is_secret=True),
    "AWS access key": Detector(
        re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"), _any, is_secret=True
    ),
    "API token": Detector(
        re.compile(
            r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,}|glpat-[\w-]{20}|xox[abeprs]-[\w-]{10,}"
            r"|AIza[\w-]{35}|[sr]k_live_\w{16,}|npm_[A-Za-z0-9]{36})"
        ),
        _any,
        is_secret=True,
    ),
    "private key": Detector(re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"), _any, is_secret=True),
    "secret in a parameter": Detector(
        re.compile(
            r"(?i)(?<![\w.-])(?:x-amz-|x-)?(?:(?:access|refresh|id|auth|session|security)[_-]?token|token|api[_-]?key"
            r"|(?:client[_-]?)?secret(?:[_-]?key)?|password|passwd|pwd|signature|sig)"
            r"[\"']?\s*[=:]\s*[\"']?[^\s&\"',;(){}<>\[\]]{8,}"
        ),
        _parameter,
        is_secret=True,
    ),
    "credentials": Detector(
        re.compile(r"\b(?i:bearer|basic) (?=[\w+/~.-]*\d|[\w+/~.-]*[A-Z])[\w+/~.-]{12,}=*"),
        _credentials,
        is_secret=True,
    ),
    "password in an address": Detector(
        re.compile(  # a password may contain @: up to the last one; and /, unless it looks like a port
            r"\b[A-Za-z][A-Za-z0-9+.-]*://"
            r"(?:[^/\s:@]*:[^/\s@]+|[^/\s:@\[]*:(?!\d{1,5}[/?#])[^\s@\"'<>,;?#]+)@"
            r"(?:[^/\s@\"'<>,;]+@)*[\w.-]+"
        ),
        _unmasked,
        is_secret=True,
    ),
    "private address": Detector(
        re.compile(
            r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:.])"
        ),
        _private_address,
        is_secret=False,
    ),
}
"""By kind; ``payment card`` matches grouped digits, ``card_like`` and ``luhn`` validate plain digit runs."""


def is_pii(text: str) -> bool:
    """Return whether a text contains PII or a secret, other than a private IP address."""
    return any(d.found_in(text) is not None for kind, d in DETECTORS.items() if kind != "private address")


def masked(text: str) -> str:
    """Return the first and last two characters of a value and its length; no hash, short values could be guessed."""
    shown = f"{text[:2]}...{text[-2:]}" if len(text) >= 12 else "..."  # noqa: PLR2004 - else too much is left
    return f"{shown} ({len(text)} characters)"
