"""The kinds of personal data and secrets, in order of precedence."""

from __future__ import annotations

from typing import Final

from tracekit.redaction.patterns import DETECTORS

PRIVATE: Final = "private address"
SQL: Final = "SQL literal"
URL: Final = "URL query value"
IN_PLACE: Final = frozenset({SQL, URL, PRIVATE})
"""Kinds that are matched in their place alone: the same text elsewhere need not be one."""
KINDS: Final[tuple[str, ...]] = (
    *("private key", "JSON web token", "AWS access key", "API token", "password in an address", "credentials"),
    *("secret in a parameter", "secret", "email", "payment card", "IBAN", "social security number", "phone number"),
    *("name", "birth date", "postal address", "IP address", "high-entropy secret", SQL, URL, PRIVATE),
)
"""In order of precedence: where matches overlap, the first kind names them."""
RANK: Final = {kind: rank for rank, kind in enumerate(KINDS)}
SECRETS: Final = frozenset(kind for kind, detector in DETECTORS.items() if detector.is_secret) | {
    "secret",
    "high-entropy secret",
}
