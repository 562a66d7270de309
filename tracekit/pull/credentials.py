"""Request headers with credentials: from the environment, a file or a callable; never in a message or repr."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tracekit.errors import PullError

VARIABLE = "TRACEKIT_PULL_HEADERS"
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*:\s*([\x20-\x7e\t]*\S)\s*")
_HIDDEN = "***"
_SHORTEST = 4  # characters; masking shorter ones would make messages unreadable
Given = Callable[[], Mapping[str, str]] | str | Path | None


class Credentials:
    """The headers that authenticate requests.

    Parameters
    ----------
    given
        A callable that returns headers, the path of a file with one ``Name: value`` per line, or None for the same
        lines in the environment variable ``TRACEKIT_PULL_HEADERS``.

    Examples
    --------
    >>> Credentials(lambda: {"Authorization": "Bearer abcdef"})
    Credentials(Authorization)
    """

    def __init__(self, given: Given = None) -> None:
        self._given = given
        self._headers: dict[str, str] = {}
        self.refresh()

    def __repr__(self) -> str:
        return f"Credentials({', '.join(self._headers)})"

    @property
    def headers(self) -> dict[str, str]:
        """The headers to send."""
        return self._headers

    def refresh(self) -> bool:
        """Read the headers again; return whether they are different now."""
        before = self._headers
        if callable(self._given):
            self._headers = _checked(self._given())
        elif self._given is None:
            self._headers = _parsed(os.environ.get(VARIABLE, ""), f"the environment variable {VARIABLE}")
        else:
            self._headers = _of_file(Path(self._given))
        return before != self._headers

    def cleaned(self, text: str) -> str:
        """Return a text without the values of the headers and their parts."""
        secrets = {
            part for value in self._headers.values() for part in (value, *value.split()) if len(part) > _SHORTEST
        }
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return text


def _of_file(path: Path) -> dict[str, str]:
    """Return the headers in a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        message = f"expected a file with one 'Name: value' per line, found {path}: {reason}; check credentials="
        raise PullError(message) from None
    return _parsed(text, str(path))


def _parsed(text: str, where: str) -> dict[str, str]:
    """Return the headers in lines of text."""
    headers = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _HEADER.fullmatch(line.strip())
        if found is None:
            message = (
                f"expected 'Name: value' in line {number} of {where}, found something else (not shown); correct it"
            )
            raise PullError(message)
        headers[found[1]] = found[2]
    return headers


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a callable, if they are valid."""
    for name, value in headers.items():
        if not _HEADER.fullmatch(f"{name}: {value}"):
            message = (
                f"expected headers from credentials(), found an invalid value of {name!r:.40} (not shown); correct it"
            )
            raise PullError(message)
    return dict(headers)
