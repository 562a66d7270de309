"""Security of the report: a content security policy of hashes, and data that cannot become markup.

The page may run one script and use one style sheet, both identified by their SHA-256, and show embedded images.  It
cannot reach any address, and no handler or script injected through data would run.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib

from tracekit.errors import RenderError

_UNSAFE = re.compile(r"</(script|style)|<!--|[\r\0]", re.IGNORECASE)


def content_security_policy(script: str, style: str, *, inserted: str = "") -> str:
    """Return the policy that allows only this script, this style sheet and the script that the page inserts."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash_source(script)}{f' {_hash_source(inserted)}' if inserted else ''}",
            "style-src 'unsafe-inline'" if inserted else f"style-src {_hash_source(style)}",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def inline(text: str, what: str) -> str:
    """Return a script or style sheet after checking that it can be embedded in HTML."""
    found = _UNSAFE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise RenderError(f"expected text that can be embedded in HTML, found {found[0]!r} in line {line} of {what}")
    return text


def packed(raw: bytes) -> str:
    """Return base64 of the gzipped bytes, reproducibly: without a timestamp or operating system."""
    data = zlib.compress(raw, 9, wbits=31)  # gzip.compress writes the system or not, depending on the Python version
    return base64.b64encode(data[:8] + b"\0\xff" + data[10:]).decode("ascii")


def _hash_source(text: str) -> str:
    """Return the CSP source expression of a text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
