"""What a match becomes."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracekit.redaction.kinds import KINDS, PRIVATE, SQL, URL
from tracekit.redaction.matches import strings_at
from tracekit.redaction.scan import blob_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.redaction.matches import Match, Matches
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
    >>> from tracekit.redaction.matches import Match
    >>> replaced("order of jo@example.org paid", [Match(9, 23, "email")], tk.Policy())
    'order of [email] paid'
    """
    out = text
    for match in reversed(matches):
        value = text[match.begin : match.end]
        out = out[: match.begin] + substitute(value, match.kind, policy.action(match.kind), policy) + out[match.end :]
    return out


def rewritten(texts: pa.LargeStringArray, matches: Matches, policy: Policy) -> pa.LargeStringArray:
    """Return texts with their matches replaced as a policy says: ``replaced`` of each; a null stays null."""
    if not len(matches.row):
        return texts
    parts, is_match, is_first = matches.cut(texts)
    new = _substitutes(parts.filter(pa.array(is_match)), matches.kind, policy)
    whole = blob_of(pc.replace_with_mask(parts, pa.array(is_match), new))
    made = strings_at(whole.offsets[is_first], whole.data)
    return pc.if_else(texts.is_valid(), made, pa.scalar(None, pa.large_string())) if texts.null_count else made


def _substitutes(values: pa.LargeStringArray, kind: Array, policy: Policy) -> pa.LargeStringArray:
    """Return what values of these kinds become; each distinct one is looked at once, and only if it matters."""
    said: list[str] = []
    code = np.zeros(len(values), np.int64)
    for rank in np.unique(kind).tolist():
        name, mine = KINDS[rank], kind == rank
        action = policy.action(name)
        if _is_of_value(name, action):
            known = pc.dictionary_encode(values.filter(pa.array(mine)))
            code[mine] = known.indices.to_numpy() + len(said)
            said += [substitute(value, name, action, policy) for value in known.dictionary.to_pylist()]
        else:
            code[mine] = len(said)
            said.append(substitute("", name, action, policy))
    return pa.array(said, pa.large_string()).take(pa.array(code))


def _is_of_value(kind: str, action: str) -> bool:
    """Return whether what a value becomes depends on it, not on its kind alone."""
    is_partial = action == "generalise" and kind in {"IP address", PRIVATE, "email"}
    return is_partial or action in {"keep", "pseudonym"}


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
