"""Paths in messages, and errors about paths."""

from __future__ import annotations

import errno
import re
from typing import Final

from tracekit.errors import LoadError

STORE_MARKER = "tracekit-store.json"

_CODES = {
    errno.ENOENT: ("PATH_MISSING", "no such file", "check the name"),
    errno.ENOTDIR: ("PATH_MISSING", "no such file", "check the name"),
    errno.ENAMETOOLONG: ("PATH_MISSING", "the name is too long", "pass a path, or bytes for content"),
    errno.EACCES: ("PATH_DENIED", "permission denied", "change its permissions, or copy the file"),
    errno.EPERM: ("PATH_DENIED", "permission denied", "change its permissions, or copy the file"),
    errno.ELOOP: ("PATH_LOOP", "loop of symbolic links", "pass the real path"),
    errno.EISDIR: ("PATH_SPECIAL", "this is a folder, not a file", "pass the files in it"),
}


_USER: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/?@:'\"]*@|[^\s/?@:'\"]*:[^\s?'\"]*@)")


def path_error(path: object, error: OSError, hint: str = "") -> LoadError:
    """Return the LoadError for a path that cannot be read."""
    reason = f"{error.strerror or error}"
    code, found, default = _CODES.get(error.errno or 0, ("PATH_DENIED", reason, "copy it to another disk"))
    message = f"{code} {shown(path)}: {found}; {hint or default}"
    return LoadError(message, source=shown(path), code=code)


def without_credentials(text: str) -> str:
    """Return a text with the user and password of URLs in it removed; a password may contain ``/``.

    Examples
    --------
    >>> without_credentials("cannot open s3://key:sec/ret@bucket/x?region=eu")
    'cannot open s3://bucket/x?region=eu'
    """
    return _USER.sub(r"\1", text)


def shown(path: object) -> str:
    r"""Return a path for messages and tables, with characters that are not printable escaped."""
    text = str(path)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
