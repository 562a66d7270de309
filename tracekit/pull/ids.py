"""Trace ids as backends write them."""

from __future__ import annotations

import base64
import re

_HEX = re.compile(r"[0-9a-fA-F]{1,32}")


def to_hex(trace_id: str) -> str:
    """Return a trace id as 32 hex digits: backends omit leading zeros, and some write base64.

    Examples
    --------
    >>> to_hex("2A"), to_hex("AAAAAAAAAAAAAAAAAAAAKg==") == to_hex("2a")
    ('0000000000000000000000000000002a', True)
    """
    if _HEX.fullmatch(trace_id):
        return trace_id.lower().zfill(32)
    try:
        return base64.b64decode(trace_id, validate=True).hex().zfill(32)
    except ValueError:
        return trace_id
