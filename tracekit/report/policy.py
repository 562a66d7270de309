"""What keeps the file safe: a content security policy of hashes, and data that cannot be markup.

The page may run one script and use one style sheet, both named by their SHA-256, and show pictures it holds itself.  No
address can be reached from it, no handler or script that data smuggled in would run.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib

from tracekit.errors import RenderError

_BREAKS_OUT = re.compile(r"</(script|style)|<!--|[\r\0]", re.IGNORECASE)


def content_security_policy(script: str, style: str, *, inserted: str = "") -> str:
    """Return the policy that allows exactly this script and this style sheet."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hashed(script)}{f' {_hashed(inserted)}' if inserted else ''}",
            "style-src 'unsafe-inline'" if inserted else f"style-src {_hashed(style)}",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def inline(text: str, what: str) -> str:
    """Return a script or a style sheet that may stand inside the page."""
    found = _BREAKS_OUT.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise RenderError(f"expected a text that can stand inside HTML, found {found[0]!r} in line {line} of {what}")
    return text


def packed(raw: bytes) -> str:
    """Return bytes as base64 of gzip: the same text for the same bytes, without a date or the name of a system."""
    data = zlib.compress(raw, 9, wbits=31)  # gzip.compress names the system or not, as the version of Python will
    return base64.b64encode(data[:8] + b"\0\xff" + data[10:]).decode("ascii")


def _hashed(text: str) -> str:
    """Return the source expression of a text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
