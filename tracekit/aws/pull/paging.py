"""Pagination with protection against endless pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.pull.calls import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_IDLE = 1_000
"""Maximum of consecutive pages without a new trace; X-Ray returns some empty pages while it searches."""


class Pages:
    """The pages of one request.

    Parameters
    ----------
    operation
        The API operation.
    what
        Content of the pages, for errors.
    first
        The token of the first page.
    """

    def __init__(self, operation: str, what: str, first: str = "") -> None:
        self._operation = operation
        self._what = what
        self._tokens = {"", first}
        self._found: set[str] = set()
        self._idle = 0

    def after(self, token: str | None, found: Iterable[str]) -> str:
        """Return the token of the next page, empty after the last one."""
        if not token:
            return ""
        if token in self._tokens:
            problem = f"found the NextToken of an earlier page ({token[:40]!r})"
            raise NoAnswerError(f"expected a new page of {self._what}, {problem}", operation=self._operation)
        self._tokens.add(token)
        before = len(self._found)
        self._found.update(found)
        self._idle = 0 if len(self._found) > before else self._idle + 1
        if self._idle >= MOST_IDLE:
            problem = f"found {self._idle:,} consecutive pages without any; pull again later, or narrow the period"
            raise NoAnswerError(f"expected a page with new {self._what}, {problem}", operation=self._operation)
        return token
