"""What a match becomes."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from typing import TYPE_CHECKING, Final

from tracekit.redaction.find import PRIVATE, SQL, URL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.redaction.find import Match
    from tracekit.redaction.policy import Policy

CHOSEN: Final = "chosen key"
"""Kind of the values of a key that the policy names."""
_DIGITS: Final = 12
_IPV4: Final = 4
_DOMAIN: Final = re.compile(r"(?:@|%40)([\w.-]+)\Z")


def replaced(text: str, matches: Sequence[Match], policy: Policy) -> str:
    """Return a text with its matches replaced as a policy says.

    Examples
    --------
    >>> from tracekit.redaction.find import Match
    >>> replaced("order of jo@example.org paid", [Match(9, 23, "email")], tk.Policy())
    'order of [email] paid'
    """
    out = text
    for match in reversed(matches):
        value = text[match.begin : match.end]
        out = out[: match.begin] + substitute(value, match.kind, policy.action(match.kind), policy) + out[match.end :]
    return out


def substitute(value: str, kind: str, action: str, policy: Policy) -> str:
    """Return what a value becomes.

    Examples
    --------
    >>> substitute("203.0.113.77", "IP address", "generalise", tk.Policy())
    '203.0.113.x'
    >>> substitute("'Jo'", "SQL literal", "generalise", tk.Policy())
    '?'
    """
    if action == "keep":
        return value
    if action == "pseudonym":
        token = hmac.new(policy.secret.encode(), f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"[{kind} {token.hexdigest()[:_DIGITS]}]"
    return _general(value, kind) if action == "generalise" else f"[{kind}]"


def _general(value: str, kind: str) -> str:
    """Return the part of a value that is not personal."""
    if kind in {"IP address", PRIVATE}:
        return _network(value, kind)
    if kind == "email":
        domain = _DOMAIN.search(value)
        return f"[email at {domain[1]}]" if domain else "[email]"
    return {SQL: "?", URL: "REDACTED"}.get(kind, f"[{kind}]")


def _network(value: str, kind: str) -> str:
    """Return the network of an IP address: three parts of it."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:  # joined with a match of another kind
        return f"[{kind}]"
    sign = "." if address.version == _IPV4 else ":"
    return f"{sign.join(address.exploded.split(sign)[:3])}{sign}x"
